//! `Upload` as a handler argument: one file from a form, held to a size while it arrives.

use actix_multipart::{Field, Multipart};
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use futures_util::{StreamExt, future::LocalBoxFuture};

use super::forms::FormData;
use crate::error::AppError;

/// Largest file, in bytes.
const MOST_BYTES: usize = 10 * 1024 * 1024;
/// A file this many times too large is not even read to its end.
const PATIENCE: usize = 4;
/// Largest other field, in bytes, and how many there may be.
const MOST_FIELD: usize = 64 * 1024;
const MOST_FIELDS: usize = 50;

/// A form with a file.
pub struct Upload {
    /// The file's name as the client gave it, without its folders; for people only, never a path.
    pub file_name: String,
    /// What is in it, or what to say beside its field.
    pub content: Result<Vec<u8>, String>,
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
    let none = Err("Choose a file first.".to_owned());
    let mut upload = Upload { file_name: String::new(), content: none, data: FormData::default() };
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
                let (content, size) = bytes(&mut part, MOST_BYTES).await?;
                if size > MOST_BYTES {
                    upload.content =
                        Err("The file is too large: at most 10 MB. Split it into several.".into());
                } else if size > 0 || !name.is_empty() {
                    upload.content = Ok(content);
                }
                upload.file_name = name;
            }
            None => {
                let name = part.name().unwrap_or_default().to_owned();
                let (content, size) = bytes(&mut part, MOST_FIELD).await?;
                let value = String::from_utf8(content).map_err(|_| broken())?;
                if size > MOST_FIELD || value.contains('\0') {
                    return Err(broken());
                }
                upload.data = upload.data.with(name, value);
            }
        }
    }
    Ok(upload)
}

/// What arrives, up to `most`, and its whole size. What is too large is read to its end all the same, within
/// reason: a browser shows no answer before it has sent everything.
async fn bytes(part: &mut Field, most: usize) -> Result<(Vec<u8>, usize), AppError> {
    let (mut content, mut size) = (Vec::new(), 0);
    while let Some(chunk) = part.next().await {
        let chunk = chunk.map_err(|_| broken())?;
        size += chunk.len();
        if size > most * PATIENCE {
            return Err(AppError::TooLarge("A file may have up to 10 MB.".into()));
        }
        if size <= most {
            content.extend_from_slice(&chunk);
        }
    }
    Ok((content, size))
}

fn broken() -> AppError {
    AppError::BadRequest("The form with the file did not arrive whole.".into())
}

/// Some clients send a whole path.
fn base_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown = |c: &char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    last.chars().filter(shown).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::base_name;

    #[test]
    fn a_name_is_no_path() {
        assert_eq!(base_name("../../etc/class 3b.csv"), "class 3b.csv");
        assert_eq!(base_name("C:\\Users\\zoe\\klass.csv"), "klass.csv");
        assert_eq!(base_name("a\u{202e}b\n.csv"), "ab.csv");
    }
}
