//! `/platform/servers/{id}/emptying`: everything on a server moves elsewhere.

use std::{collections::HashSet, fmt::Write as _};

use actix_web::HttpResponse;

use super::servers::{PATH, about};
use crate::{
    db::{Id, shared::SharedConn},
    error::{AppError, told},
    models::{
        ModelResult,
        platform::{
            operations::{self, Kind},
            servers::{self, DatabaseServer, ServerState},
        },
    },
    services::servers::emptying::{self, AT_ONCE, Emptying},
    web::{
        RecordId, State,
        auth::SuperAdmin,
        confirm::{Confirm, ConfirmPage},
        forms::FormData,
        page::{Action, Notice},
        respond::{html, see_other},
        words::Noun,
    },
};

const DATABASES: Noun = Noun::new("database", "databases");

/// What the page of a server that drains says about what is left to do.
pub(super) fn notice(server: &DatabaseServer, held: i64) -> Option<Notice> {
    (server.state == ServerState::Draining && held == 0 && !server.is_home())
        .then(|| Notice::info("Nothing is here any more. The server can be removed."))
}

/// Where emptying begins.
pub(super) fn action(server: &DatabaseServer) -> Action {
    Action::ask("Move everything elsewhere", format!("{PATH}/{}/emptying", server.id))
}

struct Asked {
    server: DatabaseServer,
    databases: i64,
    room: i64,
}

async fn asked(platform: &State, id: Id) -> Result<Asked, AppError> {
    let look = move |c: &mut SharedConn| {
        let server = servers::find(c, id)?;
        let databases = i64::try_from(emptying::serving(c, id)?.len()).unwrap_or(i64::MAX);
        ModelResult::Ok(Asked { room: emptying::room_elsewhere(c, &server)?, databases, server })
    };
    Ok(platform.shared.run(look).await?)
}

fn question(admin: &SuperAdmin, asked: &Asked) -> ConfirmPage {
    let place = format!("{PATH}/{}", asked.server.id);
    let confirm = Confirm::new(format!("{place}/emptying"), "Move everything elsewhere")
        .says(
            "Each institution here moves to another server of the same kind: it is backed up, copied, and every row \
             is compared. While its turn lasts, its people can read, and not change.",
        )
        .says(format!("{AT_ONCE} at most are asked for at once. Come back here for the next ones."))
        .count("databases serve here", asked.databases)
        .count("have room elsewhere", asked.room)
        .undo("Whatever fails, the present database serves on. What has moved can be moved back.")
        .typed(asked.server.name.as_str())
        .danger()
        .cancel(place.as_str());
    let page = about(admin, format!("Empty {}?", asked.server.name)).crumb(asked.server.name.as_str(), place);
    ConfirmPage::new(page, confirm)
}

/// `GET /platform/servers/{id}/emptying`: super admins.
pub async fn ask(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, id).await?;
    Ok(html(&question(&admin, &asked))?)
}

/// `POST /platform/servers/{id}/emptying`: super admins, who type the server's name.
pub async fn start(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, id).await?;
    if let Err(page) = question(&admin, &asked).answer(&data)? {
        return Ok(page);
    }
    let audit = admin.audit(&platform);
    let act = move |c: &mut SharedConn| {
        let open = usize::try_from(operations::open_count(c, Kind::Move)?).unwrap_or(AT_ONCE);
        emptying::empty(c, &audit, id, AT_ONCE.saturating_sub(open), &HashSet::new())
    };
    let outcome = platform.shared.run(act).await;
    platform.operations.wake();
    admin.flash(match told(outcome)? {
        Ok(found) if found.refused.is_empty() => Notice::success(sentence(&found)),
        Ok(found) => Notice::warning(sentence(&found)),
        Err(words) => Notice::warning(format!("{words} Nothing was changed.")),
    })?;
    Ok(see_other(format!("{PATH}/{id}")))
}

fn sentence(found: &Emptying) -> String {
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut words = match found.asked.len() {
        0 => "No further move was asked for.".to_owned(),
        n => format!("The move of {} is asked for.", DATABASES.count(number(n))),
    };
    if found.under_way > 0 {
        let _ = write!(words, " {} on the way already.", DATABASES.are(number(found.under_way)));
    }
    if found.later > 0 {
        let _ = write!(words, " {} left for later.", DATABASES.are(number(found.later)));
    }
    if let Some((_, domain, why)) = found.refused.first() {
        let count = DATABASES.count(number(found.refused.len()));
        let _ = write!(words, " {count} cannot be moved now. The first is that of {domain}: {why}");
    }
    words
}
