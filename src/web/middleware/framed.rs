//! Errors of people who are signed in keep their navigation: the way on is one click away.

use std::time::Duration;

use actix_session::SessionExt;
use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    rt::time::timeout,
};
use askama::Template;

use crate::web::{
    auth::{Identity, Somebody, identity},
    error_page::ErrorPage,
    page::Page,
};

/// No error waits longer for its frame.
const PATIENCE: Duration = Duration::from_millis(500);

/// The frame of this request's person, left by whoever checked them.
pub struct KnownFrame(pub Page);

/// Stands inside the sessions. An answer that carries an [`ErrorPage`] is drawn again in the frame of the
/// person who is signed in; where that is not known, or cannot be found out, it stays as it is.
///
/// # Errors
/// Those of the app.
pub async fn framed(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    let Some(page) = response.response_mut().extensions_mut().remove::<ErrorPage>() else {
        return Ok(response);
    };
    let known = response.request().extensions_mut().remove::<KnownFrame>();
    let frame = match known {
        Some(KnownFrame(frame)) => Some(frame),
        // What is down or busy is not asked again.
        None if response.status().is_server_error() => None,
        None => timeout(PATIENCE, frame_of(response.request())).await.ok().flatten(),
    };
    let drawn = frame.and_then(|frame| page.in_frame(frame).render().ok());
    Ok(match drawn {
        Some(html) => response.map_body(|_, _| BoxBody::new(html)),
        None => response,
    })
}

async fn frame_of(request: &HttpRequest) -> Option<Page> {
    let session = request.get_session();
    let who = Identity::of(&session)?;
    let mut page = Somebody::of(request, &session, who).await.ok()?.page("");
    // A message waits for the page that it is about.
    if let Some(notice) = page.flash.take() {
        identity::flash(&session, notice).ok()?;
    }
    Some(page)
}

/// Leaves the frame for an error that may follow.
pub fn remember(request: &HttpRequest, frame: Page) {
    request.extensions_mut().insert(KnownFrame(frame));
}
