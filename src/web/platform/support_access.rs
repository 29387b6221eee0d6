//! `/platform/institutions/{domain}/support-access`: a look into one institution, for a reason and for a while.
//! The institution's own log says so first; only then does it open.

use actix_web::{HttpResponse, http::StatusCode, web::Path};
use chrono::TimeDelta;

use super::{
    acting::settled,
    institutions::{PATH, found, page_about},
};
use crate::{
    db::tenant::TenantConn,
    error::AppError,
    models::{
        institution::activity::Activity,
        platform::{
            institutions::{Institution, Status},
            support_accesses::{self, SupportAccess},
        },
    },
    services::support,
    web::{
        State,
        auth::Support,
        badge::{Badge, Tone},
        forms::{Choice, Chosen, Form, FormData, FormPage},
        page::{Action, Notice, Page},
        respond::{html, html_with_status, see_other},
        time::Clock,
    },
};

/// How long an access may last, in minutes.
const MINUTES: [(&str, &str); 3] = [("15", "15 minutes"), ("30", "30 minutes"), ("60", "1 hour")];
/// Words that say something need as many letters.
const SHORTEST_REASON: usize = 10;

/// `GET /platform/institutions/{domain}/support-access`: support.
pub async fn ask(platform: State, admin: Support, domain: Path<String>) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (institution_id, admin_id) = (institution.id, admin.id);
    let open = platform.shared.run(move |c| support_accesses::find_open(c, institution_id, admin_id)).await?;
    let mut form = blank(&institution);
    fields(&mut form);
    Ok(html(&FormPage::new(page(&admin, &institution, open), form))?)
}

/// `POST /platform/institutions/{domain}/support-access`: support.
pub async fn open(
    platform: State,
    admin: Support,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut form = blank(&institution).submitted(&data);
    let asked = fields(&mut form);
    if institution.status != Status::Active {
        form.error("", "The institution is not active, so there is nothing to look into.");
    }
    let Some((reason, lasts)) = asked.filter(|_| institution.status == Status::Active) else {
        let view = FormPage::new(page(&admin, &institution, None), form);
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?);
    };
    note(&platform, &admin, &institution, reason.clone()).await?;
    let (audit, admin_id) = (admin.audit(&platform), admin.id);
    let back = format!("/i/{}", institution.domain);
    let grant = move |c: &mut _| support_accesses::open(c, &audit, &institution, admin_id, &reason, lasts);
    platform.shared.run(grant).await?;
    Ok(see_other(back))
}

/// `POST /platform/institutions/{domain}/support-access/remove`: support.
pub async fn end(platform: State, admin: Support, domain: Path<String>) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let back = format!("{PATH}/{}", institution.domain);
    let (audit, admin_id, state) = (admin.audit(&platform), admin.id, platform.clone());
    let end = move |c: &mut _| support::end(c, &state, &audit, &institution, admin_id);
    let outcome = platform.shared.run(end).await;
    settled(&admin, outcome, |()| Notice::success("Your access is closed."), &back)
}

/// Leaves a trace where the institution's own people see it.
async fn note(
    platform: &State,
    admin: &Support,
    institution: &Institution,
    reason: String,
) -> Result<(), AppError> {
    let db = platform.tenant(institution.id).await?;
    let activity = Activity::new(admin.actor());
    let opened = move |c: &mut TenantConn| {
        c.write_tx(|c| activity.record(c, "support.opened", "support", None, &reason, &[]))
    };
    Ok(db.run(opened).await?)
}

fn blank(institution: &Institution) -> Form {
    let place = format!("{PATH}/{}", institution.domain);
    Form::new(format!("{place}/support-access")).submit("Look inside").cancel(place)
}

fn fields(form: &mut Form) -> Option<(String, TimeDelta)> {
    let reason = form
        .text("reason", "Reason")
        .hint("The institution's owners read it in their activity log.")
        .check(|text: &String| match text.chars().count() {
            SHORTEST_REASON.. => Ok(()),
            _ => Err("Say in a few words what you look for, such as a ticket's number and question.".into()),
        })
        .required();
    let minutes = form
        .select("minutes", "For", MINUTES.map(|(value, label)| Choice::new(value, label)))
        .radios()
        .value("30")
        .required();
    form.read(|| {
        let Chosen(minutes) = minutes?;
        Some((reason?, TimeDelta::minutes(minutes.parse().ok()?)))
    })
}

fn page(admin: &Support, institution: &Institution, open: Option<SupportAccess>) -> Page {
    let page = page_about(admin, institution, format!("Look into {}", institution.name))
        .intro("You see what a viewer sees, and change nothing. It is written into both logs.");
    match open {
        Some(access) => page
            .badge(Badge::new(Tone::Held, format!("Open until {}", Clock::utc().exact(access.expires_at))))
            .also(Action::link("Go on looking", format!("/i/{}", institution.domain)))
            .also(Action::post("End access", format!("{PATH}/{}/support-access/remove", institution.domain))),
        None => page,
    }
}
