//! `/platform/institutions/{domain}/invitation`: who runs an institution that came without an admin.

use actix_web::{HttpResponse, http::StatusCode, web::Path};

use super::institutions::{PATH, found, page_about};
use crate::{
    error::AppError,
    models::{
        ModelError, ModelResult,
        institution::{
            Activity,
            users::{NewUser, Role},
        },
        platform::{
            institutions::{Institution, Status},
            registrations,
        },
        text::Email,
    },
    services::{decisions, institution_users},
    web::{
        State,
        auth::{AnyAdmin, SuperAdmin},
        forms::{Form, FormData, FormPage},
        page::{Notice, Page},
        respond::{html, html_with_status, see_other},
    },
};

struct Invited {
    name: String,
    email: Email,
}

/// `GET /platform/institutions/{domain}/invitation`: super admins.
pub async fn show(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut form = blank(&institution);
    fields(&mut form);
    Ok(html(&FormPage::new(page(&admin, &institution), form))?)
}

/// `POST /platform/institutions/{domain}/invitation`: super admins. Before the set-up the admin is noted and
/// invited once the database is there; afterwards the invitation goes out at once.
pub async fn invite(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut form = blank(&institution).submitted(&data);
    if let Some(invited) = fields(&mut form) {
        let name = invited.name.clone();
        let outcome = match institution.status {
            Status::Active => invite_owner(&platform, &admin, &institution, invited).await,
            _ => note_admin(&platform, &admin, &institution, invited).await,
        };
        match outcome {
            Ok(()) => {
                let sentence = match institution.status {
                    Status::Active => format!("{name} is invited by e-mail. The link works for 7 days."),
                    _ => format!("{name} is the first admin, and is invited once the institution is set up."),
                };
                admin.flash(Notice::success(sentence))?;
                return Ok(see_other(format!("{PATH}/{}", institution.domain)));
            }
            Err(ModelError::Changed(sentence) | ModelError::Refused(sentence)) => {
                form.error("email", sentence)
            }
            Err(error) => return Err(error.into()),
        }
    }
    let view = FormPage::new(page(&admin, &institution), form);
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
}

async fn note_admin(
    platform: &State,
    admin: &AnyAdmin,
    institution: &Institution,
    invited: Invited,
) -> ModelResult<()> {
    decisions::require_unprovisioned(institution)?;
    let (audit, id) = (admin.audit(platform), institution.id);
    platform
        .shared
        .run(move |c| {
            let registration = registrations::latest_of(c, id)?;
            registrations::set_admin(c, &audit, registration.id, &invited.name, invited.email.as_str())?;
            Ok(())
        })
        .await
}

async fn invite_owner(
    platform: &State,
    admin: &AnyAdmin,
    institution: &Institution,
    invited: Invited,
) -> ModelResult<()> {
    let db = platform.tenant(institution.id).await.map_err(|error| {
        ModelError::Refused(format!(
            "The institution's database cannot be opened: {error}. Try again in a moment."
        ))
    })?;
    let (audit, subject) = (admin.audit(platform), institution.clone());
    let detail = serde_json::json!({ "name": invited.name, "email": invited.email.as_str() });
    let new = NewUser { email: invited.email, name: invited.name, roles: vec![Role::Owner] };
    let activity = Activity::new(admin.actor());
    institution_users::invite_for_platform(platform, &db, institution, activity, new).await?;
    platform
        .shared
        .run(move |c| {
            c.write_tx(|c| audit.record(c, "institution.admin_invited", &subject.subject(), &detail))
        })
        .await
}

fn blank(institution: &Institution) -> Form {
    let place = format!("{PATH}/{}", institution.domain);
    let label = if institution.status == Status::Active { "Invite admin" } else { "Save first admin" };
    Form::new(format!("{place}/invitation")).submit(label).cancel(place)
}

fn fields(form: &mut Form) -> Option<Invited> {
    let name = form.text("name", "Name").required();
    let email = form
        .email("email", "E-mail")
        .hint("They choose their own password, and sign in with this address.")
        .check(|text: &String| Email::parse(text).map(|_| ()).map_err(|error| format!("{error}.")))
        .required();
    form.read(|| Some(Invited { name: name?, email: Email::parse(&email?).ok()? }))
}

fn page(admin: &AnyAdmin, institution: &Institution) -> Page {
    let (title, intro) = match institution.status {
        Status::Active => (
            "Invite an admin",
            "They become an owner: they can change everything in the institution and invite others.",
        ),
        _ => ("Name the first admin", "They are invited by e-mail as soon as the institution is set up."),
    };
    page_about(admin, institution, title).intro(intro)
}
