//! The platform's keys: the master key in its file, the secret it seals, and what is derived from that.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use zeroize::Zeroizing;

use super::secrets::{
    self, DataKey, DerivedKey, KeyFileError, KeyUse, MasterKey, PlatformSecret, Purpose, SealError, Sealed,
    associated_data, check_value, verify_check_value,
};
use crate::{
    db::{Id, shared::SharedConn},
    models::{
        ModelError,
        platform::{
            audit::AuditKey,
            platform_secrets::{self, Place},
        },
        text::Email,
    },
};

const ROOT: &str = "root";
const CHECK: &str = "check";
/// Long enough for whoever sealed with the old key a moment ago to have stored it.
const ROTATION_GRACE: Duration = Duration::from_secs(2);

/// Why a key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A sealed value.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The shared database.
    #[error(transparent)]
    Database(#[from] ModelError),
    /// An institution without a data key.
    #[error("the institution has no data key")]
    NoDataKey,
}

impl From<diesel::result::Error> for KeyError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// All keys of the platform. Cheap to clone.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    file: PathBuf,
    master: RwLock<Loaded>,
    email_index: DerivedKey,
    password_pepper: DerivedKey,
    link_tokens: DerivedKey,
    audit: AuditKey,
    cookies: DerivedKey,
    archives: DerivedKey,
    server_addresses: DerivedKey,
}

struct Loaded {
    key: Arc<MasterKey>,
    written: Option<SystemTime>,
}

/// Whether the master key opens an existing platform's secrets. Changes nothing.
///
/// # Errors
/// A sentence saying that the key is missing or another platform's.
pub fn check(file: &Path, connection: &mut SharedConn) -> Result<(), KeyError> {
    let Some(stored) = platform_secrets::find(connection, CHECK)? else { return Ok(()) };
    Ok(verify_check_value(&MasterKey::load(file)?, &stored)?)
}

impl Keys {
    /// Loads the keys of a platform; `None` where none were made yet. Changes nothing.
    ///
    /// # Errors
    /// A missing, damaged, readable or foreign key file, in words for the operator.
    pub fn load(file: &Path, connection: &mut SharedConn) -> Result<Option<Self>, KeyError> {
        let Some(wrapped) = platform_secrets::find(connection, ROOT)? else { return Ok(None) };
        let master = MasterKey::load(file)?;
        let secret = PlatformSecret::unwrap(&master, &wrapped).map_err(KeyFileError::Wrong)?;
        Ok(Some(Self::of(file, master, &secret)))
    }

