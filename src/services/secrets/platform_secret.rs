//! One random secret of the platform, from which the keys for hashing are derived, one for each use.
//!
//! It is stored sealed under the master key, so rotating the master key leaves every derived key as it is:
//! passwords and the login index go on working.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::seal::{KEY_BYTES, open, random, seal};
use super::{MasterKey, Purpose, SealError, Sealed, SecretKey, associated_data};

/// The secret that derived keys come from.
pub struct PlatformSecret(Zeroizing<[u8; KEY_BYTES]>);

/// What a derived key is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyUse {
    /// E-mail addresses in the login index and in throttling.
    EmailIndex,
    /// Passwords, before bcrypt.
    PasswordPepper,
    /// Links that are made from data and not stored.
    LinkTokens,
    /// The chain of the audit log.
    AuditChain,
    /// Cookies that are signed or encrypted.
    Cookies,
    /// Archives of the audit log, which outlast every master key.
    Archives,
    /// The addresses of database servers, with their passwords.
    ServerAddresses,
}

impl KeyUse {
    fn label(self) -> &'static str {
        match self {
            Self::EmailIndex => "email-index",
            Self::PasswordPepper => "password-pepper",
            Self::LinkTokens => "link-tokens",
            Self::AuditChain => "audit-chain",
            Self::Cookies => "cookies",
            Self::Archives => "archives",
            Self::ServerAddresses => "server-addresses",
        }
    }
}

impl PlatformSecret {
    /// A new random secret, made once in the life of a platform.
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self(Zeroizing::new(random()?)))
    }

    /// The form in which the secret is stored.
    pub fn wrap(&self, master: &MasterKey) -> Result<Sealed, SealError> {
        master.seal(&associated_data(None, Purpose::PlatformSecret), &self.0[..])
    }

    /// Reads the stored secret.
    pub fn unwrap(master: &MasterKey, wrapped: &[u8]) -> Result<Self, SealError> {
        let inside = master.open(&associated_data(None, Purpose::PlatformSecret), wrapped)?;
        let bytes = inside.as_slice().try_into().map_err(|_| SealError::Format)?;
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The key for one use: always the same, and telling nothing of the others.
    pub fn derive(&self, key_use: KeyUse) -> DerivedKey {
        DerivedKey(Zeroizing::new(keyed_hash(&self.0, "provost derived key v1", key_use.label().as_bytes())))
    }
}

impl fmt::Debug for PlatformSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformSecret(hidden)")
    }
}

/// A key for hashing, derived from the platform's secret for one use.
#[derive(Clone)]
pub struct DerivedKey(Zeroizing<[u8; KEY_BYTES]>);

impl DerivedKey {
    /// The keyed hash of data. `kind` keeps hashes of different things apart.
    pub fn hash(&self, kind: &str, data: &[u8]) -> [u8; 32] {
        keyed_hash(&self.0, kind, data)
    }

    /// Whether a presented hash is the hash of the data, compared in constant time.
    pub fn verify(&self, kind: &str, data: &[u8], presented: &[u8]) -> bool {
        self.hash(kind, data).ct_eq(presented).into()
    }

    /// Seals a value with this key; `kind` keeps values of different things apart.
    pub fn seal(&self, kind: &str, plain: &[u8]) -> Result<Sealed, SealError> {
        seal(&self.sealing(), kind.as_bytes(), plain)
    }

    /// Opens what [`Self::seal`] sealed.
    pub fn open(&self, kind: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        open(&self.sealing(), kind.as_bytes(), sealed)
    }

    /// The key as one that seals.
    pub fn sealing(&self) -> SecretKey {
        let name = self.hash("key-name", b"");
        SecretKey::derived([name[0], name[1], name[2], name[3]], *self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(hidden)")
    }
}

/// HMAC-SHA-256 of data under a key, for one purpose. The purpose's length goes first, so that no purpose and
/// data can be shifted into another.
pub fn keyed_hash(key: &[u8; KEY_BYTES], purpose: &str, data: &[u8]) -> [u8; 32] {
    // A block of zeros after the key is what HMAC adds to a short key anyway: the hash is that of the key itself.
    let mut block = Zeroizing::new([0; 64]);
    block[..KEY_BYTES].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(&(purpose.len() as u64).to_be_bytes());
    mac.update(purpose.as_bytes());
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const USES: [KeyUse; 6] = [
        KeyUse::EmailIndex,
        KeyUse::PasswordPepper,
        KeyUse::LinkTokens,
        KeyUse::AuditChain,
        KeyUse::Cookies,
        KeyUse::Archives,
    ];

    #[test]
    fn keys_of_different_uses_differ_and_stay() {
        let secret = PlatformSecret(Zeroizing::new([9; 32]));
        let keys: HashSet<_> = USES.iter().map(|&key_use| *secret.derive(key_use).bytes()).collect();
        assert_eq!(keys.len(), USES.len());
        assert!(USES.iter().all(|&key_use| keys.contains(secret.derive(key_use).bytes())));
    }

    #[test]
    fn survives_wrapping_and_rotation() {
        let master = MasterKey::generate().unwrap();
        let secret = PlatformSecret::generate().unwrap();
        let wrapped = secret.wrap(&master).unwrap();
        let again = PlatformSecret::unwrap(&master, &wrapped).unwrap();
        assert_eq!(secret.derive(KeyUse::EmailIndex).bytes(), again.derive(KeyUse::EmailIndex).bytes());
        assert!(PlatformSecret::unwrap(&MasterKey::generate().unwrap(), &wrapped).is_err());
    }

    #[test]
    fn hashes_depend_on_key_kind_and_data() {
        let key = |byte| DerivedKey(Zeroizing::new([byte; 32]));
        let hashes: HashSet<_> = [
            key(1).hash("a", b"bc"),
            key(1).hash("ab", b"c"),
            key(1).hash("", b"abc"),
            key(1).hash("a", b"bd"),
            key(2).hash("a", b"bc"),
        ]
        .into();
        assert_eq!(hashes.len(), 5);
        assert!(key(1).verify("a", b"bc", &key(1).hash("a", b"bc")));
        assert!(!key(1).verify("a", b"bc", &key(1).hash("a", b"bd")));
        assert!(!key(1).verify("a", b"bc", &[]));
    }

    #[test]
    fn is_hmac_as_the_standard_has_it() {
        // RFC 4231, test case 2, has a key of 4 bytes: pad it as HMAC does.
        let mut block = [0; 64];
        block[..4].copy_from_slice(b"Jefe");
        let mut mac = Hmac::<Sha256>::new((&block).into());
        mac.update(b"what do ya want for nothing?");
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(hash[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(hash[28..], [0x64, 0xec, 0x38, 0x43]);
    }
}
