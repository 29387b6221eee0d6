//! `/platform/institutions/{domain}/move`: to another server, with the choice, the consequences and the domain typed.

use actix_web::{HttpResponse, web::Path};

use super::{
    acting::begin,
    databases::engine_label,
    institutions::{found, page_about, place},
};
use crate::{
    db::{Id, shared::SharedConn},
    error::AppError,
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
        respond::{html, see_other},
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

fn question(admin: &SuperAdmin, asked: &Asked) -> ConfirmPage {
    let place = place(&asked.institution);
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
    confirm = confirm
        .choose("server", "Server", choices.collect())
        .undo(
            "Whatever fails, the present database serves on. After the move it is kept for 7 days, and you can move \
             back.",
        )
        .typed(asked.institution.domain.as_str())
        .danger()
        .cancel(place);
    let page = page_about(admin, &asked.institution, format!("Move {}?", asked.institution.name));
    ConfirmPage::new(page, confirm)
}

/// `GET /platform/institutions/{domain}/move`: super admins.
pub async fn ask(platform: State, admin: SuperAdmin, domain: Path<String>) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, &domain).await?;
    if asked.servers.is_empty() {
        admin.flash(Notice::warning(format!(
            "No other server has room for {}. Add one under Servers first.",
            asked.institution.name
        )))?;
        return Ok(see_other(place(&asked.institution)));
    }
    Ok(html(&question(&admin, &asked))?)
}

/// `POST /platform/institutions/{domain}/move`: super admins, who type the domain.
pub async fn start(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, &domain).await?;
    let answer = match question(&admin, &asked).answer(&data)? {
        Ok(answer) => answer,
        Err(page) => return Ok(page),
    };
    let server: Id = answer.chosen.and_then(|id| id.parse().ok()).ok_or(AppError::NotFound)?;
    let id = asked.institution.id;
    let ask = move |c: &mut SharedConn, audit: &_| move_database::request(c, audit, id, server);
    begin(&platform, &admin, ask, &place(&asked.institution)).await
}
