//! Who may sign in to the institution: the list, invitations, roles, disabling and removing.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};

mod file;

use super::activity_words;
use crate::{
    db::Id,
    error::{AppError, told},
    models::{
        Limits, ModelResult, Resource,
        institution::{
            activity, quota,
            users::{self, NewUser, Role, User, UserFilter, UserStatus},
        },
        text::Email,
    },
    services::{accounts::AccountError, institution_users, notifications},
    web::{
        RecordId, State,
        auth::{InstitutionUser, Owner},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        forms::{Choice, Form, FormData, FormPage},
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        record::{Record, RecordPage, Section, Timeline},
        respond::{html, html_with_status, see_other},
        words::Noun,
    },
};

pub use file::csv;

/// Counted in lists and messages.
const NOUN: Noun = Noun::new("user", "users");

const COLUMNS: &[Column] = &[
    Column::new("name", "Name").sortable(),
    Column::new("email", "E-mail").sortable(),
    Column::new("roles", "Roles"),
    Column::new("status", "Status").sortable(),
    Column::new("last_sign_in", "Last sign-in").sortable().minor(),
];

fn spec(path: String) -> ListSpec {
    let statuses = UserStatus::ALL.iter().map(|status| Choice::new(status.as_str(), status.label()));
    let roles = Role::ALL.iter().map(|role| Choice::new(role.as_str(), role.label()));
    ListSpec::new(path, NOUN, COLUMNS)
        .sorted_by("name", Dir::Asc)
        .search("Name or e-mail")
        .filter(Filter::one_of("role", "Role", roles))
        .filter(Filter::one_of("status", "Status", statuses))
        .csv()
}

fn filter(query: &ListQuery) -> UserFilter {
    UserFilter {
        q: query.q().unwrap_or_default().to_owned(),
        status: query.filter("status").and_then(|word| word.parse().ok()),
        role: query.filter("role").and_then(|word| word.parse().ok()),
    }
}

/// `GET /i/{domain}/users`: owners.
pub async fn list(user: Owner, request: HttpRequest) -> Result<HttpResponse, AppError> {
    let spec = spec(user.path("/users"));
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = user.db.run(move |c| users::page(c, &filter, &paging)).await?;
    let row = |known: &User| {
        let name = Cell::text(&known.name);
        Row::new(known.id, user.path(&format!("/users/{}", known.id)))
            .cell(if known.id == user.id { name.note("This is you") } else { name })
            .cell(known.email.as_str())
            .cell(role_words(&known.roles))
            .cell(badge(known.status))
            .cell(Cell::time(&user.clock, known.last_sign_in_at))
    };
    let rows = slice.rows.iter().map(row).collect();
    let page =
        user.page("Users").action(Action::link("Invite user", user.path("/users/new")).icon(Icon::UserPlus));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

fn badge(status: UserStatus) -> Badge {
    let tone = match status {
        UserStatus::Invited => Tone::Waiting,
        UserStatus::Active => Tone::Good,
        UserStatus::Disabled => Tone::Held,
    };
    Badge::new(tone, status.label())
}

fn role_words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.label()).collect::<Vec<_>>().join(", ")
}

/// `GET /i/{domain}/users/new`: owners.
pub async fn new(user: Owner) -> Result<HttpResponse, AppError> {
    let mut form = new_form(&user).filled(FormData::default().with("roles", Role::Registrar));
    invitation(&mut form);
    Ok(html(&FormPage::new(new_page(&user), form))?)
}

