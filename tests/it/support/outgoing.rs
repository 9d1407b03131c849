//! The ways to a platform: TLS before the emulator, and proxies of Debian.
//!
//! Owns these parts; the proxies are real: `tinyproxy` for HTTP, and `microsocks` for SOCKS.
//!
//! Not here: the tests of the ways (`tests/it/outgoing.rs`).

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{certificates, emulator::Emulator, free_ports, until};

/// User and password that the HTTP proxy asks for. Its configuration allows no other marks.
pub const HTTP_CREDENTIALS: &str = "roomcast:PROXYMARKER-1.x_2";
/// User and password that the SOCKS proxy asks for. The password has marks that a URL escapes.
pub const SOCKS_CREDENTIALS: &str = "roomcast:PROXYMARKER@/%3a:x";

/// Serves the emulator at `https://localhost:<port>`; returns the port.
pub async fn https(emulator: &Emulator, server: &certificates::Server) -> u16 {
    let chain = vec![CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let behind: SocketAddr = emulator.url().trim_start_matches("http://").parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
            });
        }
    });
    port
}

/// A proxy as a child process.
pub struct Proxy {
    child: Child,
    pub port: u16,
    log: PathBuf,
    _dir: TempDir,
}

impl Proxy {
    /// An HTTP proxy that asks for [`HTTP_CREDENTIALS`] and opens ways to this port only.
    pub async fn http(port: u16, to: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (user, password) = HTTP_CREDENTIALS.split_once(':').unwrap();
        let (config, log) = (dir.path().join("tinyproxy.conf"), dir.path().join("log"));
        let text = format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 50\n\
             LogLevel Info\nConnectPort {to}\nBasicAuth {user} {password}\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(&config);
        Self::start(command, port, log, dir).await
    }

    /// A SOCKS proxy that asks for [`SOCKS_CREDENTIALS`].
    pub async fn socks(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (user, password) = SOCKS_CREDENTIALS.split_once(':').unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("microsocks");
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", user, "-P", password]);
        Self::start(command, port, log, dir).await
    }

    /// A port for a proxy that is started later.
    pub fn free_port() -> u16 {
        free_ports()
    }

    async fn start(mut command: Command, port: u16, log: PathBuf, dir: TempDir) -> Self {
        let file = File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null());
        let child = command.spawn().unwrap();
        let proxy = Self { child, port, log, _dir: dir };
        until("the proxy listens", Duration::from_secs(30), || async {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        proxy
    }

    /// What the proxy wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
