//! The deduplication ledger.
//!
//! Owns the promises of `Ledger`.
//!
//! Not here: how keys are formed (`settle/identity.rs`), segments (`store/ledger_tests.rs`).

use std::{collections::HashSet, sync::Arc};

use super::{Harness, OpenStore, open};
use crate::{
    domain::Timestamp,
    settle::{ClaimedMessage, LedgerKey, LedgerMark, LedgerRecord, RecordedMessage},
};

const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn key(byte: u8) -> LedgerKey {
    LedgerKey([byte; 16])
}

fn closed(byte: u8) -> LedgerRecord {
    LedgerRecord::Closed { key: key(byte) }
}

fn partial(byte: u8, fingerprint: u8, done: &[u8]) -> LedgerRecord {
    LedgerRecord::Partial {
        key: key(byte),
        fingerprint: [fingerprint; 16],
        event: [byte; 16],
        done: done.iter().map(|one| LedgerMark([*one; 16])).collect(),
    }
}

fn marks<const N: usize>(bytes: [u8; N]) -> HashSet<LedgerMark> {
    bytes.map(|byte| LedgerMark([byte; 16])).into()
}

async fn append(store: &OpenStore, records: Vec<LedgerRecord>) {
    Arc::clone(&store.ledger).append(records, T0).await.unwrap();
}

async fn lookup(store: &OpenStore, byte: u8) -> RecordedMessage {
    store.ledger.lookup(key(byte)).await.unwrap().unwrap_or_default()
}

async fn claim(store: &OpenStore, fingerprint: u8) -> Option<ClaimedMessage> {
    store.ledger.claim_unfinished([fingerprint; 16]).await.unwrap()
}

pub(in crate::store) async fn a_recorded_group_is_known_to_the_next_process<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    append(&store, vec![partial(1, 0, &[1]), closed(2)]).await;
    append(&store, vec![partial(1, 0, &[2])]).await;
    drop(store);
    for _ in 0..2 {
        let store = open(&harness).await;
        let done = marks([1, 2]);
        assert_eq!(lookup(&store, 1).await, RecordedMessage { is_closed: false, done });
        let two = lookup(&store, 2).await;
        assert!(two.is_closed && two.done.is_empty());
        assert_eq!(store.ledger.lookup(key(3)).await.unwrap(), None, "there is no record");
    }
    let store = open(&harness).await;
    append(&store, vec![closed(1)]).await;
    let one = lookup(&store, 1).await;
    assert!(one.is_closed && one.done.is_empty(), "a closed message needs no marks");
}

pub(in crate::store) async fn an_unfinished_message_is_claimed_once_in_each_session<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    append(&store, vec![partial(1, 7, &[1]), partial(2, 7, &[2])]).await;
    assert_eq!(claim(&store, 7).await, None, "both are in flight in this session");
    for _ in 0..2 {
        Arc::clone(&store.ledger).begin_session(T0).await.unwrap();
        let (one, two) = (claim(&store, 7).await.unwrap(), claim(&store, 7).await.unwrap());
        assert_ne!(one.key, two.key);
        assert_eq!(claim(&store, 7).await, None);
    }
    drop(store);
    let store = open(&harness).await;
    append(&store, vec![closed(1)]).await;
    Arc::clone(&store.ledger).begin_session(T0).await.unwrap();
    let claimed = claim(&store, 7).await.unwrap();
    assert_eq!((claimed.key, claimed.event, claimed.done), (key(2), [2; 16], marks([2])));
    assert_eq!(claim(&store, 7).await, None);
    assert_eq!(claim(&store, 0).await, None, "a message with an id is not found by its content");
}

pub(in crate::store) async fn a_cut_group_costs_no_earlier_group<H: Harness>() {
    let harness = H::new();
    let store = open(&harness).await;
    append(&store, vec![closed(1), partial(2, 7, &[1])]).await;
    let cuts = harness
        .cuts(store, async |store| append(store, vec![partial(2, 7, &[2]), closed(3)]).await)
        .await;
    assert!(cuts.len() > 2, "the group was cut");
    for (number, cut) in cuts.iter().enumerate() {
        let store = open(cut).await;
        let two = lookup(&store, 2).await.done;
        assert!(lookup(&store, 1).await.is_closed, "cut {number}");
        assert!(two == marks([1]) || two == marks([1, 2]), "cut {number}: {two:?}");
        let is_whole = number + 1 == cuts.len();
        assert!(!is_whole || (two.len() == 2 && lookup(&store, 3).await.is_closed));
        append(&store, vec![closed(4)]).await;
        drop(store);
        let store = open(cut).await;
        assert!(lookup(&store, 4).await.is_closed && lookup(&store, 1).await.is_closed);
    }
}