/// `POST /i/{domain}/users`: owners.
pub async fn create(user: Owner, platform: State, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = new_form(&user).submitted(&data);
    if let Some(new) = invitation(&mut form) {
        let name = new.name.clone();
        let address = new.email.as_str().to_owned();
        let sent =
            institution_users::invite(&platform, &user.db, &user.institution, user.activity(), new).await;
        match told(sent)? {
            Ok(_) => {
                let limits = user.terms.limits.clone();
                let near = user.db.run(move |c| quota::nearly(c, &limits, Resource::Users, 1)).await;
                let text = format!("Invited {name}. A mail with a link is on its way to {address}.");
                user.flash(match near.ok().flatten() {
                    None => Notice::success(text),
                    Some((sentence, crossed)) => {
                        if crossed {
                            let told = sentence.clone();
                            notifications::limit_is_near(&platform, &user.db, &user.institution, told)
                                .await?;
                        }
                        Notice::warning(format!("{text} {sentence}"))
                    }
                })?;
                return Ok(see_other(user.path("/users")));
            }
            Err(text) if Limits::refuses(&text) => form.error("", text),
            Err(text) => form.error("email", text),
        }
    }
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(new_page(&user), form))?)
}

fn new_form(user: &InstitutionUser) -> Form {
    Form::new(user.path("/users")).submit("Send invitation").cancel(user.path("/users"))
}

fn new_page(user: &InstitutionUser) -> Page {
    user.page("Invite user")
        .crumb("Users", user.path("/users"))
        .intro("The person gets a mail with a link, chooses a password, and can sign in from then on.")
}

fn invitation(form: &mut Form) -> Option<NewUser> {
    let name = form.text("name", "Name").limit(200).autocomplete("off").required();
    let email = form
        .email("email", "E-mail")
        .hint("They sign in with it.")
        .autocomplete("off")
        .check(|text: &String| Email::parse(text).map(drop).map_err(|error| format!("{error}.")))
        .required();
    let roles = roles_field(form);
    form.read(|| Some(NewUser { email: Email::parse(&email?).ok()?, name: name?, roles }))
}

fn roles_field(form: &mut Form) -> Vec<Role> {
    let choices =
        Role::ALL.iter().map(|role| Choice::new(role.as_str(), role.label()).hint(role.explanation()));
    let roles: Vec<Role> =
        form.checkboxes("roles", "Roles", choices).iter().filter_map(|word| word.parse().ok()).collect();
    for field in
        form.groups.iter_mut().flat_map(|group| &mut group.fields).filter(|field| field.name == "roles")
    {
        field.optional = false;
    }
    if form.is_submitted() && roles.is_empty() {
        form.error("roles", "Choose at least one role.");
    }
    roles
}

/// `GET /i/{domain}/users/{id}`: owners.
pub async fn show(user: Owner, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let (known, log) = user
        .db
        .run(move |c| {
            let known = users::find(c, id)?;
            ModelResult::Ok((known, activity::for_record(c, "user", id, 30)?))
        })
        .await?;
    let own = user.path(&format!("/users/{id}"));
    let section = Section::new("User")
        .fact("Name", known.name.as_str())
        .fact("E-mail", Cell::email(&known.email))
        .fact("Roles", role_words(&known.roles))
        .fact("Invited", Cell::time(&user.clock, known.created_at))
        .fact("Last sign-in", Cell::time(&user.clock, known.last_sign_in_at));
    let mut record = Record::new().section(section);
    for action in actions(&own, &known, id == user.id) {
        record = record.action(action);
    }
    let entries = log.iter().map(|entry| activity_words::shown(&user.clock, entry, None)).collect();
    let record = record.history_of(Timeline { entries, more: None });
    let page = user
        .page(&known.name)
        .crumb("Users", user.path("/users"))
        .badge(badge(known.status))
        .action(Action::link("Edit user", format!("{own}/edit")).icon(Icon::Pencil));
    Ok(html(&RecordPage::new(page, record))?)
}

