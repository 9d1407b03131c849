//! What goes wrong, and how often. Each run leaves out some kinds at random: what hides behind a frequent fault shows when that one is away.

use rand::{RngExt, rngs::SmallRng};

use crate::{
    dice::Seed,
    time::{MILLI, Micros, SECOND},
};

/// The longest an attempt may take, as `send.deadline` has it.
pub const DEADLINE: Micros = 15 * SECOND;

#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The share of next steps whose confirm takes seconds.
    pub late_confirms: f64,
    /// The share of next steps whose confirm never comes; half of them are stored all the same.
    pub lost_confirms: f64,
    /// The share of next steps that the broker refuses.
    pub refused_steps: f64,
    /// The share of posts that take seconds, some beyond the deadline.
    pub slow: f64,
    /// The share of posts that arrive and are answered 500.
    pub errors: f64,
    /// The share of posts that arrive and whose answer is lost.
    pub lost_answers: f64,
    /// The share of posts that never arrive.
    pub unreachable: f64,
    /// After this nothing goes wrong any more.
    pub until: Micros,
}

/// What happens to one post.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// When it arrives, after having been sent; nothing if it never does.
    pub arrives_in: Option<Micros>,
    /// When whoever sent it knows how it ended.
    pub known_in: Micros,
    pub answer: Reply,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply {
    /// The platform answers as it does.
    Own,
    /// The platform answers 500.
    Error,
    /// No answer comes; our code for it.
    None(&'static str),
}

/// What happens to one next step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storing {
    pub stored: bool,
    /// When the broker says so; nothing if it never does.
    pub known_in: Option<Micros>,
}

impl Faults {
    /// Some kinds of faults, until `until`. Each of those that end sessions ends about two dozen at the most where `steps` next steps are
    /// stored.
    pub fn swarm(seed: Seed, until: Micros, steps: f64) -> Self {
        let mut dice = seed.dice("swarm", 0, 0);
        let mut share = |most: f64| if dice.random_bool(0.6) { dice.random_range(most / 10.0..most) } else { 0.0 };
        Self {
            late_confirms: share(0.05),
            lost_confirms: share(25.0 / steps),
            refused_steps: share(25.0 / steps),
            slow: share(0.02),
            errors: share(0.05),
            lost_answers: share(0.01),
            unreachable: share(0.02),
            until,
        }
    }

    pub fn post(&self, mut dice: SmallRng, now: Micros, latency: (Micros, Micros)) -> Fate {
        let took = dice.random_range(latency.0..=latency.1);
        let arrives_in = Some(dice.random_range(0..=took));
        let plain = Fate { arrives_in, known_in: took, answer: Reply::Own };
        let mut left: f64 = if now < self.until { dice.random() } else { 1.0 };
        let mut hit = |share: f64| {
            left -= share;
            left < 0.0
        };
        if hit(self.slow) {
            let took = dice.random_range(2 * SECOND..20 * SECOND);
            let known_in = took.min(DEADLINE);
            let answer = if took > DEADLINE { Reply::None("timeout") } else { Reply::Own };
            Fate { arrives_in: Some(dice.random_range(0..=known_in)), known_in, answer }
        } else if hit(self.errors) {
            Fate { answer: Reply::Error, ..plain }
        } else if hit(self.lost_answers) {
            if dice.random_bool(0.5) {
                Fate { known_in: DEADLINE, answer: Reply::None("timeout"), ..plain }
            } else {
                Fate { answer: Reply::None("broken"), ..plain }
            }
        } else if hit(self.unreachable) {
            Fate { arrives_in: None, known_in: took, answer: Reply::None("connect") }
        } else {
            plain
        }
    }

    pub fn storing(&self, mut dice: SmallRng, now: Micros) -> Storing {
        let plain = Storing { stored: true, known_in: Some(dice.random_range(MILLI..6 * MILLI)) };
        let mut left: f64 = if now < self.until { dice.random() } else { 1.0 };
        let mut hit = |share: f64| {
            left -= share;
            left < 0.0
        };
        if hit(self.late_confirms) {
            Storing { known_in: Some(dice.random_range(100 * MILLI..8 * SECOND)), ..plain }
        } else if hit(self.lost_confirms) {
            Storing { stored: dice.random_bool(0.5), known_in: None }
        } else if hit(self.refused_steps) {
            Storing { stored: false, ..plain }
        } else {
            plain
        }
    }
}
