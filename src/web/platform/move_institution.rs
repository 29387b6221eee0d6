//! `/platform/institutions/{domain}/move`: to another server, with the choice, the consequences and the domain typed.

use actix_web::{HttpResponse, http::StatusCode, web::Path};

use super::{
    databases::engine_label,
    institutions::{PATH, found, page_about},
};
use crate::{
    db::{Id, shared::SharedConn},
    error::{AppError, told},
    models::{
        ModelError, ModelResult,
        platform::{
            institutions::Institution,
            servers::{self, ServerRow},
            tenant_databases,
            tenant_figures::{self, TenantFigures},
        },
    },
    services::operations::move_database,
    web::{
        State,
        auth::SuperAdmin,
        confirm::{Confirm, ConfirmPage},
        forms::{Choice, FormData},
        page::Notice,
        respond::{html, html_with_status, see_other},
        words::{bytes, grouped},
    },
};

/// What is asked about.
struct Asked {
    institution: Institution,
    figures: TenantFigures,
    sessions: i64,
    servers: Vec<ServerRow>,
}

async fn asked(platform: &State, domain: &str) -> Result<Asked, AppError> {
    let institution = found(platform, domain).await?;
    let read = move |c: &mut SharedConn| {
        let database = tenant_databases::find(c, institution.id)?.ok_or(ModelError::NOT_FOUND)?;
        let mut servers = servers::with_counts(c)?;
        servers.retain(|(server, held)| move_database::unfit(server, *held, &database).is_none());
        ModelResult::Ok(Asked {
            figures: tenant_figures::find(c, institution.id)?,
            sessions: crate::models::platform::institutions::open_sessions(c, institution.id)?,
            institution,
            servers,
        })
    };
    Ok(platform.shared.run(read).await?)
}

fn question(asked: &Asked) -> Confirm {
    let place = format!("{PATH}/{}", asked.institution.domain);
    let choices = asked.servers.iter().map(|(server, held)| {
        let engine = server.server_version.as_deref().unwrap_or(engine_label(server.engine));
        let label = format!("{} ({engine}, {} of {})", server.name, grouped(*held), grouped(server.capacity));
        Choice::from((server.id.to_string(), label))
    });
    let mut confirm = Confirm::new(format!("{place}/move"), "Move institution")
        .says(format!(
            "Every record of {} is copied to another server and compared, after a backup of the present state.",
            asked.institution.name
        ))
        .says("Meanwhile people there can read, and not change: a banner says so. Nobody is signed out.")
        .count("signed in now", asked.sessions);
    if let Some(size) = asked.figures.size() {
        confirm = confirm.says(format!("The database has {}.", bytes(size)));
    }
    confirm
        .choose("server", "Server", choices.collect())
        .undo(
            "Whatever fails, the present database serves on. After the move it is kept for 7 days, and you can move \
             back.",
        )
        .typed(asked.institution.domain.as_str())
        .danger()
        .cancel(place)
}

/// `GET /platform/institutions/{domain}/move`: super admins.
pub async fn ask(platform: State, admin: SuperAdmin, domain: Path<String>) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, &domain).await?;
    if asked.servers.is_empty() {
        admin.flash(Notice::warning(format!(
            "No other server has room for {}. Add one under Servers first.",
            asked.institution.name
        )))?;
        return Ok(see_other(format!("{PATH}/{}", asked.institution.domain)));
    }
    let page = page_about(&admin, &asked.institution, format!("Move {}?", asked.institution.name));
    Ok(html(&ConfirmPage::new(page, question(&asked)))?)
}

/// `POST /platform/institutions/{domain}/move`: super admins, who type the domain.
pub async fn start(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, &domain).await?;
    let mut confirm = question(&asked);
    let answered = confirm.read(&data).is_some();
    let chosen: Option<Id> = data.get("server").and_then(|id| id.parse().ok()).filter(|_| answered);
    let Some(server) = chosen else {
        let page = page_about(&admin, &asked.institution, format!("Move {}?", asked.institution.name));
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &ConfirmPage::new(page, confirm))?);
    };
    let (audit, id) = (admin.audit(&platform), asked.institution.id);
    let outcome = platform.shared.run(move |c| move_database::request(c, &audit, id, server)).await;
    platform.operations.wake();
    let back = format!("{PATH}/{}", asked.institution.domain);
    match told(outcome)? {
        Ok(operation) => Ok(see_other(format!("/platform/operations/{operation}"))),
        Err(sentence) => {
            admin.flash(Notice::warning(format!("{sentence} Nothing was changed.")))?;
            Ok(see_other(back))
        }
    }
}
