//! `/health/live`, `/health/ready`, `/metrics`: for load balancers and monitoring.

use std::fmt::{Display, Write};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::{
    db::{meter::BOUNDS, shared::SharedConn},
    error::AppError,
    models::{
        ModelResult,
        platform::{alerts, institutions, tenant_figures, waiting::waiting},
    },
    web::State,
};

/// `GET /health/live`: everybody; the process answers.
pub async fn live() -> HttpResponse {
    text("live\n".into())
}

/// `GET /health/ready`: everybody; the shared database answers too, or the reason why not is told.
pub async fn ready(platform: State) -> HttpResponse {
    // Tells nothing of where the database is.
    let problem = platform.shared.run(waiting).await.err().map(|error| match error {
        crate::models::ModelError::Pool(crate::db::pools::PoolError::Busy) => {
            "every connection to the shared database is busy"
        }
        _ => "the shared database does not answer",
    });
    let told = json!({
        "ready": problem.is_none(),
        "shared_database": problem.unwrap_or("answers"),
    });
    let (status, wait) = match problem {
        None => (StatusCode::OK, None),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, Some((header::RETRY_AFTER, "10"))),
    };
    let mut answer = HttpResponse::build(status);
    answer.content_type("application/json");
    if let Some(wait) = wait {
        answer.insert_header(wait);
    }
    answer.body(format!("{told}\n"))
}

/// What only the shared database can say.
struct Counted {
    waiting: crate::models::platform::waiting::Waiting,
    institutions: Vec<(&'static str, i64)>,
    alerts: Vec<alerts::Alert>,
    bytes: i64,
}

fn count_all(c: &mut SharedConn) -> ModelResult<Counted> {
    let counts = institutions::counts_by_status(c)?;
    Ok(Counted {
        waiting: waiting(c)?,
        institutions: institutions::Status::ALL
            .iter()
            .map(|status| (status.as_str(), counts.get(status).copied().unwrap_or_default()))
            .collect(),
        alerts: alerts::firing(c, 1_000)?,
        bytes: tenant_figures::total_size(c)?,
    })
}

/// `GET /metrics`: whoever has the token, or everybody where none is set; nothing of any one institution. While the
/// shared database does not answer, it tells that and what this process knows by itself.
///
/// # Errors
/// None so far.
pub async fn metrics(platform: State, request: HttpRequest) -> Result<HttpResponse, AppError> {
    if !may_read(&platform, &request) {
        return Ok(HttpResponse::Unauthorized()
            .insert_header((header::WWW_AUTHENTICATE, "Bearer"))
            .content_type("text/plain; charset=utf-8")
            .body("Present the token of PROVOST_METRICS_TOKEN: Authorization: Bearer TOKEN\n"));
    }
    let counted = platform.shared.run(count_all).await.ok();
    let mut out = Exposition::default();
    let (name, help) = ("provost_shared_database_up", "1 while the shared database answers");
    out.single(name, "gauge", help, u8::from(counted.is_some()));
    if let Some(counted) = counted {
        of_the_platform(&mut out, &counted);
    }
    of_this_process(&mut out, &platform);
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(out.0))
}

fn may_read(platform: &State, request: &HttpRequest) -> bool {
    let Some(token) = &platform.settings.metrics_token else { return true };
    let presented = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = presented.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    presented.as_bytes().ct_eq(token.as_bytes()).into()
}

fn of_the_platform(out: &mut Exposition, counted: &Counted) {
    out.family("provost_institutions", "gauge", "Institutions by status");
    for (status, count) in &counted.institutions {
        out.value("provost_institutions", &[("status", *status)], count);
    }
    let waiting = &counted.waiting;
    for (name, help, value) in [
        ("provost_registrations_waiting", "Registrations to decide", waiting.registrations),
        ("provost_provisionings_failed", "Institutions whose set-up failed", waiting.failed_provisionings),
        ("provost_operations_open", "Operations queued or at work", waiting.running_operations),
        ("provost_operations_failed", "Failed operations that need somebody", waiting.failed_operations),
        ("provost_tenant_bytes", "Size of all tenant databases as last measured", counted.bytes),
    ] {
        out.single(name, "gauge", help, value);
    }
    out.family("provost_alerts_firing", "gauge", "Alerts that fire, by severity");
    for severity in alerts::Severity::ALL {
        let count = counted.alerts.iter().filter(|alert| alert.severity == *severity).count();
        out.value("provost_alerts_firing", &[("severity", severity.as_str())], count);
    }
}

fn of_this_process(out: &mut Exposition, platform: &State) {
    let (in_use, idle) = platform.shared.in_use_and_idle();
    let tenants = platform.tenants.statistics();
    for (name, help, value) in [
        ("provost_shared_connections_in_use", "Connections to the shared database at work", in_use),
        ("provost_shared_connections_idle", "Idle connections to the shared database", idle),
        ("provost_tenant_pools", "Pools of tenant databases with connections", tenants.tenants.len()),
        ("provost_tenant_connections", "Connections to tenant databases", tenants.used),
        ("provost_tenant_connections_limit", "Connections to tenant databases allowed", tenants.budget),
    ] {
        out.single(name, "gauge", help, value);
    }
    let totals = platform.meters.totals();
    out.family("provost_requests_total", "counter", "Answered requests by class of status");
    for (class, count) in (1..).zip(totals.classes) {
        out.value("provost_requests_total", &[("status", format!("{class}xx"))], count);
    }
    out.family("provost_route_requests_total", "counter", "Answered requests by route");
    for (route, count) in &totals.routes {
        out.value("provost_route_requests_total", &[("route", route)], count);
    }
    out.family("provost_request_seconds", "histogram", "Time from a request to its answer");
    let mut within = 0;
    // Every eighth bucket is enough for a graph.
    for (place, (bound, count)) in BOUNDS.iter().zip(totals.histogram.counts()).enumerate() {
        within += count;
        if place % 8 == 7 && place + 1 < BOUNDS.len() {
            let seconds = *bound as f64 / 1e6;
            out.value("provost_request_seconds_bucket", &[("le", seconds)], within);
        }
    }
    out.value("provost_request_seconds_bucket", &[("le", "+Inf")], within);
    out.value::<&str>("provost_request_seconds_sum", &[], totals.micros as f64 / 1e6);
    out.value::<&str>("provost_request_seconds_count", &[], within);
}

/// Prometheus' text format.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.value::<&str>(name, &[], value);
    }

    fn value<L: Display>(&mut self, name: &str, labels: &[(&str, L)], value: impl Display) {
        self.0.push_str(name);
        if let [(label, text)] = labels {
            let text = text.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{{{label}=\"{text}\"}}");
        }
        let _ = writeln!(self.0, " {value}");
    }
}

fn text(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(body)
}
