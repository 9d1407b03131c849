//! The console in a real browser.
//!
//! Owns the promise that it shows the true state, and that its actions take effect.
//! `target/tmp/console/` has a picture of each view afterwards.
//!
//! Not here: authentication and origins (`console_guard.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    broker,
    browser::{Browser, key},
    console::{TOKEN, sign_in, with_console},
    daemon::{Daemon, Home, get},
    emulator::Emulator,
    publisher::Publisher,
    until,
};

const SOON: Duration = Duration::from_secs(30);
const NOWHERE: &str = "http://127.0.0.1:9";
/// Deliveries beyond the quota wait for longer than any test. A hold lasts as long.
const LONG_WINDOWS: &str = "\
    [platforms.dingtalk]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3600s\"]\n\
    [platforms.dingtalk_internal]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3600s\"]\n\
    [platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"20/3600s\"]\n\
    penalty_min = \"10m\"\npenalty_max = \"10m\"\n";

/// Nothing on the page was refused by its own policy, is missing, or lacks an accessible name.
async fn sound(browser: &Browser) {
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    assert_eq!(browser.nameless().await, Vec::<String>::new());
    let text = browser.text("body").await;
    for mistake in ["[object", "undefined", "NaN", "null", "Invalid Date"] {
        assert!(!text.contains(mistake), "{mistake} is in {text}");
    }
}

async fn robots(home: &Home) -> Vec<Value> {
    serde_json::from_str(&get(&home.path("admin.sock"), "/v1/robots").await).unwrap()
}

#[tokio::test]
async fn people_sign_in_with_the_token_and_no_script_can_read_the_cookie() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let daemon = home.start().await;
    let browser = Browser::start().await;
    browser.open(&format!("{address}/console/subscriptions")).await;
    browser.find("#token").await.send_keys("not the token at all").await.unwrap();
    assert_eq!(
        browser.evaluate("return document.activeElement.id").await,
        "token",
        "one can type at once"
    );
    browser.pictures("sign-in").await;
    sound(&browser).await;
    browser.press(key::ENTER).await;
    browser.says(".notice", "The admin token is missing or wrong.").await;
    assert_eq!(browser.evaluate("return document.activeElement.id").await, "token");
    // The old input is selected, so that new input replaces it.
    browser.press(TOKEN).await;
    browser.press(key::ENTER).await;
    browser.says("h1", "Subscriptions").await;
    assert_eq!(
        browser
            .evaluate(
                "return document.cookie + JSON.stringify({...localStorage, ...sessionStorage})"
            )
            .await,
        "{}"
    );
    let cookie = format!("roomcast_session_{}", address.rsplit(':').next().unwrap());
    assert!(browser.page.get_named_cookie(&cookie).await.unwrap().http_only().unwrap());

    browser.open(&format!("{address}/console/robots")).await;
    browser.says("h1", "Robots").await;
    browser.click(".bar", "Sign out").await;
    browser.says("h1", "Sign in").await;
    assert!(!browser.shown(".bar nav").await);
    browser.open(&format!("{address}/console/robots")).await;
    browser.says("h1", "Sign in").await;
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn the_overview_shows_what_flows_and_says_when_it_does_not() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(
        broker,
        &emulator.url(),
        &format!("{LONG_WINDOWS}[groups.acme]\nmonthly = 40\n"),
    ));
    for (platform, token) in
        [("wecom", "wecom-001"), ("lark", "lark-0001"), ("dingtalk_internal", "internal-1")]
    {
        home.subscribe("ops", platform, token, &[]);
    }
    home.subscribe("ops", "dingtalk", "dingtalk-1", &["--group", "acme"]);
    let daemon = home.start().await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console")).await;
    browser.says(".headline", "All is well").await;
    browser.says(".slowest .empty", "Nothing waits").await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    for number in 0..25 {
        publisher.publish("ops", &json!({"message": format!("number {number}")})).await;
    }
    // Twenty leave at once, five wait: for WeCom, and for both kinds of DingTalk robots.
    browser.says(".detail", "15 deliveries wait for their turn.").await;
    browser.says(".flow tbody tr:nth-of-type(4)", "WeCom").await;
    browser.says(".flow tbody tr:nth-of-type(4) td[data-head='Delivered in all']", "20").await;
    browser.says(".chart [role=img]", "").await;
    let chart = browser.find(".chart [role=img]").await;
    until("the picture says what it shows", SOON, || async {
        chart.attr("aria-label").await.unwrap().is_some_and(|says| says.starts_with("85 delivered"))
    })
    .await;
    browser.counts(".slowest tbody tr", 3).await;
    browser.pictures("overview").await;
    browser.open(&format!("{address}/console/budgets")).await;
    browser.says("tbody tr", "20 of 40").await;
    browser.pictures("budgets").await;
    sound(&browser).await;

    browser.open(&format!("{address}/console")).await;
    browser.says(".link", "Live").await;
    daemon.kill();
    browser.says(".link", "Connection lost; as of ").await;
    browser.pictures("overview-lost").await;
    browser.complaints().await;
    let _again = home.start().await;
    // Sessions end with the daemon.
    browser.says(".sign-in .notice", "Your session is over. Sign in again.").await;
    browser.find("#token").await.send_keys(TOKEN).await.unwrap();
    browser.press(key::ENTER).await;
    browser.says(".link", "Live").await;
    browser.says(".headline", "All is well").await;
}

