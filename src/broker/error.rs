//! The errors of the broker.
//!
//! Owns the classification: two failures are two variants only if the remedy differs.
//!
//! Not here: the damage of single messages (`frame_guard/damage.rs`).

use lapin::{ErrorKind, protocol::AMQPErrorKind, protocol::AMQPHardError, protocol::AMQPSoftError};
use rustls::CertificateError;

/// Why a session, or another operation on the broker, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// `broker.url` is not an AMQP address.
    #[error("broker.url is not an AMQP address: write it like amqp://user:password@host:5672/%2f")]
    Address,
    /// The broker does not answer, or the connection was cut. It may recover.
    #[error("the broker at {at} cannot be reached: {why}")]
    Unreachable {
        /// Host and port.
        at: String,
        /// The cause.
        why: String,
    },
    /// The certificate is not trusted, or the peer does not speak TLS.
    #[error("TLS with the broker at {at} fails: {why}")]
    Tls {
        /// Host and port.
        at: String,
        /// The cause and the remedy.
        why: String,
    },
    /// The broker blocks publishers.
    #[error(
        "the broker at {at} blocks publishers (memory or disk alarm) and has confirmed nothing \
         for {seconds} s"
    )]
    Blocked {
        /// Host and port.
        at: String,
        /// The time without a confirm, in seconds.
        seconds: u64,
    },
    /// The broker did not confirm a message in time.
    #[error("the broker at {at} has not confirmed within {seconds} s that it took the message")]
    Unconfirmed {
        /// Host and port.
        at: String,
        /// The time without a confirm, in seconds.
        seconds: u64,
    },
    /// The broker rejects the credentials.
    #[error("the broker at {at} refuses the user, password or virtual host of broker.url: {why}")]
    Refused {
        /// Host and port.
        at: String,
        /// The broker's text.
        why: String,
    },
    /// The user lacks a permission.
    #[error("the broker's user lacks a permission on {what}: {why}")]
    Permission {
        /// The exchange or queue.
        what: String,
        /// The broker's text.
        why: String,
    },
    /// An exchange or queue exists with arguments that differ from the plan.
    #[error(
        "{what} exists with other arguments than roomcast needs: {why}; \
         delete or move it, or set broker.prefix"
    )]
    Mismatch {
        /// The exchange or queue.
        what: String,
        /// The broker's text, which names the argument and both values.
        why: String,
    },
    /// An item is missing, and `broker.declare` is not `create`.
    #[error(
        "{what} does not exist, and broker.declare does not allow to create it: \
         see `roomcast topology`"
    )]
    Missing {
        /// The exchange or queue.
        what: String,
    },
    /// The prefix has no dead queues.
    #[error(
        "there is no queue {queue} on the broker: the daemon makes it at its first start; \
         is broker.prefix the daemon's?"
    )]
    NoDeadQueue {
        /// The queue.
        queue: String,
    },
    /// The copy of a redriven letter was returned or rejected.
    #[error(
        "the broker did not take a redriven letter: the queue it goes to is missing or full \
         (`roomcast check` names a missing one); it is still a dead letter"
    )]
    NotRedriven,
    /// Another daemon is connected under the same prefix.
    #[error(
        "another roomcast daemon is connected under this prefix (it holds the queue {queue}): \
         stop it, or set broker.prefix"
    )]
    Locked {
        /// The lock queue.
        queue: String,
    },
    /// `broker.ca_file` cannot be used.
    #[error("broker.ca_file {path}: {why}")]
    CaFile {
        /// The file.
        path: String,
        /// The cause.
        why: String,
    },
}

impl BrokerError {
    /// Whether the error may go away without a change by the operator.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Locked { .. }
                | Self::Blocked { .. }
                | Self::Unconfirmed { .. }
        )
    }
}

/// The broker's text of an error, without that of the client.
pub(super) fn describe(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => amqp.get_message().to_string(),
        ErrorKind::IOError(io) => io.to_string(),
        ErrorKind::MissingHeartbeatError => "it sent no heartbeat".to_owned(),
        _ => error.to_string(),
    }
}

/// The reason why TLS fails permanently, if it does.
fn distrust(error: &lapin::Error) -> Option<String> {
    let ErrorKind::IOError(io) = error.kind() else { return None };
    Some(match io.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no trusted authority has signed its certificate: \
             set broker.ca_file to the certificate of its authority"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => {
            let (wanted, found) = (expected.to_str(), presented.join(", "));
            format!("its certificate is not for {wanted}, as broker.url calls it, but for {found}")
        }
        rustls::Error::InvalidCertificate(why) => format!("its certificate is not valid: {why}"),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS there: name its port for amqps in broker.url".to_owned()
        }
        _ => return None,
    })
}

/// Classifies an error from connecting.
pub(super) fn while_connecting(at: &str, error: &lapin::Error) -> BrokerError {
    if let Some(why) = distrust(error) {
        return BrokerError::Tls { at: at.to_owned(), why };
    }
    let (at, why) = (at.to_owned(), describe(error));
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => BrokerError::Refused { at, why },
            _ => BrokerError::Unreachable { at, why },
        },
        _ => BrokerError::Unreachable { at, why },
    }
}

/// Classifies an error from declaring `what`.
pub(super) fn while_declaring(at: &str, what: &str, error: &lapin::Error) -> BrokerError {
    let (what, why) = (what.to_owned(), describe(error));
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => match amqp.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
                BrokerError::Permission { what, why }
            }
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
                BrokerError::Mismatch { what, why }
            }
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => BrokerError::Missing { what },
            AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => {
                BrokerError::Locked { queue: what }
            }
            _ => BrokerError::Unreachable { at: at.to_owned(), why },
        },
        _ => BrokerError::Unreachable { at: at.to_owned(), why },
    }
}
