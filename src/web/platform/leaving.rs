//! `/platform/institutions/{domain}/archiving` and `.../deletion`: how an institution leaves, and comes back.

use actix_web::{HttpResponse, web::Path};

use super::{
    acting::{act, begin},
    cut_off::{CutOff, Inside, PEOPLE},
    institutions::{READ_WORD_FOR_WORD, found, not_now, page_about, place},
};
use crate::{
    db::{pools::TenantDb, shared::SharedConn},
    error::{AppError, told},
    models::{
        ModelResult,
        platform::{
            backups::{self, Backup},
            deletions::{self, Deletion},
            institutions::{Institution, Status},
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
        confirm::{Confirm, ConfirmPage},
        forms::{Choice, FormData},
        icons::Icon,
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section},
        respond::html,
        time::Clock,
        words::Noun,
    },
};

const STUDENTS: Noun = Noun::new("student goes into the archive", "students go into the archive");
const ACCOUNTS: Noun = Noun::new("person loses their account", "people lose their accounts");
const REMOVED: Noun =
    Noun::new("student is removed with all records", "students are removed with all records");

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
    CutOff::count(platform, institution, any_database(platform, institution).await?).await
}

async fn archive_question(
    platform: &State,
    admin: &SuperAdmin,
    institution: &Institution,
) -> Result<ConfirmPage, AppError> {
    let cut_off = cut_off(platform, institution).await?;
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
    let confirm = match cut_off.inside {
        Some(Inside { people, students }) => {
            confirm.count(PEOPLE.of(people), people).count(STUDENTS.of(students), students)
        }
        None => {
            confirm.says("How many people it concerns is not known: its database does not answer right now.")
        }
    };
    let confirm = cut_off
        .sessions(confirm)
        .undo("You can bring it back with all its records. The backup is kept until then.")
        .reason("Reason", READ_WORD_FOR_WORD, true)
        .danger()
        .cancel(place(institution));
    Ok(ConfirmPage::new(page_about(admin, institution, format!("Archive {}?", institution.name)), confirm))
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
    Ok(html(&archive_question(&platform, &admin, &institution).await?)?)
}

/// `POST /platform/institutions/{domain}/archiving`: super admins; leads to the operation.
pub async fn archive(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let reason = match archive_question(&platform, &admin, &institution).await?.answer(&data)? {
        Ok(answer) => answer.reason.unwrap_or_default(),
        Err(page) => return Ok(page),
    };
    let id = institution.id;
    let ask = move |c: &mut SharedConn, audit: &_| service::request_archive(c, audit, id, &reason);
    begin(&platform, &admin, ask, &place(&institution)).await
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
    let ask = move |c: &mut SharedConn, audit: &_| service::request_return(c, audit, id);
    begin(&platform, &admin, ask, &place(&institution)).await
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
    if let Err(sentence) = second? {
        let page = page_about(&admin, &institution, format!("Delete {}?", institution.name));
        let record = Record::new().notice(Notice::warning(sentence));
        return Ok(html(&RecordPage::new(page, record))?);
    }
    Ok(html(&deletion_question(&platform, &admin, &institution, at_once).await?)?)
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

async fn deletion_question(
    platform: &State,
    admin: &SuperAdmin,
    institution: &Institution,
    may_be_at_once: bool,
) -> Result<ConfirmPage, AppError> {
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
    let confirm = match cut_off(platform, institution).await?.inside {
        Some(Inside { people, students }) => {
            confirm.count(ACCOUNTS.of(people), people).count(REMOVED.of(students), students)
        }
        None => confirm,
    };
    let confirm = confirm
        .undo("It can be taken back until it happens. After that nothing can bring it back.")
        .reason("Reason", READ_WORD_FOR_WORD, true)
        .typed(institution.domain.as_str())
        .danger()
        .cancel(place(institution));
    Ok(ConfirmPage::new(page_about(admin, institution, format!("Delete {}?", institution.name)), confirm))
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
    let reason = match deletion_question(&platform, &admin, &institution, may).await?.answer(&data)? {
        Ok(answer) => answer.reason.unwrap_or_default(),
        Err(page) => return Ok(page),
    };
    // Also where it was not offered, so that whoever asks for it is told why not.
    let at_once = data.get("when") == Some("at_once");
    let (state, id) = (platform.clone(), institution.id);
    let ask = move |c: &mut SharedConn, audit: &_| deleting::ask(c, &state, audit, id, &reason, at_once);
    let done = |_| Notice::success("The deletion is asked for. Another super admin has to agree.");
    act(&platform, &admin, ask, done, &format!("{}/deletion", place(&institution))).await
}

/// `POST /platform/institutions/{domain}/deletion/agreement`: another super admin.
pub async fn agree(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (state, id) = (platform.clone(), institution.id);
    let agree = move |c: &mut SharedConn, audit: &_| deleting::agree(c, &state, audit, id);
    let done = |agreed: Deletion| {
        Notice::success(match agreed.is_at_once() {
            true => "Agreed. It is being deleted.".to_owned(),
            false => format!("Agreed. It is deleted on {}.", agreed.due_at.format("%-d %B %Y")),
        })
    };
    act(&platform, &admin, agree, done, &format!("{}/deletion", place(&institution))).await
}

/// `POST /platform/institutions/{domain}/deletion/remove`: super admins, until it begins.
pub async fn cancel(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (state, id) = (platform.clone(), institution.id);
    let cancel = move |c: &mut SharedConn, audit: &_| deleting::cancel(c, &state, audit, id);
    let done = |now: Institution| Notice::success(format!("{} is not deleted.", now.name));
    act(&platform, &admin, cancel, done, &place(&institution)).await
}
