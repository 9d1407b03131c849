//! What the filter lets pass, and its bounds.
//!
//! Owns the proof that an intact stream passes byte for byte, and that no stream is unbounded.
//!
//! Not here: damaged messages (`damage.rs`).

use super::*;

#[test]
fn a_frame_that_the_parser_takes_passes_byte_for_byte() {
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
fn each_report_is_bounded() {
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
