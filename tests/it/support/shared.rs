//! Waits for conditions, and free ports.
//!
//! Owns both for all tests.
//!
//! Not here: the processes that need them (`broker.rs`, `daemon.rs`).

use std::{
    future::Future,
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// Waits until the condition holds, checking often. Panics with `what` after `max`.
pub async fn until<F: Future<Output = bool>>(
    what: &str,
    max: Duration,
    mut condition: impl FnMut() -> F,
) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < max, "waited {max:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first of three consecutive free ports, unique in this process. They are outside the system's
/// range for outgoing connections. Otherwise a client that reconnects while its server is down
/// could occupy the server's port.
pub fn free_ports() -> u16 {
    const FIRST: u16 = 10_000;
    const TRIPLES: u16 = 3_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that start one after the other begin far apart.
    let begin = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(TRIPLES)).unwrap();
    for _ in 0..TRIPLES {
        let port = FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % TRIPLES * 3;
        let bound = [port, port + 1, port + 2].map(|port| TcpListener::bind(("127.0.0.1", port)));
        if bound.iter().all(Result::is_ok) {
            return port;
        }
    }
    panic!("no three free ports in a row from {FIRST} on");
}
