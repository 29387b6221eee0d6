//! `/platform/institutions/{domain}/export`: an institution's data as files, for super admins.

use std::fs::File;

use actix_web::{HttpResponse, web::Path};
use serde_json::json;

use super::institutions::{PATH, found, page_about};
use crate::{
    db::Id,
    error::AppError,
    models::platform::{
        exports::{self, Export},
        institutions::Institution,
    },
    services::{leaving::export as service, operations::Failure},
    web::{
        State,
        auth::SuperAdmin,
        cell::Cell,
        file_download,
        icons::Icon,
        page::{Action, Notice},
        record::{Record, RecordPage, Section},
        respond::{html, see_other},
        time::Clock,
        words::bytes,
    },
};

fn place(institution: &Institution) -> String {
    format!("{PATH}/{}/export", institution.domain)
}

/// `GET /platform/institutions/{domain}/export`: super admins; what there is to take.
pub async fn show(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let id = institution.id;
    let there = platform.shared.run(move |c| exports::of_institution(c, id, true)).await?;
    let page = page_about(&admin, &institution, "Export")
        .intro("Its records as CSV files in one archive. It is kept for 7 days, for super admins alone.")
        .action(Action::post("Make an export", place(&institution)).icon(Icon::Download));
    let nothing = there.is_empty().then(|| Notice::info("There is no export at present."));
    let record = Record::new().notice(nothing);
    let record = there
        .into_iter()
        .fold(record, |record, export| record.section(section(&Clock::utc(), &export, &place(&institution))));
    Ok(html(&RecordPage::new(page, record))?)
}

/// What is said of one export.
fn section(clock: &Clock, export: &Export, place: &str) -> Section {
    Section::new("Export")
        .fact("File", Cell::link(bytes(export.bytes), format!("{place}/{}", export.id)))
        .fact("Rows", Cell::number(export.row_total))
        .fact("Made by", export.asked_by_name.as_str())
        .fact("Made", Cell::time(clock, export.created_at))
        .fact("Goes by itself", Cell::time(clock, export.expires_at))
}

/// `POST /platform/institutions/{domain}/export`: super admins.
pub async fn make(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let notice = match super::leaving::any_database(&platform, &institution).await? {
        None => Notice::warning("Its database does not answer, or is archived. Nothing was exported."),
        Some(db) => {
            let (state, about, name) = (platform.clone(), institution.clone(), admin.name.clone());
            let made = db.run(move |c| service::make(&state, c, &about, true, &name)).await;
            match made {
                Ok(export) => {
                    note(&platform, &admin, &institution, "institution_data.gathered", export.id).await?;
                    Notice::success("The export is ready.")
                }
                Err(Failure::Permanent(words) | Failure::Transient(words)) => Notice::warning(words),
                Err(failure) => return Err(AppError::internal(failure)),
            }
        }
    };
    admin.flash(notice)?;
    Ok(see_other(place(&institution)))
}

/// `GET /platform/institutions/{domain}/export/{id}`: super admins; the file.
pub async fn download(
    platform: State,
    admin: SuperAdmin,
    path: Path<(String, String)>,
) -> Result<HttpResponse, AppError> {
    let (domain, id) = path.into_inner();
    let id: Id = id.parse().map_err(|_| AppError::NotFound)?;
    let institution = found(&platform, &domain).await?;
    let of = institution.id;
    let export = platform.shared.run(move |c| exports::find(c, of, true, id)).await?;
    let file = File::open(service::path(&platform, export.id)).map_err(|_| AppError::NotFound)?;
    note(&platform, &admin, &institution, "institution_data.exported", export.id).await?;
    Ok(file_download::zip(&format!("{}.zip", institution.domain), file))
}

/// Who made or took what is kept.
async fn note(
    platform: &State,
    admin: &SuperAdmin,
    institution: &Institution,
    action: &'static str,
    id: Id,
) -> Result<(), AppError> {
    let (audit, about) = (admin.audit(platform), institution.clone());
    let note = move |c: &mut crate::db::shared::SharedConn| {
        c.write_tx(|c| audit.record(c, action, &about.subject(), &json!({ "export_id": id })))
    };
    Ok(platform.shared.run(note).await?)
}
