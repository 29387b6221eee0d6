//! `RecordId` as a handler argument: the record that an address names.

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::future::{Ready, ready};

use crate::{db::Id, error::AppError};

/// The `{id}` of the address; anything that is not an id is a page that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct RecordId(pub Id);

impl FromRequest for RecordId {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or(AppError::NotFound))
    }
}
