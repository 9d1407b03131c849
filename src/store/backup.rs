//! Backups: the content of the store in plain files that do not depend on sled, and stores made
//! from them.
//!
//! - `records`: the sealed row of every subscription; worthless without `keys`.
//! - `keys`: the key ring and the slot of every subscription; worthless without the master key.
//! - `removed`: the ids that were removed before the backup.
//! - `templates`: every template in the clear; missing in backups of format 1.
//! - `backup.json`: the format and the counts; written last, so a folder without it is not a
//!   backup.
//!
//! Owns the format of these files, and that a restored store contains no subscription that was
//! removed after the backup.
//!
//! Not here: the frames in them (`backup_file.rs`), the format of rows, slots and templates
//! (`row.rs`, `key_slot.rs`, `templates.rs`).

use std::{
    collections::HashSet,
    fs::{self, DirBuilder},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    ListCursor, StoreError, StoreRefusal, StoreSettings,
    backup_file::{Frames, begin, create, end, frame},
    db::Db,
    engine,
    key_slot::{self, KeySlot, KeySlotContent},
    key_slots::{KeySlots, RUN},
    lock::{self, sync_folder},
    open::{FORMAT, UNVERIFIED},
    row::SubscriptionRow,
    subscriptions::Store,
    templates, tombstones,
};
use crate::domain::{SubscriptionId, Timestamp};

const RECORDS_MAGIC: &[u8; 16] = b"roomcast records";
const KEYS_MAGIC: &[u8; 16] = b"roomcast keys  1";
const TEMPLATES_MAGIC: &[u8; 16] = b"roomcast tmpls 1";
/// The backup format that is written. Format 1 has no templates.
const BACKUP_FORMAT: u8 = 2;

/// The description of a backup: its `backup.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The format of the backup.
    pub format: u8,
    /// The number of subscriptions in the backup.
    pub subscriptions: usize,
    /// The number of template texts in the backup. Zero for a backup of format 1.
    #[serde(default)]
    pub templates: usize,
    /// The id of the master key that opens the backup.
    pub key: String,
}

/// The result of a restoration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The number of subscriptions in the new store.
    pub subscriptions: usize,
    /// The number of subscriptions left out because they were removed after the backup.
    pub removed: usize,
    /// The number of template texts in the new store.
    pub templates: usize,
}

/// Why a backup, or a restoration from one, failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder exists already.
    #[error("{0} exists already and is left as it is: name a folder that does not exist")]
    Exists(PathBuf),
    /// The folder does not contain a whole backup.
    #[error("{path} holds no whole backup: {why}")]
    NoBackup {
        /// The folder.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A rotation of the master key is in progress.
    #[error(
        "the master key is being rotated: \
         make the backup when `roomcast key status` says that it is done"
    )]
    Rotating,
    /// A file cannot be read or written.
    #[error("{path} cannot be {verb}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Writes a backup into a new folder; durable when it returns.
    ///
    /// Reads and changes go on meanwhile. Each subscription is in the backup as it was at some
    /// moment while the backup ran. Blocks on the disk, for seconds to minutes.
    ///
    /// # Errors
    ///
    /// [`BackupError::Exists`] if the folder exists, [`BackupError::Rotating`] during a rotation of
    /// the master key.
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
        let (mut after, mut subscriptions): (Option<ListCursor>, _) = (None, 0);
        loop {
            let pairs = self.0.pairs(after.as_ref())?;
            let Some((last, _)) = pairs.last() else { break };
            after = Some(ListCursor::of(last));
            for (row, slot) in &pairs {
                let Some(slot) = slot else { continue };
                subscriptions += 1;
                frame(&mut records, &[row.id.as_bytes(), row.encode().as_slice()].concat())
                    .map_err(written)?;
                let number = slot.binding.slot.to_be_bytes();
                frame(&mut keys, &[number.as_slice(), &key_slot::encode(slot)].concat())
                    .map_err(written)?;
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
        let manifest =
            Manifest { format: BACKUP_FORMAT, subscriptions, templates: templates.len(), key };
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| written(error.into()))?;
        let mut file = create(&to.join("backup.json")).map_err(written)?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_folder(to))
            .map_err(written)?;
        Ok(manifest)
    }

    /// The id of the only valid master key; an error during a rotation.
    fn one_key(&self) -> Result<String, BackupError> {
        let status = self.key_status();
        if status.old.is_some() {
            Err(BackupError::Rotating)
        } else {
            Ok(status.current.to_string())
        }
    }
}

impl super::subscriptions::StoreInner {
    /// Up to [`RUN`] rows with their slots, read while no change runs.
    fn pairs(
        &self,
        after: Option<&ListCursor>,
    ) -> Result<Vec<(SubscriptionRow, Option<KeySlot>)>, StoreError> {
        let _nobody_changes_them = self.writer();
        let rows = self.db.all(after, RUN)?;
        let pair = |row: SubscriptionRow| {
            let slot = self.table.find(&row.binding()).map_err(|source| match source.kind() {
                io::ErrorKind::Other => StoreError::Refused(StoreRefusal::DamagedRecord {
                    id: row.id,
                    what: source.to_string(),
                }),
                _ => self.unread(source),
            })?;
            Ok((row, slot))
        };
        rows.into_iter().map(pair).collect()
    }
}

/// The manifest of a backup, if a store can be made from it here. Changes nothing.
pub fn restorable(from: &Path, settings: &StoreSettings) -> Result<Manifest, BackupError> {
    let manifest = manifest(from)?;
    let dir = &settings.dir;
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(BackupError::Exists(dir.clone()));
    }
    Ok(manifest)
}

