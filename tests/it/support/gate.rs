//! A way to the broker that can be shut: whatever a client does then stops halfway, for as long as
//! a test needs.
//!
//! Owns the count of the bytes that the broker sends.
//!
//! Not here: the broker (`broker.rs`).

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::until;

/// The bytes that have passed from the broker, and the number at which no more pass.
#[derive(Clone, Copy, Default)]
struct Count {
    passed: u64,
    most: u64,
}

/// It is shut at first.
pub struct Gate {
    url: String,
    count: watch::Sender<Count>,
}

impl Gate {
    /// A gate before the broker with this URL. It works while the test waits for a process only if
    /// the test's runtime has a thread besides.
    pub async fn before(url: &str) -> Self {
        let host = url.rsplit('@').next().unwrap().split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let gate = Self { url: url.replace(&host, &own), count: watch::Sender::default() };
        let count = gate.count.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (host, count) = (host.clone(), count.clone());
                tokio::spawn(async move {
                    let broker = TcpStream::connect(host).await.unwrap();
                    let (mut from_client, to_client) = client.into_split();
                    let (from_broker, mut to_broker) = broker.into_split();
                    tokio::spawn(pass(from_broker, to_client, count));
                    let _ = tokio::io::copy(&mut from_client, &mut to_broker).await;
                });
            }
        });
        gate
    }

    /// The URL for clients that go through the gate.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bytes that have passed from the broker.
    pub fn passed(&self) -> u64 {
        self.count.borrow().passed
    }

    /// Lets this many more bytes pass, and then none.
    pub fn lets(&self, bytes: u64) {
        self.count.send_modify(|count| count.most = count.passed.saturating_add(bytes));
    }

    /// Waits until no more bytes pass.
    pub async fn is_shut(&self) {
        until("the gate is shut", Duration::from_secs(120), || async {
            let count = *self.count.borrow();
            count.passed >= count.most
        })
        .await;
    }
}

/// Passes the broker's bytes on while the gate is open.
async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    count: watch::Sender<Count>,
) {
    let (mut bytes, mut open) = (vec![0; 16 * 1024], count.subscribe());
    loop {
        if open.wait_for(|count| count.passed < count.most).await.is_err() {
            return;
        }
        match from.read(&mut bytes).await {
            Ok(read) if read > 0 && to.write_all(&bytes[..read]).await.is_ok() => {
                count.send_modify(|count| count.passed += read as u64);
            }
            _ => return,
        }
    }
}
