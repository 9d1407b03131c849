//! Field tables, arrays and short strings of AMQP 0-9-1, repaired in place.
//!
//! Owns which fields lapin's parser cannot take: text that is not UTF-8, and nesting that exhausts
//! the stack. A repair never changes a length.
//!
//! Not here: the fields of a method or a content header (`methods.rs`, `content.rs`).

use super::damage::Damage;

/// The maximum nesting of arrays and tables inside a table.
const DEPTH_MAX: usize = 32;

/// The replacement of each byte that is not part of a UTF-8 character.
const REPLACEMENT: u8 = b'?';

/// The type of a byte array.
const BYTE_ARRAY: u8 = b'x';

/// The unread bytes.
pub(super) struct FieldCursor<'a>(pub(super) &'a mut [u8]);

impl<'a> FieldCursor<'a> {
    /// The next `count` bytes; `None` if fewer remain.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a mut [u8]> {
        if count > self.0.len() {
            return None;
        }
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N).and_then(|bytes| (&*bytes).try_into().ok())
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A long string: a length of four bytes, then the content.
    pub(super) fn long_string(&mut self) -> Option<&'a mut [u8]> {
        let length = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(length).ok()?)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Repairs a short string. `what` names it in the report.
pub(super) fn short_string(
    rest: &mut FieldCursor<'_>,
    what: &str,
    damage: &mut Damage,
) -> Option<()> {
    let length = rest.byte()?;
    let text = rest.take(length.into())?;
    if std::str::from_utf8(text).is_err() {
        damage.not_text(what, text);
        replace_strays(text);
    }
    Some(())
}

/// Replaces each byte that is not part of a UTF-8 character.
fn replace_strays(text: &mut [u8]) {
    let mut strays = Vec::new();
    let mut at = 0;
    for chunk in text.utf8_chunks() {
        at += chunk.valid().len();
        strays.push(at..at + chunk.invalid().len());
        at += chunk.invalid().len();
    }
    for stray in strays {
        text.get_mut(stray).into_iter().flatten().for_each(|byte| *byte = REPLACEMENT);
    }
}

/// Repairs the entries of a table; `None` if one of them is unreadable.
pub(super) fn table(content: &mut [u8], depth: usize, damage: &mut Damage) -> Option<()> {
    let mut rest = FieldCursor(content);
    while !rest.is_empty() {
        entry(&mut rest, depth, damage)?;
    }
    Some(())
}

/// Repairs one entry of a table: name and value.
pub(super) fn entry(rest: &mut FieldCursor<'_>, depth: usize, damage: &mut Damage) -> Option<()> {
    short_string(rest, "the name of a header", damage)?;
    value(rest, depth, damage)
}

fn array(content: &mut [u8], depth: usize, damage: &mut Damage) -> Option<()> {
    let mut rest = FieldCursor(content);
    while !rest.is_empty() {
        value(&mut rest, depth, damage)?;
    }
    Some(())
}

/// Repairs a value. An unreadable or too deeply nested array or table becomes a byte array of the
/// same length.
fn value(rest: &mut FieldCursor<'_>, depth: usize, damage: &mut Damage) -> Option<()> {
    let kind = rest.take(1)?.first_mut()?;
    let size = match *kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | BYTE_ARRAY => return rest.long_string().map(|_| ()),
        b'A' | b'F' => {
            let content = rest.long_string()?;
            if depth >= DEPTH_MAX {
                damage.too_deep(DEPTH_MAX);
                *kind = BYTE_ARRAY;
                return Some(());
            }
            let repaired = if *kind == b'A' { array } else { table }(content, depth + 1, damage);
            if repaired.is_none() {
                damage.unreadable();
                *kind = BYTE_ARRAY;
            }
            return Some(());
        }
        _ => return None,
    };
    rest.take(size).map(|_| ())
}
