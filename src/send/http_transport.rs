//! One HTTP request to a platform, and its answer.
//!
//! Owns the limits of one request: deadline, and size of the answer.
//!
//! Not here: the clients and their proxies (`clients.rs`), the addresses that may be called
//! (`guard.rs`), and the repetition of failed attempts (`settle/schedule.rs`).

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER,
    },
};

use crate::domain::{Platform, Timestamp};

use super::{
    HttpResponse, Request, RetryAfter, Transport, TransportError,
    clients::{BuildTransportError, OutgoingClients, OutgoingRoutes},
    content_coding,
    failure::{failed, transport_error},
    guard::{PrivateAddressError, PrivateHosts},
    proxy::{self, ProxyRoute},
    proxy_words,
    settings::HttpTransportSettings,
};

/// The largest part of an answer that is read, in bytes, packed and unpacked. No platform's answer
/// is longer.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Lark's gateway sends the number of seconds until its limit resets.
const RATE_RESET: HeaderName = HeaderName::from_static("x-ogw-ratelimit-reset");

/// Sends requests over HTTP.
pub struct HttpTransport {
    clients: OutgoingClients,
    settings: HttpTransportSettings,
    hosts: Arc<PrivateHosts>,
}

/// The route of one request.
struct Route<'a> {
    client: &'a Client,
    /// The proxy on it.
    proxy: Option<&'a ProxyRoute>,
}

/// Chooses the cryptography of TLS for the whole process, including the broker's connections. A
/// second call changes nothing.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl HttpTransport {
    /// Builds the clients. Call [`install_crypto_provider`] before.
    ///
    /// # Errors
    ///
    /// `send.ca_file` cannot be used, or the TLS backend or the resolver cannot be initialised.
    pub fn new(
        settings: &HttpTransportSettings,
        routes: &OutgoingRoutes,
    ) -> Result<Self, BuildTransportError> {
        let hosts = Arc::new(routes.private_hosts.clone());
        let clients = OutgoingClients::build(settings, routes, &hosts)?;
        Ok(Self { clients, settings: settings.clone(), hosts })
    }

    /// Tries to reach a host of a platform, without a webhook: any answer will do.
    ///
    /// # Errors
    ///
    /// It cannot be reached. If a proxy refuses it, the error has the proxy's own words.
    pub async fn probe(&self, platform: Platform, host: &str) -> Result<(), TransportError> {
        let url = format!("https://{host}/");
        let probing = async {
            let (url, route) = self.route(platform, &url)?;
            let sent = route.client.head(url).send().await;
            let failure = match sent {
                Ok(_) => return Ok(()),
                Err(error) => failed(error, route.proxy.map(|proxy| &proxy.address)),
            };
            let words = match route.proxy {
                Some(proxy) if failure.code == "proxy" => proxy_words::of(proxy, host).await,
                _ => None,
            };
            Err(match words {
                Some(words) => transport_error("proxy", &format!("{}: {words}", failure.detail)),
                None => failure,
            })
        };
        self.in_time(probing).await
    }

    /// The URL, and the route to it, if it may be called.
    fn route(&self, platform: Platform, url: &str) -> Result<(Url, Route<'_>), TransportError> {
        let url =
            Url::parse(url).map_err(|_| transport_error("broken", "the URL cannot be read"))?;
        // The resolver sees only names. So an address in place of a name is checked here.
        let literal: Option<IpAddr> = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(address.into()),
            Some(url::Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        let host = url.host_str().unwrap_or_default();
        if literal.is_some_and(|address| !self.hosts.allow(host, address)) {
            return Err(transport_error("dns", &PrivateAddressError.to_string()));
        }
        let (client, proxy) = self.clients.of(platform);
        let proxy = proxy.filter(|_| !proxy::is_exception(&self.settings.no_proxy, host));
        Ok((url, Route { client, proxy }))
    }

    async fn in_time<T>(
        &self,
        exchange: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let deadline = self.settings.deadline;
        tokio::time::timeout(deadline, exchange).await.unwrap_or_else(|_| {
            let words = format!("no whole answer within {} s", deadline.as_secs());
            Err(transport_error("timeout", &words))
        })
    }

    async fn exchange(&self, request: Request) -> Result<HttpResponse, TransportError> {
        let (url, route) = self.route(request.platform, request.url.expose())?;
        let failed = |error| failed(error, route.proxy.map(|proxy| &proxy.address));
        let sent = route
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
        self.in_time(self.exchange(request)).await
    }
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
    use crate::{domain::Secret, settings::Section as _};

    fn http_transport(gateways: &[&str]) -> HttpTransport {
        install_crypto_provider();
        let settings = HttpTransportSettings {
            connect_timeout: Duration::from_millis(500),
            deadline: Duration::from_millis(900),
            ..HttpTransportSettings::by_default().unwrap()
        };
        let any = gateways.iter().map(|host| (*host).to_owned()).collect();
        let private_hosts = PrivateHosts { any, ..PrivateHosts::default() };
        let routes = OutgoingRoutes { private_hosts, ..OutgoingRoutes::default() };
        HttpTransport::new(&settings, &routes).unwrap()
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
            .send(Request {
                platform: Platform::Lark,
                url: Secret::new(url),
                body: Bytes::from_static(b"{}"),
            })
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
