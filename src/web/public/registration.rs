//! `/register` and `/registrations/{token}`: an institution asks to join, and follows what becomes of it.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};

use crate::{
    db::Id,
    error::AppError,
    models::{
        ModelResult,
        country::Country,
        domain::Domain,
        platform::{
            institutions::{self, Institution, Kind, Status, StatusChange},
            operations::{self, OperationStep, StepStatus},
            platform_settings::SignupPolicy,
            registrations::{
                self, Decision, FirstAdmin, NewInstitution, NewRegistration, RegisterError, Registered,
                Source,
            },
            throttles,
        },
        text::Email,
        time_zone::TimeZone,
    },
    services::{accounts::AccountError, decisions, password_policy::check_password, registration_import},
    web::{
        State,
        auth::throttle::slow_down,
        badge::{Badge, Tone},
        cell::Cell,
        client::Client,
        forms::{Chosen, Form, FormData, FormPage},
        icons::Icon,
        operation_view::{OperationPage, OperationView, StepState, StepView},
        page::{Action, Notice, Page, Width},
        record::{Entry, Record, RecordPage, Section},
        respond::{html, html_with_status, see_other},
        time::Clock,
    },
};

/// What the form asks for.
struct Asked {
    institution: NewInstitution,
    name: String,
    email: Email,
    password: String,
}

/// `GET /register`: everybody.
pub async fn show(request: HttpRequest, session: Session, platform: State) -> Result<HttpResponse, AppError> {
    let mut form = blank();
    fields(&mut form);
    Ok(html(&FormPage::new(page(&request, &session, &platform).await?, form))?)
}

/// `POST /register`: everybody, slowed down per address.
pub async fn submit(
    request: HttpRequest,
    session: Session,
    platform: State,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let mut form = blank().submitted(&data);
    if let Some(asked) = fields(&mut form) {
        let client = Client::of(&request);
        slow_down(&platform, format!("register:{}", client.ip), throttles::REGISTRATION).await?;
        match register(&platform, &client, asked).await? {
            Ok(registered) => {
                return Ok(see_other(decisions::status_path(&platform, &registered.registration)));
            }
            Err(sentence) => form.error("domain", sentence),
        }
    }
    let view = FormPage::new(page(&request, &session, &platform).await?, form);
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
}

/// The registration, or the sentence that is told when the domain is not free.
async fn register(
    platform: &State,
    client: &Client,
    asked: Asked,
) -> Result<Result<Registered, String>, AppError> {
    let hash = platform.passwords.hash(asked.password).await.map_err(AccountError::from)?;
    let audit = platform.audit(client.visitor(&asked.name));
    let new = NewRegistration {
        institution: asked.institution,
        admin: Some(FirstAdmin {
            name: asked.name,
            email: asked.email.as_str().to_owned(),
            password_hash: Some(hash),
        }),
        source: Source::Form,
        trial_ends_at: None,
    };
    let state = platform.clone();
    match platform.shared.run(move |c| decisions::register(c, &state, &audit, new)).await {
        Ok(registered) => Ok(Ok(registered)),
        Err(taken @ RegisterError::Taken(_)) => Ok(Err(taken.to_string())),
        Err(RegisterError::Model(error)) => Err(error.into()),
    }
}

fn blank() -> Form {
    Form::new("/register").submit("Register institution").cancel("/")
}

fn fields(form: &mut Form) -> Option<Asked> {
    form.group("Institution");
    let name = form.text("name", "Institution name").autocomplete("organization").required();
    let kind = form.choose::<Kind>("kind", "Kind");
    let domain = form
        .text("domain", "Domain")
        .hint("The internet domain of the institution, such as example.edu. It stands in the address of your pages.")
        .inputmode("url")
        .limit(260)
        .check(|text: &String| Domain::parse(text).map(|_| ()).map_err(|error| format!("{error}.")))
        .required();
    let country = form.select("country", "Country", Country::all().map(|c| (c.code(), c.name()))).required();
    let website = form
        .url("website", "Website")
        .check(|text| registration_import::web_address(text).map(|_| ()))
        .optional();
    let time_zone = form
        .select("time_zone", "Time zone", TimeZone::names().map(|name| (name, name)))
        .hint("Dates and times are shown as the clocks there say.")
        .required();
    form.group_with("First admin", "The person who runs the institution's pages, and can invite others.");
    let person = form.text("admin_name", "Your name").autocomplete("name").required();
    let email = form
        .email("email", "E-mail")
        .hint("You sign in with it, and we write to it when your registration is decided.")
        .check(|text: &String| Email::parse(text).map(|_| ()).map_err(|error| format!("{error}.")))
        .required();
    let context: Vec<String> =
        [&name, &domain, &person, &email].into_iter().flatten().map(ToString::to_string).collect();
    let password = form
        .password("password", "Password")
        .hint("At least 15 characters. A few words that do not belong together are easy to remember and hard to guess.")
        .autocomplete("new-password")
        .check(move |password: &String| {
            let context: Vec<&str> = context.iter().map(String::as_str).collect();
            check_password(password, &context).map_err(|problem| format!("{problem}."))
        })
        .required();
    form.read(|| {
        let (Chosen(country), Chosen(time_zone)) = (country?, time_zone?);
        Some(Asked {
            institution: NewInstitution {
                domain: Domain::parse(&domain?).ok()?.as_str().to_owned(),
                name: name?,
                kind: kind?,
                country,
                region: None,
                website,
                time_zone,
            },
            name: person?,
            email: Email::parse(&email?).ok()?,
            password: password?,
        })
    })
}

