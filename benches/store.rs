//! The cost of the store, and how it grows with the number of subscriptions.
//!
//!     cargo bench --bench store [-- 1000 100000 1000000]
//!
//! Each topic has a hundred subscriptions. Each step is measured in the store that the import left.
//! Opening is measured in a process of its own, with the file in the page cache.
//!
//! Owns the numbers for lookups, changes, opening, and the ledger.
//!
//! Not here: the cost of whole deliveries (`end_to_end.rs`).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement that meets the unexpected fails by panicking"
)]

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use roomcast::{
    crypto::MasterKey,
    domain::{
        Endpoint, Platform, PrivateOptions, PrivateOptionsPatch, Secret, SubscriptionId,
        SubscriptionOptions, SubscriptionPatch, SubscriptionSpec, SubscriptionState, TopicName,
    },
    fanout::{OpenedRecipient, Subscriptions},
    settle::{Ledger, LedgerKey, LedgerMark, LedgerRecord},
    store::{FileLedger, LedgerSettings, Store, StoreSettings},
};

const ON_TOPIC: usize = 100;
const BATCH: usize = 512;
const SAMPLES: usize = 500;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, dir] = arguments.as_slice()
        && mode == "open"
    {
        return opened(Path::new(dir));
    }
    let mut sizes: Vec<usize> = arguments.iter().map(|size| size.parse().unwrap()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 100_000, 1_000_000];
    }
    for size in sizes {
        measure(size);
    }
    one_topic(100_000);
    ledger();
}

