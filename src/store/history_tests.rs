//! Tests of the history on files: lookups, bounds, restarts, crashes.
//!
//! Owns the promises of the port of the history.
//!
//! Not here: the rows (`history_row.rs`) and the index (`history_index.rs`), which have their own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use proptest::prelude::*;

use super::{
    FileHistory, FileHistorySettings,
    history_samples::{any_record, at, received, step},
};
use crate::{
    domain::{EventId, RobotId, SubscriptionId},
    history::{HistoryCursor, HistoryOutcome, HistoryQuery, HistoryRecord, Occurrence, StepEnd},
};

const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// When a record was made, in milliseconds after the beginning.
fn millis(record: &HistoryRecord) -> u64 {
    u64::try_from(record.at.since(at(0)).as_millis()).unwrap()
}

fn settings(dir: &Path, bytes_max: u64) -> FileHistorySettings {
    let (dir, retention) = (dir.join("history"), 7 * DAY);
    FileHistorySettings { dir, retention, bytes_max, text_key: None }
}

fn open(dir: &Path) -> FileHistory {
    FileHistory::open(settings(dir, 64 * MIB), at(0)).unwrap()
}

/// All pages of an answer, read with pages of this size.
fn all(history: &FileHistory, query: &HistoryQuery, limit: usize) -> Vec<HistoryRecord> {
    let (mut records, mut after) = (Vec::new(), None);
    loop {
        let page = history.page_now(query, after, limit).unwrap();
        assert!(page.records.len() <= limit);
        records.extend(page.records);
        match page.next {
            Some(next) => {
                assert!(after.is_none_or(|after: HistoryCursor| next < after), "it goes on");
                after = Some(next);
            }
            None => return records,
        }
    }
}

fn everything(history: &FileHistory) -> Vec<HistoryRecord> {
    all(history, &HistoryQuery::default(), 1000)
}

fn files(dir: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(dir.join("history")).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect();
    files.sort();
    files
}

fn bytes(dir: &Path) -> u64 {
    files(dir).iter().map(|(_, bytes)| bytes).sum()
}

#[test]
fn a_record_is_found_by_each_of_its_properties_and_the_newest_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let dead = StepEnd::Dead { reason: "refused".into(), code: "1".into(), detail: "d".into() };
    let records = [
        received("a", "ops", 1),
        step("a", 1, 2, Some(StepEnd::Delivered)),
        step("a", 2, 3, Some(dead)),
        received("b", "other", 4),
        step("b", 1, 5, Some(StepEnd::Delivered)),
    ];
    for pair in records.chunks(2) {
        history.append_now(pair, at(0)).unwrap();
    }
    let any = HistoryQuery::default;
    let id = |number| Some(SubscriptionId::from_bytes([number; 16]));
    for (query, found) in [
        (any(), &[5, 4, 3, 2, 1][..]),
        (HistoryQuery { event: Some(EventId::new("a")), ..any() }, &[3, 2, 1]),
        (HistoryQuery { event: Some(EventId::new("c")), ..any() }, &[]),
        (HistoryQuery { subscription: id(1), ..any() }, &[5, 2]),
        (HistoryQuery { robot: Some(RobotId::from_bytes([253; 16])), ..any() }, &[3]),
        (HistoryQuery { topic: Some("other".into()), ..any() }, &[4]),
        (HistoryQuery { since: Some(at(3)), ..any() }, &[5, 4, 3]),
        (HistoryQuery { since: Some(at(6)), ..any() }, &[]),
        (HistoryQuery { outcome: Some(HistoryOutcome::Delivered), ..any() }, &[5, 2]),
        (HistoryQuery { outcome: Some(HistoryOutcome::Received), ..any() }, &[4, 1]),
        (HistoryQuery { subscription: id(1), event: Some(EventId::new("b")), ..any() }, &[5]),
    ] {
        for limit in [1, 2, 100] {
            let records = all(&history, &query, limit);
            let times: Vec<_> = records.iter().map(millis).collect();
            assert_eq!(times, found, "{query:?} by {limit}");
        }
    }
}

#[test]
fn a_page_says_whether_another_one_follows() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let records: Vec<_> = (0..3).map(|number| received("e", "t", number)).collect();
    history.append_now(&records, at(0)).unwrap();
    let next = |limit| history.page_now(&HistoryQuery::default(), None, limit).unwrap().next;
    assert!(next(2).is_some());
    assert_eq!(next(3), None);
    // A position stays what it is when records are added.
    let position = next(1);
    history.append_now(&records, at(1)).unwrap();
    let page = history.page_now(&HistoryQuery::default(), position, 10).unwrap();
    assert_eq!(page.records.len(), 2);
}

