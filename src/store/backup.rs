//! Backups: what the store holds, in plain files that do not depend on sled, and stores made from them.
//!
//! | file | what it holds | |
//! | --- | --- | --- |
//! | `records` | every subscription's row, sealed | worthless without `keys` |
//! | `keys` | the key ring and every subscription's slot | worthless without the master key |
//! | `removed` | what was removed before the backup | |
//! | `templates` | every template, in the clear | missing in backups of format 1 |
//! | `backup.json` | format, counts; written last, so that a backup without it is none | |

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Place, Settings, StoreError,
    db::Db,
    engine,
    lock::{self, sync_folder},
    opening::{FORMAT, UNVERIFIED},
    removed,
    row::Row,
    slot::{self, Content, Slot},
    slots::{RUN, Slots},
    subscriptions::Store,
    templates,
};
use crate::domain::SubscriptionId;

const RECORDS_MAGIC: &[u8; 16] = b"roomcast records";
const KEYS_MAGIC: &[u8; 16] = b"roomcast keys  1";
const TEMPLATES_MAGIC: &[u8; 16] = b"roomcast tmpls 1";
/// The form that is written; format 1 had no templates.
const BACKUP_FORMAT: u8 = 2;
/// Nothing is longer: name, keyword and mentions of a row come in one request of 64 KiB, and a template has at most 256 KiB.
const FRAME_BYTES_MAX: usize = 320 * 1024;

/// What a backup says of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// Of which form it is.
    pub format: u8,
    /// How many subscriptions it holds.
    pub subscriptions: usize,
    /// How many texts of templates it holds.
    #[serde(default)]
    pub templates: usize,
    /// The id of the master key that opens it.
    pub key: String,
}

/// What came of a restoration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// How many subscriptions the new store has.
    pub subscriptions: usize,
    /// How many were left out, as they were removed after the backup.
    pub removed: usize,
    /// How many texts of templates the new store has.
    pub templates: usize,
}

/// Why there is no backup, or no store made from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder is there already.
    #[error("{0} exists already and is left as it is: name a folder that does not exist")]
    Exists(PathBuf),
    /// The folder holds no backup.
    #[error("{path} holds no whole backup: {why}")]
    NoBackup {
        /// The folder.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Keys were changed during the backup.
    #[error("the master key is being rotated: make the backup when `roomcast key status` says that it is done")]
    Rotating,
    /// A file cannot be read or written.
    #[error("{path} cannot be {verb}")]
    File {
        /// Which.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Writes a backup into a new folder; durable when it returns. Others may use and change the store meanwhile: each subscription is in it as
    /// it was at some moment of the backup. Blocks on the disk, for seconds to minutes.
    pub fn backup(&self, to: &Path) -> Result<Manifest, BackupError> {
        let written = |source| BackupError::File { path: to.to_owned(), verb: "written", source };
        let key = self.one_key()?;
        DirBuilder::new().mode(0o700).create(to).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
            _ => written(source),
        })?;
        let mut records = begin(&to.join("records"), RECORDS_MAGIC).map_err(written)?;
        let mut keys = begin(&to.join("keys"), KEYS_MAGIC).map_err(written)?;
        let ring = fs::read(self.dir().join("keyring")).map_err(written)?;
        frame(&mut keys, &ring).map_err(written)?;
        let (mut after, mut subscriptions): (Option<Place>, _) = (None, 0);
        loop {
            let pairs = self.0.pairs(after.as_ref())?;
            let Some((last, _)) = pairs.last() else { break };
            after = Some(Place::of(last));
            for (row, slot) in &pairs {
                let Some(slot) = slot else { continue };
                subscriptions += 1;
                frame(&mut records, &[row.id.as_bytes(), row.encode().as_slice()].concat()).map_err(written)?;
                let number = slot.binding.slot.to_be_bytes();
                frame(&mut keys, &[number.as_slice(), &slot::encode(slot)].concat()).map_err(written)?;
            }
        }
        if self.one_key()? != key {
            return Err(BackupError::Rotating);
        }
        let mut texts = begin(&to.join("templates"), TEMPLATES_MAGIC).map_err(written)?;
        let templates = self.0.kept_templates()?;
        for one in &templates {
            frame(&mut texts, &templates::to_backup(one)).map_err(written)?;
        }
        end(records).and_then(|()| end(keys)).and_then(|()| end(texts)).map_err(written)?;
        fs::copy(self.dir().join("removed"), to.join("removed")).map_err(written)?;
        let manifest = Manifest { format: BACKUP_FORMAT, subscriptions, templates: templates.len(), key };
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| written(error.into()))?;
        let mut file = create(&to.join("backup.json")).map_err(written)?;
        file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| sync_folder(to)).map_err(written)?;
        Ok(manifest)
    }

    /// The id of the only valid master key.
    fn one_key(&self) -> Result<String, BackupError> {
        let status = self.key_status();
        if status.old.is_some() { Err(BackupError::Rotating) } else { Ok(status.current.to_string()) }
    }
}

