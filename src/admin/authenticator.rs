//! Checks the admin token, and limits how fast a caller can guess it.
//!
//! Owns the limits on guessing, for the console's sign-in and for the API over TCP together. After
//! too many wrong tokens, a further one is refused without a check. Five rules keep this from
//! locking out others:
//!
//! - A wrong token that was shown within the last minute is not counted again, so a program with an
//!   old token blocks no other.
//! - Each address has a limit of its own.
//! - All unknown addresses together have a limit. An address is known for 12 hours after the right
//!   token came from it.
//! - From a known address the right token always passes, whatever else is shown there. Behind a
//!   proxy or a tunnel all callers have one address.
//! - A wrong token is forgotten after a minute, and the right token is never counted.
//!
//! Not here: sessions of the console (`console/session.rs`). The Unix socket needs no token.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use subtle::ConstantTimeEq;

use super::{ApiError, caller::Caller};
use crate::{
    domain::Secret,
    telemetry::{Telemetry, events},
};

/// How long a wrong token is counted.
const COUNTED: Duration = Duration::from_secs(60);

/// How many different wrong tokens one address may show within `COUNTED`.
const OF_ONE: usize = 10;

/// How many all unknown addresses together may show within `COUNTED`.
const OF_ALL: usize = 60;

/// How long an address is known after the right token came from it.
const KNOWN: Duration = Duration::from_secs(12 * 3600);

/// How many addresses are known. Beyond it, a new one replaces the one that was silent longest.
const KNOWN_MAX: usize = 64;

/// The token, and the failed attempts.
pub(super) struct TokenAuthenticator {
    token: Secret,
    hashes: RandomState,
    attempts: Mutex<FailedAttempts>,
}

/// Both lists are in the order of time, and bounded: `wrong` by the limits, `known` by `KNOWN_MAX`.
#[derive(Default)]
struct FailedAttempts {
    wrong: VecDeque<FailedAttempt>,
    known: VecDeque<(IpAddr, Instant)>,
}

/// A wrong token that was shown.
struct FailedAttempt {
    at: Instant,
    from: IpAddr,
    hash: u64,
}

/// The result of an attempt.
#[derive(Debug, PartialEq, Eq)]
enum AuthOutcome {
    Accepted,
    /// Whether this wrong token is new, and how many more are allowed before attempts are refused.
    Rejected {
        news: bool,
        left: usize,
    },
    /// Refused without a check; the next attempt is checked after this time.
    Throttled(Duration),
}

impl TokenAuthenticator {
    pub(super) fn new(token: Secret) -> Self {
        Self { token, hashes: RandomState::new(), attempts: Mutex::default() }
    }

    /// Accepts the right token. `place` tells the log where it was shown.
    pub(super) fn authenticate(
        &self,
        place: &'static str,
        caller: Caller,
        shown: &[u8],
        telemetry: &Telemetry,
    ) -> Result<(), ApiError> {
        // A local process uses the Unix socket, so it does not come here.
        let from = caller.network().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        match self.outcome(from, shown, Instant::now()) {
            AuthOutcome::Accepted => Ok(()),
            AuthOutcome::Rejected { news, left } => {
                if news {
                    events::WrongToken { place, from, last: left == 0 }.emit(telemetry);
                }
                Err(ApiError::Unauthorized)
            }
            AuthOutcome::Throttled(wait) => Err(ApiError::TooManyAttempts(wait)),
        }
    }

    fn outcome(&self, from: IpAddr, shown: &[u8], now: Instant) -> AuthOutcome {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.forget(now);
        let hash = self.hashes.hash_one(shown);
        let (left, wait) = attempts.left(from, now);
        if attempts.wrong.iter().any(|wrong| wrong.hash == hash) {
            return AuthOutcome::Rejected { news: false, left };
        }
        if left == 0 && !attempts.is_known(from) {
            return AuthOutcome::Throttled(wait);
        }
        let is_right: bool = shown.ct_eq(self.token.expose().as_bytes()).into();
        if left == 0 && !is_right {
            return AuthOutcome::Throttled(wait);
        }
        if is_right {
            attempts.remember(from, now);
            return AuthOutcome::Accepted;
        }
        attempts.wrong.push_back(FailedAttempt { at: now, from, hash });
        AuthOutcome::Rejected { news: true, left: left - 1 }
    }
}

impl FailedAttempts {
    fn forget(&mut self, now: Instant) {
        self.wrong.retain(|wrong| now.duration_since(wrong.at) < COUNTED);
        self.known.retain(|(_, at)| now.duration_since(*at) < KNOWN);
    }

    /// How many more wrong tokens this address may show, and the time
    /// until the oldest one is forgotten.
    fn left(&self, from: IpAddr, now: Instant) -> (usize, Duration) {
        let within = |limit: usize, counted: Vec<&FailedAttempt>| {
            let wait = counted
                .first()
                .map_or(COUNTED, |first| COUNTED.saturating_sub(now.duration_since(first.at)));
            (limit.saturating_sub(counted.len()), wait)
        };
        let of_one = within(OF_ONE, self.wrong.iter().filter(|wrong| wrong.from == from).collect());
        if self.is_known(from) {
            return of_one;
        }
        of_one.min(within(
            OF_ALL,
            self.wrong.iter().filter(|wrong| !self.is_known(wrong.from)).collect(),
        ))
    }

