//! What each platform must fulfil, checked for all of them.
//!
//! Owns the proof that a platform is complete: its webhook is recognised, its messages fit and
//! arrive, its answers have a meaning, no credential leaks, and operators find its queues, metrics,
//! settings and names.
//!
//! Not here: the details of one platform (the tests in its folder), and the whole daemon
//! (`tests/it/`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that meets the unexpected fails by panicking"
)]

#[path = "it/support/emulator.rs"]
#[allow(dead_code, unreachable_pub, reason = "it belongs to the integration tests")]
mod emulator;
#[path = "it/support/shared.rs"]
#[allow(dead_code, unreachable_pub, reason = "it belongs to the integration tests")]
mod shared;

use std::{
    collections::{BTreeSet, HashSet},
    io::Write as _,
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use roomcast::{
    broker::{DeadQueue, Topology, TopologySettings},
    clock::Clock,
    config::{Config, NoEnvironment},
    domain::{
        AttemptOutcome, DeadQueueStats, DeadReason, Delivery, Event, EventContent, EventId, Format,
        Language, LongTextPolicy, Mentions, Part, Platform, PlatformMap, PlatformOverride,
        PrivateOptions, PublishedMessage, RobotId, Secret, Subscription, SubscriptionId,
        SubscriptionOptions, SubscriptionState, Timestamp, Verdict, VerdictKind, every,
    },
    platforms::{
        self, HttpReply, Meaning, PARTS_MAX, RenderInput, SignedRequest, WebhookHosts, advice,
        answer_rules, check_endpoint, default_limits, digest, label, main_host, prepare,
        read_answer, takes_secret, webhook_path,
    },
    send::{
        HttpTransport, HttpTransportSettings, OutgoingRoutes, PrivateHosts, Sender,
        install_crypto_provider,
    },
    settings::Section as _,
    telemetry::{Telemetry, events::DeadLettersCounted},
};
use serde_json::json;

use emulator::Emulator;
use shared::until;

const TOKEN: &str = "TOKENMARKER-0123456789";
const SECRET: &str = "SECRETMARKER";

fn webhook(platform: Platform, token: &str) -> String {
    format!("https://{}{}{token}", main_host(platform), webhook_path(platform))
}

fn subscription(platform: Platform, token: &str) -> Subscription {
    Subscription {
        id: SubscriptionId::from_bytes([1; 16]),
        topic: "alerts".parse().unwrap(),
        platform,
        robot: RobotId::from_bytes([2; 16]),
        endpoint: check_endpoint(platform, &webhook(platform, token), &WebhookHosts::default())
            .unwrap(),
        secret: takes_secret(platform).then(|| Secret::new(SECRET.to_owned())),
        private: PrivateOptions {
            keyword: Some("ops".to_owned()),
            mentions: Mentions {
                all: true,
                mobiles: vec!["13800000000".to_owned()],
                users: vec!["ann".to_owned()],
            },
            ..PrivateOptions::default()
        },
        state: SubscriptionState::Active,
        options: SubscriptionOptions::default(),
        created_at: Timestamp::default(),
    }
}

fn event(id: &str, text: &str, format: Format) -> Event {
    Event {
        id: EventId::new(id),
        topic: "alerts".parse().unwrap(),
        content: EventContent {
            subject: Some("db-1".to_owned()),
            message: Some(text.into()),
            format,
            ..EventContent::default()
        },
        urgent: false,
        received_at: Timestamp::default(),
        expires_at: Timestamp::default(),
        published: PublishedMessage { body: id.as_bytes().to_vec(), ..PublishedMessage::default() },
    }
}

fn delivery(platform: Platform, event: &Arc<Event>, part: Part) -> Delivery {
    let (id, robot) = (SubscriptionId::from_bytes([1; 16]), RobotId::from_bytes([2; 16]));
    Delivery { part, ..Delivery::fresh(event, id, platform, robot) }
}

/// All messages of an event.
fn messages(subscription: &Subscription, event: &Arc<Event>) -> Vec<SignedRequest> {
    let (mut all, mut part) = (Vec::new(), Part::default());
    loop {
        let delivery = delivery(subscription.platform, event, part);
        let now = Timestamp::from_unix_millis(1_760_000_000_000);
        let message = prepare(&RenderInput { delivery: &delivery, subscription, now });
        let message = message.unwrap_or_else(|refused| panic!("{}", refused.detail));
        part = Part { index: message.part.index + 1, total: message.part.total };
        let more = message.part.has_next();
        all.push(message);
        if !more {
            return all;
        }
    }
}

/// Texts of many kinds, short and long.
fn texts() -> Vec<String> {
    let units = ["down ", "告警", "\"", "\u{1}", "a\n", "😀", "| a |\n|---|\n| b |\n\n", "<@ann> "];
    units.iter().flat_map(|unit| [(*unit).to_owned(), unit.repeat(6_000)]).collect()
}

#[test]
fn a_webhook_belongs_to_its_platform_and_a_wrong_one_is_refused_without_its_token() {
    for platform in Platform::ALL {
        let good = webhook(platform, TOKEN);
        let hosts = WebhookHosts::default();
        assert_eq!(check_endpoint(platform, &good, &hosts).unwrap().expose(), good);
        let host = main_host(platform);
        for bad in [
            good.replace("https://", "http://"),
            good.replace(host, "example.com"),
            good.replace(host, &format!("{host}.example.com")),
            good.replace(host, &format!("user@{host}")),
            good.replace(host, &format!("{host}:8443")),
            good.replace(webhook_path(platform), "/elsewhere/"),
            format!("{good}#x"),
            format!("{good}&x=1"),
            format!("{good}!"),
            "x".repeat(4096) + TOKEN,
            TOKEN.to_owned(),
        ] {
            let Err(mistake) = check_endpoint(platform, &bad, &hosts) else {
                panic!("{platform}: {bad}")
            };
            assert!(!mistake.to_string().contains("MARKER"), "{platform}: {mistake}");
        }
        for other in Platform::ALL.into_iter().filter(|one| main_host(*one) != host) {
            assert!(
                check_endpoint(other, &good, &hosts).is_err(),
                "{other} takes one of {platform}"
            );
        }
    }
}

#[test]
fn a_message_goes_to_its_robot_alone_and_its_body_has_no_credential() {
    for platform in Platform::ALL {
        let subscription = subscription(platform, TOKEN);
        for (format, text) in [Format::Text, Format::Markdown]
            .into_iter()
            .flat_map(|format| texts().into_iter().map(move |text| (format, text)))
        {
            let messages = messages(&subscription, &Arc::new(event("e1", &text, format)));
            assert!(messages.len() <= usize::try_from(PARTS_MAX).unwrap());
            for message in messages {
                assert!(message.url.expose().starts_with(&webhook(platform, TOKEN)));
                let body = String::from_utf8(message.body).unwrap();
                assert!(!body.contains("MARKER"), "{platform}: {body}");
                assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap().is_object());
                assert!(body.contains("ops"), "each message says the keyword");
            }
        }
    }
}

