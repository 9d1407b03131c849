//! Connections to the broker: address, heartbeat, TLS.
//!
//! Owns opening them. lapin's own recovery stays off, because a session is rebuilt as a whole.
//!
//! Not here: the channels of a session (`session.rs`), the filter of incoming bytes
//! (`frame_guard/`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use lapin::{Connection, ConnectionProperties, tcp::OwnedTLSConfig, uri::AMQPUri};
use secrecy::{ExposeSecret, SecretString};

use super::{
    error::{BrokerError, while_connecting},
    frame_guard::{self, BodyBudget},
};
use crate::{ca_file, domain};

/// The most bytes of a publisher's headers in one message on this connection.
pub(super) fn headers_max(connection: &Connection) -> usize {
    domain::headers_max(connection.configuration().frame_max())
}

/// The address of the broker and the settings of a connection.
#[derive(Clone)]
pub struct Address {
    /// The AMQP address with user and password.
    pub url: SecretString,
    /// A PEM file of certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// A peer that is silent for this time counts as dead. At least 3 s, because AMQP counts whole
    /// seconds.
    pub heartbeat: Duration,
    /// The maximum time to open a connection.
    pub connect_timeout: Duration,
}

impl Address {
    /// Host and port, without user and password.
    pub fn shown(&self) -> Result<String, BrokerError> {
        let uri = self.uri()?;
        Ok(format!("{}:{}", uri.authority.host, uri.authority.port))
    }

    /// The virtual host.
    pub fn vhost(&self) -> Result<String, BrokerError> {
        Ok(self.uri()?.vhost)
    }

    /// Opens a connection with this name, which the broker's management shows.
    pub(super) async fn connect(&self, name: &str) -> Result<Connection, BrokerError> {
        self.connect_with_room(BodyBudget::all(), name).await
    }

    /// The same, but a body without room in `bodies` is left out.
    pub(super) async fn connect_with_room(
        &self,
        bodies: Arc<BodyBudget>,
        name: &str,
    ) -> Result<Connection, BrokerError> {
        let at = self.shown()?;
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let cert_chain = self.ca_file.as_deref().map(certificates).transpose()?;
        let connecting = frame_guard::connect(
            self.uri()?,
            properties,
            OwnedTLSConfig { identity: None, cert_chain },
            bodies,
        );
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(connected) => connected.map_err(|error| while_connecting(&at, &error)),
            Err(_) => Err(BrokerError::Unreachable { at, why: "no answer in time".to_owned() }),
        }
    }

    fn uri(&self) -> Result<AMQPUri, BrokerError> {
        let mut uri: AMQPUri =
            self.url.expose_secret().parse().map_err(|_| BrokerError::Address)?;
        // lapin gives up a peer after twice the agreed interval, and checks that twice in this
        // time.
        let seconds = u16::try_from(self.heartbeat.as_secs() * 2 / 5).unwrap_or(u16::MAX).max(1);
        uri.query.heartbeat.get_or_insert(seconds);
        Ok(uri)
    }
}

/// The content of `broker.ca_file`.
fn certificates(path: &Path) -> Result<String, BrokerError> {
    let wrong = |why| BrokerError::CaFile { path: path.display().to_string(), why };
    ca_file::read(path).map_err(wrong)
}
