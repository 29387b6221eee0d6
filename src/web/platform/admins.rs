//! `/platform/admins`: the people who run the platform.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};

use super::{
    acting::{self, settled},
    list_file::ListFile,
};
use crate::{
    db::{Id, shared::SharedConn},
    error::AppError,
    models::{
        ModelError, ModelResult,
        platform::{
            account_tokens::{self, Holder, Purpose},
            admins::{self, AdminFilter, AdminRole, AdminStatus, NewAdmin, PlatformAdmin},
        },
        text::Email,
    },
    services::{
        accounts::{self, Account},
        mail_texts::Recipient,
        outbox,
        tokens::Token,
    },
    web::{
        RecordId, State,
        auth::{AnyAdmin, Auditor, SuperAdmin},
        badge::{Badge, Tone},
        cell::Cell,
        confirm::{Confirm, ConfirmPage},
        csv_file::moment,
        forms::{Choice, Chosen, Form, FormData, FormPage},
        icons::Icon,
        list::{Column, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice, Page},
        respond::{html, html_with_status, see_other},
        time::Clock,
        words::Noun,
    },
};

const PATH: &str = "/platform/admins";
/// How long an invitation is good for, in words.
const VALID_FOR: &str = "7 days";

const COLUMNS: &[Column] = &[
    Column::new("name", "Name").sortable(),
    Column::new("role", "Role").sortable(),
    Column::new("status", "Status").sortable(),
    Column::new("signed_in", "Last sign-in").sortable(),
    Column::new("created", "Since").sortable().minor(),
];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("admin", "admins"), COLUMNS)
        .search("Name or e-mail")
        .filter(Filter::one_of("role", "Role", Choice::all::<AdminRole>()))
        .filter(Filter::one_of("status", "Status", Choice::all::<AdminStatus>()))
        .csv()
}

fn filter(query: &ListQuery) -> AdminFilter {
    AdminFilter {
        q: query.q().unwrap_or_default().to_owned(),
        role: query.chosen("role"),
        status: query.chosen("status"),
    }
}

fn badge(status: AdminStatus) -> Badge {
    let tone = match status {
        AdminStatus::Invited => Tone::Waiting,
        AdminStatus::Active => Tone::Good,
        AdminStatus::Disabled => Tone::Held,
    };
    Badge::new(tone, status.label())
}

/// `GET /platform/admins`: super admins.
pub async fn list(request: HttpRequest, platform: State, admin: Auditor) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let (filter, paging) = (filter(&query), query.paging());
    let slice = platform.shared.run(move |c| admins::page(c, &filter, &paging)).await?;
    let clock = Clock::utc();
    let rows = slice.rows.into_iter().map(|found| row(&clock, &admin, found)).collect();
    let mut page = admin.page("Admins").intro("They run the platform, each by their role.");
    if admin.is_super_admin() {
        page = page.action(Action::link("Invite admin", format!("{PATH}/new")).icon(Icon::UserPlus));
    }
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `GET /platform/admins.csv`: super admins; all that match, the newest first.
pub async fn export(request: HttpRequest, platform: State, admin: Auditor) -> Result<HttpResponse, AppError> {
    let query = ListQuery::parse(&spec(), request.query_string());
    ListFile {
        name: "admins.csv",
        action: "platform_admins.exported",
        heads: &["name", "email", "role", "status", "last_sign_in_at", "created_at"],
        key: |admin: &PlatformAdmin| admin.id,
        cells: |admin| {
            vec![
                admin.name,
                admin.email,
                admin.role.as_str().to_owned(),
                admin.status.as_str().to_owned(),
                admin.last_sign_in_at.map(moment).unwrap_or_default(),
                moment(admin.created_at),
            ]
        },
        page: admins::page,
        after: admins::older_than,
    }
    .send(&platform, &admin, &query, filter(&query))
    .await
}

fn row(clock: &Clock, me: &AnyAdmin, found: PlatformAdmin) -> Row {
    let path = format!("{PATH}/{}", found.id);
    let you = if found.id == me.id { " (you)" } else { "" };
    let row = Row::plain(found.id)
        .cell(Cell::text(format!("{}{you}", found.name)).note(found.email))
        .cell(found.role.label())
        .cell(badge(found.status))
        .cell(Cell::time(clock, found.last_sign_in_at))
        .cell(Cell::time(clock, found.created_at));
    if !me.is_super_admin() {
        return row;
    }
    let row =
        if found.id == me.id { row } else { row.action(Action::link("Change role", format!("{path}/role"))) };
    let disable = || Action::ask("Disable admin", format!("{path}/disabling")).danger();
    match found.status {
        AdminStatus::Invited => {
            row.action(Action::post("Send invitation again", format!("{path}/invitation"))).action(disable())
        }
        AdminStatus::Active if found.id != me.id => row
            .action(Action::post("Send password reset", format!("{path}/password-reset")))
            .action(Action::post("End sessions", format!("{path}/sessions/remove")))
            .action(disable()),
        AdminStatus::Active => row,
        AdminStatus::Disabled => row.action(Action::post("Enable admin", format!("{path}/disabling/remove"))),
    }
}

