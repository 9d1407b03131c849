//! Searches every file of a store for a subscription, and states what the result proves.
//!
//! It needs no key and reads the raw files, so a daemon may run meanwhile.
//!
//! Owns the rule when a missing key is a proof. The store must be whole, and its own list must name
//! the id as removed. A link, a missing file or the wrong folder contain no key either.
//!
//! Not here: the erasure itself (`write.rs`, `key_slots.rs`).

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    StoreError,
    key_slot::{KeySlotContent, SLOT_BYTES, decode},
    key_slots::KeySlots,
    keyring::Keyring,
    raw_file, tombstones,
};
use crate::domain::SubscriptionId;

/// The size of the blocks in which a file is read, in bytes.
const WINDOW: usize = 4 * 1024 * 1024;
/// The offset of the record's id in a slot, in bytes.
const ID_AT: usize = 8;

/// The places that still name a subscription.
#[derive(Debug, Default)]
pub struct Residue {
    /// Keys that open its record, in its own slot or in a copy of one.
    pub keys: Vec<ResidueLocation>,
    /// Slots that state that its key was overwritten.
    pub erased: Vec<ResidueLocation>,
    /// The number of other places with its id, for each file. Their content is sealed, or is an
    /// index.
    pub named: Vec<(PathBuf, usize)>,
    /// The number of files read.
    pub files: usize,
    /// The name of the file system, if it may keep old versions of overwritten blocks.
    pub keeps_old: Option<&'static str>,
    /// The statement of the store about the id.
    pub record: RecordState,
}

/// The statement of a store about an id whose key it does not have.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum RecordState {
    /// The folder does not contain a store.
    #[default]
    NoStore,
    /// The store is not whole, for the given reason. So a missing key proves nothing.
    NotWhole(String),
    /// The store is whole and does not mention the id.
    Nothing,
    /// The store is whole, and its list names the id as removed. An erased slot is not enough,
    /// because an update leaves one too.
    Removed,
}

/// The conclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof<'a> {
    /// A key exists that opens the subscription.
    Kept,
    /// The subscription was removed, and no key exists that opens it.
    Erased,
    /// The store does not know the id. Perhaps the subscription was never in it.
    Unknown,
    /// The store is not whole, for the given reason. Nothing is proven.
    NotWhole(&'a str),
}

impl Residue {
    /// The conclusion from the traces.
    #[must_use]
    pub fn proof(&self) -> Proof<'_> {
        match &self.record {
            _ if !self.keys.is_empty() => Proof::Kept,
            RecordState::NotWhole(why) => Proof::NotWhole(why),
            RecordState::NoStore | RecordState::Nothing => Proof::Unknown,
            RecordState::Removed => Proof::Erased,
        }
    }
}

/// A place in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct ResidueLocation {
    /// The file.
    pub file: PathBuf,
    /// The offset of the slot, in bytes.
    pub offset: u64,
}

/// Searches every file below `dir`.
pub fn traces(dir: &Path, id: SubscriptionId) -> io::Result<Residue> {
    let mut traces = Residue { keeps_old: keeps_old(dir), ..Residue::default() };
    // An id is on the list only after its slot was overwritten, and it never gets a key again. So
    // the list is read first: its ids stay without a key throughout the search.
    let listed = tombstones::read(&dir.join("removed"));
    let (mut folders, mut elsewhere) = (vec![dir.to_owned()], None);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                match look(&path, id, &mut traces) {
                    // sled and the ledger delete files at any time.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    looked => looked?,
                }
            } else if kind.is_symlink() {
                elsewhere.get_or_insert(path);
            }
        }
    }
    traces.record = match (not_whole(dir, elsewhere.as_deref())?, listed) {
        (Some(record), _) => record,
        (None, Ok(listed)) if listed.contains(&id) => RecordState::Removed,
        (None, Ok(_)) => RecordState::Nothing,
        (None, Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            RecordState::NotWhole(format!("the file removed: {error}"))
        }
        (None, Err(error)) => return Err(error),
    };
    Ok(traces)
}

