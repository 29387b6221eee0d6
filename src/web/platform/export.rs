//! `/platform/institutions/{domain}/export`: an institution's data as files, for super admins.

use actix_web::{HttpResponse, web::Path};
use serde_json::json;

use super::institutions::{PATH, found, page_about};
use crate::{
    db::shared::SharedConn,
    error::AppError,
    models::platform::institutions::Institution,
    web::{
        State,
        auth::SuperAdmin,
        file_download,
        icons::Icon,
        page::{Action, Notice},
        record::{Record, RecordPage},
        respond::{html, see_other},
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
    let page = page_about(&admin, &institution, "Export")
        .intro(
            "Its records as CSV files in one archive, as they are now. Who takes it stands in the audit log.",
        )
        .action(
            Action::link("Download all data", format!("{}.zip", place(&institution))).icon(Icon::Download),
        );
    Ok(html(&RecordPage::new(page, Record::new()))?)
}

/// `GET /platform/institutions/{domain}/export.zip`: super admins; made while it is sent.
pub async fn download(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let Some(db) = super::leaving::any_database(&platform, &institution).await? else {
        admin
            .flash(Notice::warning("Its database does not answer, or is archived. Nothing was exported."))?;
        return Ok(see_other(place(&institution)));
    };
    let (audit, about) = (admin.audit(&platform), institution.clone());
    let note = move |c: &mut SharedConn| {
        c.write_tx(|c| audit.record(c, "institution_data.exported", &about.subject(), &json!({})))
    };
    platform.shared.run(note).await?;
    file_download::everything(&db, &institution).await
}