/// `GET /platform/admins/new`: super admins.
pub async fn ask_invite(admin: SuperAdmin) -> Result<HttpResponse, AppError> {
    let mut form = blank();
    fields(&mut form);
    Ok(html(&FormPage::new(invite_page(&admin), form))?)
}

/// `POST /platform/admins`: super admins; the invited person chooses a password by a link.
pub async fn invite(platform: State, admin: SuperAdmin, data: FormData) -> Result<HttpResponse, AppError> {
    let mut form = blank().submitted(&data);
    if let Some((name, email, role)) = fields(&mut form) {
        let invited_name = name.clone();
        let (audit, state, inviter) = (admin.audit(&platform), platform.clone(), admin.name.clone());
        let outcome = platform
            .shared
            .run(move |c| {
                c.write_tx(|c| {
                    let normalised = email.normalised();
                    let new =
                        NewAdmin { email: email.as_str(), email_normalised: &normalised, name: &name, role };
                    let invited = admins::invite(c, &audit, &new)?;
                    send_invitation(c, &state, &invited, &inviter)?;
                    if role == AdminRole::SuperAdmin {
                        tell_the_others(c, &state, &invited, &inviter)?;
                    }
                    ModelResult::Ok(())
                })
            })
            .await;
        match outcome {
            Ok(()) => {
                admin.flash(Notice::success(format!(
                    "{invited_name} is invited by e-mail. The link works for {VALID_FOR}."
                )))?;
                return Ok(see_other(PATH));
            }
            Err(ModelError::Refused(sentence)) => form.error("email", sentence),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(invite_page(&admin), form))?)
}

fn invite_page(admin: &AnyAdmin) -> Page {
    admin
        .page("Invite admin")
        .crumb("Admins", PATH)
        .intro("They sign in on the same page as everybody, and see what their role allows.")
}

fn blank() -> Form {
    Form::new(PATH).submit("Send invitation").cancel(PATH)
}

fn fields(form: &mut Form) -> Option<(String, Email, AdminRole)> {
    let name = form.text("name", "Name").required();
    let email = form
        .email("email", "E-mail")
        .hint("They choose their own password, and sign in with this address.")
        .check(|text: &String| Email::parse(text).map(|_| ()).map_err(|error| format!("{error}.")))
        .required();
    let role = role_field(form);
    form.read(|| Some((name?, Email::parse(&email?).ok()?, role?)))
}

/// The roles with what each allows.
fn role_field(form: &mut Form) -> Option<AdminRole> {
    let roles = AdminRole::ALL
        .iter()
        .map(|role| Choice::new(role.as_str(), format!("{}. {}", role.label(), role.explanation())));
    form.select("role", "Role", roles).radios().required().and_then(|Chosen(word)| word.parse().ok())
}

/// Puts a fresh link into the outbox; earlier links of this person no longer work.
fn send_invitation(
    c: &mut SharedConn,
    platform: &State,
    invited: &PlatformAdmin,
    inviter: &str,
) -> ModelResult<()> {
    let token = Token::generate().map_err(|error| ModelError::Refused(format!("{error}.")))?;
    let holder = Holder { institution_id: None, user_id: Some(invited.id) };
    account_tokens::create(c, Purpose::Invitation, holder, &token.hash(), Purpose::Invitation.lifetime())?;
    let email = Email::parse(&invited.email).map_err(|error| ModelError::Refused(format!("{error}.")))?;
    let link = platform.link(&format!("/invitations/{}", token.reveal()));
    let to = Recipient { email: &email, name: &invited.name };
    let message = platform.mail_texts.platform_invitation(to, inviter, &link, VALID_FOR);
    outbox::enqueue(c, &platform.keys, None, &message)
}

/// Nobody becomes a super admin unseen.
fn tell_the_others(
    c: &mut SharedConn,
    platform: &State,
    new: &PlatformAdmin,
    inviter: &str,
) -> ModelResult<()> {
    for other in admins::all_active(c)? {
        let Ok(email) = Email::parse(&other.email) else { continue };
        let to = Recipient { email: &email, name: &other.name };
        let message = platform.mail_texts.new_super_admin(to, &new.name, inviter, &platform.link(PATH));
        outbox::enqueue(c, &platform.keys, None, &message)?;
    }
    Ok(())
}