#[tokio::test]
async fn a_held_robot_shows_its_cause_and_an_operator_ends_the_hold() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), LONG_WINDOWS));
    for number in 0..6 {
        home.subscribe("ops", "wecom", &format!("wecom-00{number}"), &[]);
    }
    let _daemon = home.start().await;
    let throttled = json!({"errcode": 45009, "errmsg": "api freq out of limit"});
    emulator
        .fault(json!({"token": "wecom-003", "kind": "answer", "status": 200, "body": throttled}))
        .await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "x"})).await;
    let held = |all: &[Value]| {
        all.iter().find(|robot| robot["cause"] == "throttled").map(|one| one["robot"].clone())
    };
    until("it is held", SOON, || async { held(&robots(&home).await).is_some() }).await;
    let robot = held(&robots(&home).await).unwrap().as_str().unwrap().to_owned();

    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console")).await;
    browser.says(".headline", "1 robot is on hold").await;
    browser.click("nav", "Robots").await;
    browser.counts("tbody tr", 6).await;
    browser.says(".count", "6 robots, 1 on hold.").await;
    browser.says(".table", "The robot is on hold: its platform refuses for speed").await;
    browser.pictures("robots").await;
    sound(&browser).await;
    let places =
        "return [...document.querySelectorAll('tbody th')].map(one => one.textContent).join()";
    let before = browser.evaluate(places).await;

    // Cancelling the confirmation changes nothing.
    browser.click("tbody", "End hold").await;
    browser.says("dialog", "End the hold of this robot?").await;
    browser.pictures("robots-question").await;
    assert_eq!(
        browser.evaluate("return document.activeElement.textContent").await,
        "Cancel",
        "the safe answer"
    );
    browser.press(key::ESCAPE).await;
    browser.counts("dialog", 0).await;
    assert_eq!(
        browser.evaluate("return document.activeElement.textContent").await,
        "End hold",
        "back where one was"
    );
    assert!(held(&robots(&home).await).is_some());

    emulator.no_faults().await;
    browser.press(key::ENTER).await;
    browser.click("dialog", "End the hold").await;
    browser.says(".notice", "is ended.").await;
    assert!(held(&robots(&home).await).is_none(), "robot {robot} is not held any more");
    browser.says(".count", "6 robots, 0 on hold.").await;

    // A busier row does not move while a user reads, until the user requests it.
    for _ in 0..30 {
        publisher.publish("ops", &json!({"message": "more"})).await;
    }
    until("there is a backlog", SOON, || async {
        robots(&home).await.iter().all(|one| one["waiting"] != 0)
    })
    .await;
    browser.says("tbody tr:last-of-type td[data-head=Waiting]", "1").await;
    assert_eq!(browser.evaluate(places).await, before);
    browser.click(".head", "Sort by backlog").await;
    browser.says("#said", "Sorted by backlog.").await;
    browser.click("tbody tr", &browser.text("tbody th a").await).await;
    browser.says("h1", "Subscriptions").await;
    browser.counts("tbody tr", 1).await;
}

