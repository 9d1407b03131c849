//! The listeners: a Unix socket for the machine's own, TCP with a token for others.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::middleware;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::{
    Admin, ConnectionLimits,
    admission::Admission,
    connections, console,
    door::Door,
    hosts::{self, AllowedHosts},
    routes,
    socket_file::{self, SocketFile},
};
use crate::domain::Secret;

/// Where the API listens.
pub struct Settings {
    /// The Unix socket; only its owner may open it.
    pub socket: PathBuf,
    /// A TCP address and the token that callers have to show.
    pub tcp: Option<(String, Secret)>,
    /// Host names by which the TCP address may be asked, besides addresses, `localhost` and the name it listens on.
    pub hosts: Vec<String>,
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
    /// What is at the socket's place is another file.
    #[error("admin.socket {path} is {found} and not a socket: move it away, or set admin.socket to another path")]
    NotASocket {
        /// Where.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
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
    socket: SocketFile,
    tcp: Option<(TcpListener, Arc<Door>)>,
    hosts: AllowedHosts,
    console: bool,
    socket_limits: ConnectionLimits,
    tcp_limits: ConnectionLimits,
}

/// Binds what the settings name.
pub async fn bind(settings: Settings) -> Result<Bound, AdminError> {
    let (unix, socket) = SocketFile::bind(&settings.socket).await?;
    let listen = settings.tcp.as_ref().map(|(address, _)| address.as_str());
    let hosts = AllowedHosts::new(&settings.hosts, listen);
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
    Ok(Bound { unix, socket, tcp, hosts, console, socket_limits, tcp_limits })
}

/// Whether what the settings name could be bound, where no daemon runs. Changes nothing.
pub async fn could_bind(socket: &Path, address: Option<&str>) -> Result<(), AdminError> {
    socket_file::could_bind(socket)?;
    if let Some(address) = address {
        let bound = TcpListener::bind(address).await;
        bound.map_err(|source| AdminError::Address { address: address.to_owned(), source })?;
    }
    Ok(())
}

impl Bound {
    /// Answers until `stop`. Each listener has connections of its own, so that none takes another's.
    pub async fn serve(self, admin: Admin, stop: CancellationToken) {
        let admission = |name, limits| Admission::new(name, limits, Arc::clone(&admin.telemetry));
        let (of_socket, of_tcp) = (admission("unix", self.socket_limits), admission("tcp", self.tcp_limits));
        let (routes, all) = (routes::answering_all(admin.clone().routes()), self.socket_limits.all);
        let unix = connections::serve(self.unix, routes, of_socket, all, stop.clone());
        let tcp = async {
            if let Some((listener, door)) = self.tcp {
                let mut routes = admin.clone().routes_with_token(Arc::clone(&door));
                if self.console {
                    routes = routes.merge(console::routes(admin.clone(), door, &stop));
                }
                let known_hosts = middleware::from_fn_with_state(self.hosts, hosts::allowed_only);
                let routes = routes::answering_all(routes).layer(known_hosts);
                connections::serve(listener, routes, of_tcp, self.tcp_limits.all, stop.clone()).await;
            }
        };
        tokio::join!(unix, tcp);
        self.socket.remove();
    }
}
