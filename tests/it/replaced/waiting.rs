//! A fixture with waiting deliveries: a robot's quota is smaller than the number of its messages.
//!
//! Owns where the others wait: in memory or in the delay tiers.
//!
//! Not here: the changes meanwhile (`tests/it/replaced.rs`).

use std::{ops::Range, time::Duration};

use serde_json::json;

use crate::support::{
    broker::{self, Broker},
    daemon::{Daemon, Home},
    emulator::Emulator,
    publisher::Publisher,
    until,
};

pub const LATER: Duration = Duration::from_secs(60);
pub const SOON: Duration = Duration::from_secs(20);

/// Where deliveries beyond the quota wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// In memory. Their events are not acknowledged.
    Memory,
    /// In the delay tiers.
    Tiers,
}

impl Where {
    /// The window of the quota. It leaves time for a change before the deliveries leave, also on a
    /// loaded machine.
    pub const fn window(self) -> Duration {
        match self {
            Self::Memory => Duration::from_secs(10),
            Self::Tiers => Duration::from_secs(14),
        }
    }
}

/// A home whose daemon uses the shared broker and an emulator of its own.
pub struct Fixture {
    broker: &'static Broker,
    pub emulator: Emulator,
    pub home: Home,
}

impl Fixture {
    /// Each robot has a quota of twenty messages per window.
    pub async fn new(wait: Where) -> Self {
        Self::with_window(&format!("20/{}s", wait.window().as_secs()), wait).await
    }

    pub async fn with_window(window: &str, wait: Where) -> Self {
        let emulator =
            Emulator::start(&["--window-seconds", &wait.window().as_secs().to_string()]).await;
        let broker = broker::shared().await;
        // A delivery that returns early from a tier goes to the next one, so that the first tier
        // does not end in memory.
        let waits = match wait {
            Where::Memory => "hold_max = \"60s\"",
            Where::Tiers => "hold_max = \"1s\"\nearly_max = \"1s\"",
        };
        let settings = format!(
            "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"{window}\"]\n\
             [pace]\nmargin = \"200ms\"\n{waits}\n"
        );
        let home = Home::new(broker, &emulator.url(), &settings);
        Self { broker, emulator, home }
    }

    /// Starts the daemon, which knows all existing subscriptions at once.
    pub async fn start(&self) -> Running<'_> {
        let daemon = self.home.start().await;
        let publisher = Publisher::connect(&self.broker.url(), &self.home.prefix).await;
        Running { fixture: self, daemon, publisher }
    }

    /// The messages that a chat shows.
    pub async fn shown(&self, token: &str) -> Vec<String> {
        self.emulator.shown().await.remove(token).unwrap_or_default()
    }

    /// Each of these events was shown exactly once, and no platform refused a message.
    pub async fn each_arrived_once(&self, numbers: Range<usize>) {
        let shown: Vec<_> = self.emulator.shown().await.into_values().flatten().collect();
        assert!(numbers.into_iter().all(|number| times(&shown, number) == 1), "{shown:?}");
        for what in ["throttled", "refused", "duplicate"] {
            assert_eq!(self.emulator.count(what).await, 0, "{what}");
        }
    }
}

/// A running daemon of such a home.
pub struct Running<'a> {
    pub fixture: &'a Fixture,
    pub daemon: Daemon<'a>,
    pub publisher: Publisher,
}

impl Running<'_> {
    pub async fn metric(&self, line: &str) -> f64 {
        self.daemon.metric(line).await.unwrap_or_default()
    }

    /// The number of deliveries with this outcome.
    pub async fn deliveries(&self, outcome: &str) -> f64 {
        self.metric(&format!(
            "roomcast_deliveries_total{{platform=\"wecom\",outcome=\"{outcome}\"}}"
        ))
        .await
    }

    /// Waits for this number of deliveries with this outcome.
    pub async fn until_deliveries(&self, outcome: &str, count: u32) {
        until(&format!("{count} deliveries are {outcome}"), LATER, || async {
            self.deliveries(outcome).await >= f64::from(count)
        })
        .await;
    }

    /// Publishes an event for each number, each with its own `message_id`.
    pub async fn publish(&self, topic: &str, numbers: Range<usize>) {
        let event = |number| json!({"subject": subject(number), "message": "m"});
        let events: Vec<_> =
            numbers.map(|number| (format!("id-{topic}-{number}"), event(number))).collect();
        self.publisher.try_publish_all(topic, &events).await.unwrap();
    }

    /// Publishes forty events while the quota is twenty. Waits until twenty have arrived and the
    /// others wait.
    pub async fn forty_of_which_twenty_wait(&self, wait: Where) {
        let emulator = &self.fixture.emulator;
        self.publish("ops", 0..40).await;
        until("twenty arrive, and the daemon knows of all", SOON, || async {
            emulator.count("accepted").await >= 20
                && self.metric("roomcast_events_total").await >= 40.0
        })
        .await;
        assert_eq!(emulator.count("accepted").await, 20, "the others wait");
        if wait == Where::Tiers {
            self.until_deliveries("deferred", 20).await;
        }
    }

    /// No delivery was dropped or became a dead letter, and the log does not say so.
    pub async fn nothing_is_lost(&self) {
        for outcome in ["dropped", "dead"] {
            assert_eq!(self.deliveries(outcome).await, 0.0, "{outcome}");
        }
        assert!(!self.fixture.home.log().contains("gone or paused"), "the log says what is not so");
        assert_eq!(self.metric("roomcast_broker_sessions_total").await, 1.0, "the session goes on");
    }
}

fn subject(number: usize) -> String {
    format!("subject-{number:03}")
}

/// How often an event occurs in these messages.
fn times(shown: &[String], number: usize) -> usize {
    shown.iter().filter(|text| text.contains(&subject(number))).count()
}
