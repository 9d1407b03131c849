//! A stream of frames as the broker sends it, and as the parser behind can take it. Pure; frames may be split anywhere.
//!
//! Methods and content headers are looked at as a whole; bodies pass as they come. A frame that no broker sends is an
//! error, and nothing after it passes.

use std::collections::HashMap;

use super::{
    content,
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
    /// So many bytes of a body, and the end of its frame.
    Body(u64),
}

/// Passes frames on, mended where the parser would refuse them.
pub struct FrameFilter {
    expected: Expected,
    frame: Vec<u8>,
    /// In bytes; 0 as long as nothing is agreed on.
    frame_max: u32,
    /// What is known of the message whose content header comes next, by channel.
    methods: HashMap<u16, Damage>,
}

impl FrameFilter {
    /// A filter for a connection that asks for frames of at most `frame_max` bytes; 0 leaves it to the broker.
    #[must_use]
    pub fn new(frame_max: u32) -> Self {
        Self { expected: Expected::Head(FRAME_HEAD), frame: Vec::new(), frame_max, methods: HashMap::new() }
    }

    /// Takes the next bytes of the stream, and adds to `out` what can pass.
    pub fn pass(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        while !input.is_empty() {
            let wanted = match self.expected {
                Expected::Head(size) | Expected::Whole(size) => size - self.frame.len(),
                Expected::Body(left) => usize::try_from(left + 1).unwrap_or(usize::MAX),
            };
            let (taken, rest) = input.split_at(wanted.min(input.len()));
            input = rest;
            if let Expected::Body(left) = self.expected {
                self.body(left, taken, out)?;
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

    fn body(&mut self, left: u64, taken: &[u8], out: &mut Vec<u8>) -> Result<(), BrokenFrame> {
        let count = u64::try_from(taken.len()).unwrap_or(u64::MAX);
        if count > left {
            if taken.last() != Some(&FRAME_END) {
                return Err(BrokenFrame::End);
            }
            self.expected = Expected::Head(FRAME_HEAD);
        } else {
            self.expected = Expected::Body(left - count);
        }
        out.extend_from_slice(taken);
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
        let Some([kind, _, _, size @ ..]) = self.frame.first_chunk::<FRAME_HEAD>() else { return Ok(()) };
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
                self.expected = Expected::Body(size.into());
                out.append(&mut self.frame);
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
            let size_max = match usize::try_from(self.frame_max) {
                Ok(0) | Err(_) => usize::MAX,
                Ok(frame_max) => frame_max - FRAME_OVERHEAD,
            };
            let rebuilt = content::mend(payload, damage, size_max).ok_or(BrokenFrame::Content)?;
            if let Some(payload) = rebuilt {
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
