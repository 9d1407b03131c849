//! Deliveries per second from publish to arrival, relative to a bare loop of the same client
//! libraries.
//!
//! `cargo bench` starts a private broker, a sink that answers at once, and the daemon. The bare
//! loop and the daemon then process the same events by turns. Their ratio is the result. The bare
//! loop consumes, posts and acknowledges. It has no signatures, limits, ledger or flush to disk,
//! and a crash loses its messages in flight. A second daemon processes them without a history: the
//! last column is the speed with one, as a ratio to the speed without. At most 5 % may be lost.
//!
//! Owns the comparison with the bare loop, and the cost of the history.
//!
//! Not here: the cost of one pacing decision (`pace.rs`), and of the store (`store.rs`).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a bench that meets the unexpected stops; it uses a part of what the tests stand on"
)]

#[path = "../tests/it/support/broker.rs"]
mod broker;
#[path = "../tests/it/support/daemon.rs"]
mod daemon;
#[path = "../tests/it/support/shared.rs"]
mod shared;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
pub use shared::{free_ports, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
};

const ROUNDS: usize = 3;
const PREFETCH: u16 = 500;
const IN_FLIGHT: usize = 256;
const EVENT: &str = concat!(
    r#"{"subject": "db-1 is down", "#,
    r#""message": "replica db-2 took over after 1.2 s; writes were refused meanwhile"}"#
);
const POST: &str = concat!(
    r#"{"msgtype":"text","text":{"content":"db-1 is down\n"#,
    r#"replica db-2 took over after 1.2 s; writes were refused meanwhile"}}"#
);

#[tokio::main]
async fn main() {
    let broker = broker::Broker::start().await;
    let sink = Sink::start().await;
    println!(
        "{:>8} {:>7} {:>12} {:>12} {:>7} {:>14} {:>8}",
        "fan-out", "events", "bare/s", "roomcast/s", "ratio", "no history/s", "history"
    );
    for (fan_out, count) in [(1, 15_000), (100, 300)] {
        let more =
            "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = []\nrate_per_second = 0\n";
        let home = home_of(&broker, &sink, fan_out, more);
        let daemon = home.start().await;
        let forgetful =
            home_of(&broker, &sink, fan_out, &format!("{more}[history]\nretention = \"0s\"\n"));
        let without_history = forgetful.start().await;
        let bare =
            Bare::start(&broker.url(), &format!("bare{fan_out}"), &sink.url(), fan_out).await;
        let (mut ratios, mut costs) = (Vec::new(), Vec::new());
        // The first round warms up both and is not counted.
        for round in 0..=ROUNDS {
            let theirs = carry(&broker.url(), &bare.exchange, count, fan_out, &sink).await;
            let ours =
                carry(&broker.url(), &format!("{}.publish", home.prefix), count, fan_out, &sink)
                    .await;
            let exchange = format!("{}.publish", forgetful.prefix);
            let forgotten = carry(&broker.url(), &exchange, count, fan_out, &sink).await;
            if round > 0 {
                println!(
                    "{fan_out:>8} {count:>7} {theirs:>12.0} {ours:>12.0} {:>7.2} \
                        {forgotten:>14.0} {:>8.2}",
                    ours / theirs,
                    ours / forgotten
                );
                ratios.push(ours / theirs);
                costs.push(ours / forgotten);
            }
        }
        println!("{fan_out:>8} {:>34} {:>7.2} {:>23.2}", "median", median(ratios), median(costs));
        bare.stop();
        assert!(daemon.terminate().success());
        assert!(without_history.terminate().success());
    }
}

