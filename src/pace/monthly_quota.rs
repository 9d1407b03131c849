//! Organisations with a monthly quota that all their robots share. DingTalk counts webhook calls in
//! this way.
//!
//! Owns the count of calls in each calendar month, and the decision whether one more is allowed.
//!
//! Not here: the windows of one robot (`window.rs`), and how the count survives a restart
//! (`restore.rs`).

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;

use super::{
    group_settings::{AtEnd, GroupSettings},
    month::Month,
};
use crate::domain::{GroupName, Timestamp, Verdict};

/// The state of an organisation, for operators.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupStatus {
    /// Its name.
    pub name: GroupName,
    /// Whether the configuration contains it. Otherwise only subscriptions name it.
    pub configured: bool,
    /// The calls counted this month.
    pub used: u64,
    /// The allowed calls a month; `None` if not configured.
    pub monthly: Option<u64>,
    /// The expected calls at the end of the month, at the average rate of the month so far.
    pub forecast: u64,
    /// When the month ends, by the wall clock.
    pub month_ends: Timestamp,
    /// Until when nothing is sent because the quota is used up, by the wall clock.
    pub spent_until: Option<Timestamp>,
}

/// How long an organisation is held after its platform reports a used-up quota. Then one message
/// probes, because the organisation may have bought more calls.
const PROBE: std::time::Duration = std::time::Duration::from_secs(3600);
/// How soon the other deliveries ask again while a probe is in flight.
const PROBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// Whether a call is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    Open,
    Until(Timestamp),
    Dead,
}

#[derive(Debug)]
struct GroupUsage {
    month: Month,
    used: u64,
    in_flight: u64,
    warned: bool,
    /// The platform reported a used-up quota. Nothing is sent before this time.
    refused_until: Option<Timestamp>,
}

/// All organisations that are configured, or that a delivery has named.
#[derive(Debug, Default)]
pub(super) struct Groups {
    settings: BTreeMap<GroupName, GroupSettings>,
    groups: HashMap<GroupName, GroupUsage>,
}

/// The changes that one counted call causes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct UsageChange {
    pub(super) warning: Option<(u64, u64)>,
    pub(super) spent_until: Option<Timestamp>,
}

impl Groups {
    pub(super) fn new(settings: BTreeMap<GroupName, GroupSettings>) -> Self {
        let mut groups = Self::default();
        groups.configure(settings);
        groups
    }

    pub(super) fn configure(&mut self, settings: BTreeMap<GroupName, GroupSettings>) {
        self.settings = settings;
    }

    /// Whether a call is allowed now. Reserves nothing.
    pub(super) fn peek(&mut self, name: &GroupName, now: Timestamp) -> Allowance {
        let (at_end, monthly) = self
            .settings
            .get(name)
            .map_or((AtEnd::Hold, None), |settings| (settings.at_end, settings.monthly));
        let group = self.group(name, now);
        let end = group.month.ends;
        let refused = match group.refused_until {
            Some(until) if until > now => Some(until),
            // One call in flight probes whether the platform accepts calls again.
            Some(_) if group.in_flight > 0 => Some(now.after(PROBE_TIMEOUT)),
            _ => None,
        };
        let spent =
            monthly.is_some_and(|monthly| group.used + group.in_flight >= monthly).then_some(end);
        match (at_end, refused, spent) {
            (_, None, None) | (AtEnd::Ignore, None, Some(_)) => Allowance::Open,
            (AtEnd::Dead, _, _) => Allowance::Dead,
            (AtEnd::Hold, _, Some(end)) => Allowance::Until(end),
            (_, Some(until), _) => Allowance::Until(until.min(end)),
        }
    }

    /// Reserves a call from the quota, if one is left.
    pub(super) fn take(&mut self, name: &GroupName, now: Timestamp) -> Allowance {
        let allowance = self.peek(name, now);
        if allowance == Allowance::Open {
            self.group(name, now).in_flight += 1;
        }
        allowance
    }

    /// Returns a reserved call that was not made.
    pub(super) fn refund(&mut self, name: &GroupName) {
        if let Some(group) = self.groups.get_mut(name) {
            group.in_flight = group.in_flight.saturating_sub(1);
        }
    }

