//! The difference between the machine's clock and each platform's clock, from the `Date` headers of
//! answers.
//!
//! Signatures contain the time of day, and platforms refuse a signature that is an hour off.
//!
//! Owns when signatures are corrected, and when a refusal is blamed on the clock.
//!
//! Not here: the machine's clocks (`src/clock.rs`), and the signatures (`platforms/`).

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::domain::{Platform, PlatformMap, Timestamp};

/// Up to this, a difference comes from the network and from the header's resolution of one second.
const USUAL_SECONDS: i64 = 30;
/// Platforms refuse signatures that are an hour off. From this difference on, a refusal may be
/// caused by the clock.
const REFUSED_SECONDS: i64 = 3_000;

/// The measured difference of one platform's clock.
#[derive(Clone, Copy, Debug, Default)]
struct ClockSkew {
    /// How many seconds it was ahead of ours in the last answer.
    seen: i64,
    /// The correction of signatures, in seconds.
    applied: i64,
}

/// The clocks of all platforms.
#[derive(Debug, Default)]
pub(super) struct ClockSkews(PlatformMap<Mutex<ClockSkew>>);

impl ClockSkews {
    /// The platform's time of day.
    pub(super) fn platform_time(&self, platform: Platform, now: Timestamp) -> Timestamp {
        let ahead = self.with(platform, |skew| skew.applied);
        let by = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { now.before(by) } else { now.after(by) }
    }

    /// Whether the clock caused a refused signature: the answer's date differs this much from the
    /// signed time.
    pub(super) fn accounts_for(date: Option<Timestamp>, signed: Timestamp) -> bool {
        date.is_some_and(|date| ahead(date, signed).abs() >= REFUSED_SECONDS)
    }

    /// Records the date of an answer that was received at `now`. Returns the new correction in
    /// seconds, if it changes. A single answer changes nothing, because it may come from a proxy.
    pub(super) fn observe(
        &self,
        platform: Platform,
        date: Timestamp,
        now: Timestamp,
    ) -> Option<i64> {
        let ahead = ahead(date, now);
        self.with(platform, |skew| {
            let agrees = skew.seen.saturating_sub(ahead).abs() <= USUAL_SECONDS;
            skew.seen = ahead;
            let wanted = if ahead.abs() <= USUAL_SECONDS { 0 } else { ahead };
            let differs = skew.applied.saturating_sub(wanted).abs() > USUAL_SECONDS
                || (wanted == 0) != (skew.applied == 0);
            (agrees && differs).then(|| {
                skew.applied = wanted;
                wanted
            })
        })
    }

    fn with<T>(&self, platform: Platform, act: impl FnOnce(&mut ClockSkew) -> T) -> T {
        act(&mut self.0.get(platform).lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How many seconds one clock is ahead of the other.
fn ahead(theirs: Timestamp, ours: Timestamp) -> i64 {
    let seconds = |at: Timestamp| i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
    seconds(theirs).saturating_sub(seconds(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_signature_is_the_clocks_fault_only_if_it_is_almost_an_hour_off() {
        let signed = Timestamp::from_unix_millis(1_700_000_000_000);
        let off = |seconds| Some(signed.after(Duration::from_secs(seconds)));
        assert!(
            ClockSkews::accounts_for(off(3_700), signed)
                && ClockSkews::accounts_for(
                    Some(signed.before(Duration::from_secs(7_200))),
                    signed
                )
        );
        assert!(
            !ClockSkews::accounts_for(off(600), signed) && !ClockSkews::accounts_for(None, signed)
        );
    }

    #[test]
    fn two_answers_that_agree_correct_the_clock_and_one_alone_does_not() {
        let (skews, now, lark) =
            (ClockSkews::default(), Timestamp::from_unix_millis(1_700_000_000_000), Platform::Lark);
        let ahead = |seconds| now.after(Duration::from_secs(seconds));
        assert_eq!(skews.observe(lark, ahead(7200), now), None);
        assert_eq!(skews.platform_time(lark, now), now);
        assert_eq!(skews.observe(lark, ahead(7203), now), Some(7203));
        assert_eq!(skews.platform_time(lark, now), ahead(7203));
        assert_eq!(
            skews.platform_time(Platform::WeCom, now),
            now,
            "each platform has a clock of its own"
        );
        assert_eq!(skews.observe(lark, ahead(7199), now), None, "about the same is no news");
        assert_eq!(skews.observe(lark, now.before(Duration::from_secs(90)), now), None);
        assert_eq!(skews.observe(lark, now.before(Duration::from_secs(90)), now), Some(-90));
        assert_eq!(
            skews.observe(lark, now, now),
            None,
            "it differs from the last answer by more than usual"
        );
        assert_eq!(skews.observe(lark, ahead(2), now), Some(0));
        assert_eq!(skews.platform_time(lark, now), now);
    }
}
