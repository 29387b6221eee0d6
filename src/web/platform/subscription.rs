//! `/platform/institutions/{domain}/subscription`: on which terms an institution is here, and every change of them.

use actix_web::{HttpResponse, http::StatusCode, web::Path};
use chrono::{NaiveDateTime, NaiveTime};

use super::{
    acting::{act, settled},
    institutions::{PATH, page_about},
};
use crate::{
    db::now,
    error::AppError,
    models::{
        ModelError, ModelResult, Usage,
        institution::quota,
        platform::{
            institutions::{self, Institution, Status},
            plans::{self, Plan, entry::money},
            sandboxes,
            subscriptions::{
                self, Change, Overrides, Standing, Subscribed, SubscriptionChange, SubscriptionStatus,
            },
        },
    },
    services::subscriptions as terms,
    web::{
        State,
        auth::SuperAdmin,
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        forms::{Choice, Chosen, Form, FormData, FormPage},
        icons::Icon,
        limits,
        page::{Action, Notice},
        record::{Entry, Record, RecordPage, Section},
        respond::{html, html_with_status, see_other},
        time::Clock,
    },
};

const GIGABYTE: i64 = 1_000_000_000;

fn place(institution: &Institution) -> String {
    format!("{PATH}/{}/subscription", institution.domain)
}

async fn found(platform: &State, domain: &str) -> Result<Subscribed, AppError> {
    let domain = domain.to_owned();
    let find = move |c: &mut _| {
        let institution = institutions::find_by_domain(c, &domain)?;
        subscriptions::find(c, institution.id)
    };
    Ok(platform.shared.run(find).await?)
}

fn badge(known: &Subscribed) -> Badge {
    let status = known.subscription.status;
    let tone = match status {
        SubscriptionStatus::Trial => Tone::Waiting,
        SubscriptionStatus::Active => Tone::Good,
        SubscriptionStatus::PastDue | SubscriptionStatus::Cancelled => Tone::Held,
        SubscriptionStatus::Expired => Tone::Bad,
    };
    Badge::new(tone, status.label())
}

/// The subscription on a page about its institution.
pub(super) fn facts(clock: &Clock, known: &Subscribed) -> Section {
    let subscription = &known.subscription;
    let plan = known.plan.as_ref().map_or(known.institution.plan.as_str(), |plan| plan.name.as_str());
    let price = known.plan.as_ref().filter(|plan| plan.price_month > 0).map(|plan| {
        format!(
            "{} a month, {} a year",
            money(plan.price_month, &plan.currency),
            money(plan.price_year, &plan.currency)
        )
    });
    let mut section = Section::new("Subscription")
        .fact("Plan", Cell::text(plan).note(price.unwrap_or_default()))
        .fact("Stands", badge(known))
        .fact("Since", Cell::time(clock, subscription.started_at));
    if let Some(at) = known.institution.trial_ends_at {
        section = section.fact("Trial ends", Cell::time(clock, at).note(clock.exact(at)));
    }
    if let Some(at) = subscription.period_ends_at {
        section = section.fact("Paid until", Cell::time(clock, at).note(clock.exact(at)));
    }
    match known.terms().standing(now()) {
        Standing::Grace(until) => section.fact("Records can be changed until", clock.exact(until)),
        Standing::ReadOnly => section.fact("Records", Badge::new(Tone::Bad, "Read-only")),
        Standing::Good | Standing::Trial(_) => section,
    }
}

/// What an institution holds; none when its database cannot be asked.
pub(super) async fn usage(platform: &State, institution: &Institution) -> Option<Usage> {
    if institution.status != Status::Active {
        return None;
    }
    let db = platform.tenant(institution.id).await.ok()?;
    db.run(quota::usage).await.ok()
}

