//! Tests of the whole emulator over real connections, from a client's view.
//!
//! Owns the proof that faults and limits look on the wire as documented.
//!
//! Not here: roomcast against the emulator (`tests/it/`).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::dialect::hmac_base64;
use crate::emulator::Emulator;
use crate::quota::Pace;
use crate::robots::Defaults;
use crate::server;

const DINGTALK: &str = "/robot/send?access_token=t";
const LARK: &str = "/open-apis/bot/v2/hook/t";
const WECOM: &str = "/cgi-bin/webhook/send?key=t";

/// A running emulator, which ends with the test.
struct Running {
    address: String,
    _stop: DropGuard,
}

/// An answer from the wire.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn code(&self) -> i64 {
        let answer = self.json();
        answer.get("errcode").or(answer.get("code")).and_then(Value::as_i64).unwrap()
    }
}

async fn start(change: impl FnOnce(&mut Defaults)) -> Running {
    let mut defaults = Defaults { pace: Pace::REAL, quotas: true, strict: false };
    change(&mut defaults);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    let router = crate::router::router(Emulator::new(defaults, true));
    tokio::spawn(server::serve(listener, router, stop.clone()));
    Running { address, _stop: stop.drop_guard() }
}

impl Running {
    /// All bytes that the emulator sends until it closes the connection.
    async fn raw(&self, method: &str, path: &str, kind: &str, body: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    async fn request(&self, method: &str, path: &str, kind: &str, body: &str) -> Answer {
        let bytes = self.raw(method, path, kind, body).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, "application/json; charset=utf-8", &body.to_string()).await
    }

