//! The institution's profile and settings.

use actix_web::{HttpResponse, http::StatusCode};
use askama::Template;

use crate::{
    error::AppError,
    models::{
        ModelError, ModelResult, Usage,
        country::Country,
        institution::{
            profile::{self, Profile, ProfileChanges, WeekStart},
            quota,
        },
        platform::institutions::Kind,
        time_zone::TimeZone,
    },
    services::institution_settings,
    web::{
        State,
        auth::{InstitutionUser, Owner},
        forms::{Choice, ChoiceOf, Chosen, Form, FormData},
        icons::Icon,
        limits,
        page::{Action, Notice, Page},
        record::Record,
        respond::{html, html_with_status, see_other},
    },
};

/// Ways to write dates, by the locale that writes so.
const LOCALES: &[(&str, &str)] =
    &[("en-GB", "5 Sep 2026"), ("en-US", "Sep 5, 2026"), ("en-SE", "2026-09-05")];

impl ChoiceOf for WeekStart {
    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn value(self) -> &'static str {
        self.as_str()
    }

    fn label(self) -> &'static str {
        Self::label(self)
    }
}

#[derive(Template)]
#[template(path = "institution/settings.html")]
struct SettingsView {
    page: Page,
    form: Form,
    /// What of the plan is used.
    limits: Record,
}

impl SettingsView {
    fn new(user: &InstitutionUser, form: Form, usage: &Usage) -> Self {
        let limits = Record::new().section(limits::section(&user.terms.limits, usage));
        Self { page: page(user), form, limits }
    }
}

/// `GET /i/{domain}/settings`: owners.
pub async fn show(user: Owner) -> Result<HttpResponse, AppError> {
    let look = |c: &mut _| ModelResult::Ok((profile::find(c)?, quota::usage(c)?));
    let (profile, usage) = user.db.run(look).await?;
    let mut form = blank(&user).filled(values(&profile)).at_version(profile.version);
    fields(&mut form, &profile);
    Ok(html(&SettingsView::new(&user, form, &usage))?)
}

/// `POST /i/{domain}/settings`: owners.
pub async fn update(user: Owner, platform: State, data: FormData) -> Result<HttpResponse, AppError> {
    let profile = user.db.run(profile::find).await?;
    let mut form = blank(&user).submitted(&data);
    let version = form.posted_version().unwrap_or_default();
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(changes) = fields(&mut form, &profile) {
        let id = user.institution.id;
        let saved =
            institution_settings::update(&platform, &user.db, id, user.activity(), version, changes).await;
        match saved {
            Ok(_) => {
                user.flash(Notice::success("Saved the settings."))?;
                return Ok(see_other(user.path("/settings")));
            }
            Err(ModelError::Changed(text)) => {
                let now = user.db.run(profile::find).await?;
                form.conflict(text, &values(&now), now.version);
                status = StatusCode::CONFLICT;
            }
            Err(ModelError::Refused(text)) => form.error("", text),
            Err(error) => return Err(error.into()),
        }
    }
    let usage = user.db.run(quota::usage).await?;
    Ok(html_with_status(status, &SettingsView::new(&user, form, &usage))?)
}

fn page(user: &InstitutionUser) -> Page {
    user.page("Settings")
        .intro("How the institution presents itself, and how times and dates are shown.")
        .also(Action::link("Export all data", user.path("/export")).icon(Icon::Download))
}

fn blank(user: &InstitutionUser) -> Form {
    Form::new(user.path("/settings")).submit("Save settings").cancel(user.path(""))
}

fn fields(form: &mut Form, profile: &Profile) -> Option<ProfileChanges> {
    form.group_with(
        "Profile",
        format!("The domain {} is the institution's identity and stays.", profile.domain),
    );
    let name = form.text("name", "Name").limit(200).autocomplete("organization").required();
    let kinds = Kind::ALL.iter().map(|kind| Choice::new(kind.as_str(), kind.label()));
    let kind = form.select("kind", "Kind", kinds).required();
    let countries = Country::all().map(|country| Choice::new(country.code(), country.name()));
    let country = form.select("country", "Country", countries).autocomplete("country").required();
    let website = form.url("website", "Website").hint("With https://").optional();

    form.group("Times and dates");
    let zones = TimeZone::names().map(|name| Choice::new(name, name.replace('_', " ")));
    let known_zone = TimeZone::names().any(|name| name == profile.time_zone);
    let mut zone_field = form
        .select("time_zone", "Time zone", zones)
        .hint("All times are shown in it; days begin at its midnight.");
    if !known_zone {
        zone_field = zone_field.choice((profile.time_zone.as_str(), profile.time_zone.as_str()));
    }
    let time_zone = zone_field.required();
    let locale = form.select("locale", "Dates are written as", LOCALES.iter().copied()).radios().required();
    let week_start = form.choose::<WeekStart>("week_start", "First day of the week");

    form.read(|| {
        let word = |chosen: Option<Chosen>| chosen.map(|Chosen(value)| value);
        Some(ProfileChanges {
            name: name?,
            kind: word(kind)?,
            country: word(country)?,
            website,
            time_zone: word(time_zone)?,
            locale: word(locale)?,
            week_start: week_start?,
        })
    })
}

fn values(profile: &Profile) -> FormData {
    let known = LOCALES.iter().any(|(locale, _)| *locale == profile.locale);
    FormData::default()
        .with("name", &profile.name)
        .with("kind", &profile.kind)
        .with("country", &profile.country)
        .with_some("website", profile.website.as_ref())
        .with("time_zone", &profile.time_zone)
        .with("locale", if known { profile.locale.as_str() } else { "en-GB" })
        .with("week_start", profile.week_start)
}