/// `GET /platform/institutions/{domain}/subscription`: super admins; terms, limits used, history.
pub async fn show(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let known = found(&platform, &domain).await?;
    let id = known.institution.id;
    let read = move |c: &mut _| ModelResult::Ok((subscriptions::changes(c, id)?, sandboxes::is_one(c, id)?));
    let (changes, is_sandbox) = platform.shared.run(read).await?;
    let usage = usage(&platform, &known.institution).await;
    let (clock, own) = (Clock::utc(), place(&known.institution));
    let mut record = Record::new().section(facts(&clock, &known).edit(format!("{own}/edit")));
    let terms = known.terms();
    if let Some(usage) = usage {
        record = record.section(limits::section(&terms.limits, &usage));
    }
    if let Some(reason) = &known.subscription.limits_reason {
        record = record.notice(Notice::info(format!("Limits were agreed instead of the plan's: {reason}")));
    }
    let status = known.subscription.status;
    if is_sandbox {
        record = record.notice(Notice::info("There is nothing to pay for a sandbox."));
    } else {
        record = record.action(Action::link("Mark as paid", format!("{own}/payment")).icon(Icon::Check));
    }
    if !is_sandbox && status != SubscriptionStatus::PastDue {
        record = record
            .action(Action::ask("Mark as past due", format!("{own}/arrears")).icon(Icon::Clock).danger());
    }
    if !is_sandbox && status != SubscriptionStatus::Cancelled {
        record = record.action(
            Action::ask("Cancel subscription", format!("{own}/cancellation")).icon(Icon::Ban).danger(),
        );
    }
    let page = page_about(&admin, &known.institution, "Subscription").badge(badge(&known));
    Ok(html(&RecordPage::new(page, record.history(history(&clock, changes))))?)
}

fn history(clock: &Clock, changes: Vec<SubscriptionChange>) -> Vec<Entry> {
    let entry = |change: SubscriptionChange| {
        let (field, unset) = match change.field.as_str() {
            "plan" => ("plan", "none"),
            "status" => ("status", "none"),
            "trial_ends_at" => ("end of the trial", "none"),
            "period_ends_at" => ("paid time", "open"),
            "grace_until" => ("grace", "none"),
            "max_users" => ("limit of users", "the plan's"),
            "max_students" => ("limit of students", "the plan's"),
            _ => ("limit of storage", "the plan's"),
        };
        let words = |value: Option<String>| {
            let known = value.as_deref().and_then(|text| text.parse::<SubscriptionStatus>().ok());
            known.map(|status| status.label().to_owned()).or(value).unwrap_or_else(|| unset.to_owned())
        };
        Entry::new(clock.when(change.at), change.actor_name, format!("changed the {field}"))
            .detail(change.reason)
            .change(field, words(change.old_value), words(change.new_value))
    };
    changes.into_iter().map(entry).collect()
}

/// `GET /platform/institutions/{domain}/subscription/edit`: super admins.
pub async fn edit(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let known = found(&platform, &domain).await?;
    let offer = offer(&platform).await?;
    let mut form = terms_form(&known).filled(values(&known)).at_version(known.subscription.version);
    fields(&mut form, &known, &offer);
    let page = page_about(&admin, &known.institution, "Change subscription");
    Ok(html(&FormPage::new(page.crumb("Subscription", place(&known.institution)), form))?)
}

/// `POST /platform/institutions/{domain}/subscription`: super admins; plan, end of the trial, agreed limits.
pub async fn save(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let known = found(&platform, &domain).await?;
    let offer = offer(&platform).await?;
    let mut form = terms_form(&known).submitted(&data);
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some((change, reason)) = fields(&mut form, &known, &offer) {
        let (audit, id) = (admin.audit(&platform), known.institution.id);
        let version = form.posted_version().unwrap_or_default();
        let saved = platform
            .shared
            .run(move |c| subscriptions::change(c, &audit, id, version, &change, &reason))
            .await;
        match saved {
            Ok(_) => {
                admin.flash(Notice::success(
                    "The subscription is saved. It holds from the next request on.",
                ))?;
                return Ok(see_other(place(&known.institution)));
            }
            Err(ModelError::Changed(sentence)) => {
                let now = found(&platform, &domain).await?;
                form.conflict(sentence, &values(&now), now.subscription.version);
                status = StatusCode::CONFLICT;
            }
            Err(ModelError::Refused(sentence)) => form.error("plan", sentence),
            Err(error) => return Err(error.into()),
        }
    }
    let page = page_about(&admin, &known.institution, "Change subscription");
    Ok(html_with_status(status, &FormPage::new(page.crumb("Subscription", place(&known.institution)), form))?)
}

