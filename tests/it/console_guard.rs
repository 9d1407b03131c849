//! Access to the console, tested as any program could call it, without the rules of a browser.
//!
//! Owns the promises on tokens, sessions, cookies and origins.
//!
//! Not here: the console in a browser (`console.rs`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    broker,
    console::{Answer, TOKEN, http, http_from, with_console},
    daemon::{Home, call},
};

const NOWHERE: &str = "http://127.0.0.1:9";
/// Two local addresses.
const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Logs in; returns the cookie and the secret that a change must send.
async fn session(address: &str) -> (String, String) {
    let body = json!({"token": TOKEN}).to_string();
    let answer = http(address, "POST", "/console/api/session", &[JSON], &body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.headers["set-cookie"].split(';').next().unwrap().to_owned();
    let csrf =
        serde_json::from_str::<Value>(&answer.body).unwrap()["csrf"].as_str().unwrap().to_owned();
    (cookie, csrf)
}

/// The machine-readable error of an answer.
fn word(answer: &Answer) -> String {
    serde_json::from_str::<Value>(&answer.body).unwrap()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_console_is_served_only_where_it_is_switched_on() {
    let broker = broker::shared().await;
    let (home, address) = with_console(Home::new(broker, NOWHERE, ""));
    let home = home.with("console = true\n", "");
    let daemon = home.start().await;
    for path in ["/console", "/console/assets/console.js", "/console/api/session"] {
        assert_eq!(http(&address, "GET", path, &[], "").await.status, 404, "{path}");
    }
    assert!(daemon.terminate().success());
    let home = home.with("[admin]\n", "[admin]\nconsole = true\n");
    let daemon = home.start().await;
    assert_eq!(http(&address, "GET", "/console", &[], "").await.status, 200);
    let root = http(&address, "GET", "/", &[], "").await;
    assert_eq!((root.status, root.headers["location"].as_str()), (307, "/console"));
    let (status, _) = call(&home.path("admin.sock"), "GET", "/console", &Value::Null).await;
    assert_eq!(status, 404, "no browser opens the Unix socket");
    assert!(daemon.terminate().success());
}

#[tokio::test]
async fn a_console_without_an_address_is_one_sentence() {
    let home = Home::new(broker::shared().await, NOWHERE, "")
        .with("[admin]\n", "[admin]\nconsole = true\n");
    let said = home.fails(&["check"], "", 64);
    assert!(
        said.contains("admin.console: a browser cannot open the Unix socket: set admin.listen"),
        "{said}"
    );
}

#[tokio::test]
async fn every_answer_keeps_other_pages_and_other_peoples_scripts_out() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let _daemon = home.start().await;
    for path in [
        "/console",
        "/console/robots",
        "/console/assets/console.js",
        "/console/api/robots",
        "/console/none",
    ] {
        let headers = http(&address, "GET", path, &[], "").await.headers;
        let policy = &headers["content-security-policy"];
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(
                policy.split(';').any(|one| one.trim() == part),
                "{path}: {part} is not in {policy}"
            );
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers.get(name).map(String::as_str), Some(value), "{path}: {name}");
        }
        let kept = if path.contains("assets") { "no-cache" } else { "no-store" };
        assert_eq!(headers["cache-control"], kept, "{path}");
    }
}

#[tokio::test]
async fn only_the_token_opens_a_session_and_the_cookie_is_not_the_token() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let _daemon = home.start().await;
    for wrong in ["", "another-token-of-the-tests", "a-token-of-the-test"] {
        let body = json!({"token": wrong}).to_string();
        let answer = http(&address, "POST", "/console/api/session", &[JSON], &body).await;
        assert_eq!((answer.status, word(&answer).as_str()), (401, "unauthorized"));
        assert!(!answer.headers.contains_key("set-cookie"));
    }
    assert_eq!(home.log().matches("somebody showed a wrong token to the console").count(), 3);
    let body = json!({"token": TOKEN}).to_string();
    let sites = [("http://127.0.0.1", false), ("https://console.example", true)];
    for (origin, over_tls) in sites {
        let answer =
            http(&address, "POST", "/console/api/session", &[JSON, ("origin", origin)], &body)
                .await;
        let cookie = &answer.headers["set-cookie"];
        for part in ["HttpOnly", "SameSite=Strict", "Path=/console"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        assert_eq!(cookie.contains("Secure"), over_tls, "{cookie}");
        assert!(!cookie.contains(TOKEN) && !answer.body.contains(TOKEN));
    }
    assert!(!home.log().contains(TOKEN));
}

