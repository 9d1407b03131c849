//! What crashes, failing disks and damage cost the history, against a model.
//!
//! Owns the promise of the port: what `append` has returned is found after any crash, once and in
//! its order. What was being written may be lost. A damaged frame costs its own records.
//!
//! Not here: lookups and bounds (`history_tests.rs`), and the daemon (`tests/it/history.rs`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;

use super::{
    FileHistory, FileHistorySettings, history_row,
    history_samples::{at, received},
    segment::{self, FileSync},
};
use crate::{
    domain::EventId,
    history::{HistoryQuery, HistoryRecord},
};

/// Small enough for several segments, and large enough that none is deleted.
const BYTES_MAX: u64 = 256 * 1024;

#[derive(Clone, Debug)]
enum Step {
    /// Records are appended.
    Append(u64),
    /// The same, and the disk does not take them.
    AppendFails(u64),
    /// The process ends in order.
    Restart,
    /// The machine stops: of what was not synced a part is on the disk, the rest is cut off, or is
    /// zeros.
    Crash { kept: prop::sample::Index, zeros: bool },
    /// The same, and an index is gone too.
    CrashWithoutIndex(prop::sample::Index),
    /// A byte of a segment changes while the daemon is off.
    Damage { segment: prop::sample::Index, byte: prop::sample::Index },
}

fn any_step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (1..12_u64).prop_map(Step::Append),
        1 => (1..12_u64).prop_map(Step::AppendFails),
        1 => Just(Step::Restart),
        2 => (index(), any::<bool>()).prop_map(|(kept, zeros)| Step::Crash { kept, zeros }),
        1 => index().prop_map(Step::CrashWithoutIndex),
        1 => (index(), index()).prop_map(|(segment, byte)| Step::Damage { segment, byte }),
    ]
}

/// A disk that knows what is durable, and that can refuse.
#[derive(Clone, Default)]
struct Disk {
    /// The durable bytes of each file, by its inode.
    synced: Arc<Mutex<BTreeMap<u64, u64>>>,
    refuses: Arc<AtomicBool>,
}

impl Disk {
    fn sync(&self) -> FileSync {
        let disk = self.clone();
        FileSync::from(move |file| {
            if disk.refuses.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let metadata = file.metadata()?;
            disk.synced.lock().unwrap().insert(metadata.ino(), metadata.len());
            Ok(())
        })
    }

    /// Takes away a part of what is not durable.
    fn stop(&self, dir: &Path, kept: prop::sample::Index, zeros: bool) {
        for path in segments(dir) {
            let metadata = fs::metadata(&path).unwrap();
            let synced = self.synced.lock().unwrap().get(&metadata.ino()).copied().unwrap_or(0);
            // Damage may have cut off what was durable.
            let synced = synced.min(metadata.len());
            let open = metadata.len() - synced;
            if open == 0 {
                continue;
            }
            let cut = synced + kept.index(usize::try_from(open).unwrap() + 1) as u64;
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(cut).unwrap();
            if zeros {
                file.set_len(metadata.len()).unwrap();
            }
        }
    }
}

/// What the history must have, and may have.
#[derive(Default)]
struct Model {
    next: u64,
    must: BTreeSet<u64>,
    may: BTreeSet<u64>,
}

impl Model {
    fn records(&mut self, count: u64) -> Vec<HistoryRecord> {
        let numbers = self.next..self.next + count;
        self.next += count;
        numbers.map(|number| received(&format!("event-{number}"), "t", number)).collect()
    }

    fn check(&self, history: &FileHistory) {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = history.page_now(&HistoryQuery::default(), after, 23).unwrap();
            found.extend(page.records.iter().map(number));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert!(found.is_sorted_by(|newer, older| newer > older), "in order, and once: {found:?}");
        let found: BTreeSet<_> = found.into_iter().collect();
        let lost: Vec<_> = self.must.difference(&found).collect();
        assert!(lost.is_empty(), "lost: {lost:?} of {found:?}");
        assert!(found.iter().all(|one| self.must.contains(one) || self.may.contains(one)));
        for number in self.must.iter().rev().step_by(5) {
            let event = Some(EventId::new(&format!("event-{number}")));
            let query = HistoryQuery { event, ..HistoryQuery::default() };
            assert_eq!(history.page_now(&query, None, 9).unwrap().records.len(), 1, "{number}");
        }
    }

