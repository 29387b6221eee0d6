//! `Upload` as a handler argument: one file from a form, held to a size while it arrives.

use actix_multipart::{Field, Multipart};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::{StreamExt, future::LocalBoxFuture};

use super::forms::FormData;
use crate::error::AppError;

/// Largest file, in bytes.
const MOST_BYTES: usize = 10 * 1024 * 1024;
/// Largest other field, in bytes, and how many there may be.
const MOST_FIELD: usize = 64 * 1024;
const MOST_FIELDS: usize = 50;

/// A form with a file.
pub struct Upload {
    /// The file's name as the client gave it, without its folders; for people only, never a path.
    pub file_name: String,
    /// What is in it; empty when none was chosen.
    pub content: Vec<u8>,
    /// The other fields.
    pub data: FormData,
}

impl FromRequest for Upload {
    type Error = AppError;
    type Future = LocalBoxFuture<'static, Result<Self, AppError>>;

    /// Declare it last: it takes the body.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let parts = Multipart::new(request.headers(), payload.take());
        Box::pin(read(parts))
    }
}

async fn read(mut parts: Multipart) -> Result<Upload, AppError> {
    let broken = || AppError::BadRequest("The file did not arrive whole.".into());
    let mut upload = Upload { file_name: String::new(), content: Vec::new(), data: FormData::default() };
    let mut fields = 0;
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|_| broken())?;
        fields += 1;
        if fields > MOST_FIELDS {
            return Err(broken());
        }
        let file_name = part.content_disposition().and_then(|head| head.get_filename()).map(base_name);
        match file_name {
            Some(name) => {
                upload.content = bytes(&mut part, MOST_BYTES).await?;
                upload.file_name = name;
            }
            None => {
                let name = part.name().unwrap_or_default().to_owned();
                let value = String::from_utf8(bytes(&mut part, MOST_FIELD).await?).map_err(|_| broken())?;
                if value.contains('\0') {
                    return Err(broken());
                }
                upload.data = upload.data.with(name, value);
            }
        }
    }
    Ok(upload)
}

async fn bytes(part: &mut Field, most: usize) -> Result<Vec<u8>, AppError> {
    let mut content = Vec::new();
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(|_| AppError::BadRequest("The file did not arrive whole.".into()))?;
        if content.len() + chunk.len() > most {
            return Err(AppError::TooLarge(format!(
                "A file may have up to {} MB.",
                MOST_BYTES / 1024 / 1024
            )));
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

/// Some clients send a whole path.
fn base_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(120).collect()
}