#[test]
fn the_texts_of_roomcast_are_in_the_subscriptions_language_without_needless_mobile_numbers() {
    let mobile = "13800000000";
    for platform in Platform::ALL {
        let mut subscription = subscription(platform, TOKEN);
        subscription.options.too_long = LongTextPolicy::Cut;
        for (language, said, unsaid) in [
            (None, "已略去", "left out"),
            (Some(Language::Zh), "已略去", "left out"),
            (Some(Language::En), "left out", "已略去"),
        ] {
            subscription.options.language = language;
            for format in [Format::Text, Format::Markdown] {
                let long = Arc::new(event("e1", &"a ".repeat(20_000), format));
                let [message] = &messages(&subscription, &long)[..] else { panic!("{platform}") };
                let body = String::from_utf8_lossy(&message.body);
                assert!(body.contains(said) && !body.contains(unsaid), "{platform}: {body}");
                // A list of mobile numbers, or the form that rings a phone.
                let others = [format!("\"{mobile}\""), format!("@{mobile}")];
                let rest = others.iter().fold(body.into_owned(), |body, one| body.replace(one, ""));
                assert!(!rest.contains(mobile), "{platform}: {rest}");
            }
        }
    }
}

#[test]
fn every_answer_has_a_meaning_and_its_text_has_no_credential() {
    for platform in Platform::ALL {
        let subscription = subscription(platform, TOKEN);
        let read = |status, body: &str| {
            let (retry_after, rate_reset) = (None, None);
            let reply = HttpReply { status, retry_after, rate_reset, body: body.as_bytes() };
            read_answer(&subscription, &reply)
        };
        let secret = subscription.secret.as_ref().map_or("", Secret::expose);
        let echo = format!("no {TOKEN} at {} {secret}\n", webhook(platform, TOKEN));
        let codes = (-1..1_000).chain((1_000..1_000_000).step_by(7));
        for code in codes {
            let body = json!({"errcode": code, "code": code, "errmsg": "ok", "msg": "ok"});
            let AttemptOutcome { verdict, code: said, .. } = read(200, &body.to_string());
            assert_eq!(verdict == Verdict::Delivered, code == 0, "{platform}: {code}");
            assert_eq!(said, code.to_string(), "{platform}");
        }
        let body = json!({"errcode": 1, "code": 1, "errmsg": echo, "msg": echo}).to_string();
        for (status, body) in [(200, body.as_str()), (500, &echo), (200, "{}"), (302, "")] {
            let answer = read(status, body);
            let again = matches!(answer.verdict, Verdict::TryAgain { .. });
            assert!(again, "{platform}: {body}: {:?}", answer.verdict);
            assert!(!format!("{answer:?}").contains("MARKER"), "{platform}: {answer:?}");
        }
        assert!(matches!(read(429, "").verdict, Verdict::Throttled { .. }), "{platform}");
        for reason in every::<DeadReason>() {
            assert!(advice(platform, reason, "unknown").len() > 20, "{platform}: {reason}");
        }
    }
}