/// A daemon with this many robots on the topic of the bench.
fn home_of(broker: &broker::Broker, sink: &Sink, fan_out: usize, more: &str) -> daemon::Home {
    let home =
        daemon::Home::new(broker, &sink.url(), more).with("level = \"debug\"", "level = \"warn\"");
    for number in 0..fan_out {
        home.subscribe("bench", "wecom", &format!("bench-{number:05}"), &[]);
    }
    home
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Publishes events and waits until all their deliveries arrived. Returns deliveries per second.
async fn carry(url: &str, exchange: &str, count: usize, fan_out: usize, sink: &Sink) -> f64 {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (before, began) = (sink.received(), Instant::now());
    for batch in (0..count).collect::<Vec<_>>().chunks(500) {
        let mut confirms = Vec::with_capacity(batch.len());
        for _ in batch {
            confirms.push(publish(&channel, exchange).await);
        }
        assert!(join_all(confirms).await.into_iter().all(|confirm| confirm.unwrap().is_ack()));
    }
    let wanted = before + count * fan_out;
    until("all deliveries arrive", Duration::from_secs(120), || async {
        sink.received() >= wanted
    })
    .await;
    let speed = (count * fan_out) as f64 / began.elapsed().as_secs_f64();
    connection.close(200, "done".into()).await.unwrap();
    speed
}

async fn publish(
    channel: &Channel,
    exchange: &str,
) -> impl Future<Output = lapin::Result<lapin::Confirmation>> {
    let id = uuid::Uuid::new_v4().to_string();
    let properties =
        BasicProperties::default().with_delivery_mode(2).with_message_id(id.as_str().into());
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(exchange.into(), "bench".into(), options, EVENT.as_bytes(), properties)
        .await
        .unwrap()
}

/// The minimum: consume, post, acknowledge.
struct Bare {
    exchange: String,
    task: tokio::task::JoinHandle<()>,
}

impl Bare {
    async fn start(url: &str, name: &str, sink: &str, fan_out: usize) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(
                name.into(),
                lapin::ExchangeKind::Topic,
                durable,
                FieldTable::default(),
            )
            .await
            .unwrap();
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(name.into(), durable, arguments).await.unwrap();
        channel
            .queue_bind(
                name.into(),
                name.into(),
                "#".into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
        let consumer = channel
            .basic_consume(
                name.into(),
                "".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();
        roomcast::send::install_crypto_provider();
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(IN_FLIGHT)
            .build()
            .unwrap();
        let target = format!("{sink}/cgi-bin/webhook/send?key=bare");
        let task = tokio::spawn(async move {
            let _connection = connection;
            let room = Arc::new(Semaphore::new(IN_FLIGHT));
            let mut consumer = consumer;
            while let Some(Ok(message)) = consumer.next().await {
                let (client, target, room) = (client.clone(), target.clone(), Arc::clone(&room));
                tokio::spawn(async move {
                    let posts = (0..fan_out).map(|_| async {
                        let _permit = room.acquire().await.unwrap();
                        let answer = client
                            .post(&target)
                            .header("content-type", "application/json")
                            .body(POST)
                            .send()
                            .await
                            .unwrap();
                        answer.bytes().await.unwrap();
                    });
                    join_all(posts).await;
                    message.acker.ack(BasicAckOptions::default()).await.unwrap();
                });
            }
        });
        Self { exchange: name.to_owned(), task }
    }

    fn stop(self) {
        self.task.abort();
    }
}

/// A server that answers every request at once, and counts.
struct Sink {
    port: u16,
    count: Arc<AtomicUsize>,
}

impl Sink {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(answer_all(stream, Arc::clone(&counter)));
            }
        });
        Self { port, count }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn received(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

async fn answer_all(mut stream: tokio::net::TcpStream, count: Arc<AtomicUsize>) {
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n\
          {\"errcode\":0,\"errmsg\":\"ok\"}";
    let mut buffer = Vec::new();
    loop {
        while let Some(length) = whole_request(&buffer) {
            buffer.drain(..length);
            count.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => (),
        }
    }
}

/// The length of the first request in the buffer, if it is complete.
fn whole_request(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?.to_ascii_lowercase();
    let length: usize =
        text.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
    (buffer.len() >= head + length).then_some(head + length)
}
