//! Only our own pages may post, and only our own name is answered.
//!
//! Cross-site request forgery is stopped by what the browser says of the request's origin (OWASP's
//! fetch-metadata defence with the Origin fallback), so no form needs a hidden token.

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header},
    middleware::Next,
    web::Data,
};

use crate::error::AppError;

/// The names this app answers to.
#[derive(Debug, Clone)]
pub struct OwnOrigin {
    scheme: String,
    host: String,
    loopback: bool,
}

impl OwnOrigin {
    /// Takes scheme, host and port of the public URL. A loopback URL stands for every loopback name.
    #[must_use]
    pub fn of(public_url: &url::Url) -> Self {
        let host = public_url.host_str().unwrap_or_default().to_owned();
        let loopback = is_loopback(&host);
        let host = match public_url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        Self { scheme: public_url.scheme().to_owned(), host, loopback }
    }

    fn is_own_host(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
        });
        host.eq_ignore_ascii_case(&self.host) || (self.loopback && is_loopback(name))
    }
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Refuses foreign hosts on every method and foreign origins on those that change something.
///
/// # Errors
/// [`AppError::BadRequest`] for another host, [`AppError::Forbidden`] for another site's form.
pub async fn same_origin(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if let Some(own) = request.app_data::<Data<OwnOrigin>>() {
        check(&request, own)?;
    }
    next.call(request).await
}

fn check(request: &ServiceRequest, own: &OwnOrigin) -> Result<(), AppError> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let mut hosts = request.headers().get_all(header::HOST);
    let host = match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) if own.is_own_host(host) => host,
        _ => return Err(AppError::BadRequest("This server does not answer under that name.".into())),
    };
    // No text of ours holds a NUL, and PostgreSQL takes none.
    if request.uri().path_and_query().is_some_and(|path| path.as_str().contains("%00")) {
        return Err(AppError::BadRequest("The address holds a character that no text has.".into()));
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let allowed = match header("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => header("origin").is_some_and(|origin| origin == format!("{}://{host}", own.scheme)),
    };
    if allowed {
        return Ok(());
    }
    Err(AppError::Forbidden(
        "The form was not sent from this site's own pages, so nothing was changed.".into(),
    ))
}
