//! The maximum wait for confirms.
//!
//! Owns two rules: a session waits without a limit while the broker blocks publishers, and every
//! other wait is bounded.
//!
//! Not here: matching confirms and returned messages (`publisher.rs`).

use std::time::Duration;

use lapin::Connection;
use tokio::sync::watch;

use super::{BrokerError, session_end::SessionEnd};

/// Why a wait for confirms ended without them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ConfirmError {
    /// The confirms did not arrive in time.
    TimedOut(String),
    /// The session has ended.
    SessionEnded(String),
}

/// The limits of a wait for confirms in one session.
#[derive(Clone)]
pub(super) struct ConfirmDeadline {
    pub(super) confirm_timeout: Duration,
    /// Whether the broker blocks publishers at this moment.
    pub(super) blocked: watch::Receiver<bool>,
    pub(super) ended: SessionEnd,
}

impl ConfirmDeadline {
    /// Waits for confirms. The time limit does not run while the broker blocks publishers, and
    /// starts again afterwards.
    pub(super) async fn in_time<T>(
        &self,
        confirms: impl Future<Output = T>,
    ) -> Result<T, ConfirmError> {
        let mut blocked = self.blocked.clone();
        tokio::pin!(confirms);
        loop {
            let patient = *blocked.borrow_and_update();
            tokio::select! {
                done = &mut confirms => return Ok(done),
                () = self.ended.wait() => {
                    return Err(ConfirmError::SessionEnded(self.ended.cause()));
                }
                Ok(()) = blocked.changed() => (),
                () = tokio::time::sleep(self.confirm_timeout), if !patient => {
                    let seconds = self.confirm_timeout.as_secs();
                    return Err(ConfirmError::TimedOut(format!("no confirm within {seconds} s")));
                }
            }
        }
    }
}

/// Waits for confirms outside a session; an error that tells the cause after `max`.
pub(super) async fn confirmed_in_time<T>(
    connection: &Connection,
    at: &str,
    max: Duration,
    confirms: impl Future<Output = T>,
) -> Result<T, BrokerError> {
    tokio::time::timeout(max, confirms).await.map_err(|_| {
        let (at, seconds) = (at.to_owned(), max.as_secs());
        if connection.status().blocked() {
            BrokerError::Blocked { at, seconds }
        } else {
            BrokerError::Unconfirmed { at, seconds }
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The outcome of confirms that arrive after this many seconds and a half, and the seconds
    /// until it is known. The broker blocks between the two given seconds, and a confirm may take 3
    /// s.
    async fn outcome(confirms_after: u32, blocks: (u32, u32)) -> (Result<(), ConfirmError>, u64) {
        let (tell, blocked) = watch::channel(false);
        let deadline =
            ConfirmDeadline { confirm_timeout: 3 * SECOND, blocked, ended: SessionEnd::default() };
        let began = Instant::now();
        tokio::spawn(async move {
            sleep(blocks.0 * SECOND).await;
            tell.send_replace(true);
            sleep((blocks.1 - blocks.0) * SECOND).await;
            tell.send_replace(false);
            sleep(100 * SECOND).await;
        });
        let outcome = deadline.in_time(sleep(confirms_after * SECOND + SECOND / 2)).await;
        (outcome, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_confirm_has_its_time_and_that_begins_anew_when_the_broker_goes_on() {
        let late = || Err(ConfirmError::TimedOut("no confirm within 3 s".to_owned()));
        for (confirms_after, blocks, expected) in [
            (2, (50, 60), (Ok(()), 2)),
            (3, (50, 60), (late(), 3)),
            // During the block, and right after it has ended, however long it was.
            (8, (1, 9), (Ok(()), 8)),
            (11, (1, 9), (Ok(()), 11)),
            (12, (1, 9), (late(), 12)),
            (30, (2, 31), (Ok(()), 30)),
        ] {
            assert_eq!(
                outcome(confirms_after, blocks).await,
                expected,
                "{confirms_after} s, blocked in {blocks:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_outlives_the_session() {
        let (_tell, blocked) = watch::channel(true);
        let deadline =
            ConfirmDeadline { confirm_timeout: SECOND, blocked, ended: SessionEnd::default() };
        let ended = deadline.ended.clone();
        tokio::spawn(async move {
            sleep(20 * SECOND).await;
            ended.end("the network".to_owned());
        });
        let outcome = deadline.in_time(std::future::pending::<()>()).await;
        assert_eq!(outcome, Err(ConfirmError::SessionEnded("the network".to_owned())));
    }
}
