//! Approve, reject, reconsider: one registration, those ticked, or all that match.

use actix_web::{HttpResponse, http::StatusCode};

use super::{
    acting::{act, settled},
    country_filter, registrations as list,
};
use crate::{
    db::Id,
    error::AppError,
    models::{
        ModelError, ModelResult,
        platform::registrations::{self, Decision, Registered, RegistrationFilter, Stand},
    },
    services::{
        bulk_decisions::{self, BulkDecision},
        decisions,
    },
    web::{
        RecordId, State,
        auth::SuperAdmin,
        confirm::{Confirm, ConfirmPage, Confirmed},
        forms::FormData,
        list::BulkSelection,
        page::Notice,
        respond::{html, html_with_status, see_other},
        words::{Noun, grouped},
    },
};

const NOUN: Noun = Noun::new("registration", "registrations");

/// `POST /platform/registrations/{id}/approval`: super admins.
pub async fn approve(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (audit, state) = (admin.audit(&platform), platform.clone());
    let outcome = platform.shared.run(move |c| decisions::approve(c, &state, &audit, id)).await;
    let back = match &outcome {
        Ok(approved) => format!("/platform/institutions/{}", approved.institution.domain),
        Err(_) => format!("{}/{id}", list::PATH),
    };
    let done = |approved: Registered| {
        Notice::success(format!("{} is approved and being set up.", approved.institution.name))
    };
    settled(&admin, outcome, done, &back)
}

/// `GET /platform/registrations/{id}/rejection`: super admins.
pub async fn ask_reject(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let found = platform.shared.run(move |c| registrations::find_with_institution(c, id)).await?;
    Ok(html(&rejection(&admin, id, &found))?)
}

/// `POST /platform/registrations/{id}/rejection`: super admins.
pub async fn reject(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let found = platform.shared.run(move |c| registrations::find_with_institution(c, id)).await?;
    let reason = match rejection(&admin, id, &found).answer(&data)? {
        Ok(answer) => answer.reason.unwrap_or_default(),
        Err(page) => return Ok(page),
    };
    let (told, name) = (found.registration.admin_email.is_some(), found.institution.name);
    let state = platform.clone();
    let reject = move |c: &mut _, audit: &_| decisions::reject(c, &state, audit, id, &reason);
    let then = if told { " Its admin gets the reason by e-mail." } else { "" };
    let done = |_| Notice::success(format!("{name} is rejected.{then}"));
    act(&platform, &admin, reject, done, &format!("{}/{id}", list::PATH)).await
}

fn rejection(admin: &SuperAdmin, id: Id, found: &Registered) -> ConfirmPage {
    let name = &found.institution.name;
    let (then, reader) = match found.registration.admin_email {
        Some(_) => {
            ("Its admin is told, with your reason.", "The person who registered reads it, word for word.")
        }
        None => ("It names no admin, so nobody is told.", "It stays in the history."),
    };
    let path = format!("{}/{id}", list::PATH);
    let confirm = Confirm::new(format!("{path}/rejection"), "Reject institution")
        .says(format!("{name} gets no database. {then}"))
        .undo("You can reconsider at any time, and the institution can register again.")
        .reason("Reason", reader, true)
        .danger()
        .cancel(path);
    ConfirmPage::new(admin.page(format!("Reject {name}?")).crumb("Registrations", list::PATH), confirm)
}

/// `POST /platform/registrations/{id}/reconsideration`: super admins.
pub async fn reconsider(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let state = platform.clone();
    let reconsider = move |c: &mut _, audit: &_| decisions::reconsider(c, &state, audit, id);
    let done = |again: Registered| {
        Notice::success(format!("{} waits for a decision again.", again.institution.name))
    };
    act(&platform, &admin, reconsider, done, &format!("{}/{id}", list::PATH)).await
}

/// `POST /platform/registrations/approvals`: super admins; asks first, then starts an operation.
pub async fn approve_many(
    platform: State,
    admin: SuperAdmin,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    decide_many(platform, admin, data, Decision::Approved).await
}

/// `POST /platform/registrations/rejections`: super admins; asks first, then starts an operation.
pub async fn reject_many(
    platform: State,
    admin: SuperAdmin,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    decide_many(platform, admin, data, Decision::Rejected).await
}