#[test]
fn the_next_process_has_every_record_and_continues_the_file() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5_u64 {
        let history = open(dir.path());
        history.append_now(&[received("e", "t", round)], at(0)).unwrap();
        let times = everything(&history);
        assert!(times.iter().map(millis).eq((0..=round).rev()));
    }
    assert_eq!(files(dir.path()).len(), 1, "restarts make no further files");
}

#[test]
fn a_crash_at_every_byte_costs_the_last_frame_at_most_and_the_history_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.append_now(&[received("first", "t", 1)], at(0)).unwrap();
    let before = usize::try_from(bytes(dir.path())).unwrap();
    history.append_now(&[received("second", "t", 2), received("third", "t", 3)], at(0)).unwrap();
    drop(history);
    let path = files(dir.path())[0].0.clone();
    let whole = fs::read(&path).unwrap();
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let history = open(dir.path());
        history.append_now(&[received("after", "t", 4)], at(0)).unwrap();
        let names: Vec<_> =
            everything(&history).iter().map(|one| one.event.as_str().to_owned()).collect();
        let expected = if cut < before { &["after"][..] } else { &["after", "first"] };
        assert_eq!(names, expected, "cut at {cut}");
        drop(history);
        fs::remove_dir_all(dir.path().join("history")).unwrap();
        fs::create_dir(dir.path().join("history")).unwrap();
    }
}

#[test]
fn a_crash_at_every_byte_of_an_index_costs_no_record() {
    let dir = tempfile::tempdir().unwrap();
    // Small segments, so that several of them are ended.
    let history = FileHistory::open(settings(dir.path(), 64 * 1024), at(0)).unwrap();
    let records: Vec<_> = (0..200).map(|number| received("e", "t", number)).collect();
    for record in &records {
        history.append_now(std::slice::from_ref(record), at(0)).unwrap();
    }
    let expected = everything(&history);
    drop(history);
    let is_index = |path: &Path| path.extension().is_some_and(|end| end == "index");
    let found: Vec<_> =
        files(dir.path()).into_iter().map(|(path, _)| path).filter(|path| is_index(path)).collect();
    assert!(found.len() > 1, "{found:?}");
    for path in &found {
        let whole = fs::read(path).unwrap();
        for cut in (0..whole.len()).step_by(7) {
            fs::write(path, &whole[..cut]).unwrap();
            let unfinished = path.with_extension("new");
            fs::write(&unfinished, &whole[..cut]).unwrap();
            let history = FileHistory::open(settings(dir.path(), 64 * 1024), at(0)).unwrap();
            assert_eq!(everything(&history), expected, "{} cut at {cut}", path.display());
            assert_eq!(fs::read(path).unwrap(), whole, "it is made again");
            assert!(!unfinished.exists());
        }
    }
}

#[test]
fn the_files_stay_below_the_bound_of_bytes_and_the_newest_records_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let history = FileHistory::open(settings(dir.path(), MIB), at(0)).unwrap();
    let mut number = 0;
    for _ in 0..200 {
        let records: Vec<_> = (number..number + 100)
            .map(|one| step(&format!("event-{one}"), 1, one, Some(StepEnd::Delivered)))
            .collect();
        number += 100;
        history.append_now(&records, at(0)).unwrap();
        assert!(bytes(dir.path()) <= MIB, "{} bytes", bytes(dir.path()));
    }
    let kept = everything(&history);
    assert!(kept.len() > 2000, "{} kept", kept.len());
    let newest = kept.iter().map(millis);
    assert!(newest.eq((number - kept.len() as u64..number).rev()), "none is missing between");
    let size = bytes(dir.path());
    drop(history);
    // A smaller bound holds from the next start on.
    let history = FileHistory::open(settings(dir.path(), MIB / 4), at(0)).unwrap();
    assert!(bytes(dir.path()) <= MIB / 4 && size > MIB / 2, "{size}");
    assert!(everything(&history).first().is_some_and(|one| millis(one) == number - 1));
}

#[test]
fn a_record_older_than_the_retention_is_deleted_although_none_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let day = |days: u32| at(0).after(days * DAY);
    let record = |days: u32| HistoryRecord { at: day(days), ..received("e", "t", 0) };
    for days in 0..10 {
        history.append_now(&[record(days)], day(days)).unwrap();
    }
    let kept = |history: &FileHistory| {
        everything(history)
            .iter()
            .map(|one| one.at.since(at(0)).as_secs() / DAY.as_secs())
            .collect()
    };
    let days: Vec<u64> = kept(&history);
    assert_eq!(days, [9, 8, 7, 6, 5, 4, 3, 2]);
    history.trim_now(day(12)).unwrap();
    let days: Vec<u64> = kept(&history);
    assert_eq!(days, [9, 8, 7, 6, 5]);
    history.trim_now(day(17)).unwrap();
    assert_eq!(kept(&history), Vec::<u64>::new());
    assert_eq!(files(dir.path()), []);
}

