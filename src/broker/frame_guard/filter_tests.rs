//! The output of the filter for intact, damaged and malicious streams.
//!
//! Owns the proof that lapin can parse all that passes, however the stream is split.
//!
//! Not here: the fuzz targets (`tests/events/`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bounds;
mod damage;

use std::sync::Arc;

use amq_protocol::{
    frame::{AMQPFrame, parse_frame},
    protocol::{AMQPClass, basic},
    types::{AMQPValue, ByteArray, FieldTable},
};

use super::{BodyBudget, BrokenFrame, FrameFilter, LEFT_OUT};
use crate::domain::DAMAGED;

const FLAG_HEADERS: u16 = 1 << 13;
const FLAG_MESSAGE_ID: u16 = 1 << 7;

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [&[kind][..], &channel.to_be_bytes(), &size.to_be_bytes(), payload, &[0xCE]].concat()
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn long(content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

fn deliver(channel: u16, exchange: &[u8], key: &[u8]) -> Vec<u8> {
    let fields =
        [&[0, 60, 0, 60][..], &short(b"tag"), &[0; 9], &short(exchange), &short(key)].concat();
    frame(1, channel, &fields)
}

fn properties(flags: u16, fields: &[u8]) -> Vec<u8> {
    frame(
        2,
        1,
        &[&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..], &flags.to_be_bytes(), fields].concat(),
    )
}

fn headers(content: &[u8]) -> Vec<u8> {
    properties(FLAG_HEADERS, &long(content))
}

/// Arrays in arrays, or tables in tables, with a number inside.
fn nested(kind: u8, depth: usize) -> Vec<u8> {
    let mut value = b"t\x01".to_vec();
    for _ in 0..depth {
        let content = if kind == b'F' { [&short(b"n")[..], &value].concat() } else { value };
        value = [&[kind][..], &long(&content)].concat();
    }
    [&short(b"deep")[..], &value].concat()
}

fn body() -> Vec<u8> {
    frame(3, 1, b"{}")
}

/// The output for a stream that is split into pieces of `size` bytes.
fn passed_in(filter: &mut FrameFilter, stream: &[u8], size: usize) -> Result<Vec<u8>, BrokenFrame> {
    let mut out = Vec::new();
    stream.chunks(size).try_for_each(|piece| filter.pass(piece, &mut out)).map(|()| out)
}

/// The parsed output for a stream, after a check that it does not depend on the splitting.
fn passed(stream: &[u8]) -> Vec<AMQPFrame> {
    let whole = passed_in(&mut FrameFilter::new(0), stream, stream.len()).unwrap();
    for size in 1..16 {
        assert_eq!(
            passed_in(&mut FrameFilter::new(0), stream, size).as_ref(),
            Ok(&whole),
            "in pieces of {size}"
        );
    }
    parsed(&whole)
}

fn parsed(mut bytes: &[u8]) -> Vec<AMQPFrame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (rest, frame) = parse_frame(bytes).unwrap();
        frames.push(frame);
        bytes = rest;
    }
    frames
}

fn header_of(frames: &[AMQPFrame]) -> basic::AMQPProperties {
    let found = frames.iter().find_map(|frame| match frame {
        AMQPFrame::Header(_, header) => Some(header.properties.clone()),
        _ => None,
    });
    found.unwrap()
}

fn table_of(frames: &[AMQPFrame]) -> FieldTable {
    header_of(frames).headers().clone().unwrap_or_default()
}

/// The report of damage in the header.
fn damage(frames: &[AMQPFrame]) -> Option<String> {
    table_of(frames)
        .inner()
        .get(DAMAGED)
        .map(|reported| reported.as_long_string().unwrap().to_string())
}