    /// Counts a call that was made. Calls that were throttled or never reached the platform do not
    /// count, because the platform does not count them either.
    pub(super) fn finish(
        &mut self,
        name: &GroupName,
        now: Timestamp,
        verdict: Option<Verdict>,
    ) -> UsageChange {
        self.refund(name);
        let settings = self.settings.get(name).map(|one| (one.monthly, one.warn_at));
        let group = self.group(name, now);
        let mut counted = UsageChange::default();
        match verdict {
            Some(Verdict::BudgetSpent { .. }) => {
                let until = now.after(PROBE).min(group.month.ends);
                // Reported once, not for each of the calls that were in flight.
                counted.spent_until =
                    group.refused_until.is_none_or(|known| known <= now).then_some(until);
                group.refused_until = Some(until);
            }
            Some(
                Verdict::Delivered | Verdict::Refused | Verdict::Security | Verdict::RobotGone,
            ) => {
                group.used += 1;
                group.refused_until = None;
                if let Some((Some(monthly), warn_at)) = settings {
                    let share = group.used as f64 / monthly.max(1) as f64;
                    if share >= warn_at && !group.warned {
                        group.warned = true;
                        counted.warning = Some((group.used, monthly));
                    }
                    if group.used == monthly {
                        counted.spent_until = Some(group.month.ends);
                    }
                }
            }
            Some(Verdict::Throttled { .. } | Verdict::TryAgain { .. }) | None => (),
        }
        counted
    }

    /// Restores the count of an earlier process.
    pub(super) fn restore(
        &mut self,
        name: &GroupName,
        month: Timestamp,
        used: u64,
        refused: Option<Timestamp>,
        now: Timestamp,
    ) {
        let warn_at = self.settings.get(name).and_then(|one| Some((one.monthly?, one.warn_at)));
        let group = self.group(name, now);
        if group.month.began == month {
            // The last record wins: it may take back a call that never reached the platform.
            group.used = used;
            group.refused_until = refused;
            // The earlier process has already reported the warning.
            group.warned =
                warn_at.is_some_and(|(monthly, at)| group.used as f64 >= at * monthly as f64);
        }
    }

    /// The start of its month, the calls used including those in flight, and until when the
    /// platform refuses.
    pub(super) fn spent(
        &mut self,
        name: &GroupName,
        now: Timestamp,
    ) -> (Timestamp, u64, Option<Timestamp>) {
        let group = self.group(name, now);
        (group.month.began, group.used + group.in_flight, group.refused_until)
    }