/// `GET /platform/admins/{id}/role`: super admins.
pub async fn ask_role(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let found = platform.shared.run(move |c| admins::find(c, id)).await?;
    let mut form = role_form(id).filled(FormData::default().with("role", found.role));
    role_field(&mut form);
    Ok(html(&FormPage::new(role_page(&admin, &found), form))?)
}

/// `POST /platform/admins/{id}/role`: super admins; never one's own, never the last super admin's.
pub async fn change_role(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let found = platform.shared.run(move |c| admins::find(c, id)).await?;
    let mut form = role_form(id).submitted(&data);
    let Some(role) = role_field(&mut form) else {
        let view = FormPage::new(role_page(&admin, &found), form);
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?);
    };
    let (audit, state, by) = (admin.audit(&platform), platform.clone(), admin.name.clone());
    let change = move |c: &mut SharedConn| {
        c.write_tx(|c| {
            let changed = admins::change_role(c, &audit, id, role)?;
            if role == AdminRole::SuperAdmin {
                tell_the_others(c, &state, &changed, &by)?;
            }
            ModelResult::Ok(changed)
        })
    };
    let outcome = platform.shared.run(change).await;
    let done = |now: PlatformAdmin| {
        Notice::success(format!("{} is now {}.", now.name, now.role.label().to_lowercase()))
    };
    settled(&admin, outcome, done, PATH)
}

fn role_form(id: Id) -> Form {
    Form::new(format!("{PATH}/{id}/role")).submit("Change role").cancel(PATH)
}

fn role_page(admin: &AnyAdmin, found: &PlatformAdmin) -> Page {
    admin.page(format!("Role of {}", found.name)).crumb("Admins", PATH)
}

/// `POST /platform/admins/{id}/invitation`: super admins; the earlier link no longer works.
pub async fn invite_again(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let (state, inviter) = (platform.clone(), admin.name.clone());
    let outcome = platform
        .shared
        .run(move |c| {
            c.write_tx(|c| {
                let invited = admins::find(c, id)?;
                if invited.status != AdminStatus::Invited {
                    let sentence = format!("{} is {}.", invited.name, invited.status.label().to_lowercase());
                    return Err(ModelError::Changed(sentence));
                }
                send_invitation(c, &state, &invited, &inviter)?;
                Ok(invited)
            })
        })
        .await;
    let done = |again: PlatformAdmin| Notice::success(format!("{} gets a new link by e-mail.", again.name));
    settled(&admin, outcome, done, PATH)
}

/// `POST /platform/admins/{id}/password-reset`: super admins; only the admin ever sees the link.
pub async fn send_reset(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let audit = admin.audit(&platform);
    let outcome = platform.shared.run(move |c| admins::reset_sent(c, &audit, id)).await;
    if outcome.is_ok() {
        accounts::send_reset_link(&platform, Account { institution_id: None, user_id: id }).await?;
    }
    let done = |known: PlatformAdmin| {
        let sentence =
            format!("{} gets a link to a new password by e-mail. It works for 30 minutes.", known.name);
        Notice::success(sentence)
    };
    settled(&admin, outcome, done, PATH)
}

/// `POST /platform/admins/{id}/sessions/remove`: super admins.
pub async fn end_sessions(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    change(platform, admin, id, admins::sign_out, "signed out everywhere").await
}

/// `GET /platform/admins/{id}/disabling`: super admins.
pub async fn ask_disable(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let found = platform.shared.run(move |c| admins::find(c, id)).await?;
    let page = admin.page(format!("Disable {}?", found.name)).crumb("Admins", PATH);
    let confirm = Confirm::new(format!("{PATH}/{id}/disabling"), "Disable admin")
        .says(format!("{} is signed out everywhere at once and cannot sign in any more.", found.name))
        .undo("What they did stays in the audit log. You can enable them at any time.")
        .danger()
        .cancel(PATH);
    Ok(html(&ConfirmPage::new(page, confirm))?)
}

/// `POST /platform/admins/{id}/disabling`: super admins; never oneself, never the last one.
pub async fn disable(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    change(platform, admin, id, admins::disable, "disabled").await
}

/// `POST /platform/admins/{id}/disabling/remove`: super admins.
pub async fn enable(
    platform: State,
    admin: SuperAdmin,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    change(platform, admin, id, admins::enable, "enabled").await
}

async fn change(
    platform: State,
    admin: SuperAdmin,
    id: Id,
    act: fn(&mut SharedConn, &crate::models::platform::audit::Audit, Id) -> ModelResult<PlatformAdmin>,
    word: &'static str,
) -> Result<HttpResponse, AppError> {
    let done = |now: PlatformAdmin| Notice::success(format!("{} is {word}.", now.name));
    acting::act(&platform, &admin, move |c, audit| act(c, audit, id), done, PATH).await
}
