//! The world: doubles that last, and one process after the other that lives between them. Everything that builds the real rooms is here.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::RngExt;
use roomcast::{
    broker::{Topology, TopologySettings},
    clock::Clock,
    domain::Platform,
    fanout::{Decoder, Settings as DecoderSettings},
    pace::{Pace, PlatformQuota, Settings as PaceSettings, WindowQuota},
    pipeline::{Parts, Pipeline},
    send::Sender,
    settle::{Committer, Outbox, RetryPolicy},
    store::{Ledger, LedgerSettings, Recovered},
    telemetry::Telemetry,
};
use tempfile::TempDir;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    broker::Broker,
    chats::{Chats, Network, limits},
    dice::Seed,
    directory::Directory,
    faults::Faults,
    session::Session,
    time::{MILLI, Micros, SECOND, Time, moment},
    traffic::Publication,
};

/// How the daemon of this world is set up; the defaults are those of `deploy/roomcast.toml`.
#[derive(Clone)]
pub struct Setup {
    pub margin: Duration,
    pub latency: (Micros, Micros),
    pub delays: Vec<u64>,
}

impl Default for Setup {
    fn default() -> Self {
        let delays = vec![5, 15, 60, 300, 900, 1800];
        Self { margin: Duration::from_millis(500), latency: (20 * MILLI, 300 * MILLI), delays }
    }
}

/// How the life of a process ends.
#[derive(Clone, Copy)]
pub enum End {
    /// It is killed at that time.
    Crash(Micros),
    /// It is told to stop at that time.
    Stop(Micros),
    /// It is told to stop when the broker has nothing left but dead letters, or at that time.
    Drained(Micros),
}

/// When the orderly course of things was broken: a process ended, or a session.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    pub at: Micros,
    pub what: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Crash,
    Stop,
    Session,
}

/// What was in hand at some moment.
pub struct Sample {
    pub at: Micros,
    pub unacked: usize,
    pub robots: usize,
}

pub struct World {
    pub seed: Seed,
    pub setup: Setup,
    pub now: Micros,
    pub broker: Arc<Mutex<Broker>>,
    pub chats: Arc<Mutex<Chats>>,
    pub directory: Arc<Directory>,
    pub faults: Arc<Faults>,
    pub published: Vec<Publication>,
    pub disturbances: Arc<Mutex<Vec<Disturbance>>>,
    pub samples: Arc<Mutex<Vec<Sample>>>,
    disk: TempDir,
    lives: u64,
}

impl World {
    pub fn new(seed: Seed, directory: Directory, faults: Faults, setup: Setup) -> Self {
        let memory = Path::new("/dev/shm");
        let disk = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self {
            seed,
            setup,
            now: 0,
            broker: Arc::new(Mutex::new(Broker::new(topology()))),
            chats: Arc::new(Mutex::new(Chats::new(&directory.robots))),
            directory: Arc::new(directory),
            faults: Arc::new(faults),
            published: Vec::new(),
            disturbances: Arc::default(),
            samples: Arc::default(),
            disk: disk.unwrap(),
            lives: 0,
        }
    }

    pub fn publish(&mut self, publications: Vec<Publication>) {
        self.broker.lock().unwrap().publish(publications.iter().cloned());
        self.published.extend(publications);
    }

    /// One process, from its start to its end.
    pub fn live(&mut self, end: End) {
        self.lives += 1;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        self.now = runtime.block_on(self.process(end));
        // Every task is dropped where it stands.
        drop(runtime);
        let mut dice = self.seed.dice("crash", self.lives, 0);
        let crash = matches!(end, End::Crash(_));
        if crash {
            self.broker.lock().unwrap().crash(self.now, dice.random_bool(0.5));
            self.chats.lock().unwrap().crash(self.now, dice);
        }
        let what = if crash { Ending::Crash } else { Ending::Stop };
        self.disturbances.lock().unwrap().push(Disturbance { at: self.now, what });
    }

    /// Nobody runs for a while.
    pub fn rest(&mut self, wait: Micros) {
        self.now += wait;
    }

