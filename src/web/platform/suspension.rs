//! `/platform/institutions/{domain}/suspension`, `.../sessions`: cut an institution off, let it back in, or
//! only sign everybody out.

use actix_web::{HttpResponse, web::Path};

use super::{
    acting::act,
    cut_off::{CutOff, PEOPLE},
    institutions::{READ_WORD_FOR_WORD, found, not_now, page_about, place},
};
use crate::{
    error::AppError,
    models::platform::institutions::{self, Institution, Status},
    services::decisions,
    web::{
        State,
        auth::SuperAdmin,
        confirm::{Confirm, ConfirmPage},
        forms::FormData,
        page::Notice,
        respond::html,
    },
};

/// `GET /platform/institutions/{domain}/suspension`: super admins; counts who would be cut off.
pub async fn ask(platform: State, admin: SuperAdmin, domain: Path<String>) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    if institution.status != Status::Active {
        return not_now(&admin, &institution);
    }
    Ok(html(&question(&platform, &admin, &institution).await?)?)
}

/// `POST /platform/institutions/{domain}/suspension`: super admins.
pub async fn suspend(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let reason = match question(&platform, &admin, &institution).await?.answer(&data)? {
        Ok(answer) => answer.reason.unwrap_or_default(),
        Err(page) => return Ok(page),
    };
    let (state, id) = (platform.clone(), institution.id);
    let done =
        |now: Institution| Notice::success(format!("{} is suspended. Nobody there can sign in.", now.name));
    let suspend = move |c: &mut _, audit: &_| decisions::suspend(c, &state, audit, id, &reason);
    act(&platform, &admin, suspend, done, &place(&institution)).await
}

/// `GET /platform/institutions/{domain}/suspension/remove`: super admins.
pub async fn ask_reactivate(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    if institution.status != Status::Suspended {
        return not_now(&admin, &institution);
    }
    let place = place(&institution);
    let confirm = Confirm::new(format!("{place}/suspension/remove"), "Reactivate institution")
        .says(format!("Everybody at {} can sign in again, with the records as they were.", institution.name))
        .says("Its first admin is told by e-mail.")
        .cancel(place);
    let page = page_about(&admin, &institution, format!("Reactivate {}?", institution.name));
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /platform/institutions/{domain}/suspension/remove`: super admins.
pub async fn reactivate(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (state, id) = (platform.clone(), institution.id);
    let done = |now: Institution| Notice::success(format!("{} is active again.", now.name));
    let reactivate = move |c: &mut _, audit: &_| decisions::reactivate(c, &state, audit, id);
    act(&platform, &admin, reactivate, done, &place(&institution)).await
}

/// `GET /platform/institutions/{domain}/sessions/remove`: super admins.
pub async fn ask_end_sessions(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let id = institution.id;
    let sessions = platform.shared.run(move |c| institutions::open_sessions(c, id)).await?;
    let place = place(&institution);
    let confirm = Confirm::new(format!("{place}/sessions/remove"), "Sign everybody out")
        .says(format!("Everybody at {} is signed out at once. They can sign in again.", institution.name))
        .says("What somebody has typed and not saved is lost.")
        .count("open sessions end", sessions)
        .danger()
        .cancel(place);
    let page = page_about(&admin, &institution, format!("Sign everybody at {} out?", institution.name));
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /platform/institutions/{domain}/sessions/remove`: super admins.
pub async fn end_sessions(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let id = institution.id;
    let done = |_| Notice::success("Everybody there is signed out.");
    let end = move |c: &mut _, audit: &_| institutions::end_sessions(c, audit, id);
    act(&platform, &admin, end, done, &place(&institution)).await
}

async fn question(
    platform: &State,
    admin: &SuperAdmin,
    institution: &Institution,
) -> Result<ConfirmPage, AppError> {
    let db = platform.tenant(institution.id).await.ok();
    let cut_off = CutOff::count(platform, institution, db).await?;
    let place = place(institution);
    let confirm = Confirm::new(format!("{place}/suspension"), "Suspend institution")
        .says(format!(
            "From their next click on, nobody at {} can see or change its records. Its pages say that it is suspended.",
            institution.name
        ))
        .says("Its owners get your reason by e-mail.");
    let confirm = match cut_off.inside {
        Some(inside) => confirm.count(PEOPLE.of(inside.people), inside.people),
        None => {
            confirm.says("How many people can sign in is not known: its database does not answer right now.")
        }
    };
    let confirm = cut_off
        .sessions(confirm)
        .undo("No record is lost. You can reactivate it at any time.")
        .reason("Reason", READ_WORD_FOR_WORD, true)
        .danger()
        .cancel(place);
    Ok(ConfirmPage::new(page_about(admin, institution, format!("Suspend {}?", institution.name)), confirm))
}