#[test]
fn every_rule_about_answers_is_the_meaning_of_an_answer() {
    for platform in Platform::ALL {
        let subscription = subscription(platform, TOKEN);
        let rules = answer_rules(platform);
        let mut met = HashSet::new();
        for rule in rules {
            let (code, words, status) = rule.example();
            let body = json!({"errcode": code, "code": code, "errmsg": words, "msg": words});
            let (retry_after, rate_reset) = (None, None);
            let body = body.to_string();
            let reply = HttpReply { status, retry_after, rate_reset, body: body.as_bytes() };
            let AttemptOutcome { verdict, .. } = read_answer(&subscription, &reply);
            let meant = match rule.meaning() {
                Meaning::Delivered => VerdictKind::Delivered,
                Meaning::TryAgain => VerdictKind::TryAgain,
                Meaning::Throttled | Meaning::ThrottledFor(_) => VerdictKind::Throttled,
                Meaning::BudgetSpent(_) => VerdictKind::BudgetSpent,
                Meaning::Refused(_) => VerdictKind::Refused,
                Meaning::RobotGone => VerdictKind::RobotGone,
                Meaning::Security => VerdictKind::Security,
            };
            assert_eq!(verdict.kind(), meant, "{platform}: {rule:?}");
            met.insert(meant.as_str());
        }
        let needed = [VerdictKind::Delivered, VerdictKind::Throttled, VerdictKind::Refused];
        for kind in needed.into_iter().chain([VerdictKind::RobotGone]) {
            assert!(met.contains(kind.as_str()), "{platform} has no code for {}", kind.as_str());
        }
        let security = !takes_secret(platform) || met.contains(VerdictKind::Security.as_str());
        assert!(security, "{platform} has no code for a wrong signature");
    }
}

/// Runs a command with this configuration to its successful end.
fn command(config: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
    command.args(arguments).arg("--config").arg(config).env_clear();
    let piped = || std::process::Stdio::piped();
    let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_event_is_explained_for_every_platform_with_the_messages_that_are_rendered() {
    let dir = tempfile::tempdir().unwrap();
    let (path, config) =
        (|name: &str| dir.path().join(name).display().to_string(), dir.path().join("config"));
    let text = format!(
        "[store]\ndir = {:?}\n[key]\nfile = {:?}\n[admin]\nsocket = {:?}\n",
        path("data"),
        path("key"),
        path("socket")
    );
    std::fs::write(&config, text).unwrap();
    command(&config, &["key", "init"], "");
    for platform in Platform::ALL {
        let add = ["subscription", "add", "--topic", "alerts", "--platform", platform.as_str()];
        command(&config, &add, &webhook(platform, &format!("{TOKEN}-{platform}")));
    }
    let long = "a line of a long report\n".repeat(3_000);
    for message in ["down", &long] {
        let event = json!({"subject": "db-1", "message": message}).to_string();
        std::fs::write(dir.path().join("event"), event).unwrap();
        let asked = ["explain", "--json", "--topic", "alerts", "--event", &path("event")];
        let told = command(&config, &asked, "");
        assert!(!told.contains("MARKER"), "{told}");
        let told: Vec<serde_json::Value> =
            told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for platform in Platform::ALL {
            let of = |one: &&serde_json::Value| one["platform"] == platform.as_str();
            let one = told.iter().find(of).unwrap_or_else(|| panic!("{platform}: {told:?}"));
            assert_eq!(one["outcome"], "sent", "{platform}: {one}");
            let private = PrivateOptions::default();
            let plain = subscription(platform, TOKEN);
            let plain = Subscription { secret: None, private, ..plain };
            let sent = messages(&plain, &Arc::new(event_of(message)));
            let sizes: Vec<_> = sent.iter().map(|one| one.body.len()).collect();
            let shown = one["parts"].as_array().unwrap().iter();
            let shown: Vec<_> = shown
                .map(|part| usize::try_from(part["bytes"].as_u64().unwrap()).unwrap())
                .collect();
            assert_eq!(shown, sizes, "{platform}");
        }
    }
}

fn event_of(message: &str) -> Event {
    event("0190a0b0c0d0e0f00112233445566778", message, Format::Text)
}

#[test]
fn shells_complete_every_platform() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_roomcast"))
            .args(["completions", shell])
            .output()
            .unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        for platform in Platform::ALL {
            assert!(script.contains(platform.as_str()), "{shell} completes {platform}");
        }
    }
}

