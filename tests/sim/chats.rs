//! The double of the platforms: every robot's chat with its exact windows, and all arrived
//! messages.
//!
//! Owns the truth about arrivals, which survives every process. A request that was sent arrives
//! even if its sender dies meanwhile.
//!
//! Not here: which requests fail (`faults.rs`).

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rand::{RngExt, rngs::SmallRng};
use roomcast::{
    domain::Platform,
    send::{self, Transport, TransportError},
};

use crate::{
    dice::{Seed, trace},
    directory::{Robot, token_of},
    faults::{Fate, Faults, Reply},
    time::{MILLI, MINUTE, Micros, SECOND, Time},
    traffic::{UNWELCOME, names_in},
};

/// The most messages in any span of this length.
#[derive(Clone, Copy)]
pub struct Limit {
    pub most: usize,
    pub span: Micros,
}

/// A platform's limits for a robot.
pub fn limits(platform: Platform) -> Vec<Limit> {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal | Platform::WeCom => {
            vec![Limit { most: 20, span: MINUTE }]
        }
        Platform::Lark => vec![Limit { most: 100, span: MINUTE }, Limit { most: 5, span: SECOND }],
    }
}

/// How long a robot refuses messages after another sender has used up its quota; empty if it is
/// always its start.
pub const fn closed(platform: Platform) -> Range<Micros> {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => 10 * MINUTE..10 * MINUTE,
        Platform::Lark => 2 * SECOND..MINUTE,
        Platform::WeCom => MINUTE..MINUTE,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    InTheAir,
    Accepted,
    /// The daemon exceeded the quota.
    TooFast,
    /// Another sender used up the quota.
    Closed,
    /// The robot's security setting rejects the message.
    Ill,
    Unwelcome,
    /// The robot answers every message with an error.
    Down,
    Failed,
    NeverArrived,
}

/// One request, from its start to its end.
#[derive(Debug)]
pub struct Request {
    pub chat: usize,
    pub names: Vec<u32>,
    pub sent_at: Micros,
    pub arrived_at: Option<Micros>,
    /// When the sender learned the outcome.
    pub known_at: Option<Micros>,
    pub outcome: Outcome,
    fate: Fate,
    unwelcome: bool,
}

impl Request {
    /// Whether it uses the quota. Every arrived request does, unless it was refused.
    pub fn counts(&self) -> bool {
        self.arrived_at.is_some()
            && !matches!(
                self.outcome,
                Outcome::TooFast | Outcome::Closed | Outcome::Ill | Outcome::Down
            )
    }

    /// Whether the sender got the platform's answer.
    pub fn is_answered(&self) -> bool {
        self.known_at.is_some() && !matches!(self.fate.answer, Reply::None(_))
    }
}

pub struct Chat {
    pub platform: Platform,
    limits: Vec<Limit>,
    arrivals: VecDeque<Micros>,
    blocked_until: Micros,
    /// The periods in which another sender has used up the robot's quota.
    pub closed: Vec<(Micros, Micros)>,
    /// The periods in which the robot's security setting rejects messages.
    pub ill: Vec<(Micros, Micros)>,
    /// The periods in which the robot answers every message with 500.
    pub down: Vec<(Micros, Micros)>,
}

pub struct Chats {
    pub chats: Vec<Chat>,
    pub requests: Vec<Request>,
    by_token: HashMap<String, usize>,
    on_the_way: BinaryHeap<Reverse<(Micros, usize)>>,
    departures: HashMap<(usize, u32), u64>,
}

impl Chats {
    pub fn new(robots: &[Robot]) -> Self {
        let chat = |robot: &Robot| Chat {
            platform: robot.platform,
            limits: limits(robot.platform),
            arrivals: VecDeque::new(),
            blocked_until: 0,
            closed: Vec::new(),
            ill: Vec::new(),
            down: Vec::new(),
        };
        Self {
            chats: robots.iter().map(chat).collect(),
            requests: Vec::new(),
            by_token: (0..robots.len()).map(|number| (token_of(number), number)).collect(),
            on_the_way: BinaryHeap::new(),
            departures: HashMap::new(),
        }
    }

    /// Sends a request; returns its number. Its fate depends on its event and on the number of
    /// earlier attempts.
    fn depart(
        &mut self,
        now: Micros,
        request: &send::Request,
        fate: impl FnOnce(u64, u64) -> Fate,
    ) -> usize {
        let url = request.url.expose();
        let token =
            url.rsplit(['=', '/']).find(|part| part.starts_with("robot-")).unwrap_or_default();
        let token = token.split('&').next().unwrap_or_default();
        let chat = *self
            .by_token
            .get(token)
            .unwrap_or_else(|| panic!("a request to an unknown robot: {url}"));
        let names = names_in(&request.body);
        assert!(!names.is_empty(), "a message without an event: {:?}", request.body);
        let departures = self.departures.entry((chat, names[0])).or_default();
        *departures += 1;
        let fate = fate(chat as u64, u64::from(names[0]) << 16 | *departures);
        let unwelcome =
            request.body.windows(UNWELCOME.len()).any(|part| part == UNWELCOME.as_bytes());
        let number = self.requests.len();
        trace(names[0], now, || format!("leaves for robot {chat}: {fate:?}"));
        if let Some(arrives_in) = fate.arrives_in {
            self.on_the_way.push(Reverse((now + arrives_in, number)));
        }
        let outcome =
            if fate.arrives_in.is_some() { Outcome::InTheAir } else { Outcome::NeverArrived };
        self.requests.push(Request {
            chat,
            names,
            sent_at: now,
            arrived_at: None,
            known_at: None,
            outcome,
            fate,
            unwelcome,
        });
        number
    }

