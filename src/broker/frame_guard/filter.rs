//! A filter of the stream of frames: its input is what a broker sends, its output what lapin can
//! parse. Pure.
//!
//! Methods and content headers are buffered until they are whole; bodies pass at once. Frames may
//! be split anywhere.
//!
//! Owns the rule that no byte passes after a frame that a broker never sends.
//!
//! Not here: repairing a frame (`methods.rs`, `content.rs`), the socket (`transport.rs`).

use std::{collections::HashMap, sync::Arc};

use super::{
    bodies::BodyBudget,
    content::{self, Limits},
    damage::Damage,
    methods::{self, Method},
};

/// The size of a frame's head: type 1 byte, channel 2, payload size 4.
const FRAME_HEAD: usize = 7;

/// The byte after each payload.
const FRAME_END: u8 = 0xCE;

/// The size of a frame without its payload.
const FRAME_OVERHEAD: usize = FRAME_HEAD + 1;

/// The minimum that AMQP allows for the maximum frame size, in bytes.
const FRAME_MAX_MIN: u32 = 4096;

/// The maximum size of a buffered method or content header, in bytes. The agreed frame size is far
/// below it.
const WHOLE_MAX: usize = 16 * 1024 * 1024;

/// The size of the header with which a server of another protocol version answers before it closes.
const PROTOCOL_HEADER: usize = 8;

/// Why the stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenFrame {
    /// The frame type is unknown.
    #[error("the broker sent a frame of the unknown type {0}")]
    Type(u8),
    /// The end byte is missing.
    #[error("the broker sent a frame without its end")]
    End,
    /// The method or content header is larger than the filter buffers.
    #[error("the broker sent a method or content header of {0} bytes")]
    Size(usize),
    /// The method is unreadable, or one that no server sends.
    #[error("the broker sent a method that cannot be read")]
    Method,
    /// The content header lacks its fixed fields.
    #[error("the broker sent a content header that is too short")]
    Content,
    /// The server speaks another protocol.
    #[error("the broker does not speak AMQP 0-9-1")]
    Protocol,
}

/// The part of a frame that the filter expects.
#[derive(Clone, Copy)]
enum Expected {
    /// The first bytes of a frame, up to this number.
    Head(usize),
    /// A whole method or content header of this size.
    Whole(usize),
    /// The bytes `left` of a body and the end of its frame; `passes` says whether they pass.
    Body { left: u64, passes: bool },
}

/// Passes frames on, and repairs those that the parser would reject.
pub struct FrameFilter {
    expected: Expected,
    frame: Vec<u8>,
    /// The maximum frame size in bytes; 0 until one is agreed.
    frame_max: u32,
    /// The damage of the method whose content header comes next, by channel.
    methods: HashMap<u16, Damage>,
    /// The room for bodies.
    bodies: Arc<BodyBudget>,
    /// The number of bytes still to come of a body that is left out, by channel.
    left_out: HashMap<u16, u64>,
    /// The channel on which the next body must wait for room.
    stopped: Option<u16>,
    /// The bytes after its content header.
    rest: Vec<u8>,
}

impl FrameFilter {
    /// A filter for a connection that asks for frames of at most `frame_max` bytes; 0 leaves it to
    /// the broker.
    #[must_use]
    pub fn new(frame_max: u32) -> Self {
        Self {
            expected: Expected::Head(FRAME_HEAD),
            frame: Vec::new(),
            frame_max,
            methods: HashMap::new(),
            bodies: BodyBudget::all(),
            left_out: HashMap::new(),
            stopped: None,
            rest: Vec::new(),
        }
    }

    /// The same, but a body without room in `bodies` is left out. Its message passes with an empty
    /// body and the header `x-roomcast-body-left-out`.
    #[must_use]
    pub fn with_room(mut self, bodies: Arc<BodyBudget>) -> Self {
        self.bodies = bodies;
        self
    }

    /// The channel on which the next body must wait for room; nothing passes meanwhile.
    pub(super) const fn stopped(&self) -> Option<u16> {
        self.stopped
    }

    /// Continues after the room for a body became free.
    ///
    /// # Errors
    ///
    /// As [`FrameFilter::pass`].
    pub(super) fn go_on(&mut self, out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        let rest = std::mem::take(&mut self.rest);
        if self.stopped.take().is_some() {
            self.whole(out)?;
        }
        self.pass(&rest, out)
    }

