//! sled, opened and kept open. Owns everything about it that is not about subscriptions: what is done about a snapshot that was never finished,
//! a broken database, a disk that did not take a write, and that its flush does not reach the disk by itself.

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

use super::{StoreError, lock::sync_folder, sweep::Sweep};

/// sled's own cache, in bytes. What is needed often is in `cache.rs`.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// How long sled's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// With less than this free on the disk nothing is changed: sled cannot undo half a write.
const ROOM_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Under which name the store says its format.
pub(super) const FORMAT_WORD: &str = "format";

/// Under which name the store says the newest epoch of its slots.
pub(super) const EPOCH_WORD: &str = "epoch";

/// The trees.
pub(super) struct Trees {
    db: sled::Db,
    pub(super) rows: Tree,
    pub(super) ids: Tree,
    pub(super) robots: Tree,
    pub(super) templates: Tree,
    /// Of format 1: id → row, and topic, 0, id → nothing.
    pub(super) old_rows: Tree,
    pub(super) old_topics: Tree,
    sweep: Sweep,
    /// A handle of our own on sled's file: sled's flush does not reach the disk by itself.
    file: File,
}

/// sled. After a failure it is closed and opened again at the next call, as it does not go on by itself.
pub(super) struct Engine {
    dir: PathBuf,
    trees: RwLock<Option<Trees>>,
    /// How often it was opened: what was changed and not synced under an earlier number is lost.
    opening: AtomicU64,
}

impl Engine {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let trees = open_trees(dir)?;
        Ok(Self { dir: dir.to_owned(), trees: RwLock::new(Some(trees)), opening: AtomicU64::new(0) })
    }

    /// Reads.
    pub(super) fn read<T>(&self, act: impl Fn(&Trees) -> Result<T, sled::Error>) -> Result<T, StoreError> {
        self.with("read", |trees| act(trees).map_err(Into::into))
    }

    /// Writes; durable when it returns.
    pub(super) fn write(&self, act: impl Fn(&Trees) -> Result<(), sled::Error>) -> Result<(), StoreError> {
        self.begin(act)?;
        self.with("written", Trees::sync)
    }

    /// Writes; durable after [`Engine::sync`]. After a crash sled has all of it up to some point, in the order in which it was written.
    pub(super) fn begin(&self, act: impl Fn(&Trees) -> Result<(), sled::Error>) -> Result<(), StoreError> {
        self.has_room()?;
        self.with("written", |trees| act(trees).map_err(Into::into))
    }

    /// Cleans up behind a change of so many subscriptions, which put in so many bytes more than it took away.
    pub(super) fn sweep(&self, changed: usize, put: i64) -> Result<(), StoreError> {
        self.with("written", |trees| trees.sweep.after(&trees.file, changed, put).map_err(Into::into))
    }

    /// Which opening of sled this is.
    pub(super) fn opening(&self) -> u64 {
        self.opening.load(Ordering::Acquire)
    }

    /// What was changed since that opening is durable when it returns.
    pub(super) fn sync(&self, opening: u64) -> Result<(), StoreError> {
        self.with("written", Trees::sync)?;
        if self.opening() == opening {
            return Ok(());
        }
        let source = io::Error::other("its database failed and was opened again meanwhile");
        Err(StoreError::Disk { dir: self.dir.clone(), verb: "written", source })
    }

    /// A word that the store says about itself.
    pub(super) fn word(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|trees| Ok(trees.db.get(name)?.map(|value| value.to_vec())))
    }

    /// Sets such a word; durable when it returns.
    pub(super) fn set_word(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        self.write(|trees| trees.db.insert(name, value).map(|_| ()))
    }

    /// Something in the content is not as it was written.
    pub(super) fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged { dir: self.dir.clone(), what: what.to_owned() }
    }

    fn has_room(&self) -> Result<(), StoreError> {
        let room = rustix::fs::statvfs(&self.dir).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        match room {
            Ok(bytes) if bytes < ROOM_BYTES_MIN => Err(StoreError::Full { dir: self.dir.clone() }),
            _ => Ok(()),
        }
    }

    fn with<T>(&self, verb: &'static str, act: impl Fn(&Trees) -> Result<T, Unopened>) -> Result<T, StoreError> {
        let error = {
            let opened = self.trees.read().unwrap_or_else(PoisonError::into_inner);
            let Some(trees) = opened.as_ref() else {
                drop(opened);
                return self.open_again().and_then(|()| self.with(verb, act));
            };
            // sled panics where it did not expect an error of the disk.
            match catch_unwind(AssertUnwindSafe(|| act(trees))) {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => error,
                Err(_) => Unopened::Disk(io::Error::other("the database failed")),
            }
        };
        // From here on it would answer everything with this error.
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
    fn sync(&self) -> Result<(), Unopened> {
        self.db.flush()?;
        self.file.sync_data().map_err(Unopened::Disk)
    }
}

fn open_trees(dir: &Path) -> Result<Trees, StoreError> {
    let folder = dir.join("db");
    let failed = |source| StoreError::Disk { dir: dir.to_owned(), verb: "opened", source };
    remove_half_snapshots(&folder).map_err(failed)?;
    let opened = match open_sled(&folder) {
        Err(Unopened::Damaged(why)) => {
            // sled reads its log from the beginning if there is no snapshot; that has repaired what was only a broken snapshot.
            tracing::warn!(why, "the store's database does not open; trying without its snapshots");
            set_snapshots_aside(&folder).map_err(failed)?;
            open_sled(&folder)
        }
        opened => opened,
    };
    let db = opened.map_err(|error| error.into_store_error(dir, "opened"))?;
    let tree = |name: &str| db.open_tree(name).map_err(|error| Unopened::from(error).into_store_error(dir, "opened"));
    let (rows, ids, robots, templates) = (tree("rows")?, tree("ids")?, tree("robots")?, tree("templates")?);
    let (old_rows, old_topics) = (tree("subscriptions")?, tree("topics")?);
    let file = File::open(folder.join("db")).map_err(failed)?;
    let sweep = Sweep::new(tree("sweep")?, &file).map_err(failed)?;
    sync_folder(&folder).and_then(|()| sync_folder(dir)).map_err(failed)?;
    Ok(Trees { db, rows, ids, robots, templates, old_rows, old_topics, sweep, file })
}

enum Unopened {
    Damaged(String),
    Disk(io::Error),
}

impl From<sled::Error> for Unopened {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Disk(error),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl Unopened {
    fn into_store_error(self, dir: &Path, verb: &'static str) -> StoreError {
        match self {
            Self::Damaged(what) => StoreError::Damaged { dir: dir.to_owned(), what },
            Self::Disk(source) => StoreError::Disk { dir: dir.to_owned(), verb, source },
        }
    }
}

/// Opens sled. Its own threads may keep its lock for a moment after it was closed in this process; nobody else can have it, as
/// the folder is locked by us.
fn open_sled(folder: &Path) -> Result<sled::Db, Unopened> {
    let began = Instant::now();
    loop {
        match open_sled_once(folder) {
            Err(Unopened::Disk(error))
                if error.to_string().contains("could not acquire lock") && began.elapsed() < LOCK_PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// sled can panic on what it does not expect in its files.
fn open_sled_once(folder: &Path) -> Result<sled::Db, Unopened> {
    let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(Unopened::Damaged("its database cannot be read".to_owned())),
    }
}

/// A snapshot that a crash left half written makes sled refuse to open (its list of snapshots takes it for a whole one). The one before it is
/// still there.
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
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("snap.")) {
            found.push(path);
        }
    }
    Ok(found)
}
