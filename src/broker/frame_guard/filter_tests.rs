//! The output of the filter for intact, damaged and malicious streams.
//!
//! Owns the proof that lapin can parse all that passes, however the stream is split.
//!
//! Not here: the fuzz targets (`tests/events/`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

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

#[test]
fn what_the_parser_takes_passes_byte_for_byte() {
    let all_kinds = [
        &b"\x01tt\x01"[..],
        b"\x01bb\xff",
        b"\x01BB\xff",
        b"\x01ss\x00\x01",
        b"\x01uU\x00\x01",
        b"\x01vu\x00\x01",
        b"\x01II\x00\x00\x00\x01",
        b"\x01ii\x00\x00\x00\x01",
        b"\x01ff\x00\x00\x00\x01",
        b"\x01LL\x00\x00\x00\x00\x00\x00\x00\x01",
        b"\x01ll\x00\x00\x00\x00\x00\x00\x00\x01",
        b"\x01dd\x00\x00\x00\x00\x00\x00\x00\x01",
        b"\x01TT\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x01DD\xff\x00\x00\x00\x01",
        b"\x01SS\x00\x00\x00\x02\xff\xfe",
        b"\x01xx\x00\x00\x00\x02\xff\xfe",
        b"\x01VV",
        b"\x00V",
    ]
    .concat();
    let streams = [
        vec![deliver(1, b"r.publish", "告警".as_bytes()), headers(&all_kinds), body()],
        vec![deliver(1, b"", b"ops"), headers(&nested(b'A', 32)), body(), frame(8, 0, b"")],
        vec![deliver(1, b"", b"ops"), headers(&nested(b'F', 32)), frame(3, 1, b"")],
        vec![properties(FLAG_MESSAGE_ID, &short("é".as_bytes())), frame(3, 9, &[0xCE; 300])],
        vec![frame(
            1,
            0,
            &[&[0, 10, 0, 10, 0, 9][..], &long(&nested(b'F', 2)), &long(b"PLAIN"), &long(b"en")]
                .concat(),
        )],
        vec![
            frame(1, 0, b"\x00\x0a\x00\x1e\x07\xff\x00\x02\x00\x00\x00\x3c"),
            frame(1, 0, b"\x00\x0a\x00\x3d"),
        ],
        vec![b"AMQP\0\0\x09\x01".to_vec()],
    ];
    for stream in streams {
        let stream = stream.concat();
        for size in [1, 2, 7, 8, 9, stream.len()] {
            assert_eq!(passed_in(&mut FrameFilter::new(0), &stream, size).unwrap(), stream);
        }
        parsed(&stream);
    }
}

#[test]
fn text_that_is_not_utf8_is_mended_and_told() {
    for (place, name) in [
        (0, "content_type"),
        (1, "content_encoding"),
        (5, "correlation_id"),
        (6, "reply_to"),
        (7, "expiration"),
        (8, "message_id"),
        (10, "type"),
        (11, "user_id"),
        (12, "app_id"),
        (13, "cluster_id"),
    ] {
        let stream =
            [deliver(1, b"", b"ops"), properties(0x8000 >> place, &short(b"a\xffb\xc3")), body()]
                .concat();
        let frames = passed(&stream);
        let wanted = format!("{name} is not UTF-8 (in hexadecimal: 61ff62c3)");
        assert_eq!(damage(&frames), Some(wanted));
        assert!(format!("{:?}", header_of(&frames)).contains("a?b?"), "{name}");
        assert_eq!(frames.last(), Some(&AMQPFrame::Body(1, b"{}".to_vec())));
    }
}

