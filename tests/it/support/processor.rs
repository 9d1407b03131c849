//! The share of the processor that processes outside of this test's tree take.
//!
//! Owns the reading of `/proc`. The tree is this process with the daemon, broker and emulator below
//! it. So a slow daemon takes no share that counts here, and nor does another test of this process.
//!
//! Not here: the bounds of the tests that judge times.

use std::{collections::BTreeMap, fs, time::Duration};

/// For how long a machine may stand still of which other processes take everything.
const STANDSTILL: Duration = Duration::from_secs(10);

/// A measurement that has begun.
pub struct OutsideLoad {
    began: Ticks,
}

/// Clock ticks of all processors.
struct Ticks {
    all: u64,
    busy: u64,
    /// Those of this tree, including ended processes.
    own: u64,
}

impl OutsideLoad {
    pub fn begin() -> Self {
        Self { began: Ticks::now() }
    }

    /// The share that other processes took since the beginning: 0 on a quiet machine, below 1.
    pub fn share(&self) -> f64 {
        let now = Ticks::now();
        let busy = now.busy - self.began.busy;
        // A process outside of the tree cannot make this number smaller.
        let outside = busy.saturating_sub(now.own.saturating_sub(self.began.own));
        outside as f64 / (now.all - self.began.all).max(1) as f64
    }

    /// How much later than on a quiet machine something may happen.
    pub fn delay(&self) -> Duration {
        STANDSTILL.mul_f64(self.share())
    }
}

impl Ticks {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap();
        let line: Vec<u64> = text
            .lines()
            .next()
            .unwrap()
            .split_whitespace()
            .skip(1)
            .map(|number| number.parse().unwrap())
            .collect();
        // Interrupts are part of all ticks, but of no process: this tree causes most of them.
        let [user, nice, system, _idle, _iowait, _irq, _softirq, steal, ..] = line[..] else {
            panic!("/proc/stat has other columns: {line:?}");
        };
        // The last two columns are part of the first two.
        Self { all: line[..8].iter().sum(), busy: user + nice + system + steal, own: own_ticks() }
    }
}

/// The ticks of this process and its descendants, and of their descendants that have ended.
fn own_ticks() -> u64 {
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    let mut ticks = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Ok(pid) = entry.unwrap().file_name().to_string_lossy().parse::<u32>() else { continue };
        // A process may end meanwhile. Then its parent has its ticks.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let (parent, spent) = parent_and_ticks(&stat);
        children.entry(parent).or_default().push(pid);
        ticks.insert(pid, spent);
    }
    let (mut sum, mut tree) = (0, vec![std::process::id()]);
    while let Some(pid) = tree.pop() {
        sum += ticks.get(&pid).unwrap_or(&0);
        tree.extend(children.remove(&pid).unwrap_or_default());
    }
    sum
}

/// The parent of a process, and its ticks with those of its ended children.
fn parent_and_ticks(stat: &str) -> (u32, u64) {
    // The name of the program may contain spaces and brackets.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split_whitespace().collect();
    let ticks = fields[11..15].iter().map(|number| number.parse::<u64>().unwrap()).sum();
    (fields[1].parse().unwrap(), ticks)
}
