//! Opens sled, and reopens it after a failure.
//!
//! Owns the workarounds for sled: a snapshot that a crash left incomplete, a database that does not
//! open, an error of the disk, a panic, and a flush that does not sync the file.
//!
//! Not here: what the trees contain (`db.rs`, `templates.rs`), the size of the file
//! (`compaction.rs`).

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sled::Tree;

use super::{
    StoreError,
    compaction::Compaction,
    free_space::{FREE_BYTES_MIN, free_bytes},
    lock::sync_folder,
};

/// The size of sled's own cache, in bytes. `cache.rs` keeps the pages of busy topics.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// The maximum wait for sled's lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The key of the store's format.
pub(super) const FORMAT_WORD: &str = "format";

/// The key of the newest epoch of the slots.
pub(super) const EPOCH_WORD: &str = "epoch";

/// The trees of the open database.
pub(super) struct Trees {
    db: sled::Db,
    pub(super) rows: Tree,
    pub(super) ids: Tree,
    pub(super) robots: Tree,
    pub(super) templates: Tree,
    /// Of format 1: id → row, and topic, 0, id → empty.
    pub(super) old_rows: Tree,
    pub(super) old_topics: Tree,
    sweep: Compaction,
    /// Our own handle on sled's file, because sled's flush does not sync it.
    file: File,
}

/// sled. It does not recover from an error of the disk, so it is closed then and opened at the next
/// call.
pub(super) struct SledEngine {
    dir: PathBuf,
    trees: RwLock<Option<Trees>>,
    /// Counts the openings. Unsynced changes of an earlier opening are lost.
    opening: AtomicU64,
}

impl SledEngine {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let trees = open_trees(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            trees: RwLock::new(Some(trees)),
            opening: AtomicU64::new(0),
        })
    }

    /// Reads from the trees.
    pub(super) fn read<T>(
        &self,
        act: impl Fn(&Trees) -> Result<T, sled::Error>,
    ) -> Result<T, StoreError> {
        self.with("read", |trees| act(trees).map_err(Into::into))
    }

    /// Writes; durable when it returns.
    pub(super) fn write(
        &self,
        act: impl Fn(&Trees) -> Result<(), sled::Error>,
    ) -> Result<(), StoreError> {
        self.begin(act)?;
        self.with("written", Trees::sync)
    }

    /// Writes; durable after [`SledEngine::sync`]. After a crash sled contains a prefix of the
    /// writes, in their order.
    pub(super) fn begin(
        &self,
        act: impl Fn(&Trees) -> Result<(), sled::Error>,
    ) -> Result<(), StoreError> {
        self.has_room()?;
        self.with("written", |trees| act(trees).map_err(Into::into))
    }

    /// Cleans up after a change of `changed` subscriptions that made the content `put` bytes
    /// larger.
    pub(super) fn sweep(&self, changed: usize, put: i64) -> Result<(), StoreError> {
        self.with("written", |trees| {
            trees.sweep.after(&trees.file, changed, put).map_err(Into::into)
        })
    }

    /// The number of the current opening.
    pub(super) fn opening(&self) -> u64 {
        self.opening.load(Ordering::Acquire)
    }

    /// Makes the changes since that opening durable; an error if sled was reopened meanwhile.
    pub(super) fn sync(&self, opening: u64) -> Result<(), StoreError> {
        self.with("written", Trees::sync)?;
        if self.opening() == opening {
            return Ok(());
        }
        let source = io::Error::other("its database failed and was opened again meanwhile");
        Err(StoreError::Disk { dir: self.dir.clone(), verb: "written", source })
    }

    /// A value that the store keeps about itself, such as its format.
    pub(super) fn word(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|trees| Ok(trees.db.get(name)?.map(|value| value.to_vec())))
    }

    /// Sets such a value; durable when it returns.
    pub(super) fn set_word(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write(|trees| trees.db.insert(name, value).map(|_| ()))
    }

    /// The error for content that differs from the last write.
    pub(super) fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged { dir: self.dir.clone(), what: what.to_owned() }
    }

    fn has_room(&self) -> Result<(), StoreError> {
        match free_bytes(&self.dir) {
            Some(bytes) if bytes < FREE_BYTES_MIN => {
                Err(StoreError::Full { dir: self.dir.clone() })
            }
            _ => Ok(()),
        }
    }

    fn with<T>(
        &self,
        verb: &'static str,
        act: impl Fn(&Trees) -> Result<T, EngineOpenError>,
    ) -> Result<T, StoreError> {
        let error = {
            let opened = self.trees.read().unwrap_or_else(PoisonError::into_inner);
            let Some(trees) = opened.as_ref() else {
                drop(opened);
                return self.open_again().and_then(|()| self.with(verb, act));
            };
            // sled panics on some errors of the disk.
            match catch_unwind(AssertUnwindSafe(|| act(trees))) {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => error,
                Err(_) => EngineOpenError::Disk(io::Error::other("the database failed")),
            }
        };
        // sled would return this error for every later call.
        self.trees.write().unwrap_or_else(PoisonError::into_inner).take();
        Err(error.into_store_error(&self.dir, verb))
    }

    fn open_again(&self) -> Result<(), StoreError> {
        let mut opened = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none() {
            self.has_room()?;
            *opened = Some(open_trees(&self.dir)?);
            self.opening.fetch_add(1, Ordering::AcqRel);
            tracing::info!("the store's database is open again");
        }
        Ok(())
    }
}

