//! Faults of the doubles: their kinds and probabilities.
//!
//! Owns the random choice. Each run omits some kinds, because a frequent fault can hide others.
//!
//! Not here: crashes and stops of the process (`plans.rs`).

use rand::{RngExt, rngs::SmallRng};

use crate::{
    dice::Seed,
    time::{MILLI, Micros, SECOND},
};

/// The longest attempt, equal to `send.deadline`.
pub const DEADLINE: Micros = 15 * SECOND;

#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The share of next steps whose confirm takes seconds.
    pub late_confirms: f64,
    /// The share of next steps whose confirm never comes. Half of them are stored nevertheless.
    pub lost_confirms: f64,
    /// The share of next steps that a queue refuses; each is tried again.
    pub refused_steps: f64,
    /// The share of next steps that are routed to no queue, which ends the session.
    pub unrouted_steps: f64,
    /// The share of requests that take seconds, some longer than the deadline.
    pub slow: f64,
    /// The share of requests that arrive and are answered with 500.
    pub errors: f64,
    /// The share of requests that arrive and whose answer is lost.
    pub lost_answers: f64,
    /// The share of requests that never arrive.
    pub unreachable: f64,
    /// There are no faults after this time.
    pub until: Micros,
}

/// The fate of one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// The time from sending to arrival; `None` if it never arrives.
    pub arrives_in: Option<Micros>,
    /// The time until the sender learns the outcome.
    pub known_in: Micros,
    pub answer: Reply,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reply {
    /// The platform answers normally.
    Own,
    /// The platform answers with 500.
    Error,
    /// No answer comes; the value is roomcast's code for it.
    None(&'static str),
}

/// The fate of one next step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storing {
    pub end: StepEnd,
    /// The time until the broker confirms; `None` if it never does.
    pub known_in: Option<Micros>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepEnd {
    Stored,
    /// Its queue does not take it.
    Refused,
    /// It is routed to no queue, or lost on the way.
    Lost,
}

impl Faults {
    /// A random selection of faults until `until`. With `steps` next steps, each kind that ends
    /// sessions ends at most about two dozen.
    pub fn swarm(seed: Seed, until: Micros, steps: f64) -> Self {
        let mut dice = seed.dice("swarm", 0, 0);
        let mut share = |most: f64| {
            if dice.random_bool(0.6) { dice.random_range(most / 10.0..most) } else { 0.0 }
        };
        Self {
            late_confirms: share(0.05),
            lost_confirms: share(25.0 / steps),
            refused_steps: share(0.02),
            unrouted_steps: share(25.0 / steps),
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
        let plain =
            Storing { end: StepEnd::Stored, known_in: Some(dice.random_range(MILLI..6 * MILLI)) };
        let mut left: f64 = if now < self.until { dice.random() } else { 1.0 };
        let mut hit = |share: f64| {
            left -= share;
            left < 0.0
        };
        if hit(self.late_confirms) {
            Storing { known_in: Some(dice.random_range(100 * MILLI..8 * SECOND)), ..plain }
        } else if hit(self.lost_confirms) {
            Storing {
                end: if dice.random_bool(0.5) { StepEnd::Stored } else { StepEnd::Lost },
                known_in: None,
            }
        } else if hit(self.refused_steps) {
            Storing { end: StepEnd::Refused, ..plain }
        } else if hit(self.unrouted_steps) {
            Storing { end: StepEnd::Lost, ..plain }
        } else {
            plain
        }
    }
}
