//! A daemon with the console enabled, and plain HTTP requests to it.
//!
//! Owns the admin token of the tests.
//!
//! Not here: the browser (`browser.rs`).

use std::{collections::BTreeMap, net::SocketAddr};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

use super::{
    browser::Browser,
    daemon::{Home, private},
    free_ports,
};

/// The admin token.
pub const TOKEN: &str = "a-token-of-the-tests";

/// Enables the console of a home; returns its address as well.
pub fn with_console(home: Home) -> (Home, String) {
    let port = free_ports();
    private(&home.path("token"), TOKEN);
    let token = home.path("token").display().to_string();
    let admin = format!(
        "[admin]\nlisten = \"127.0.0.1:{port}\"\ntoken_file = \"{token}\"\nconsole = true\n"
    );
    (home.with("[admin]\n", &admin), format!("http://127.0.0.1:{port}"))
}

/// Opens a page of the console and logs in.
pub async fn sign_in(browser: &Browser, address: &str) {
    browser.open(address).await;
    browser.find("#token").await.send_keys(TOKEN).await.unwrap();
    browser.click(".sign-in", "Sign in").await;
    browser.find(".bar nav").await;
}

/// The answer to a request.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// Sends a request over TCP, with these headers.
pub async fn http(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    http_from("127.0.0.1", address, method, path, headers, body).await
}

/// The same, from another local address.
pub async fn http_from(
    from: &str,
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let host = address.trim_start_matches("http://");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(host.parse().unwrap()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap().to_owned();
    let headers =
        answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}