    async fn put(&self, path: &str, body: Value) {
        let answer = self.request("PUT", path, "", &body.to_string()).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    async fn fault(&self, body: Value) {
        let answer = self.request("POST", "/faults", "", &body.to_string()).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    async fn get(&self, path: &str) -> Value {
        self.request("GET", path, "", "").await.json()
    }
}

fn text(content: &str) -> Value {
    json!({"msgtype": "text", "msg_type": "text",
        "text": {"content": content}, "content": {"text": content}})
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test]
async fn each_platform_takes_a_message_and_tells_what_members_read() {
    let emulator = start(|_| {}).await;
    for path in [DINGTALK, LARK, WECOM] {
        let answer = emulator.post(path, &text("你好")).await;
        assert_eq!((answer.status, answer.code()), (200, 0));
        assert!(answer.head.to_lowercase().contains("content-type: application/json"));
    }
    let received = emulator.get("/received").await;
    let seen: Vec<_> = received
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["seq"].as_u64().unwrap(), entry["platform"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [(1, "dingtalk"), (2, "lark"), (3, "wecom")]);
    assert_eq!(received[0]["text"], "你好");
    assert_eq!(received[0]["token"], "t");
    assert_eq!(received[0]["outcome"], "accepted");
    assert_eq!(received[0]["code"], "0");
    assert_eq!(emulator.get("/received?platform=lark").await.as_array().unwrap().len(), 1);
    assert_eq!(emulator.get("/received?outcome=refused").await, json!([]));
    assert_eq!(emulator.request("DELETE", "/received", "", "").await.status, 204);
    assert_eq!(emulator.get("/received/count").await["accepted"], 0);
}

#[tokio::test]
async fn a_robot_over_its_quota_is_refused_with_http_200() {
    let emulator = start(|_| {}).await;
    for (path, platform, limit, code) in [
        (DINGTALK, "dingtalk", 20, 130_101),
        (LARK, "lark", 5, 11_232),
        (WECOM, "wecom", 20, 45_009),
    ] {
        for _ in 0..limit {
            assert_eq!(emulator.post(path, &text("a")).await.code(), 0, "{platform}");
        }
        let answer = emulator.post(path, &text("a")).await;
        assert_eq!((answer.status, answer.code()), (200, code));
        let other = format!("{}u", path.trim_end_matches('t'));
        assert_eq!(emulator.post(&other, &text("a")).await.code(), 0, "robots count apart");
    }
    let counts = emulator.get("/received/count").await;
    assert_eq!(counts["accepted"], 48);
    assert_eq!((&counts["refused"], &counts["throttled"]), (&json!(3), &json!(3)));
}

#[tokio::test]
async fn robots_that_are_gone_or_disabled_say_so_in_their_platforms_words() {
    let emulator = start(|defaults| defaults.strict = true).await;
    for (path, platform, gone, disabled) in [
        (DINGTALK, "dingtalk", 300_005, 400_102),
        (LARK, "lark", 19_001, 19_007),
        (WECOM, "wecom", 93_000, 93_004),
    ] {
        let robot = format!("/robots/{platform}/t");
        assert_eq!(emulator.post(path, &text("a")).await.code(), gone, "never registered");
        emulator.put(&robot, json!({})).await;
        assert_eq!(emulator.post(path, &text("a")).await.code(), 0);
        emulator.put(&robot, json!({"state": "disabled"})).await;
        assert_eq!(emulator.post(path, &text("a")).await.code(), disabled);
        assert_eq!(emulator.request("DELETE", &robot, "", "").await.status, 204);
        assert_eq!(emulator.post(path, &text("a")).await.code(), gone);
    }
    assert_eq!(emulator.get("/robots").await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn requests_that_are_not_messages_are_refused() {
    let emulator = start(|_| {}).await;
    let code = async |method: &str, path: &str, kind: &str, body: &str| {
        emulator.request(method, path, kind, body).await.code()
    };
    let json_type = "application/json";
    assert_eq!(code("GET", DINGTALK, "", "").await, 43_002);
    assert_eq!(code("POST", "/robot/other", json_type, "{}").await, 404);
    assert_eq!(code("POST", "/robot/send", json_type, "{}").await, 40_035);
    assert_eq!(code("POST", "/robot/send?access_token=", json_type, "{}").await, 88);
    assert_eq!(code("POST", DINGTALK, "text/plain", "{}").await, 43_004);
    assert_eq!(code("POST", DINGTALK, json_type, "").await, 44_002);
    assert_eq!(code("POST", DINGTALK, json_type, "{").await, 47_001);
    assert_eq!(code("POST", DINGTALK, json_type, "[]").await, 40_035);
    assert_eq!(code("POST", DINGTALK, json_type, "{}").await, 300_001);
    assert_eq!(code("POST", LARK, json_type, "{").await, 9_499);
    assert_eq!(code("POST", LARK, json_type, "{}").await, 19_002);
    assert_eq!(code("POST", "/cgi-bin/webhook/send", json_type, "{}").await, 93_000);
    assert_eq!(code("POST", WECOM, json_type, "{}").await, 40_008);
}

#[tokio::test]
async fn a_body_is_measured_in_bytes() {
    let emulator = start(|_| {}).await;
    for (path, limit, code) in [(DINGTALK, 20_000, 460_101), (LARK, 30_720, 19_036)] {
        let mut body = text(&"汉".repeat(3_000));
        body["pad"] = json!("");
        let rest = limit - body.to_string().len();
        body["pad"] = json!("x".repeat(rest));
        assert_eq!(body.to_string().len(), limit);
        assert!(body.to_string().chars().count() < limit - 5_000);
        assert_eq!(emulator.post(path, &body).await.code(), 0);
        body["pad"] = json!("x".repeat(rest + 1));
        assert_eq!(emulator.post(path, &body).await.code(), code);
    }
}

#[tokio::test]
async fn a_signed_robot_takes_right_signatures_only_and_a_wrong_clock_spoils_them() {
    let emulator = start(|_| {}).await;
    emulator.put("/robots/dingtalk/t", json!({"secret": "SECtest"})).await;
    emulator.put("/robots/lark/t", json!({"secret": "demo"})).await;

    let ms = now_ms();
    let sign = hmac_base64(b"SECtest", format!("{ms}\nSECtest").as_bytes()).unwrap();
    let sign: String = url::form_urlencoded::byte_serialize(sign.as_bytes()).collect();
    let signed_path = format!("{DINGTALK}&timestamp={ms}&sign={sign}");
    assert_eq!(emulator.post(DINGTALK, &text("a")).await.code(), 310_000);
    assert_eq!(emulator.post(&signed_path, &text("a")).await.code(), 0);

    let stamp = (ms / 1_000).to_string();
    let mut signed = text("a");
    signed["sign"] = json!(hmac_base64(format!("{stamp}\ndemo").as_bytes(), b"").unwrap());
    signed["timestamp"] = json!(stamp);
    assert_eq!(emulator.post(LARK, &text("a")).await.code(), 19_021);
    assert_eq!(emulator.post(LARK, &signed).await.code(), 0);

    emulator.fault(json!({"kind": "skew", "seconds": 3_700})).await;
    let answer = emulator.post(&signed_path, &text("a")).await.json();
    assert_eq!(answer, json!({"errcode": 310_000, "errmsg": "invalid timestamp"}));
    assert_eq!(emulator.post(LARK, &signed).await.code(), 19_021);
    let received = emulator.get("/received").await;
    let signed: Vec<_> = received.as_array().unwrap().iter().map(|e| &e["signed"]).collect();
    assert_eq!(signed, [false, true, false, true, true, true]);
}

#[tokio::test]
async fn a_keyword_must_occur_in_what_members_read() {
    let emulator = start(|_| {}).await;
    for (path, platform, code) in [(DINGTALK, "dingtalk", 310_000), (LARK, "lark", 19_024)] {
        emulator.put(&format!("/robots/{platform}/t"), json!({"keyword": "告警"})).await;
        assert_eq!(emulator.post(path, &text("a")).await.code(), code);
        assert_eq!(emulator.post(path, &text("a 告警 b")).await.code(), 0);
    }
}

#[tokio::test]
async fn a_repeated_id_is_answered_ok_and_marked() {
    let emulator = start(|_| {}).await;
    emulator.put("/robots/dingtalk_internal/t", json!({})).await;
    let mut message = text("a");
    message["msgUuid"] = json!("m-1");
    for _ in 0..2 {
        assert_eq!(emulator.post(DINGTALK, &message).await.code(), 0);
    }
    let received = emulator.get("/received?platform=dingtalk_internal").await;
    assert_eq!(received[0]["duplicate"], false);
    assert_eq!(received[1]["duplicate"], true);
    assert_eq!(received[1]["msg_uuid"], "m-1");
    let counts = emulator.get("/received/count").await;
    assert_eq!((&counts["accepted"], &counts["duplicate"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_cut_connection_gives_no_byte_of_an_answer() {
    let emulator = start(|_| {}).await;
    for (kind, outcome) in [("cut", "fault"), ("cut_after", "accepted")] {
        emulator.fault(json!({"kind": kind, "times": 1})).await;
        let bytes = emulator.raw("POST", LARK, "application/json", &text("a").to_string()).await;
        assert!(bytes.is_empty(), "{kind}");
        assert_eq!(emulator.get("/received").await[0]["outcome"], outcome);
        emulator.request("DELETE", "/received", "", "").await;
    }
    assert_eq!(emulator.post(LARK, &text("a")).await.code(), 0, "the next request is spared");
}

#[tokio::test]
async fn a_hanging_answer_never_comes_or_stops_in_its_middle() {
    let emulator = start(|_| {}).await;
    for (kind, outcome) in [("hang", "fault"), ("hang_body", "accepted")] {
        emulator.fault(json!({"kind": kind, "times": 1})).await;
        let mut stream = TcpStream::connect(&emulator.address).await.unwrap();
        let body = text("a").to_string();
        let head = format!(
            "POST {WECOM} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let waited = timeout(Duration::from_millis(300), stream.read_to_end(&mut bytes)).await;
        assert!(waited.is_err(), "the connection stays open");
        let seen = String::from_utf8(bytes).unwrap();
        match kind {
            "hang" => assert_eq!(seen, ""),
            _ => {
                assert!(seen.contains("content-length: 27"), "{seen}");
                assert!(seen.ends_with(r#"{"errcode":0,"#), "{seen}");
            }
        }
        assert_eq!(emulator.get("/received").await[0]["outcome"], outcome);
        emulator.request("DELETE", "/received", "", "").await;
    }
}

#[tokio::test]
async fn a_slow_answer_is_right_and_late() {
    let emulator = start(|_| {}).await;
    emulator.fault(json!({"kind": "slow", "milliseconds": 200, "platform": "wecom"})).await;
    let before = Instant::now();
    assert_eq!(emulator.post(LARK, &text("a")).await.code(), 0);
    assert!(before.elapsed() < Duration::from_millis(200));
    assert_eq!(emulator.post(WECOM, &text("a")).await.code(), 0);
    assert!(before.elapsed() >= Duration::from_millis(200));
    emulator.request("DELETE", "/faults", "", "").await;
    assert_eq!(emulator.get("/faults").await, json!([]));
}

#[tokio::test]
async fn foreign_answers_are_given_as_asked_and_keep_the_message_away() {
    let emulator = start(|_| {}).await;
    emulator.fault(json!({"kind": "status", "status": 503, "body": "busy", "times": 1})).await;
    let answer = emulator.post(WECOM, &text("a")).await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy"));

    let headers = json!({"X-Ogw-Ratelimit-Reset": "7"});
    emulator
        .fault(json!({"kind": "answer", "status": 429, "headers": headers, "times": 1,
            "body": {"code": 99_991_400}}))
        .await;
    let answer = emulator.post(LARK, &text("a")).await;
    assert_eq!((answer.status, answer.code()), (429, 99_991_400));
    assert!(answer.head.contains("x-ogw-ratelimit-reset: 7"));

    emulator.fault(json!({"kind": "redirect", "location": "http://x.test/", "times": 1})).await;
    let answer = emulator.post(WECOM, &text("a")).await;
    assert_eq!(answer.status, 302);
    assert!(answer.head.contains("location: http://x.test/"));

    emulator.fault(json!({"kind": "html", "times": 1})).await;
    let answer = emulator.post(DINGTALK, &text("a")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("<!DOCTYPE html>"));

    emulator.fault(json!({"kind": "huge", "times": 1})).await;
    let bytes = emulator.raw("POST", DINGTALK, "application/json", &text("a").to_string()).await;
    assert!(bytes.len() > 10 * 1024 * 1024);

    let counts = emulator.get("/received/count").await;
    assert_eq!((&counts["fault"], &counts["accepted"]), (&json!(5), &json!(0)));
}

#[tokio::test]
async fn a_wrong_control_request_is_explained() {
    let emulator = start(|_| {}).await;
    for (method, path, body, status) in [
        ("PUT", "/robots/lark/t", r#"{"sekret":"x"}"#, 400),
        ("PUT", "/robots/wecom/t", r#"{"secret":"x"}"#, 400),
        ("PUT", "/robots/slack/t", "{}", 404),
        ("POST", "/faults", r#"{"kind":"slow"}"#, 400),
        ("POST", "/faults", r#"{"kind":"melt"}"#, 400),
        ("GET", "/received?color=red", "", 400),
        ("GET", "/healthz", "", 200),
    ] {
        assert_eq!(emulator.request(method, path, "", body).await.status, status, "{path} {body}");
    }
}