async fn page(request: &HttpRequest, session: &Session, platform: &State) -> Result<Page, AppError> {
    let state = platform.clone();
    let policy = platform.shared.run(move |c| decisions::signup_policy(c, &state)).await?;
    let intro = match policy {
        SignupPolicy::Approval => {
            "Somebody looks at every registration. You get a message when it is decided."
        }
        SignupPolicy::Automatic => "Your institution is set up at once, on a trial of 14 days.",
    };
    Ok(super::page(request, session, "Register your institution").intro(intro).width(Width::Prose))
}

/// What the status page shows.
struct Followed {
    registered: Registered,
    changes: Vec<StatusChange>,
    steps: Vec<OperationStep>,
}

/// `GET /registrations/{token}`: who holds the address; it was sent to the first admin.
pub async fn status(
    request: HttpRequest,
    session: Session,
    platform: State,
    token: Path<String>,
) -> Result<HttpResponse, AppError> {
    let id = platform.keys.registration_of_token(&token).ok_or(AppError::NotFound)?;
    let followed = platform.shared.run(move |c| follow(c, id)).await?;
    let institution = &followed.registered.institution;
    let page = super::page(&request, &session, institution.name.as_str()).badge(badge(&followed.registered));
    let clock = Clock::local(&institution.time_zone, "en");
    if followed.registered.registration.decision == Some(Decision::Approved)
        && institution.status == Status::Provisioning
    {
        return Ok(html(&OperationPage::new(page, steps_view(&followed.steps)))?);
    }
    let page = match institution.status {
        Status::Active => page.action(Action::link("Sign in", "/sign-in").icon(Icon::Key)),
        _ => page,
    };
    Ok(html(&RecordPage::new(page, record(&clock, followed)))?)
}

fn follow(c: &mut crate::db::shared::SharedConn, id: Id) -> ModelResult<Followed> {
    let registered = registrations::find_with_institution(c, id)?;
    let institution_id = registered.institution.id;
    let operation = operations::latest(c, institution_id, operations::Kind::Provision)?;
    let steps = operation.map(|operation| operations::steps(c, operation.id)).transpose()?;
    let changes = institutions::status_changes(c, institution_id)?;
    Ok(Followed { registered, changes, steps: steps.unwrap_or_default() })
}

/// A registration that was rejected stays so on its own page, even when the institution asked again.
fn badge(found: &Registered) -> Badge {
    match found.registration.decision {
        Some(Decision::Rejected) => Badge::new(Tone::Bad, "Not accepted"),
        _ => crate::web::platform::status_badge(found.institution.status),
    }
}

/// The steps in plain words; what went wrong inside is for super admins.
fn steps_view(steps: &[OperationStep]) -> OperationView {
    let mut view = OperationView::new("Your institution is being set up", true).notice(Notice::info(
        "This usually takes less than a minute. You get an e-mail when you can sign in.",
    ));
    for step in steps {
        let state = match step.status {
            StepStatus::Pending => StepState::Waiting,
            StepStatus::Running | StepStatus::Failed => StepState::Running,
            StepStatus::Done => StepState::Done,
            StepStatus::Undone => StepState::Waiting,
        };
        let label = crate::services::operations::provision::step_label(&step.name);
        view = view.step(StepView::new(label, state));
    }
    view
}

fn record(clock: &Clock, followed: Followed) -> Record {
    let Registered { registration, institution } = followed.registered;
    let reason = followed.changes.first().and_then(|change| change.reason.clone()).unwrap_or_default();
    let notice = match registration.decision {
        Some(Decision::Rejected) => Notice::error(format!(
            "Your registration was not accepted. The reason given: {} You can register again at any time.",
            registration.reason.as_deref().unwrap_or("none.")
        ))
        .link("Register again", "/register"),
        _ => told(&institution, &reason),
    };
    let history = followed.changes.into_iter().filter_map(|change| entry(clock, &change)).collect();
    Record::new()
        .notice(notice)
        .section(
            Section::new("Your registration")
                .fact("Institution", institution.name.as_str())
                .fact("Domain", Cell::mono(institution.domain.as_str()))
                .fact("First admin", Cell::text(registration.admin_name.unwrap_or_default()))
                .fact("Submitted", Cell::time(clock, registration.submitted_at)),
        )
        .history(history)
}

fn told(institution: &Institution, reason: &str) -> Notice {
    match institution.status {
        Status::PendingApproval => Notice::info(
            "Your registration is waiting for approval. We write to you when it is decided; you need not do anything. \
             Keep this address to yourself: whoever has it can see this page.",
        ),
        Status::Provisioning => Notice::info("Your institution is being set up."),
        Status::ProvisioningFailed => Notice::warning(
            "Setting up your institution did not work at the first go. We know about it and are on it. Your \
             registration is safe, and you need not do anything.",
        ),
        Status::Active => {
            Notice::success("Your institution is set up and active. Sign in with your e-mail and password.")
                .link("Sign in", "/sign-in")
        }
        Status::Suspended => Notice::warning(format!(
            "Your institution is suspended: nobody can sign in for now. Its records are kept. The reason given: {reason}"
        )),
        Status::Rejected => Notice::error("Your registration was not accepted."),
        Status::Archived | Status::Deleted => Notice::info("This institution has left the platform."),
    }
}

/// The turns that concern the registrant, without the names of those who decided.
fn entry(clock: &Clock, change: &StatusChange) -> Option<Entry> {
    let what = match change.to_status {
        Status::PendingApproval if change.from_status.is_none() => "was received",
        Status::PendingApproval => "is looked at again",
        Status::Provisioning if change.from_status == Some(Status::PendingApproval) => "was approved",
        Status::Rejected => "was not accepted",
        Status::Active if change.from_status == Some(Status::Provisioning) => "is set up and ready",
        _ => return None,
    };
    Some(Entry::new(clock.when(change.at), "Your registration", what))
}
