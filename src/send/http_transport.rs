//! The HTTP client: one client for all platforms, with each important default set explicitly.
//!
//! Owns the limits of one request: deadline, size of the answer, no redirect, no proxy, no retry.
//!
//! Not here: the addresses that may be called (`guard.rs`), and the repetition of failed attempts
//! (`settle/schedule.rs`).

use std::{
    collections::HashSet,
    error::Error,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, StatusCode,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER,
    },
    redirect::Policy,
};

use crate::{
    domain::Timestamp,
    settings::{number, section, some_duration},
};

use super::{
    HttpResponse, Request, RetryAfter, Transport, TransportError, content_coding,
    guard::{GuardedResolver, PrivateAddressError, is_global},
};

/// The largest part of an answer that is read, in bytes, packed and unpacked. No platform's answer
/// is longer.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Lark's gateway sends the number of seconds until its limit resets.
const RATE_RESET: HeaderName = HeaderName::from_static("x-ogw-ratelimit-reset");

section! {
    /// The HTTP requests to the platforms.
    pub struct HttpTransportSettings in "send" {
        /// How long opening a connection to a platform may take.
        connect_timeout: Duration = one(some_duration(), "5s"), AtStart;
        /// How long an attempt may take, from the first byte sent to the last byte of the answer.
        deadline: Duration = one(some_duration(), "15s"), AtStart;
        /// How many idle connections to one host are kept open. Fewer than `pace.in_flight_max` for
        /// each platform that is called there means new connections under load.
        pool_idle_per_host: usize = one(number(0..=10_000), "256"), AtStart;
    }
}

/// Sends requests over HTTP.
pub struct HttpTransport {
    client: Client,
    deadline: Duration,
    gateways: Arc<HashSet<String>>,
}

/// Chooses the cryptography of TLS for the whole process, including the broker's connections. A
/// second call changes nothing.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl HttpTransport {
    /// Builds the client. Call [`install_crypto_provider`] before. `gateways` are hosts that may
    /// have private addresses.
    ///
    /// # Errors
    ///
    /// The TLS backend or the resolver cannot be initialised.
    pub fn new(
        settings: &HttpTransportSettings,
        gateways: HashSet<String>,
    ) -> Result<Self, reqwest::Error> {
        let gateways = Arc::new(gateways);
        let client = Client::builder()
            .user_agent(concat!("roomcast/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(settings.pool_idle_per_host)
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_nodelay(true)
            .dns_resolver(Arc::new(GuardedResolver { gateways: Arc::clone(&gateways) }))
            .build()?;
        Ok(Self { client, deadline: settings.deadline, gateways })
    }

    async fn exchange(&self, request: Request) -> Result<HttpResponse, TransportError> {
        let url = reqwest::Url::parse(request.url.expose())
            .map_err(|_| transport_error("broken", "the URL cannot be read"))?;
        // The resolver sees only names. So an address in place of a name is checked here.
        let literal = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(address.into()),
            Some(url::Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        let gateway = url.host_str().is_some_and(|host| self.gateways.contains(host));
        if !gateway && literal.is_some_and(|address| !is_global(address)) {
            return Err(transport_error("dns", &PrivateAddressError.to_string()));
        }
        let sent = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            // Without this header, any coding of the answer is allowed (RFC 9110, 12.5.3).
            .header(ACCEPT_ENCODING, "identity")
            .body(request.body)
            .send();
        let mut response = sent.await.map_err(failed)?;
        let (status, headers) = (response.status(), response.headers());
        let (retry_after, rate_reset, date) =
            (retry_after(headers), seconds(headers, &RATE_RESET), date(headers, &DATE));
        let codings = headers.get_all(CONTENT_ENCODING).iter();
        let codings = codings.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
        let mut body = BytesMut::new();
        while body.len() < BODY_BYTES_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(failed(error)),
            }
        }
        body.truncate(BODY_BYTES_MAX);
        Ok(HttpResponse {
            status: StatusCode::as_u16(&status),
            retry_after,
            rate_reset,
            date,
            body: content_coding::decoded(Bytes::from(body), &codings, BODY_BYTES_MAX),
        })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<HttpResponse, TransportError> {
        match tokio::time::timeout(self.deadline, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(transport_error(
                "timeout",
                &format!("no whole answer within {} s", self.deadline.as_secs()),
            )),
        }
    }
}

/// The text of a failure, without the URL that the client's errors would show.
fn failed(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let causes: Vec<_> = std::iter::successors(error.source(), |cause| (*cause).source()).collect();
    let inside = causes.iter().any(|cause| cause.is::<PrivateAddressError>());
    let resolving = causes.iter().any(|cause| cause.to_string().contains("dns error"));
    let code = match () {
        () if inside || resolving => "dns",
        () if error.is_timeout() && !error.is_connect() => "timeout",
        () if error.is_connect() => "connect",
        () => "broken",
    };
    let words = causes.iter().fold(error.to_string(), |words, cause| format!("{words}: {cause}"));
    transport_error(code, &words)
}

fn transport_error(code: &'static str, detail: &str) -> TransportError {
    TransportError { code, detail: detail.to_owned() }
}

fn seconds(headers: &HeaderMap, name: &HeaderName) -> Option<Duration> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// A time of day on the server's clock.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_unix_millis(u64::try_from(since.as_millis()).ok()?))
}

