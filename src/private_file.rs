//! Files that are secrets or hold one: master key, admin token, broker address, configuration, the
//! store's folder.
//!
//! Such a file must be a regular file, belong to the process's user or to root, and grant no rights
//! to other users. A file in systemd's credentials folder is private by that folder. A pipe is
//! refused, because opening it could block.
//!
//! Owns this one rule for all of them.
//!
//! Not here: what the files contain (`crypto/master.rs`, `config/`, `app/wiring.rs`).

use std::{
    fs::{File, FileType, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// The usual kind of a file.
const REGULAR: &str = "a regular file";

/// The largest size that is read, in bytes. A larger file is refused, because it is another file
/// than the one that was meant.
const BYTES_MAX: u64 = 64 * 1024;

/// Why a private file is refused.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// It cannot be opened or read.
    #[error("{what} {path} cannot be read")]
    Io {
        /// What the file is for, in words.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// It has another type.
    #[error("{what} {path} is {kind}: it must be {wanted}")]
    Kind {
        /// What the file is for, in words.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The type that was found.
        kind: &'static str,
        /// The type that is required.
        wanted: &'static str,
    },
    /// It is larger than any such file.
    #[error("{what} {path} has more than {BYTES_MAX} bytes: is it the right file?")]
    TooLarge {
        /// What the file is for, in words.
        what: &'static str,
        /// Its path.
        path: PathBuf,
    },
    /// It belongs to another user, who could change it.
    #[error(
        "{what} {path} belongs to user {owner}, \
         not to the user of this process or to root: chown it"
    )]
    Foreign {
        /// What the file is for, in words.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The user id of its owner.
        owner: u32,
    },
    /// Users other than its owner have rights to it.
    #[error("{what} {path} can be read by others (mode {mode:04o}): chmod {wanted} {path}")]
    Exposed {
        /// What the file is for, in words.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits to set, as octal text.
        wanted: &'static str,
    },
}

/// Opens a private file for reading.
///
/// # Errors
///
/// The file cannot be opened, or it is not private.
pub fn open(what: &'static str, path: &Path) -> Result<File, PrivateFileError> {
    let failed = |source| PrivateFileError::Io { what, path: path.to_owned(), source };
    let file = open_at_once(path).map_err(failed)?;
    // Checking the open file, not the path, excludes a replacement of the file in between.
    let metadata = file.metadata().map_err(failed)?;
    check(what, path, &metadata)?;
    Ok(file)
}

/// Reads a private text file.
///
/// # Errors
///
/// The file cannot be read, is not private, has more than 64 KiB, or is not UTF-8.
pub fn read(what: &'static str, path: &Path) -> Result<Zeroizing<String>, PrivateFileError> {
    let failed = |source| PrivateFileError::Io { what, path: path.to_owned(), source };
    let file = open(what, path)?;
    // The size is taken from the open file and from what was read, because the file may grow.
    let mut text = Zeroizing::new(String::new());
    if file.metadata().map_err(failed)?.len() > BYTES_MAX
        || file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)? as u64 > BYTES_MAX
    {
        return Err(PrivateFileError::TooLarge { what, path: path.to_owned() });
    }
    Ok(text)
}

/// Checks that an open file is private. `what` names it in the error.
///
/// # Errors
///
/// It is not a regular file, belongs to another user, or grants rights to other users.
pub fn check(what: &'static str, path: &Path, metadata: &Metadata) -> Result<(), PrivateFileError> {
    let kind = metadata.file_type();
    if !kind.is_file() {
        return Err(of_kind(what, path, kind, REGULAR));
    }
    private(what, path, metadata, "600")
}

/// Checks that a folder is private. `what` names it in the error.
///
/// # Errors
///
/// It cannot be inspected, is not a folder, belongs to another user, or grants rights to other
/// users.
pub fn check_folder(what: &'static str, path: &Path) -> Result<(), PrivateFileError> {
    let found = std::fs::metadata(path);
    let metadata =
        found.map_err(|source| PrivateFileError::Io { what, path: path.to_owned(), source })?;
    if !metadata.is_dir() {
        return Err(of_kind(what, path, metadata.file_type(), "a folder"));
    }
    private(what, path, &metadata, "700")
}

/// Opens a regular file that need not be private. Never blocks on a pipe.
///
/// # Errors
///
/// The file cannot be opened, or is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = open_at_once(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {}: it must be a regular file", called(kind)),
    ))
}

fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn private(
    what: &'static str,
    path: &Path,
    metadata: &Metadata,
    wanted: &'static str,
) -> Result<(), PrivateFileError> {
    // systemd grants access to the service's user by an access list, and that shows as rights of
    // the group.
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
    if credentials.is_some_and(|folder| path.starts_with(folder)) {
        return Ok(());
    }
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(PrivateFileError::Foreign { what, path: path.to_owned(), owner });
    }
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed { what, path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn of_kind(
    what: &'static str,
    path: &Path,
    kind: FileType,
    wanted: &'static str,
) -> PrivateFileError {
    PrivateFileError::Kind { what, path: path.to_owned(), kind: called(kind), wanted }
}

/// The kind of a file in a sentence.
pub(crate) fn called(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_file() => REGULAR,
        kind if kind.is_symlink() => "a symbolic link",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_private_file_is_regular_and_accessible_to_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let outcome = |path: &Path| match read("the token", path) {
            Ok(text) => text.to_string(),
            Err(error) => error.to_string().replace(&dir.path().display().to_string(), ""),
        };
        assert_eq!(outcome(&path), "the token /token cannot be read");
        fs::write(&path, "secret").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let says = format!(
                "the token /token can be read by others (mode {mode:04o}): chmod 600 /token"
            );
            assert_eq!(outcome(&path), says);
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        assert_eq!(outcome(&path), "secret");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(&path, "x".repeat(64 * 1024)).unwrap();
        assert_eq!(outcome(&path).len(), 64 * 1024, "the limit itself");
        // The cut may fall into a character.
        for unit in ["x", "密"] {
            fs::write(&path, unit.repeat(64 * 1024 + 1)).unwrap();
            let says = "the token /token has more than 65536 bytes: is it the right file?";
            assert!(outcome(&path) == says, "{} bytes are read", outcome(&path).len());
        }
        assert_eq!(outcome(dir.path()), "the token  is a folder: it must be a regular file");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600))
            .unwrap();
        assert_eq!(outcome(&pipe), "the token /pipe is a pipe: it must be a regular file");
        assert!(open_regular(&pipe).unwrap_err().to_string().contains("a pipe"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert!(outcome(&path).contains("belongs to user 65534"), "{}", outcome(&path));
        }
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(check_folder("the store", dir.path()).is_ok());
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let says = check_folder("the store", dir.path()).unwrap_err().to_string();
        assert!(says.contains("(mode 0755): chmod 700"), "{says}");
    }
}
