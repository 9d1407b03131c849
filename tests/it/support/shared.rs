//! Waiting for conditions, and ports nobody uses.

use std::{
    future::Future,
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// Waits until the condition holds, looking often; fails with what it waited for if that takes longer than `max`.
pub async fn until<F: Future<Output = bool>>(what: &str, max: Duration, mut condition: impl FnMut() -> F) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < max, "waited {max:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port, and the two above it, that nothing listens on just now, and that no other test of this process gets. No
/// connection that goes out is given one of them: a client that tries again and again while its server is away would
/// take the server's port for itself.
pub fn free_ports() -> u16 {
    const FIRST: u16 = 10_000;
    const TRIPLES: u16 = 3_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that started one after the other begin far apart.
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
