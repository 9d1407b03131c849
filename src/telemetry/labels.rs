//! What metrics are told apart by, and into which buckets their values fall. Labels come from closed sets.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::MetricConstructor,
        histogram::{Histogram, exponential_buckets},
    },
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Settled {
    pub(super) platform: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Dead {
    pub(super) platform: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Attempted {
    pub(super) platform: &'static str,
    pub(super) verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OnPlatform {
    pub(super) platform: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Held {
    pub(super) platform: &'static str,
    pub(super) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OnListener {
    pub(super) listener: &'static str,
}

/// What the admin API listens on.
pub(super) const LISTENERS: [&str; 2] = ["unix", "tcp"];

/// Why a delivery waits whose robot is not held: the quota is used up for now.
pub(super) const QUOTA: &str = "quota";

/// What an answer may mean, as metrics name it.
pub(super) const VERDICTS: [&str; 7] =
    ["delivered", "throttled", "budget_spent", "try_again", "refused", "robot_gone", "security"];

/// Organisations are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfGroup {
    pub(super) group: String,
}

/// Queues are those of the topology.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct InQueue {
    pub(super) queue: String,
}

#[derive(Clone)]
pub(super) struct Hops;

impl MetricConstructor<Histogram> for Hops {
    fn new_metric(&self) -> Histogram {
        Histogram::new([0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0])
    }
}

#[derive(Clone)]
pub(super) struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    /// From 1 ms to about 9 hours: an answer within a blink as well as a wait for tomorrow's quota.
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.001, 2.5, 20))
    }
}
