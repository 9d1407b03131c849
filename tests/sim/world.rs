//! The world: lasting doubles, and a sequence of processes between them.
//!
//! Owns the construction of the real modules, which `src/app.rs` does in the daemon.
//!
//! Not here: the doubles (`broker.rs`, `chats.rs`, `directory.rs`).

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::RngExt;
use roomcast::{
    app::{self, Dependencies},
    broker::Topology,
    clock::Clock,
    config::{Config, NoEnvironment},
    fanout::TemplateRegistry,
    pace::Pace,
    pipeline::{Pipeline, PipelineContext, SessionRedeliveries},
    settle::{GroupCommitter, InFlightRegistry, StepPublisher},
    telemetry::Telemetry,
};
use tempfile::TempDir;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    broker::{Broker, Prefetch},
    chats::{Chats, Network},
    dice::Seed,
    directory::Directory,
    faults::Faults,
    session::Session,
    time::{MILLI, Micros, SECOND, Time, moment},
    traffic::Publication,
};

/// The settings of the daemon, and the latency of the platforms.
#[derive(Clone)]
pub struct Setup {
    /// Settings besides the defaults, as in `roomcast.toml`.
    pub config: &'static str,
    /// The shortest and the longest time to an answer.
    pub latency: (Micros, Micros),
}

impl Default for Setup {
    fn default() -> Self {
        Self { config: "", latency: (20 * MILLI, 300 * MILLI) }
    }
}

/// The end of a process.
#[derive(Clone, Copy)]
pub enum End {
    /// It is killed at this time.
    Crash(Micros),
    /// It is asked to stop at this time.
    Stop(Micros),
    /// It is asked to stop when the broker has only dead letters left, or at this time.
    Drained(Micros),
}

/// A disturbance of the order: the end of a process or of a session.
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

/// The unacknowledged messages at one time.
pub struct Sample {
    pub at: Micros,
    pub unacked: usize,
    pub robots: usize,
}

pub struct World {
    pub seed: Seed,
    pub setup: Setup,
    pub config: Config,
    pub now: Micros,
    pub broker: Arc<Mutex<Broker>>,
    pub chats: Arc<Mutex<Chats>>,
    pub directory: Arc<Directory>,
    pub faults: Arc<Faults>,
    pub templates: TemplateRegistry,
    pub published: Vec<Publication>,
    pub disturbances: Arc<Mutex<Vec<Disturbance>>>,
    pub samples: Arc<Mutex<Vec<Sample>>>,
    disk: TempDir,
    lives: u64,
    /// The number of the last session that fails right after it opens.
    sessions_fail_until: u64,
}

impl World {
    pub fn new(seed: Seed, directory: Directory, faults: Faults, setup: Setup) -> Self {
        let config = Config::read("the scenario", setup.config, &NoEnvironment)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let topology = Topology::new(app::topology_settings(&config));
        let prefetch = Prefetch {
            events: usize::from(config.broker.prefetch),
            deliveries: usize::from(config.broker.prefetch_delivery),
        };
        Self {
            seed,
            setup,
            config,
            now: 0,
            broker: Arc::new(Mutex::new(Broker::new(topology, prefetch))),
            chats: Arc::new(Mutex::new(Chats::new(&directory.robots))),
            directory: Arc::new(directory),
            faults: Arc::new(faults),
            templates: TemplateRegistry::default(),
            published: Vec::new(),
            disturbances: Arc::default(),
            samples: Arc::default(),
            disk: disk(),
            lives: 0,
            sessions_fail_until: 0,
        }
    }

    pub fn publish(&mut self, publications: Vec<Publication>) {
        self.broker.lock().unwrap().publish(publications.iter().cloned());
        self.published.extend(publications);
    }

    /// Runs one process from its start to its end.
    pub fn live(&mut self, end: End) {
        self.lives += 1;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        self.now = runtime.block_on(self.process(end));
        let crash = matches!(end, End::Crash(_));
        // Dropped tasks may still write, which a killed process does not. So the next process gets
        // a copy of the disk from this moment.
        let _old = crash.then(|| {
            let copy = copy_of(&self.disk);
            std::mem::replace(&mut self.disk, copy)
        });
        // Every task is dropped at its current await.
        drop(runtime);
        let mut dice = self.seed.dice("crash", self.lives, 0);
        if crash {
            self.broker.lock().unwrap().crash(self.now, dice.random_bool(0.5));
            self.chats.lock().unwrap().crash(self.now, dice);
        }
        let what = if crash { Ending::Crash } else { Ending::Stop };
        self.disturbances.lock().unwrap().push(Disturbance { at: self.now, what });
    }

