//! The master key: a file of its own, outside every database, that its owner alone can read.
//!
//! One line a key, the current one first: `<key id> <32 bytes in base64>`. Older keys stay until nothing is
//! sealed with them any more.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use super::seal::{
    self, KEY_BYTES, KeyId, Purpose, SealError, Sealed, SecretKey, associated_data, key_id_of,
};

const FIRST_LINE: &str =
    "# Provost master key, version 1. Keep a copy apart from the database and its backups.";
const MAX_FILE_BYTES: u64 = 64 * 1024;
const KNOWN_TEXT: &[u8] = b"provost master key check value";

/// Why the key file could not be used, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error(
        "There is no master key at {0}. Put the file back from your copy, or set PROVOST_MASTER_KEY_FILE to \
         where it is"
    )]
    Missing(PathBuf),
    #[error("There is already a master key at {0}. It is not overwritten")]
    Exists(PathBuf),
    #[error("The master key file {path} can be read by others (mode {mode:03o}). Run: chmod 600 {path}", path = path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("The master key file {path} is damaged: {why}. Put it back from your copy", path = path.display())]
    Damaged { path: PathBuf, why: &'static str },
    #[error("The master key file {path} could not be {act}: {cause}", path = path.display())]
    Io { path: PathBuf, act: &'static str, cause: io::Error },
    #[error(
        "The master key does not belong to this database. Set PROVOST_MASTER_KEY_FILE to the key that this \
         database was made with ({0})"
    )]
    Wrong(SealError),
    #[error("There is only one master key in {0}, so none can be dropped")]
    OnlyOne(PathBuf),
    #[error(transparent)]
    Random(SealError),
}

/// The keys of the platform: the current one seals, all of them open.
pub struct MasterKey {
    current: SecretKey,
    older: Vec<SecretKey>,
}

impl MasterKey {
    /// A new key that is nowhere stored yet.
    pub fn generate() -> Result<Self, SealError> {
        Ok(Self { current: SecretKey::generate()?, older: Vec::new() })
    }