/// What can be done with a user now. Nobody shuts themselves out.
fn actions(own: &str, known: &User, oneself: bool) -> Vec<Action> {
    match known.status {
        UserStatus::Active if oneself => Vec::new(),
        UserStatus::Invited => vec![
            Action::post("Send the invitation again", format!("{own}/invitation")).icon(Icon::Mail),
            Action::post("Withdraw the invitation", format!("{own}/invitation/remove"))
                .icon(Icon::X)
                .danger(),
        ],
        UserStatus::Active => vec![
            Action::post("Send a password reset", format!("{own}/password-reset")).icon(Icon::Mail),
            Action::post("End all sessions", format!("{own}/sessions/remove")).icon(Icon::LogOut),
            Action::post("Disable user", format!("{own}/disabling")).icon(Icon::Ban),
            Action::ask("Remove user", format!("{own}/removal")).icon(Icon::Trash).danger(),
        ],
        UserStatus::Disabled => vec![
            Action::post("Enable user", format!("{own}/disabling/remove")).icon(Icon::Check),
            Action::ask("Remove user", format!("{own}/removal")).icon(Icon::Trash).danger(),
        ],
    }
}

/// `GET /i/{domain}/users/{id}/edit`: owners.
pub async fn edit(user: Owner, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let known = user.db.run(move |c| users::find(c, id)).await?;
    let mut form = edit_form(&user, id).filled(values(&known)).at_version(known.version);
    name_and_roles(&mut form);
    Ok(html(&FormPage::new(edit_page(&user, &known), form))?)
}

/// `POST /i/{domain}/users/{id}`: owners.
pub async fn update(
    user: Owner,
    platform: State,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let known = user.db.run(move |c| users::find(c, id)).await?;
    let mut form = edit_form(&user, id).submitted(&data);
    let version = form.posted_version().unwrap_or_default();
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    if let Some((name, roles)) = name_and_roles(&mut form) {
        let (activity, notice) = (user.activity(), Notice::success(format!("Saved {name}.")));
        let saved = institution_users::update(
            &platform,
            &user.db,
            activity,
            (id, version),
            (name, roles),
            user.session_id,
        );
        match told(saved.await)? {
            Ok(()) => {
                user.flash(notice)?;
                // Who is no owner any more cannot see this user's page.
                let own = if id == user.id { user.path("") } else { user.path(&format!("/users/{id}")) };
                return Ok(see_other(own));
            }
            Err(text) if known.version == version => form.error("roles", text),
            Err(text) => {
                form.conflict(text, &values(&known), known.version);
                status = StatusCode::CONFLICT;
            }
        }
    }
    Ok(html_with_status(status, &FormPage::new(edit_page(&user, &known), form))?)
}

fn name_and_roles(form: &mut Form) -> Option<(String, Vec<Role>)> {
    let name = form.text("name", "Name").limit(200).autocomplete("off").required();
    let roles = roles_field(form);
    form.read(|| Some((name?, roles)))
}

fn values(known: &User) -> FormData {
    known
        .roles
        .iter()
        .fold(FormData::default().with("name", &known.name), |data, role| data.with("roles", role))
}

fn edit_form(user: &InstitutionUser, id: Id) -> Form {
    let own = user.path(&format!("/users/{id}"));
    Form::new(own.as_str()).submit("Save user").cancel(own)
}

fn edit_page(user: &InstitutionUser, known: &User) -> Page {
    user.page(format!("Edit {}", known.name))
        .crumb("Users", user.path("/users"))
        .crumb(&known.name, user.path(&format!("/users/{}", known.id)))
}

/// `POST /i/{domain}/users/{id}/disabling`: owners.
pub async fn disable(user: Owner, platform: State, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let done = institution_users::disable(&platform, &user.db, user.activity(), id).await;
    let own = user.path(&format!("/users/{id}"));
    let undo = format!("{own}/disabling/remove");
    back(&user, own, told(done)?, |()| {
        Notice::success("The user is disabled and signed out everywhere.").undo(undo)
    })
}

/// `POST /i/{domain}/users/{id}/disabling/remove`: owners.
pub async fn enable(user: Owner, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let activity = user.activity();
    let done = user.db.run(move |c| users::enable(c, &activity, id)).await;
    let own = user.path(&format!("/users/{id}"));
    back(&user, own, told(done)?, |()| Notice::success("The user can sign in again."))
}