    async fn process(&self, end: End) -> Micros {
        let time = Time::from(self.now);
        let parts = self.parts(time);
        let stop = CancellationToken::new();
        tokio::spawn(sweep(Arc::clone(&parts.pace)));
        tokio::spawn(sample(time, Arc::clone(&parts.pace), Arc::clone(&self.broker), Arc::clone(&self.samples)));
        let sessions = self.sessions(&parts, time, &stop);
        match end {
            End::Crash(at) => {
                tokio::select! {
                    biased;
                    () = time.sleep_until(at) => (),
                    () = sessions => unreachable!("nobody told the process to stop"),
                }
            }
            End::Stop(at) => {
                let told = async {
                    time.sleep_until(at).await;
                    stop.cancel();
                };
                tokio::join!(told, sessions);
            }
            End::Drained(most) => {
                let told = async {
                    while time.now() < most && !self.broker.lock().unwrap().is_empty() {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    stop.cancel();
                };
                tokio::join!(told, sessions);
            }
        }
        time.now()
    }

    /// What every session's pipeline shares, as `app/parts.rs` builds it.
    fn parts(&self, time: Time) -> Arc<Parts> {
        let now = moment(time.now());
        let clock = Clock::from(now);
        let settings = LedgerSettings { dir: self.disk.path().join("ledger"), window: Duration::from_secs(600) };
        let (ledger, Recovered { sent }) = Ledger::open(settings, now).unwrap();
        let hold_max = Duration::from_secs(2);
        let pace = Arc::new(Pace::new(PaceSettings { hold_max, quotas: quotas(self.setup.margin) }));
        let started = Instant::now();
        for (robot, platform, at) in sent {
            pace.charge(robot, platform, started.checked_sub(now.since(at)).unwrap_or(started));
        }
        let network = Network {
            chats: Arc::clone(&self.chats),
            time,
            seed: self.seed,
            faults: Arc::clone(&self.faults),
            latency: self.setup.latency,
        };
        Arc::new(Parts {
            decoder: Decoder::new(DecoderSettings {
                size_max: 262_144,
                time_to_live: Duration::from_secs(24 * 3600),
                time_to_live_max: Duration::from_secs(7 * 24 * 3600),
            }),
            subscriptions: Arc::clone(&self.directory) as _,
            pace,
            sender: Sender::new(Arc::new(network), [None, None, None, None]),
            ledger: Arc::new(ledger),
            retry: RetryPolicy {
                delays: self.setup.delays.iter().copied().map(Duration::from_secs).collect(),
                // The pipeline's dice are not the seed's: without jitter they decide nothing.
                jitter: 0.0,
                age_max: Duration::from_secs(24 * 3600),
                wait_max: Duration::from_secs(2 * 3600),
            },
            clock,
            telemetry: Arc::new(Telemetry::new()),
            hold_max,
            held: Arc::new(Semaphore::new(10_000)),
            held_urgent: Arc::new(Semaphore::new(10_000)),
            in_flight: Arc::new(Semaphore::new(256)),
        })
    }

    /// One session after the other, as `app/sessions.rs` has it.
    async fn sessions(&self, parts: &Arc<Parts>, time: Time, stop: &CancellationToken) {
        let mut recovering = Some(Instant::now());
        while !stop.is_cancelled() {
            let (ledger, now) = (Arc::clone(&parts.ledger), parts.clock.now());
            tokio::task::spawn_blocking(move || ledger.begin_session(now)).await.unwrap().unwrap();
            let session = Session::open(&self.broker, time, self.seed, &self.faults);
            serve(&session, parts, recovering.take(), stop).await;
            session.ended.end("it was closed".to_owned());
            let orderly = stop.is_cancelled();
            let mut dice = self.seed.dice("session", session.id, 0);
            self.broker.lock().unwrap().end_session(orderly || dice.random_bool(0.5));
            if !orderly {
                self.disturbances.lock().unwrap().push(Disturbance { at: time.now(), what: Ending::Session });
            }
            stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
        }
    }
}

const DRAIN: Duration = Duration::from_secs(20);

async fn serve(session: &Session, parts: &Arc<Parts>, recovering_since: Option<Instant>, stop: &CancellationToken) {
    let outbox: Arc<dyn Outbox> = Arc::new(session.clone());
    let committer =
        Committer { ledger: Arc::clone(&parts.ledger), outbox: Arc::clone(&outbox), clock: parts.clock.clone() };
    let (commits, committed) = committer.start();
    let ended = session.ended.clone();
    let on_stuck = ended.clone();
    let leave = CancellationToken::new();
    let pipeline = Arc::new(Pipeline {
        parts: Arc::clone(parts),
        outbox,
        commits,
        leave: leave.clone(),
        recovering_since,
        tasks: TaskTracker::new(),
        on_stuck: Box::new(move |stuck| on_stuck.end(stuck.to_string())),
    });
    {
        let work = pipeline.run(async || session.next().await);
        tokio::pin!(work);
        let finished = tokio::select! {
            biased;
            () = &mut work => true,
            () = ended.wait() => false,
            () = stop.cancelled() => false,
        };
        leave.cancel();
        if !finished {
            let impatient = async {
                stop.cancelled().await;
                tokio::time::sleep(DRAIN).await;
            };
            tokio::select! {
                biased;
                () = &mut work => (),
                () = impatient => (),
            }
        }
    }
    if let Ok(committed) = tokio::time::timeout(DRAIN, committed).await {
        committed.unwrap().unwrap();
    }
}

async fn sweep(pace: Arc<Pace>) {
    loop {
        tokio::time::sleep(Duration::from_secs(30)).await;
        pace.drop_idle();
    }
}

async fn sample(time: Time, pace: Arc<Pace>, broker: Arc<Mutex<Broker>>, samples: Arc<Mutex<Vec<Sample>>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (at, unacked) = (time.now(), broker.lock().unwrap().unacked());
        samples.lock().unwrap().push(Sample { at, unacked, robots: pace.robots().len() });
    }
}

fn quotas(margin: Duration) -> [PlatformQuota; 4] {
    Platform::ALL.map(|platform| {
        let windows = limits(platform).into_iter().map(|limit| WindowQuota {
            max: u32::try_from(limit.most).unwrap(),
            span: Duration::from_micros(limit.span),
        });
        let (least, most) = match platform {
            Platform::DingTalk | Platform::DingTalkInternal => (60, 600),
            Platform::Lark => (5, 60),
            Platform::WeCom => (60, 60),
        };
        PlatformQuota {
            windows: windows.collect(),
            margin,
            rate_per_second: Some(400),
            penalty_min: Duration::from_secs(least),
            penalty_max: Duration::from_secs(most),
        }
    })
}

fn topology() -> Topology {
    let tiers = [1, 5, 15, 60, 300, 1800, 7200].map(Duration::from_secs).to_vec();
    Topology::new(TopologySettings { prefix: "roomcast".to_owned(), tiers, delivery_limit: 1000 })
}

/// When a process that was killed is started again, at the earliest.
pub const RESTART: Micros = SECOND / 2;