#[test]
fn a_damaged_routing_key_is_told_of_in_the_message_that_follows_on_its_channel() {
    let stream = [
        deliver(1, b"", b"ops\xff"),
        deliver(2, b"", b"fine"),
        frame(2, 2, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]),
        properties(0x1000, &[2]),
        body(),
        deliver(1, b"", b"ops"),
        properties(0x1000, &[2]),
    ]
    .concat();
    let frames = passed(&stream);
    let AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(method))) = &frames[0]
    else {
        panic!()
    };
    assert_eq!(method.routing_key.as_str(), "ops?");
    assert_eq!(damage(&frames[2..3]), None, "of another channel");
    assert_eq!(
        damage(&frames[3..4]).unwrap(),
        "the routing key is not UTF-8 (in hexadecimal: 6f7073ff)"
    );
    assert_eq!(*header_of(&frames[3..4]).delivery_mode(), Some(2));
    assert_eq!(damage(&frames[6..]), None, "the next one is fine");
}

#[test]
fn the_name_of_the_exchange_is_mended_and_is_not_the_messages() {
    let frames = passed(&[deliver(1, b"e\xff", b"ops"), properties(0, &[]), body()].concat());
    let AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(method))) = &frames[0]
    else {
        panic!()
    };
    assert_eq!(method.exchange.as_str(), "e?");
    assert_eq!(damage(&frames), None);
}

#[test]
fn names_are_mended_at_any_depth() {
    let inner = [&short(b"b\xff")[..], b"t\x01"].concat();
    let content = [&short(b"a")[..], b"F", &long(&inner)].concat();
    let frames = passed(&headers(&content));
    assert!(
        damage(&frames)
            .unwrap()
            .contains("the name of a header is not UTF-8 (in hexadecimal: 62ff)")
    );
    let AMQPValue::FieldTable(inner) = table_of(&frames).inner()["a"].clone() else { panic!() };
    assert_eq!(inner.inner()["b?"], AMQPValue::Boolean(true));
}

#[test]
fn what_nests_too_deep_becomes_bytes_of_the_same_length() {
    for kind in [b'A', b'F'] {
        for depth in [33, 2000, 10_000] {
            let frames =
                passed_in(&mut FrameFilter::new(0), &headers(&nested(kind, depth)), usize::MAX)
                    .unwrap();
            let frames = parsed(&frames);
            assert_eq!(
                damage(&frames).unwrap(),
                "the headers nest arrays or tables more than 32 deep"
            );
            let mut value = table_of(&frames).inner()["deep"].clone();
            for _ in 0..32 {
                value = match value {
                    AMQPValue::FieldArray(list) => list.as_slice()[0].clone(),
                    AMQPValue::FieldTable(table) => table.inner()["n"].clone(),
                    other => panic!("{other:?}"),
                };
            }
            let inside = nested(kind, depth - 33);
            let inside =
                if kind == b'F' { [b"\x01n", &inside[5..]].concat() } else { inside[5..].to_vec() };
            assert_eq!(value, AMQPValue::ByteArray(ByteArray::from(inside)));
        }
    }
}

#[test]
fn what_cannot_be_read_is_left_out_or_becomes_bytes() {
    for (what, stream, reported) in [
        (
            "an unknown type",
            headers(b"\x01at\x01\x01bQ\x00"),
            "the headers cannot be read from byte 4 on",
        ),
        (
            "a value that is cut",
            headers(b"\x01at\x01\x01bl\x00"),
            "the headers cannot be read from byte 4 on",
        ),
        (
            "a text that overruns",
            headers(b"\x01at\x01\x01bS\x00\x00\x00\x09x"),
            "the headers cannot be read from byte 4 on",
        ),
        (
            "a name that overruns",
            headers(b"\x01at\x01\x09b"),
            "the headers cannot be read from byte 4 on",
        ),
        (
            "an unknown type deep inside",
            headers(b"\x01at\x01\x01bA\x00\x00\x00\x01Q"),
            "an array or table in the headers cannot be read",
        ),
        (
            "a table that overruns",
            properties(FLAG_HEADERS | FLAG_MESSAGE_ID, b"\x00\x00\x00\x09\x01at\x01"),
            "the properties cannot be read from headers on",
        ),
        (
            "a property that overruns",
            properties(
                FLAG_HEADERS | FLAG_MESSAGE_ID,
                &[&long(b"\x01at\x01")[..], b"\x09x"].concat(),
            ),
            "the properties cannot be read from message_id on",
        ),
        (
            "bytes behind the properties",
            properties(FLAG_HEADERS, &[&long(b"\x01at\x01")[..], b"xyz"].concat()),
            "3 bytes follow the properties",
        ),
    ] {
        let frames = passed(&[stream, body()].concat());
        assert_eq!(damage(&frames).as_deref(), Some(reported), "{what}");
        let kept = table_of(&frames).inner().get("a") == Some(&AMQPValue::Boolean(true));
        assert_eq!(kept, what != "a table that overruns", "{what}");
        assert_eq!(frames.last(), Some(&AMQPFrame::Body(1, b"{}".to_vec())), "{what}");
    }
}