#[tokio::test]
async fn guesses_of_tokens_are_slowed_down_and_lock_out_no_other_caller() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let _daemon = home.start().await;
    let signed_in = session(&address).await;
    let sign_in = |token: &str| json!({"token": token}).to_string();
    let api = |token: &str| format!("Bearer {token}");
    let shown = async |from: &str, token: &str| {
        http_from(from, &address, "GET", "/v1/subscriptions", &[("authorization", &api(token))], "")
            .await
    };
    // A program repeats an old token all the time, which counts as one attempt.
    for _ in 0..50 {
        assert_eq!(shown(HERE, "the token of last year").await.status, 401);
    }
    for number in 0..9 {
        let guess = format!("guess {number}");
        let status = match number % 2 {
            0 => shown(HERE, &guess).await.status,
            _ => {
                http(&address, "POST", "/console/api/session", &[JSON], &sign_in(&guess))
                    .await
                    .status
            }
        };
        assert_eq!(status, 401, "{guess}");
    }
    let answers = [
        shown(HERE, "one more").await,
        http(&address, "POST", "/console/api/session", &[JSON], &sign_in("one more")).await,
    ];
    for answer in answers {
        assert_eq!(
            (answer.status, word(&answer).as_str()),
            (429, "too_many_tries"),
            "{}",
            answer.body
        );
        let wait: u64 = answer.headers["retry-after"].parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(answer.body.contains(&format!("none is checked for {wait} s")), "{}", answer.body);
    }
    // The valid token is accepted from an address where it was used recently, even if that address
    // floods wrong ones.
    for number in 0..300 {
        assert_eq!(shown(HERE, &format!("flood {number}")).await.status, 429);
    }
    assert_eq!(shown(HERE, TOKEN).await.status, 200);
    let again = http(&address, "POST", "/console/api/session", &[JSON], &sign_in(TOKEN)).await;
    assert_eq!(again.status, 200, "{}", again.body);
    // Not affected: a session, guesses from another address, and the Unix socket.
    let live =
        http(&address, "GET", "/console/api/subscriptions", &[("cookie", &signed_in.0)], "").await;
    assert_eq!(live.status, 200, "{}", live.body);
    assert_eq!(shown(ELSEWHERE, "guess from elsewhere").await.status, 401);
    for number in 0..9 {
        assert_eq!(shown(ELSEWHERE, &format!("elsewhere {number}")).await.status, 401);
    }
    assert_eq!(shown(ELSEWHERE, TOKEN).await.status, 429, "the right token never came from there");
    assert_eq!(home.ok(&["subscription", "list", "--json"], ""), "");
    let log = home.log();
    assert_eq!(
        log.matches("somebody showed a wrong token to the API").count(),
        16,
        "the repeated one once"
    );
    assert_eq!(log.matches("somebody showed a wrong token to the console").count(), 4);
    assert_eq!(log.matches("none from there is looked at").count(), 2);
    assert!(!log.contains("last year") && !log.contains("guess "), "no token is in the log");
}

#[tokio::test]
async fn without_a_session_the_console_tells_nothing_and_does_nothing() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let pause = format!("/console/api/subscriptions/{id}/pause");
    let asked = [
        ("GET", "/console/api/subscriptions"),
        ("GET", "/console/api/live/overview"),
        ("POST", &pause),
        ("DELETE", "/console/api/session"),
    ];
    for (method, path) in asked {
        let name = format!("roomcast_session_{}", address.rsplit(':').next().unwrap());
        for cookie in [String::new(), format!("{name}="), format!("{name}=00")] {
            let answer = http(&address, method, path, &[("cookie", &cookie)], "").await;
            assert_eq!(
                (answer.status, word(&answer).as_str()),
                (401, "no_session"),
                "{method} {path} {cookie}"
            );
        }
        // The token itself is for programs, and opens only the API.
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(
            http(&address, method, path, &[("authorization", &bearer)], "").await.status,
            401,
            "{path}"
        );
    }
    let (cookie, _) = session(&address).await;
    let through = http(&address, "GET", "/v1/subscriptions", &[("cookie", &cookie)], "").await;
    assert_eq!(through.status, 401, "a session opens the console and not the API");
    assert!(home.ok(&["subscription", "list"], "").contains("active"));
}

