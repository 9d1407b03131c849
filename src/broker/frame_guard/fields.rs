//! Field tables, arrays and short strings of AMQP 0-9-1, mended in place. Owns what the parser behind the guard cannot
//! take: text that is not UTF-8, and nesting that exhausts a stack. It never changes a length.

use super::damage::Damage;

/// The deepest nesting of arrays and tables inside a table that passes.
pub(super) const DEPTH_MAX: usize = 32;

/// What takes the place of each byte that belongs to no character.
const REPLACEMENT: u8 = b'?';

/// The type of a value that is bytes and nothing else.
const BYTE_ARRAY: u8 = b'x';

/// Bytes that are still to be read.
pub(super) struct Rest<'a>(pub(super) &'a mut [u8]);

impl<'a> Rest<'a> {
    /// The next `count` bytes; nothing if there are fewer.
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

    /// The bytes that follow their length of four bytes.
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

/// Mends a short string; `what` names it where it is damaged.
pub(super) fn short_string(rest: &mut Rest<'_>, what: &str, damage: &mut Damage) -> Option<()> {
    let length = rest.byte()?;
    let text = rest.take(length.into())?;
    if std::str::from_utf8(text).is_err() {
        damage.not_text(what, text);
        replace_strays(text);
    }
    Some(())
}

/// Replaces each byte that belongs to no character.
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

/// Mends the entries of a table, which are names with values; nothing if one of them cannot be read.
pub(super) fn table(content: &mut [u8], depth: usize, damage: &mut Damage) -> Option<()> {
    let mut rest = Rest(content);
    while !rest.is_empty() {
        entry(&mut rest, depth, damage)?;
    }
    Some(())
}

/// Mends one entry of a table.
pub(super) fn entry(rest: &mut Rest<'_>, depth: usize, damage: &mut Damage) -> Option<()> {
    short_string(rest, "the name of a header", damage)?;
    value(rest, depth, damage)
}

fn array(content: &mut [u8], depth: usize, damage: &mut Damage) -> Option<()> {
    let mut rest = Rest(content);
    while !rest.is_empty() {
        value(&mut rest, depth, damage)?;
    }
    Some(())
}

/// Mends a value. An array or table that cannot be read, or nests too deep, becomes bytes of the same length.
fn value(rest: &mut Rest<'_>, depth: usize, damage: &mut Damage) -> Option<()> {
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
                damage.too_deep();
                *kind = BYTE_ARRAY;
                return Some(());
            }
            let mended = if *kind == b'A' { array } else { table }(content, depth + 1, damage);
            if mended.is_none() {
                damage.unreadable();
                *kind = BYTE_ARRAY;
            }
            return Some(());
        }
        _ => return None,
    };
    rest.take(size).map(|_| ())
}