#[test]
fn operators_find_the_queues_the_metrics_and_the_names_of_every_platform() {
    let topology = Topology::new(TopologySettings {
        prefix: "p".to_owned(),
        tiers: vec![Duration::from_secs(1)],
        delivery_limit: 10,
        receipts: true,
    });
    let queues: BTreeSet<_> = topology.queues().into_iter().map(|queue| queue.name).collect();
    let telemetry = Telemetry::new();
    let counted: Vec<_> = DeadQueue::all()
        .map(|queue| DeadQueueStats::empty(queue.platform(), Timestamp::default()))
        .collect();
    DeadLettersCounted { queues: &counted }.emit(&telemetry);
    let metrics = telemetry.render();
    let series = |platform: Platform| -> BTreeSet<String> {
        let label = format!("platform=\"{platform}\"");
        let lines = metrics.lines().filter(|line| line.contains(&label));
        lines
            .filter_map(|line| Some(line.rsplit_once(' ')?.0.replace(&label, "platform")))
            .collect()
    };
    let help = Command::new(env!("CARGO_BIN_EXE_roomcast"))
        .args(["subscription", "add", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let [first, ..] = Platform::ALL;
    for platform in Platform::ALL {
        assert!(queues.contains(&topology.delivery_queue(platform)), "{platform}");
        assert!(queues.contains(&topology.dead_queue(platform)), "{platform}");
        assert!(DeadQueue::all().any(|queue| queue.platform() == Some(platform)), "{platform}");
        assert!(series(platform).len() > 20, "{platform}");
        assert_eq!(series(platform), series(first), "{platform} has the metrics of {first}");
        assert!(help.contains(platform.as_str()), "{help}");
    }
    let labels: BTreeSet<_> = Platform::ALL.map(label).into();
    assert_eq!(labels.len(), Platform::COUNT);
}

#[test]
fn every_platform_has_a_section_of_settings_with_its_documented_limits_as_defaults() {
    for platform in Platform::ALL {
        let text = format!("[platforms.{platform}]\nwindows = [\"7/10s\"]\n");
        let config = Config::read("a test", &text, &NoEnvironment)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        for (other, section) in config.platforms.iter() {
            let limits = default_limits(other);
            let maxima: Vec<_> = section.windows.iter().map(|window| window.max).collect();
            let documented = limits.windows.iter().map(|window| window.messages).collect();
            assert_eq!(maxima, if other == platform { vec![7] } else { documented }, "{other}");
            assert!(limits.penalty_min <= limits.penalty_max, "{other}");
        }
    }
}

/// A sender whose platforms are all emulated.
fn sender(emulator: &Emulator) -> Sender {
    install_crypto_provider();
    let settings = HttpTransportSettings::by_default().unwrap();
    let any = HashSet::from(["127.0.0.1".to_owned()]);
    let private_hosts = PrivateHosts { any, ..PrivateHosts::default() };
    let routes = OutgoingRoutes { private_hosts, ..OutgoingRoutes::default() };
    let transport = HttpTransport::new(&settings, &routes).unwrap();
    let gateway: url::Url = emulator.url().parse().unwrap();
    let gateways = PlatformMap::from_fn(|_| Some(gateway.clone()));
    Sender::new(Arc::new(transport), gateways, WebhookHosts::default())
}

/// Sends all parts of an event until one is not delivered.
async fn send(sender: &Sender, subscription: &Subscription, event: Event) -> AttemptOutcome {
    let (event, mut part) = (Arc::new(event), Part::default());
    loop {
        let delivery = delivery(subscription.platform, &event, part);
        let attempt = match sender.prepare(&delivery, subscription, &Clock::System).await {
            Ok(attempt) => attempt,
            Err(refused) => return refused,
        };
        let sent = attempt.part;
        let answer = sender.attempt(attempt, subscription, &Clock::System).await.answer;
        if answer.verdict != Verdict::Delivered || !sent.has_next() {
            return answer;
        }
        part = Part { index: sent.index + 1, total: sent.total };
    }
}

#[tokio::test]
async fn every_platform_takes_all_that_is_rendered_for_it_and_its_refusals_are_understood() {
    let emulator = Emulator::start(&[]).await;
    let sender = sender(&emulator);
    for platform in Platform::ALL {
        let chat = format!("chat-of-{platform}");
        let own = subscription(platform, &chat);
        let mut setup = json!({"quota": 0});
        if takes_secret(platform) {
            setup = json!({"quota": 0, "secret": SECRET, "keyword": "ops"});
        }
        emulator.robot(platform.as_str(), &chat, setup.clone()).await;
        for (number, text) in texts().into_iter().enumerate() {
            for format in [Format::Text, Format::Markdown] {
                let id = format!("{number} {format:?}");
                let answer = send(&sender, &own, event(&id, &text, format)).await;
                assert_eq!(answer.verdict, Verdict::Delivered, "{platform} {id}: {answer:?}");
            }
        }
        let many: Vec<_> = (0..500)
            .map(|number| Arc::new(event(&format!("d{number}"), &"告警".repeat(60), Format::Text)))
            .collect();
        let others: Vec<_> = many[1..].iter().collect();
        let folded = digest(platform, Language::Zh, &many[0], &others);
        assert_eq!(messages(&own, &Arc::new(folded.clone())).len(), 1, "a digest is one message");
        assert_eq!(send(&sender, &own, folded).await.verdict, Verdict::Delivered, "{platform}");
        until("the chat shows it", Duration::from_secs(5), || async {
            emulator.shown().await.get(&chat).is_some_and(|shown| {
                shown.iter().any(|text| text.contains("down")) && shown.len() > 2 * texts().len()
            })
        })
        .await;

        // A message that lacks what the platform needs.
        let mut empty = event("empty", "x", Format::Text);
        let native = json!({"msgtype": "text", "msg_type": "text", "keyword": "ops"}).to_string();
        empty.content.entries = vec![(platform, PlatformOverride::Native(native))];
        let free = format!("free-of-{platform}");
        emulator.robot(platform.as_str(), &free, json!({"quota": 0})).await;
        let private = PrivateOptions::default();
        let unsigned = Subscription { secret: None, private, ..subscription(platform, &free) };
        let answer = send(&sender, &unsigned, empty).await;
        assert_eq!(answer.verdict, Verdict::Refused, "{platform}: {answer:?}");

        for (state, verdict) in [("gone", Verdict::RobotGone), ("disabled", Verdict::RobotGone)] {
            emulator.robot(platform.as_str(), &free, json!({"state": state})).await;
            let answer = send(&sender, &unsigned, event(state, "x", Format::Text)).await;
            assert_eq!(answer.verdict, verdict, "{platform}: {answer:?}");
        }
        emulator.robot(platform.as_str(), &free, json!({"quota": 1})).await;
        let _ = send(&sender, &unsigned, event("first", "x", Format::Text)).await;
        let answer = send(&sender, &unsigned, event("second", "x", Format::Text)).await;
        assert!(matches!(answer.verdict, Verdict::Throttled { .. }), "{platform}: {answer:?}");
        if takes_secret(platform) {
            let wrong = Some(Secret::new("another".to_owned()));
            let answer = Subscription { secret: wrong, ..subscription(platform, &chat) };
            let answer = send(&sender, &answer, event("wrong", "x", Format::Text)).await;
            assert_eq!(answer.verdict, Verdict::Security, "{platform}: {answer:?}");
        }
        for (fault, throttled) in [
            (json!({"kind": "status", "status": 503}), false),
            (json!({"kind": "status", "status": 429}), true),
            (json!({"kind": "html"}), false),
            (json!({"kind": "cut"}), false),
        ] {
            emulator.fault(fault.clone()).await;
            let answer = send(&sender, &own, event(&fault.to_string(), "x", Format::Text)).await;
            emulator.no_faults().await;
            let understood = match answer.verdict {
                Verdict::Throttled { .. } => throttled,
                Verdict::TryAgain { .. } => !throttled,
                _ => false,
            };
            assert!(understood, "{platform}: {fault}: {answer:?}");
        }
        assert!(platforms::check_native(platform, &json!([])).is_err());
    }
}