/// Why a missing key would prove nothing in this folder, or `None` if the store is whole.
fn not_whole(dir: &Path, elsewhere: Option<&Path>) -> io::Result<Option<RecordState>> {
    let because = |why: String| Ok(Some(RecordState::NotWhole(why)));
    if let Some(path) = elsewhere {
        // A link may lead to another disk or to another store.
        return because(format!(
            "{} is a symbolic link, and its target was not searched",
            path.display()
        ));
    }
    let parts = ["keyring", "slots", "removed", "db"];
    let missing: Vec<_> =
        parts.into_iter().filter(|name| fs::symlink_metadata(dir.join(name)).is_err()).collect();
    if missing.len() == parts.len() {
        return Ok(Some(RecordState::NoStore));
    }
    if !missing.is_empty() {
        return because(format!("{} is missing", missing.join(", ")));
    }
    match Keyring::is_whole(dir).and_then(|()| KeySlots::check(dir)) {
        Ok(()) => Ok(None),
        Err(StoreError::Damaged { what, .. }) => because(what),
        Err(StoreError::Disk { source, .. }) => Err(source),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn look(path: &Path, id: SubscriptionId, traces: &mut Residue) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = raw_file::open(path)?;
    traces.files += 1;
    let length = file.metadata()?.len();
    let (raw, text) = (id.as_bytes().as_slice(), id.to_string());
    let (mut at, mut named) = (0_u64, 0);
    let mut buffer = vec![0; WINDOW + SLOT_BYTES];
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(buffer.len());
        let Some(window) = buffer.get_mut(..wanted) else { break };
        file.read_exact_at(window, at)?;
        for needle in [raw, text.as_bytes()] {
            // A match in the last bytes of a block is found in the next block.
            for found in find(window, needle).take_while(|found| *found < WINDOW) {
                match slot_around(&file, at + found as u64, length) {
                    Some((offset, KeySlotContent::Key(_))) => {
                        traces.keys.push(ResidueLocation { file: path.to_owned(), offset })
                    }
                    Some((offset, KeySlotContent::Erased { .. })) => {
                        traces.erased.push(ResidueLocation { file: path.to_owned(), offset })
                    }
                    _ => named += 1,
                }
            }
        }
        at += WINDOW as u64;
    }
    if named > 0 {
        traces.named.push((path.to_owned(), named));
    }
    Ok(())
}

/// The slot, or the copy of one, that contains the id at this offset.
fn slot_around(file: &File, found: u64, length: u64) -> Option<(u64, KeySlotContent)> {
    use std::os::unix::fs::FileExt;
    let offset = found.checked_sub(ID_AT as u64)?;
    let mut bytes = [0; SLOT_BYTES];
    (offset + SLOT_BYTES as u64 <= length)
        .then(|| file.read_exact_at(&mut bytes, offset).ok())??;
    match decode(0, &bytes) {
        Ok(KeySlotContent::Empty) | Err(_) => None,
        Ok(content) => Some((offset, content)),
    }
}

fn find<'a>(window: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = needle.first().copied().unwrap_or_default();
    let starts =
        window.iter().enumerate().filter(move |(_, byte)| **byte == first).map(|(at, _)| at);
    starts.filter(move |at| window.get(*at..).is_some_and(|rest| rest.starts_with(needle)))
}

/// File systems that write a changed block to another place, by the kernel's magic number.
fn keeps_old(dir: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(dir).ok()?.f_type;
    match u32::try_from(kind).ok()? {
        0x9123_683e => Some("btrfs"),
        0x2fc1_2fc1 => Some("zfs"),
        0xca45_1a4e => Some("bcachefs"),
        0x3434 => Some("nilfs"),
        0xf2f5_2010 => Some("f2fs"),
        0x6969 => Some("nfs"),
        0x6573_5546 => Some("fuse"),
        _ => None,
    }
}
