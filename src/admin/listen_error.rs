//! Why the API cannot listen.
//!
//! Owns the sentences that name the listener and what to do.
//!
//! Not here: the errors of requests (`error.rs`).

use std::{io, path::PathBuf};

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another process answers on the socket.
    #[error("another daemon answers on the admin socket {0}: stop it, or set admin.socket")]
    Taken(PathBuf),
    /// The file at the socket's path is not a socket.
    #[error(
        "admin.socket {path} is {found} and not a socket: \
         move it away, or set admin.socket to another path"
    )]
    NotASocket {
        /// The path.
        path: PathBuf,
        /// The kind of the file.
        found: &'static str,
    },
    /// The socket cannot be created.
    #[error("the admin socket {path} cannot be opened")]
    Socket {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The TCP address cannot be bound.
    #[error("the admin address {address} cannot be listened on")]
    Address {
        /// The address.
        address: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}
