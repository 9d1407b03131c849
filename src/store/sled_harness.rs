//! The conformance suite with sled and the files of the store.
//!
//! Owns the crashes of this implementation: a copy of the folder at each step of a change, and with
//! each new end of the ledger and the journal cut.
//!
//! Not here: the suite (`conformance/`), tests of the files alone (`tests.rs` and others).

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use super::{
    FileLedger, Journal, Store, StoreSettings, attack,
    conformance::{Harness, OpenStore, conformance_suite, keys::master},
    crash_points::CrashPoints,
    db::{Db, RowChange},
    row::SubscriptionRow,
    segment::FileSync,
    subscriptions::StoreInner,
};
use crate::{
    clock::Clock,
    crypto::SealedRecord,
    domain::{SubscriptionId, Timestamp},
};

conformance_suite!(SledHarness);

const T0: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);
/// How many copies have a cut end of one file.
const ENDS: u64 = 8;
/// How long a closed store may stay locked.
const CLOSED_WITHIN: Duration = Duration::from_secs(10);

struct SledHarness {
    home: tempfile::TempDir,
    clock: Clock,
    open: Mutex<Weak<StoreInner>>,
    /// The steps of the journal. Those of the store are its own.
    journal_steps: CrashPoints,
}

impl SledHarness {
    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// A copy of the folder as it is now.
    fn copy(from: &Path, clock: &Clock) -> Self {
        let copy = Self { clock: clock.clone(), ..Self::new() };
        attack::copy(from, &copy.data());
        copy
    }

    /// The lengths of the files of ledger and journal.
    fn lengths(&self) -> Vec<(PathBuf, u64)> {
        let folders = ["ledger", "journal"].map(|name| self.data().join(name));
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        let length = |entry: fs::DirEntry| (entry.path(), entry.metadata().unwrap().len());
        entries.map(|entry| length(entry.unwrap())).collect()
    }
}

impl Harness for SledHarness {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        Self {
            home,
            clock: Clock::from(T0),
            open: Mutex::default(),
            journal_steps: CrashPoints::default(),
        }
    }

    async fn open(&self, key: u8) -> Result<OpenStore, String> {
        let settings = StoreSettings {
            ledger_window: Duration::from_secs(600),
            ..StoreSettings::at(self.data())
        };
        let (clock, window) = (self.clock.clone(), Duration::from_secs(100));
        // A thread in the background may have the last reference for a moment.
        let began = Instant::now();
        while self.open.lock().unwrap().strong_count() > 0 && began.elapsed() < CLOSED_WITHIN {
            std::thread::yield_now();
        }
        let store = Store::open(&settings, &master(key), clock.clone());
        let store = store.map_err(|error| error.to_string())?;
        let ledger = FileLedger::open(settings.ledger(), clock.now()).unwrap();
        let steps = self.journal_steps.clone();
        let disk = FileSync::from(move |file| {
            file.sync_all()?;
            steps.reached();
            Ok(())
        });
        let (journal, restored) = Journal::open_on(disk, settings.journal(window), clock).unwrap();
        *self.open.lock().unwrap() = Arc::downgrade(&store.0);
        Ok(OpenStore {
            subscriptions: Arc::new(store.clone()),
            feed: Arc::new(store.clone()),
            admin: Arc::new(store),
            ledger: Arc::new(ledger),
            pace_log: Arc::new(journal),
            restored,
        })
    }

    async fn cuts(&self, store: OpenStore, change: impl AsyncFnOnce(&OpenStore)) -> Vec<Self> {
        let copies = Arc::new(Mutex::new(vec![Self::copy(&self.data(), &self.clock)]));
        let inner = self.open.lock().unwrap().upgrade().unwrap();
        let before = self.lengths();
        for steps in [&inner.crash_points, &self.journal_steps] {
            let (copies, data, clock) = (Arc::clone(&copies), self.data(), self.clock.clone());
            steps.observe(move || copies.lock().unwrap().push(Self::copy(&data, &clock)));
        }
        change(&store).await;
        inner.crash_points.observe(|| ());
        self.journal_steps.observe(|| ());
        drop((inner, store));
        let mut cuts = std::mem::take(&mut *copies.lock().unwrap());
        let after = self.lengths();
        // A file is deleted only after the files that replace it are whole.
        let is_kept = |one: &(PathBuf, u64)| after.iter().any(|(path, _)| *path == one.0);
        let written = if before.iter().all(is_kept) { after.clone() } else { Vec::new() };
        for (path, length) in written {
            let old = before.iter().find(|(other, _)| *other == path).map_or(0, |one| one.1);
            let step = (length.saturating_sub(old) / ENDS).max(1);
            for end in (old..length).step_by(usize::try_from(step).unwrap()) {
                let cut = Self::copy(&self.data(), &self.clock);
                let path = cut.data().join(path.strip_prefix(self.data()).unwrap());
                fs::File::options().write(true).open(path).unwrap().set_len(end).unwrap();
                cuts.push(cut);
            }
        }
        cuts.push(Self::copy(&self.data(), &self.clock));
        cuts
    }

    fn recovers(&self, key: u8, id: SubscriptionId, token: &str) -> bool {
        attack::recovers(&self.data(), key, id, token)
    }

    fn damage(&self, id: SubscriptionId) {
        let db = Db::open(&self.data()).unwrap();
        let row = db.get(id).unwrap().unwrap();
        let mut sealed = row.sealed.0.clone();
        sealed[40] ^= 1;
        let new = SubscriptionRow { sealed: SealedRecord(sealed), ..row.clone() };
        db.replace(&[RowChange { old: row, new }]).unwrap();
    }
}
