//! `/platform/institutions/{domain}/suspension`, `.../sessions`: cut an institution off, let it back in, or
//! only sign everybody out.

use actix_web::{HttpResponse, http::StatusCode, web::Path};

use super::{
    institutions::{PATH, found, page_about},
    settled,
};
use crate::{
    error::AppError,
    models::{
        institution::users,
        platform::institutions::{self, Institution, Status},
    },
    services::decisions,
    web::{
        State,
        auth::SuperAdmin,
        confirm::{Confirm, ConfirmPage, Confirmed},
        forms::FormData,
        page::Notice,
        respond::{html, html_with_status, see_other},
        words::Noun,
    },
};

/// `GET /platform/institutions/{domain}/suspension`: super admins; counts who would be cut off.
pub async fn ask(platform: State, admin: SuperAdmin, domain: Path<String>) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    if institution.status != Status::Active {
        return not_now(&admin, &institution);
    }
    let confirm = question(&institution, cut_off(&platform, &institution).await?);
    let page = page_about(&admin, &institution, format!("Suspend {}?", institution.name));
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /platform/institutions/{domain}/suspension`: super admins.
pub async fn suspend(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut confirm = question(&institution, cut_off(&platform, &institution).await?);
    let Some(Confirmed { reason }) = confirm.read(&data) else {
        let page = page_about(&admin, &institution, format!("Suspend {}?", institution.name));
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &ConfirmPage::new(page, confirm))?);
    };
    let (audit, state, id) = (admin.audit(&platform), platform.clone(), institution.id);
    let reason = reason.unwrap_or_default();
    let outcome = platform.shared.run(move |c| decisions::suspend(c, &state, &audit, id, &reason)).await;
    let place = format!("{PATH}/{}", institution.domain);
    let done =
        |now: Institution| Notice::success(format!("{} is suspended. Nobody there can sign in.", now.name));
    settled(&admin, outcome, done, &place)
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
    let place = format!("{PATH}/{}", institution.domain);
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
    let (audit, state, id) = (admin.audit(&platform), platform.clone(), institution.id);
    let outcome = platform.shared.run(move |c| decisions::reactivate(c, &state, &audit, id)).await;
    let place = format!("{PATH}/{}", institution.domain);
    let done = |now: Institution| Notice::success(format!("{} is active again.", now.name));
    settled(&admin, outcome, done, &place)
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
    let place = format!("{PATH}/{}", institution.domain);
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
    let (audit, id) = (admin.audit(&platform), institution.id);
    let outcome = platform.shared.run(move |c| institutions::end_sessions(c, &audit, id)).await;
    let place = format!("{PATH}/{}", institution.domain);
    settled(&admin, outcome, |_| Notice::success("Everybody there is signed out."), &place)
}

fn not_now(admin: &SuperAdmin, institution: &Institution) -> Result<HttpResponse, AppError> {
    let state = institution.status.label().to_lowercase();
    admin.flash(Notice::info(format!("{} is {state}. Nothing was changed.", institution.name)))?;
    Ok(see_other(format!("{PATH}/{}", institution.domain)))
}

/// Who is cut off by a suspension.
struct CutOff {
    sessions: i64,
    /// Who can sign in; unknown when the institution's database cannot be asked.
    people: Option<i64>,
}

async fn cut_off(platform: &State, institution: &Institution) -> Result<CutOff, AppError> {
    let id = institution.id;
    let sessions = platform.shared.run(move |c| institutions::open_sessions(c, id)).await?;
    let people = match platform.tenant(id).await {
        Ok(db) => db.run(users::active_count).await.ok(),
        Err(_) => None,
    };
    Ok(CutOff { sessions, people })
}

const CUT_OFF: Noun = Noun::new("person who can sign in is cut off", "people who can sign in are cut off");
const ENDED: Noun = Noun::new("open session ends at once", "open sessions end at once");

fn question(institution: &Institution, cut_off: CutOff) -> Confirm {
    let place = format!("{PATH}/{}", institution.domain);
    let confirm = Confirm::new(format!("{place}/suspension"), "Suspend institution")
        .says(format!(
            "From their next click on, nobody at {} can see or change its records. Its pages say that it is suspended.",
            institution.name
        ))
        .says("Its owners get your reason by e-mail.");
    let confirm = match cut_off.people {
        Some(people) => confirm.count(CUT_OFF.of(people), people),
        None => {
            confirm.says("How many people can sign in is not known: its database does not answer right now.")
        }
    };
    confirm
        .count(ENDED.of(cut_off.sessions), cut_off.sessions)
        .undo("No record is lost. You can reactivate it at any time.")
        .reason("Reason", "The institution reads it, word for word; it stays in the history.", true)
        .danger()
        .cancel(place)
}