impl Trees {
    fn sync(&self) -> Result<(), EngineOpenError> {
        self.db.flush()?;
        self.file.sync_data().map_err(EngineOpenError::Disk)
    }
}

fn open_trees(dir: &Path) -> Result<Trees, StoreError> {
    let folder = dir.join("db");
    let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
    remove_half_snapshots(&folder).map_err(failed)?;
    let opened = match open_sled(&folder) {
        Err(EngineOpenError::Damaged(why)) => {
            // Without a snapshot, sled reads its log from the beginning. That repairs the store if
            // only the snapshot is broken.
            tracing::warn!(why, "the store's database does not open; trying without its snapshots");
            set_snapshots_aside(&folder).map_err(failed)?;
            open_sled(&folder)
        }
        opened => opened,
    };
    let db = opened.map_err(|error| error.into_store_error(dir, "opened"))?;
    let tree = |name: &str| {
        db.open_tree(name)
            .map_err(|error| EngineOpenError::from(error).into_store_error(dir, "opened"))
    };
    let (rows, ids, robots, templates) =
        (tree("rows")?, tree("ids")?, tree("robots")?, tree("templates")?);
    let (old_rows, old_topics) = (tree("subscriptions")?, tree("topics")?);
    let file = File::open(folder.join("db")).map_err(failed)?;
    let sweep = Compaction::new(tree("sweep")?, &file).map_err(failed)?;
    sync_folder(&folder).and_then(|()| sync_folder(dir)).map_err(failed)?;
    Ok(Trees { db, rows, ids, robots, templates, old_rows, old_topics, sweep, file })
}

enum EngineOpenError {
    Damaged(String),
    Disk(io::Error),
}

impl From<sled::Error> for EngineOpenError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Disk(error),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl EngineOpenError {
    fn into_store_error(self, dir: &Path, verb: &'static str) -> StoreError {
        match self {
            Self::Damaged(what) => StoreError::Damaged { dir: dir.to_owned(), what },
            Self::Disk(source) => StoreError::Disk { dir: dir.to_owned(), verb, source },
        }
    }
}

/// Opens sled. After closing, sled's own threads may keep its lock for a moment. No other process
/// can have it, because this process holds the lock of the folder.
fn open_sled(folder: &Path) -> Result<sled::Db, EngineOpenError> {
    let began = Instant::now();
    loop {
        match open_sled_once(folder) {
            Err(EngineOpenError::Disk(error))
                if error.to_string().contains("could not acquire lock")
                    && began.elapsed() < LOCK_TIMEOUT =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// sled can panic on unexpected content of its files.
fn open_sled_once(folder: &Path) -> Result<sled::Db, EngineOpenError> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(EngineOpenError::Damaged("its database cannot be read".to_owned())),
    }
}

/// Removes incomplete snapshots. sled would take such a file for a whole snapshot and refuse to
/// open; the previous snapshot still exists.
fn remove_half_snapshots(folder: &Path) -> io::Result<()> {
    for path in snapshots(folder)? {
        if path.extension().is_some_and(|end| end == "generating") {
            tracing::warn!(path = %path.display(), "removing a snapshot that was never finished");
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn set_snapshots_aside(folder: &Path) -> io::Result<()> {
    let aside = folder.with_file_name("snapshots-set-aside");
    fs::create_dir_all(&aside)?;
    for path in snapshots(folder)? {
        if let Some(name) = path.file_name() {
            fs::rename(&path, aside.join(name))?;
        }
    }
    Ok(())
}

fn snapshots(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("snap."))
        {
            found.push(path);
        }
    }
    Ok(found)
}