    /// Reads the key file. Refuses one that others can read, and one that is not whole.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let file = match File::open(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(KeyFileError::Missing(path.into()));
            }
            opened => opened.map_err(io_error(path, "opened"))?,
        };
        let meta = file.metadata().map_err(io_error(path, "read"))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Open { path: path.into(), mode });
        }
        let damaged = |why| KeyFileError::Damaged { path: path.into(), why };
        if !meta.is_file() || meta.len() > MAX_FILE_BYTES {
            return Err(damaged("it is not a key file"));
        }
        // Room for the whole file at once: growing would leave copies of the key in memory.
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES as usize));
        let read = file.take(MAX_FILE_BYTES).read_to_string(&mut text);
        read.map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidData => damaged("it is not text"),
            _ => io_error(path, "read")(cause),
        })?;
        Self::from_text(&text).map_err(damaged)
    }

    /// Makes a new key file, readable by its owner only. An existing file is never overwritten.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let key = Self::generate().map_err(KeyFileError::Random)?;
        let part = key.write_part(path)?;
        // A link, unlike a rename, fails when the name is taken: of two starting at once, one makes the key.
        let linked = fs::hard_link(&part, path);
        fs::remove_file(&part).map_err(io_error(&part, "removed"))?;
        match linked {
            Ok(()) => sync_folder(path).map(|()| key),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeyFileError::Exists(path.into()))
            }
            Err(cause) => Err(io_error(path, "made")(cause)),
        }
    }

    /// Reads the key file, or makes it at the first run of a platform.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        match Self::load(path) {
            Err(KeyFileError::Missing(_)) => match Self::create(path) {
                Err(KeyFileError::Exists(_)) => Self::load(path),
                created => created,
            },
            loaded => loaded,
        }
    }

    /// Begins a rotation: writes a new current key before the present ones, which still open what they sealed.
    pub fn add_new_key(path: &Path) -> Result<Self, KeyFileError> {
        let Self { current, mut older } = Self::load(path)?;
        older.insert(0, current);
        let mut new = SecretKey::generate().map_err(KeyFileError::Random)?;
        while older.iter().any(|key| key.id == new.id) {
            new = SecretKey::generate().map_err(KeyFileError::Random)?;
        }
        let keys = Self { current: new, older };
        keys.replace(path)?;
        Ok(keys)
    }

    /// Ends a rotation: keeps the current key only. To be called when nothing is sealed with an older one.
    pub fn drop_old(path: &Path) -> Result<Self, KeyFileError> {
        let mut keys = Self::load(path)?;
        if keys.older.is_empty() {
            return Err(KeyFileError::OnlyOne(path.into()));
        }
        keys.older.clear();
        keys.replace(path)?;
        Ok(keys)
    }

    /// The name of the key that seals.
    pub fn current_id(&self) -> KeyId {
        self.current.id
    }

    /// The names of the keys that only open.
    pub fn older_ids(&self) -> Vec<KeyId> {
        self.older.iter().map(SecretKey::id).collect()
    }

    /// Seals with the current key.
    pub fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Sealed, SealError> {
        seal::seal(&self.current, aad, plaintext)
    }

    /// Opens with whichever key the value was sealed with.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let id = key_id_of(sealed)?;
        let key = self.keys().find(|key| key.id == id).ok_or(SealError::UnknownKey(id))?;
        seal::open(key, aad, sealed)
    }

    /// Whether a stored value is still sealed with an older key.
    pub fn needs_rewrap(&self, sealed: &[u8]) -> Result<bool, SealError> {
        Ok(key_id_of(sealed)? != self.current.id)
    }

    /// Seals a stored value again, with the current key.
    pub fn rewrap(&self, aad: &[u8], sealed: &[u8]) -> Result<Sealed, SealError> {
        self.seal(aad, &self.open(aad, sealed)?)
    }

    fn keys(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    fn from_text(text: &str) -> Result<Self, &'static str> {
        let mut keys = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let key = parse_line(line)?;
            if keys.iter().any(|other: &SecretKey| other.id == key.id) {
                return Err("two keys have the same name");
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err("there is no key in it");
        }
        Ok(Self { current: keys.remove(0), older: keys })
    }

    fn to_text(&self) -> Zeroizing<String> {
        let lines = FIRST_LINE.len() + 1 + 60 * (1 + self.older.len());
        let mut text = Zeroizing::new(String::with_capacity(lines));
        text.push_str(FIRST_LINE);
        for key in self.keys() {
            text.push('\n');
            text.push_str(&key.id.to_string());
            text.push(' ');
            text.push_str(&Zeroizing::new(BASE64.encode(&key.bytes[..])));
        }
        text.push('\n');
        text
    }

    /// Writes the keys beside the file, safely on disk, for a rename or link to put in place.
    fn write_part(&self, path: &Path) -> Result<PathBuf, KeyFileError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", uuid::Uuid::now_v7().simple()));
        let part = path.with_file_name(name);
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).and_then(|mut file| {
                file.write_all(self.to_text().as_bytes())?;
                file.sync_all()
            });
        match written {
            Ok(()) => Ok(part),
            Err(cause) => {
                // Half a key helps nobody; that it cannot be removed either is not the news to tell.
                let _ = fs::remove_file(&part);
                Err(io_error(path, "written")(cause))
            }
        }
    }

    fn replace(&self, path: &Path) -> Result<(), KeyFileError> {
        let part = self.write_part(path)?;
        fs::rename(&part, path).map_err(io_error(path, "replaced"))?;
        sync_folder(path)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, {} older, hidden)", self.current.id, self.older.len())
    }
}

/// A value to keep in the database, by which a wrong master key is found at start-up.
pub fn check_value(master: &MasterKey) -> Result<Sealed, SealError> {
    master.seal(&associated_data(None, Purpose::CheckValue), KNOWN_TEXT)
}

/// Says whether the master key is the one that the database was made with.
pub fn verify_check_value(master: &MasterKey, stored: &[u8]) -> Result<(), KeyFileError> {
    let opened =
        master.open(&associated_data(None, Purpose::CheckValue), stored).map_err(KeyFileError::Wrong)?;
    if opened.as_slice() == KNOWN_TEXT { Ok(()) } else { Err(KeyFileError::Wrong(SealError::Tampered)) }
}

fn parse_line(line: &str) -> Result<SecretKey, &'static str> {
    let (id, key) = line.split_once(' ').ok_or("a line is not “name key”")?;
    let id = u32::from_str_radix(id, 16)
        .ok()
        .filter(|_| id.len() == 8)
        .ok_or("a key's name is not 8 hex digits")?;
    let decoded = Zeroizing::new(BASE64.decode(key.trim()).map_err(|_| "a key is not base64")?);
    let bytes: [u8; KEY_BYTES] = decoded.as_slice().try_into().map_err(|_| "a key does not have 32 bytes")?;
    Ok(SecretKey { id: KeyId(id.to_be_bytes()), bytes: Zeroizing::new(bytes) })
}

fn io_error(path: &Path, act: &'static str) -> impl FnOnce(io::Error) -> KeyFileError {
    move |cause| KeyFileError::Io { path: path.into(), act, cause }
}

