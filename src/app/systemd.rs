//! What systemd is told: that the daemon starts, is ready, reads its limits anew, stops, and lives. Owns the order of the protocol
//! and when a start counts as done. Where it does not listen (`NOTIFY_SOCKET` is not set), nothing is told.

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

/// A start counts as done after so long without a session: a broker that is down must hold up neither the boot nor what is ordered behind the daemon.
const SESSION_WAIT: Duration = Duration::from_secs(30);

/// During a start systemd is asked for as much time again and again, so that a store that takes long to open is not taken for one that hangs.
const MORE_TIME: Duration = Duration::from_secs(30);

/// How often it is asked.
const ASK_EVERY: Duration = Duration::from_secs(5);

const WAITING: &str = "waiting for the broker";
const IN_SESSION: &str = "in session with the broker";

/// The one that started the daemon, if it did.
#[derive(Clone, Default)]
pub(super) struct Systemd {
    /// Whether it was told that the start is done.
    started: Arc<AtomicBool>,
}

impl Systemd {
    /// Tells it what there is to tell, from the start of the daemon until `stop`. `ready` says whether there is a session with the broker.
    pub(super) async fn keep_told(self, ready: watch::Receiver<bool>, stop: CancellationToken) {
        let watchdog = sd_notify::watchdog_enabled();
        if std::env::var_os("NOTIFY_SOCKET").is_some() {
            self.tell_all(ready, stop, watchdog, told).await;
        }
    }

    async fn tell_all(
        self,
        mut ready: watch::Receiver<bool>,
        stop: CancellationToken,
        watchdog: Option<Duration>,
        tell: impl Fn(&[NotifyState<'_>]),
    ) {
        let began = Instant::now();
        let mut ask = interval(ASK_EVERY);
        // Half of what is allowed, as systemd advises.
        let mut alive = interval(watchdog.map_or(Duration::from_secs(3600), |limit| limit / 2).max(SHORTEST));
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tell(&[NotifyState::Status(WAITING)]);
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
                    tell(&[NotifyState::Status(if in_session { IN_SESSION } else { WAITING })]);
                    if in_session && starting {
                        self.started(&tell);
                    }
                }
                _ = alive.tick(), if watchdog.is_some() => {
                    // The timer works if we are here; a task of its own shows that tasks are run.
                    if tokio::spawn(tokio::task::yield_now()).await.is_ok() {
                        tell(&[NotifyState::Watchdog]);
                    }
                }
                _ = ask.tick(), if starting => match began.elapsed() {
                    waited if waited < SESSION_WAIT => tell(&[NotifyState::ExtendTimeoutUsec(micros(MORE_TIME))]),
                    _ => self.started(&tell),
                }
            }
        }
        tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    fn started(&self, tell: &impl Fn(&[NotifyState<'_>])) {
        tell(&[NotifyState::Ready]);
        self.started.store(true, Ordering::Release);
    }

    /// Does what `reload` does, and says so. A start that is not done yet stays one.
    pub(super) fn while_reloading(&self, reload: impl FnOnce()) {
        let started = self.started.load(Ordering::Acquire);
        if started {
            match NotifyState::monotonic_usec_now() {
                Ok(now) => told(&[NotifyState::Reloading, now]),
                Err(error) => untold(&error),
            }
        }
        reload();
        if started {
            told(&[NotifyState::Ready]);
        }
    }
}

/// No watchdog is fed more often than this.
const SHORTEST: Duration = Duration::from_millis(50);

fn told(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        untold(&error);
    }
}

fn untold(error: &io::Error) {
    tracing::debug!(error = error as &dyn std::error::Error, "systemd could not be told");
}

fn micros(length: Duration) -> u32 {
    u32::try_from(length.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Runs it for a while, in which the session with the broker begins and ends at these seconds; gives what was told, with the second.
    async fn told_within(seconds: u64, changes: &[(u64, bool)]) -> Vec<String> {
        let (began, said) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let (tell_ready, ready) = watch::channel(false);
        let stop = CancellationToken::new();
        let heard = Arc::clone(&said);
        let tell = move |states: &[NotifyState<'_>]| {
            let states: Vec<_> = states.iter().map(ToString::to_string).collect();
            heard.lock().unwrap().push(format!("{} {}", began.elapsed().as_secs(), states.join(" ")));
        };
        let watchdog = Some(Duration::from_secs(40));
        let telling = tokio::spawn(Systemd::default().tell_all(ready, stop.clone(), watchdog, tell));
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
    async fn a_broker_that_is_down_at_the_start_holds_nobody_up_for_more_than_half_a_minute() {
        let said = told_within(45, &[]).await;
        let ready: Vec<_> = said.iter().filter(|line| line.contains("READY")).collect();
        assert_eq!(ready, ["30 READY=1"]);
        assert!(said.contains(&"40 WATCHDOG=1".to_owned()), "{said:?}");
    }
}
