//! `/platform/maintenance/connections`: connections that stand around.

use actix_web::{
    HttpResponse,
    web::{Path, block},
};

use crate::{
    error::AppError,
    services::{
        leaks::{self, Leak},
        operations::Failure,
    },
    web::{
        State,
        auth::{AnyAdmin, Operator, SuperAdmin},
        cell::Cell,
        list::{Column, ListPage, ListSpec, ListView, Row},
        page::{Action, Notice},
        respond::{html, see_other},
        words::{Noun, waiting_time},
    },
};

const PATH: &str = "/platform/maintenance/connections";

const BLIND: &str = "Taken and not given back, in this process alone: what sessions do on the server cannot be seen. As a \
                     superuser run: GRANT pg_read_all_stats TO the platform's role.";

const COLUMNS: &[Column] = &[
    Column::new("of", "Database of"),
    Column::new("what", "What"),
    Column::new("since", "For").numeric(),
    Column::new("session", "Session on the server").minor(),
];

fn row(admin: &AnyAdmin, leak: Leak) -> Row {
    let words = leak.words();
    let row = match leak.institution_id {
        Some(id) => Row::new(id, format!("{}/{}", super::institutions::PATH, leak.subject)),
        None => Row::plain(&leak.subject),
    };
    let row = row.cell(leak.subject).cell(words).cell(Cell::figure(waiting_time(leak.seconds)));
    let Some(session) = leak.session else { return row.cell(Cell::nothing()) };
    let end = Action::post("End it", format!("{PATH}/{}/removal", session.pid)).danger();
    let row = row.cell(Cell::mono(session.pid.to_string()).note(session.role));
    if admin.is_super_admin() { row.action(end) } else { row }
}

/// `GET /platform/maintenance/connections`: operators; the server is asked once.
pub async fn list(platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let look = move || Ok::<_, Failure>((leaks::find(&platform)?, leaks::sees_sessions(&platform)?));
    let found = block(look).await.map_err(AppError::internal)?;
    let (found, sees) = found.map_err(AppError::internal)?;
    let rows = found.into_iter().map(|leak| row(&admin, leak)).collect();
    let spec = ListSpec::new(PATH, Noun::new("connection", "connections"), COLUMNS).empty(
        "Every connection is in use or given back",
        "What this process holds for more than a minute, and sessions on the server that no pool keeps, appear here.",
        None,
    );
    let page = admin
        .page("Connections that stand around")
        .crumb("Maintenance", "/platform/maintenance")
        .intro(match sees {
            true => "Taken and not given back. Ending a session takes back what it had not committed.",
            false => BLIND,
        });
    Ok(html(&ListPage::new(page, ListView::plain(spec, rows)))?)
}

/// `POST /platform/maintenance/connections/{pid}/removal`: super admins.
pub async fn end(platform: State, admin: SuperAdmin, pid: Path<String>) -> Result<HttpResponse, AppError> {
    let pid: i32 = pid.parse().map_err(|_| AppError::NotFound)?;
    let audit = admin.audit(&platform);
    let ended = block(move || leaks::end(&platform, &audit, pid)).await.map_err(AppError::internal)?;
    admin.flash(match ended {
        Ok(subject) => Notice::success(format!("The session in the database of {subject} has ended.")),
        Err(Failure::Permanent(words) | Failure::Transient(words)) => Notice::warning(words),
        Err(failure) => return Err(AppError::internal(failure)),
    })?;
    Ok(see_other(PATH))
}
