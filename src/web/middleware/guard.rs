//! Outermost: security headers on every answer, panics turned into pages, one access-log line.

use std::{any::Any, panic::AssertUnwindSafe, time::Instant};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};
use futures_util::FutureExt;

use super::measured::Pattern;
use crate::{db::meter::Request, error::AppError, web::State};

/// No inline code, nothing from elsewhere, no frames.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; \
     object-src 'none'; frame-ancestors 'none'";

const HEADERS: &[(&str, &str)] = &[
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    // Not "no-referrer": under it a form says "Origin: null", and plain HTTP has no other word on its origin.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Whether answers go out over TLS, which adds HSTS.
#[derive(Debug, Clone, Copy)]
pub struct OverTls(pub bool);

/// Wraps the whole app. Errors of inner middleware get the headers too, by a response mapper:
/// `DefaultHeaders` would miss them.
///
/// # Errors
/// Those of the app, headers added; a panic becomes [`AppError::Internal`].
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let method = request.method().clone();
    let tls = request.app_data::<OverTls>().is_some_and(|tls| tls.0);
    let platform = request.app_data::<State>().cloned();
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await.unwrap_or_else(|panic| {
        Err(AppError::internal(format!("handler panicked: {}", panic_words(&*panic))).into())
    });
    match outcome.map_err(styled) {
        Ok(mut response) => {
            add_headers(response.headers_mut(), tls);
            // The route's pattern, not the path: paths may hold one-time tokens.
            let known = response.request().extensions_mut().remove::<Pattern>();
            let route = known.map_or_else(|| "(no route)".into(), |Pattern(pattern)| pattern);
            log::info!("{method} {route} {} {}ms", response.status().as_u16(), started.elapsed().as_millis());
            Ok(response)
        }
        Err(mut error) => {
            let status = error.as_response_error().status_code().as_u16();
            log::info!("{method} (refused) {status} {}ms", started.elapsed().as_millis());
            if let Some(platform) = platform {
                let time = started.elapsed();
                platform.meters.request(None, &Request { route: None, status, bytes: 0, time, user: None });
            }
            error.add_response_mapper(move |mut response: HttpResponse| {
                add_headers(response.headers_mut(), tls);
                response
            });
            Err(error)
        }
    }
}

/// The session middleware has errors of its own, without a page: its store could not be reached.
fn styled(error: Error) -> Error {
    if error.as_error::<AppError>().is_some() || !error.as_response_error().status_code().is_server_error() {
        return error;
    }
    log::error!("session store failed cause={:?}", error.to_string());
    AppError::Unavailable("The platform cannot reach its database.".into(), 10).into()
}

fn add_headers(headers: &mut HeaderMap, tls: bool) {
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if tls {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn panic_words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".into())
}
