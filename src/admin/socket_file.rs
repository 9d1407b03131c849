//! The file of the Unix socket.
//!
//! Owns that only two files are ever deleted: a socket that a dead process left behind, and at the
//! end the socket of this process.
//!
//! Not here: the connections on the socket (`connections.rs`).

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

use super::AdminError;
use crate::private_file;

/// The socket of this process: its path, and the identity of its file.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// Listens at this path; only the owner may connect.
    pub(super) async fn bind(path: &Path) -> Result<(UnixListener, Self), AdminError> {
        let failed = |source| AdminError::Socket { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        make_room(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let identity = identity(path).map_err(failed)?;
        fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(failed)?;
        Ok((listener, Self { path: path.to_owned(), identity }))
    }

    /// Deletes the socket, unless another file has replaced it.
    pub(super) fn remove(&self) {
        if identity(&self.path).is_ok_and(|there| there == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Device and inode of the file itself; a symbolic link is not followed.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Checks whether a socket could be created at this path, while no daemon listens. Changes nothing.
pub(super) fn could_bind(path: &Path) -> Result<(), AdminError> {
    use rustix::fs::{Access, access};
    let failed = |source| AdminError::Socket { path: path.to_owned(), source };
    std::os::unix::net::SocketAddr::from_pathname(path).map_err(failed)?;
    socket_there(path)?;
    // A missing folder would be created in its nearest existing parent.
    let mut above = path
        .ancestors()
        .skip(1)
        .map(|one| if one.as_os_str().is_empty() { Path::new(".") } else { one });
    let folder = above.find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(error.into()))
}

/// Whether a socket exists at this path. Fails if it is another kind of file.
fn socket_there(path: &Path) -> Result<bool, AdminError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(AdminError::Socket { path: path.to_owned(), source }),
        Ok(there) if there.file_type().is_socket() => Ok(true),
        Ok(there) => Err(AdminError::NotASocket {
            path: path.to_owned(),
            found: private_file::called(there.file_type()),
        }),
    }
}

/// Deletes a socket on which no process listens any more, and nothing else.
async fn make_room(path: &Path) -> Result<(), AdminError> {
    let failed = |source| AdminError::Socket { path: path.to_owned(), source };
    if !socket_there(path)? {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        // Its backlog is full, so a process listens on it.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        _ => Err(AdminError::Taken(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bound: Result<(UnixListener, SocketFile), AdminError>) -> String {
        bound.map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn nothing_but_a_socket_that_was_left_behind_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("key"), "precious").unwrap();
        fs::create_dir(path("folder")).unwrap();
        drop(UnixListener::bind(path("left")).unwrap());
        std::os::unix::fs::symlink(path("key"), path("to-key")).unwrap();
        std::os::unix::fs::symlink(path("left"), path("to-left")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("to-nowhere")).unwrap();
        for (name, found) in [
            ("key", "a regular file"),
            ("folder", "a folder"),
            ("to-key", "a symbolic link"),
            ("to-left", "a symbolic link"),
            ("to-nowhere", "a symbolic link"),
        ] {
            let said = refused(SocketFile::bind(&path(name)).await);
            assert!(said.contains(found) && said.contains(name), "{said}");
            assert!(fs::symlink_metadata(path(name)).is_ok(), "{name} is there");
        }
        assert_eq!(fs::read_to_string(path("key")).unwrap(), "precious");
        let (_listener, file) = SocketFile::bind(&path("left")).await.unwrap();
        assert!(refused(SocketFile::bind(&path("left")).await).contains("another daemon answers"));
        file.remove();
        assert!(fs::symlink_metadata(path("left")).is_err());
    }

    #[tokio::test]
    async fn at_the_end_the_file_of_another_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/admin.sock");
        let (_listener, file) = SocketFile::bind(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::rename(&path, path.with_extension("old")).unwrap();
        fs::write(&path, "of another").unwrap();
        file.remove();
        assert_eq!(fs::read_to_string(&path).unwrap(), "of another");
    }
}
