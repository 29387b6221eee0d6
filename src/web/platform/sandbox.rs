//! `/platform/institutions/{domain}/sandboxes`: a masked copy of an institution to try things out in.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};

use super::{
    acting::begin,
    institutions::{PATH, found, page_about},
};
use crate::{
    db::{Id, shared::SharedConn},
    error::{AppError, told},
    models::{
        ModelResult,
        domain::Domain,
        platform::{
            backups::{self, Backup},
            institutions::Institution,
            sandboxes::Sandbox,
            tenant_databases::{self, DatabaseStatus},
        },
        text::Email,
    },
    services::sandboxes::{self as service, Wanted},
    web::{
        State,
        auth::{AnyAdmin, SuperAdmin},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        forms::{Choice, Chosen, Form, FormData, FormPage},
        page::{Notice, Page},
        record::Section,
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

const ROWS: Noun = Noun::new("row", "rows");
/// What is chosen instead of a backup's id.
const FRESH: &str = "fresh";
/// So many backups are offered.
const OFFERED: usize = 50;
const NAME_MAX: usize = 200;

/// What is asked about.
struct Asked {
    institution: Institution,
    /// Whether there is something to copy now.
    serves: bool,
    backups: Vec<Backup>,
    domain: String,
}

async fn asked(platform: &State, domain: &str) -> Result<Asked, AppError> {
    let institution = found(platform, domain).await?;
    let read = move |c: &mut SharedConn| {
        let database = tenant_databases::find(c, institution.id)?;
        let mut backups = backups::of(c, Some(institution.id))?;
        backups.retain(|backup| backup.fault.is_none());
        backups.truncate(OFFERED);
        ModelResult::Ok(Asked {
            serves: database.is_some_and(|database| database.status == DatabaseStatus::Ready),
            backups,
            domain: service::propose_domain(c, &institution.domain)?,
            institution,
        })
    };
    Ok(platform.shared.run(read).await?)
}

fn choices(asked: &Asked) -> Vec<Choice> {
    let fresh = asked.serves.then(|| Choice::new(FRESH, "As it is now: a backup is taken first"));
    let backup = |backup: &Backup| {
        let verified = if backup.verified_at.is_some() { ", verified" } else { "" };
        let taken = backup.taken_at.format("%Y-%m-%d %H:%M");
        Choice::new(backup.id.to_string(), format!("{taken} UTC, {}{verified}", ROWS.count(backup.row_total)))
    };
    fresh.into_iter().chain(asked.backups.iter().map(backup)).collect()
}

fn form(asked: &Asked) -> Form {
    let place = format!("{PATH}/{}", asked.institution.domain);
    Form::new(format!("{place}/sandboxes")).submit("Make sandbox").cancel(place)
}

fn fields(form: &mut Form, asked: &Asked) -> Option<Wanted> {
    form.group("The copy");
    let backup = form.select("backup", "State of the records", choices(asked)).required();
    let domain = form
        .text("domain", "Domain")
        .hint("Where its pages are. No mail and no web address is needed under it.")
        .check(|text: &String| Domain::parse(text).map(|_| ()).map_err(|error| format!("{error}.")))
        .required();
    let name = form.text("name", "Name").limit(NAME_MAX).required();
    form.group("Who can sign in");
    let admin_name = form.text("admin_name", "Name of its first admin").limit(NAME_MAX).required();
    let admin_email = form
        .email("admin_email", "E-mail")
        .hint("The invitation is the only mail that leaves the sandbox.")
        .check(|text: &String| Email::parse(text).map(|_| ()).map_err(|error| format!("{error}.")))
        .required();
    let source_id = asked.institution.id;
    form.read(|| {
        let Chosen(backup) = backup?;
        let backup_id: Option<Id> = if backup == FRESH { None } else { Some(backup.parse().ok()?) };
        Some(Wanted {
            source_id,
            backup_id,
            domain: Domain::parse(&domain?).ok()?,
            name: name?,
            admin_name: admin_name?,
            admin_email: Email::parse(&admin_email?).ok()?,
        })
    })
}

fn page(admin: &AnyAdmin, asked: &Asked) -> Page {
    page_about(admin, &asked.institution, "Make a sandbox").intro(format!(
        "An institution of its own, with a masked copy of the records of {}: nobody in it can be recognised, nobody \
         else can sign in there, and nothing is billed.",
        asked.institution.name
    ))
}

/// `GET /platform/institutions/{domain}/sandboxes`: super admins; `?backup=` names the backup to begin with.
pub async fn ask(
    request: HttpRequest,
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, &domain).await?;
    let query = FormData::parse(request.query_string());
    let first = if asked.serves { Some(FRESH.to_owned()) } else { None };
    let values = FormData::default()
        .with_some("backup", query.get("backup").map(str::to_owned).or(first))
        .with("domain", &asked.domain)
        .with("name", service::propose_name(&asked.institution.name))
        .with("admin_name", &admin.name)
        .with("admin_email", &admin.email);
    let mut form = form(&asked).filled(values);
    fields(&mut form, &asked);
    Ok(html(&FormPage::new(page(&admin, &asked), form))?)
}

/// `POST /platform/institutions/{domain}/sandboxes`: super admins; leads to the operation.
pub async fn make(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let asked = asked(&platform, &domain).await?;
    let mut form = form(&asked).submitted(&data);
    if let Some(wanted) = fields(&mut form, &asked) {
        let (audit, state) = (admin.audit(&platform), platform.clone());
        let outcome = platform.shared.run(move |c| service::request(c, &state, &audit, &wanted)).await;
        match told(outcome)? {
            Ok(begun) => return Ok(see_other(format!("/platform/operations/{}", begun.operation))),
            Err(sentence) => form.error("", sentence),
        }
    }
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(page(&admin, &asked), form))?)
}