#[tokio::test]
async fn subscriptions_are_filtered_paged_and_paused_and_show_no_webhook() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let line = |number: usize| {
        let (platform, key) = match number % 2 {
            0 => ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key"),
            _ => ("dingtalk", "https://oapi.dingtalk.com/robot/send?access_token"),
        };
        json!({
            "topic": "many", "platform": platform,
            "endpoint": format!("{key}=LEAKMARKER-{number}-key"),
            "name": format!("<b>team</b> {number}")
        })
    };
    let lines: String = (0..120).map(|number| format!("{}\n", line(number))).collect();
    std::fs::write(home.path("robots.jsonl"), lines).unwrap();
    home.ok(&["subscription", "import", home.path("robots.jsonl").to_str().unwrap()], "");
    let rich = [
        "--name",
        "billing",
        "--overflow",
        "digest",
        "--quiet",
        "22:00-07:00",
        "--group",
        "acme",
        "--filter",
        r#"{"severity":["critical"]}"#,
    ];
    let billing = home.subscribe("invoices", "lark", "LEAKMARKER-lark", &rich);
    let _daemon = home.start().await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console/subscriptions")).await;
    browser.counts("tbody tr", 50).await;
    browser.says(".count", "50 subscriptions on this page.").await;
    browser.says("tbody tr:nth-of-type(2)", "<b>team</b> ").await;
    browser.click(".pages", "Next page").await;
    browser.click(".pages", "Next page").await;
    browser.counts("tbody tr", 21).await;
    assert!(
        !browser
            .evaluate("return document.documentElement.outerHTML")
            .await
            .as_str()
            .unwrap()
            .contains("LEAKMARKER")
    );
    browser.click(".pages", "First page").await;
    browser.counts("tbody tr", 50).await;

    browser.find("#filter-platform").await.select_by_value("lark").await.unwrap();
    browser.click(".filters", "Filter").await;
    browser.counts("tbody tr", 1).await;
    browser.says(".count", "1 subscription.").await;
    browser.says("tbody tr", "open.feishu.cn/open-apis/bot/v2/hook/****").await;
    browser.says("tbody tr", "quiet 22:00-07:00").await;
    browser.find("details summary").await.click().await.unwrap();
    browser.says("details pre", "critical").await;
    browser.pictures("subscriptions").await;
    assert!(
        browser
            .page
            .current_url()
            .await
            .unwrap()
            .as_str()
            .ends_with("/console/subscriptions?platform=lark")
    );
    sound(&browser).await;
    browser.page.back().await.unwrap();
    browser.counts("tbody tr", 50).await;
    browser.page.forward().await.unwrap();
    browser.counts("tbody tr", 1).await;

    let topic = browser.find("#filter-topic").await;
    topic.send_keys("no such topic").await.unwrap();
    browser.press(key::ENTER).await;
    browser.says(".notice.bad", "The topic's name holds ' '").await;
    browser.find("#filter-topic").await.clear().await.unwrap();
    topic.send_keys("nothing").await.unwrap();
    browser.press(key::ENTER).await;
    browser.says(".empty", "No subscription matches.").await;
    browser.click(".filters", "Clear").await;
    browser.counts("tbody tr", 50).await;
    // The test caused the refused topic itself.
    browser.complaints().await;

    browser.click("tbody tr:first-of-type", "Pause").await;
    browser
        .says("dialog", "1 subscription, billing on invoices, gets nothing until it is resumed.")
        .await;
    browser.click("dialog", "Pause").await;
    browser.says(".notice.good", "billing on invoices is paused.").await;
    let show = || {
        serde_json::from_str::<Value>(&home.ok(&["subscription", "show", &billing, "--json"], ""))
            .unwrap()
    };
    assert_eq!(show()["state"], "paused");
    browser.click("tbody tr:first-of-type", "Resume").await;
    browser.click("dialog", "Resume").await;
    browser.says(".notice.good", "billing on invoices is active again.").await;
    assert_eq!(show()["state"], "active");
    sound(&browser).await;
}

