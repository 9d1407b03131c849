//! Configurations as users write them, correct and wrong.
//!
//! Owns the proof that `deploy/roomcast.toml` is the defaults, and that no message repeats a
//! password.
//!
//! Not here: the effect of a setting (the tests of the module that uses it), and the documents
//! (`reference_tests.rs`).

use std::collections::BTreeMap;

use super::{Config, EnvironmentSource};
use crate::domain::Platform;

struct Environment(BTreeMap<&'static str, &'static str>);

impl EnvironmentSource for Environment {
    fn var(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| (*value).to_owned())
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().map(|name| (*name).to_owned()).collect()
    }
}

fn with(text: &str, variables: &[(&'static str, &'static str)]) -> Result<Config, String> {
    let environment = Environment(variables.iter().copied().collect());
    Config::read("roomcast.toml", text, &environment).map_err(|mistakes| mistakes.to_string())
}

fn mistakes(text: &str, variables: &[(&'static str, &'static str)]) -> String {
    match with(text, variables) {
        Ok(_) => panic!("taken: {text}"),
        Err(mistakes) => mistakes,
    }
}

fn example() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/roomcast.toml")).unwrap()
}

#[test]
fn the_example_is_the_defaults() {
    let from_example = with(&example(), &[]).unwrap();
    assert_eq!(format!("{from_example:#?}"), format!("{:#?}", with("", &[]).unwrap()));
}

#[test]
fn the_commented_lines_of_the_example_are_settings_too() {
    let is_off = |line: &str| {
        let rest = line.strip_prefix('#').unwrap_or_default();
        let key = rest.split(" = ").next().unwrap_or_default();
        rest.starts_with('[') || (rest.contains(" = ") && !key.contains(' '))
    };
    let on = example().lines().map(|line| if is_off(line) { &line[1..] } else { line }).fold(
        String::new(),
        |text, line| {
            if line.starts_with("url_file") { text } else { text + line + "\n" }
        },
    );
    let config = with(&on, &[]).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.groups.len(), 1);
    assert!(
        config.admin.listen.is_some()
            && config.platforms.get(Platform::DingTalk).base_url.is_some()
    );
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_places() {
    let text = r#"[broker]
prefix = "no spaces please"
declare = "maybe"
prefetch = 0
hearbeat = "10s"

[pace]
hold_max = ["1s"]
margin = "soon"

[platforms.dingtalk]
windows = ["20/60s", "5 per second"]
base_url = "https://gateway/with/path"

[platforms.slack]
windows = []

[retyr]
jitter = 0.5
"#;
    let environment = [("ROOMCAST_BROKER_URI", "x"), ("ROOMCAST_SEND_DEADLINE", "1")];
    insta::assert_snapshot!(mistakes(text, &environment));
}

#[test]
fn broken_toml_is_reported_with_line_and_column_together_with_the_rest() {
    let text = "[broker]\nprefix = \n[pace]\nhold_max = \"x\"\n";
    insta::assert_snapshot!(mistakes(text, &[]));
}

#[test]
fn no_mistake_repeats_the_password_in_the_address() {
    for found in [
        mistakes("[broker]\nurl = \"http://user:HUNTER2@host\"\n", &[]),
        mistakes("", &[("ROOMCAST_BROKER_URL", "HUNTER2")]),
        format!("{:?}", with("[broker]\nurl = \"amqp://user:HUNTER2@host\"\n", &[]).unwrap()),
    ] {
        assert!(!found.contains("HUNTER2"), "{found}");
    }
}

#[test]
fn a_variable_wins_over_the_file_and_a_list_is_separated_by_commas() {
    let config = with(
        "[broker]\nprefix = \"file\"\n[delay]\ntiers = [\"1s\"]\n",
        &[
            ("ROOMCAST_BROKER_PREFIX", "variable"),
            ("ROOMCAST_DELAY_TIERS", "1s, 2s,4s"),
            ("ROOMCAST_PLATFORMS_DINGTALK_INTERNAL_WINDOWS", "7/10s"),
            ("ROOMCAST_PLATFORMS_LARK_WINDOWS", ""),
            ("ROOMCAST_CONFIG", "x"),
            ("ROOMCAST_SERVICE_HOST", "10.0.0.1"),
            ("ROOMCAST_PORT_9000_TCP", "tcp://10.0.0.1:9000"),
        ],
    )
    .unwrap();
    assert_eq!(config.broker.prefix, "variable");
    assert_eq!(config.delay.tiers.len(), 3);
    let windows = |platform| &config.platforms.get(platform).windows;
    assert_eq!(windows(Platform::DingTalkInternal)[0].max, 7);
    assert_eq!(windows(Platform::Lark).len(), 0);
}

