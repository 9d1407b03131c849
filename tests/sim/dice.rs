//! Random decisions.
//!
//! Owns reproducibility: each decision depends on the seed and on its subject, never on the order
//! of execution. So a seed repeats its run.
//!
//! Not here: the decisions themselves (`faults.rs`, `plans.rs`).

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::LazyLock,
};

use rand::{SeedableRng, rngs::SmallRng};

use crate::time::{Micros, SECOND};

#[derive(Clone, Copy, Debug)]
pub struct Seed(pub u64);

impl Seed {
    /// The dice for one subject: its kind and two numbers.
    pub fn dice(self, what: &str, one: u64, two: u64) -> SmallRng {
        let mut mixed = self.0;
        for part in what.bytes().map(u64::from).chain([one, two]) {
            mixed = (mixed ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        }
        SmallRng::seed_from_u64(mixed)
    }
}

/// Runs a scenario once for each seed: `runs` seeds from 1, unless the environment sets others.
pub fn each_seed(scenario: &str, runs: u64, run: impl Fn(Seed)) {
    let number = |name| {
        std::env::var(name).ok().map(|text| {
            text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
        })
    };
    let first = number("ROOMCAST_SIM_SEED");
    let runs = number("ROOMCAST_SIM_RUNS").unwrap_or(if first.is_some() { 1 } else { runs });
    for seed in first.unwrap_or(1)..first.unwrap_or(1) + runs {
        if let Err(failure) = catch_unwind(AssertUnwindSafe(|| run(Seed(seed)))) {
            println!(
                "seed {seed} failed; repeat it with\n  \
                 ROOMCAST_SIM_SEED={seed} cargo test --test sim {scenario}"
            );
            resume_unwind(failure);
        }
    }
}

/// Prints the history of the event whose number is in `ROOMCAST_SIM_TRACE`.
pub fn trace(event: u32, at: Micros, what: impl FnOnce() -> String) {
    static WANTED: LazyLock<Option<u32>> = LazyLock::new(|| {
        std::env::var("ROOMCAST_SIM_TRACE").ok().and_then(|text| text.parse().ok())
    });
    if *WANTED == Some(event) {
        println!("{:>12.6} event {event} {}", at as f64 / SECOND as f64, what());
    }
}