impl super::subscriptions::Open {
    /// Some rows with their slots, as they are at one moment.
    fn pairs(&self, after: Option<&Place>) -> Result<Vec<(Row, Option<Slot>)>, StoreError> {
        let _nobody_changes_them = self.writer();
        let rows = self.db.all(after, RUN)?;
        let pair = |row: Row| {
            let slot = self.table.find(&row.binding()).map_err(|source| match source.kind() {
                io::ErrorKind::Other => StoreError::DamagedRecord { id: row.id, what: source.to_string() },
                _ => self.unread(source),
            })?;
            Ok((row, slot))
        };
        rows.into_iter().map(pair).collect()
    }
}

/// What a backup says of itself, if a store could be made from it here. Changes nothing.
pub fn restorable(from: &Path, settings: &Settings) -> Result<Manifest, BackupError> {
    let manifest = manifest(from)?;
    let dir = &settings.dir;
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::Exists(dir.clone()));
    }
    Ok(manifest)
}

/// Makes a new store from a backup, without what the lists in `removed` (files of that name, from stores or backups) say was removed since. The
/// store's folder must be missing or empty. The next start looks at everything. Blocks on the disk.
pub fn restore(from: &Path, settings: &Settings, lists: &[PathBuf]) -> Result<Restored, BackupError> {
    let manifest = restorable(from, settings)?;
    let dir = &settings.dir;
    let mut gone = HashSet::new();
    for list in lists.iter().chain([&from.join("removed")]) {
        let read = removed::read(list);
        gone.extend(read.map_err(|source| BackupError::File { path: list.clone(), verb: "read", source })?);
    }
    // It gets its name when it is whole.
    let new = Settings { dir: with_ending(dir, ".restoring") };
    let written = |source| BackupError::File { path: new.dir.clone(), verb: "written", source };
    match fs::remove_dir_all(&new.dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(written(error)),
        _ => {}
    }
    let lock = lock::take(&new.dir)?;
    let restored = fill(from, &new.dir, &manifest, &gone)?;
    fs::copy(from.join("removed"), new.dir.join("removed")).map_err(written)?;
    append_lists(&new.dir, &gone).map_err(written)?;
    create(&new.dir.join(UNVERIFIED)).and_then(|file| file.sync_all()).map_err(written)?;
    sync_folder(&new.dir).map_err(written)?;
    drop(lock);
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(written(error)),
        _ => {}
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(&new.dir, dir).and_then(|()| sync_folder(parent)).map_err(written)?;
    Ok(restored)
}