#[test]
fn each_organisation_has_a_section_of_its_own() {
    let config = with(
        "[groups.acme]\nmonthly = 3000\nat_end = \"dead\"\n[groups.beta]\ntime_zone = \"UTC\"",
        &[],
    )
    .unwrap();
    let groups: Vec<_> =
        config.groups.iter().map(|(name, one)| (name.as_str(), one.monthly, one.at_end)).collect();
    assert_eq!(
        groups,
        [("acme", Some(3000), crate::pace::AtEnd::Dead), ("beta", None, crate::pace::AtEnd::Hold)]
    );
}

#[test]
fn keys_that_do_not_go_together_are_mistakes() {
    for (text, expected) in [
        ("[delay]\ntiers = []", "at least one tier"),
        (
            "[delay]\ntiers = [\"5s\", \"1s\"]\n[pace]\nhold_max = \"9s\"",
            "each tier must be longer",
        ),
        ("[delay]\ntiers = [\"5s\"]", "longer than pace.hold_max"),
        ("[delay]\ntiers = [\"1s\", \"25h\"]", "24h long at the most"),
        ("[broker]\nreconnect_min = \"1m\"", "longer than broker.reconnect_max"),
        ("[event]\ntime_to_live = \"8d\"", "longer than event.time_to_live_max"),
        ("[send]\nconnect_timeout = \"1m\"", "longer than send.deadline"),
        ("[platforms.wecom]\npenalty_min = \"2m\"", "longer than penalty_max"),
        ("[admin]\nlisten = \"0.0.0.0:1\"", "needs admin.token_file"),
        ("[broker]\nheartbeat = \"10ms\"", "at least 1s"),
        ("[broker]\nurl = \"amqp://a\"\nurl_file = \"/dev/null\"", "it must be a regular file"),
        ("[health]\nprobe_min = \"2h\"", "longer than health.probe_max"),
        ("[breaker]\nprobe_min = \"6m\"", "longer than breaker.probe_max"),
        ("[pace]\nearly_max = \"1s\"", "shorter than pace.hold_max"),
        ("[groups.acme]\nat_end = \"stop\"", "use hold, dead, ignore"),
        ("[outcome]\nreceipts = \"on\"", "use off, asked, all"),
        ("[groups.acme]\nmonthyl = 5", "did you mean groups.acme.monthly?"),
        ("[groups.acme]\ntime_zone = \"Mars/Base\"", "is not a time zone"),
        ("[groups.\"no spaces\"]\nmonthly = 5", "is not a name of a group"),
        ("broker = 1", "write it as [broker]"),
        ("[admin]\nconsole = true", "a browser cannot open the Unix socket: set admin.listen"),
        ("[admin]\nconsole = \"on\"", "use true, false"),
        ("[send]\ndeadline = true", "is not a span of time"),
        ("[send]\ndeadline = 2026-03-01", "a datetime is not possible here"),
        ("[send]\ndeadline = \"-1s\"", "is not a span of time"),
    ] {
        let found = mistakes(text, &[]);
        assert!(found.contains(expected), "{text}: {found}");
    }
}

#[test]
fn what_differs_between_two_configurations_is_named_without_its_value() {
    let before = "[broker]\nurl = \"amqp://u:hunter2@h\"\n[pace]\nheld_max = 5\nhold_max = \"1s\"\n\
        [groups.a]\nmonthly = 9\n";
    let after = "[broker]\nurl = \"amqp://u:hunter3@h\"\n\
        [pace]\nhold_max = \"1000ms\"\norder_gap = \"50ms\"\n[retry]\ndelays = [\"1s\"]\n";
    let [before, after] = [before, after].map(|text| with(text, &[]).unwrap());
    let names = |one: &Config, other: &Config| {
        one.differing(other).into_iter().map(|changed| changed.name).collect::<Vec<_>>()
    };
    let expected = [
        "broker.url",
        "groups.a.at_end",
        "groups.a.monthly",
        "groups.a.time_zone",
        "groups.a.warn_at",
        "pace.held_max",
        "retry.delays",
    ];
    assert_eq!(names(&after, &before), expected);
    assert_eq!(names(&before, &after), expected);
    assert!(after.differing(&after).is_empty());
    assert!(!format!("{after:?}").contains("hunter3"));
}