fn master(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

fn topic(number: usize) -> TopicName {
    format!("topic-{number:06}").parse().unwrap()
}

fn subscription(topic: TopicName, number: usize) -> SubscriptionSpec {
    SubscriptionSpec {
        topic,
        platform: Platform::DingTalk,
        endpoint: Endpoint::new(format!(
            "https://oapi.dingtalk.com/robot/send?access_token={number:064x}"
        )),
        secret: Some(Secret::new(format!("SEC{number:064x}"))),
        private: PrivateOptions {
            name: Some(format!("team {number}")),
            ..PrivateOptions::default()
        },
        options: SubscriptionOptions::default(),
        state: SubscriptionState::Active,
    }
}

/// The bytes of a subscription in one line of an import.
fn payload(one: &SubscriptionSpec) -> usize {
    let secret = one.secret.as_ref().map_or(0, |secret| secret.expose().len());
    let texts = one.topic.as_str().len()
        + one.endpoint.expose().len()
        + secret
        + one.private.name.as_ref().map_or(0, String::len);
    texts + r#"{"topic":"","platform":"dingtalk","endpoint":"","secret":"","name":""}"#.len() + 1
}

fn open(dir: &Path, key: u8) -> Store {
    Store::open(&StoreSettings::at(dir.to_owned()), &master(key), roomcast::clock::Clock::System)
        .unwrap()
}

fn measure(size: usize) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let store = open(dir.path(), 1);
    println!("== {size} subscriptions, {ON_TOPIC} on each topic");

    let (began, importing) = (Instant::now(), AtomicBool::new(true));
    let mut bytes = 0;
    let beside = std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut times = Vec::new();
            while importing.load(Ordering::Relaxed) {
                let began = Instant::now();
                runtime
                    .block_on(store.page(&topic(rand::random_range(0..size / ON_TOPIC)), None))
                    .unwrap();
                times.push(began.elapsed());
                std::thread::sleep(Duration::from_millis(2));
            }
            times
        });
        for first in (0..size).step_by(BATCH) {
            let batch: Vec<_> = (first..(first + BATCH).min(size))
                .map(|n| subscription(topic(n / ON_TOPIC), n))
                .collect();
            bytes += batch.iter().map(payload).sum::<usize>();
            store.add_all(batch).unwrap();
        }
        importing.store(false, Ordering::Relaxed);
        looking.join().unwrap()
    });
    let took = began.elapsed();
    println!(
        "import            {:>9.1} s   {:>8.0} a second",
        took.as_secs_f64(),
        size as f64 / took.as_secs_f64()
    );
    report("page, while importing", beside);
    let used = disk(dir.path());
    println!(
        "disk              {:>9.1} MB  {:>8.2} times the payload",
        used as f64 / 1e6,
        used as f64 / bytes as f64
    );

    let samples = SAMPLES.min(size / ON_TOPIC);
    let pick = || topic(rand::random_range(0..size / ON_TOPIC));
    report(
        "page, from the disk",
        (0..samples)
            .map(|at| {
                let topic = topic(at * (size / ON_TOPIC / samples));
                time(|| runtime.block_on(store.page(&topic, None)).unwrap())
            })
            .collect(),
    );
    let busy = pick();
    runtime.block_on(store.page(&busy, None)).unwrap();
    report(
        "page, of a busy topic",
        (0..samples).map(|_| time(|| runtime.block_on(store.page(&busy, None)).unwrap())).collect(),
    );
    let ids: Vec<SubscriptionId> = (0..samples)
        .map(|_| {
            runtime.block_on(store.page(&pick(), None)).unwrap().recipients
                [rand::random_range(0..ON_TOPIC)]
            .subscription
        })
        .collect();
    report(
        "find by id",
        ids.iter().map(|id| time(|| runtime.block_on(store.find(*id)).unwrap())).collect(),
    );
    let found: Vec<_> =
        ids.iter().filter_map(|id| runtime.block_on(store.find(*id)).unwrap()).collect();
    report(
        "open for an attempt",
        found.iter().map(|one| time(|| store.open_recipient(one))).collect(),
    );
    let fresh = "fresh".parse::<TopicName>().unwrap();
    report(
        "add",
        (0..samples)
            .map(|n| time(|| store.add(subscription(fresh.clone(), size + n)).unwrap()))
            .collect(),
    );
    let rename = |n: usize| SubscriptionPatch {
        private: PrivateOptionsPatch {
            name: Some(Some(format!("renamed {n}"))),
            ..PrivateOptionsPatch::default()
        },
        ..SubscriptionPatch::default()
    };
    report(
        "update",
        ids.iter().zip(0..).map(|(id, n)| time(|| store.update(*id, rename(n)).unwrap())).collect(),
    );
    let mut gone = ids.clone();
    gone.sort();
    gone.dedup();
    report("remove", gone.iter().map(|id| time(|| store.remove(*id).unwrap())).collect());

    let took = time(|| {
        store.begin_rotation(&master(2)).unwrap();
        store.replace_key_in_place().unwrap();
        store.rotate().unwrap();
    });
    assert!(store.key_status().old.is_none());
    println!(
        "rotate master key {:>9.1} s   {:>8.0} a second",
        took.as_secs_f64(),
        size as f64 / took.as_secs_f64()
    );
    // A copy of the open store equals the files that a kill leaves behind.
    let killed = tempfile::tempdir().unwrap();
    copy(dir.path(), killed.path());
    let took = time(|| store.reseal().unwrap());
    println!(
        "seal anew         {:>9.1} s   {:>8.0} a second",
        took.as_secs_f64(),
        size as f64 / took.as_secs_f64()
    );
    println!(
        "disk after        {:>9.1} MB  {:>8.2} times the payload",
        disk(dir.path()) as f64 / 1e6,
        disk(dir.path()) as f64 / bytes as f64
    );
    println!("memory of all     {:>9.0} MB", resident());
    let (backup, verified) =
        (dir.path().join("backup"), time(|| assert!(store.verify().unwrap().is_sound())));
    let took = time(|| store.backup(&backup).unwrap());
    let kept = disk(&backup);
    fs::remove_dir_all(&backup).unwrap();
    println!(
        "backup            {:>9.1} s   {:>8.1} MB: \
         of what is kept, the disk after the import was {:.2} times",
        took.as_secs_f64(),
        kept as f64 / 1e6,
        used as f64 / kept as f64
    );
    println!("verify            {:>9.1} s", verified.as_secs_f64());
    drop(store);
    for (what, dir) in [("open, after a kill", killed.path()), ("open, after a stop", dir.path())] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["open", &dir.display().to_string()])
            .output()
            .unwrap();
        print!("{what:<22}{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A single topic with all subscriptions, read as fan-out does.
fn one_topic(size: usize) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = open(dir.path(), 1);
    for first in (0..size).step_by(BATCH) {
        store
            .add_all(
                (first..(first + BATCH).min(size)).map(|n| subscription(topic(0), n)).collect(),
            )
            .unwrap();
    }
    println!("== {size} subscriptions on one topic");
    let (mut after, mut times, mut heard) = (None, Vec::new(), 0);
    let began = Instant::now();
    loop {
        let began = Instant::now();
        let page = runtime.block_on(store.page(&topic(0), after)).unwrap();
        times.push(began.elapsed());
        heard += page.recipients.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(heard, size);
    println!("all pages         {:>9.0} ms", began.elapsed().as_secs_f64() * 1e3);
    report("page of 256", times);
}

/// The size of the ledger after ten million deliveries, a hundred per event, at full speed.
fn ledger() {
    const EVENTS: u64 = 100_000;
    let dir = tempfile::tempdir().unwrap();
    let settings =
        LedgerSettings { dir: dir.path().join("ledger"), window: Duration::from_secs(600) };
    let clock = roomcast::clock::Clock::System;
    let ledger = Arc::new(FileLedger::open(settings.clone(), clock.now()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let append = |records: Vec<LedgerRecord>| {
        runtime.block_on(Arc::clone(&ledger).append(records, clock.now())).unwrap();
    };
    let (began, mut largest) = (Instant::now(), 0);
    for first in (0..EVENTS).step_by(50) {
        let key = |number: u64| LedgerKey(std::array::from_fn(|at| number.to_be_bytes()[at % 8]));
        let done = |half: u8| (0..50).map(|n| LedgerMark([half + n; 16])).collect();
        let partial = |number, half| LedgerRecord::Partial {
            key: key(number),
            fingerprint: [0; 16],
            event: [0; 16],
            done: done(half),
        };
        // One commit settles half of an event's deliveries, the next commit the other half and the
        // event.
        append((first..first + 50).map(|number| partial(number, 0)).collect());
        let closed = |number| LedgerRecord::Closed { key: key(number) };
        append((first..first + 50).map(closed).collect());
        if first % 1000 == 0 {
            largest = largest.max(disk(&settings.dir));
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!(
        "== ten million deliveries through the ledger: {took:.1} s, at most {:.1} MB on the disk",
        largest as f64 / 1e6
    );
}

/// In a process of its own: the time to open the store, and the memory for that and for a thousand
/// pages.
fn opened(dir: &Path) {
    let began = Instant::now();
    let store = open(dir, 2);
    let (took, at_once) = (began.elapsed(), resident());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let topics = store.key_status().data_keys / ON_TOPIC;
    for _ in 0..1000 {
        runtime.block_on(store.page(&topic(rand::random_range(0..topics)), None)).unwrap();
    }
    println!(
        "{:>7.0} ms   {at_once:.0} MB at once, {:.0} MB after a thousand pages",
        took.as_secs_f64() * 1e3,
        resident()
    );
}

/// Opens a recipient as an attempt does.
trait OpenRecipient {
    fn open_recipient(&self, recipient: &roomcast::fanout::Recipient);
}

impl OpenRecipient for Store {
    fn open_recipient(&self, recipient: &roomcast::fanout::Recipient) {
        let opened = Subscriptions::open(self, recipient).now_or_never();
        let opened = opened.unwrap().unwrap();
        assert!(matches!(opened, OpenedRecipient::Subscription(_)));
    }
}

fn time<T>(act: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    std::hint::black_box(act());
    began.elapsed()
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
    println!(
        "{what:<22}{:>9.1} us  median, {:>9.1} us at 99 %   ({} samples)",
        at(0.5),
        at(0.99),
        times.len()
    );
}

fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1e3
}

fn disk(dir: &Path) -> u64 {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            if data.is_dir() { disk(&entry.path()) } else { data.len() }
        })
        .sum()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target)
        } else {
            fs::copy(&path, &target).map(|_| ()).unwrap()
        }
    }
}
