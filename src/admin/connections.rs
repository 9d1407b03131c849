//! Serves HTTP on the connections of a listener.
//!
//! Owns that every wait for the other side ends: for a request, and for
//! the caller to read the response.
//!
//! Not here: which connections are admitted (`admission.rs`), and the wait for
//! a request's body (`body.rs`).

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use hyper::{
    Request, Response,
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::io::Errno;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    admission::{ActiveRequest, Admitted, ConnectionAdmission},
    caller::Caller,
};

/// How long a connection may wait for the head of a request, after its
/// start or after the last response.
const REQUEST_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long the other side may read nothing of a response.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long requests in progress may take after the daemon begins to stop.
const GRACE: Duration = Duration::from_secs(5);

/// The limit for the head of a request, and for the buffered part of a response, in bytes.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// An evicted connection keeps its file descriptor for a moment. This many
/// descriptors are added for that.
const LEAVING_MAX: usize = 16;

/// The pause after the operating system failed to accept a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(500);

/// A source of connections.
pub(super) trait Listener: Send + Sync {
    type Stream: AsyncRead + AsyncWrite + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Caller)>> + Send;
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Caller)> {
        let (stream, _) = Self::accept(self).await?;
        let peer = stream.peer_cred()?;
        Ok((stream, Caller::Process { uid: peer.uid(), pid: peer.pid() }))
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Caller)> {
        let (stream, from): (_, SocketAddr) = Self::accept(self).await?;
        Ok((stream, Caller::Address(from)))
    }
}

/// Serves a listener's connections until `stop`, and then finishes the
/// requests in progress within `GRACE`.
pub(super) async fn serve(
    listener: impl Listener,
    routes: Router,
    admission: Arc<ConnectionAdmission>,
    limit: usize,
    stop: CancellationToken,
) {
    let descriptors = Arc::new(Semaphore::new(limit + LEAVING_MAX));
    let (connections, mut failing) = (TaskTracker::new(), false);
    let accept = async {
        // The semaphore is never closed, so this loop has no other end.
        while let Ok(descriptor) = Arc::clone(&descriptors).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, caller)) => {
                    failing = false;
                    let Some(admitted) = admission.admit(caller.network(), Instant::now()) else {
                        continue;
                    };
                    let (routes, stop) = (routes.clone(), stop.clone());
                    connections.spawn(async move {
                        serve_connection(stream, caller, routes, Arc::new(admitted), stop).await;
                        drop(descriptor);
                    });
                }
                // The caller hung up before the connection was accepted.
                Err(error) if is_connection_error(&error) => (),
                Err(error) => {
                    if !failing {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(
                            error,
                            "the admin API cannot accept connections; it tries again"
                        );
                    }
                    failing = true;
                    sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accept).await;
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_connection_error(error: &io::Error) -> bool {
    let of_the_system = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    !of_the_system.iter().any(|one| Some(one.raw_os_error()) == error.raw_os_error())
}

async fn serve_connection<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    caller: Caller,
    routes: Router,
    admitted: Arc<Admitted>,
    stop: CancellationToken,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_WAIT_MAX));
    let routes = TowerToHyperService::new(routes);
    let of_requests = Arc::clone(&admitted);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(caller);
        let in_hand = of_requests.begin_request();
        let answering = routes.call(request);
        async move {
            answering.await.map(|answer: Response<Body>| {
                answer.map(|body| TrackedBody { body, _in_hand: in_hand })
            })
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_WAIT_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(Box::pin(stream)), service)
    );
    tokio::select! {
        // An error of one connection concerns only the other side, and it can see the error.
        _ = connection.as_mut() => return,
        () = admitted.evicted() => return,
        () = stop.cancelled() => (),
    }
    if !admitted.is_idle() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(GRACE, connection).await;
    }
}

/// The body of a response. While it exists, the connection has a request in progress.
struct TrackedBody {
    body: Body,
    _in_hand: ActiveRequest,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::{admin::ConnectionLimits, telemetry::Telemetry};

    fn connect(routes: Router) -> (DuplexStream, tokio::task::JoinHandle<()>, CancellationToken) {
        let limits = ConnectionLimits { all: 1, of_one: 1 };
        let admission = ConnectionAdmission::new("unix", limits, Arc::new(Telemetry::new()));
        let admitted = Arc::new(admission.admit(None, Instant::now()).unwrap());
        let (ours, theirs) = duplex(1024);
        let stop = CancellationToken::new();
        let caller = Caller::Process { uid: 0, pid: None };
        (ours, tokio::spawn(serve_connection(theirs, caller, routes, admitted, stop.clone())), stop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_not_ended_is_waited_for_no_longer_than_it_may_take() {
        let (mut ours, served, _stop) = connect(Router::new());
        ours.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
        let begun = tokio::time::Instant::now();
        served.await.unwrap();
        assert_eq!(begun.elapsed(), REQUEST_WAIT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_is_given_up_and_one_that_takes_long_is_not() {
        let long = || async { "x".repeat(100_000) };
        let (mut ours, served, _stop) = connect(Router::new().route("/long", get(long)));
        ours.write_all(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let begun = tokio::time::Instant::now();
        served.await.unwrap();
        assert_eq!(begun.elapsed(), WRITE_WAIT_MAX);
        let slow = || async {
            sleep(Duration::from_secs(600)).await;
            "done"
        };
        let (mut ours, _served, _stop) = connect(Router::new().route("/slow", get(slow)));
        ours.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        assert!(answer.contains("content-length: 4"), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_a_connection_ends_at_once_and_one_with_a_request_within_the_grace() {
        for (sent, grace) in
            [("", Duration::ZERO), ("GET /slow HTTP/1.1\r\nhost: x\r\n\r\n", GRACE)]
        {
            let slow = || async { sleep(Duration::from_secs(600)).await };
            let (mut ours, served, stop) = connect(Router::new().route("/slow", get(slow)));
            ours.write_all(sent.as_bytes()).await.unwrap();
            sleep(Duration::from_millis(10)).await;
            let begun = tokio::time::Instant::now();
            stop.cancel();
            served.await.unwrap();
            assert_eq!(begun.elapsed(), grace, "{sent}");
        }
    }
}
