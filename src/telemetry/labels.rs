//! The labels of metrics, and the buckets of histograms.
//!
//! Owns the rule that labels come from closed sets: no robot, topic or address.
//!
//! Not here: the metrics themselves (`registry.rs`).

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::MetricConstructor,
        histogram::{Histogram, exponential_buckets},
    },
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SettledLabels {
    pub(super) platform: &'static str,
    pub(super) outcome: &'static str,
}

/// Of a wait. The reason is one of [`crate::domain::WaitReason`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct WaitLabels {
    pub(super) platform: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DeadLabels {
    pub(super) platform: &'static str,
    pub(super) reason: &'static str,
}

/// Of a plainer message. The cause is one of [`crate::domain::MessageFeature`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DegradedLabels {
    pub(super) platform: &'static str,
    pub(super) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AttemptLabels {
    pub(super) platform: &'static str,
    pub(super) verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PlatformLabel {
    pub(super) platform: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HoldLabels {
    pub(super) platform: &'static str,
    pub(super) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ListenerLabel {
    pub(super) listener: &'static str,
}

/// The listeners of the admin API.
pub(super) const LISTENERS: [&str; 2] = ["unix", "tcp"];

/// The cause of a wait while the robot is not held: its quota is used up for the moment.
pub(super) const QUOTA: &str = "quota";

/// Groups come from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GroupLabel {
    pub(super) group: String,
}

/// Queues come from the topology.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct QueueLabel {
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
    /// From 1 ms to about 10 hours: quick answers as well as a wait for the next day's quota.
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.001, 2.5, 20))
    }
}
