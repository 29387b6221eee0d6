//! Counts every answered request: of whom, by which route, how long, how many bytes.

use std::{sync::Arc, time::Instant};

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::{BodySize, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};

use crate::{
    db::{
        Id,
        meter::{Meter, Request},
    },
    web::State,
};

/// Whose request it is, left by whoever found it out.
struct Visitor {
    meter: Arc<Meter>,
    user: Id,
}

/// The pattern of the route that answered, for whoever logs it.
pub struct Pattern(pub String);

/// Stands within the compression, where bodies have their length.
///
/// # Errors
/// Those of the app.
pub async fn measured(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let outcome = next.call(request).await;
    match &outcome {
        Ok(response) => count(response, began),
        Err(error) => log::debug!("refused before any page: {error}"),
    }
    outcome
}

fn count<B: MessageBody>(response: &ServiceResponse<B>, began: Instant) {
    let request = response.request();
    let Some(platform) = request.app_data::<State>() else { return };
    let pattern = request.match_pattern();
    let visitor = request.extensions_mut().remove::<Visitor>();
    let bytes = match response.response().body().size() {
        BodySize::Sized(bytes) => bytes,
        // A file that is written while it is sent; its length is nobody's to know.
        BodySize::None | BodySize::Stream => 0,
    };
    let answered = Request {
        route: pattern.as_deref(),
        status: response.status().as_u16(),
        bytes,
        time: began.elapsed(),
        user: visitor.as_ref().map(|visitor| visitor.user),
    };
    platform.meters.request(visitor.as_ref().map(|visitor| &*visitor.meter), &answered);
    if let Some(pattern) = pattern {
        request.extensions_mut().insert(Pattern(pattern));
    }
}

/// Says whose request it is.
pub fn visited_by(request: &HttpRequest, meter: Arc<Meter>, user: Id) {
    request.extensions_mut().insert(Visitor { meter, user });
}
