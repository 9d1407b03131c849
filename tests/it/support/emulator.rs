//! The emulator as a child process, and its control interface.
//!
//! Owns the client of that interface.
//!
//! Not here: the emulator itself (`src/bin/roomcast-emulator/`).

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::until;

pub struct Emulator {
    child: Child,
    address: String,
    _dir: TempDir,
}

impl Emulator {
    /// Starts an emulator with these arguments and waits until it listens.
    pub async fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port_file = dir.path().join("port");
        let child = Command::new(env!("CARGO_BIN_EXE_roomcast-emulator"))
            .args(["--listen", "127.0.0.1:0", "--port-file"])
            .arg(&port_file)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("the emulator listens", Duration::from_secs(30), || async { port_file.exists() })
            .await;
        let address = std::fs::read_to_string(&port_file).unwrap().trim().to_owned();
        Self { child, address, _dir: dir }
    }

    /// The value for `platforms.<p>.base_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All shown messages, as `token → texts`, in order of arrival.
    pub async fn shown(&self) -> BTreeMap<String, Vec<String>> {
        let mut shown = BTreeMap::<String, Vec<String>>::new();
        for one in self.received().await {
            if one["outcome"] == "accepted" && one["duplicate"] != true {
                let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
                shown.entry(text("token")).or_default().push(text("text"));
            }
        }
        shown
    }

    /// Whether a chat shows a text.
    pub async fn shows(&self, token: &str, text: &str) -> bool {
        let received = self
            .call(Method::GET, &format!("/received?token={token}&outcome=accepted"), &Value::Null)
            .await;
        received.as_array().unwrap().iter().any(|one| one["text"] == text)
    }

    /// All requests, in order of arrival.
    pub async fn received(&self) -> Vec<Value> {
        self.call(Method::GET, "/received", &Value::Null).await.as_array().unwrap().clone()
    }

    /// The number of requests with this outcome.
    pub async fn count(&self, outcome: &str) -> u64 {
        self.call(Method::GET, "/received/count", &Value::Null).await[outcome].as_u64().unwrap_or(0)
    }

    /// Sets a robot up.
    pub async fn robot(&self, platform: &str, token: &str, setup: Value) {
        self.call(Method::PUT, &format!("/robots/{platform}/{token}"), &setup).await;
    }

    /// Injects a fault.
    pub async fn fault(&self, fault: Value) {
        self.call(Method::POST, "/faults", &fault).await;
    }

    /// Removes all faults.
    pub async fn no_faults(&self) {
        self.call(Method::DELETE, "/faults", &Value::Null).await;
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
