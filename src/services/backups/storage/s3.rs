//! Backups in a bucket of whatever speaks S3. They are written in the folder first, and an object is either whole or
//! not there: that is what S3 promises.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle, actions::ListObjectsV2};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{RootCerts, TlsConfig, TlsProvider},
};

use super::{Folder, Storage};
use crate::services::settings::S3Settings;

/// How long a signed address is good: as long as the largest upload may wait for its turn.
const SIGNED_FOR: Duration = Duration::from_secs(3_600);
/// Longest wait for a connection and for an answer's first line.
const PATIENCE: Duration = Duration::from_secs(60);
/// What S3 takes in one request.
const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// Part of an answer that is told when something is wrong.
const MOST_TOLD: u64 = 2_000;
/// A page of a list is far shorter.
const MOST_LIST: u64 = 16 * 1024 * 1024;

/// A bucket.
pub struct S3 {
    bucket: Result<Bucket, String>,
    credentials: Credentials,
    agent: Agent,
    parts: Folder,
}

impl S3 {
    /// The bucket that the settings name; nothing is asked of it yet.
    #[must_use]
    pub fn new(settings: &S3Settings, parts: &Path) -> Self {
        let bucket = Bucket::new(
            settings.endpoint.clone(),
            UrlStyle::Path,
            settings.bucket.clone(),
            settings.region.clone(),
        );
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .tls_config(
                TlsConfig::builder()
                    .provider(TlsProvider::NativeTls)
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            );
        Self {
            bucket: bucket.map_err(|error| error.to_string()),
            credentials: Credentials::new(settings.key.clone(), settings.secret.clone()),
            agent: config.build().into(),
            parts: Folder::new(parts),
        }
    }

    fn bucket(&self) -> io::Result<&Bucket> {
        self.bucket.as_ref().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.clone()))
    }
}

impl Storage for S3 {
    fn part(&self) -> io::Result<(PathBuf, File)> {
        self.parts.part()
    }

    fn keep(&self, part: &Path, name: &str) -> io::Result<()> {
        let file = File::open(part)?;
        let length = file.metadata()?.len();
        if length > MOST_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "S3 takes 5 GB at once; keep backups of this size in a folder",
            ));
        }
        let url = self.bucket()?.put_object(Some(&self.credentials), name).sign(SIGNED_FOR);
        let sent = self.agent.put(url.as_str()).header("content-length", length.to_string()).send(&file);
        good(sent).map_err(no_bucket)?;
        fs::remove_file(part)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let url = self.bucket()?.get_object(Some(&self.credentials), name).sign(SIGNED_FOR);
        Ok(Box::new(good(self.agent.get(url.as_str()).call())?.into_body().into_reader()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let url = self.bucket()?.delete_object(Some(&self.credentials), name).sign(SIGNED_FOR);
        match good(self.agent.delete(url.as_str()).call()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let (mut names, mut more) = (Vec::new(), None::<String>);
        loop {
            let mut action = self.bucket()?.list_objects_v2(Some(&self.credentials));
            if let Some(token) = &more {
                action.with_continuation_token(token.clone());
            }
            let answer = good(self.agent.get(action.sign(SIGNED_FOR).as_str()).call()).map_err(no_bucket)?;
            let mut text = String::new();
            answer.into_body().into_reader().take(MOST_LIST).read_to_string(&mut text)?;
            let page = ListObjectsV2::parse_response(&text).map_err(io::Error::other)?;
            names.extend(page.contents.into_iter().map(|object| object.key));
            more = page.next_continuation_token;
            if more.is_none() {
                names.sort();
                return Ok(names);
            }
        }
    }

    fn sweep(&self, silent_for: Duration) -> io::Result<usize> {
        self.parts.sweep(silent_for)
    }
}

/// Where no object was asked for, what is missing is the bucket.
fn no_bucket(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::NotFound { io::Error::other(error.to_string()) } else { error }
}

/// The answer, when it says yes; else what it says, without the address that was signed.
fn good(answer: Result<Response<Body>, ureq::Error>) -> io::Result<Response<Body>> {
    let mut answer = answer.map_err(|error| match error {
        ureq::Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let mut said = String::new();
    let _ = answer.body_mut().as_reader().take(MOST_TOLD).read_to_string(&mut said);
    let words = format!(
        "the S3 service answered {status}: {}",
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    Err(io::Error::new(
        match status.as_u16() {
            404 => io::ErrorKind::NotFound,
            401 | 403 => io::ErrorKind::PermissionDenied,
            507 => io::ErrorKind::StorageFull,
            _ => io::ErrorKind::Other,
        },
        words,
    ))
}
