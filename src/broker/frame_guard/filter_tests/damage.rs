//! What the filter repairs in a message.
//!
//! Owns the proof that each damage is repaired and reported.
//!
//! Not here: what it lets pass unchanged, and its bounds (`bounds.rs`).

use super::*;

#[test]
fn text_that_is_not_utf8_is_repaired_and_reported() {
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
fn a_damaged_routing_key_is_reported_in_the_next_message_of_its_channel() {
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
fn the_name_of_the_exchange_is_repaired_and_is_not_the_messages() {
    let frames = passed(&[deliver(1, b"e\xff", b"ops"), properties(0, &[]), body()].concat());
    let AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(method))) = &frames[0]
    else {
        panic!()
    };
    assert_eq!(method.exchange.as_str(), "e?");
    assert_eq!(damage(&frames), None);
}

#[test]
fn names_are_repaired_at_any_depth() {
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
fn unreadable_values_are_left_out_or_become_bytes() {
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
