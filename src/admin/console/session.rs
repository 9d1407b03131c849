//! The sessions of the console, in memory, each with an end.
//!
//! Owns what a browser holds: a random session id in a cookie that scripts cannot read. The page
//! does not keep the admin token.
//!
//! Not here: the check of the token (`admin/authenticator.rs`), and the check of each request
//! (`guard.rs`).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use cookie::{Cookie, SameSite};
use subtle::ConstantTimeEq;

/// A working day. After it, the user signs in again.
const LIFE: Duration = Duration::from_secs(12 * 3600);

/// More people do not watch one daemon. A new session replaces the one that ends first.
const SESSIONS_MAX: usize = 64;

/// The beginning of the cookie's name.
const COOKIE: &str = "roomcast_session";

/// The name of the cookie at this host. It contains the port, because browsers send cookies to all
/// ports of a host, and two daemons may be reached through two tunnels.
pub(super) fn cookie_name(host: Option<&str>) -> String {
    let port = host.and_then(|host| host.rsplit_once(':')).map(|(_, port)| port);
    match port.filter(|port| !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit())) {
        Some(port) => format!("{COOKIE}_{port}"),
        None => COOKIE.to_owned(),
    }
}

/// The sessions of one daemon. They end with the process.
#[derive(Default)]
pub(super) struct ConsoleSessions(Mutex<HashMap<String, ConsoleSession>>);

struct ConsoleSession {
    csrf: String,
    ends: Instant,
}

impl ConsoleSessions {
    /// Opens a session and returns its id.
    pub(super) fn open(&self, now: Instant) -> String {
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.ends > now);
        if sessions.len() >= SESSIONS_MAX {
            let first =
                sessions.iter().min_by_key(|(_, session)| session.ends).map(|(id, _)| id.clone());
            first.and_then(|id| sessions.remove(&id));
        }
        let id = random_token();
        sessions.insert(id.clone(), ConsoleSession { csrf: random_token(), ends: now + LIFE });
        id
    }

    /// The second secret, which a request must show to change something;
    /// `None` if there is no such session.
    pub(super) fn csrf(&self, id: &str, now: Instant) -> Option<String> {
        self.lock().get(id).filter(|session| session.ends > now).map(|session| session.csrf.clone())
    }

    /// Whether `shown` is the session's second secret. The comparison takes constant time.
    pub(super) fn is_shown(&self, id: &str, shown: &[u8], now: Instant) -> bool {
        self.csrf(id, now).is_some_and(|csrf| csrf.as_bytes().ct_eq(shown).into())
    }

    /// Ends a session.
    pub(super) fn close(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ConsoleSession>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random_token() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// The cookie that sets a session, or removes it. Browsers send it only to the console, and only
/// from the console's pages. If the page came over TLS, they send it only over TLS.
pub(super) fn cookie(name: String, id: Option<&str>, over_tls: bool) -> String {
    let life = if id.is_some() { LIFE } else { Duration::ZERO };
    let built = Cookie::build((name, id.unwrap_or_default()))
        .path("/console")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(over_tls)
        .max_age(life.try_into().unwrap_or_default());
    built.to_string()
}

/// The session's id in a `Cookie` header.
pub(super) fn named_in(header: &str, name: &str) -> Option<String> {
    let mut pairs = Cookie::split_parse(header).filter_map(Result::ok);
    pairs.find(|cookie| cookie.name() == name).map(|cookie| cookie.value().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_or_at_sign_out() {
        let (sessions, now) = (ConsoleSessions::default(), Instant::now());
        let (one, other) = (sessions.open(now), sessions.open(now));
        assert_ne!(one, other);
        assert!(sessions.csrf(&one, now + LIFE - Duration::from_secs(1)).is_some());
        assert!(sessions.csrf(&one, now + LIFE).is_none());
        sessions.close(&one);
        assert!(sessions.csrf(&one, now).is_none() && sessions.csrf(&other, now).is_some());
    }

    #[test]
    fn what_one_session_shows_is_not_taken_for_another() {
        let (sessions, now) = (ConsoleSessions::default(), Instant::now());
        let (one, other) = (sessions.open(now), sessions.open(now));
        let csrf = sessions.csrf(&one, now).unwrap();
        assert!(sessions.is_shown(&one, csrf.as_bytes(), now));
        assert!(!sessions.is_shown(&other, csrf.as_bytes(), now));
        assert!(!sessions.is_shown(&one, b"", now) && !sessions.is_shown("", b"", now));
    }

    #[test]
    fn the_oldest_session_makes_room_for_a_new_one() {
        let (sessions, now) = (ConsoleSessions::default(), Instant::now());
        let first = sessions.open(now);
        let later = now + Duration::from_secs(1);
        let rest: Vec<_> = (0..SESSIONS_MAX).map(|_| sessions.open(later)).collect();
        assert!(sessions.csrf(&first, later).is_none());
        assert!(rest.iter().all(|id| sessions.csrf(id, later).is_some()));
    }

    #[test]
    fn no_script_can_read_the_cookie_and_no_other_site_can_have_it_sent() {
        assert_eq!(
            cookie(cookie_name(None), Some("abc"), true),
            "roomcast_session=abc; HttpOnly; SameSite=Strict; Secure; Path=/console; Max-Age=43200"
        );
        assert_eq!(
            cookie(cookie_name(Some("localhost:9322")), None, false),
            "roomcast_session_9322=; HttpOnly; SameSite=Strict; Path=/console; Max-Age=0"
        );
        assert_eq!(
            named_in("a=b; roomcast_session=abc; c=d", "roomcast_session").as_deref(),
            Some("abc")
        );
        assert_eq!(named_in("my_roomcast_session=abc", "roomcast_session"), None);
    }

    #[test]
    fn two_daemons_on_one_machine_have_cookies_of_their_own() {
        for (host, name) in [
            (None, "roomcast_session"),
            (Some("roomcast.test"), "roomcast_session"),
            (Some("localhost:9321"), "roomcast_session_9321"),
            (Some("[::1]:9322"), "roomcast_session_9322"),
            (Some("[::1]"), "roomcast_session"),
            (Some("x:"), "roomcast_session"),
            (Some("x:1;path=/"), "roomcast_session"),
        ] {
            assert_eq!(cookie_name(host), name, "{host:?}");
        }
    }
}