    /// Changes a byte behind the first frame of a segment. What a reader then does not find, may be
    /// lost.
    fn damage(&mut self, path: &Path, byte: prop::sample::Index) {
        let whole = fs::read(path).unwrap();
        let found = |bytes: &[u8]| {
            let frames = segment::frames_beyond_damage(bytes).into_iter().skip(1);
            let records = frames.flat_map(|frame| history_row::decode(frame.payload, None));
            records.flatten().map(|record| number(&record)).collect::<BTreeSet<_>>()
        };
        let first = segment::frames(&whole)
            .first()
            .map_or(whole.len(), |frame| usize::try_from(frame.end).unwrap());
        if first >= whole.len() {
            return;
        }
        let mut damaged = whole.clone();
        damaged[first + byte.index(whole.len() - first)] ^= 0x41;
        let (before, after) = (found(&whole), found(&damaged));
        for lost in before.difference(&after) {
            self.must.remove(lost);
            self.may.insert(*lost);
        }
        fs::write(path, damaged).unwrap();
    }
}

fn number(record: &HistoryRecord) -> u64 {
    u64::try_from(record.at.since(at(0)).as_millis()).unwrap()
}

fn files(dir: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        all.filter(|path| path.extension().is_some_and(|one| one == end)).collect();
    found.sort();
    found
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    files(dir, "ledger")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_crash_loses_what_was_being_written_at_most(
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("history");
        let disk = Disk::default();
        let settings = FileHistorySettings {
            dir: dir.clone(),
            retention: Duration::from_secs(3600),
            bytes_max: BYTES_MAX,
            text_key: None,
        };
        let open = || FileHistory::open_with(settings.clone(), at(0), disk.sync()).unwrap();
        let (mut history, mut model) = (open(), Model::default());
        for step in steps {
            match step {
                Step::Append(count) => {
                    let records = model.records(count);
                    history.append_now(&records, at(0)).unwrap();
                    model.must.extend(records.iter().map(number));
                }
                Step::AppendFails(count) => {
                    let records = model.records(count);
                    disk.refuses.store(true, Ordering::Relaxed);
                    history.append_now(&records, at(0)).unwrap_err();
                    disk.refuses.store(false, Ordering::Relaxed);
                    model.may.extend(records.iter().map(number));
                }
                stop => {
                    drop(history);
                    match stop {
                        Step::Crash { kept, zeros } => disk.stop(&dir, kept, zeros),
                        Step::CrashWithoutIndex(index) => {
                            let found = files(&dir, "index");
                            if !found.is_empty() {
                                fs::remove_file(index.get(&found)).unwrap();
                            }
                        }
                        Step::Damage { segment, byte } => {
                            let found = segments(&dir);
                            if !found.is_empty() {
                                model.damage(&found[segment.index(found.len())], byte);
                            }
                        }
                        _ => (),
                    }
                    history = open();
                }
            }
            model.check(&history);
        }
    }
}

#[test]
fn a_disk_that_refuses_for_long_costs_records_and_fills_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("history");
    let (disk, retention) = (Disk::default(), Duration::from_secs(3600));
    let settings =
        FileHistorySettings { dir: dir.clone(), retention, bytes_max: BYTES_MAX, text_key: None };
    let history = FileHistory::open_with(settings, at(0), disk.sync()).unwrap();
    let mut model = Model::default();
    let first = model.records(3);
    history.append_now(&first, at(0)).unwrap();
    model.must.extend(first.iter().map(number));
    disk.refuses.store(true, Ordering::Relaxed);
    for _ in 0..50 {
        let lost = model.records(3);
        history.append_now(&lost, at(0)).unwrap_err();
        model.may.extend(lost.iter().map(number));
    }
    assert!(segments(&dir).len() <= 2, "{:?}", segments(&dir));
    disk.refuses.store(false, Ordering::Relaxed);
    let last = model.records(3);
    history.append_now(&last, at(0)).unwrap();
    model.must.extend(last.iter().map(number));
    model.check(&history);
}
