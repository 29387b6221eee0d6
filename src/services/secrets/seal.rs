//! Authenticated encryption (XChaCha20-Poly1305) bound to its place: an institution and a purpose.
//!
//! A sealed value is `version ‖ key id (4) ‖ nonce (24) ‖ ciphertext and tag`. The first two are authenticated too.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::MasterKey;

/// Says which cipher and layout a sealed value has.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
pub(super) const KEY_BYTES: usize = 32;

/// A sealed value, as it is stored.
pub type Sealed = Vec<u8>;

/// Why a value could not be sealed or opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealError {
    #[error(
        "The sealed value is incomplete or of an unknown format: it was damaged, or written by a newer version"
    )]
    Format,
    #[error("The value was sealed with key {0}, which is not among the keys at hand")]
    UnknownKey(KeyId),
    #[error("The sealed value was altered, or belongs to another institution or purpose")]
    Tampered,
    #[error("The operating system gave no random bytes")]
    Random,
}

/// Names a key without telling anything about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// 32 secret bytes with a name. Wiped from memory when dropped, never printed.
pub struct SecretKey {
    pub(super) id: KeyId,
    pub(super) bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl SecretKey {
    /// A new random key with a random name.
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self { id: KeyId(random()?), bytes: Zeroizing::new(random()?) })
    }

    /// A key that was derived, under a name that is derived with it.
    pub(super) fn derived(name: [u8; 4], bytes: [u8; KEY_BYTES]) -> Self {
        Self { id: KeyId(name), bytes: Zeroizing::new(bytes) }
    }

    /// The name of this key.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, hidden)", self.id)
    }
}

/// What a sealed value is for. A value opens for its own purpose only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    DataKey,
    PlatformSecret,
    CheckValue,
    TenantDatabaseUrl,
    DatabaseServerUrl,
    SigningKey,
    TotpSeed,
    WebhookSecret,
    OutgoingMail,
    /// The key of one backup.
    BackupKey,
    /// What lies beside a backup.
    BackupManifest,
    /// Whom to tell of an institution whose database is gone.
    Contacts,
    /// The key of one archive of a log.
    ArchiveKey,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::DataKey => "data-key",
            Self::PlatformSecret => "platform-secret",
            Self::CheckValue => "check-value",
            Self::TenantDatabaseUrl => "tenant-database-url",
            Self::DatabaseServerUrl => "database-server-url",
            Self::SigningKey => "signing-key",
            Self::TotpSeed => "totp-seed",
            Self::WebhookSecret => "webhook-secret",
            Self::OutgoingMail => "outgoing-mail",
            Self::BackupKey => "backup-key",
            Self::BackupManifest => "backup-manifest",
            Self::Contacts => "contacts",
            Self::ArchiveKey => "archive-key",
        }
    }
}

/// What binds a sealed value to its place: `v1|institution|purpose`, with `platform` for what is nobody's.
pub fn associated_data(institution: Option<Uuid>, purpose: Purpose) -> Vec<u8> {
    let owner = institution.map_or_else(|| "platform".to_owned(), |id| id.to_string());
    format!("v1|{owner}|{}", purpose.as_str()).into_bytes()
}

/// Encrypts a value so that it can only be opened with the same key and the same associated data.
pub fn seal(key: &SecretKey, aad: &[u8], plaintext: &[u8]) -> Result<Sealed, SealError> {
    let nonce: [u8; NONCE_BYTES] = random()?;
    let mut sealed = Vec::with_capacity(HEADER_BYTES + NONCE_BYTES + plaintext.len() + TAG_BYTES);
    sealed.push(VERSION);
    sealed.extend_from_slice(&key.id.0);
    let bound = [&sealed[..], aad].concat();
    let text = cipher(key).encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: &bound });
    sealed.extend_from_slice(&nonce);
    // The cipher refuses only messages of more than 256 GiB.
    sealed.extend_from_slice(&text.map_err(|_| SealError::Format)?);
    Ok(sealed)
}

/// Opens a sealed value. The plain text is wiped from memory when dropped.
pub fn open(key: &SecretKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let id = key_id_of(sealed)?;
    if id != key.id {
        return Err(SealError::UnknownKey(id));
    }
    let (header, rest) = sealed.split_at(HEADER_BYTES);
    let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Format)?;
    let bound = [header, aad].concat();
    let plain = cipher(key).decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: &bound });
    plain.map(Zeroizing::new).map_err(|_| SealError::Tampered)
}

/// The name of the key that a value was sealed with.
pub(super) fn key_id_of(sealed: &[u8]) -> Result<KeyId, SealError> {
    if sealed.len() < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || sealed[0] != VERSION {
        return Err(SealError::Format);
    }
    let (id, _) = sealed[1..].split_first_chunk().ok_or(SealError::Format)?;
    Ok(KeyId(*id))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::Random)?;
    Ok(bytes)
}

