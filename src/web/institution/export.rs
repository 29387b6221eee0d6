//! `/i/{domain}/export`: everything of the institution to take along, for its owners.

use std::fs::File;

use actix_web::HttpResponse;

use crate::{
    db::tenant::TenantConn,
    error::AppError,
    models::{
        ModelResult,
        platform::{deletions, exports},
    },
    services::{leaving::export as service, operations::Failure},
    web::{
        RecordId, State,
        auth::{InstitutionUser, Owner},
        cell::Cell,
        file_download,
        icons::Icon,
        page::{Action, Notice},
        record::{Record, RecordPage, Section},
        respond::{html, see_other},
        words::bytes,
    },
};

/// `GET /i/{domain}/export`: owners; what there is to take, and until when if the institution is to be deleted.
pub async fn show(platform: State, user: Owner) -> Result<HttpResponse, AppError> {
    let id = user.institution.id;
    let look = move |c: &mut crate::db::shared::SharedConn| {
        ModelResult::Ok((exports::of_institution(c, id, false)?, deletions::find(c, id)?))
    };
    let (there, deletion) = platform.shared.run(look).await?;
    let page = user
        .page("Export")
        .crumb("Settings", user.path("/settings"))
        .intro("All records as CSV files in one archive. It is kept for 7 days, for owners alone.")
        .action(Action::post("Make an export", user.path("/export")).icon(Icon::Download));
    let notice = deletion.map(|asked| {
        let when = user.clock.exact(asked.due_at);
        let name = &user.institution.name;
        Notice::warning(match asked.agreed_at {
            Some(_) => format!("{name} is deleted on {when}. Take your data along before."),
            None => format!("{name} may be deleted on {when}. Take your data along before."),
        })
    });
    let record = there.into_iter().fold(Record::new().notice(notice), |record, export| {
        let link = user.path(&format!("/export/{}", export.id));
        record.section(
            Section::new("Export")
                .fact("File", Cell::link(bytes(export.bytes), link))
                .fact("Rows", Cell::number(export.row_total))
                .fact("Made by", export.asked_by_name.as_str())
                .fact("Made", Cell::time(&user.clock, export.created_at))
                .fact("Goes by itself", Cell::time(&user.clock, export.expires_at)),
        )
    });
    Ok(html(&RecordPage::new(page, record))?)
}

/// `POST /i/{domain}/export`: owners, also while nothing else can be changed.
pub async fn make(platform: State, user: Owner) -> Result<HttpResponse, AppError> {
    let (state, institution, name) = (platform.clone(), user.institution.clone(), user.name.clone());
    let made = user.db.run(move |c| service::make(&state, c, &institution, false, &name)).await;
    user.flash(match made {
        Ok(_) => {
            note(&user, "institution_data.gathered").await?;
            Notice::success("The export is ready.")
        }
        Err(Failure::Permanent(words) | Failure::Transient(words)) => Notice::warning(words),
        Err(failure) => return Err(AppError::internal(failure)),
    })?;
    Ok(see_other(user.path("/export")))
}

/// `GET /i/{domain}/export/{id}`: owners of this institution; the file.
pub async fn download(
    platform: State,
    user: Owner,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let of = user.institution.id;
    let export = platform.shared.run(move |c| exports::find(c, of, false, id)).await?;
    let file = File::open(service::path(&platform, export.id)).map_err(|_| AppError::NotFound)?;
    note(&user, "institution_data.exported").await?;
    Ok(file_download::zip(&format!("{}.zip", user.institution.domain), file))
}

/// Who made or took what is kept.
async fn note(user: &InstitutionUser, action: &'static str) -> Result<(), AppError> {
    let (log, label) = (user.activity(), user.institution.name.clone());
    let note = move |c: &mut TenantConn| {
        c.write_tx(|c| log.record(c, action, "institution_data", None, &label, &[]))
    };
    Ok(user.db.run(note).await?)
}
