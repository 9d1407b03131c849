//! The audit log of the admin API and the console.
//!
//! Owns three promises. Each change is one log line. Routes that reveal webhooks or change keys
//! exist only on the socket. TCP answers only requests that name one of the daemon's hosts.
//!
//! Not here: sessions and cookies of the console (`console_guard.rs`).

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    broker,
    console::{TOKEN, http, with_console},
    daemon::{Home, call, endpoint},
};

const NOWHERE: &str = "http://127.0.0.1:9";
const LINE: &str = "a change through the admin API";
const JSON: (&str, &str) = ("content-type", "application/json");

/// Routes that change nothing, or that have a log line of their own.
const NOT_LOGGED: [&str; 5] = [
    "/v1/explain",
    "/v1/store/verify",
    "/v1/templates/{name}/render",
    "/console/api/explain",
    "/console/api/session",
];

/// The texts of all source files of the admin API, without their tests.
fn sources() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin");
    let (mut folders, mut texts) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                texts.push(text.split("\n#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }
    texts
}

/// Every route with a method that may change something, from the sources: method and path.
fn changing_routes() -> Vec<(String, String)> {
    let mut routes = Vec::new();
    for text in sources() {
        for piece in text.split(".route(").skip(1) {
            let (path, handlers) = piece.split_once('"').unwrap().1.split_once('"').unwrap();
            let handlers = handlers.split("\n").next().unwrap();
            let paths: Vec<_> = match path.strip_prefix("{under}") {
                Some(rest) => ["/v1", "/console/api"].map(|root| format!("{root}{rest}")).into(),
                None => vec![path.to_owned()],
            };
            for method in ["post", "put", "patch", "delete"] {
                let is_there = [format!(" {method}("), format!(".{method}(")]
                    .iter()
                    .any(|call| handlers.contains(call));
                routes.extend(paths.iter().filter(|_| is_there).map(|path| {
                    (method.to_uppercase(), path.replace("{{", "{").replace("}}", "}"))
                }));
            }
        }
    }
    assert!(routes.len() > 20, "the routes were found: {routes:?}");
    routes
}

/// The log lines of changes.
fn lines(home: &Home) -> Vec<String> {
    home.log().lines().filter(|line| line.contains(LINE)).map(str::to_owned).collect()
}

async fn session(address: &str) -> (String, String) {
    let body = json!({"token": TOKEN}).to_string();
    let answer = http(address, "POST", "/console/api/session", &[JSON], &body).await;
    let cookie = answer.headers["set-cookie"].split(';').next().unwrap().to_owned();
    let csrf =
        serde_json::from_str::<Value>(&answer.body).unwrap()["csrf"].as_str().unwrap().to_owned();
    (cookie, csrf)
}

#[tokio::test]
async fn every_route_that_may_change_something_leaves_a_line_however_it_is_asked() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let _daemon = home.start().await;
    let (cookie, csrf) = session(&address).await;
    let bearer = format!("Bearer {TOKEN}");
    for (method, path) in changing_routes() {
        if NOT_LOGGED.contains(&path.as_str()) {
            continue;
        }
        let asked = path
            .replace("{id}", &"0".repeat(32))
            .replace("{topic}", "ops")
            .replace("{name}", "welcome");
        let action = format!("action=\"{method} {path}\"");
        let actors = if path.starts_with("/v1") { &["socket", "token"][..] } else { &["session"] };
        for actor in actors {
            let before = lines(&home).len();
            match *actor {
                "socket" => drop(call(&home.path("admin.sock"), &method, &asked, &json!({})).await),
                "token" => {
                    let headers = [("authorization", bearer.as_str()), JSON];
                    http(&address, &method, &asked, &headers, "{}").await;
                }
                _ => {
                    let headers =
                        [("cookie", cookie.as_str()), ("x-roomcast-csrf", csrf.as_str()), JSON];
                    http(&address, &method, &asked, &headers, "{}").await;
                }
            }
            let all = lines(&home);
            assert_eq!(all.len(), before + 1, "{method} {path} by {actor}: {all:#?}");
            let line = &all[before];
            assert!(
                line.contains(&action) && line.contains(&format!("actor=\"{actor}\"")),
                "{line}"
            );
            let from = if *actor == "socket" { "uid=" } else { "from=127.0.0.1" };
            assert!(line.contains(from), "{line}");
        }
    }
}