fn cipher(key: &SecretKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*key.bytes).into())
}

/// The key of one institution. Destroying its wrapped form makes all that it sealed unreadable for good.
#[derive(Debug)]
pub struct DataKey {
    institution: Uuid,
    key: SecretKey,
}

impl DataKey {
    /// A new random key for an institution.
    pub fn generate(institution: Uuid) -> Result<Self, SealError> {
        Ok(Self { institution, key: SecretKey::generate()? })
    }

    /// The form in which the key is stored: sealed under the master key, with its own name inside.
    pub fn wrap(&self, master: &MasterKey) -> Result<Sealed, SealError> {
        let inside = Zeroizing::new([&self.key.id.0[..], &self.key.bytes[..]].concat());
        master.seal(&associated_data(Some(self.institution), Purpose::DataKey), &inside)
    }

    /// Reads a stored key. Fails for a key that was wrapped for another institution.
    pub fn unwrap(master: &MasterKey, institution: Uuid, wrapped: &[u8]) -> Result<Self, SealError> {
        let inside = master.open(&associated_data(Some(institution), Purpose::DataKey), wrapped)?;
        let (id, bytes) = inside.split_first_chunk().ok_or(SealError::Format)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| SealError::Format)?;
        Ok(Self { institution, key: SecretKey { id: KeyId(*id), bytes: Zeroizing::new(bytes) } })
    }

    /// Seals a secret of this institution.
    pub fn seal(&self, purpose: Purpose, plaintext: &[u8]) -> Result<Sealed, SealError> {
        seal(&self.key, &associated_data(Some(self.institution), purpose), plaintext)
    }

    /// Opens a secret of this institution that was sealed for this purpose.
    pub fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open(&self.key, &associated_data(Some(self.institution), purpose), sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_of_any_length() {
        let key = SecretKey::generate().unwrap();
        for length in [0, 1, 31, 32, 1000] {
            let plain = vec![7; length];
            let sealed = seal(&key, b"place", &plain).unwrap();
            assert_eq!(*open(&key, b"place", &sealed).unwrap(), plain);
            assert_eq!(sealed.len(), HEADER_BYTES + NONCE_BYTES + length + TAG_BYTES);
        }
    }

    #[test]
    fn equal_secrets_look_different_sealed() {
        let key = SecretKey::generate().unwrap();
        assert_ne!(seal(&key, b"", b"secret").unwrap(), seal(&key, b"", b"secret").unwrap());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let key = SecretKey::generate().unwrap();
        let sealed = seal(&key, b"place", b"postgres://secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, b"place", &altered).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key, b"place", &sealed[..length]).is_err(), "cut at {length}");
        }
        assert!(open(&key, b"place", &[&sealed[..], b"x"].concat()).is_err());
        assert_eq!(open(&key, b"other", &sealed).err(), Some(SealError::Tampered));
    }

    #[test]
    fn a_key_of_another_name_and_a_wrong_key_of_the_same_name_fail() {
        let key = SecretKey::generate().unwrap();
        let sealed = seal(&key, b"", b"secret").unwrap();
        let other = SecretKey::generate().unwrap();
        assert_eq!(open(&other, b"", &sealed).err(), Some(SealError::UnknownKey(key.id())));
        let same_name = SecretKey { id: key.id, bytes: other.bytes };
        assert_eq!(open(&same_name, b"", &sealed).err(), Some(SealError::Tampered));
    }

    #[test]
    fn a_data_key_serves_its_institution_and_purpose_only() {
        let master = MasterKey::generate().unwrap();
        let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
        let key_a = DataKey::generate(a).unwrap();
        let key_b = DataKey::generate(b).unwrap();
        let wrapped = key_a.wrap(&master).unwrap();
        let again = DataKey::unwrap(&master, a, &wrapped).unwrap();

        let sealed = key_a.seal(Purpose::TenantDatabaseUrl, b"url").unwrap();
        assert_eq!(*again.open(Purpose::TenantDatabaseUrl, &sealed).unwrap(), b"url");
        assert_eq!(again.open(Purpose::SigningKey, &sealed).err(), Some(SealError::Tampered));
        assert!(key_b.open(Purpose::TenantDatabaseUrl, &sealed).is_err());
        assert_eq!(DataKey::unwrap(&master, b, &wrapped).err(), Some(SealError::Tampered));
        // The very same key moved to another institution does not open it either.
        let moved = DataKey { institution: b, key: again.key };
        assert_eq!(moved.open(Purpose::TenantDatabaseUrl, &sealed).err(), Some(SealError::Tampered));
    }

    #[test]
    fn keys_are_never_printed() {
        let key = DataKey::generate(Uuid::nil()).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains("hidden"));
        assert!(!shown.contains(&format!("{:?}", &key.key.bytes[..4])[1..8]), "{shown}");
    }
}
