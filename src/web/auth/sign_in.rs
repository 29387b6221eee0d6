//! `/sign-in`, `/sign-in/choice`, `/sign-out`: one page for everybody who signs in.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use serde::Deserialize;

use super::{
    identity::{self, Identity},
    throttle::Throttle,
};
use crate::{
    db::Id,
    error::AppError,
    models::platform::institutions,
    services::accounts::{self, Account, AccountError},
    web::{
        State,
        client::Client,
        forms::{Choice, Chosen, Form, FormData, FormPage},
        page::{Notice, Page, Width},
        public,
        respond::{html, html_with_status, local_path, see_other},
    },
};

/// Where to go after signing in.
#[derive(Debug, Default, Deserialize)]
pub struct Return {
    /// A local path.
    #[serde(default, rename = "return")]
    path: String,
}

#[derive(Template)]
#[template(path = "auth/sign_in.html")]
struct SignInView {
    page: Page,
    form: Form,
}

struct Credentials {
    email: String,
    password: String,
}

/// `GET /sign-in`: everybody.
pub async fn show(
    request: HttpRequest,
    session: Session,
    back: actix_web::web::Query<Return>,
) -> Result<HttpResponse, AppError> {
    let (form, _) = sign_in_form(&FormData::default().with("return", &back.path), false);
    Ok(html(&SignInView { page: page(&request, &session), form })?)
}

/// `POST /sign-in`: everybody, slowed down per account and per address.
pub async fn submit(
    request: HttpRequest,
    session: Session,
    platform: State,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let (mut form, credentials) = sign_in_form(&data, true);
    let Some(credentials) = credentials else {
        let view = SignInView { page: page(&request, &session), form };
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?);
    };
    let client = Client::of(&request);
    let throttle = Throttle::new(&platform, &credentials.email, &client);
    throttle.enter(&platform).await?;
    let attempt = match accounts::attempt(&platform, &credentials.email, &credentials.password).await {
        Ok(attempt) => attempt,
        Err(error) => {
            throttle.take_back(&platform).await?;
            return Err(error.into());
        }
    };
    let back = data.get("return").unwrap_or_default();
    if !attempt.opened.is_empty() {
        throttle.forgive(&platform).await?;
    }
    match attempt.opened.as_slice() {
        [] => {
            throttle.refused(&platform, &client, &attempt.tried).await?;
            form.error(
                "",
                "The e-mail and password do not match an account that is open. Check both and try again.",
            );
            let view = SignInView { page: page(&request, &session), form };
            Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
        }
        [account] => enter(&platform, &session, &client, *account, back).await,
        several => {
            let offered: Vec<_> = several.iter().map(|a| (a.institution_id, a.user_id)).collect();
            identity::offer_choice(&session, &offered)?;
            let choice = match local_path(back) {
                "/" => "/sign-in/choice".to_owned(),
                path => {
                    let path =
                        percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC);
                    format!("/sign-in/choice?return={path}")
                }
            };
            Ok(see_other(choice))
        }
    }
}

/// `GET /sign-in/choice`: who has just proved a password that opens several accounts.
pub async fn choose(
    request: HttpRequest,
    session: Session,
    platform: State,
    back: actix_web::web::Query<Return>,
) -> Result<HttpResponse, AppError> {
    let offered = identity::offered_choice(&session);
    if offered.is_empty() {
        return Ok(see_other("/sign-in"));
    }
    let data = FormData::default().with("return", &back.path);
    let (form, _) = choice_form(&platform, &offered, &data, false).await?;
    Ok(html(&FormPage::new(page(&request, &session).title("Choose where to work"), form))?)
}

/// `POST /sign-in/choice`: as above; only an account that was offered can be chosen.
pub async fn submit_choice(
    request: HttpRequest,
    session: Session,
    platform: State,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let offered = identity::offered_choice(&session);
    let (form, chosen) = choice_form(&platform, &offered, &data, true).await?;
    let account = chosen.and_then(|user_id| offered.iter().find(|(_, user)| *user == user_id));
    match account {
        Some((institution_id, user_id)) => {
            let account = Account { institution_id: *institution_id, user_id: *user_id };
            let back = data.get("return").unwrap_or_default();
            enter(&platform, &session, &Client::of(&request), account, back).await
        }
        None if offered.is_empty() => Ok(see_other("/sign-in")),
        None => {
            let view = FormPage::new(page(&request, &session).title("Choose where to work"), form);
            Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?)
        }
    }
}

/// `POST /sign-out`: everybody; ends the session and clears what the browser kept.
pub async fn sign_out(session: Session) -> HttpResponse {
    session.purge();
    HttpResponse::SeeOther()
        .insert_header(("Location", "/sign-in"))
        .insert_header(("Clear-Site-Data", "\"cache\", \"storage\""))
        .finish()
}

