//! The listeners: a Unix socket for local processes, and TCP with a token for others.
//!
//! Owns the order of the start: all listeners are bound before any of them answers.
//!
//! Not here: HTTP on a connection (`connections.rs`), the socket's file (`socket_file.rs`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::middleware;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::{
    Admin, ConnectionLimits,
    admission::ConnectionAdmission,
    allowed_hosts::{self, AllowedHosts},
    authenticator::TokenAuthenticator,
    connections, console,
    listen_error::AdminError,
    routes,
    socket_file::{self, SocketFile},
};
use crate::domain::Secret;

/// Where the API listens.
pub struct ServerSettings {
    /// The Unix socket; only its owner may open it.
    pub socket: PathBuf,
    /// The TCP address, and the token that callers must show.
    pub tcp: Option<(String, Secret)>,
    /// Host names allowed at the TCP address, besides IP addresses,
    /// `localhost` and the name it listens on.
    pub hosts: Vec<String>,
    /// Whether the console is served at the TCP address.
    pub console: bool,
    /// The limits for connections on the Unix socket.
    pub socket_limits: ConnectionLimits,
    /// The limits for connections at the TCP address.
    pub tcp_limits: ConnectionLimits,
}

/// Listeners that are bound but do not answer yet.
pub struct BoundServer {
    unix: UnixListener,
    socket: SocketFile,
    tcp: Option<(TcpListener, Arc<TokenAuthenticator>)>,
    hosts: AllowedHosts,
    console: bool,
    socket_limits: ConnectionLimits,
    tcp_limits: ConnectionLimits,
}

/// Binds the listeners of the settings.
pub async fn bind(settings: ServerSettings) -> Result<BoundServer, AdminError> {
    let (unix, socket) = SocketFile::bind(&settings.socket).await?;
    let listen = settings.tcp.as_ref().map(|(address, _)| address.as_str());
    let hosts = AllowedHosts::new(&settings.hosts, listen);
    let tcp = match settings.tcp {
        None => None,
        Some((address, token)) => {
            let listener = TcpListener::bind(&address)
                .await
                .map_err(|source| AdminError::Address { address: address.clone(), source })?;
            Some((listener, Arc::new(TokenAuthenticator::new(token))))
        }
    };
    let (console, socket_limits, tcp_limits) =
        (settings.console, settings.socket_limits, settings.tcp_limits);
    Ok(BoundServer { unix, socket, tcp, hosts, console, socket_limits, tcp_limits })
}

/// Checks whether the listeners could be bound, while no daemon runs. It
/// leaves no file and no listener.
pub async fn could_bind(socket: &Path, address: Option<&str>) -> Result<(), AdminError> {
    socket_file::could_bind(socket)?;
    if let Some(address) = address {
        let bound = TcpListener::bind(address).await;
        bound.map_err(|source| AdminError::Address { address: address.to_owned(), source })?;
    }
    Ok(())
}

impl BoundServer {
    /// Serves until `stop`. Each listener has its own limits, so neither
    /// uses up the other's connections.
    pub async fn serve(self, admin: Admin, stop: CancellationToken) {
        let admission =
            |name, limits| ConnectionAdmission::new(name, limits, Arc::clone(&admin.telemetry));
        let (of_socket, of_tcp) =
            (admission("unix", self.socket_limits), admission("tcp", self.tcp_limits));
        let (routes, all) = (routes::answering_all(admin.clone().routes()), self.socket_limits.all);
        let unix = connections::serve(self.unix, routes, of_socket, all, stop.clone());
        let tcp = async {
            if let Some((listener, authenticator)) = self.tcp {
                let mut routes = admin.clone().routes_with_token(Arc::clone(&authenticator));
                if self.console {
                    routes = routes.merge(console::routes(admin.clone(), authenticator, &stop));
                }
                let known_hosts =
                    middleware::from_fn_with_state(self.hosts, allowed_hosts::allowed_only);
                let routes = routes::answering_all(routes).layer(known_hosts);
                connections::serve(listener, routes, of_tcp, self.tcp_limits.all, stop.clone())
                    .await;
            }
        };
        tokio::join!(unix, tcp);
        self.socket.remove();
    }
}
