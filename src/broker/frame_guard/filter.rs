//! A stream of frames as the broker sends it, and as the parser behind can take it. Pure; frames may be split anywhere.
//!
//! Methods and content headers are looked at as a whole; bodies pass as they come. A frame that no broker sends is an
//! error, and nothing after it passes.

use std::{collections::HashMap, sync::Arc};

use super::{
    bodies::Bodies,
    content::{self, Limits},
    damage::Damage,
    methods::{self, Method},
};

/// Type, channel and size of a frame.
const FRAME_HEAD: usize = 7;

/// The byte after each payload.
const FRAME_END: u8 = 0xCE;

/// What a frame has besides its payload.
const FRAME_OVERHEAD: usize = FRAME_HEAD + 1;

/// The smallest largest frame that can be agreed on.
const FRAME_MAX_MIN: u32 = 4096;

/// A method or content header of more bytes is not kept in memory. The agreed size of a frame is far below it.
const WHOLE_MAX: usize = 16 * 1024 * 1024;

/// A server of another version answers with a header of so many bytes, and closes.
const PROTOCOL_HEADER: usize = 8;

/// Why nothing more passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenFrame {
    /// There is no such frame.
    #[error("the broker sent a frame of the unknown type {0}")]
    Type(u8),
    /// It does not end where it says.
    #[error("the broker sent a frame without its end")]
    End,
    /// A method or content header that would take up too much memory.
    #[error("the broker sent a method or content header of {0} bytes")]
    Size(usize),
    /// A method that no server sends.
    #[error("the broker sent a method that cannot be read")]
    Method,
    /// A content header without its fixed fields.
    #[error("the broker sent a content header that is too short")]
    Content,
    /// It speaks another protocol.
    #[error("the broker does not speak AMQP 0-9-1")]
    Protocol,
}

/// What of a frame is on its way.
#[derive(Clone, Copy)]
enum Expected {
    /// The first so many bytes of a frame.
    Head(usize),
    /// A method or content header of so many bytes in all.
    Whole(usize),
    /// So many bytes of a body, and the end of its frame; whether they pass.
    Body { left: u64, passes: bool },
}

/// Passes frames on, mended where the parser would refuse them.
pub struct FrameFilter {
    expected: Expected,
    frame: Vec<u8>,
    /// In bytes; 0 as long as nothing is agreed on.
    frame_max: u32,
    /// What is known of the message whose content header comes next, by channel.
    methods: HashMap<u16, Damage>,
    /// Which bodies pass.
    bodies: Arc<Bodies>,
    /// How many bytes are still to come of a body that does not pass, by channel.
    left_out: HashMap<u16, u64>,
}

impl FrameFilter {
    /// A filter for a connection that asks for frames of at most `frame_max` bytes; 0 leaves it to the broker.
    #[must_use]
    pub fn new(frame_max: u32) -> Self {
        Self {
            expected: Expected::Head(FRAME_HEAD),
            frame: Vec::new(),
            frame_max,
            methods: HashMap::new(),
            bodies: Bodies::all(),
            left_out: HashMap::new(),
        }
    }

    /// The same, but a body for which there is no room does not pass: its message comes without, and says so in the
    /// header `x-roomcast-body-left-out`.
    #[must_use]
    pub fn with_room(mut self, bodies: Arc<Bodies>) -> Self {
        self.bodies = bodies;
        self
    }

    /// Takes the next bytes of the stream, and adds to `out` what can pass.
    pub fn pass(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        while !input.is_empty() {
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
                _ => self.whole(out)?,
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

    /// Looks at the first bytes of a frame that is not whole: a stream that ends there is told from one that is wrong.
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

    /// The head of a frame has come.
    fn head(&mut self, out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        let Some([kind, high, low, size @ ..]) = self.frame.first_chunk::<FRAME_HEAD>() else { return Ok(()) };
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
                let all = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(FRAME_OVERHEAD);
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

    /// A method or a content header is there as a whole.
    fn whole(&mut self, out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        self.expected = Expected::Head(FRAME_HEAD);
        let [kind, high, low, _, _, _, _, payload @ .., end] = &mut self.frame[..] else { return Ok(()) };
        if *end != FRAME_END {
            return Err(BrokenFrame::End);
        }
        let channel = u16::from_be_bytes([*high, *low]);
        if *kind == 1 {
            match methods::mend(payload).ok_or(BrokenFrame::Method)? {
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
            let mended = content::mend(payload, damage, limits).ok_or(BrokenFrame::Content)?;
            if mended.left_out > 0 {
                self.left_out.insert(channel, mended.left_out);
            }
            if let Some(payload) = mended.rebuilt {
                self.frame.splice(3.., length_and_payload(&payload));
            }
        }
        out.append(&mut self.frame);
        Ok(())
    }
}

/// The largest frame of two wishes, of which 0 is none.
fn agreed(ours: u32, theirs: u32) -> u32 {
    match (ours, theirs) {
        (0, 0) => 0,
        (0, one) | (one, 0) => one.max(FRAME_MAX_MIN),
        _ => ours.min(theirs).max(FRAME_MAX_MIN),
    }
}

/// What follows the channel in a frame of this payload.
fn length_and_payload(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    length.iter().chain(payload).copied().chain([FRAME_END]).collect()
}
