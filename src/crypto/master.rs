//! The file of the master key: created once, read at start, refused if other users can read it.
//!
//! Owns the format of that file.
//!
//! Not here: the check of its permissions (`src/private_file.rs`), and the keys derived from it
//! (`keys.rs`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use chacha20poly1305::aead::Generate;
use zeroize::Zeroizing;

use crate::{
    domain::Secret,
    private_file::{self, PrivateFileError},
    settings::{DefaultValue, path, section},
};

section! {
    /// The master key.
    pub struct KeySettings in "key" with defaults {
        /// Its file, readable by its owner alone; made by `roomcast key init`. With systemd's
        /// `LoadCredential=master.key:…` the credential is the default.
        file: PathBuf = one(path(), "/etc/roomcast/master.key"), AtStart;
    }
}

/// systemd's credential `master.key`, if there is one.
fn defaults() -> Vec<(&'static str, DefaultValue)> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let credential = folder.map(|folder| folder.join("master.key")).filter(|file| file.exists());
    let text = credential.as_deref().and_then(Path::to_str).map(DefaultValue::one);
    text.map(|default| ("file", default)).into_iter().collect()
}

/// The bytes of a master key. Its file has twice as many hexadecimal digits.
pub(super) const KEY_BYTES: usize = 32;

/// The master key. It only derives other keys, and it is wiped when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why the master key is not available.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file does not exist.
    #[error(
        "the master key {0} does not exist: make one with `roomcast key init`, or set key.file"
    )]
    Missing(PathBuf),
    /// The file is not private, or cannot be read.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Its content is not a key.
    #[error(
        "{0} is not a master key: \
         it must contain 64 hexadecimal digits, as `roomcast key init` writes them"
    )]
    Malformed(PathBuf),
    /// The file exists already; a key must never be overwritten.
    #[error(
        "{0} exists already and is left as it is: without it, everything sealed with it is lost"
    )]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("the master key {path} cannot be written")]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl MasterKey {
    /// Reads the key. Its file must be private.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = private_file::read("the master key", path).map_err(|error| match &error {
            PrivateFileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                KeyError::Missing(path.to_owned())
            }
            PrivateFileError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                KeyError::Malformed(path.to_owned())
            }
            _ => KeyError::File(error),
        })?;
        Self::from_hex(&text).ok_or_else(|| KeyError::Malformed(path.to_owned()))
    }

    /// Generates a key and writes it to a new file. It is durable before this returns.
    pub fn generate_file(path: &Path) -> Result<(), KeyError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
            _ => KeyError::Unwritten { path: path.to_owned(), source },
        };
        let folder =
            path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let key = Zeroizing::new(<[u8; KEY_BYTES]>::generate());
        let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(*key))));
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(folder)?.sync_all());
        written.map_err(|source| {
            // A partial key would block the next try, because existing files are not overwritten.
            let _ = fs::remove_file(path);
            failed(source)
        })
    }

    /// A key with these bytes, if it does not come from a file.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A key from 64 hexadecimal digits, the form on the admin socket.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text.trim(), &mut *key).ok()?;
        Some(Self(key))
    }

    /// The key as 64 hexadecimal digits, the form on the admin socket.
    #[must_use]
    pub fn to_hex(&self) -> Secret {
        Secret::new(hex::encode(*self.0))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etc/master.key");
        assert!(matches!(MasterKey::load(&path), Err(KeyError::Missing(_))));
        MasterKey::generate_file(&path).unwrap();
        let first = MasterKey::load(&path).unwrap();
        assert!(matches!(MasterKey::generate_file(&path), Err(KeyError::Exists(_))));
        assert_eq!(first.bytes(), MasterKey::load(&path).unwrap().bytes());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_any_other_user_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        MasterKey::generate_file(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let exposed = matches!(
                MasterKey::load(&path),
                Err(KeyError::File(PrivateFileError::Exposed { .. }))
            );
            assert!(exposed, "{mode:o}");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert!(MasterKey::load(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_is_not_a_key_is_refused_without_its_content() {
        let dir = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"hunter2", &[b'a'; 63], &[b'a'; 66], &[0xff; 64], &[b'a'; 5000]]
        {
            let path = dir.path().join("key");
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            let Err(error) = MasterKey::load(&path) else { panic!("taken") };
            assert!(matches!(error, KeyError::Malformed(_)));
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
