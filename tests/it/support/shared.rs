//! Waiting for conditions, and ports nobody uses.

use std::{
    future::Future,
    net::TcpListener,
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

/// A port, and the two above it, that nobody listens on just now.
pub fn free_ports() -> u16 {
    for _ in 0..1000 {
        let Ok(first) = TcpListener::bind("127.0.0.1:0") else {
            continue;
        };
        let port = first.local_addr().unwrap().port();
        let rest = [1, 2].map(|more| port.checked_add(more).map(|port| TcpListener::bind(("127.0.0.1", port))));
        if rest.iter().all(|bound| matches!(bound, Some(Ok(_)))) {
            return port;
        }
    }
    panic!("no three free ports in a row");
}
