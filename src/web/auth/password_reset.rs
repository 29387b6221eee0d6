//! `/password-reset`: a link by mail, and the page behind it.

use std::time::Duration;

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};

use super::{
    identity,
    new_password::new_password,
    sign_in,
    throttle::{slow_down, subject_of},
};
use crate::{
    error::AppError,
    models::platform::{
        account_tokens::Purpose,
        throttles::{self, Rule},
    },
    services::accounts::{self, Account},
    web::{
        State,
        client::Client,
        forms::{Form, FormData, FormPage},
        page::{Notice, Page},
        public::narrow_page,
        respond::{html, html_with_status, see_other},
    },
};

/// How long the work for a known e-mail waits: begun at once, it slows its own answer by a millisecond or two.
const AFTER_THE_ANSWER: Duration = Duration::from_millis(300);
/// Mails to one account: a stranger who asks on and on fills nobody's mailbox. A link lives for longer than
/// the longest wait.
const RESETS: Rule = Rule { free: 5, longest_seconds: 15 * 60 };

/// `GET /password-reset`: everybody.
pub async fn show(request: HttpRequest) -> Result<HttpResponse, AppError> {
    Ok(html(&FormPage::new(ask_page(&request), ask_form(None).0))?)
}

/// `POST /password-reset`: everybody; the answer never tells whether the e-mail has an account.
pub async fn submit(
    request: HttpRequest,
    session: Session,
    platform: State,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let (form, email) = ask_form(Some(&data));
    let Some(email) = email else {
        return Ok(html_with_status(
            StatusCode::UNPROCESSABLE_ENTITY,
            &FormPage::new(ask_page(&request), form),
        )?);
    };
    let address = format!("reset:{}", Client::of(&request).ip);
    slow_down(&platform, address, throttles::ADDRESS).await?;
    // Counted whether the e-mail has an account or not, and answered the same: the last link still works.
    match slow_down(&platform, format!("reset:{}", subject_of(&platform, &email)), RESETS).await {
        Ok(()) => send_later(platform, email),
        Err(AppError::TooMany(_)) => {}
        Err(error) => return Err(error),
    }
    identity::flash(
        &session,
        Notice::success(
            "If there is an account with this e-mail, a link to choose a new password is on its way.",
        ),
    )?;
    Ok(see_other("/sign-in"))
}

/// Sends after the answer, so that its time does not tell whether there is an account.
fn send_later(platform: State, email: String) {
    actix_web::rt::spawn(async move {
        actix_web::rt::time::sleep(AFTER_THE_ANSWER).await;
        if let Err(error) = accounts::send_reset(&platform, &email).await {
            log::error!("password reset not sent cause={:?}", error.to_string());
        }
    });
}

/// `GET /password-reset/{token}`: who holds the token.
pub async fn show_new(
    request: HttpRequest,
    platform: State,
    token: Path<String>,
) -> Result<HttpResponse, AppError> {
    accounts::behind_link(&platform, &token, Purpose::PasswordReset).await?;
    Ok(html(&FormPage::new(new_page(&request), new_form(&token, None, &[]).0))?)
}

/// `POST /password-reset/{token}`: who holds the token; it works once and signs nobody in.
pub async fn submit_new(
    request: HttpRequest,
    session: Session,
    platform: State,
    token: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let link = accounts::behind_link(&platform, &token, Purpose::PasswordReset).await?;
    let user_id = link.user_id.ok_or(AppError::NotFound)?;
    let account = Account { institution_id: link.institution_id, user_id };
    let (name, email) = accounts::name_and_email(&platform, account).await?;
    let (form, password) = new_form(&token, Some(&data), &[&name, email.as_str()]);
    let Some(password) = password else {
        return Ok(html_with_status(
            StatusCode::UNPROCESSABLE_ENTITY,
            &FormPage::new(new_page(&request), form),
        )?);
    };
    let actor = Client::of(&request).actor(user_id, &name);
    accounts::reset_password(&platform, &link, account, actor, &password).await?;
    identity::flash(&session, sign_in::password_set())?;
    Ok(see_other("/sign-in"))
}

fn ask_form(data: Option<&FormData>) -> (Form, Option<String>) {
    let mut form = Form::new("/password-reset").submit("Send link").cancel("/sign-in").unguarded();
    if let Some(data) = data {
        form = form.submitted(data);
    }
    let email = form.email("email", "E-mail").autocomplete("username").required();
    (form, email)
}

fn new_form(token: &str, data: Option<&FormData>, context: &[&str]) -> (Form, Option<String>) {
    let mut form = Form::new(format!("/password-reset/{token}")).submit("Set password").unguarded();
    if let Some(data) = data {
        form = form.submitted(data);
    }
    let password = new_password(&mut form, context);
    (form, password)
}

fn ask_page(request: &HttpRequest) -> Page {
    narrow_page(request, "Reset your password").intro("We send you a link. It works once, for 30 minutes.")
}

fn new_page(request: &HttpRequest) -> Page {
    narrow_page(request, "Choose a new password").intro("You are signed out everywhere once it is set.")
}