#[test]
fn properties_that_do_not_fit_into_a_frame_lose_the_largest_headers() {
    // A publisher may fill a frame with headers, and the broker adds its own.
    let tune = frame(1, 0, b"\x00\x0a\x00\x1e\x07\xff\x00\x00\x20\x00\x00\x3c");
    let large = [&short(b"large")[..], b"S", &long(&[b'x'; 5000])].concat();
    let small = [&short(b"small")[..], b"S", &long(&[b'x'; 3500])].concat();
    let stream = [tune.clone(), headers(&[large.clone(), small].concat())].concat();
    let passed = passed_in(&mut FrameFilter::new(0), &stream, 100).unwrap();
    assert!(passed.len() <= tune.len() + 8192);
    let frames = parsed(&passed);
    assert_eq!(
        damage(&frames).unwrap(),
        "the properties have 8540 bytes, more than the 8184 of a frame"
    );
    let table = table_of(&frames);
    assert_eq!(
        table.inner().keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["small", DAMAGED]
    );
    let stream = [tune, headers(&large)].concat();
    assert_eq!(
        passed_in(&mut FrameFilter::new(0), &stream, 100).unwrap(),
        stream,
        "what fits passes"
    );
    let asked = passed_in(&mut FrameFilter::new(4096), &stream, 100).unwrap();
    assert!(damage(&parsed(&asked)).is_some(), "the smaller of both wishes counts");
}

#[test]
fn what_is_told_is_bounded() {
    let content: Vec<u8> = (0..40_000_u32).flat_map(|_| *b"\x01\xffV").collect();
    let frames =
        parsed(&passed_in(&mut FrameFilter::new(0), &headers(&content), usize::MAX).unwrap());
    assert!(damage(&frames).unwrap().len() <= 1000);
    let each = |place: usize| {
        [&short(&[0xff; 200])[..], &[u8::try_from(place).unwrap()]].concat()[..201].to_vec()
    };
    let stream = properties(0x87BC, &(0..10).flat_map(each).collect::<Vec<_>>());
    let reported =
        damage(&parsed(&passed_in(&mut FrameFilter::new(4096), &stream, 9).unwrap())).unwrap();
    assert!(reported.len() <= 1000 && reported.starts_with("content_type"), "{reported}");
}

#[test]
fn a_frame_that_no_broker_sends_ends_the_stream() {
    let unended = [&deliver(1, b"", b"ops")[..17], b"\x00"].concat();
    for (stream, why) in [
        (frame(4, 0, b""), BrokenFrame::Type(4)),
        ([&frame(3, 1, b"xy")[..9], b"\x00"].concat(), BrokenFrame::End),
        ([&frame(2, 1, &[0; 14])[..21], b"\x00"].concat(), BrokenFrame::End),
        (frame(1, 0, &unended[7..]), BrokenFrame::Method),
        (frame(1, 0, b"\x00\x3c\x00\x28"), BrokenFrame::Method),
        (frame(2, 0, b"\x00\x3c"), BrokenFrame::Content),
        (b"\x02\x00\x01\xff\xff\xff\xff".to_vec(), BrokenFrame::Size(4_294_967_303)),
        (b"HTTP/1.1 400".to_vec(), BrokenFrame::Type(b'H')),
        (b"AMQQ".to_vec(), BrokenFrame::Protocol),
    ] {
        for size in [1, 5, stream.len()] {
            assert_eq!(passed_in(&mut FrameFilter::new(0), &stream, size), Err(why), "{stream:?}");
        }
    }
}