    /// Whether the right token came from this address within `KNOWN`.
    fn is_known(&self, address: IpAddr) -> bool {
        self.known.iter().any(|(known, _)| *known == address)
    }

    fn remember(&mut self, from: IpAddr, now: Instant) {
        self.known.retain(|(address, _)| *address != from);
        if self.known.len() == KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back((from, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> (TokenAuthenticator, Instant) {
        (TokenAuthenticator::new(Secret::new("right".to_owned())), Instant::now())
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Shows `count` different wrong tokens.
    fn guess(authenticator: &TokenAuthenticator, from: IpAddr, count: usize, at: Instant) {
        for number in 0..count {
            let outcome =
                authenticator.outcome(from, format!("wrong {from} {number} {at:?}").as_bytes(), at);
            assert!(
                matches!(outcome, AuthOutcome::Rejected { news: true, .. }),
                "{number}: {outcome:?}"
            );
        }
    }

    #[test]
    fn after_ten_wrong_tokens_no_token_is_looked_at_until_the_first_is_forgotten() {
        let (authenticator, now) = door();
        guess(&authenticator, address(1), OF_ONE - 1, now);
        let later = now + Duration::from_secs(20);
        assert_eq!(
            authenticator.outcome(address(1), b"the last", later),
            AuthOutcome::Rejected { news: true, left: 0 }
        );
        for shown in ["another", "right"] {
            assert_eq!(
                authenticator.outcome(address(1), shown.as_bytes(), later),
                AuthOutcome::Throttled(Duration::from_secs(40))
            );
        }
        assert_eq!(
            authenticator.outcome(address(1), b"right", now + COUNTED),
            AuthOutcome::Accepted
        );
    }

    #[test]
    fn a_wrong_token_that_is_shown_again_and_again_closes_nothing() {
        let (authenticator, now) = door();
        for number in 0..1000 {
            let outcome = authenticator.outcome(address(1), b"of last year", now);
            assert_eq!(outcome, AuthOutcome::Rejected { news: number == 0, left: OF_ONE - 1 });
        }
        assert_eq!(authenticator.outcome(address(1), b"right", now), AuthOutcome::Accepted);
        guess(&authenticator, address(1), OF_ONE - 1, now);
        let outcome = authenticator.outcome(address(1), b"of last year", now);
        assert_eq!(
            outcome,
            AuthOutcome::Rejected { news: false, left: 0 },
            "it is known to be wrong"
        );
    }

    #[test]
    fn the_right_token_is_never_counted() {
        let (authenticator, now) = door();
        assert!(
            (0..1000)
                .all(|_| authenticator.outcome(address(1), b"right", now) == AuthOutcome::Accepted)
        );
        guess(&authenticator, address(1), OF_ONE, now);
    }

    #[test]
    fn where_the_right_token_came_from_lately_it_is_let_in_whatever_others_show_there() {
        let (authenticator, now) = door();
        assert_eq!(authenticator.outcome(address(1), b"right", now), AuthOutcome::Accepted);
        guess(&authenticator, address(1), OF_ONE, now);
        for number in 0..1000 {
            let guess = format!("and more {number}");
            assert_eq!(
                authenticator.outcome(address(1), guess.as_bytes(), now),
                AuthOutcome::Throttled(COUNTED)
            );
            assert_eq!(authenticator.outcome(address(1), b"right", now), AuthOutcome::Accepted);
        }
    }

    #[test]
    fn one_address_locks_out_itself_alone_and_many_lock_out_unknown_ones_alone() {
        let (authenticator, now) = door();
        assert_eq!(authenticator.outcome(address(200), b"right", now), AuthOutcome::Accepted);
        for last in 1..=6 {
            guess(&authenticator, address(last), OF_ONE, now);
            assert!(matches!(
                authenticator.outcome(address(last), b"right", now),
                AuthOutcome::Throttled(_)
            ));
            assert_eq!(authenticator.outcome(address(200), b"right", now), AuthOutcome::Accepted);
        }
        assert_eq!(
            authenticator.outcome(address(7), b"right", now),
            AuthOutcome::Throttled(COUNTED),
            "sixty guesses of strangers"
        );
        guess(&authenticator, address(200), OF_ONE, now);
        let after = now + KNOWN;
        assert_eq!(
            authenticator.outcome(address(200), b"right", after),
            AuthOutcome::Accepted,
            "everything is forgotten by then"
        );
    }

    #[test]
    fn the_cache_is_bounded() {
        let (authenticator, now) = door();
        for last in 0..=255 {
            authenticator.outcome(address(last), b"right", now);
        }
        for (last, number) in (0..=255).flat_map(|last| (0..20).map(move |number| (last, number))) {
            authenticator.outcome(address(last), format!("{last} {number}").as_bytes(), now);
        }
        let attempts = authenticator.attempts.lock().unwrap();
        assert_eq!(
            (attempts.known.len(), attempts.wrong.len()),
            (KNOWN_MAX, KNOWN_MAX * OF_ONE + OF_ALL)
        );
    }
}
