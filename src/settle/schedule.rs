//! The waits between attempts of a failed delivery. Pure: the caller provides time and random
//! numbers.
//!
//! Owns how a wait is computed from the list of delays, the jitter, and the platform's request.
//!
//! Not here: whether a failure is retried at all (`decide.rs`), and the platform's rate (`pace/`).

use std::time::Duration;

use crate::settings::{ratio, section, some_duration};

section! {
    /// How failed attempts are repeated.
    pub struct RetryPolicy in "retry" {
        /// The wait after the first, second, … failed attempt. After the last one the delivery
        /// becomes a dead letter (`exhausted`).
        delays: Vec<Duration> =
            many(some_duration(), &["5s", "15s", "1m", "5m", "15m", "30m"]), AtStart;
        /// Each wait is lengthened at random by up to this share, so that failed deliveries do not
        /// return together.
        jitter: f64 = one(ratio(), "0.2"), AtStart;
        /// A delivery is not tried again once its event is older.
        age_max: Duration = one(some_duration(), "24h"), AtStart;
        /// The longest wait that a platform may request. Longer ones are cut to this.
        wait_max: Duration = one(some_duration(), "2h"), AtStart;
    }
}

impl RetryPolicy {
    /// The wait after the failed attempt number `attempts` (from 1); `None` if that was the last
    /// one.
    ///
    /// `asked` is the wait that the platform asked for. It can lengthen the wait up to `wait_max`,
    /// and never shortens it. `dice` is a random number from 0 to 1.
    #[must_use]
    pub fn wait_after(
        &self,
        attempts: u32,
        asked: Option<Duration>,
        dice: f64,
    ) -> Option<Duration> {
        let place = usize::try_from(attempts.checked_sub(1)?).ok()?;
        let scheduled = *self.delays.get(place)?;
        let jittered = scheduled.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) * dice.clamp(0.0, 1.0));
        Some(jittered.max(asked.unwrap_or_default().min(self.wait_max)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(jitter: f64) -> RetryPolicy {
        RetryPolicy {
            delays: [5, 15, 60].map(Duration::from_secs).to_vec(),
            jitter,
            age_max: Duration::from_secs(3600),
            wait_max: Duration::from_secs(600),
        }
    }

    #[test]
    fn the_waits_follow_the_list_and_end_with_it() {
        let waits: Vec<_> = (0..6)
            .map(|attempts| policy(0.0).wait_after(attempts, None, 0.5).map(|wait| wait.as_secs()))
            .collect();
        assert_eq!(waits, [None, Some(5), Some(15), Some(60), None, None]);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_scheduled_nor_longer_than_jitter_and_clamp_allow(
            attempts in 1u32..4,
            asked in prop::option::of(0u64..10_000),
            jitter in 0.0f64..1.0,
            dice in 0.0f64..1.0,
        ) {
            let policy = policy(jitter);
            let scheduled = policy.delays[attempts as usize - 1];
            let wait = policy.wait_after(attempts, asked.map(Duration::from_secs), dice).unwrap();
            prop_assert!(wait >= scheduled);
            prop_assert!(wait <= scheduled.mul_f64(1.0 + jitter).max(policy.wait_max));
            if let Some(asked) = asked {
                prop_assert!(wait >= Duration::from_secs(asked).min(policy.wait_max));
            }
        }
    }
}
