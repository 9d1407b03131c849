//! The content header of a message, which contains its properties.
//!
//! Owns three rules. A damaged header is reported in a header of its own. Properties that are
//! unreadable or do not fit into a frame are left out. A body without room is left out.
//!
//! Not here: the text of the report (`damage.rs`), the room for bodies (`bodies.rs`).

use std::ops::Range;

use super::{
    LEFT_OUT,
    bodies::BodyBudget,
    damage::Damage,
    fields::{FieldCursor, entry, short_string},
};
use crate::domain::DAMAGED;

/// The size of class, weight and body size, in bytes.
const BEFORE_FLAGS: usize = 12;

#[derive(Clone, Copy)]
enum PropertyKind {
    Text,
    Headers,
    Number(usize),
}

/// The properties in their order; the first one has the highest flag bit.
const PROPERTIES: [(&str, PropertyKind); 14] = [
    ("content_type", PropertyKind::Text),
    ("content_encoding", PropertyKind::Text),
    ("headers", PropertyKind::Headers),
    ("delivery_mode", PropertyKind::Number(1)),
    ("priority", PropertyKind::Number(1)),
    ("correlation_id", PropertyKind::Text),
    ("reply_to", PropertyKind::Text),
    ("expiration", PropertyKind::Text),
    ("message_id", PropertyKind::Text),
    ("timestamp", PropertyKind::Number(8)),
    ("type", PropertyKind::Text),
    ("user_id", PropertyKind::Text),
    ("app_id", PropertyKind::Text),
    ("cluster_id", PropertyKind::Text),
];

const HEADERS_PLACE: usize = 2;

const fn flag(place: usize) -> u16 {
    0x8000 >> place
}

/// The readable properties of a message.
#[derive(Default)]
struct Layout {
    /// Positions in [`PROPERTIES`] with ranges of bytes.
    found: Vec<(usize, Range<usize>)>,
}

/// The limits of one message.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    /// The maximum size of a content header, in bytes.
    pub(super) header: usize,
    /// The channel of the message.
    pub(super) channel: u16,
    /// The room for its body.
    pub(super) bodies: &'a BodyBudget,
}

/// The result for a content header.
#[derive(Default)]
pub(super) struct RepairedHeader {
    /// The new payload, if it was changed.
    pub(super) rebuilt: Option<Vec<u8>>,
    /// The number of body bytes that follow and must not pass.
    pub(super) left_out: u64,
}

/// Repairs the content header of a message; `damage` is that of its method. `None` if it is too
/// short.
pub(super) fn repair(
    payload: &mut [u8],
    mut damage: Damage,
    limits: Limits<'_>,
) -> Option<RepairedHeader> {
    let size = payload.len();
    let layout = read(payload, &mut damage)?;
    if size > limits.header {
        damage.add(format!(
            "the properties have {size} bytes, more than the {} of a frame",
            limits.header
        ));
    }
    let [_, _, _, _, body_size @ ..] = payload.first_chunk_mut::<BEFORE_FLAGS>()?;
    let body = u64::from_be_bytes(*body_size);
    let mut marks = Vec::new();
    if !damage.is_none() {
        marks.extend(mark(DAMAGED, &damage.sentence()));
    }
    let mut left_out = 0;
    if let Err(says) = limits.bodies.admit(limits.channel, body) {
        (*body_size, left_out) = ([0; 8], body);
        marks.extend(mark(LEFT_OUT, &says));
    }
    Some(RepairedHeader {
        rebuilt: (!marks.is_empty()).then(|| rebuild(payload, &layout, &marks, limits.header)),
        left_out,
    })
}

