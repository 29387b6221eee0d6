//! `/setup`: the first super admin, made once with the token that the server printed at its start.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};

use super::{identity, new_password::new_password};
use crate::{
    error::AppError,
    models::{
        ModelError, ModelResult,
        platform::{
            account_tokens::{self, AccountToken, Purpose},
            admins::{self, AdminRole, NewAdmin},
        },
        text::Email,
    },
    services::accounts,
    web::{
        State,
        client::Client,
        error_page::ErrorPage,
        forms::{Form, FormData, FormPage},
        page::{Notice, Page},
        public::narrow_page,
        respond::{html, html_with_status, see_other},
    },
};

struct FirstAdmin {
    name: String,
    email: Email,
    password: String,
}

/// `GET /setup`: everybody, until a super admin exists; says where the one-time address is.
pub async fn explain(request: HttpRequest, platform: State) -> Result<HttpResponse, AppError> {
    if platform.shared.run(admins::any_active).await? {
        return Err(AppError::NotFound);
    }
    let page = ErrorPage::new(
        page(&request),
        200,
        "This platform has no super admin yet.",
        "Open the set-up address that the server printed when it started; restart the server for a new one.",
    );
    Ok(html(&page)?)
}

/// `GET /setup/{token}`: who holds the token.
pub async fn show(
    request: HttpRequest,
    platform: State,
    token: Path<String>,
) -> Result<HttpResponse, AppError> {
    link(&platform, &token).await?;
    let (form, _) = setup_form(&token, None);
    Ok(html(&FormPage::new(page(&request), form))?)
}

/// `POST /setup/{token}`: who holds the token; it works once.
pub async fn submit(
    request: HttpRequest,
    session: Session,
    platform: State,
    token: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let link = link(&platform, &token).await?;
    let (form, first) = setup_form(&token, Some(&data));
    let Some(first) = first else {
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &FormPage::new(page(&request), form))?);
    };
    let password_hash =
        platform.passwords.hash(first.password.clone()).await.map_err(accounts::AccountError::from)?;
    let audit = platform.audit(Client::of(&request).visitor(&first.name));
    let outcome = platform
        .shared
        .run(move |c| {
            c.write_tx(|c| {
                account_tokens::use_once(c, link.id)?;
                let email = &first.email;
                let new = NewAdmin {
                    email: email.as_str(),
                    email_normalised: &email.normalised(),
                    name: &first.name,
                    role: AdminRole::SuperAdmin,
                };
                admins::create_first(c, &audit, &new, &password_hash)?;
                ModelResult::Ok(())
            })
        })
        .await;
    match outcome {
        Ok(()) => {
            identity::flash(
                &session,
                Notice::success("The platform is yours. Sign in with your new password."),
            )?;
            Ok(see_other("/sign-in"))
        }
        Err(ModelError::Changed(_)) => Err(AppError::LinkExpired),
        Err(error) => Err(error.into()),
    }
}

/// The link of the address, while it is valid and the platform has nobody to run it.
async fn link(platform: &State, token: &str) -> Result<AccountToken, AppError> {
    if platform.shared.run(admins::any_active).await? {
        return Err(AppError::NotFound);
    }
    Ok(accounts::behind_link(platform, token, Purpose::Setup).await?)
}

fn setup_form(token: &str, data: Option<&FormData>) -> (Form, Option<FirstAdmin>) {
    let mut form = Form::new(format!("/setup/{token}")).submit("Create super admin");
    if let Some(data) = data {
        form = form.submitted(data);
    }
    let name = form.text("name", "Your name").autocomplete("name").required();
    let typed = form.email("email", "E-mail").hint("You sign in with it.").required();
    let email = typed.as_deref().and_then(|typed| match Email::parse(typed) {
        Ok(email) => Some(email),
        Err(error) => {
            form.error("email", format!("{error}."));
            None
        }
    });
    let context = [name.as_deref().unwrap_or_default(), typed.as_deref().unwrap_or_default()];
    let password = new_password(&mut form, &context);
    let first = match (name, email, password) {
        (Some(name), Some(email), Some(password)) => Some(FirstAdmin { name, email, password }),
        _ => None,
    };
    (form, first)
}

fn page(request: &HttpRequest) -> Page {
    narrow_page(request, "Set up the platform")
        .intro("You become the first super admin: the person who decides which institutions may join.")
}
