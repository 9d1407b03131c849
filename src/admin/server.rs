//! The listeners: a Unix socket for the machine's own, TCP with a token for others.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{Admin, ConnectionLimits, admission::Admission, connections, console, door::Door};
use crate::domain::Secret;

/// Where the API listens.
pub struct Settings {
    /// The Unix socket; only its owner may open it.
    pub socket: PathBuf,
    /// A TCP address and the token that callers have to show.
    pub tcp: Option<(String, Secret)>,
    /// Whether the console is served at the TCP address.
    pub console: bool,
    /// How many connections are taken on the Unix socket.
    pub socket_limits: ConnectionLimits,
    /// How many connections are taken at the TCP address.
    pub tcp_limits: ConnectionLimits,
}

/// Why the API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another process answers on the socket.
    #[error("another daemon answers on the admin socket {0}: stop it, or set admin.socket")]
    Taken(PathBuf),
    /// The socket cannot be made.
    #[error("the admin socket {path} cannot be opened")]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("the admin address {address} cannot be listened on")]
    Address {
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Listeners that are bound but do not answer yet.
pub struct Bound {
    unix: UnixListener,
    socket: PathBuf,
    tcp: Option<(TcpListener, Arc<Door>)>,
    console: bool,
    socket_limits: ConnectionLimits,
    tcp_limits: ConnectionLimits,
}

/// Binds what the settings name.
pub async fn bind(settings: Settings) -> Result<Bound, AdminError> {
    let socket = settings.socket;
    let failed = |source| AdminError::Socket { path: socket.clone(), source };
    if UnixStream::connect(&socket).await.is_ok() {
        return Err(AdminError::Taken(socket));
    }
    prepare(&socket).map_err(failed)?;
    let unix = UnixListener::bind(&socket).map_err(failed)?;
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o600)).map_err(failed)?;
    let tcp = match settings.tcp {
        None => None,
        Some((address, token)) => {
            let listener = TcpListener::bind(&address)
                .await
                .map_err(|source| AdminError::Address { address: address.clone(), source })?;
            Some((listener, Arc::new(Door::new(token))))
        }
    };
    let (console, socket_limits, tcp_limits) = (settings.console, settings.socket_limits, settings.tcp_limits);
    Ok(Bound { unix, socket, tcp, console, socket_limits, tcp_limits })
}

/// A socket nobody answers on was left behind by a process that died; its folder is made if it is missing.
fn prepare(socket: &Path) -> io::Result<()> {
    if let Some(folder) = socket.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Bound {
    /// Answers until `stop`. Each listener has connections of its own, so that none takes another's.
    pub async fn serve(self, admin: Admin, stop: CancellationToken) {
        let admission = |name, limits| Admission::new(name, limits, Arc::clone(&admin.telemetry));
        let (of_socket, of_tcp) = (admission("unix", self.socket_limits), admission("tcp", self.tcp_limits));
        let (routes, all) = (admin.clone().routes(), self.socket_limits.all);
        let unix = connections::serve(self.unix, routes, of_socket, all, stop.clone());
        let tcp = async {
            if let Some((listener, door)) = self.tcp {
                let mut routes = admin.clone().routes_with_token(Arc::clone(&door));
                if self.console {
                    routes = routes.merge(console::routes(admin.clone(), door, &stop));
                }
                connections::serve(listener, routes, of_tcp, self.tcp_limits.all, stop.clone()).await;
            }
        };
        tokio::join!(unix, tcp);
        let _ = std::fs::remove_file(&self.socket);
    }
}