/// The header's value is a number of seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<RetryAfter> {
    let wait = seconds(headers, &RETRY_AFTER).map(RetryAfter::Wait);
    wait.or_else(|| date(headers, &RETRY_AFTER).map(RetryAfter::Until))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::domain::Secret;

    fn http_transport(gateways: &[&str]) -> HttpTransport {
        install_crypto_provider();
        let settings = HttpTransportSettings {
            connect_timeout: Duration::from_millis(500),
            deadline: Duration::from_millis(900),
            pool_idle_per_host: 4,
        };
        let gateways = gateways.iter().map(|host| (*host).to_owned()).collect();
        HttpTransport::new(&settings, gateways).unwrap()
    }

    /// Listens on loopback and answers the first request with these bytes, then keeps the
    /// connection open.
    async fn server(answer: Vec<u8>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&answer).await;
            std::future::pending::<()>().await
        });
        port
    }

    async fn send(
        http_transport: &HttpTransport,
        url: String,
    ) -> Result<HttpResponse, TransportError> {
        http_transport
            .send(Request { url: Secret::new(url), body: Bytes::from_static(b"{}") })
            .await
    }

    #[tokio::test]
    async fn an_address_inside_is_not_called_whether_written_or_resolved() {
        let port = server(Vec::new()).await;
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            let refused = send(&http_transport(&[]), format!("http://{host}:{port}/?t=MARKER"))
                .await
                .unwrap_err();
            assert_eq!(refused.code, "dns", "{host}: {}", refused.detail);
            assert!(refused.detail.contains("private address"), "{}", refused.detail);
        }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let answer =
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
                .to_vec();
        let port = server(answer).await;
        let reply = send(&http_transport(&["127.0.0.1"]), format!("http://127.0.0.1:{port}/"))
            .await
            .unwrap();
        assert_eq!(reply.status, 302);
    }

    #[tokio::test]
    async fn the_deadline_covers_head_and_body() {
        for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"] {
            let port = server(answer.to_vec()).await;
            let late = send(&http_transport(&["127.0.0.1"]), format!("http://127.0.0.1:{port}/"))
                .await
                .unwrap_err();
            assert_eq!(late.code, "timeout");
        }
    }

    #[tokio::test]
    async fn a_body_without_end_is_read_to_its_cap_only() {
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_vec();
        answer.resize(answer.len() + 200_000, b'x');
        let port = server(answer).await;
        let reply = send(&http_transport(&["127.0.0.1"]), format!("http://127.0.0.1:{port}/"))
            .await
            .unwrap();
        assert_eq!(reply.body.len(), BODY_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_request_asks_for_a_plain_answer_and_a_packed_one_is_read_all_the_same() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut head, mut asked) = ([0; 1024], String::new());
            while !asked.ends_with("{}") {
                let bytes = stream.read(&mut head).await.unwrap();
                asked.push_str(std::str::from_utf8(&head[..bytes]).unwrap());
            }
            stream
                .write_all(include_bytes!("../../tests/field/answer-in-gzip/answer.http"))
                .await
                .unwrap();
            asked
        });
        let reply = send(&http_transport(&["127.0.0.1"]), format!("http://127.0.0.1:{port}/"))
            .await
            .unwrap();
        assert_eq!(reply.body, &br#"{"errcode":0,"errmsg":"ok"}"#[..]);
        assert!(asked.await.unwrap().to_lowercase().contains("accept-encoding: identity"));
    }

    #[test]
    fn waits_are_read_as_seconds_and_as_dates() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let at = Timestamp::from_unix_millis(784_111_777_000);
        assert_eq!(retry_after(&headers), Some(RetryAfter::Until(at)));
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(RetryAfter::Wait(Duration::from_secs(7))));
        headers.insert(RETRY_AFTER, "soon".parse().unwrap());
        assert_eq!(retry_after(&headers), None);
    }

    #[tokio::test]
    async fn no_failure_shows_the_url() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let refused = send(
            &http_transport(&["127.0.0.1"]),
            format!("http://127.0.0.1:{port}/?access_token=MARKER"),
        )
        .await
        .unwrap_err();
        assert_eq!(refused.code, "connect");
        let unknown = send(
            &http_transport(&[]),
            "http://no-such-host.invalid/?access_token=MARKER".to_owned(),
        )
        .await
        .unwrap_err();
        assert_eq!(unknown.code, "dns");
        let port = server(b"garbage\r\n\r\n".to_vec()).await;
        let broken = send(
            &http_transport(&["127.0.0.1"]),
            format!("http://127.0.0.1:{port}/?access_token=MARKER"),
        )
        .await
        .unwrap_err();
        assert_eq!(broken.code, "broken");
        for failure in [refused, unknown, broken] {
            assert!(!format!("{failure:?}").contains("MARKER"), "{failure:?}");
        }
    }
}
