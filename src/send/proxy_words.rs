//! What a proxy says when it opens no way to a host.
//!
//! Owns the one question that the HTTP client cannot ask, because its error has no answer in it: a
//! CONNECT of its own. It is asked by `roomcast check` only, after the client was refused.
//!
//! Not here: what a failure says about a proxy (`proxy.rs`).

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::proxy::ProxyRoute;

/// How long the proxy may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of its answer's first line.
const LINE_BYTES_MAX: u64 = 200;

/// The first line of its answer; `None` if it cannot be had: the proxy speaks TLS or SOCKS.
pub(super) async fn of(proxy: &ProxyRoute, host: &str) -> Option<String> {
    if !proxy.address.is_plain_http() {
        return None;
    }
    tokio::time::timeout(PATIENCE, ask(proxy, host)).await.ok()?
}

async fn ask(proxy: &ProxyRoute, host: &str) -> Option<String> {
    let target = if host.contains(':') { host.to_owned() } else { format!("{host}:443") };
    let authorization = match &proxy.credentials {
        Some(credentials) => {
            format!("Proxy-Authorization: {}\r\n", credentials.basic().expose())
        }
        None => String::new(),
    };
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    let mut stream = TcpStream::connect(proxy.address.authority()).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(LINE_BYTES_MAX).read_to_end(&mut answer).await.ok()?;
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next()?.trim();
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    (!line.is_empty()).then_some(line)
}
