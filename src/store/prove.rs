//! Looks for what is left of a subscription in every file of a store, and says what it is. Needs no key, and reads the files as they are, so a
//! daemon may run meanwhile.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::slot::{Content, SLOT_BYTES, decode};
use crate::domain::SubscriptionId;

/// Of how many bytes a file is looked at at a time.
const WINDOW: usize = 4 * 1024 * 1024;
/// How far into a slot the record's id stands.
const ID_AT: usize = 8;

/// What is left of a subscription.
#[derive(Debug, Default)]
pub struct Traces {
    /// Keys that open it, in its own slot or in a copy of one.
    pub keys: Vec<Trace>,
    /// Slots that say that its key was overwritten.
    pub erased: Vec<Trace>,
    /// Other places that name it. What lies there is sealed, or is the index.
    pub named: Vec<(PathBuf, usize)>,
    /// How many files were looked at.
    pub files: usize,
    /// Whether the file system may keep old versions of what is overwritten, and which one it is.
    pub keeps_old: Option<&'static str>,
}

/// One place in a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    /// The file.
    pub file: PathBuf,
    /// The slot's first byte in it.
    pub offset: u64,
}

/// Looks through every file below `dir`.
pub fn traces(dir: &Path, id: SubscriptionId) -> io::Result<Traces> {
    let mut traces = Traces { keeps_old: keeps_old(dir), ..Traces::default() };
    let mut folders = vec![dir.to_owned()];
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
            }
        }
    }
    Ok(traces)
}

fn look(path: &Path, id: SubscriptionId, traces: &mut Traces) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = fs::File::open(path)?;
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
            // What begins in the last bytes of a window is found in the next.
            for found in find(window, needle).take_while(|found| *found < WINDOW) {
                match slot_around(&file, at + found as u64, length) {
                    Some((offset, Content::Key(_))) => traces.keys.push(Trace { file: path.to_owned(), offset }),
                    Some((offset, Content::Erased { .. })) => {
                        traces.erased.push(Trace { file: path.to_owned(), offset })
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

/// The slot, or the copy of one, in which an id at that place stands.
fn slot_around(file: &fs::File, found: u64, length: u64) -> Option<(u64, Content)> {
    use std::os::unix::fs::FileExt;
    let offset = found.checked_sub(ID_AT as u64)?;
    let mut bytes = [0; SLOT_BYTES];
    (offset + SLOT_BYTES as u64 <= length).then(|| file.read_exact_at(&mut bytes, offset).ok())??;
    match decode(0, &bytes) {
        Ok(Content::Empty) | Err(_) => None,
        Ok(content) => Some((offset, content)),
    }
}

fn find<'a>(window: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = needle.first().copied().unwrap_or_default();
    let starts = window.iter().enumerate().filter(move |(_, byte)| **byte == first).map(|(at, _)| at);
    starts.filter(move |at| window.get(*at..).is_some_and(|rest| rest.starts_with(needle)))
}

/// File systems that write what is overwritten to another place, by the number that the kernel gives them.
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
