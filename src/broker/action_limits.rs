//! The limits of an action on dead letters: when it waits, ends a walk, and leaves a queue.
//!
//! Owns the rate of an action, and the rule that an action leaves a queue only after walks in a row
//! without effect.
//!
//! Not here: the walks (`dead_letter_action.rs`).

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The number of letters that are processed before they are acked. After an interruption, at most
/// this many are redriven and dead at once.
pub(super) const PORTION: u16 = 256;

/// The maximum time for which a walk holds letters. Then other walks get a chance.
const HOLD_MAX: Duration = Duration::from_secs(20);

/// The number of walks in a row without effect after which the action leaves a queue, because other
/// consumers hold the letters.
const FRUITLESS_PASSES_MAX: u32 = 3;

/// The result of one walk of an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
    /// The number of acked letters, including those whose earlier ack was lost.
    pub(super) acked: u64,
    /// Whether it ended before the end of the queue.
    pub(super) early: bool,
    /// The number of letters that it did not meet, because other consumers hold them.
    pub(super) missed: u64,
}

/// Counts the walks of an action through one queue that had no effect.
#[derive(Default)]
pub(super) struct FruitlessPasses {
    in_a_row: u32,
    /// Whether the last walk ended early and gave letters back.
    given_back: bool,
}

impl FruitlessPasses {
    /// Whether the action leaves the queue after this walk. Walks are repeated until none meets a
    /// processed letter, because the broker may lose an ack.
    pub(super) fn leaves_queue_after(&mut self, pass: &Passed) -> bool {
        let fruitless = pass.acked == 0 && !pass.early;
        if fruitless {
            self.in_a_row += 1;
        } else if pass.acked > 0 {
            self.in_a_row = 0;
        }
        // A selected letter that no walk meets is gone, unless another consumer holds it.
        let is_gone = pass.missed == 0 && !self.given_back;
        self.given_back = pass.early;
        fruitless && (is_gone || self.in_a_row >= FRUITLESS_PASSES_MAX)
    }
}

/// Whether a walk must end because it held its letters too long, including the wait ahead.
///
/// It must not end before its first action: if the first selected letter is far behind, every walk
/// takes long to reach it.
pub(super) fn is_held_too_long(has_acted: bool, held: Duration, wait: Duration) -> bool {
    has_acted && held + wait > HOLD_MAX
}

/// The rate of an action.
pub(super) struct RateLimiter {
    per_second: Option<f64>,
    began: Instant,
    /// The number of letters processed so far.
    pub(super) done: u64,
}

impl RateLimiter {
    pub(super) fn new(per_second: Option<f64>) -> Self {
        Self { per_second, began: Instant::now(), done: 0 }
    }

    /// The size of a batch: half a second's worth if there is a rate.
    pub(super) fn batch(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to what fits"
        )]
        self.per_second
            .map_or(PORTION.into(), |rate| (rate / 2.0).clamp(1.0, PORTION.into()) as usize)
    }

    /// The wait before the next batch.
    pub(super) fn wait(&self) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a count of letters is below 2^52")]
        let due = self
            .per_second
            .and_then(|rate| Duration::try_from_secs_f64(self.done as f64 / rate).ok());
        due.unwrap_or_default().saturating_sub(self.began.elapsed())
    }

    /// Waits for the next batch; `false` after a stop.
    pub(super) async fn rest(&self, stop: &CancellationToken) -> bool {
        let wait = self.wait();
        if wait.is_zero() {
            return !stop.is_cancelled();
        }
        stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_leaves_a_queue_after_three_walks_in_a_row_without_effect() {
        let acted = Passed { acked: 1, early: false, missed: 1 };
        let stopped = Passed { acked: 1, early: true, missed: 0 };
        let (vain, over) =
            (Passed { acked: 0, ..acted }, Passed { acked: 0, early: false, missed: 0 });
        for (what, walks, leaves_after) in [
            ("nothing is left", &[over][..], Some(1)),
            ("all was done", &[acted, over], Some(2)),
            ("others hold the rest", &[vain, vain, vain], Some(3)),
            ("others hold the rest now and then", &[vain, vain, acted, vain, vain, acted], None),
            ("then for good", &[vain, vain, acted, vain, vain, vain], Some(6)),
            // The letters that a walk gave back may not be there yet.
            ("just given back", &[stopped, over], None),
            ("given back before", &[stopped, over, over], Some(3)),
        ] {
            let mut fruitless = FruitlessPasses::default();
            let left = walks.iter().position(|walk| fruitless.leaves_queue_after(walk));
            assert_eq!(left.map(|at| at + 1), leaves_after, "{what}");
        }
    }

    #[test]
    fn letters_are_not_held_for_long_but_each_walk_acts_at_least_once() {
        let second = Duration::from_secs(1);
        for (what, has_acted, held, wait, too_long) in [
            ("just begun", true, second, second, false),
            ("held long", true, HOLD_MAX + second, Duration::ZERO, true),
            ("the next has to wait long", true, second, HOLD_MAX, true),
            ("the first was far behind", false, HOLD_MAX * 10, Duration::ZERO, false),
        ] {
            assert_eq!(is_held_too_long(has_acted, held, wait), too_long, "{what}");
        }
    }
}