/// A new name is on disk only when its folder is.
fn sync_folder(path: &Path) -> Result<(), KeyFileError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(path, "made durable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test, gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("provost-key-{}", uuid::Uuid::now_v7()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn key(&self) -> PathBuf {
            self.0.join("master.key")
        }

        fn with(&self, text: &str, mode: u32) -> Result<MasterKey, KeyFileError> {
            fs::write(self.key(), text).unwrap();
            fs::set_permissions(self.key(), fs::Permissions::from_mode(mode)).unwrap();
            MasterKey::load(&self.key())
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn is_made_once_for_its_owner_only() {
        let folder = Folder::new();
        assert!(matches!(MasterKey::load(&folder.key()), Err(KeyFileError::Missing(_))));
        let made = MasterKey::load_or_create(&folder.key()).unwrap();
        assert_eq!(fs::metadata(folder.key()).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = made.seal(b"", b"secret").unwrap();
        let loaded = MasterKey::load_or_create(&folder.key()).unwrap();
        assert_eq!(*loaded.open(b"", &sealed).unwrap(), b"secret");
        assert!(matches!(MasterKey::create(&folder.key()), Err(KeyFileError::Exists(_))));
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no part is left behind");
    }

    #[test]
    fn many_starting_at_once_agree_on_one_key() {
        let folder = Folder::new();
        let path = folder.key();
        let ids: Vec<_> = std::thread::scope(|scope| {
            let start = || MasterKey::load_or_create(&path).unwrap().current_id();
            let all: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }

    #[test]
    fn a_file_that_others_read_is_refused_with_the_remedy() {
        let folder = Folder::new();
        let text = MasterKey::generate().unwrap().to_text();
        for mode in [0o640, 0o604, 0o644, 0o660] {
            let error = folder.with(&text, mode).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains(&format!("{mode:o}")), "{error}");
        }
        assert!(folder.with(&text, 0o400).is_ok());
    }

    #[test]
    fn damaged_files_are_refused_without_showing_the_key() {
        let folder = Folder::new();
        let whole = MasterKey::generate().unwrap().to_text();
        let line = whole.lines().nth(1).unwrap();
        for text in [
            "",
            "hello",
            "0011aabb c2hvcnQ=",
            "0011aabb !!!",
            "xyz AAAA",
            &line[..40],
            &format!("{line}\n{line}"),
        ] {
            let error = folder.with(text, 0o600).unwrap_err();
            assert!(matches!(error, KeyFileError::Damaged { .. }), "{text}: {error}");
            assert!(!error.to_string().contains(&line[9..20]), "{error}");
        }
        fs::write(folder.key(), [0xff, 0xfe, 0x00]).unwrap();
        assert!(matches!(MasterKey::load(&folder.key()), Err(KeyFileError::Damaged { .. })));
    }

    #[test]
    fn rotation_keeps_everything_readable_until_the_end() {
        let folder = Folder::new();
        let first = MasterKey::create(&folder.key()).unwrap();
        let sealed = first.seal(b"place", b"secret").unwrap();
        let check = check_value(&first).unwrap();
        assert!(matches!(MasterKey::drop_old(&folder.key()), Err(KeyFileError::OnlyOne(_))));

        let both = MasterKey::add_new_key(&folder.key()).unwrap();
        assert_ne!(both.current_id(), first.current_id());
        assert_eq!(both.older_ids(), [first.current_id()]);
        assert!(both.needs_rewrap(&sealed).unwrap());
        verify_check_value(&both, &check).unwrap();
        let rewrapped = both.rewrap(b"place", &sealed).unwrap();
        assert!(!both.needs_rewrap(&rewrapped).unwrap());

        let last = MasterKey::drop_old(&folder.key()).unwrap();
        assert_eq!(*last.open(b"place", &rewrapped).unwrap(), b"secret");
        assert_eq!(last.open(b"place", &sealed).err(), Some(SealError::UnknownKey(first.current_id())));
        assert_eq!(fs::metadata(folder.key()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_wrong_key_is_found_at_start_up() {
        let (right, wrong) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        let stored = check_value(&right).unwrap();
        assert!(verify_check_value(&right, &stored).is_ok());
        let error = verify_check_value(&wrong, &stored).unwrap_err();
        assert!(error.to_string().contains("does not belong to this database"), "{error}");
        assert!(verify_check_value(&right, &stored[..10]).is_err());
    }

    #[test]
    fn debug_shows_names_only() {
        let key = MasterKey::generate().unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains("hidden") && !shown.contains(&BASE64.encode(&key.current.bytes[..])[..8]));
    }
}
