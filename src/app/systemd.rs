//! Notifications to systemd: starting, ready, reloading, stopping, and the watchdog's heartbeat.
//!
//! Owns the order of the notifications, and when a start counts as done. Without `NOTIFY_SOCKET`
//! nothing is sent.
//!
//! Not here: signals (`signals.rs`), and what `ready` means (`sessions.rs`).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// A start counts as done after this time even without a session. A broker that is down must not
/// delay the boot or the units that are ordered after the daemon.
const SESSION_WAIT: Duration = Duration::from_secs(30);

/// How much more time each request asks for during a start. So systemd does not take a store that
/// opens slowly for a process that hangs.
const MORE_TIME: Duration = Duration::from_secs(30);

/// How often more time is requested.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

const WAITING: &str = "waiting for the broker";
const IN_SESSION: &str = "in session with the broker";

/// The connection to systemd, if systemd started the daemon.
#[derive(Clone, Default)]
pub(super) struct Systemd {
    /// Whether `READY=1` was sent.
    started: Arc<AtomicBool>,
}

impl Systemd {
    /// Sends notifications from the start of the daemon until `stop`. `ready` is true while there
    /// is a session with the broker.
    pub(super) async fn notify_until_stopped(
        self,
        ready: watch::Receiver<bool>,
        stop: CancellationToken,
    ) {
        let watchdog = sd_notify::watchdog_enabled();
        if std::env::var_os("NOTIFY_SOCKET").is_some() {
            self.notify_all(ready, stop, watchdog, notify_systemd).await;
        }
    }

    async fn notify_all(
        self,
        mut ready: watch::Receiver<bool>,
        stop: CancellationToken,
        watchdog: Option<Duration>,
        notify: impl Fn(&[NotifyState<'_>]),
    ) {
        let began = Instant::now();
        let mut ask = interval(POLL_INTERVAL);
        // Half of the watchdog's limit, as `sd_watchdog_enabled(3)` advises.
        let mut alive =
            interval(watchdog.map_or(Duration::from_secs(3600), |limit| limit / 2).max(SHORTEST));
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        notify(&[NotifyState::Status(WAITING)]);
        loop {
            let starting = !self.started.load(Ordering::Acquire);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = ready.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let in_session = *ready.borrow_and_update();
                    notify(&[NotifyState::Status(if in_session { IN_SESSION } else { WAITING })]);
                    if in_session && starting {
                        self.started(&notify);
                    }
                }
                _ = alive.tick(), if watchdog.is_some() => {
                    // This branch proves that the timer works. A spawned task proves that the
                    // runtime executes tasks.
                    if tokio::spawn(tokio::task::yield_now()).await.is_ok() {
                        notify(&[NotifyState::Watchdog]);
                    }
                }
                _ = ask.tick(), if starting => match began.elapsed() {
                    waited if waited < SESSION_WAIT => {
                        notify(&[NotifyState::ExtendTimeoutUsec(micros(MORE_TIME))]);
                    }
                    _ => self.started(&notify),
                }
            }
        }
        notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    fn started(&self, notify: &impl Fn(&[NotifyState<'_>])) {
        notify(&[NotifyState::Ready]);
        self.started.store(true, Ordering::Release);
    }

    /// Runs `reload` between the notifications `RELOADING=1` and `READY=1`. During a start it sends
    /// neither, so the start is not reported as done too early.
    pub(super) fn while_reloading(&self, reload: impl FnOnce()) {
        let started = self.started.load(Ordering::Acquire);
        if started {
            match NotifyState::monotonic_usec_now() {
                Ok(now) => notify_systemd(&[NotifyState::Reloading, now]),
                Err(error) => log_failure(&error),
            }
        }
        reload();
        if started {
            notify_systemd(&[NotifyState::Ready]);
        }
    }
}

/// The shortest interval between two heartbeats.
const SHORTEST: Duration = Duration::from_millis(50);

fn notify_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log_failure(&error);
    }
}

fn log_failure(error: &io::Error) {
    tracing::debug!(error = error as &dyn std::error::Error, "systemd could not be told");
}

fn micros(length: Duration) -> u32 {
    u32::try_from(length.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Runs the notifications for this many seconds. The session with the broker begins and ends at
    /// the given seconds. Returns the notifications, each with its second.
    async fn told_within(seconds: u64, changes: &[(u64, bool)]) -> Vec<String> {
        let (began, said) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let (tell_ready, ready) = watch::channel(false);
        let stop = CancellationToken::new();
        let heard = Arc::clone(&said);
        let notify = move |states: &[NotifyState<'_>]| {
            let states: Vec<_> = states.iter().map(ToString::to_string).collect();
            heard.lock().unwrap().push(format!(
                "{} {}",
                began.elapsed().as_secs(),
                states.join(" ")
            ));
        };
        let watchdog = Some(Duration::from_secs(40));
        let telling =
            tokio::spawn(Systemd::default().notify_all(ready, stop.clone(), watchdog, notify));
        for (second, in_session) in changes {
            tokio::time::sleep_until(began + Duration::from_secs(*second)).await;
            tell_ready.send_replace(*in_session);
        }
        tokio::time::sleep_until(began + Duration::from_secs(seconds)).await;
        stop.cancel();
        telling.await.unwrap();
        let said = said.lock().unwrap();
        said.iter().filter(|line| !line.contains("EXTEND")).cloned().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_with_its_first_session_and_says_when_it_has_none() {
        assert_eq!(
            told_within(25, &[(2, true), (4, false), (6, true)]).await,
            [
                "0 STATUS=waiting for the broker",
                "0 WATCHDOG=1",
                "2 STATUS=in session with the broker",
                "2 READY=1",
                "4 STATUS=waiting for the broker",
                "6 STATUS=in session with the broker",
                "20 WATCHDOG=1",
                "25 STOPPING=1 STATUS=draining",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_is_down_at_the_start_delays_the_start_by_at_most_half_a_minute() {
        let said = told_within(45, &[]).await;
        let ready: Vec<_> = said.iter().filter(|line| line.contains("READY")).collect();
        assert_eq!(ready, ["30 READY=1"]);
        assert!(said.contains(&"40 WATCHDOG=1".to_owned()), "{said:?}");
    }
}
