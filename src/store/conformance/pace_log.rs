//! The log of the pacer.
//!
//! Owns the promises of `PaceLog`.
//!
//! Not here: clocks and pages (`store/journal_tests.rs`), the restore of the pacer (`pace/`).

use std::{sync::Arc, time::Duration};

use super::{Harness, OpenStore, open};
use crate::{
    domain::{Platform, RobotId, Timestamp},
    pace::PaceRecord,
};

const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
/// Longer than any window for which a harness remembers sent messages.
const WINDOW: Duration = Duration::from_secs(3600);

fn begun(robot: u8) -> PaceRecord {
    let (robot, platform) = (RobotId::from_bytes([robot; 16]), Platform::WeCom);
    PaceRecord::AttemptStarted { robot, platform, at: T0 }
}

async fn append(store: &OpenStore, record: &PaceRecord) {
    store.pace_log.append(record).await.unwrap();
}

/// The restored records without the marks of segments.
fn restored(store: &OpenStore) -> Vec<PaceRecord> {
    let records = store.restored.records.iter();
    records.filter(|record| **record != PaceRecord::SegmentStart).cloned().collect()
}

pub(in crate::store) async fn records_survive_a_process_that_never_synced_them<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    assert_eq!(restored(&store), []);
    for robot in 1..=3 {
        append(&store, &begun(robot)).await;
    }
    // A record whose future is dropped is appended as well.
    drop(store.pace_log.append(&begun(4)));
    Arc::clone(&store.pace_log).sync().await.unwrap();
    append(&store, &begun(5)).await;
    drop(store);
    let store = open(&harness).await;
    assert_eq!(restored(&store), [1, 2, 3, 4, 5].map(begun), "in the order of the calls");
    assert!(store.restored.complete, "only the process has ended");
}

pub(in crate::store) async fn a_cut_record_costs_no_earlier_record<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    append(&store, &begun(1)).await;
    let cuts = harness.cuts(store, async |store| append(store, &begun(2)).await).await;
    assert!(cuts.len() > 2, "the record was cut");
    for (number, cut) in cuts.iter().enumerate() {
        let store = open(cut).await;
        let records = restored(&store);
        let is_whole = number + 1 == cuts.len();
        let all = [begun(1), begun(2)];
        assert!(all.starts_with(&records) && !records.is_empty(), "cut {number}: {records:?}");
        assert!(!is_whole || records.len() == 2);
        append(&store, &begun(3)).await;
        drop(store);
        assert_eq!(restored(&open(cut).await).last(), Some(&begun(3)), "cut {number}");
    }
}

pub(in crate::store) async fn a_cut_checkpoint_loses_no_record_that_it_repeats<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    append(&store, &begun(1)).await;
    let due = Arc::clone(&store.pace_log).begin_checkpoint().await.unwrap();
    assert!(due.is_none(), "the segment is not old");
    tokio::time::advance(WINDOW).await;
    let cuts = harness
        .cuts(store, async |store| {
            for _ in 0..2 {
                if let Some(due) = Arc::clone(&store.pace_log).begin_checkpoint().await.unwrap() {
                    append(store, &begun(1)).await;
                    append(store, &PaceRecord::Checkpoint).await;
                    Arc::clone(&store.pace_log).complete_checkpoint(due).await.unwrap();
                }
                tokio::time::advance(WINDOW).await;
            }
        })
        .await;
    for (number, cut) in cuts.iter().enumerate() {
        let store = open(cut).await;
        assert!(restored(&store).contains(&begun(1)), "cut {number}");
    }
    // A segment without its checkpoint drops nothing.
    let store = open(cuts.last().unwrap()).await;
    append(&store, &begun(2)).await;
    tokio::time::advance(WINDOW).await;
    let due = Arc::clone(&store.pace_log).begin_checkpoint().await.unwrap();
    assert!(due.is_some(), "the segment is old");
    drop(store);
    assert!(restored(&open(cuts.last().unwrap()).await).contains(&begun(2)));
}
