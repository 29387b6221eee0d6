//! `FormData` as a handler argument: the body of a plain HTML form.

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::StatusCode, web::Bytes};
use futures_util::future::LocalBoxFuture;

use super::forms::FormData;
use crate::error::AppError;

impl FromRequest for FormData {
    type Error = AppError;
    type Future = LocalBoxFuture<'static, Result<Self, AppError>>;

    /// Declare it last: it takes the body.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form = request.content_type().eq_ignore_ascii_case("application/x-www-form-urlencoded");
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            let body = body.await.map_err(|error| match error.as_response_error().status_code() {
                StatusCode::PAYLOAD_TOO_LARGE => {
                    AppError::TooLarge("The form is larger than a form may be.".into())
                }
                _ => AppError::BadRequest("The form did not arrive whole.".into()),
            })?;
            if !is_form && !body.is_empty() {
                return Err(AppError::BadRequest("This address expects a plain HTML form.".into()));
            }
            let text = std::str::from_utf8(&body)
                .map_err(|_| AppError::BadRequest("The form holds text that is not UTF-8.".into()))?;
            if text.contains("%00") || text.contains('\0') {
                return Err(AppError::BadRequest("The form holds a character that no text has.".into()));
            }
            Ok(Self::parse(text))
        })
    }
}