async fn offer(platform: &State) -> Result<Vec<Plan>, AppError> {
    Ok(platform.shared.run(plans::on_offer).await?)
}

fn terms_form(known: &Subscribed) -> Form {
    let own = place(&known.institution);
    Form::new(own.as_str()).submit("Save subscription").cancel(own)
}

fn values(known: &Subscribed) -> FormData {
    let subscription = &known.subscription;
    FormData::default()
        .with("plan", &known.institution.plan)
        .with_some("trial_ends", known.institution.trial_ends_at.map(|at| at.date()))
        .with_some("max_users", subscription.max_users)
        .with_some("max_students", subscription.max_students)
        .with_some("storage_gb", subscription.max_storage_bytes.map(|bytes| (bytes / GIGABYTE).max(1)))
}

fn fields(form: &mut Form, known: &Subscribed, offer: &[Plan]) -> Option<(Change, String)> {
    let current = &known.institution.plan;
    let mut choices: Vec<Choice> =
        offer.iter().map(|plan| Choice::new(plan.key.as_str(), plan.name.as_str())).collect();
    if !offer.iter().any(|plan| plan.key == *current) {
        choices.push(Choice::new(current.as_str(), format!("{current} (no longer on offer)")));
    }
    let plan = form.select("plan", "Plan", choices).required();
    let trial = form
        .date("trial_ends", "Trial ends on")
        .hint("The trial lasts to the end of that day (UTC). Empty: no trial.")
        .optional();
    form.group_with("Limits agreed instead of the plan's", "Empty: the plan's own.");
    let users = form.number("max_users", "Users").between(1, 1_000_000_000).optional();
    let students = form.number("max_students", "Students").between(1, 1_000_000_000).optional();
    let storage = form.number("storage_gb", "Storage in GB").between(1, 1_000_000).optional();
    form.group("Why");
    let reason = form
        .textarea("reason", "Reason")
        .limit(1000)
        .hint("Kept in the history and in the audit log.")
        .missing("Say why; it is kept in the history.")
        .required();
    form.read(|| {
        let (Chosen(plan), kept) = (plan?, known.institution.trial_ends_at);
        let trial_ends_at = match (trial, kept) {
            // The day that is shown stands for the very moment that is stored.
            (Some(day), Some(at)) if day == at.date() => Some(at),
            (day, _) => day.map(end_of),
        };
        let storage_bytes = storage.map(|gigabytes: i64| gigabytes * GIGABYTE);
        let limits = Overrides { users, students, storage_bytes };
        Some((Change::Terms { plan, trial_ends_at, limits }, reason?))
    })
}

/// The last minute of a day.
fn end_of(day: chrono::NaiveDate) -> NaiveDateTime {
    day.and_time(NaiveTime::from_hms_opt(23, 59, 0).unwrap_or(NaiveTime::MIN))
}

fn payment_form(known: &Subscribed) -> Form {
    let own = place(&known.institution);
    Form::new(format!("{own}/payment"))
        .submit("Mark as paid")
        .cancel(own)
        .at_version(known.subscription.version)
}

fn payment_fields(form: &mut Form) -> Option<(Option<NaiveDateTime>, String)> {
    let until = form
        .date("until", "Paid until")
        .hint("To the end of that day (UTC). Empty: nothing runs out.")
        .check(|day| {
            if end_of(*day) > now() { Ok(()) } else { Err("Choose a day that is not over yet.".to_owned()) }
        })
        .optional();
    let reason = form
        .text("reason", "Reason")
        .hint("For example the number of the invoice. Kept in the history.")
        .missing("Say what was paid; it is kept in the history.")
        .required();
    form.read(|| Some((until.map(end_of), reason?)))
}

/// `GET /platform/institutions/{domain}/subscription/payment`: super admins.
pub async fn ask_paid(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let known = found(&platform, &domain).await?;
    let mut form = payment_form(&known);
    payment_fields(&mut form);
    let page = page_about(&admin, &known.institution, "Mark as paid");
    Ok(html(&FormPage::new(page.crumb("Subscription", place(&known.institution)), form))?)
}