    /// Processes the next bytes of the stream, and appends the passing bytes to `out`.
    ///
    /// # Errors
    ///
    /// [`BrokenFrame`] for a frame that a broker never sends; nothing passes afterwards.
    pub fn pass(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        while !input.is_empty() {
            if self.stopped.is_some() {
                self.rest.extend_from_slice(input);
                return Ok(());
            }
            let wanted = match self.expected {
                Expected::Head(size) | Expected::Whole(size) => size - self.frame.len(),
                Expected::Body { left, .. } => usize::try_from(left + 1).unwrap_or(usize::MAX),
            };
            let (taken, rest) = input.split_at(wanted.min(input.len()));
            input = rest;
            if let Expected::Body { left, passes } = self.expected {
                self.body(left, taken)?;
                if passes {
                    out.extend_from_slice(taken);
                }
                continue;
            }
            self.frame.extend_from_slice(taken);
            match self.expected {
                _ if taken.len() < wanted => self.begun()?,
                Expected::Head(_) => self.head(out)?,
                _ => {
                    self.stopped = self.without_room();
                    if self.stopped.is_none() {
                        self.whole(out)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn body(&mut self, left: u64, taken: &[u8]) -> Result<(), BrokenFrame> {
        let count = u64::try_from(taken.len()).unwrap_or(u64::MAX);
        if count > left {
            if taken.last() != Some(&FRAME_END) {
                return Err(BrokenFrame::End);
            }
            self.expected = Expected::Head(FRAME_HEAD);
        } else {
            if let Expected::Body { left, .. } = &mut self.expected {
                *left -= count;
            }
        }
        Ok(())
    }

    /// Checks the first bytes of an incomplete frame, to tell a truncated stream from a wrong
    /// protocol.
    fn begun(&mut self) -> Result<(), BrokenFrame> {
        match (self.expected, self.frame.first()) {
            (Expected::Head(_), Some(b'A')) => self.protocol(),
            _ => Ok(()),
        }
    }

    fn protocol(&mut self) -> Result<(), BrokenFrame> {
        self.expected = Expected::Head(PROTOCOL_HEADER);
        let known = b"AMQP\0";
        let same = self.frame.iter().zip(known).all(|(found, known)| found == known);
        if same { Ok(()) } else { Err(BrokenFrame::Protocol) }
    }

    /// Processes the complete head of a frame.
    fn head(&mut self, out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        let Some([kind, high, low, size @ ..]) = self.frame.first_chunk::<FRAME_HEAD>() else {
            return Ok(());
        };
        let channel = u16::from_be_bytes([*high, *low]);
        let size = u32::from_be_bytes(*size);
        match *kind {
            b'A' if self.frame.len() < PROTOCOL_HEADER => return self.protocol(),
            b'A' => {
                self.protocol()?;
                self.expected = Expected::Head(FRAME_HEAD);
                out.append(&mut self.frame);
            }
            1 | 2 => {
                let all =
                    usize::try_from(size).unwrap_or(usize::MAX).saturating_add(FRAME_OVERHEAD);
                if all > WHOLE_MAX {
                    return Err(BrokenFrame::Size(all));
                }
                self.expected = Expected::Whole(all);
            }
            3 | 8 => {
                let left_out = self.left_out.get_mut(&channel).filter(|_| *kind == 3);
                let passes = left_out.is_none();
                if let Some(to_come) = left_out {
                    *to_come = to_come.saturating_sub(size.into());
                    if *to_come == 0 {
                        self.left_out.remove(&channel);
                    }
                }
                self.expected = Expected::Body { left: size.into(), passes };
                if passes {
                    out.append(&mut self.frame);
                }
                self.frame.clear();
            }
            other => return Err(BrokenFrame::Type(other)),
        }
        Ok(())
    }

    /// The channel of a complete content header whose body must wait for room.
    fn without_room(&self) -> Option<u16> {
        let [2, high, low, ..] = *self.frame.first_chunk::<FRAME_HEAD>()? else { return None };
        let channel = u16::from_be_bytes([high, low]);
        (!self.bodies.reads_on(channel)).then_some(channel)
    }

    /// Processes a complete method or content header.
    fn whole(&mut self, out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        self.expected = Expected::Head(FRAME_HEAD);
        let [kind, high, low, _, _, _, _, payload @ .., end] = &mut self.frame[..] else {
            return Ok(());
        };
        if *end != FRAME_END {
            return Err(BrokenFrame::End);
        }
        let channel = u16::from_be_bytes([*high, *low]);
        if *kind == 1 {
            match methods::repair(payload).ok_or(BrokenFrame::Method)? {
                Method::Message(damage) if damage.is_none() => self.methods.remove(&channel),
                Method::Message(damage) => self.methods.insert(channel, damage),
                Method::Tune { frame_max } => {
                    self.frame_max = agreed(self.frame_max, frame_max);
                    None
                }
                Method::Other => None,
            };
        } else {
            let damage = self.methods.remove(&channel).unwrap_or_default();
            let header = match usize::try_from(self.frame_max) {
                Ok(0) | Err(_) => usize::MAX,
                Ok(frame_max) => frame_max.saturating_sub(FRAME_OVERHEAD),
            };
            let limits = Limits { header, channel, bodies: &self.bodies };
            let repaired = content::repair(payload, damage, limits).ok_or(BrokenFrame::Content)?;
            if repaired.left_out > 0 {
                self.left_out.insert(channel, repaired.left_out);
            }
            if let Some(payload) = repaired.rebuilt {
                self.frame.splice(3.., length_and_payload(&payload));
            }
        }
        out.append(&mut self.frame);
        Ok(())
    }
}

/// The agreed maximum frame size; 0 means no limit.
fn agreed(ours: u32, theirs: u32) -> u32 {
    match (ours, theirs) {
        (0, 0) => 0,
        (0, one) | (one, 0) => one.max(FRAME_MAX_MIN),
        _ => ours.min(theirs).max(FRAME_MAX_MIN),
    }
}

/// The part of a frame behind the channel.
fn length_and_payload(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    length.iter().chain(payload).copied().chain([FRAME_END]).collect()
}
