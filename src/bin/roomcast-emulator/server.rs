//! The listener and its connections.
//!
//! Owns that each connection can be closed without an answer.
//!
//! Not here: the routes (`emulator.rs`).

use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long connections may take to end at shutdown.
const GRACE: Duration = Duration::from_millis(500);

/// Closes a connection. Each request handler on the connection gets one.
#[derive(Clone)]
pub(crate) struct Cut(CancellationToken);

impl Cut {
    /// Closes the connection at once. Nothing more is sent.
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

/// Serves connections until the token is cancelled.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_one(stream, router.clone(), stop.clone()));
            }
            // Probably no file descriptor is free; one becomes free when a connection ends.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    connections.close();
    // Requests that hang on purpose would never end.
    let _ = tokio::time::timeout(GRACE, connections.wait()).await;
}

/// Serves one connection until either side closes it or a fault cuts it.
async fn serve_one(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Otherwise small answers wait for the peer's acknowledgement. A failure is harmless.
    let _ = stream.set_nodelay(true);
    let cut = CancellationToken::new();
    let knife = Cut(cut.clone());
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(knife.clone());
        service.call(request)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        () = cut.cancelled() => return,
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        () = cut.cancelled() => {}
        _ = connection => {}
    }
}

/// Writes the address into a file atomically: a reader sees nothing or all of it.
pub(crate) fn write_port_file(file: &Path, address: &str) -> io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".tmp");
    std::fs::write(&draft, address)?;
    std::fs::rename(&draft, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_file_holds_the_address_and_no_draft_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("port");
        write_port_file(&file, "127.0.0.1:4711").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "127.0.0.1:4711");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