#[tokio::test]
async fn text_does_not_become_markup_and_no_other_page_shows_the_console_in_a_frame() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    let _daemon = home.start().await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console")).await;
    let markup = "try { document.body.innerHTML = '<b>x</b>'; return 'taken' } \
        catch (refused) { return refused.name }";
    assert_eq!(browser.evaluate(markup).await, "TypeError");
    let script = "const one = document.createElement('script'); one.append('window.ran = true'); \
        document.body.append(one);\
        return window.ran === true";
    let ran = browser.page.execute(script, Vec::new()).await;
    assert!(ran.is_err() || ran.unwrap() == false, "a script within the page does not run");
    browser.complains(&["requires 'TrustedHTML'", "requires 'TrustedScript'"]).await;

    // The same host with another port: the browser would send the cookie.
    browser.open(&emulator.url()).await;
    let frame = format!(
        "const frame = document.createElement('iframe'); \
         frame.onload = () => document.title = 'loaded';\
         frame.src = '{address}/console'; document.body.append(frame)"
    );
    browser.evaluate(&frame).await;
    until("the frame is loaded", SOON, || async {
        browser.page.title().await.unwrap() == "loaded"
    })
    .await;
    browser.complains(&["frame-ancestors 'none'"]).await;
    browser.page.enter_frame(0).await.unwrap();
    assert!(!browser.shown(".bar").await);
}

#[tokio::test]
async fn everything_is_reached_with_the_keyboard_alone() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    home.subscribe("ops", "wecom", "wecom-001", &["--name", "team a"]);
    let _daemon = home.start().await;
    let browser = Browser::start().await;
    browser.open(&format!("{address}/console/subscriptions")).await;
    browser.find("#token").await;
    browser.press(TOKEN).await;
    browser.press(key::ENTER).await;
    browser.counts("tbody tr", 1).await;
    browser.page.refresh().await.unwrap();
    browser.counts("tbody tr", 1).await;
    let focus = "const one = document.activeElement; \
        return (one.getAttribute('aria-label') ?? one.id) || one.textContent.trim()";
    let mut passed = Vec::new();
    while passed.last().is_none_or(|last| last != "Pause team a on ops") {
        browser.press(key::TAB).await;
        let at = browser.evaluate(focus).await.as_str().unwrap().to_owned();
        let outline =
            browser.evaluate("return getComputedStyle(document.activeElement).outlineStyle").await;
        assert_eq!(outline, "solid", "where the focus is, {at}, can be seen");
        passed.push(at);
        assert!(passed.len() < 40, "{passed:?}");
    }
    for stop in [
        "Skip to the content",
        "Overview",
        "Robots",
        "Subscriptions",
        "sign-out",
        "filter-topic",
        "filter-platform",
        "Filter",
        "ops",
    ] {
        assert!(passed.iter().any(|one| one == stop), "{stop} is not in {passed:?}");
    }
    browser.press(key::ENTER).await;
    browser.says("dialog h2", "Pause this subscription?").await;
    browser.press(key::TAB).await;
    browser.press(key::ENTER).await;
    browser.says(".notice", "team a on ops is paused.").await;
    browser.open(&format!("{address}/console")).await;
    browser.find(".bar nav").await;
    browser.press(key::TAB).await;
    browser.press(key::ENTER).await;
    until("the focus is there", SOON, || async {
        browser.evaluate("return document.activeElement.id").await == "main"
    })
    .await;
}