async fn enter(
    platform: &State,
    session: &Session,
    client: &Client,
    account: Account,
    back: &str,
) -> Result<HttpResponse, AppError> {
    let home = match account.institution_id {
        None => "/platform".to_owned(),
        Some(id) => {
            let institution = platform.shared.run(move |c| institutions::find(c, id)).await?;
            format!("/i/{}", institution.domain)
        }
    };
    accounts::note_sign_in(platform, account, client.visitor("")).await?;
    Identity::sign_in(session, client, account.user_id, account.institution_id)?;
    // Another account's page would be a 404; only a page of this one is worth going back to.
    let back = local_path(back);
    Ok(see_other(if lies_under(back, &home) { back } else { &home }))
}

/// Whether a path is `home` or lies under it, compared by whole segments.
fn lies_under(path: &str, home: &str) -> bool {
    let path_only = path.split(['?', '#']).next().unwrap_or_default();
    let under = path_only.strip_prefix(home).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // A browser walks up at ".." (or "%2e%2e"), away from where the text says that it leads.
    under
        && !path_only
            .split('/')
            .any(|part| matches!(part.replace("%2e", ".").replace("%2E", ".").as_str(), ".." | "."))
}

fn sign_in_form(data: &FormData, submitted: bool) -> (Form, Option<Credentials>) {
    let mut form = Form::new("/sign-in").submit("Sign in").unguarded();
    form = if submitted { form.submitted(data) } else { form.filled(data.clone()) };
    form = form.hidden("return", local_path(data.get("return").unwrap_or_default()));
    let email = form.email("email", "E-mail").autocomplete("username").required();
    let password = form.password("password", "Password").autocomplete("current-password").required();
    let credentials = match (email, password) {
        (Some(email), Some(password)) => Some(Credentials { email, password }),
        _ => None,
    };
    (form, credentials)
}

async fn choice_form(
    platform: &State,
    offered: &[(Option<Id>, Id)],
    data: &FormData,
    submitted: bool,
) -> Result<(Form, Option<Id>), AppError> {
    let ids: Vec<Id> = offered.iter().filter_map(|(institution, _)| *institution).collect();
    let names = platform.shared.run(move |c| institutions::names(c, &ids)).await?;
    let label = |institution: &Option<Id>| match institution {
        None => "Platform administration".to_owned(),
        Some(id) => {
            names.iter().find(|(known, _)| known == id).map_or_else(String::new, |(_, name)| name.clone())
        }
    };
    let choices: Vec<Choice> =
        offered.iter().map(|(institution, user)| Choice::new(user.to_string(), label(institution))).collect();
    let mut form = Form::new("/sign-in/choice").submit("Continue").unguarded();
    form = if submitted { form.submitted(data) } else { form.filled(data.clone()) };
    form = form.hidden("return", local_path(data.get("return").unwrap_or_default()));
    let chosen = form
        .select("account", "Where do you want to work?", choices)
        .radios()
        .missing("Choose where you want to work.")
        .required();
    Ok((form, chosen.and_then(|Chosen(value)| value.parse().ok())))
}

fn page(request: &HttpRequest, session: &Session) -> Page {
    public::page(request, session, "Sign in").width(Width::Narrow)
}

impl From<AccountError> for AppError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Busy => Self::Unavailable("Many people are signing in at this moment.".into(), 3),
            AccountError::LinkExpired => Self::LinkExpired,
            AccountError::Model(error) => error.into(),
            AccountError::Tenant(error) => error.into(),
            cause @ AccountError::Internal(_) => Self::internal(cause),
        }
    }
}

/// Message for a page after a password was set.
pub(super) fn password_set() -> Notice {
    Notice::success("Your password is set. Sign in with it.")
}

#[cfg(test)]
mod tests {
    use super::lies_under;

    #[test]
    fn only_pages_of_the_account_are_gone_back_to() {
        let home = "/i/evry.example";
        for own in [
            "/i/evry.example",
            "/i/evry.example?a=b",
            "/i/evry.example/students.csv",
            "/i/evry.example/x?y=/..",
        ] {
            assert!(lies_under(own, home), "{own}");
        }
        for other in [
            "/",
            "/platform",
            "/i/evry.example.other",
            "/i/evry.example.other/students",
            "/i/evry.examples",
            "/i/evry.example/../lyon.example/students",
            "/i/evry.example/%2E%2e/lyon.example",
        ] {
            assert!(!lies_under(other, home), "{other}");
        }
    }
}