    /// All known organisations, sorted by name.
    pub(super) fn names(&self) -> Vec<GroupName> {
        let mut names: Vec<_> = self.settings.keys().chain(self.groups.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// The state of all known organisations, sorted by name.
    pub(super) fn status(&mut self, now: Timestamp) -> Vec<GroupStatus> {
        let all = self.names().into_iter().map(|name| {
            let monthly = self.settings.get(&name).and_then(|settings| settings.monthly);
            let (allowance, configured) =
                (self.peek(&name, now), self.settings.contains_key(&name));
            let group = self.group(&name, now);
            let Month { began, ends } = group.month;
            let spent_until = match allowance {
                Allowance::Open => None,
                Allowance::Until(until) => Some(until),
                Allowance::Dead => Some(group.refused_until.unwrap_or(ends)),
            };
            let elapsed = now.since(began).as_secs_f64().max(1.0);
            let forecast = group.used as f64 * ends.since(began).as_secs_f64() / elapsed;
            GroupStatus {
                configured,
                used: group.used,
                monthly,
                forecast: forecast as u64,
                month_ends: ends,
                spent_until,
                name,
            }
        });
        all.collect()
    }

    fn group(&mut self, name: &GroupName, now: Timestamp) -> &mut GroupUsage {
        let zone =
            self.settings.get(name).map_or(TimeZone::UTC, |settings| settings.time_zone.clone());
        let group = self.groups.entry(name.clone()).or_insert_with(|| GroupUsage {
            month: Month::empty(now),
            used: 0,
            in_flight: 0,
            warned: false,
            refused_until: None,
        });
        if now >= group.month.ends {
            *group = GroupUsage {
                month: Month::of(now, zone),
                used: 0,
                in_flight: group.in_flight,
                warned: false,
                refused_until: None,
            };
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_unix_millis(u64::try_from(at.as_millisecond()).unwrap())
    }

    fn groups(monthly: Option<u64>, at_end: AtEnd) -> (Groups, GroupName) {
        let name: GroupName = "acme".parse().unwrap();
        let time_zone = TimeZone::get("Asia/Shanghai").unwrap();
        let settings = GroupSettings { monthly, at_end, warn_at: 0.5, time_zone };
        (Groups::new(BTreeMap::from([(name.clone(), settings)])), name)
    }

    fn call(
        groups: &mut Groups,
        name: &GroupName,
        now: Timestamp,
        verdict: Verdict,
    ) -> UsageChange {
        assert_eq!(groups.take(name, now), Allowance::Open);
        groups.finish(name, now, Some(verdict))
    }

    #[test]
    fn the_last_call_of_a_month_is_the_last_and_the_next_month_begins_anew() {
        let (now, end) = (at("2026-11-20T00:00:00Z"), at("2026-11-30T16:00:00Z"));
        for (at_end, then) in [
            (AtEnd::Hold, Allowance::Until(end)),
            (AtEnd::Dead, Allowance::Dead),
            (AtEnd::Ignore, Allowance::Open),
        ] {
            let (mut groups, name) = groups(Some(3), at_end);
            assert_eq!(call(&mut groups, &name, now, Verdict::Delivered), UsageChange::default());
            let second = call(&mut groups, &name, now, Verdict::Delivered);
            assert_eq!(second, UsageChange { warning: Some((2, 3)), spent_until: None });
            let third = call(&mut groups, &name, now, Verdict::Delivered);
            assert_eq!(third, UsageChange { warning: None, spent_until: Some(end) });
            assert_eq!(groups.peek(&name, now), then);
            assert_eq!(groups.peek(&name, end), Allowance::Open);
        }
    }

    #[test]
    fn a_call_in_flight_counts_and_one_that_never_arrived_does_not() {
        let (mut groups, name) = groups(Some(1), AtEnd::Dead);
        let now = at("2026-11-20T00:00:00Z");
        assert_eq!(groups.take(&name, now), Allowance::Open);
        assert_eq!(groups.take(&name, now), Allowance::Dead);
        groups.finish(&name, now, Some(Verdict::TryAgain { wait: None }));
        assert_eq!(
            call(&mut groups, &name, now, Verdict::Throttled { wait: None }),
            UsageChange::default()
        );
        assert_eq!(groups.peek(&name, now), Allowance::Open);
    }

    #[test]
    fn the_platforms_answer_counts_more_than_our_count_and_one_call_tries_again_later() {
        let (mut groups, name) = groups(None, AtEnd::Hold);
        let now = at("2026-11-20T00:00:00Z");
        let spent = call(&mut groups, &name, now, Verdict::BudgetSpent { wait: PROBE });
        assert_eq!(spent.spent_until, Some(now.after(PROBE)));
        assert_eq!(groups.peek(&name, now), Allowance::Until(now.after(PROBE)));
        let later = now.after(PROBE);
        assert_eq!(groups.take(&name, later), Allowance::Open);
        assert_eq!(groups.take(&name, later), Allowance::Until(later.after(PROBE_TIMEOUT)));
        groups.finish(&name, later, Some(Verdict::Delivered));
        assert_eq!(groups.peek(&name, later), Allowance::Open);
    }

    #[test]
    fn a_forecast_goes_on_at_the_pace_of_the_month_so_far() {
        let (mut groups, name) = groups(Some(3000), AtEnd::Hold);
        let began = at("2026-10-31T16:00:00Z");
        groups.restore(&name, began, 1000, None, at("2026-11-10T16:00:00Z"));
        let status = groups.status(at("2026-11-10T16:00:00Z"));
        assert_eq!(
            (status[0].used, status[0].forecast, status[0].monthly),
            (1000, 3000, Some(3000))
        );
        assert_eq!(status[0].month_ends.since(began), Duration::from_secs(30 * 86_400));
        assert_eq!(groups.status(status[0].month_ends)[0].used, 0);
    }
}
