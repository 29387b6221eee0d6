//! What lies beside each backup: what it is of, what is in it, and the digest of the file. Readable without a key,
//! and sealed, so that an altered one is told.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::NaiveDateTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::cipher::Binding;
use crate::{
    db::{Engine, Id, engine::Contents},
    models::platform::backups::{Backup, Reason},
    services::{
        keys::Keys,
        operations::Failure,
        secrets::{DataKey, MasterKey, Purpose, associated_data},
    },
};

/// What lies beside a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "what the names say")]
pub struct Manifest {
    pub backup_id: Id,
    /// None for the shared database.
    pub institution_id: Option<Id>,
    pub domain: Option<String>,
    pub subject: String,
    pub engine: Engine,
    pub schema_version: String,
    pub reason: Reason,
    pub taken_at: NaiveDateTime,
    pub kept_until: NaiveDateTime,
    pub mark: Option<String>,
    /// The version of Provost.
    pub provost: String,
    /// What made the copy, with its version.
    pub tool: String,
    /// Of the file.
    pub bytes: u64,
    /// Of the copy in it.
    pub plain_bytes: u64,
    /// SHA-256 of the file.
    pub digest: String,
    pub contents: Contents,
}

/// What opens the backups of one owner.
pub enum OwnerKey<'a> {
    /// An institution's data key.
    Institution(DataKey),
    /// The master key, for the shared database.
    Platform(&'a Keys),
    /// The master key where there is no platform yet.
    Master(&'a MasterKey),
}

impl OwnerKey<'_> {
    pub(super) fn seal(&self, purpose: Purpose, plain: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Institution(key) => key.seal(purpose, plain).map_err(|error| error.to_string()),
            Self::Platform(keys) => keys.seal_own(purpose, plain).map_err(|error| error.to_string()),
            Self::Master(key) => {
                key.seal(&associated_data(None, purpose), plain).map_err(|error| error.to_string())
            }
        }
    }

    pub(super) fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::Institution(key) => key.open(purpose, sealed).map_err(|error| error.to_string()),
            Self::Platform(keys) => keys.open_own(purpose, sealed).map_err(|error| error.to_string()),
            Self::Master(key) => {
                key.open(&associated_data(None, purpose), sealed).map_err(|error| error.to_string())
            }
        }
    }
}

impl Manifest {
    /// What its chunks are bound to.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding { institution_id: self.institution_id, backup_id: self.backup_id }
    }

    /// As one line of JSON.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_line(&self) -> Result<String, Failure> {
        serde_json::to_string(self)
            .map_err(|error| Failure::Permanent(format!("The manifest cannot be written: {error}.")))
    }

    /// The object: the manifest, and below it the seal.
    pub(super) fn to_object(&self, key: &OwnerKey<'_>) -> Result<String, Failure> {
        let line = self.to_line()?;
        let seal = key.seal(Purpose::BackupManifest, &Sha256::digest(&line)).map_err(|error| {
            Failure::Transient(format!("The manifest of the backup could not be sealed: {error}."))
        })?;
        Ok(format!("{line}\n{}\n", BASE64.encode(seal)))
    }

    /// Reads an object without looking at its seal.
    ///
    /// # Errors
    /// When it is none.
    pub fn of_line(object: &str) -> Result<Self, Failure> {
        let line = object.lines().next().unwrap_or_default();
        serde_json::from_str(line)
            .map_err(|error| Failure::Permanent(format!("The manifest of the backup is damaged: {error}.")))
    }

    /// Reads an object that this key has sealed.
    ///
    /// # Errors
    /// When it was altered, or sealed by another key.
    pub fn of_object(object: &str, key: &OwnerKey<'_>) -> Result<Self, Failure> {
        let untrue = || Failure::Permanent("The manifest of the backup was altered, or is another's.".into());
        let (line, seal) = object.split_once('\n').ok_or_else(untrue)?;
        let seal = BASE64.decode(seal.trim()).map_err(|_| untrue())?;
        let sealed = key.open(Purpose::BackupManifest, &seal).map_err(|_| untrue())?;
        if sealed.as_slice() != Sha256::digest(line).as_slice() {
            return Err(untrue());
        }
        Self::of_line(line)
    }

    /// The row that goes with it.
    ///
    /// # Errors
    /// When the manifest is not what it should be.
    pub fn to_row(&self) -> Result<Backup, Failure> {
        Ok(Backup {
            id: self.backup_id,
            institution_id: self.institution_id,
            subject: self.subject.clone(),
            search_key: Backup::search_key_of(&self.subject, self.domain.as_deref().unwrap_or_default()),
            engine: self.engine,
            schema_version: self.schema_version.clone(),
            reason: self.reason,
            bytes: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            row_total: self.contents.rows(),
            digest: unhex(&self.digest)?,
            manifest: self.to_line()?,
            mark: self.mark.clone(),
            taken_at: self.taken_at,
            kept_until: self.kept_until,
            verified_at: None,
            fault: None,
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let damaged = || Failure::Permanent("The manifest of the backup is damaged: its digest is none.".into());
    let digits = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    (0..text.len()).step_by(2).map(|at| digits(at).ok_or_else(damaged)).collect()
}