/// Dead letters of three kinds: a robot that is gone, a failing platform, an event that cannot be
/// decoded.
async fn with_dead_letters<'a>(
    home: &'a Home,
    emulator: &Emulator,
    publisher: &Publisher,
) -> Daemon<'a> {
    emulator.robot("dingtalk", "ding-gone", json!({"state": "gone"})).await;
    home.subscribe("ops", "dingtalk", "ding-gone", &[]);
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    emulator.fault(json!({"platform": "wecom", "kind": "status", "status": 503})).await;
    let daemon = home.start().await;
    for text in ["one", "\u{202e}two", "<img src=x onerror=alert(1)>"] {
        publisher
            .publish("ops", &json!({"subject": text, "message": format!("message {text}")}))
            .await;
    }
    publisher.publish_bytes("ops", b"{\"message\": oops}", lapin::BasicProperties::default()).await;
    until("all are given up", SOON, || async {
        let depths = [publisher.depth("dead.wecom").await, publisher.depth("dead.dingtalk").await];
        depths == [3, 3] && publisher.depth("dead.event").await == 1
    })
    .await;
    emulator.no_faults().await;
    daemon
}

#[tokio::test]
async fn the_overview_tells_dead_letters_by_reason_and_their_list_says_when_others_have_come() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(
        broker,
        &emulator.url(),
        "[retry]\ndelays = []\n[health]\nafter = 100\n",
    ));
    let home = home.with("dead_count_every = \"0s\"", "dead_count_every = \"1s\"");
    // The daemon declares the topology.
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let _daemon = with_dead_letters(&home, &emulator, &publisher).await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console")).await;
    browser.counts(".dead tbody tr", 3).await;
    browser.says(".figures", "Dead letters\n7").await;
    browser.says(".dead tbody", "every attempt failed").await;
    browser.pictures("overview-dead").await;
    sound(&browser).await;
    browser.click(".dead tbody", "it is not an event").await;
    browser.says(".count", "1 dead letter matches, of 1 looked through.").await;
    publisher.publish_bytes("ops", b"neither is this", lapin::BasicProperties::default()).await;
    browser.says(".news", "There are 2 now, and were 1: look again.").await;
    browser.pictures("dead-news").await;
    sound(&browser).await;
    browser.click(".head", "Look again").await;
    browser.says(".count", "2 dead letters match, of 2 looked through.").await;
    browser.says(".news", "").await;
}