/// What a backup says of itself.
fn manifest(from: &Path) -> Result<Manifest, BackupError> {
    let none = |why: String| BackupError::NoBackup { path: from.to_owned(), why };
    let text =
        fs::read(from.join("backup.json")).map_err(|error| none(format!("backup.json cannot be read: {error}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|_| none("backup.json is not as one of this version".to_owned()))?;
    if !(1..=BACKUP_FORMAT).contains(&manifest.format) {
        let why = format!("it is of format {}, and this roomcast knows formats up to {BACKUP_FORMAT}", manifest.format);
        return Err(none(why));
    }
    Ok(manifest)
}

fn fill(from: &Path, dir: &Path, manifest: &Manifest, gone: &HashSet<SubscriptionId>) -> Result<Restored, BackupError> {
    let none = |why: String| BackupError::NoBackup { path: from.to_owned(), why };
    let read = |name: &'static str| move |source| BackupError::File { path: from.join(name), verb: "read", source };
    let mut keys = Frames::open(&from.join("keys"), KEYS_MAGIC).map_err(read("keys"))?;
    let ring = keys.next().map_err(read("keys"))?.ok_or_else(|| none("keys has no key ring".to_owned()))?;
    let written = |source| BackupError::File { path: dir.join("keyring"), verb: "written", source };
    let mut file = create(&dir.join("keyring")).map_err(written)?;
    file.write_all(&ring).and_then(|()| file.sync_all()).map_err(written)?;

    let mut slots = Slots::open(dir, false)?.slots;
    let (db, mut count, mut epoch) = (Db::open(dir)?, 0, 0);
    let mut held = Vec::new();
    while let Some(bytes) = keys.next().map_err(read("keys"))? {
        let slot = bytes.split_first_chunk::<4>().and_then(|(at, slot)| {
            let at = u32::from_be_bytes(*at);
            match slot::decode(at, slot) {
                Ok(Content::Key(slot)) => Some(slot),
                _ => None,
            }
        });
        let slot = slot.ok_or_else(|| none("keys holds something that is no key".to_owned()))?;
        count += 1;
        epoch = slot.epoch.max(epoch);
        if !gone.contains(&SubscriptionId::from_bytes(slot.binding.record)) {
            held.push(slot);
        }
        if held.len() == RUN {
            slots.put_back(&std::mem::take(&mut held)).map_err(written)?;
        }
    }
    slots.put_back(&held).map_err(written)?;
    let mut records = Frames::open(&from.join("records"), RECORDS_MAGIC).map_err(read("records"))?;
    let (mut rows, mut seen, mut restored) = (Vec::new(), 0, Restored { subscriptions: 0, removed: 0, templates: 0 });
    while let Some(bytes) = records.next().map_err(read("records"))? {
        let row =
            bytes.split_first_chunk::<16>().and_then(|(id, row)| Row::decode(SubscriptionId::from_bytes(*id), row));
        let row = row.ok_or_else(|| none("records holds something that is no subscription".to_owned()))?;
        seen += 1;
        if gone.contains(&row.id) {
            restored.removed += 1;
        } else {
            restored.subscriptions += 1;
            rows.push(row);
        }
        if rows.len() == RUN {
            db.insert(&std::mem::take(&mut rows))?;
        }
    }
    db.insert(&rows)?;
    if (seen, count) != (manifest.subscriptions, manifest.subscriptions) {
        let why =
            format!("it should hold {} subscriptions; it has {seen} records and {count} keys", manifest.subscriptions);
        return Err(none(why));
    }
    restored.templates = fill_templates(from, &db, manifest)?;
    db.engine().set_word(engine::EPOCH_WORD, &epoch.to_be_bytes())?;
    db.engine().set_word(engine::FORMAT_WORD, &[FORMAT])?;
    Ok(restored)
}

/// Brings templates back; says how many texts.
fn fill_templates(from: &Path, db: &Db, manifest: &Manifest) -> Result<usize, BackupError> {
    if manifest.format < 2 {
        return Ok(0);
    }
    let none = |why: String| BackupError::NoBackup { path: from.to_owned(), why };
    let read = |source| BackupError::File { path: from.join("templates"), verb: "read", source };
    let mut frames = Frames::open(&from.join("templates"), TEMPLATES_MAGIC).map_err(read)?;
    let mut count = 0;
    while let Some(bytes) = frames.next().map_err(read)? {
        let template = templates::from_backup(&bytes);
        db.put_template(&template.ok_or_else(|| none("templates holds something that is none".to_owned()))?)?;
        count += 1;
    }
    if count == manifest.templates {
        return Ok(count);
    }
    Err(none(format!("it should hold {} texts of templates, and has {count}", manifest.templates)))
}

/// What was removed stays removed in later restorations as well.
fn append_lists(dir: &Path, gone: &HashSet<SubscriptionId>) -> io::Result<()> {
    let path = dir.join("removed");
    let known = removed::read(&path)?;
    let more = gone.difference(&known).copied();
    removed::Removed::open(&path)?.append(more, crate::clock::Clock::System.now())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn begin(path: &Path, magic: &[u8; 16]) -> io::Result<BufWriter<File>> {
    let mut writer = BufWriter::with_capacity(1 << 20, create(path)?);
    writer.write_all(magic)?;
    Ok(writer)
}

fn end(writer: BufWriter<File>) -> io::Result<()> {
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Length 4 · CRC 4 · content.
fn frame(writer: &mut impl Write, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).map_err(io::Error::other)?;
    writer.write_all(&length.to_be_bytes())?;
    writer.write_all(&crc32fast::hash(content).to_be_bytes())?;
    writer.write_all(content)
}

struct Frames {
    reader: BufReader<File>,
}

impl Frames {
    fn open(path: &Path, magic: &[u8; 16]) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut found = [0; 16];
        reader.read_exact(&mut found)?;
        if found != *magic {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin as such a file does"));
        }
        Ok(Self { reader })
    }

    /// The next content, or nothing at the end of the file.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
        let mut head = [0; 8];
        match self.reader.read(&mut head)? {
            0 => return Ok(None),
            read => self.reader.read_exact(head.get_mut(read..).unwrap_or_default())?,
        }
        let (length, check) = head.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
        if length > FRAME_BYTES_MAX {
            return Err(broken());
        }
        let mut content = vec![0; length];
        self.reader.read_exact(&mut content)?;
        if crc32fast::hash(&content).to_be_bytes() == check { Ok(Some(content)) } else { Err(broken()) }
    }
}
