//! The cost of pacing: time per decision and bytes per robot, with one, a thousand and a million
//! robots.
//!
//! `cargo bench --bench pace`. Times are means over all decisions of a row. Bytes are allocated
//! bytes per robot, counted by the allocator. The resident memory is printed beside them, because
//! the allocator keeps free pages.
//!
//! Owns both measurements.
//!
//! Not here: whole deliveries (`end_to_end.rs`).
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench that meets the unexpected stops"
)]

use std::{
    alloc::System,
    collections::BTreeMap,
    fs,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use roomcast::{
    clock::Clock,
    domain::{
        AttemptOutcome, Event, EventContent, EventId, OverflowPolicy, Platform, PlatformMap,
        PublishedMessage, RobotId, SubscriptionId, Timestamp, Verdict,
    },
    pace::{
        AdmissionRequest, AppendFailed, BreakerPolicy, CheckpointDue, HealthPolicy,
        MonotonicWallClock, Pace, PaceDecision, PaceLimits, PaceLog, PaceLogUnavailable,
        PaceRecord, PaceSettings, PlatformQuota, QueuePosition, WindowQuota,
    },
    port::{PortFuture, at_once},
    settings::Section as _,
    store::{Journal, JournalSettings},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const QUOTA: u32 = 20;
const SPAN: Duration = Duration::from_secs(60);
/// Deliveries that wait for each robot beyond its quota.
const BACKLOG: u32 = 10;
/// Small rows are repeated until they have this many decisions, so that their means are stable.
const DECISIONS: usize = 200_000;

const NOW: Timestamp = Timestamp::from_unix_millis(1_700_000_000_000);

fn main() {
    println!(
        "{:>9} | {:>8} {:>8} {:>8} {:>8} | {:>8} {:>8} {:>8} {:>8} | {:>8}",
        "robots",
        "new ns",
        "go ns",
        "later ns",
        "noted ns",
        "B first",
        "B full",
        "B queued",
        "B idle",
        "MB held"
    );
    for count in [1, 1_000, 1_000_000] {
        // The clock is paused, so the bench controls when windows fill and empty. Reading it costs
        // no less than reading the real one.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let row = runtime.block_on(measure(count));
        println!(
            "{count:>9} | {:>8.0} {:>8.0} {:>8.0} {:>8.0} | {:>8.0} {:>8.0} {:>8.0} \
             {:>8.2} | {:>8}",
            row.new,
            row.go,
            row.later,
            row.noted,
            row.first,
            row.full,
            row.queued,
            row.idle,
            row.held
        );
    }
}

#[derive(Default)]
struct Row {
    /// Nanoseconds per message, from the request to the verdict: a robot's first message, further
    /// ones with room in the window, a deferral, and a message with the journal.
    new: f64,
    go: f64,
    later: f64,
    noted: f64,
    /// Bytes per robot: after its first message, with a full window, with a backlog as well, and
    /// after the idle robot was evicted.
    first: f64,
    full: f64,
    queued: f64,
    idle: f64,
    /// Resident megabytes with the backlog.
    held: usize,
}

/// A journal that stores nothing.
struct Unwritten;

#[async_trait]
impl PaceLog for Unwritten {
    fn append(&self, record: &PaceRecord) -> PortFuture<'static, Result<(), AppendFailed>> {
        black_box(record);
        at_once(Ok(()))
    }

    async fn sync(self: Arc<Self>) -> Result<(), PaceLogUnavailable> {
        Ok(())
    }

    async fn begin_checkpoint(
        self: Arc<Self>,
    ) -> Result<Option<CheckpointDue>, PaceLogUnavailable> {
        Ok(None)
    }

    async fn complete_checkpoint(
        self: Arc<Self>,
        _: CheckpointDue,
    ) -> Result<(), PaceLogUnavailable> {
        Ok(())
    }

    fn remember(&self, _: Duration) {}
}

async fn measure(count: usize) -> Row {
    let robots: Vec<_> = (0..count).map(robot).collect();
    let rounds = (DECISIONS / count).clamp(1, 1000);
    let mut row = Row::default();
    for _ in 0..rounds {
        let lanes = Lanes::new(Arc::new(Unwritten));
        let before = allocated();
        let bytes = |now: usize| now.saturating_sub(before) as f64 / count as f64;
        row.new += timed(lanes.send(&robots, 1)).await / count as f64;
        row.first = bytes(allocated());
        row.go +=
            timed(lanes.send(&robots, QUOTA - 1)).await / (count as f64 * f64::from(QUOTA - 1));
        row.full = bytes(allocated());
        row.later += timed(lanes.wait(&robots)).await / (count as f64 * f64::from(BACKLOG));
        row.queued = bytes(allocated());
        row.held = resident_megabytes();
        // All windows and all granted slots expire.
        tokio::time::advance(SPAN * 5).await;
        lanes.pace.evict_idle_and_summarise();
        row.idle = bytes(allocated());
    }
    row.noted = noted(&robots).await;
    row.new /= rounds as f64;
    row.go /= rounds as f64;
    row.later /= rounds as f64;
    row
}

/// Nanoseconds per message with a journal: in a memory file system where the machine has one,
/// otherwise on the disk.
async fn noted(robots: &[RobotId]) -> f64 {
    let memory = std::path::Path::new("/dev/shm");
    let folder =
        if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let settings = JournalSettings { dir: folder.path().join("journal"), window: SPAN };
    let (journal, _) = Journal::open(settings, Clock::from(NOW)).unwrap();
    let lanes = Lanes::new(Arc::new(journal));
    timed(lanes.send(robots, 2)).await / (robots.len() as f64 * 2.0)
}

/// The pacer, and the input of its requests.
struct Lanes {
    pace: Pace,
    event: Arc<Event>,
    stop_waiting: CancellationToken,
}

impl Lanes {
    fn new(pace_log: Arc<dyn PaceLog>) -> Self {
        let event = Event {
            id: EventId::new("e"),
            topic: "t".parse().unwrap(),
            content: EventContent::default(),
            urgent: false,
            received_at: NOW,
            expires_at: NOW.after(Duration::from_secs(24 * 3600)),
            published: PublishedMessage::default(),
        };
        let pace = Pace::new(settings(), pace_log, MonotonicWallClock::starting(Clock::from(NOW)));
        Self { pace, event: Arc::new(event), stop_waiting: CancellationToken::new() }
    }

    async fn wait_for_permit(&self, robot: RobotId) -> PaceDecision {
        let ask = self.enqueue(robot);
        self.pace.wait_for_permit(&ask, self.pace.enqueue(&ask), &self.stop_waiting).await
    }

    fn enqueue(&self, robot: RobotId) -> AdmissionRequest<'_> {
        AdmissionRequest {
            robot,
            platform: Platform::DingTalk,
            subscription: SubscriptionId::from_bytes(*robot.as_bytes()),
            overflow: OverflowPolicy::Queue,
            group: None,
            event: &self.event,
            position: QueuePosition::Tail,
            waited_for: None,
            early: true,
        }
    }

    /// Sends and delivers `each` messages for every robot.
    async fn send(&self, robots: &[RobotId], each: u32) {
        for _ in 0..each {
            for robot in robots {
                let PaceDecision::Granted(mut permit, _) = self.wait_for_permit(*robot).await
                else {
                    panic!("the window is open")
                };
                permit.mark_sent(false).await.unwrap();
                black_box(permit.finish(
                    &AttemptOutcome::new(Verdict::Delivered, "0", "ok"),
                    Duration::from_millis(50),
                ));
            }
        }
    }

    /// Requests permits for the backlog of every robot, while all windows are full.
    async fn wait(&self, robots: &[RobotId]) {
        for _ in 0..BACKLOG {
            for robot in robots {
                let PaceDecision::Deferred(later) = self.wait_for_permit(*robot).await else {
                    panic!("the window is full")
                };
                black_box(later);
            }
        }
    }
}

fn settings() -> PaceSettings {
    let quota = PlatformQuota {
        windows: vec![WindowQuota { max: QUOTA, span: SPAN }],
        margin: Duration::from_millis(500),
        rate_per_second: None,
        penalty_min: SPAN,
        penalty_max: SPAN,
    };
    PaceSettings {
        limits: PaceLimits { order_gap: Duration::ZERO, ..PaceLimits::by_default().unwrap() },
        quotas: PlatformMap::from_fn(|_| quota.clone()),
        hosts: PlatformMap::from_fn(|platform| platform.to_string()),
        health: HealthPolicy::by_default().unwrap(),
        breaker: BreakerPolicy::by_default().unwrap(),
        groups: BTreeMap::new(),
    }
}

/// An id as evenly distributed as the keyed hash of a real robot.
fn robot(number: usize) -> RobotId {
    let spread = (number as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C83_1B5D_6A8F);
    RobotId::from_bytes(spread.to_be_bytes())
}

/// Nanoseconds of real time.
async fn timed(work: impl Future<Output = ()>) -> f64 {
    let began = Instant::now();
    work.await;
    began.elapsed().as_nanos() as f64
}

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn resident_megabytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096 / 1_048_576
}