#[tokio::test]
async fn dead_letters_are_filtered_looked_at_redriven_and_discarded() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(
        broker,
        &emulator.url(),
        "[retry]\ndelays = []\n[health]\nafter = 100\n",
    ));
    // The daemon declares the topology.
    assert!(home.start().await.terminate().success());
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let _daemon = with_dead_letters(&home, &emulator, &publisher).await;
    let browser = Browser::start().await;
    let letters = ".letters tbody tr";
    let kinds = ".kinds tbody tr";
    sign_in(&browser, &format!("{address}/console/dead")).await;
    browser.says(".count", "7 dead letters.").await;
    browser.counts(letters, 7).await;
    browser.counts(kinds, 3).await;
    browser.pictures("dead").await;
    sound(&browser).await;

    // A character that changes the text direction is shown as a dot, without effect.
    browser.says(".letters tbody", "·two").await;
    // One whole letter. The publisher's text is shown as text, whatever it contains.
    browser.click(kinds, "every attempt failed").await;
    browser.says(".count", "3 dead letters match, of 3 looked through.").await;
    browser.counts(letters, 3).await;
    browser.says(letters, "<img src=x onerror=alert(1)>").await;
    browser.click(letters, "Show").await;
    browser.says("dialog .advice", "What to do:").await;
    browser.says("dialog dl", "HTTP status 503, and the body is not the platform's JSON").await;
    browser.says("dialog", "message <img src=x").await;
    browser.says("dialog", "\"msgtype\"").await;
    browser.pictures("dead-letter").await;
    sound(&browser).await;
    assert!(!browser.shown("dialog img").await);
    browser.press(key::ESCAPE).await;
    browser.counts("dialog", 0).await;

    // One of them is redriven after the confirmation; the others stay.
    browser.find(&format!("{letters}:nth-of-type(2) input")).await.click().await.unwrap();
    browser.click(".actions", "Redrive 1 selected…").await;
    browser.says("dialog h2", "Redrive 1 dead letter?").await;
    browser.click("dialog", "Cancel").await;
    browser.counts("dialog", 0).await;
    until("they lie there", SOON, || async { publisher.depth("dead.wecom").await == 3 }).await;
    browser.click(".actions", "Redrive 1 selected…").await;
    browser.click("dialog", "Redrive 1").await;
    browser.says(".notice.good", "1 dead letter was redriven.").await;
    let focus = browser.evaluate("return document.activeElement.textContent").await;
    assert_eq!(focus, "Redrive all 2 that match…", "who works with the keyboard is where he was");
    until("the others stay", SOON, || async { publisher.depth("dead.wecom").await == 2 }).await;
    until("it arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    browser.counts(letters, 2).await;

    // All letters that match the filter, and no others.
    browser.click(".actions", "Redrive all 2 that match…").await;
    browser.says("dialog", "2 × WeCom, every attempt failed, http_503").await;
    browser.pictures("dead-question").await;
    browser.click("dialog", "Redrive 2").await;
    browser.says(".notice.good", "2 dead letters were redriven.").await;
    until("they arrive", SOON, || async { emulator.shown().await["wecom-001"].len() == 3 }).await;
    until("the others stay", SOON, || async {
        let depths = [publisher.depth("dead.wecom").await, publisher.depth("dead.dingtalk").await];
        depths == [0, 3]
    })
    .await;
    browser.says(".count", "0 dead letters match, of 0 looked through.").await;
    browser.says(".letters .empty", "No dead letter matches.").await;

    browser.click(".filters", "Clear").await;
    browser.counts(letters, 4).await;
    browser.find("#filter-reason").await.select_by_value("robot_gone").await.unwrap();
    browser.click(".filters", "Filter").await;
    browser.counts(letters, 3).await;
    browser.click(".actions", "Discard all 3 that match…").await;
    browser.says("dialog", "They are deleted for good, and nothing is sent.").await;
    browser.click("dialog", "Discard 3").await;
    browser.says(".notice.good", "3 dead letters were discarded.").await;
    until("the others stay", SOON, || async {
        let depths = [publisher.depth("dead.dingtalk").await, publisher.depth("dead.event").await];
        depths == [0, 1]
    })
    .await;
    assert_eq!(emulator.count("accepted").await, 3, "nothing was sent for them");

    // An error in a filter is one sentence.
    browser.find(".more summary").await.click().await.unwrap();
    browser.find("#filter-older_than").await.send_keys("yesterday").await.unwrap();
    browser.press(key::ENTER).await;
    browser.says(".notice.bad", "yesterday").await;
}

