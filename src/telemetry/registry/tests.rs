//! Tests of the metrics: each one is documented, and each alert uses metrics that exist.
//!
//! Owns the comparison of the registry with `docs/EVENTS.md` and `deploy/alerts.yaml`.
//!
//! Not here: the log lines (`tests/log_lines.rs`) and the spans (`spans.rs`).

use super::*;
use crate::domain::{DeadQueueStats, Timestamp};

#[test]
fn every_metric_is_in_the_operators_list_and_the_list_has_no_others() {
    let telemetry = Telemetry::new();
    // A family without members is not rendered, and groups and queues are unknown at start.
    let group = GroupLabel { group: "acme".to_owned() };
    let _ =
        (telemetry.group_used.get_or_create(&group), telemetry.group_monthly.get_or_create(&group));
    let queue = QueueLabel { queue: "publish".to_owned() };
    let _ = (
        telemetry.queue_messages.get_or_create(&queue),
        telemetry.queue_consumers.get_or_create(&queue),
    );
    let mut dead = DeadQueueStats::empty(None, Timestamp::default());
    dead.add(DeadReason::Poison.into(), Some(Timestamp::default()));
    telemetry.dead_letters_now.see(&[dead]);
    let text = telemetry.render();
    let mut known: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let list = include_str!("../../../docs/EVENTS.md");
    let mut listed: Vec<_> = list
        .lines()
        .filter_map(|line| line.strip_prefix("| `roomcast_")?.split('`').next())
        .map(|name| name.trim_end_matches("_total").trim_end_matches("_info"))
        .collect();
    known.iter_mut().for_each(|name| *name = name.trim_start_matches("roomcast_"));
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
}

#[test]
fn every_metric_that_an_alert_asks_for_is_in_the_operators_list() {
    let (rules, list) =
        (include_str!("../../../deploy/alerts.yaml"), include_str!("../../../docs/EVENTS.md"));
    let asked: std::collections::BTreeSet<_> = rules
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.starts_with("roomcast_"))
        .map(|word| word.trim_end_matches("_bucket"))
        .collect();
    assert!(asked.len() > 10, "{asked:?}");
    let unknown: Vec<_> =
        asked.iter().filter(|name| !list.contains(&format!("| `{name}` |"))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_rate_is_known_before_the_first_thing_happens() {
    let text = Telemetry::new().render();
    assert!(
        text.contains("roomcast_dead_letters_total{platform=\"wecom\",reason=\"exhausted\"} 0"),
        "{text}"
    );
}
