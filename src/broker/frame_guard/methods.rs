//! The methods that a server sends.
//!
//! Owns their fields, as far as they are needed to read a method to its end.
//!
//! Not here: repairing a single field (`fields.rs`).

use super::{
    damage::Damage,
    fields::{FieldCursor, short_string, table},
};

/// The kind of a method.
pub(super) enum Method {
    /// A message follows on its channel.
    Message(Damage),
    /// `connection.tune`: the server's maximum frame size in bytes; 0 if there is no limit.
    Tune { frame_max: u32 },
    /// Any other method.
    Other,
}

/// A field of a method.
#[derive(Clone, Copy)]
enum Field {
    /// A number, or flags, of this size in bytes.
    Fixed(usize),
    /// A short string that is not part of a message.
    Short,
    /// The routing key of a message.
    Key,
    /// A long string.
    Long,
    /// A table.
    Table,
}

use Field::{Fixed, Key, Long, Short, Table};

/// The fields by class and method; `None` for a method that a server does not send.
const fn fields(class: u16, method: u16) -> Option<&'static [Field]> {
    Some(match (class, method) {
        // connection
        (10, 10) => &[Fixed(2), Table, Long, Long],
        (10, 20) => &[Long],
        (10, 30) => &[Fixed(2), Fixed(4), Fixed(2)],
        (10, 41) => &[Short],
        (10, 50) => &[Fixed(2), Short, Fixed(4)],
        (10, 60) => &[Short],
        (10, 51 | 61 | 71) => &[],
        // channel
        (20, 11) => &[Long],
        (20, 20 | 21) => &[Fixed(1)],
        (20, 40) => &[Fixed(2), Short, Fixed(4)],
        (20, 41) => &[],
        // access
        (30, 11) => &[Fixed(2)],
        // exchange
        (40, 11 | 21 | 31 | 51) => &[],
        // queue
        (50, 11) => &[Short, Fixed(8)],
        (50, 31 | 41) => &[Fixed(4)],
        (50, 21 | 51) => &[],
        // basic
        (60, 11 | 111) => &[],
        (60, 21 | 31) => &[Short],
        (60, 30) => &[Short, Fixed(1)],
        (60, 50) => &[Fixed(2), Short, Short, Key],
        (60, 60) => &[Short, Fixed(9), Short, Key],
        (60, 71) => &[Fixed(9), Short, Key, Fixed(4)],
        (60, 72) => &[Short],
        (60, 80 | 120) => &[Fixed(9)],
        // confirm, tx
        (85, 11) | (90, 11 | 21 | 31) => &[],
        _ => return None,
    })
}

/// Repairs a method; `None` if it is unreadable, or a server does not send it.
pub(super) fn repair(payload: &mut [u8]) -> Option<Method> {
    let mut rest = FieldCursor(payload);
    let (class, method) = (rest.short()?, rest.short()?);
    // Damage outside a message is repaired without a report.
    let (mut damage, mut beside) = (Damage::default(), Damage::default());
    let mut frame_max = 0;
    for (place, field) in fields(class, method)?.iter().enumerate() {
        match field {
            Fixed(size) => {
                let number = rest.take(*size)?;
                if (class, method, place) == (10, 30, 1) {
                    frame_max = u32::from_be_bytes((&*number).try_into().ok()?);
                }
            }
            Short => short_string(&mut rest, "a name", &mut beside)?,
            Key => short_string(&mut rest, "the routing key", &mut damage)?,
            Long => rest.long_string().map(|_| ())?,
            Table => table(rest.long_string()?, 0, &mut beside)?,
        }
    }
    match (class, method) {
        _ if !rest.is_empty() => None,
        (60, 50 | 60 | 71) => Some(Method::Message(damage)),
        (10, 30) => Some(Method::Tune { frame_max }),
        _ => Some(Method::Other),
    }
}