#[tokio::test]
async fn what_changes_something_has_to_come_from_the_page_itself() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let (cookie, csrf) = session(&address).await;
    let (_, of_another) = session(&address).await;
    let state = || {
        serde_json::from_str::<Value>(&home.ok(&["subscription", "show", &id, "--json"], ""))
            .unwrap()
    };
    let pause = format!("/console/api/subscriptions/{id}/pause");
    let cookie = ("cookie", cookie.as_str());
    let refused = [
        vec![cookie],
        vec![cookie, ("x-roomcast-csrf", "")],
        vec![cookie, ("x-roomcast-csrf", &of_another)],
        vec![cookie, ("x-roomcast-csrf", &csrf), ("sec-fetch-site", "cross-site")],
        // Another port of the same host is the same site, but another origin.
        vec![cookie, ("x-roomcast-csrf", &csrf), ("sec-fetch-site", "same-site")],
    ];
    for headers in refused {
        let answer = http(&address, "POST", &pause, &headers, "").await;
        assert_eq!((answer.status, word(&answer).as_str()), (403, "foreign"), "{headers:?}");
        assert_eq!(state()["state"], "active");
    }
    let right = [cookie, ("x-roomcast-csrf", csrf.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(http(&address, "POST", &pause, &right, "").await.status, 204);
    assert_eq!(state()["state"], "paused");
    let body = json!({"token": TOKEN}).to_string();
    let foreign = [JSON, ("sec-fetch-site", "cross-site")];
    assert_eq!(
        http(&address, "POST", "/console/api/session", &foreign, &body).await.status,
        403,
        "signing in too"
    );

    assert_eq!(http(&address, "DELETE", "/console/api/session", &[cookie], "").await.status, 403);
    assert_eq!(http(&address, "DELETE", "/console/api/session", &right, "").await.status, 204);
    let after = http(&address, "GET", "/console/api/subscriptions", &[cookie], "").await;
    assert_eq!(after.status, 401, "a session that was ended opens nothing");
}

#[tokio::test]
async fn a_session_cannot_use_routes_that_the_console_does_not_need() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let (cookie, csrf) = session(&address).await;
    let headers = [("cookie", cookie.as_str()), ("x-roomcast-csrf", csrf.as_str()), JSON];
    let one = format!("subscriptions/{id}");
    for (method, path) in [
        ("POST", "subscriptions"),
        ("POST", "subscriptions/export"),
        ("POST", "subscriptions/import"),
        ("PATCH", &one),
        ("DELETE", &one),
        ("DELETE", "topics/ops"),
        ("POST", "key/rotation"),
        ("POST", "store/backup"),
    ] {
        let status =
            http(&address, method, &format!("/console/api/{path}"), &headers, "{}").await.status;
        assert!([404, 405].contains(&status), "{method} {path}: {status}");
    }
    assert!(home.ok(&["subscription", "list"], "").contains("active"));
}

#[tokio::test]
async fn no_more_than_a_few_watch_and_a_daemon_that_stops_lets_them_go() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let daemon = home.start().await;
    let (cookie, csrf) = session(&address).await;
    let host = address.trim_start_matches("http://").to_owned();
    let mut watchers = Vec::new();
    for _ in 0..32 {
        let stream = tokio::net::TcpStream::connect(&host).await.unwrap();
        let request = format!(
            "GET /console/api/live/robots HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n"
        );
        let mut stream = tokio::io::BufReader::new(stream);
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        read_until(&mut stream, "event: now").await;
        watchers.push(stream);
    }
    let answer =
        http(&address, "GET", "/console/api/live/robots", &[("cookie", &cookie)], "").await;
    assert_eq!((answer.status, word(&answer).as_str()), (503, "unavailable"));
    assert!(answer.body.contains("32 windows watch already"), "{}", answer.body);
    let headers = [("cookie", cookie.as_str()), ("x-roomcast-csrf", csrf.as_str())];
    assert_eq!(http(&address, "DELETE", "/console/api/session", &headers, "").await.status, 204);
    for stream in &mut watchers {
        let ended = tokio::time::timeout(Duration::from_secs(30), read_to_end(stream)).await;
        assert!(ended.is_ok(), "who has no session any more is told nothing any more");
    }
    let (cookie, _) = session(&address).await;
    let stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    let mut stream = tokio::io::BufReader::new(stream);
    let request = format!(
        "GET /console/api/live/robots HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n"
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    read_until(&mut stream, "event: now").await;
    assert!(daemon.terminate().success(), "who watches does not keep the daemon from stopping");
}

type Stream = tokio::io::BufReader<tokio::net::TcpStream>;

async fn read_until(stream: &mut Stream, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        let reading = tokio::io::AsyncBufReadExt::read_line(stream, &mut line);
        let read = tokio::time::timeout(Duration::from_secs(30), reading)
            .await
            .expect("something is told")
            .unwrap();
        assert!(read > 0, "the stream ended before {text}");
    }
}

/// Reads the remaining events up to the end of the answer, an empty chunk.
async fn read_to_end(stream: &mut Stream) {
    let mut line = String::new();
    while line != "0\r\n" {
        line.clear();
        if tokio::io::AsyncBufReadExt::read_line(stream, &mut line).await.unwrap() == 0 {
            return;
        }
    }
}
