//! A publisher that sends frames which no client library would send: AMQP 0-9-1 by hand.
//!
//! Owns the encoding of such frames.
//!
//! Not here: regular publishing (`publisher.rs`).

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// The flags of properties, and the bytes of their values in the order of the flags.
pub type Properties<'a> = (u16, &'a [u8]);

pub const HEADERS: u16 = 1 << 13;

/// A connection with one channel, in confirm mode.
pub struct RawPublisher {
    stream: TcpStream,
}

impl RawPublisher {
    /// Connects to the broker with this URL, as `amqp://guest:guest@host:port`.
    pub fn connect(url: &str) -> Self {
        let host = url.rsplit('@').next().unwrap().split('/').next().unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut publisher = Self { stream };
        publisher.stream.write_all(b"AMQP\0\0\x09\x01").unwrap();
        assert_eq!(publisher.method(), (10, 10));
        let login = [
            &0_u32.to_be_bytes()[..],
            &short(b"PLAIN"),
            &long(b"\0guest\0guest"),
            &short(b"en_US"),
        ];
        publisher.send(0, [10, 11], &login.concat());
        assert_eq!(publisher.method(), (10, 30));
        publisher.send(
            0,
            [10, 31],
            &[&2047_u16.to_be_bytes()[..], &131_072_u32.to_be_bytes(), &[0, 0]].concat(),
        );
        publisher.send(0, [10, 40], &[&short(b"/")[..], &[0, 0]].concat());
        assert_eq!(publisher.method(), (10, 41));
        publisher.send(1, [20, 10], &[0]);
        assert_eq!(publisher.method(), (20, 11));
        publisher.send(1, [85, 10], &[0]);
        assert_eq!(publisher.method(), (85, 11));
        publisher
    }

    /// Publishes a message and waits for the confirm.
    pub fn publish(
        &mut self,
        exchange: &str,
        key: &[u8],
        (flags, properties): Properties<'_>,
        body: &[u8],
    ) {
        self.send(
            1,
            [60, 40],
            &[&[0, 0][..], &short(exchange.as_bytes()), &short(key), &[0]].concat(),
        );
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        self.frame(2, 1, &[&[0, 60, 0, 0][..], &size, &flags.to_be_bytes(), properties].concat());
        self.frame(3, 1, body);
        assert_eq!(self.method(), (60, 80), "it is confirmed");
    }

    /// Gets a message from a queue and disconnects, so that the message returns to its queue.
    pub fn give_back(mut self, queue: &str) {
        self.send(1, [60, 70], &[&[0, 0][..], &short(queue.as_bytes()), &[0]].concat());
        assert_eq!(self.method(), (60, 71), "there is a message");
    }

    fn send(&mut self, channel: u16, [class, method]: [u16; 2], fields: &[u8]) {
        self.frame(1, channel, &[&class.to_be_bytes()[..], &method.to_be_bytes(), fields].concat());
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.stream
            .write_all(&[&[kind][..], &channel.to_be_bytes(), &size, payload, &[0xCE]].concat())
            .unwrap();
    }

    /// Class and method of the next frame.
    fn method(&mut self) -> (u16, u16) {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).unwrap();
        let size = u32::from_be_bytes(head[3..].try_into().unwrap());
        let mut payload = vec![0; usize::try_from(size).unwrap() + 1];
        self.stream.read_exact(&mut payload).unwrap();
        assert_eq!(head[0], 1, "a method");
        let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
        let said = String::from_utf8_lossy(&payload);
        assert!((number(0), number(2)) != (10, 50) && (number(0), number(2)) != (20, 40), "{said}");
        (number(0), number(2))
    }
}

pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

pub fn long(content: &[u8]) -> Vec<u8> {
    [&u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
}

/// Nested arrays (`A`) or tables (`F`), as the value of a header.
pub fn nested(kind: u8, depth: usize) -> Vec<u8> {
    let mut value = b"V".to_vec();
    for _ in 0..depth {
        let content = if kind == b'F' { [&short(b"n")[..], &value].concat() } else { value };
        value = [&[kind][..], &long(&content)].concat();
    }
    [&short(b"deep")[..], &value].concat()
}