#[tokio::test]
async fn an_audit_line_names_caller_change_and_count_and_has_no_credential() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let _daemon = home.start().await;
    let id = home.subscribe("ops", "wecom", "AUDITMARK-001", &[]);
    let last = || lines(&home).pop().unwrap();
    let says = |parts: &[&str]| {
        let line = last();
        parts.iter().for_each(|part| assert!(line.contains(part), "{part} is not in {line}"));
    };
    let object = format!("object=\"{id}\"");
    says(&[
        "actor=\"socket\"",
        "uid=",
        "pid=",
        "POST /v1/subscriptions",
        &object,
        "count=1",
        "outcome=\"done\"",
    ]);
    home.fails(
        &["subscription", "add", "--topic", "ops", "--platform", "lark"],
        &endpoint("wecom", "AUDITMARK-2"),
        64,
    );
    says(&["POST /v1/subscriptions", "outcome=\"refused\""]);
    let lines_of_csv: Vec<_> = (0..3)
        .map(|one| format!("ops,wecom,{}", endpoint("wecom", &format!("AUDITMARK-01{one}"))))
        .collect();
    home.ok(
        &["subscription", "import"],
        &format!("topic,platform,endpoint\n{}\n", lines_of_csv.join("\n")),
    );
    says(&["POST /v1/subscriptions/import", "count=3", "outcome=\"done\""]);
    let backup = home.path("backup");
    home.ok(&["store", "backup", backup.to_str().unwrap()], "");
    says(&["POST /v1/store/backup", &format!("object={backup:?}"), "count=4"]);
    home.ok(&["key", "init", home.path("transfer.key").to_str().unwrap()], "");
    home.ok(
        &["subscription", "export", "--sealed", home.path("transfer.key").to_str().unwrap()],
        "",
    );
    says(&["POST /v1/subscriptions/export", "count=4", "outcome=\"done\""]);
    // A user pastes a webhook in place of an id.
    let pasted = "/v1/subscriptions/https%3A%2F%2Fqyapi.weixin.qq.com%2F%3Fkey%3DAUDITMARK-001";
    assert_eq!(call(&home.path("admin.sock"), "DELETE", pasted, &Value::Null).await.0, 400);
    says(&["DELETE /v1/subscriptions/{id}", "outcome=\"refused\""]);
    let (cookie, csrf) = session(&address).await;
    let headers = [("cookie", cookie.as_str()), ("x-roomcast-csrf", csrf.as_str())];
    let pause = format!("/console/api/subscriptions/{id}/pause");
    assert_eq!(http(&address, "POST", &pause, &headers, "").await.status, 204);
    says(&["actor=\"session\"", "from=127.0.0.1", "session=", &object, "outcome=\"done\""]);
    let signed_in = home
        .log()
        .lines()
        .find(|line| line.contains("signed in to the console"))
        .unwrap()
        .to_owned();
    let tag =
        signed_in.split("session=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(last().contains(&tag), "{} has not the tag of {signed_in}", last());
    let log = home.log();
    assert!(!log.contains("AUDITMARK"), "a webhook is in the log");
    assert!(
        !log.contains(cookie.split('=').nth(1).unwrap())
            && !log.contains(&csrf)
            && !log.contains(TOKEN)
    );
}