    /// The machine goes down after its process, before any of the journal reached the disk. The
    /// first session after it fails.
    pub fn go_down(&mut self) {
        fs::remove_dir_all(self.disk.path().join("journal")).unwrap();
        self.sessions_fail_until = self.broker.lock().unwrap().session() + 1;
    }

    /// No process runs for a while.
    pub fn rest(&mut self, wait: Micros) {
        self.now += wait;
    }

    async fn process(&self, end: End) -> Micros {
        let time = Time::from(self.now);
        let parts = self.parts(time);
        let stop = CancellationToken::new();
        tokio::spawn(sweep(Arc::clone(&parts)));
        tokio::spawn(sample(
            time,
            parts.pace.clone(),
            Arc::clone(&self.broker),
            Arc::clone(&self.samples),
        ));
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

    /// The shared parts of all sessions' pipelines.
    fn parts(&self, time: Time) -> Arc<PipelineContext> {
        let network = Network {
            chats: Arc::clone(&self.chats),
            time,
            seed: self.seed,
            faults: Arc::clone(&self.faults),
            latency: self.setup.latency,
        };
        let mut config = self.config.clone();
        config.store.dir = self.disk.path().to_owned();
        // The pipeline's random numbers are independent of the seed. Without jitter they have no
        // effect.
        config.retry.jitter = 0.0;
        let beyond = Dependencies {
            subscriptions: Arc::clone(&self.directory) as _,
            templates: self.templates.clone(),
            transport: Arc::new(network),
            clock: Clock::from(moment(time.now())),
            telemetry: Arc::new(Telemetry::new()),
        };
        app::build(&config, beyond).unwrap()
    }

    /// Runs one session after the other, like `app/sessions.rs`.
    async fn sessions(&self, parts: &Arc<PipelineContext>, time: Time, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            Arc::clone(&parts.ledger).begin_session(parts.clock.now()).await.unwrap();
            let session = Session::open(&self.broker, time, self.seed, &self.faults);
            if session.id <= self.sessions_fail_until {
                session.ended.end("it failed before anything was handed over".to_owned());
            }
            serve(&session, parts, stop).await;
            session.ended.end("it was closed".to_owned());
            let orderly = stop.is_cancelled();
            let mut dice = self.seed.dice("session", session.id, 0);
            self.broker.lock().unwrap().end_session(orderly || dice.random_bool(0.5));
            if !orderly {
                self.disturbances
                    .lock()
                    .unwrap()
                    .push(Disturbance { at: time.now(), what: Ending::Session });
            }
            stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await;
        }
    }
}

const DRAIN: Duration = Duration::from_secs(20);

async fn serve(session: &Session, parts: &Arc<PipelineContext>, stop: &CancellationToken) {
    let step_publisher: Arc<dyn StepPublisher> = Arc::new(session.clone());
    let committer = GroupCommitter {
        ledger: Arc::clone(&parts.ledger),
        pace_log: Arc::clone(&parts.pace_log),
        step_publisher: Arc::clone(&step_publisher),
        clock: parts.clock.clone(),
        recorded: Box::new(|_| ()),
        finish: CancellationToken::new(),
    };
    let (commits, committed) = committer.start();
    let ended = session.ended.clone();
    let on_unsettled = ended.clone();
    let stop_waiting = CancellationToken::new();
    let pipeline = Arc::new(Pipeline {
        parts: Arc::clone(parts),
        step_publisher,
        commits,
        stop_waiting: stop_waiting.clone(),
        in_flight: InFlightRegistry::default(),
        returned: SessionRedeliveries::default(),
        tasks: TaskTracker::new(),
        on_unsettled: Box::new(move |unsettled| on_unsettled.end(unsettled.to_string())),
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
        stop_waiting.cancel();
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

async fn sweep(parts: Arc<PipelineContext>) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        parts.pace.evict_idle_and_summarise();
        parts.pace.rotate_log().await.unwrap();
    }
}

async fn sample(
    time: Time,
    pace: Pace,
    broker: Arc<Mutex<Broker>>,
    samples: Arc<Mutex<Vec<Sample>>>,
) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (at, unacked) = (time.now(), broker.lock().unwrap().unacked());
        samples.lock().unwrap().push(Sample { at, unacked, robots: pace.robots().len() });
    }
}

/// A directory in memory if the machine has one, because it is fast.
fn disk() -> TempDir {
    let memory = Path::new("/dev/shm");
    let disk = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    disk.unwrap()
}

fn copy_of(old: &TempDir) -> TempDir {
    let new = disk();
    for room in ["ledger", "journal"] {
        fs::create_dir(new.path().join(room)).unwrap();
        for file in fs::read_dir(old.path().join(room)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), new.path().join(room).join(file.file_name())).unwrap();
        }
    }
    new
}

/// The earliest restart of a killed process.
pub const RESTART: Micros = SECOND / 2;
