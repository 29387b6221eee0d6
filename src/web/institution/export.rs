//! `/i/{domain}/export`: everything of the institution to take along, for its owners.

use actix_web::HttpResponse;

use crate::{
    db::tenant::TenantConn,
    error::AppError,
    models::platform::deletions,
    web::{
        State,
        auth::Owner,
        file_download,
        icons::Icon,
        page::{Action, Notice},
        record::{Record, RecordPage},
        respond::html,
    },
};

/// `GET /i/{domain}/export`: owners; what there is to take, and until when if the institution is to be deleted.
pub async fn show(platform: State, user: Owner) -> Result<HttpResponse, AppError> {
    let id = user.institution.id;
    let deletion = platform.shared.run(move |c| deletions::find(c, id)).await?;
    let page = user
        .page("Export")
        .crumb("Settings", user.path("/settings"))
        .intro("All records as CSV files in one archive, as they are now. Who takes it stands in the activity log.")
        .action(Action::link("Download all data", user.path("/export.zip")).icon(Icon::Download));
    let notice = deletion.map(|asked| {
        let when = user.clock.exact(asked.due_at);
        let name = &user.institution.name;
        Notice::warning(match asked.agreed_at {
            Some(_) => format!("{name} is deleted on {when}. Take your data along before."),
            None => format!("{name} may be deleted on {when}. Take your data along before."),
        })
    });
    Ok(html(&RecordPage::new(page, Record::new().notice(notice)))?)
}

/// `GET /i/{domain}/export.zip`: owners of this institution, also while nothing can be changed; made while it is sent.
pub async fn download(user: Owner) -> Result<HttpResponse, AppError> {
    let (log, label) = (user.activity(), user.institution.name.clone());
    let note = move |c: &mut TenantConn| {
        c.write_tx(|c| log.record(c, "institution_data.exported", "institution_data", None, &label, &[]))
    };
    user.db.run(note).await?;
    file_download::everything(&user.db, &user.institution).await
}