#[tokio::test]
async fn a_caller_that_disconnects_is_logged_all_the_same() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let _daemon = home.start().await;
    let host = address.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /v1/dead/redrive HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: 13\r\n\r\n{{\"all\""
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    // The route waits for the rest of the body, or has not started; in both cases it leaves a line.
    crate::support::until("the request has begun", std::time::Duration::from_secs(10), || async {
        crate::support::daemon::get(&home.path("admin.sock"), "/metrics")
            .await
            .contains("admin_connections{listener=\"tcp\"} 1")
    })
    .await;
    drop(stream);
    crate::support::until("the line is there", std::time::Duration::from_secs(10), || async {
        lines(&home).iter().any(|line| line.contains("POST /v1/dead/redrive"))
    })
    .await;
}

#[tokio::test]
async fn routes_that_reveal_webhooks_or_change_keys_exist_on_the_socket_alone() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    home.subscribe("ops", "wecom", "wecom-001", &[]);
    let _daemon = home.start().await;
    let bearer = format!("Bearer {TOKEN}");
    let key = "ab".repeat(32);
    let dir = home.path("backup");
    for (path, body) in [
        ("/v1/subscriptions/export", json!({"key": key})),
        ("/v1/store/backup", json!({"dir": dir})),
        ("/v1/key/rotation", json!({"new_key": key})),
        ("/v1/key/rotation/in-place", json!({})),
        ("/v1/key/data", json!({})),
    ] {
        let headers = [("authorization", bearer.as_str()), JSON];
        let answer = http(&address, "POST", path, &headers, &body.to_string()).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.body);
        assert!(answer.body.contains("on the Unix socket alone"), "{}", answer.body);
        assert_eq!(
            http(&address, "POST", path, &[JSON], &body.to_string()).await.status,
            401,
            "{path}"
        );
    }
    assert!(!dir.exists());
    let status: Value = serde_json::from_str(&home.ok(&["key", "status", "--json"], "")).unwrap();
    assert!(status["old"].is_null(), "{status}");
    let (status, body) =
        call(&home.path("admin.sock"), "POST", "/v1/store/backup", &json!({"dir": "relative"}))
            .await;
    assert!(status == 400 && body.contains("absolute path"), "{status} {body}");
}

#[tokio::test]
async fn a_path_that_is_not_there_is_not_there_over_tcp_as_on_the_socket() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let _daemon = home.start().await;
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/v1/none", "/v1/subscriptions/", "/none", "/v1"] {
        let (status, said) = call(&home.path("admin.sock"), "GET", path, &Value::Null).await;
        assert!(
            status == 404 && said.contains("the API has nothing at this path"),
            "{path}: {status} {said}"
        );
        for headers in [&[][..], &[("authorization", bearer.as_str())]] {
            let answer = http(&address, "GET", path, headers, "").await;
            assert_eq!((answer.status, answer.body.as_str()), (404, said.as_str()), "{path}");
        }
    }
    let (status, said) = call(&home.path("admin.sock"), "PUT", "/v1/robots", &Value::Null).await;
    assert!(status == 405 && said.contains("does not take this method"), "{status} {said}");
    assert_eq!(http(&address, "PUT", "/v1/robots", &[], "").await.body, said);
}

#[tokio::test]
async fn a_host_name_that_is_not_the_daemons_is_answered_nothing() {
    let (home, address) = with_console(Home::new(broker::shared().await, NOWHERE, ""));
    let home = home.with("[admin]\n", "[admin]\nhosts = [\"roomcast.example\"]\n");
    let _daemon = home.start().await;
    let bearer = format!("Bearer {TOKEN}");
    for path in
        ["/metrics", "/healthz", "/console", "/console/api/session", "/v1/subscriptions", "/none"]
    {
        let ask = async |host: &str| {
            let answer = raw(
                &address,
                &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {bearer}\r\n"),
            )
            .await;
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(ask("rebound.example").await, "421", "{path}");
        for host in
            ["127.0.0.1:1", "localhost", "[::1]:9321", "roomcast.example", "ROOMCAST.example:443"]
        {
            assert_ne!(ask(host).await, "421", "{path} {host}");
        }
    }
    let told = raw(&address, "GET /metrics HTTP/1.1\r\nhost: rebound.example\r\n").await;
    assert!(told.contains("admin.hosts") && !told.contains("roomcast_build"), "{told}");
}

/// Sends a request with a given head; returns the whole answer.
async fn raw(address: &str, head: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream =
        tokio::net::TcpStream::connect(address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
