//! Students taken off the lists and put back: one, those ticked, or all that match.

use actix_web::HttpResponse;

use super::{NOUN, filter, spec};
use crate::{
    db::{Id, tenant::TenantConn},
    error::{AppError, told},
    models::{
        ModelResult,
        institution::{
            student_bulk::{self, Chosen},
            students,
        },
    },
    web::{
        RecordId,
        auth::{InstitutionUser, Registrar},
        confirm::{Confirm, ConfirmPage},
        forms::FormData,
        list::BulkSelection,
        page::Notice,
        respond::{html, see_other},
    },
};

/// `POST /i/{domain}/students/{id}/archiving`: registrars and owners.
pub async fn archive(user: Registrar, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let activity = user.activity();
    let student = user.db.run(move |c| students::find(c, id)).await?;
    let notice = match told(user.db.run(move |c| students::archive(c, &activity, id)).await)? {
        Ok(batch) => {
            Notice::success(format!("Archived {}.", student.person.name)).undo(undo_path(&user, batch))
        }
        Err(text) => Notice::error(text),
    };
    user.flash(notice)?;
    Ok(see_other(user.path(&format!("/students/{id}"))))
}

/// `POST /i/{domain}/students/{id}/archiving/remove`: registrars and owners.
pub async fn restore(user: Registrar, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let activity = user.activity();
    let student = user.db.run(move |c| students::find(c, id)).await?;
    let notice = match told(user.db.run(move |c| students::restore(c, &activity, id)).await)? {
        Ok(()) => Notice::success(format!("Restored {}.", student.person.name)),
        Err(text) => Notice::error(text),
    };
    user.flash(notice)?;
    Ok(see_other(user.path(&format!("/students/{id}"))))
}

/// `POST /i/{domain}/students/archivings`: registrars and owners. Ticked students at once, "all that match"
/// after a page that says how many they are.
pub async fn archive_many(user: Registrar, data: FormData) -> Result<HttpResponse, AppError> {
    let (path, raw) = (user.path("/students"), data.clone());
    let asked = user.db.run(move |c| asked(c, path, &raw)).await?;
    let Some((selection, chosen, now)) = asked.selection else {
        user.flash(Notice::warning("Nothing was archived: tick the students first."))?;
        return Ok(see_other(asked.back));
    };
    let confirmed = data.get("confirmed") == Some("yes") && !selection.outdated(now);
    if matches!(selection, BulkSelection::Matching { .. }) && !confirmed {
        let selection = match selection {
            BulkSelection::Matching { query, .. } => BulkSelection::Matching { query, expected: now },
            ticked => ticked,
        };
        return confirm_archive(&user, &selection, now, asked.back);
    }
    let activity = user.activity();
    let notice = match told(user.db.run(move |c| student_bulk::archive(c, &activity, &chosen)).await)? {
        Ok(batch) if batch.count == 0 => Notice::info("These students are archived already."),
        Ok(batch) => {
            let count = i64::try_from(batch.count).unwrap_or(i64::MAX);
            Notice::success(format!("Archived {}.", NOUN.count(count))).undo(undo_path(&user, batch.id))
        }
        Err(text) => Notice::error(text),
    };
    user.flash(notice)?;
    Ok(see_other(asked.back))
}

/// What a bulk form asks for: whom, how many match now, and the list to go back to.
struct Asked {
    selection: Option<(BulkSelection, Chosen, i64)>,
    back: String,
}

fn asked(connection: &mut TenantConn, path: String, data: &FormData) -> ModelResult<Asked> {
    let spec = spec(path, &students::admission_years(connection)?);
    let back = BulkSelection::way_back(&spec, data);
    let Some(selection) = BulkSelection::parse(&spec, data) else {
        return Ok(Asked { selection: None, back });
    };
    let (chosen, now) = match &selection {
        BulkSelection::Ids(ids) => {
            let ids: Vec<Id> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            let count = i64::try_from(ids.len()).unwrap_or(i64::MAX);
            (Chosen::Ids(ids), count)
        }
        BulkSelection::Matching { query, .. } => {
            let filter = filter(query);
            let count = students::count(connection, &filter)?;
            (Chosen::Matching(filter), count)
        }
    };
    Ok(Asked { selection: Some((selection, chosen, now)), back })
}

fn confirm_archive(
    user: &InstitutionUser,
    selection: &BulkSelection,
    now: i64,
    back: String,
) -> Result<HttpResponse, AppError> {
    if now == 0 {
        user.flash(Notice::info("No students match any more. Nothing was archived."))?;
        return Ok(see_other(back));
    }
    let confirm = Confirm::new(user.path("/students/archivings"), format!("Archive {}", NOUN.count(now)))
        .says("All students that match your search and filters are taken off the lists. Nothing is deleted.")
        .count("Students", now)
        .undo("You can undo this at once, or restore students one by one later.")
        .hidden_all(selection.hidden())
        .hidden("confirmed", "yes")
        .cancel(back);
    let page = user.page("Archive students").crumb("Students", user.path("/students"));
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /i/{domain}/students/archivings/{id}/remove`: registrars and owners; undoes one archiving.
pub async fn undo_archive(user: Registrar, RecordId(batch): RecordId) -> Result<HttpResponse, AppError> {
    let activity = user.activity();
    let restored = told(user.db.run(move |c| student_bulk::restore_batch(c, &activity, batch)).await)?;
    user.flash(match restored.map(|count| i64::try_from(count).unwrap_or(i64::MAX)) {
        Err(text) => Notice::error(text),
        Ok(0) => Notice::info("There was nothing to undo: these students are on the lists already."),
        Ok(count) => Notice::success(format!("Restored {}.", NOUN.count(count))),
    })?;
    Ok(see_other(user.path("/students")))
}

fn undo_path(user: &InstitutionUser, batch: Id) -> String {
    user.path(&format!("/students/archivings/{batch}/remove"))
}
