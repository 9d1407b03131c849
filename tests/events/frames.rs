//! Fuzz targets of the guard before the AMQP client's parser: any bytes from a broker, in any
//! pieces.
//!
//! Owns the promise that the parser accepts all bytes that pass the guard.
//!
//! Not here: the guard's own tests (`src/broker/frame_guard/`).

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame, gen_frame, parse_frame},
    protocol::{AMQPClass, basic},
    types::{AMQPValue, FieldArray, FieldTable},
};
use bolero::check;
use roomcast::broker::{BrokenFrame, FrameFilter};

use crate::targets::MOMENT;

/// The bytes of a stream that pass, if it comes in pieces of this size.
fn passed(stream: &[u8], size: usize) -> (Vec<u8>, Result<(), BrokenFrame>) {
    let (mut filter, mut out) = (FrameFilter::new(0), Vec::new());
    let outcome = stream.chunks(size.max(1)).try_for_each(|piece| filter.pass(piece, &mut out));
    (out, outcome)
}

/// The parser accepts all bytes that pass, on a thread with a stack of lapin's size. The size of
/// the pieces changes nothing.
fn holds(stream: &[u8], size: usize) {
    let (whole, outcome) = passed(stream, stream.len());
    let (cut, outcome_cut) = passed(stream, size);
    assert_eq!(outcome, outcome_cut);
    // Before an error the passed bytes depend on the pieces. They are handed on only without an
    // error.
    if outcome.is_ok() {
        assert_eq!(whole, cut);
    }
    let mut rest = &whole[..];
    while !rest.is_empty() {
        match parse_frame(rest) {
            Ok((after, _)) => rest = after,
            Err(error) if error.is_incomplete() => break,
            Err(error) => panic!("the parser refuses what passed: {error:?}"),
        }
    }
}

fn frame(kind: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [&[kind, 0, channel][..], &size.to_be_bytes(), payload, &[0xCE]].concat()
}

#[test]
fn guarding_a_stream() {
    check!().with_test_time(MOMENT).with_type::<(Vec<u8>, u8)>().for_each(|(stream, size)| {
        holds(stream, usize::from(*size));
    });
}

/// The same with well-formed frames, whose content the fuzzer chooses.
#[test]
fn guarding_frames() {
    check!().with_test_time(MOMENT).with_type::<(Vec<(u8, u8, Vec<u8>)>, u8)>().for_each(
        |(frames, size)| {
            let stream: Vec<u8> = frames
                .iter()
                .flat_map(|(kind, channel, content)| match kind % 5 {
                    0 => frame(
                        1,
                        *channel,
                        &[
                            b"\x00\x3c\x00\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00",
                            &content[..],
                        ]
                        .concat(),
                    ),
                    1 => frame(2, *channel, &[&[0; 12][..], content].concat()),
                    2 => {
                        let table =
                            [&u32::try_from(content.len()).unwrap().to_be_bytes()[..], content]
                                .concat();
                        frame(2, *channel, &[&[0; 12][..], b"\x20\x00", &table].concat())
                    }
                    3 => frame(3, *channel, content),
                    _ => frame(1, *channel, content),
                })
                .collect();
            holds(&stream, usize::from(*size));
        },
    );
}

/// A value as a client library encodes it, built from the fuzzer's choices. It is never deeper than
/// the parser permits.
fn value(choices: &[(u8, i64, String)], depth: u8) -> AMQPValue {
    let Some(((kind, number, text), rest)) = choices.split_first() else { return AMQPValue::Void };
    match kind % 8 {
        0 => AMQPValue::LongLongInt(*number),
        1 => AMQPValue::Boolean(*number > 0),
        2 => AMQPValue::LongString(text.as_str().into()),
        3 => AMQPValue::ByteArray(text.as_bytes().into()),
        4 => AMQPValue::Double(f64::from_bits(number.cast_unsigned())),
        5 => AMQPValue::Timestamp(number.cast_unsigned()),
        6 if depth < 32 => {
            AMQPValue::FieldArray(FieldArray::from(vec![value(rest, depth + 1), AMQPValue::Void]))
        }
        _ if depth < 32 => {
            let mut table = FieldTable::default();
            table.insert(ensure_message_id(text), value(rest, depth + 1));
            AMQPValue::FieldTable(table)
        }
        _ => AMQPValue::Void,
    }
}

/// A short string: the first characters of the text.
fn ensure_message_id(text: &str) -> amq_protocol::types::ShortString {
    text.chars().take(60).collect::<String>().as_str().into()
}

#[test]
fn passing_what_is_valid() {
    let choices = check!()
        .with_test_time(MOMENT)
        .with_type::<(Vec<(u8, i64, String)>, String, Vec<u8>, u8)>();
    choices.for_each(|(choices, text, body, size)| {
        let mut headers = FieldTable::default();
        for (place, (_, _, text)) in choices.iter().enumerate() {
            headers.insert(ensure_message_id(text), value(&choices[place..], 1));
        }
        let properties = basic::AMQPProperties::default()
            .with_headers(headers)
            .with_message_id(ensure_message_id(text))
            .with_type(ensure_message_id(text))
            .with_timestamp(u64::MAX);
        let method = basic::AMQPMethod::Deliver(basic::Deliver {
            consumer_tag: ensure_message_id(text),
            delivery_tag: 7,
            redelivered: true,
            exchange: ensure_message_id(text),
            routing_key: ensure_message_id(text),
        });
        let header = AMQPContentHeader { class_id: 60, body_size: 1, properties };
        let mut stream = Vec::new();
        for frame in [
            AMQPFrame::Method(1, AMQPClass::Basic(method)),
            AMQPFrame::Header(1, header),
            AMQPFrame::Body(1, body.clone()),
            AMQPFrame::Heartbeat,
        ] {
            let written: (Vec<u8>, u64) =
                gen_frame(&frame)(Vec::new().into()).unwrap().into_inner();
            stream.extend(written.0);
        }
        assert_eq!(passed(&stream, usize::from(*size)), (stream.clone(), Ok(())));
        assert_eq!(passed(&stream, stream.len()), (stream, Ok(())));
    });
}
