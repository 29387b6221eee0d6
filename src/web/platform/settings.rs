//! `/platform/settings`: what super admins choose while the platform runs.

use actix_web::{HttpResponse, http::StatusCode};

use crate::{
    error::AppError,
    models::{
        ModelError,
        platform::platform_settings::{self, SignupPolicy},
    },
    web::{
        State,
        auth::SuperAdmin,
        forms::{Choice, Chosen, Form, FormData, FormPage},
        page::{Action, Notice, Page},
        respond::{html, html_with_status, see_other},
    },
};

const PATH: &str = "/platform/settings";
/// Leave it to the configuration.
const CONFIGURED: &str = "configured";

/// `GET /platform/settings`: super admins.
pub async fn show(platform: State, admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let (chosen, version) = platform.shared.run(platform_settings::signup_at).await?;
    let mut form = blank().filled(values(chosen)).at_version(version);
    fields(&mut form, platform.settings.signup);
    Ok(html(&FormPage::new(page(&admin), form))?)
}

/// `POST /platform/settings`: super admins; a second person is shown both choices.
pub async fn save(platform: State, admin: SuperAdmin, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = blank().submitted(&data);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(policy) = fields(&mut form, platform.settings.signup) {
        let (audit, version) = (admin.audit(&platform), form.posted_version().unwrap_or_default());
        let saved = platform
            .shared
            .run(move |c| platform_settings::set_signup_override(c, &audit, version, policy))
            .await;
        match saved {
            Ok(()) => {
                admin.flash(Notice::success("The settings are saved."))?;
                return Ok(see_other(PATH));
            }
            Err(ModelError::Changed(sentence)) => {
                let (now, version) = platform.shared.run(platform_settings::signup_at).await?;
                form.conflict(sentence, &values(now), version);
                status = StatusCode::CONFLICT;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(html_with_status(status, &FormPage::new(page(&admin), form))?)
}

fn blank() -> Form {
    Form::new(PATH).submit("Save settings")
}

fn values(chosen: Option<SignupPolicy>) -> FormData {
    FormData::default().with("signup", chosen.map_or(CONFIGURED, SignupPolicy::as_str))
}

fn fields(form: &mut Form, configured: SignupPolicy) -> Option<Option<SignupPolicy>> {
    let mut choices = vec![
        Choice::new(CONFIGURED, "As configured")
            .hint(format!("The configuration of the server says: {}.", sentence(configured))),
    ];
    choices.extend(SignupPolicy::ALL.iter().map(|policy| Choice::new(policy.as_str(), policy.label())));
    let signup = form.select("signup", "When an institution registers", choices).radios().required();
    form.read(|| signup.map(|Chosen(value)| value.parse().ok()))
}

fn sentence(policy: SignupPolicy) -> &'static str {
    match policy {
        SignupPolicy::Approval => "a super admin decides",
        SignupPolicy::Automatic => "it is set up at once",
    }
}

fn page(admin: &SuperAdmin) -> Page {
    admin
        .page("Settings")
        .intro("They hold from the next registration on.")
        .also(Action::link("What is kept how long", super::keeping::PATH))
}