/// Makes a new store from a backup. Blocks on the disk.
///
/// `lists` are files `removed` of stores or backups; a subscription that one of them names is left
/// out. The store's folder must be missing or empty. The next start checks every row and slot.
pub fn restore(
    from: &Path,
    settings: &StoreSettings,
    lists: &[PathBuf],
    now: Timestamp,
) -> Result<Restored, BackupError> {
    let manifest = restorable(from, settings)?;
    let dir = &settings.dir;
    let mut gone = HashSet::new();
    for list in lists.iter().chain([&from.join("removed")]) {
        let read = tombstones::read(list);
        gone.extend(read.map_err(|source| BackupError::File {
            path: list.clone(),
            verb: "read",
            source,
        })?);
    }
    // The folder gets its final name only when it is whole, so a crash leaves no partial store
    // behind.
    let new = StoreSettings::at(with_ending(dir, ".restoring"));
    let written = |source| BackupError::File { path: new.dir.clone(), verb: "written", source };
    match fs::remove_dir_all(&new.dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(written(error)),
        _ => {}
    }
    let lock = lock::take(&new.dir)?;
    let restored = fill(from, &new.dir, &manifest, &gone)?;
    fs::copy(from.join("removed"), new.dir.join("removed")).map_err(written)?;
    append_lists(&new.dir, &gone, now).map_err(written)?;
    create(&new.dir.join(UNVERIFIED)).and_then(|file| file.sync_all()).map_err(written)?;
    sync_folder(&new.dir).map_err(written)?;
    drop(lock);
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(written(error)),
        _ => {}
    }
    let parent =
        dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(&new.dir, dir).and_then(|()| sync_folder(parent)).map_err(written)?;
    Ok(restored)
}

/// Reads and checks `backup.json`.
fn manifest(from: &Path) -> Result<Manifest, BackupError> {
    let none = |why: String| BackupError::NoBackup { path: from.to_owned(), why };
    let text = fs::read(from.join("backup.json"))
        .map_err(|error| none(format!("backup.json cannot be read: {error}")))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|_| none("backup.json is not as one of this version".to_owned()))?;
    if !(1..=BACKUP_FORMAT).contains(&manifest.format) {
        let why = format!(
            "it is of format {}, and this roomcast knows formats up to {BACKUP_FORMAT}",
            manifest.format
        );
        return Err(none(why));
    }
    Ok(manifest)
}

fn fill(
    from: &Path,
    dir: &Path,
    manifest: &Manifest,
    gone: &HashSet<SubscriptionId>,
) -> Result<Restored, BackupError> {
    let none = |why: String| BackupError::NoBackup { path: from.to_owned(), why };
    let read = |name: &'static str| {
        move |source| BackupError::File { path: from.join(name), verb: "read", source }
    };
    let mut keys = Frames::open(&from.join("keys"), KEYS_MAGIC).map_err(read("keys"))?;
    let ring = keys
        .next()
        .map_err(read("keys"))?
        .ok_or_else(|| none("keys has no key ring".to_owned()))?;
    let written = |source| BackupError::File { path: dir.join("keyring"), verb: "written", source };
    let mut file = create(&dir.join("keyring")).map_err(written)?;
    file.write_all(&ring).and_then(|()| file.sync_all()).map_err(written)?;

    let mut slots = KeySlots::open(dir, false)?.slots;
    let (db, mut count, mut epoch) = (Db::open(dir)?, 0, 0);
    let mut held = Vec::new();
    while let Some(bytes) = keys.next().map_err(read("keys"))? {
        let slot = bytes.split_first_chunk::<4>().and_then(|(at, slot)| {
            let at = u32::from_be_bytes(*at);
            match key_slot::decode(at, slot) {
                Ok(KeySlotContent::Key(slot)) => Some(slot),
                _ => None,
            }
        });
        let slot =
            slot.ok_or_else(|| none("keys contains an entry that is not a key".to_owned()))?;
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
    let mut records =
        Frames::open(&from.join("records"), RECORDS_MAGIC).map_err(read("records"))?;
    let (mut rows, mut seen, mut restored) =
        (Vec::new(), 0, Restored { subscriptions: 0, removed: 0, templates: 0 });
    while let Some(bytes) = records.next().map_err(read("records"))? {
        let row = bytes
            .split_first_chunk::<16>()
            .and_then(|(id, row)| SubscriptionRow::decode(SubscriptionId::from_bytes(*id), row));
        let row = row.ok_or_else(|| {
            none("records contains an entry that is not a subscription".to_owned())
        })?;
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
        let why = format!(
            "it should hold {} subscriptions; it has {seen} records and {count} keys",
            manifest.subscriptions
        );
        return Err(none(why));
    }
    restored.templates = fill_templates(from, &db, manifest)?;
    db.engine().set_word(engine::EPOCH_WORD, &epoch.to_be_bytes())?;
    db.engine().set_word(engine::FORMAT_WORD, &[FORMAT])?;
    Ok(restored)
}

/// Restores the templates and returns the number of texts.
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
        db.put_template(
            &template.ok_or_else(|| none("templates holds something that is none".to_owned()))?,
        )?;
        count += 1;
    }
    if count == manifest.templates {
        return Ok(count);
    }
    Err(none(format!("it should hold {} texts of templates, and has {count}", manifest.templates)))
}

/// Appends the removed ids to the new store's list, so that later restorations leave them out too.
fn append_lists(dir: &Path, gone: &HashSet<SubscriptionId>, now: Timestamp) -> io::Result<()> {
    let path = dir.join("removed");
    let known = tombstones::read(&path)?;
    let more = gone.difference(&known).copied();
    tombstones::Tombstones::open(&path)?.append(more, now)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
