//! `/invitations/{token}`: an invited person chooses a password; nobody else ever knows it.

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Path};

use super::{identity, new_password::new_password, sign_in};
use crate::{
    error::AppError,
    models::platform::{
        account_tokens::{AccountToken, Purpose},
        institutions,
    },
    services::accounts::{self, Account},
    web::{
        State,
        client::Client,
        forms::{Form, FormData, FormPage},
        page::Page,
        public::narrow_page,
        respond::{html, html_with_status, see_other},
    },
};

/// Whom a link invites, and where to.
struct Invited {
    link: AccountToken,
    account: Account,
    name: String,
    email: String,
    place: String,
}

/// `GET /invitations/{token}`: who holds the token.
pub async fn show(
    request: HttpRequest,
    platform: State,
    token: Path<String>,
) -> Result<HttpResponse, AppError> {
    let invited = invited(&platform, &token).await?;
    let (form, _) = accept_form(&token, &invited, None);
    Ok(html(&FormPage::new(page(&request, &invited), form))?)
}

/// `POST /invitations/{token}`: who holds the token; it works once and signs nobody in.
pub async fn submit(
    request: HttpRequest,
    session: Session,
    platform: State,
    token: Path<String>,
    data: FormData,
) -> Result<HttpResponse, AppError> {
    let invited = invited(&platform, &token).await?;
    let (form, accepted) = accept_form(&token, &invited, Some(&data));
    let Some((name, password)) = accepted else {
        let view = FormPage::new(page(&request, &invited), form);
        return Ok(html_with_status(StatusCode::UNPROCESSABLE_ENTITY, &view)?);
    };
    let actor = Client::of(&request).actor(invited.account.user_id, &name);
    accounts::accept_invitation(&platform, &invited.link, invited.account, actor, &password).await?;
    identity::flash(&session, sign_in::password_set())?;
    Ok(see_other("/sign-in"))
}

async fn invited(platform: &State, token: &str) -> Result<Invited, AppError> {
    let link = accounts::behind_link(platform, token, Purpose::Invitation).await?;
    let account =
        Account { institution_id: link.institution_id, user_id: link.user_id.ok_or(AppError::NotFound)? };
    let place = match account.institution_id {
        None => "the platform".to_owned(),
        Some(id) => platform.shared.run(move |c| institutions::find(c, id)).await?.name,
    };
    let (name, email) = accounts::name_and_email(platform, account).await?;
    Ok(Invited { link, account, name, email: email.to_string(), place })
}

fn accept_form(token: &str, invited: &Invited, data: Option<&FormData>) -> (Form, Option<(String, String)>) {
    let mut form = Form::new(format!("/invitations/{token}")).submit("Accept invitation");
    form = match data {
        Some(data) => form.submitted(data),
        None => form.filled(FormData::default().with("name", &invited.name)),
    };
    let name = form.text("name", "Your name").autocomplete("name").required();
    let context = [invited.name.as_str(), invited.email.as_str(), invited.place.as_str()];
    let password = new_password(&mut form, &context);
    (form, name.zip(password))
}

fn page(request: &HttpRequest, invited: &Invited) -> Page {
    narrow_page(request, format!("Join {}", invited.place))
        .intro(format!("Choose a password. You sign in with it and with {}.", invited.email))
}