    /// Processes all requests that have arrived by `now`, in the order of arrival.
    pub fn settle(&mut self, now: Micros) {
        while self.on_the_way.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Reverse((at, number)) = self.on_the_way.pop().unwrap();
            let request = &mut self.requests[number];
            request.arrived_at = Some(at);
            request.outcome = match self.chats[request.chat].admit(at) {
                Some(refused) => refused,
                None if request.fate.answer == Reply::Error => Outcome::Failed,
                None if request.unwelcome => Outcome::Unwelcome,
                None => Outcome::Accepted,
            };
        }
    }

    /// The sending process died. Half of its requests were already under way and arrive very soon;
    /// the others never arrive.
    pub fn crash(&mut self, now: Micros, mut dice: SmallRng) {
        self.settle(now);
        for Reverse((at, number)) in std::mem::take(&mut self.on_the_way) {
            if dice.random_bool(0.5) {
                self.on_the_way
                    .push(Reverse((at.min(now + dice.random_range(0..300 * MILLI)), number)));
            } else {
                self.requests[number].outcome = Outcome::NeverArrived;
            }
        }
    }

    fn answer(&mut self, number: usize, now: Micros) -> Result<send::HttpResponse, TransportError> {
        self.settle(now);
        let request = &mut self.requests[number];
        request.known_at = Some(now);
        trace(request.names[0], now, || format!("is answered: {request:?}"));
        let platform = self.chats[request.chat].platform;
        let (status, body) = match (request.fate.answer, request.outcome) {
            (Reply::None(code), _) => {
                return Err(TransportError {
                    code,
                    detail: "as the dice would have it".to_owned(),
                });
            }
            (_, Outcome::TooFast | Outcome::Closed) => (200, too_fast(platform)),
            (Reply::Error, _) | (_, Outcome::Down) => (500, "<html>busy</html>"),
            (_, Outcome::Ill) => (200, insecure(platform)),
            (_, Outcome::Unwelcome) => (200, unwelcome(platform)),
            _ => (200, welcome(platform)),
        };
        Ok(send::HttpResponse {
            status,
            body: body.as_bytes().into(),
            ..send::HttpResponse::default()
        })
    }
}

impl Chat {
    /// Accepts an arrival, or returns why not.
    fn admit(&mut self, at: Micros) -> Option<Outcome> {
        if self.down.iter().any(|(from, to)| (*from..*to).contains(&at)) {
            return Some(Outcome::Down);
        }
        if at < self.blocked_until
            || self.closed.iter().any(|(from, to)| (*from..*to).contains(&at))
        {
            return Some(Outcome::Closed);
        }
        if self.ill.iter().any(|(from, to)| (*from..*to).contains(&at)) {
            return Some(Outcome::Ill);
        }
        let full = |limit: &Limit| {
            let oldest = self
                .arrivals
                .len()
                .checked_sub(limit.most)
                .and_then(|place| self.arrivals.get(place));
            oldest.is_some_and(|oldest| at - oldest < limit.span)
        };
        if self.limits.iter().any(full) {
            if matches!(self.platform, Platform::DingTalk | Platform::DingTalkInternal) {
                self.blocked_until = at + 10 * MINUTE;
            }
            return Some(Outcome::TooFast);
        }
        self.arrivals.push_back(at);
        if self.arrivals.len() > 100 {
            self.arrivals.pop_front();
        }
        None
    }
}

const fn welcome(platform: Platform) -> &'static str {
    match platform {
        Platform::Lark => {
            r#"{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}"#
        }
        _ => r#"{"errcode":0,"errmsg":"ok"}"#,
    }
}

const fn too_fast(platform: Platform) -> &'static str {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => {
            r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#
        }
        Platform::Lark => {
            concat!(
                r#"{"code":11232,"data":{},"msg":"frequency limited "#,
                r#"psm[lark.oapi.app_platform_runtime]appID[1500]"}"#
            )
        }
        Platform::WeCom => r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
    }
}

const fn insecure(platform: Platform) -> &'static str {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => {
            r#"{"errcode":310000,"errmsg":"keywords not in content"}"#
        }
        Platform::Lark => r#"{"code":19024,"data":{},"msg":"Key Words Not Found"}"#,
        Platform::WeCom => r#"{"errcode":60020,"errmsg":"not allow to access from your ip"}"#,
    }
}

const fn unwelcome(platform: Platform) -> &'static str {
    match platform {
        Platform::DingTalk | Platform::DingTalkInternal => {
            r#"{"errcode":430102,"errmsg":"bad text"}"#
        }
        Platform::Lark => r#"{"code":11246,"data":{},"msg":"content parse failed"}"#,
        Platform::WeCom => r#"{"errcode":40008,"errmsg":"invalid message type"}"#,
    }
}

/// The network between one process and the platforms.
pub struct Network {
    pub chats: Arc<Mutex<Chats>>,
    pub time: Time,
    pub seed: Seed,
    pub faults: Arc<Faults>,
    /// The shortest and the longest time from a request to its answer.
    pub latency: (Micros, Micros),
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: send::Request) -> Result<send::HttpResponse, TransportError> {
        let now = self.time.now();
        let (number, known_at) = {
            let mut chats = self.chats.lock().unwrap();
            let fate =
                |one, two| self.faults.post(self.seed.dice("post", one, two), now, self.latency);
            let number = chats.depart(now, &request, fate);
            (number, now + chats.requests[number].fate.known_in)
        };
        self.time.sleep_until(known_at).await;
        self.chats.lock().unwrap().answer(number, self.time.now())
    }
}
