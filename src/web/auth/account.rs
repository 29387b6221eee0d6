//! `/account`: what everybody who is signed in may do with their own account.

use actix_session::Session;
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Path};
use askama::Template;
use futures_util::future::LocalBoxFuture;

use super::{Identity, Somebody, identity, new_password::new_password};
use crate::{
    db::Id,
    error::AppError,
    models::{
        ModelResult,
        platform::{
            security_log::{self, SecurityEntry},
            sessions,
        },
    },
    services::accounts::{self, Account},
    web::{
        State,
        client::{Client, browser_name},
        forms::{Form, FormData},
        page::{Notice, Page},
        respond::{html, html_with_status, see_other},
        time::{Clock, When},
    },
};

/// Anybody who is signed in, checked on this very request.
pub struct SignedIn {
    who: Identity,
    me: Somebody,
    session: Session,
    client: Client,
}

impl SignedIn {
    pub(super) fn account(&self) -> Account {
        Account { institution_id: self.who.institution_id, user_id: self.who.user_id }
    }

    pub(super) fn somebody(&self) -> &Somebody {
        &self.me
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }
}

impl FromRequest for SignedIn {
    type Error = AppError;
    type Future = LocalBoxFuture<'static, Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let session = Session::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let session = session.await.map_err(|error| AppError::internal(error.to_string()))?;
            let who = Identity::required(&session, &request)?;
            let me = Somebody::of(&request, &session, who).await?;
            Ok(Self { who, me, session, client: Client::of(&request) })
        })
    }
}

#[derive(Template)]
#[template(path = "auth/account.html")]
struct AccountView {
    page: Page,
    password: Form,
    sessions: Vec<SessionLine>,
    events: Vec<EventLine>,
}

struct SessionLine {
    id: Id,
    here: bool,
    browser: String,
    ip: String,
    since: When,
    seen: When,
}

struct EventLine {
    what: &'static str,
    browser: String,
    ip: String,
    at: When,
}

/// `GET /account`: everybody who is signed in.
pub async fn show(me: SignedIn, platform: State) -> Result<HttpResponse, AppError> {
    Ok(html(&view(&me, &platform, password_form(None, &[]).0).await?)?)
}

/// `POST /account/password`: needs the present password; ends every other session.
pub async fn change_password(
    me: SignedIn,
    platform: State,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let (mut form, passwords) = password_form(Some(&data), &[me.me.name(), me.me.email()]);
    let Some((current, new)) = passwords else {
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view(&me, &platform, form).await?)?);
    };
    let throttle = super::throttle::Throttle::new(&platform, me.me.email(), &me.client);
    throttle.enter(&platform).await?;
    if !accounts::proves(&platform, me.account(), &current).await? {
        throttle.refused(&platform, &me.client, &[me.account()]).await?;
        form.error("current_password", "This is not your present password.");
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view(&me, &platform, form).await?)?);
    }
    throttle.forgive(&platform).await?;
    let actor = me.client.actor(me.who.user_id, me.me.name());
    accounts::change_password(&platform, me.account(), actor, &new, me.who.session_id).await?;
    me.session.renew();
    identity::flash(
        &me.session,
        Notice::success("Your password is changed. You are signed out everywhere else."),
    )?;
    Ok(see_other("/account"))
}

/// `GET /account/sessions/current`: everybody; for how many seconds they stay signed in, which this very
/// request prolongs. A form that is being filled in asks, so that nobody types into the void.
pub async fn session_left(session: Session, platform: State) -> Result<HttpResponse, AppError> {
    let left = match Identity::of(&session) {
        Some(who) => seconds_left(&platform, who).await?,
        None => 0,
    };
    Ok(HttpResponse::Ok().json(serde_json::json!({ "seconds_left": left })))
}

async fn seconds_left(platform: &State, who: Identity) -> Result<i64, AppError> {
    let limits = &platform.settings.limits;
    let idle = if who.institution_id.is_some() { limits.institution_idle } else { limits.super_admin_idle };
    let end = platform.shared.run(move |c| sessions::absolute_end(c, who.session_id)).await?;
    let left = end.map_or(0, |end| (end - crate::db::now()).num_seconds());
    Ok(left.clamp(0, i64::try_from(idle.as_secs()).unwrap_or(i64::MAX)))
}

/// `POST /account/sessions/{id}/remove`: ends one of one's own sessions.
pub async fn end_session(me: SignedIn, platform: State, id: Path<String>) -> Result<HttpResponse, AppError> {
    let id: Id = id.parse().map_err(|_| AppError::NotFound)?;
    let user = me.who.user_id;
    platform.shared.run(move |c| sessions::end_one(c, user, id)).await?;
    if id == me.who.session_id {
        me.session.purge();
        return Ok(see_other("/sign-in"));
    }
    identity::flash(&me.session, Notice::success("The session is ended."))?;
    Ok(see_other("/account"))
}

/// `POST /account/sessions/remove`: ends all of one's sessions but this one.
pub async fn end_other_sessions(me: SignedIn, platform: State) -> Result<HttpResponse, AppError> {
    let (user, keep) = (me.who.user_id, me.who.session_id);
    let ended = platform.shared.run(move |c| sessions::end_all_of_user(c, user, Some(keep))).await?;
    let text = format!("You are signed out everywhere else ({ended} ended).");
    identity::flash(&me.session, Notice::success(text))?;
    Ok(see_other("/account"))
}

async fn view(me: &SignedIn, platform: &State, password: Form) -> Result<AccountView, AppError> {
    let (user, here) = (me.who.user_id, me.who.session_id);
    let (sessions, events) = platform
        .shared
        .run(move |c| ModelResult::Ok((sessions::of_user(c, user)?, security_log::of_user(c, user, 10)?)))
        .await?;
    let clock = me.me.clock();
    let sessions = sessions
        .into_iter()
        .map(|session| SessionLine {
            id: session.id,
            here: session.id == here,
            browser: browser_name(&session.user_agent),
            ip: session.ip,
            since: clock.when(session.created_at),
            seen: clock.when(session.last_seen_at),
        })
        .collect();
    let events = events.into_iter().map(|entry| event_line(clock, entry)).collect();
    Ok(AccountView { page: me.me.page("Your account"), password, sessions, events })
}

fn event_line(clock: Clock, entry: SecurityEntry) -> EventLine {
    let what = match entry.event.as_str() {
        "sign_in" => "Signed in",
        "sign_in.refused" => "Wrong password",
        "password.changed" => "Password changed",
        "invitation.accepted" => "Invitation accepted",
        _ => "Account changed",
    };
    EventLine { what, browser: browser_name(&entry.user_agent), ip: entry.ip, at: clock.when(entry.at) }
}

fn password_form(data: Option<&FormData>, context: &[&str]) -> (Form, Option<(String, String)>) {
    let mut form = Form::new("/account/password").submit("Change password").unguarded();
    if let Some(data) = data {
        form = form.submitted(data);
    }
    let current = form.password("current_password", "Present password").required();
    let new = new_password(&mut form, context);
    (form, current.zip(new))
}