fn giving_up(institution: &Institution) -> Confirm {
    let place = format!("{PATH}/{}", institution.domain);
    Confirm::new(format!("{place}/set-up/remove"), "Give up")
        .says(format!("Whatever was made of {} is removed. It never served anybody.", institution.name))
        .says(format!("The domain {} can be used again.", institution.domain))
        .undo("It cannot be taken back; another sandbox can be made of the original at any time.")
        .danger()
        .cancel(place)
}

/// `GET /platform/institutions/{domain}/set-up/remove`: super admins; a sandbox whose set-up failed.
pub async fn ask_give_up(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let about = institution.clone();
    let may = platform.shared.run(move |c| service::require_given_up(c, &about)).await;
    if let Err(sentence) = told(may)? {
        admin.flash(Notice::info(format!("{sentence} Nothing was changed.")))?;
        return Ok(see_other(format!("{PATH}/{}", institution.domain)));
    }
    let page = page_about(&admin, &institution, format!("Give up {}?", institution.name));
    Ok(html(&ConfirmPage::new(page, giving_up(&institution)))?)
}

/// `POST /platform/institutions/{domain}/set-up/remove`: super admins; leads to the operation.
pub async fn give_up(
    platform: State,
    admin: SuperAdmin,
    domain: Path<String>,
) -> Result<HttpResponse, AppError> {
    let institution = found(&platform, &domain).await?;
    let (id, back) = (institution.id, format!("{PATH}/{}", institution.domain));
    begin(&platform, &admin, move |c, audit| service::give_up(c, audit, id), &back).await
}

/// What the page of a sandbox says of the original.
pub(super) fn facts(clock: &Clock, sandbox: &Sandbox, of: &Institution) -> Section {
    Section::new("Sandbox")
        .fact("Masked copy of", Cell::link(sandbox.source_name.as_str(), format!("{PATH}/{}", of.domain)))
        .fact("State of", Cell::time(clock, sandbox.state_of))
        .fact("Mail", "None leaves it, but for invitations that super admins send")
        .fact("Subscription", Badge::new(Tone::Past, "Not billed"))
}

/// The sandboxes on the page of the original.
pub(super) fn list(sandboxes: &[(String, String)]) -> Section {
    sandboxes.iter().fold(Section::new("Sandboxes"), |section, (domain, name)| {
        section.fact(name.as_str(), Cell::link(domain.as_str(), format!("{PATH}/{domain}")))
    })
}