/// `POST /i/{domain}/users/{id}/password-reset`: owners; only the user ever sees the link.
pub async fn send_reset(
    user: Owner,
    platform: State,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let institution = user.institution.id;
    let sent = institution_users::send_reset(&platform, &user.db, institution, user.activity(), id).await;
    let sent = match sent {
        Err(AccountError::Model(error)) => Err(error),
        Err(error) => return Err(error.into()),
        Ok(known) => Ok(known),
    };
    back(&user, user.path(&format!("/users/{id}")), told(sent)?, |known| {
        let sentence =
            format!("{} gets a link to a new password by e-mail. It works for 30 minutes.", known.name);
        Notice::success(sentence)
    })
}

/// `POST /i/{domain}/users/{id}/sessions/remove`: owners.
pub async fn end_sessions(
    user: Owner,
    platform: State,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let ended = institution_users::sign_out(&platform, &user.db, user.activity(), id, user.session_id).await;
    back(&user, user.path(&format!("/users/{id}")), told(ended)?, |known| {
        Notice::success(format!("{} is signed out everywhere, and can sign in again.", known.name))
    })
}

/// `POST /i/{domain}/users/{id}/invitation`: owners.
pub async fn invite_again(
    user: Owner,
    platform: State,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let sent =
        institution_users::send_invitation(&platform, &user.db, &user.institution, &user.name, id).await;
    let own = user.path(&format!("/users/{id}"));
    back(&user, own, told(sent)?, |()| {
        Notice::success("A new invitation is on its way. Earlier links no longer work.")
    })
}

/// `POST /i/{domain}/users/{id}/invitation/remove`: owners.
pub async fn withdraw(
    user: Owner,
    platform: State,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let known = user.db.run(move |c| users::find(c, id)).await?;
    if known.status != UserStatus::Invited {
        user.flash(Notice::error(format!(
            "{} has accepted already. You can disable or remove the user.",
            known.name
        )))?;
        return Ok(see_other(user.path(&format!("/users/{id}"))));
    }
    let gone = institution_users::remove(&platform, &user.db, user.institution.id, user.activity(), id).await;
    back(&user, user.path("/users"), told(gone)?, |gone| {
        Notice::success(format!("Withdrew the invitation of {gone}."))
    })
}

/// `GET /i/{domain}/users/{id}/removal`: owners.
pub async fn ask_remove(user: Owner, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let known = user.db.run(move |c| users::find(c, id)).await?;
    let own = user.path(&format!("/users/{id}"));
    let confirm = Confirm::new(format!("{own}/removal"), "Remove user")
        .says(format!("{} ({}) is signed out and can no longer sign in.", known.name, known.email))
        .says("What they did stays in the activity log, under their name.")
        .undo("This cannot be undone, but you can invite the same person again.")
        .danger()
        .cancel(own.as_str());
    let page = user
        .page(format!("Remove {}", known.name))
        .crumb("Users", user.path("/users"))
        .crumb(&known.name, own);
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /i/{domain}/users/{id}/removal`: owners.
pub async fn remove(user: Owner, platform: State, RecordId(id): RecordId) -> Result<HttpResponse, AppError> {
    let gone = institution_users::remove(&platform, &user.db, user.institution.id, user.activity(), id).await;
    back(&user, user.path("/users"), told(gone)?, |gone| Notice::success(format!("Removed {gone}.")))
}

/// Goes on with the good news, or back to where the refusal can be read.
fn back<T>(
    user: &InstitutionUser,
    path: String,
    outcome: Result<T, String>,
    good: impl FnOnce(T) -> Notice,
) -> Result<HttpResponse, AppError> {
    user.flash(outcome.map_or_else(Notice::error, good))?;
    Ok(see_other(path))
}