fn read(payload: &mut [u8], damage: &mut Damage) -> Option<Layout> {
    let size = payload.len();
    let mut rest = FieldCursor(payload);
    rest.take(BEFORE_FLAGS)?;
    let flags = rest.short()?;
    let mut layout = Layout::default();
    for (place, (name, kind)) in
        PROPERTIES.iter().enumerate().filter(|(place, _)| flags & flag(*place) != 0)
    {
        let from = size - rest.len();
        let repaired = match kind {
            PropertyKind::Text => short_string(&mut rest, name, damage),
            PropertyKind::Headers => headers(&mut rest, damage),
            PropertyKind::Number(size) => rest.take(*size).map(|_| ()),
        };
        if repaired.is_none() {
            damage.add(format!("the properties cannot be read from {name} on"));
            return Some(layout);
        }
        layout.found.push((place, from..size - rest.len()));
    }
    if !rest.is_empty() {
        damage.add(format!("{} bytes follow the properties", rest.len()));
    }
    Some(layout)
}

/// Repairs the readable part of the header table.
fn headers(rest: &mut FieldCursor<'_>, damage: &mut Damage) -> Option<()> {
    let content = rest.long_string()?;
    let size = content.len();
    let mut rest = FieldCursor(content);
    while !rest.is_empty() {
        let from = size - rest.len();
        if entry(&mut rest, 0, damage).is_none() {
            damage.add(format!("the headers cannot be read from byte {from} on"));
            break;
        }
    }
    Some(())
}

/// Rebuilds the content header with the entries `marks` in its table.
fn rebuild(payload: &[u8], layout: &Layout, marks: &[u8], size_max: usize) -> Vec<u8> {
    let headers = layout
        .found
        .iter()
        .find(|(place, _)| *place == HEADERS_PLACE)
        .map(|(_, range)| range.clone());
    let others = layout.found.iter().filter(|(place, _)| *place != HEADERS_PLACE);
    let taken: usize = others.map(|(_, range)| range.len()).sum();
    let room = size_max.saturating_sub(BEFORE_FLAGS + 2 + taken + 4 + marks.len());
    let mut table = headers.map(|range| fitting(payload, range, room)).unwrap_or_default();
    table.extend(marks);

    let flags =
        layout.found.iter().fold(flag(HEADERS_PLACE), |flags, (place, _)| flags | flag(*place));
    let mut rebuilt = payload.get(..BEFORE_FLAGS).unwrap_or_default().to_vec();
    rebuilt.extend(flags.to_be_bytes());
    let before = layout.found.iter().filter(|(place, _)| *place < HEADERS_PLACE);
    let after = layout.found.iter().filter(|(place, _)| *place > HEADERS_PLACE);
    before.for_each(|(_, range)| {
        rebuilt.extend_from_slice(payload.get(range.clone()).unwrap_or_default())
    });
    rebuilt.extend(length(table.len()));
    rebuilt.extend(table);
    after.for_each(|(_, range)| {
        rebuilt.extend_from_slice(payload.get(range.clone()).unwrap_or_default())
    });
    rebuilt
}

/// A header of ours, encoded as an entry of a table.
fn mark(name: &str, says: &str) -> Vec<u8> {
    let mut mark = vec![u8::try_from(name.len()).unwrap_or_default()];
    mark.extend(name.as_bytes());
    mark.push(b'S');
    mark.extend(length(says.len()));
    mark.extend(says.as_bytes());
    mark
}

fn length(count: usize) -> [u8; 4] {
    u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes()
}

/// The readable entries of a table that fit into `room` bytes. The largest are left out first.
fn fitting(payload: &[u8], table: Range<usize>, room: usize) -> Vec<u8> {
    let content = payload.get(table).and_then(|table| table.get(4..)).unwrap_or_default();
    let (mut walked, mut known) = (content.to_vec(), Damage::default());
    let mut rest = FieldCursor(&mut walked);
    let mut entries = Vec::new();
    loop {
        let from = content.len() - rest.len();
        if rest.is_empty() || entry(&mut rest, 0, &mut known).is_none() {
            break;
        }
        entries.push(from..content.len() - rest.len());
    }
    entries.sort_by_key(Range::len);
    let mut total: usize = entries.iter().map(Range::len).sum();
    while total > room {
        let Some(largest) = entries.pop() else { break };
        total -= largest.len();
    }
    entries.sort_by_key(|entry| entry.start);
    entries.into_iter().filter_map(|entry| content.get(entry)).flatten().copied().collect()
}