async fn decide_many(
    platform: State,
    admin: SuperAdmin,
    data: FormData,
    decision: Decision,
) -> Result<HttpResponse, AppError> {
    let spec = list::spec(country_filter(&platform).await?);
    let back = BulkSelection::way_back(&spec, &data);
    let Some(selection) = BulkSelection::parse(&spec, &data) else {
        admin.flash(Notice::warning("Tick at least one registration first."))?;
        return Ok(see_other(back));
    };
    let chosen = chosen(&platform, &selection).await?;
    if selection.outdated(chosen.matching) {
        admin.flash(Notice::warning(format!(
            "{} match now, {} when you looked. Look again, then decide.",
            NOUN.count(chosen.matching),
            grouped(selection.count())
        )))?;
        return Ok(see_other(back));
    }
    if chosen.waiting.is_empty() {
        admin.flash(Notice::info("None of them waits for a decision any more."))?;
        return Ok(see_other(back));
    }
    let mut confirm = question(decision, &chosen, &selection).cancel(back);
    if let BulkSelection::Ids(_) = selection {
        confirm = confirm.hidden("matching", data.get("matching").unwrap_or_default());
    }
    let answer = if data.get("confirmed").is_some() { confirm.read(&data) } else { None };
    let Some(Confirmed { reason, .. }) = answer else {
        let status =
            if data.get("confirmed").is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        let page = admin.page(title(decision, chosen.waiting.len())).crumb("Registrations", list::PATH);
        return Ok(html_with_status(status, &ConfirmPage::new(page, confirm))?);
    };
    let bulk = BulkDecision { decision, reason: reason.unwrap_or_default(), ids: chosen.waiting };
    let audit = admin.audit(&platform);
    let operation = platform.shared.run(move |c| bulk_decisions::start(c, &audit, &bulk)).await?;
    platform.operations.wake();
    Ok(see_other(format!("/platform/operations/{operation}")))
}

/// Who was chosen: how many match in all, and those of them that can still be decided.
struct Selected {
    matching: i64,
    waiting: Vec<Id>,
}

async fn chosen(platform: &State, selection: &BulkSelection) -> Result<Selected, AppError> {
    let selected = match selection {
        BulkSelection::Matching { query, .. } => {
            let filter = list::filter(query);
            platform.shared.run(move |c| matching(c, &filter)).await?
        }
        BulkSelection::Ids(ids) => {
            let ids: Vec<Id> = ids.iter().filter_map(|id| id.parse().ok()).collect();
            let matching = i64::try_from(ids.len()).unwrap_or(i64::MAX);
            let waiting = platform.shared.run(move |c| registrations::still_waiting(c, &ids)).await?;
            Selected { matching, waiting }
        }
    };
    Ok(selected)
}

fn matching(c: &mut crate::db::shared::SharedConn, filter: &RegistrationFilter) -> ModelResult<Selected> {
    let matching = registrations::count(c, filter)?;
    let waiting = match filter.status {
        None | Some(Stand::Waiting) => {
            let filter = RegistrationFilter { status: Some(Stand::Waiting), ..filter.clone() };
            registrations::ids_matching(c, &filter, bulk_decisions::MOST)?
        }
        Some(_) => Vec::new(),
    };
    Ok::<_, ModelError>(Selected { matching, waiting })
}

fn title(decision: Decision, count: usize) -> String {
    let verb = match decision {
        Decision::Approved => "Approve",
        Decision::Rejected => "Reject",
    };
    format!("{verb} {}?", NOUN.count(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn question(decision: Decision, chosen: &Selected, selection: &BulkSelection) -> Confirm {
    let waiting = i64::try_from(chosen.waiting.len()).unwrap_or(i64::MAX);
    let confirm = match decision {
        Decision::Approved => Confirm::new(format!("{}/approvals", list::PATH), "Approve institutions")
            .says("Each institution gets a database of its own. Its first admin, where one is named, is told by e-mail.")
            .undo("An institution that should not be there can be suspended afterwards."),
        Decision::Rejected => Confirm::new(format!("{}/rejections", list::PATH), "Reject institutions")
            .says("None of them gets a database. Their first admins, where named, are told, with your reason.")
            .undo("Each of them can be reconsidered at any time.")
            .reason("Reason", "The people who registered read it, word for word.", true)
            .danger(),
    };
    let confirm = confirm.count("will be decided", waiting);
    let decided_before = selection.count() - waiting;
    let confirm = if decided_before > 0 {
        confirm.count("were decided before and stay as they are", decided_before)
    } else {
        confirm
    };
    confirm.hidden("confirmed", "yes").hidden_all(selection.hidden())
}
