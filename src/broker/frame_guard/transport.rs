//! Connections whose incoming bytes pass the frame filter, with and without TLS.
//!
//! Owns opening them: no other module opens a connection.
//!
//! Not here: the filter (`filter.rs`), address and time limit (`connection.rs`).

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_util::{
    AsyncRead, AsyncWrite, Stream,
    io::{IoSlice, IoSliceMut},
};
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, OwnedTLSConfig},
    uri::AMQPUri,
};
use tokio::runtime::Handle;

use super::{
    bodies::BodyBudget,
    filter::{BrokenFrame, FrameFilter},
};

/// The number of bytes that are read at a time.
const READ: usize = 64 * 1024;

/// The interval of heartbeats to lapin while the connection is not read. lapin closes a connection
/// that is silent for too long.
const NOT_SILENT: Duration = Duration::from_millis(500);

/// A heartbeat frame of the broker.
const HEARTBEAT: [u8; 8] = [8, 0, 0, 0, 0, 0, 0, 0xCE];

/// Opens a connection on which a body passes if it has room in `bodies`.
pub(in crate::broker) async fn connect(
    uri: AMQPUri,
    properties: ConnectionProperties,
    tls: OwnedTLSConfig,
    bodies: Arc<BodyBudget>,
) -> Result<Connection, lapin::Error> {
    let tokio = Tokio::default().with_handle(Handle::current());
    let bounds = Bounds { frame_max: uri.query.frame_max.unwrap_or_default(), bodies };
    let runtime = Runtime::new(RuntimeParts::new(
        tokio.clone(),
        GuardedReactor { tokio: tokio.clone(), bounds: bounds.clone() },
    ));
    let open = async move |uri: AMQPUri, _| {
        let stream =
            uri.connect_with_config_async(tls.as_ref(), &Runtime::new(tokio.clone())).await?;
        Ok(AsyncTcpStream::Plain(GuardedStream::new(stream, &bounds, tokio.clone())))
    };
    Connection::connector(uri, runtime, open, properties).await
}

/// The limits of a connection.
#[derive(Clone, Debug)]
struct Bounds {
    /// The maximum frame size to ask for, in bytes; 0 leaves it to the broker.
    frame_max: u32,
    bodies: Arc<BodyBudget>,
}

type Socket = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// A connection, decrypted under TLS, whose readable bytes have passed the filter.
struct GuardedStream {
    stream: Socket,
    filter: FrameFilter,
    bodies: Arc<BodyBudget>,
    tokio: Tokio,
    /// The time until the next simulated heartbeat, while the connection is not read.
    silence: Option<Pin<Box<<Tokio as Reactor>::Sleep>>>,
    read: Box<[u8]>,
    /// The filtered bytes; `handed` of them were read already.
    passed: Vec<u8>,
    handed: usize,
}

impl GuardedStream {
    fn new(stream: Socket, bounds: &Bounds, tokio: Tokio) -> Self {
        let bodies = Arc::clone(&bounds.bodies);
        let filter = FrameFilter::new(bounds.frame_max).with_room(Arc::clone(&bodies));
        let (read, passed) = (vec![0; READ].into_boxed_slice(), Vec::new());
        Self { stream, filter, bodies, tokio, silence: None, read, passed, handed: 0 }
    }

    /// Waits for room for the next body. Meanwhile lapin receives simulated heartbeats.
    fn poll_room(
        &mut self,
        channel: u16,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), BrokenFrame>> {
        if self.bodies.poll_reads_on(channel, context).is_ready() {
            self.silence = None;
            return Poll::Ready(self.filter.go_on(&mut self.passed));
        }
        let silence = self.silence.get_or_insert_with(|| Box::pin(self.tokio.sleep(NOT_SILENT)));
        ready!(silence.as_mut().poll(context));
        self.silence = None;
        self.passed.extend(HEARTBEAT);
        Poll::Ready(Ok(()))
    }
}

fn broken(why: BrokenFrame) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            if this.handed < this.passed.len() {
                let left = this.passed.get(this.handed..).unwrap_or_default();
                let count = left.len().min(buffer.len());
                buffer.split_at_mut(count).0.copy_from_slice(left.split_at(count).0);
                this.handed += count;
                return Poll::Ready(Ok(count));
            }
            this.passed.clear();
            this.handed = 0;
            if let Some(channel) = this.filter.stopped() {
                ready!(this.poll_room(channel, context)).map_err(broken)?;
                continue;
            }
            let count = ready!(Pin::new(&mut this.stream).poll_read(context, &mut this.read))?;
            let read = this.read.get(..count).unwrap_or_default();
            if read.is_empty() {
                return Poll::Ready(Ok(0));
            }
            this.filter.pass(read, &mut this.passed).map_err(broken)?;
        }
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let buffer = buffers
            .iter_mut()
            .find(|buffer| !buffer.is_empty())
            .map_or(&mut [][..], |buffer| &mut **buffer);
        self.poll_read(context, buffer)
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(context)
    }
}

/// Tokio's reactor, with guarded connections.
#[derive(Clone, Debug)]
struct GuardedReactor {
    tokio: Tokio,
    bounds: Bounds,
}

impl Reactor for GuardedReactor {
    type TcpStream = GuardedStream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let (connecting, bounds) = (self.tokio.tcp_connect_addr(address), self.bounds.clone());
        let tokio = self.tokio.clone();
        async move {
            let connected = AsyncTcpStream::Plain(connecting.await?);
            Ok(GuardedStream::new(connected, &bounds, tokio))
        }
    }
}