#[tokio::test]
async fn an_event_is_explained_and_not_sent() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    home.subscribe("ops", "wecom", "wecom-001", &["--name", "team a"]);
    home.subscribe(
        "ops",
        "lark",
        "lark-0001",
        &["--name", "team b", "--filter", r#"{"severity":["critical"]}"#],
    );
    let paused = home.subscribe("ops", "dingtalk", "dingtalk-1", &["--name", "team c"]);
    home.ok(&["subscription", "pause", &paused], "");
    let _daemon = home.start().await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console/explain")).await;
    browser.find("#explain-topic").await.send_keys("ops").await.unwrap();
    let body = browser.find("#explain-body").await;
    body.clear().await.unwrap();
    body.send_keys("{\"message\": oops}").await.unwrap();
    browser.click(".explain", "Explain").await;
    browser.says(".notice.bad", "This is not an event, and would be a dead letter:").await;
    body.clear().await.unwrap();
    body.send_keys("{\"message\": \"the disk is full\"}").await.unwrap();
    // Tab past the headers, the urgent switch, and one subscription.
    for _ in 0..4 {
        browser.press(key::TAB).await;
    }
    browser.press(key::ENTER).await;
    browser.says(".count", "3 subscriptions of the topic; 1 of them would get it.").await;
    for (name, says) in
        [("team a", "would be sent"), ("team b", "its filter rejects it"), ("team c", "is paused")]
    {
        let row = format!(
            "[...document.querySelectorAll('tbody tr')]\
             .find(row => row.textContent.includes('{name}'))"
        );
        let row = browser
            .evaluate(&format!("return {row}.textContent"))
            .await
            .as_str()
            .unwrap()
            .to_owned();
        assert!(row.contains(says), "{name}: {row}");
    }
    browser.find("details summary").await.click().await.unwrap();
    browser.says("details pre", "the disk is full").await;
    browser.pictures("explain").await;
    sound(&browser).await;
    browser.open(&format!("{address}/console/explain?topic=nobody")).await;
    browser.click(".explain", "Explain").await;
    browser.says(".explained .empty", "This topic has no subscriptions.").await;
    assert_eq!(emulator.received().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_event_is_explained_with_its_headers_and_content_type_by_the_keyboard_alone() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    let (home, address) = with_console(Home::new(broker, &emulator.url(), ""));
    let wanted = home.subscribe(
        "ops",
        "lark",
        "lark-0001",
        &["--name", "team b", "--filter", r#"{"severity":["critical"]}"#],
    );
    home.subscribe("ops", "wecom", "wecom-001", &["--name", "team a"]);
    let _daemon = home.start().await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console/explain?topic=ops")).await;
    browser.find("#explain-body").await.click().await.unwrap();
    let focus = "const one = document.activeElement; \
        return one.labels?.[0]?.textContent ?? one.getAttribute('aria-label') ?? one.textContent";
    let at = async || browser.evaluate(focus).await.as_str().unwrap().to_owned();
    let tab_to = async |name: &str| {
        for _ in 0..20 {
            browser.press(key::TAB).await;
            if at().await == name {
                return;
            }
        }
        panic!("{name} is not reached: {}", at().await);
    };
    let counts = "2 subscriptions of the topic; ";
    tab_to("Add a header").await;
    browser.press(key::ENTER).await;
    assert_eq!(at().await, "Name", "one can type at once");
    browser.press("severity").await;
    tab_to("Value").await;
    browser.press("critical").await;
    browser.press(key::ENTER).await;
    browser.says(".count", &format!("{counts}2 of them would get it.")).await;
    tab_to("Add a header").await;
    browser.press(key::ENTER).await;
    browser.press("severity").await;
    browser.press(key::ENTER).await;
    browser.says(".notice.bad", "The header severity is there twice.").await;
    assert!(!browser.shown(".explained").await, "what was said of another event is gone");
    browser.pictures("explain-headers").await;
    sound(&browser).await;
    tab_to("Remove header 2").await;
    browser.press(key::ENTER).await;
    assert_eq!(at().await, "Name", "the row before has the focus");
    tab_to("Remove header 1").await;
    browser.press(key::ENTER).await;
    assert_eq!(at().await, "Add a header");
    tab_to("Explain").await;
    browser.press(key::ENTER).await;
    browser.says(".count", &format!("{counts}1 of them would get it.")).await;

    // The content type says that the body is a CloudEvents event, and it is not one.
    let body = browser.find("#explain-body").await;
    body.clear().await.unwrap();
    body.send_keys(r#"{"message": "the disk is full"}"#).await.unwrap();
    browser
        .find("#explain-content-type")
        .await
        .send_keys("application/cloudevents+json")
        .await
        .unwrap();
    tab_to("Explain").await;
    browser.press(key::ENTER).await;
    browser.says(".notice.bad", "This is not an event, and would be a dead letter:").await;
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/db", "type": "t", "severity": "critical",
        "data": {"message": "the disk is full"}
    });
    body.clear().await.unwrap();
    body.send_keys(&event.to_string()).await.unwrap();
    tab_to("Only for one subscription").await;
    browser.press(&wanted).await;
    browser.press(key::ENTER).await;
    browser.says(".count", "1 subscription of the topic; 1 of them would get it.").await;
    browser.counts("tbody tr", 1).await;
    browser.says("tbody tr", "team b").await;
    browser.pictures("explain-cloud-event").await;
    sound(&browser).await;
    assert_eq!(emulator.received().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_page_does_not_grow_with_robots_and_a_filter_finds_those_that_are_not_shown() {
    let (broker, emulator) = (broker::shared().await, Emulator::start(&[]).await);
    // One message leaves, all others wait.
    let more = "[platforms.wecom]\nbase_url = \"BASE_URL\"\nwindows = [\"1/3600s\"]\n";
    let (home, address) = with_console(Home::new(broker, &emulator.url(), more));
    let line = |number: usize| {
        let endpoint =
            format!("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=come-and-go-{number:03}");
        json!({
            "topic": if number < 230 { "first" } else { "then" }, "platform": "wecom",
            "endpoint": endpoint
        })
    };
    let lines: String = (0..460).map(|number| format!("{}\n", line(number))).collect();
    std::fs::write(home.path("robots.jsonl"), lines).unwrap();
    home.ok(&["subscription", "import", home.path("robots.jsonl").to_str().unwrap()], "");
    let _daemon = home.start().await;
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    let wait = async |topic: &'static str, times: usize| {
        for number in 0..times {
            publisher.publish(topic, &json!({"message": format!("number {number}")})).await;
        }
        until("all of the topic wait", SOON, || async {
            let waiting =
                |robot: &Value| robot["waiting"].as_u64() == u64::try_from(times - 1).ok();
            robots(&home).await.iter().filter(|robot| waiting(robot)).count() == 230
        })
        .await;
    };
    wait("first", 2).await;
    let browser = Browser::start().await;
    sign_in(&browser, &format!("{address}/console/robots")).await;
    browser.says(".count", "200 robots, 0 on hold. 30 more are busy and not shown.").await;
    browser.counts("tbody tr", 200).await;
    wait("then", 4).await;
    browser.says(".count", "200 robots, 0 on hold. 260 more are busy and not shown.").await;
    browser.says("tbody", "not among the busiest any more").await;
    // A row under the pointer stays, even if its robot disappears.
    until("a hundred of those that went are left", SOON, || async {
        let rows = browser.evaluate("return document.querySelectorAll('tbody tr').length").await;
        (300..=301).contains(&rows.as_u64().unwrap())
    })
    .await;
    sound(&browser).await;

    let last = robots(&home).await.last().unwrap()["robot"].as_str().unwrap().to_owned();
    let rows = "return document.querySelector('tbody').textContent";
    browser.find("#filter-robot").await.send_keys(&last[..20]).await.unwrap();
    browser.press(key::ENTER).await;
    browser.says(".count", "1 robot, 0 on hold. These fit, of 460 that are busy or on hold.").await;
    browser.counts("tbody tr", 1).await;
    assert!(browser.evaluate(rows).await.as_str().unwrap().contains(&last[..8]));
    browser.pictures("robots-filtered").await;
    sound(&browser).await;
    browser.find("#filter-state").await.select_by_value("held").await.unwrap();
    browser.click(".filters", "Filter").await;
    browser.says(".count", "0 robots, 0 on hold. These fit, of 460").await;
    browser.says(".empty", "No robot to show").await;
    browser.page.back().await.unwrap();
    browser.counts("tbody tr", 1).await;
    browser.click(".filters", "Clear").await;
    browser.says(".count", "200 robots, 0 on hold. 260 more are busy and not shown.").await;
    browser.counts("tbody tr", 200).await;
}
