//! `/platform/institutions/{domain}/edit`: what an institution is called, and where it is.

use actix_web::{HttpResponse, http::StatusCode, web::Path};

use super::{found, page_about, place};
use crate::{
    error::AppError,
    models::{
        ModelError,
        country::Country,
        platform::institutions::{Institution, Kind, ProfileChanges},
        time_zone::TimeZone,
    },
    services::{
        institution_settings::{self, CorrectError},
        registration_import::web_address,
    },
    web::{
        State,
        auth::SuperAdmin,
        forms::{Chosen, Form, FormData, FormPage},
        page::Notice,
        respond::{html, html_with_status, see_other},
    },
};

/// `GET /platform/institutions/{domain}/edit`: super admins.
pub async fn edit(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut form = profile_form(&institution).filled(values(&institution)).at_version(institution.version);
    profile_fields(&mut form);
    Ok(html(&FormPage::new(page_about(&admin, &institution, "Edit profile"), form))?)
}

/// `POST /platform/institutions/{domain}`: super admins; a second person is shown both versions.
pub async fn save(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut form = profile_form(&institution).at_version(institution.version).submitted(&data);
    let changes = profile_fields(&mut form);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some(changes) = changes {
        let version = form.posted_version().unwrap_or_default();
        match institution_settings::correct(&platform, &institution, admin.actor(), version, changes).await {
            Ok(saved) => {
                admin.flash(Notice::success(format!("The profile of {} is saved.", saved.name)))?;
                return Ok(see_other(place(&institution)));
            }
            Err(CorrectError::Model(ModelError::Changed(sentence))) => {
                let now = found(&platform, &domain).await?;
                form.conflict(sentence, &values(&now), now.version);
                status = StatusCode::CONFLICT;
            }
            Err(CorrectError::Model(ModelError::Refused(sentence))) => form.error("", sentence),
            Err(CorrectError::Model(error)) => return Err(error.into()),
            Err(CorrectError::Tenant(error)) => return Err(error.into()),
        }
    }
    let view = FormPage::new(page_about(&admin, &institution, "Edit profile"), form);
    Ok(html_with_status(status, &view)?)
}

fn profile_form(institution: &Institution) -> Form {
    let place = place(institution);
    Form::new(place.as_str()).submit("Save profile").cancel(place)
}

fn values(institution: &Institution) -> FormData {
    FormData::default()
        .with("name", &institution.name)
        .with("kind", institution.kind)
        .with("country", &institution.country)
        .with_some("region", institution.region.as_ref())
        .with_some("website", institution.website.as_ref())
        .with("time_zone", &institution.time_zone)
}

fn profile_fields(form: &mut Form) -> Option<ProfileChanges> {
    let name = form.text("name", "Institution name").required();
    let kind = form.choose::<Kind>("kind", "Kind");
    let country = form.select("country", "Country", Country::all().map(|c| (c.code(), c.name()))).required();
    let region = form.text("region", "Region").optional();
    let website = form.url("website", "Website").check(|text| web_address(text).map(|_| ())).optional();
    let time_zone =
        form.select("time_zone", "Time zone", TimeZone::names().map(|name| (name, name))).required();
    form.read(|| {
        let (Chosen(country), Chosen(time_zone)) = (country?, time_zone?);
        Some(ProfileChanges { name: name?, kind: kind?, country, region, website, time_zone })
    })
}
