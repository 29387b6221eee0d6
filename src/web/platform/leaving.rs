//! `/platform/institutions/{domain}/archiving` and `.../deletion`: how an institution leaves, and comes back.

use actix_web::{HttpResponse, http::StatusCode, web::Path};

use super::{
    backups::asked,
    institutions::{PATH, found, page_about},
    settled,
};
use crate::{
    db::{pools::TenantDb, shared::SharedConn, tenant::TenantConn},
    error::{AppError, told},
    models::{
        ModelResult,
        institution::{students, users},
        platform::{
            backups::{self, Backup},
            deletions::{self, Deletion},
            institutions::{self, Institution, Status},
        },
    },
    services::{
        leaving::{self as service, deletion as deleting},
        tenants::TenantError,
    },
    web::{
        State,
        auth::SuperAdmin,
        cell::Cell,
        confirm::{Confirm, ConfirmPage, Confirmed},
        forms::{Choice, FormData},
        icons::Icon,
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

const PEOPLE: Noun = Noun::new("person who can sign in is cut off", "people who can sign in are cut off");
const STUDENTS: Noun = Noun::new("student goes into the archive", "students go into the archive");
const ACCOUNTS: Noun = Noun::new("person loses their account", "people lose their accounts");
const REMOVED: Noun =
    Noun::new("student is removed with all records", "students are removed with all records");
const SESSIONS: Noun = Noun::new("open session ends at once", "open sessions end at once");

/// What the page of an institution offers of this.
pub(super) fn actions(record: Record, place: &str, status: Status) -> Record {
    let archive =
        Action::ask("Archive institution", format!("{place}/archiving")).icon(Icon::Archive).danger();
    let delete = Action::link("Delete institution", format!("{place}/deletion")).icon(Icon::Trash).danger();
    match status {
        Status::Active | Status::Suspended => record
            .action(Action::link("Export its data", format!("{place}/export")).icon(Icon::Download))
            .action(archive)
            .action(delete),
        Status::Archived => record.action(delete),
        _ => record,
    }
}

/// What the page of an institution says of a deletion that is to come.
pub(super) fn pending(place: &str, asked: &Deletion) -> Notice {
    let when = asked.due_at.format("%-d %B %Y");
    let text = match &asked.agreed_by_name {
        Some(_) if asked.is_at_once() => "It is being deleted.".to_owned(),
        Some(_) => format!("It is deleted on {when}."),
        None => format!("{} wants it to be deleted; another super admin has to agree.", asked.asked_by_name),
    };
    Notice::warning(text).link("See the deletion", format!("{place}/deletion"))
}

fn place(institution: &Institution) -> String {
    format!("{PATH}/{}", institution.domain)
}

fn not_now(admin: &SuperAdmin, institution: &Institution) -> Result<HttpResponse, AppError> {
    let state = institution.status.label().to_lowercase();
    admin.flash(Notice::info(format!("{} is {state}. Nothing was changed.", institution.name)))?;
    Ok(see_other(place(institution)))
}

/// What would be cut off; people and students are unknown where the database cannot be asked.
struct CutOff {
    sessions: i64,
    inside: Option<(i64, i64)>,
}

/// The database of an institution in whatever state; none where it cannot be asked.
pub(super) async fn any_database(
    platform: &State,
    institution: &Institution,
) -> Result<Option<TenantDb>, AppError> {
    let (id, state) = (institution.id, platform.clone());
    let look = move |c: &mut SharedConn| {
        let db: Result<_, TenantError> = state.tenants.open_in_any_state(c, id);
        ModelResult::Ok(db.ok())
    };
    Ok(platform.shared.run(look).await?)
}

async fn cut_off(platform: &State, institution: &Institution) -> Result<CutOff, AppError> {
    let id = institution.id;
    let sessions = platform.shared.run(move |c| institutions::open_sessions(c, id)).await?;
    let count = |c: &mut TenantConn| ModelResult::Ok((users::active_count(c)?, students::counts(c)?.total()));
    let inside = match any_database(platform, institution).await? {
        Some(db) => db.run(count).await.ok(),
        None => None,
    };
    Ok(CutOff { sessions, inside })
}

fn counted(confirm: Confirm, cut_off: &CutOff) -> Confirm {
    let confirm = match cut_off.inside {
        Some((people, students)) => {
            confirm.count(PEOPLE.of(people), people).count(STUDENTS.of(students), students)
        }
        None => {
            confirm.says("How many people it concerns is not known: its database does not answer right now.")
        }
    };
    confirm.count(SESSIONS.of(cut_off.sessions), cut_off.sessions)
}

fn archive_question(institution: &Institution, cut_off: &CutOff) -> Confirm {
    let confirm = Confirm::new(format!("{}/archiving", place(institution)), "Archive institution")
        .says(format!(
            "From their next click on, nobody at {} can see its records. Its pages say that it is archived.",
            institution.name
        ))
        .says(
            "A backup is taken, and proved by restoring it. Only then the database is removed; if anything fails, all \
             is as before.",
        )
        .says("Its owners get your reason by e-mail.");
    counted(confirm, cut_off)
        .undo("You can bring it back with all its records. The backup is kept until then.")
        .reason("Reason", "The institution reads it, word for word; it stays in the history.", true)
        .danger()
        .cancel(place(institution))
}

/// `GET /platform/institutions/{domain}/archiving`: super admins; counts who would be cut off.
pub async fn ask_archive(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    if !matches!(institution.status, Status::Active | Status::Suspended) {
        return not_now(&admin, &institution);
    }
    let confirm = archive_question(&institution, &cut_off(&platform, &institution).await?);
    let page = page_about(&admin, &institution, format!("Archive {}?", institution.name));
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /platform/institutions/{domain}/archiving`: super admins; leads to the operation.
pub async fn archive(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let mut confirm = archive_question(&institution, &cut_off(&platform, &institution).await?);
    let Some(Confirmed { reason }) = confirm.read(&data) else {
        let page = page_about(&admin, &institution, format!("Archive {}?", institution.name));
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &ConfirmPage::new(page, confirm))?);
    };
    let (id, reason) = (institution.id, reason.unwrap_or_default());
    asked(&platform, &admin, &place(&institution), |audit| {
        move |c: &mut SharedConn| service::request_archive(c, &audit, id, &reason)
    })
    .await
}

/// `GET /platform/institutions/{domain}/archiving/remove`: super admins; says which backup it comes back from.
pub async fn ask_return(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    if institution.status != Status::Archived {
        return not_now(&admin, &institution);
    }
    let id = institution.id;
    let backup = platform.shared.run(move |c| backups::last_verified(c, id)).await?;
    let confirm = return_question(&institution, backup.as_ref());
    let page = page_about(&admin, &institution, format!("Bring {} back?", institution.name));
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

fn return_question(institution: &Institution, backup: Option<&Backup>) -> Confirm {
    let action = format!("{}/archiving/remove", place(institution));
    let confirm = Confirm::new(action, "Bring institution back").cancel(place(institution));
    let Some(backup) = backup else {
        return confirm.says("There is no verified backup of it, so it cannot be brought back.");
    };
    confirm
        .says(format!(
            "{} gets a new database with its records of {} UTC, and everybody there can sign in again.",
            institution.name,
            backup.taken_at.format("%Y-%m-%d %H:%M")
        ))
        .says("Its owners are told by e-mail.")
        .count("rows in the backup", backup.row_total)
        .undo("You can archive it again at any time.")
}

/// `POST /platform/institutions/{domain}/archiving/remove`: super admins; leads to the operation.
pub async fn bring_back(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let id = institution.id;
    asked(&platform, &admin, &place(&institution), |audit| {
        move |c: &mut SharedConn| service::request_return(c, &audit, id)
    })
    .await
}

/// `GET /platform/institutions/{domain}/deletion`: super admins; the question, or how far it is.
pub async fn deletion(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (id, actor, about) = (institution.id, admin.actor(), institution.clone());
    let look = move |c: &mut SharedConn| {
        let asked = deletions::find(c, id)?;
        let begun =
            asked.as_ref().map(|asked| deleting::has_begun(c, asked)).transpose()?.unwrap_or_default();
        let second = told(deleting::require_second(c, &actor, &about));
        ModelResult::Ok((asked, begun, second, deletions::may_be_at_once(c, &about)?))
    };
    let (asked, begun, second, at_once) = platform.shared.run(look).await?;
    if let Some(asked) = asked {
        return Ok(html(&under_way(&admin, &institution, &asked, begun))?);
    }
    if !matches!(institution.status, Status::Active | Status::Suspended | Status::Archived) {
        return not_now(&admin, &institution);
    }
    let page = page_about(&admin, &institution, format!("Delete {}?", institution.name));
    if let Err(sentence) = second? {
        let record = Record::new().notice(Notice::warning(sentence));
        return Ok(html(&RecordPage::new(page, record))?);
    }
    let confirm = deletion_question(&institution, &cut_off(&platform, &institution).await?, at_once);
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

fn under_way(admin: &SuperAdmin, institution: &Institution, asked: &Deletion, begun: bool) -> RecordPage {
    let (clock, path) = (Clock::utc(), format!("{}/deletion", place(institution)));
    let mut page: Page = page_about(admin, institution, format!("Deletion of {}", institution.name));
    let own = asked.asked_by == Some(admin.id);
    let text = match &asked.agreed_by_name {
        _ if begun => "It has begun, and cannot be taken back.",
        Some(_) if asked.is_at_once() => "It happens within moments.",
        Some(_) => "It happens by itself on the day below. Until then it can be taken back.",
        None if own => "Another super admin has to agree. Until then nothing happens.",
        None => "It needs your agreement, or that of another super admin. Until then nothing happens.",
    };
    if asked.agreed_at.is_none() && !own {
        let agree =
            Action::post("Agree to the deletion", format!("{path}/agreement")).icon(Icon::Check).danger();
        page = page.also(agree);
    }
    if !begun {
        page = page.action(Action::post("Take the deletion back", format!("{path}/remove")).icon(Icon::Undo));
    }
    let agreed = asked.agreed_by_name.clone().unwrap_or_else(|| "Nobody yet".into());
    let facts = Section::new("Deletion")
        .fact("Reason", Cell::lines(asked.reason.as_str()))
        .fact("Asked by", asked.asked_by_name.as_str())
        .fact("Asked", Cell::time(&clock, asked.asked_at))
        .fact("Agreed by", agreed)
        .fact("Agreed", Cell::time(&clock, asked.agreed_at))
        .fact(
            "Deleted on",
            match asked.is_at_once() {
                true => Cell::text("As soon as another super admin agrees"),
                false => Cell::time(&clock, asked.due_at),
            },
        );
    let mut record = Record::new().notice(Notice::warning(text)).section(facts);
    if institution.status != Status::Archived {
        let export = Action::link("Export its data", format!("{}/export", place(institution)));
        record = record.action(export.icon(Icon::Download));
    }
    RecordPage::new(page, record)
}

fn deletion_question(institution: &Institution, cut_off: &CutOff, may_be_at_once: bool) -> Confirm {
    let mut confirm = Confirm::new(format!("{}/deletion", place(institution)), "Ask for deletion")
        .says(format!(
            "{} is deleted in 30 days, once another super admin agrees: its database, its backups, and the key \
             without which no copy of them can be read.",
            institution.name
        ))
        .says(if institution.status == Status::Archived {
            "Its owners get your reason by e-mail."
        } else {
            "Until then it works as before, and its owners can take its data along. They get your reason by e-mail."
        });
    if may_be_at_once {
        let choices = [("grace", "In 30 days"), ("at_once", "As soon as another super admin agrees")];
        confirm = confirm
            .choose("when", "When", choices.into_iter().map(Choice::from).collect())
            .says("Nobody works there, so the 30 days can be left out.");
    }
    let confirm =
        confirm.says("Its history and the audit log are kept. Its domain cannot be registered again.");
    let confirm = match cut_off.inside {
        Some((people, students)) => {
            confirm.count(ACCOUNTS.of(people), people).count(REMOVED.of(students), students)
        }
        None => confirm,
    };
    confirm
        .undo("It can be taken back until it happens. After that nothing can bring it back.")
        .reason("Reason", "The institution reads it, word for word; it stays in the history.", true)
        .typed(institution.domain.as_str())
        .danger()
        .cancel(place(institution))
}

/// `POST /platform/institutions/{domain}/deletion`: super admins, who type the domain.
pub async fn ask_deletion(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let about = institution.clone();
    let may = platform.shared.run(move |c| deletions::may_be_at_once(c, &about)).await?;
    let mut confirm = deletion_question(&institution, &cut_off(&platform, &institution).await?, may);
    let Some(Confirmed { reason }) = confirm.read(&data) else {
        let page = page_about(&admin, &institution, format!("Delete {}?", institution.name));
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &ConfirmPage::new(page, confirm))?);
    };
    let (audit, state, id) = (admin.audit(&platform), platform.clone(), institution.id);
    let (reason, at_once) = (reason.unwrap_or_default(), data.get("when") == Some("at_once"));
    let ask = move |c: &mut SharedConn| deleting::ask(c, &state, &audit, id, &reason, at_once);
    let outcome = platform.shared.run(ask).await;
    let done = |_| Notice::success("The deletion is asked for. Another super admin has to agree.");
    settled(&admin, outcome, done, &format!("{}/deletion", place(&institution)))
}

/// `POST /platform/institutions/{domain}/deletion/agreement`: another super admin.
pub async fn agree(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (audit, state, id) = (admin.audit(&platform), platform.clone(), institution.id);
    let outcome = platform.shared.run(move |c| deleting::agree(c, &state, &audit, id)).await;
    let done = |agreed: Deletion| {
        Notice::success(match agreed.is_at_once() {
            true => "Agreed. It is being deleted.".to_owned(),
            false => format!("Agreed. It is deleted on {}.", agreed.due_at.format("%-d %B %Y")),
        })
    };
    settled(&admin, outcome, done, &format!("{}/deletion", place(&institution)))
}

/// `POST /platform/institutions/{domain}/deletion/remove`: super admins, until it begins.
pub async fn cancel(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (audit, state, id) = (admin.audit(&platform), platform.clone(), institution.id);
    let outcome = platform.shared.run(move |c| deleting::cancel(c, &state, &audit, id)).await;
    let done = |now: Institution| Notice::success(format!("{} is not deleted.", now.name));
    settled(&admin, outcome, done, &place(&institution))
}