#[test]
fn a_body_without_room_does_not_pass_and_its_message_says_so() {
    let header = |channel, size, flags: u16, fields: &[u8]| {
        frame(
            2,
            channel,
            &[&[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, size][..], &flags.to_be_bytes(), fields].concat(),
        )
    };
    let stream = [
        deliver(1, b"", b"ops"),
        header(1, 9, FLAG_MESSAGE_ID, &short(b"m")),
        frame(3, 1, b"12345"),
        deliver(2, b"", b"ops"),
        header(2, 8, 0, b""),
        frame(3, 2, b"12345678"),
        frame(8, 1, b""),
        frame(3, 1, b"6789"),
        deliver(1, b"", b"ops"),
        header(1, 3, 0, b""),
        frame(3, 1, b"abc"),
    ]
    .concat();
    for size in [1, 5, 20, stream.len()] {
        let bodies = BodyBudget::up_to(8);
        // A large body is in memory while the others arrive.
        bodies.admit(3, 9).unwrap();
        let mut filter = FrameFilter::new(0).with_room(Arc::clone(&bodies));
        let frames = parsed(&passed_in(&mut filter, &stream, size).unwrap());
        let AMQPFrame::Header(1, large) = &frames[1] else { panic!("{frames:?}") };
        assert_eq!(
            (large.body_size, large.properties.message_id().as_ref().unwrap().as_str()),
            (0, "m")
        );
        let table = table_of(&frames[1..2]);
        let AMQPValue::LongString(says) = &table.inner()[LEFT_OUT] else { panic!("{table:?}") };
        assert_eq!(bodies.size_left_out(&says.to_string()), Some(9));
        assert_eq!(damage(&frames[1..2]), None);
        assert_eq!(frames[4], AMQPFrame::Body(2, b"12345678".to_vec()));
        let bodies = frames.iter().filter(|frame| matches!(frame, AMQPFrame::Body(..)));
        assert_eq!(bodies.count(), 2);
        assert_eq!(frames.last(), Some(&AMQPFrame::Body(1, b"abc".to_vec())));
    }
}

#[test]
fn nothing_passes_behind_a_body_until_there_is_room_for_the_next() {
    let message = || [deliver(1, b"", b"k"), properties(0, &[]), body()].concat();
    let other = frame(1, 2, &[0, 20, 0, 41]);
    let stream = [message(), message(), other, message()].concat();
    for size in 1..stream.len() {
        let bodies = BodyBudget::all();
        bodies.read_on_below(1, 2);
        let mut filter = FrameFilter::new(0).with_room(Arc::clone(&bodies));
        let mut out = passed_in(&mut filter, &stream, size).unwrap();
        let beginning = [message(), deliver(1, b"", b"k")].concat();
        assert!(out == beginning && filter.stopped() == Some(1), "in pieces of {size}");
        bodies.release(1, 1);
        assert!(bodies.reads_on(1), "one byte is below two");
        bodies.release(1, 1);
        filter.go_on(&mut out).unwrap();
        assert!(out.len() < stream.len() && filter.stopped() == Some(1));
        bodies.forget(1);
        filter.go_on(&mut out).unwrap();
        assert!(out == stream && filter.stopped().is_none(), "byte for byte in pieces of {size}");
    }
}