#[test]
fn a_clock_that_is_set_back_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    history.append_now(&[received("e", "t", 1)], at(0).after(3 * DAY)).unwrap();
    history.append_now(&[received("f", "t", 2)], at(0)).unwrap();
    history.trim_now(at(0)).unwrap();
    assert_eq!(everything(&history).len(), 2);
}

#[test]
fn a_history_that_is_switched_off_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).append_now(&[received("e", "t", 1)], at(0)).unwrap();
    FileHistory::clear(&dir.path().join("history")).unwrap();
    assert!(!dir.path().join("history").exists());
    FileHistory::clear(&dir.path().join("history")).unwrap();
}

#[test]
fn a_segment_of_a_later_version_is_neither_read_nor_continued_nor_lost() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("history");
    fs::create_dir(&folder).unwrap();
    let mut later = super::segment::Segment::create(&folder, 7, b"history 2 and more").unwrap();
    later.append(b"what it wrote").unwrap();
    let written = fs::read(&later.path).unwrap();
    let history = open(dir.path());
    history.append_now(&[received("e", "t", 1)], at(0)).unwrap();
    assert_eq!(everything(&history).len(), 1);
    assert_eq!(fs::read(&later.path).unwrap(), written);
}

#[test]
fn damaged_frames_are_skipped_and_end_no_lookup() {
    let dir = tempfile::tempdir().unwrap();
    let history = FileHistory::open(settings(dir.path(), 4 * MIB), at(0)).unwrap();
    for number in 0..200_u64 {
        let records: Vec<_> =
            (0..20).map(|one| received(&format!("{number}-{one}"), "t", number)).collect();
        history.append_now(&records, at(0)).unwrap();
    }
    let find = |name: &str| {
        let query = HistoryQuery { event: Some(EventId::new(name)), ..HistoryQuery::default() };
        history.page_now(&query, None, 10).unwrap().records.len()
    };
    assert_eq!((find("7-3"), find("199-19"), find("200-0")), (1, 1, 0));
    for (path, _) in files(dir.path()) {
        if path.extension().is_some_and(|end| end == "ledger") {
            let damaged = fs::read(&path).unwrap().iter().map(|byte| !byte).collect::<Vec<_>>();
            fs::write(&path, damaged).unwrap();
        }
    }
    assert_eq!((find("7-3"), find("199-19"), find("200-0")), (0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_answer_is_that_of_a_search_through_all_records(
        batches in prop::collection::vec(prop::collection::vec(any_record(), 1..6), 1..12),
        restarts in prop::collection::vec(any::<bool>(), 12),
        asked in any::<prop::sample::Index>(),
        by in 0..6_u8,
        limit in 1..5_usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let open = || FileHistory::open(settings(dir.path(), 64 * MIB), at(0)).unwrap();
        let mut history = open();
        for (batch, restart) in batches.iter().zip(&restarts) {
            history.append_now(batch, at(0)).unwrap();
            if *restart {
                drop(history);
                history = open();
            }
        }
        let records: Vec<_> = batches.concat();
        let wanted = asked.get(&records);
        let any = HistoryQuery::default();
        let (step, event) = (wanted.step(), Some(wanted.event.clone()));
        let query = match by {
            0 => any,
            1 => HistoryQuery { event, ..any },
            2 => HistoryQuery { topic: Some(wanted.topic.to_string()), ..any },
            3 => HistoryQuery { outcome: Some(wanted.outcome()), ..any },
            4 => HistoryQuery { since: Some(wanted.at), ..any },
            _ => HistoryQuery {
                subscription: step.map(|step| step.subscription),
                robot: step.map(|step| step.robot),
                ..any
            },
        };
        let mut expected: Vec<_> =
            records.iter().filter(|one| query.accepts(one)).cloned().collect();
        expected.reverse();
        prop_assert_eq!(all(&history, &query, limit), expected);
    }
}

#[test]
fn an_event_that_was_given_up_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let history = open(dir.path());
    let occurrence =
        Occurrence::GivenUp { reason: "undecodable".into(), code: "json".into(), generation: 0 };
    history.append_now(&[HistoryRecord { occurrence, ..received("e", "a b", 1) }], at(0)).unwrap();
    let topic = Some("a b".to_owned());
    let query = HistoryQuery { topic, ..HistoryQuery::default() };
    assert_eq!(all(&history, &query, 1).len(), 1);
}
