//! `/health/live`, `/health/ready`, `/metrics`: for load balancers and monitoring.

use std::fmt::Write;

use actix_web::HttpResponse;

use crate::{error::AppError, models::platform::waiting::waiting, web::State};

/// `GET /health/live`: everybody; the process answers.
pub async fn live() -> HttpResponse {
    text("live\n".into())
}

/// `GET /health/ready`: everybody; the shared database answers too.
///
/// # Errors
/// 503 while it does not.
pub async fn ready(platform: State) -> Result<HttpResponse, AppError> {
    platform.shared.run(waiting).await?;
    Ok(text("ready\n".into()))
}

/// `GET /metrics`: everybody who reaches the port; counts only, nothing of any institution.
///
/// # Errors
/// 503 while the shared database does not answer.
pub async fn metrics(platform: State) -> Result<HttpResponse, AppError> {
    let waiting = platform.shared.run(waiting).await?;
    let (shared_in_use, shared_idle) = platform.shared.in_use_and_idle();
    let tenants = platform.tenants.statistics();
    let mut out = String::new();
    for (name, help, value) in [
        ("provost_registrations_waiting", "Registrations to decide", waiting.registrations),
        ("provost_provisionings_failed", "Institutions whose set-up failed", waiting.failed_provisionings),
        ("provost_operations_open", "Operations queued or at work", waiting.running_operations),
        ("provost_shared_connections_in_use", "Connections to the shared database", count(shared_in_use)),
        ("provost_shared_connections_idle", "Idle connections to the shared database", count(shared_idle)),
        ("provost_tenant_pools", "Open pools of tenant databases", count(tenants.tenants.len())),
        ("provost_tenant_connections", "Connections to tenant databases", count(tenants.used)),
    ] {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    Ok(text(out))
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(body)
}
