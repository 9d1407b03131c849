//! Whether the broker blocks publishers, because its memory or disk is short.
//!
//! Owns the watch over the broker's notifications, and over the end of a connection.
//!
//! Not here: what waits while the broker blocks (`confirm_deadline.rs`).

use futures_util::StreamExt;
use lapin::{Connection, Event as ConnectionEvent};
use tokio::sync::watch;

use super::session_end::SessionEnd;

/// Tracks whether the broker blocks publishers. The end of a `vital` connection ends the session.
///
/// The broker notifies a connection only when it publishes. An alarm concerns the whole broker, so
/// one notification counts for all connections.
pub(super) fn watch_blocked(
    connection: &Connection,
    tell: watch::Sender<bool>,
    ended: SessionEnd,
    vital: bool,
) {
    let mut events = connection.events_listener().boxed();
    tokio::spawn(async move {
        let mut told = false;
        loop {
            let event = tokio::select! {
                () = ended.wait() => return,
                event = events.next() => event,
            };
            let blocked = match event {
                Some(ConnectionEvent::ConnectionBlocked(_)) => true,
                Some(ConnectionEvent::ConnectionUnblocked) => false,
                Some(ConnectionEvent::Error(error)) if vital => {
                    ended.end(super::error::describe(&error));
                    return;
                }
                // A closed connection is never notified of the end of the alarm.
                Some(ConnectionEvent::Error(_)) | None if told => false,
                Some(ConnectionEvent::Error(_)) | None => return,
                Some(_) => continue,
            };
            told = blocked;
            tell.send_if_modified(|known| std::mem::replace(known, blocked) != blocked);
        }
    });
}