/// `POST /platform/institutions/{domain}/subscription/payment`: super admins; active from now on.
pub async fn paid(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let known = found(&platform, &domain).await?;
    let mut form = payment_form(&known).submitted(&data);
    let Some((until, reason)) = payment_fields(&mut form) else {
        let page = page_about(&admin, &known.institution, "Mark as paid");
        let view = FormPage::new(page.crumb("Subscription", place(&known.institution)), form);
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?);
    };
    let (audit, id) = (admin.audit(&platform), known.institution.id);
    let version = form.posted_version().unwrap_or(known.subscription.version);
    let outcome = platform
        .shared
        .run(move |c| subscriptions::change(c, &audit, id, version, &Change::Paid(until), &reason))
        .await;
    let done = |now: Subscribed| Notice::success(format!("{} is paid for.", now.institution.name));
    settled(&admin, outcome, done, &place(&known.institution))
}

/// A way in which a subscription comes to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Arrears,
    Cancellation,
}

impl Ending {
    const fn noun(self) -> &'static str {
        match self {
            Self::Arrears => "arrears",
            Self::Cancellation => "cancellation",
        }
    }

    const fn button(self) -> &'static str {
        match self {
            Self::Arrears => "Mark as past due",
            Self::Cancellation => "Cancel subscription",
        }
    }
}

fn question(platform: &State, admin: &SuperAdmin, known: &Subscribed, ending: Ending) -> ConfirmPage {
    let (own, name) = (place(&known.institution), &known.institution.name);
    let days = platform.settings.limits.grace.as_secs() / 86_400;
    let first = match ending {
        Ending::Arrears => format!("For {days} days everything at {name} works as before, under a banner."),
        Ending::Cancellation => format!(
            "What is paid for stays. For {days} days after it everything at {name} works as before, under a banner."
        ),
    };
    let confirm = Confirm::new(format!("{own}/{}", ending.noun()), ending.button())
        .says(first)
        .says("After that its records can be read and exported, and no longer changed. Nothing is deleted.")
        .undo("You can mark it as paid at any time.")
        .reason("Reason", "Its owners get it by e-mail, word for word; it stays in the history.", true)
        .danger()
        .cancel(own.as_str());
    let page = page_about(admin, &known.institution, format!("{}?", ending.button()));
    ConfirmPage::new(page.crumb("Subscription", own), confirm)
}

async fn ask_end(
    platform: &State,
    admin: &SuperAdmin,
    domain: &str,
    ending: Ending,
) -> Result<HttpResponse, AppError> {
    let known = found(platform, domain).await?;
    Ok(html(&question(platform, admin, &known, ending))?)
}

async fn end(
    platform: &State,
    admin: &SuperAdmin,
    domain: &str,
    data: &FormData,
    ending: Ending,
) -> Result<HttpResponse, AppError> {
    let known = found(platform, domain).await?;
    let reason = match question(platform, admin, &known, ending).answer(data)? {
        Ok(answer) => answer.reason.unwrap_or_default(),
        Err(page) => return Ok(page),
    };
    let (state, back) = (platform.clone(), place(&known.institution));
    let end = move |c: &mut _, audit: &_| match ending {
        Ending::Arrears => terms::past_due(c, &state, audit, &known, now(), &reason),
        Ending::Cancellation => terms::cancel(c, &state, audit, &known, &reason),
    };
    let done = |now: Subscribed| {
        let word = now.subscription.status.label().to_lowercase();
        Notice::success(format!(
            "The subscription of {} is {word}. Its owners are told.",
            now.institution.name
        ))
    };
    act(platform, admin, end, done, &back).await
}

/// `GET /platform/institutions/{domain}/subscription/arrears`: super admins.
pub async fn ask_past_due(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    ask_end(&platform, &admin, &domain, Ending::Arrears).await
}

/// `POST /platform/institutions/{domain}/subscription/arrears`: super admins.
pub async fn past_due(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    end(&platform, &admin, &domain, &data, Ending::Arrears).await
}

/// `GET /platform/institutions/{domain}/subscription/cancellation`: super admins.
pub async fn ask_cancel(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    ask_end(&platform, &admin, &domain, Ending::Cancellation).await
}

/// `POST /platform/institutions/{domain}/subscription/cancellation`: super admins.
pub async fn cancel(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    end(&platform, &admin, &domain, &data, Ending::Cancellation).await
}
