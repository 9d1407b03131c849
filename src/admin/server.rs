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
use crate::{
    domain::Secret,
    settings::{Form, not_a_host_name, path, section, switch, text},
    telemetry::events,
};

section! {
    /// The admin API: a Unix socket, and a TCP address if one is set.
    pub struct AdminSettings in "admin" {
        /// The socket at which the command line finds the daemon. Access to it allows everything.
        socket: PathBuf = one(path(), "/run/roomcast/admin.sock"), AtStart;
        /// A TCP address besides the socket. It needs a `token_file`.
        listen: Option<String> = optional(text("host:port"), "127.0.0.1:9321"), AtStart;
        /// The file with the token that callers over TCP must show: "Authorization: Bearer …".
        /// `/healthz`, `/readyz` and `/metrics` need none. It has the token alone, at least 16
        /// characters (chmod 600).
        token_file: Option<PathBuf> = optional(path(), "/etc/roomcast/admin.token"), AtStart;
        /// Host names allowed for that address. Addresses, localhost and the name in `listen` are
        /// always allowed. Requests for other names are refused: a foreign web page can give this
        /// daemon's address a name of its own.
        hosts: Vec<String> = many(host_name(), &[]), AtStart;
        /// Whether a browser gets the console at that address, under `/console`. It asks for the
        /// token. Beyond this machine, use it only behind TLS or through a tunnel:
        /// docs/OPERATING.md.
        console: bool = one(switch(), "false"), AtStart;
    }
}

/// A host name, without scheme and port.
fn host_name() -> Form<String> {
    Form::new("host name", "", |text| match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) => Ok(name),
        Ok(_) => {
            Err(format!("{text:?} is an address, and addresses are always allowed: leave it out"))
        }
        Err(_) => Err(not_a_host_name(text)),
    })
}

/// Where the API listens, and how many connections it takes.
pub struct ServerSettings {
    /// The addresses, and the console.
    pub admin: AdminSettings,
    /// The token that callers over TCP must show. Without it, nothing listens on TCP.
    pub token: Option<Secret>,
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
    let ServerSettings { admin, token, socket_limits, tcp_limits } = settings;
    let (unix, socket) = SocketFile::bind(&admin.socket).await?;
    let tcp = admin.listen.zip(token);
    let listen = tcp.as_ref().map(|(address, _)| address.as_str());
    let hosts = AllowedHosts::new(&admin.hosts, listen);
    let tcp = match tcp {
        None => None,
        Some((address, token)) => {
            let listener = TcpListener::bind(&address)
                .await
                .map_err(|source| AdminError::Address { address: address.clone(), source })?;
            Some((listener, Arc::new(TokenAuthenticator::new(token))))
        }
    };
    let console = admin.console;
    let address = tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok());
    events::AdminBound { socket: &admin.socket, address, console }.emit();
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
