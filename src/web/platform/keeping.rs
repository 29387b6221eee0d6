//! `/platform/settings/keeping`: what is kept for how long.

use actix_web::{HttpResponse, http::StatusCode};

use crate::{
    error::AppError,
    models::{
        ModelError,
        platform::platform_settings::{self, Keeping},
    },
    web::{
        State,
        auth::SuperAdmin,
        forms::{Form, FormData, FormPage},
        page::{Notice, Page},
        respond::{html, html_with_status, see_other},
    },
};

pub(super) const PATH: &str = "/platform/settings/keeping";
const LEAST: Keeping = Keeping::LEAST;
const MOST: i64 = Keeping::MOST_DAYS;

/// `GET /platform/settings/keeping`: super admins.
pub async fn show(platform: State, admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let (keeping, version) = platform.shared.run(platform_settings::keeping_at).await?;
    let mut form = blank().filled(values(&keeping)).at_version(version);
    fields(&mut form);
    Ok(html(&FormPage::new(page(&admin), form))?)
}

/// `POST /platform/settings/keeping`: super admins; a second person is shown both choices.
pub async fn save(platform: State, admin: SuperAdmin, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = blank().submitted(&data);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(chosen) = fields(&mut form) {
        let (audit, version) = (admin.audit(&platform), form.posted_version().unwrap_or_default());
        let saved =
            platform.shared.run(move |c| platform_settings::set_keeping(c, &audit, version, &chosen)).await;
        match saved {
            Ok(()) => {
                admin.flash(Notice::success("The settings are saved."))?;
                return Ok(see_other(PATH));
            }
            Err(ModelError::Changed(sentence)) => {
                let (now, version) = platform.shared.run(platform_settings::keeping_at).await?;
                form.conflict(sentence, &values(&now), version);
                status = StatusCode::CONFLICT;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(html_with_status(status, &FormPage::new(page(&admin), form))?)
}

fn blank() -> Form {
    Form::new(PATH).submit("Save settings").cancel("/platform/settings")
}

fn values(keeping: &Keeping) -> FormData {
    FormData::default()
        .with("audit", keeping.audit_days)
        .with("activity", keeping.activity_days)
        .with("security", keeping.security_days)
        .with("operations", keeping.operation_days)
        .with("notifications", keeping.notification_days)
        .with("mails", keeping.mail_days)
}

fn fields(form: &mut Form) -> Option<Keeping> {
    let audit = form
        .number("audit", "Audit log, days")
        .hint("At least 365. Older entries are archived, and the log can still be verified.")
        .between(LEAST.audit_days, MOST)
        .required();
    let activity = form
        .number("activity", "Institutions\u{2019} own logs, days")
        .hint("At least 365. Older entries are archived with each institution\u{2019}s key.")
        .between(LEAST.activity_days, MOST)
        .required();
    let security = form
        .number("security", "Sign-ins and refusals, days")
        .hint("At least 30. Older ones are removed.")
        .between(LEAST.security_days, MOST)
        .required();
    let operations = form
        .number("operations", "Operations and maintenance, days")
        .hint("At least 30. Older ones that are over are removed.")
        .between(LEAST.operation_days, MOST)
        .required();
    let notifications = form
        .number("notifications", "Notifications, days")
        .hint("At least 30. Older ones are removed.")
        .between(LEAST.notification_days, MOST)
        .required();
    let mails = form
        .number("mails", "Sent mails, old links and uploaded files, days")
        .hint("At least 7. Older ones are removed.")
        .between(LEAST.mail_days, MOST)
        .required();
    form.read(|| {
        Some(Keeping {
            audit_days: audit?,
            activity_days: activity?,
            security_days: security?,
            operation_days: operations?,
            notification_days: notifications?,
            mail_days: mails?,
        })
    })
}

fn page(admin: &SuperAdmin) -> Page {
    admin.page("What is kept how long").crumb("Settings", "/platform/settings").intro(
        "Daily figures are kept for two years, hourly ones for two days, resolved alerts for 400 days and slow queries \
         for 30. Backups have times of their own in the configuration.",
    )
}