    /// Loads the keys of a migrated shared database; at the first run makes them. Call it while no other
    /// process starts on the same database.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_or_create(file: &Path, connection: &mut SharedConn) -> Result<Self, KeyError> {
        if let Some(keys) = Self::load(file, connection)? {
            return Ok(keys);
        }
        let (master, secret) = (MasterKey::load_or_create(file)?, PlatformSecret::generate()?);
        connection.write_tx(|connection| {
            platform_secrets::insert(connection, ROOT, &secret.wrap(&master)?)?;
            platform_secrets::insert(connection, CHECK, &check_value(&master)?)?;
            Ok::<_, KeyError>(())
        })?;
        Ok(Self::of(file, master, &secret))
    }

    fn of(file: &Path, master: MasterKey, secret: &PlatformSecret) -> Self {
        Self(Arc::new(Inner {
            file: file.to_owned(),
            master: RwLock::new(Loaded { key: Arc::new(master), written: written(file) }),
            email_index: secret.derive(KeyUse::EmailIndex),
            password_pepper: secret.derive(KeyUse::PasswordPepper),
            link_tokens: secret.derive(KeyUse::LinkTokens),
            audit: AuditKey::new(*secret.derive(KeyUse::AuditChain).bytes()),
            cookies: secret.derive(KeyUse::Cookies),
            archives: secret.derive(KeyUse::Archives),
            server_addresses: secret.derive(KeyUse::ServerAddresses),
        }))
    }

    /// The keyed hash under which the login index and the throttle know an e-mail address.
    #[must_use]
    pub fn email_hash(&self, email: &Email) -> Vec<u8> {
        self.0.email_index.hash("email", email.normalised().as_bytes()).to_vec()
    }

    /// A keyed hash of anything that must not be stored readable, such as a mistyped account.
    #[must_use]
    pub fn hash(&self, kind: &str, data: &[u8]) -> Vec<u8> {
        self.0.email_index.hash(kind, data).to_vec()
    }

    /// The token in the address of a registration's status page: made from its id, so that every mail
    /// can name it and nothing need be stored.
    #[must_use]
    pub fn registration_link_token(&self, registration_id: Id) -> String {
        use base64::Engine as _;
        let hash = self.0.link_tokens.hash("registration", registration_id.as_bytes());
        let mut bytes = registration_id.as_bytes().to_vec();
        bytes.extend_from_slice(&hash[..24]);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The registration that a presented token is of, if we made it.
    #[must_use]
    pub fn registration_of_token(&self, token: &str) -> Option<Id> {
        use base64::Engine as _;
        use subtle::ConstantTimeEq as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, _) = bytes.split_first_chunk::<16>()?;
        let id: Id = uuid::Uuid::from_bytes(*id).to_string().parse().ok()?;
        let expected = self.registration_link_token(id);
        bool::from(expected.as_bytes().ct_eq(token.as_bytes())).then_some(id)
    }

    /// The key of the audit log's chain.
    #[must_use]
    pub fn audit_key(&self) -> AuditKey {
        self.0.audit.clone()
    }

    /// The pepper of passwords.
    #[must_use]
    pub fn password_pepper(&self) -> DerivedKey {
        self.0.password_pepper.clone()
    }

    /// The key of cookies.
    #[must_use]
    pub fn cookie_key(&self) -> DerivedKey {
        self.0.cookies.clone()
    }

    /// The key of the audit log's archives.
    #[must_use]
    pub fn archive_key(&self) -> DerivedKey {
        self.0.archives.clone()
    }

    /// Tells this platform from another on the same server; tells nothing of any key.
    #[must_use]
    pub fn platform_id(&self) -> String {
        let hash = self.0.link_tokens.hash("platform-id", b"");
        hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Seals something of the platform's own with the master key.
    ///
    /// # Errors
    /// No random bytes, or no key file.
    pub fn seal_own(&self, purpose: Purpose, plain: &[u8]) -> Result<Sealed, KeyError> {
        Ok(self.sealing_master()?.seal(&associated_data(None, purpose), plain)?)
    }

    /// Opens what [`Self::seal_own`] sealed.
    ///
    /// # Errors
    /// A damaged value, or another platform's.
    pub fn open_own(&self, purpose: Purpose, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.opening(|master| master.open(&associated_data(None, purpose), sealed))
    }

    /// Seals the address of a database server, password included.
    ///
    /// # Errors
    /// No random bytes.
    pub fn seal_server_url(&self, server: Id, url: &str) -> Result<Sealed, KeyError> {
        let bound = associated_data(Some(server.as_uuid()), Purpose::DatabaseServerUrl);
        Ok(secrets::seal(&self.0.server_addresses.sealing(), &bound, url.as_bytes())?)
    }

    /// Opens what [`Self::seal_server_url`] sealed.
    ///
    /// # Errors
    /// A damaged value, or another server's.
    pub fn open_server_url(&self, server: Id, sealed: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        let bound = associated_data(Some(server.as_uuid()), Purpose::DatabaseServerUrl);
        let plain = secrets::open(&self.0.server_addresses.sealing(), &bound, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| KeyError::Seal(SealError::Format))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// Seals a mail until it is sent.
    ///
    /// # Errors
    /// No random bytes, or no key file.
    pub fn seal_mail(&self, plain: &[u8]) -> Result<Sealed, KeyError> {
        Ok(self.sealing_master()?.seal(&associated_data(None, Purpose::OutgoingMail), plain)?)
    }

    /// Opens a sealed mail.
    ///
    /// # Errors
    /// A damaged value.
    pub fn open_mail(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.opening(|master| master.open(&associated_data(None, Purpose::OutgoingMail), sealed))
    }

    /// The data key of an institution; `None` when it has none.
    ///
    /// # Errors
    /// Any database error, a damaged value.
    pub fn data_key(
        &self,
        connection: &mut SharedConn,
        institution_id: Id,
    ) -> Result<Option<DataKey>, KeyError> {
        let Some(wrapped) = platform_secrets::institution_key(connection, institution_id)? else {
            return Ok(None);
        };
        self.opening(|master| DataKey::unwrap(master, institution_id.as_uuid(), &wrapped)).map(Some)
    }

    /// The data key of an institution, made and stored when it has none. Call it inside a `write_tx`.
    ///
    /// # Errors
    /// Any database error, a damaged value.
    pub fn data_key_or_new(
        &self,
        connection: &mut SharedConn,
        institution_id: Id,
    ) -> Result<DataKey, KeyError> {
        if let Some(key) = self.data_key(connection, institution_id)? {
            return Ok(key);
        }
        let key = DataKey::generate(institution_id.as_uuid())?;
        let wrapped = key.wrap(&*self.sealing_master()?)?;
        platform_secrets::insert_institution_key(connection, institution_id, &wrapped)?;
        Ok(key)
    }

    /// Replaces the master key: a new one is added to the file, everything is sealed again, and then the old
    /// ones are dropped. Interrupted, it is finished by the next call. Returns how many values were sealed again.
    ///
    /// # Errors
    /// The file, a damaged value, the database. The old key still opens everything then.
    pub fn rotate(&self, connection: &mut SharedConn) -> Result<usize, KeyError> {
        let file = &self.0.file;
        // An interrupted rotation has left older keys: finish that one.
        if MasterKey::load(file)?.older_ids().is_empty() {
            MasterKey::add_new_key(file)?;
        }
        crate::crash_point!("rotate:added");
        self.reload()?;
        let mut sealed_again = self.rewrap_all(connection)?;
        std::thread::sleep(ROTATION_GRACE);
        sealed_again += self.rewrap_all(connection)?;
        crate::crash_point!("rotate:rewrapped");
        MasterKey::drop_old(file)?;
        self.reload()?;
        Ok(sealed_again)
    }

    fn rewrap_all(&self, connection: &mut SharedConn) -> Result<usize, KeyError> {
        let master = self.master();
        let mut count = 0;
        for (place, sealed) in platform_secrets::all_sealed(connection)? {
            if !master.needs_rewrap(&sealed)? {
                continue;
            }
            let (institution, purpose) = match &place {
                Place::Secret(name) if name == CHECK => (None, Purpose::CheckValue),
                Place::Secret(_) => (None, Purpose::PlatformSecret),
                Place::InstitutionKey(id) => (Some(id.as_uuid()), Purpose::DataKey),
                Place::Mail(_) => (None, Purpose::OutgoingMail),
            };
            let new = master.rewrap(&associated_data(institution, purpose), &sealed)?;
            connection
                .write_tx(|connection| platform_secrets::replace_sealed(connection, &place, &sealed, &new))?;
            crate::crash_point!("rotate:one");
            count += 1;
        }
        Ok(count)
    }

    fn master(&self) -> Arc<MasterKey> {
        Arc::clone(&self.0.master.read().unwrap_or_else(PoisonError::into_inner).key)
    }

    /// The current key of the file: another process may have rotated it.
    fn sealing_master(&self) -> Result<Arc<MasterKey>, KeyError> {
        let changed = {
            let loaded = self.0.master.read().unwrap_or_else(PoisonError::into_inner);
            loaded.written != written(&self.0.file)
        };
        if changed {
            self.reload()?;
        }
        Ok(self.master())
    }

    /// Opens with the key at hand; when it does not know the value's key, with the file's.
    fn opening<T>(&self, open: impl Fn(&MasterKey) -> Result<T, SealError>) -> Result<T, KeyError> {
        match open(&self.master()) {
            Err(SealError::UnknownKey(_)) => {
                self.reload()?;
                Ok(open(&self.master())?)
            }
            result => Ok(result?),
        }
    }

    fn reload(&self) -> Result<(), KeyError> {
        let loaded = Loaded { written: written(&self.0.file), key: Arc::new(MasterKey::load(&self.0.file)?) };
        *self.0.master.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }
}

fn written(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
}
