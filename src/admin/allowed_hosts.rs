//! Which host names a request over TCP may use.
//!
//! Owns the defence against DNS rebinding: a foreign page can point its own name at the daemon's
//! address, and would then read the daemon's answers. So a request with an unknown name is refused.
//!
//! Not here: the check that a request comes from the console's page (`console/guard.rs`).

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::Host;

use super::ApiError;

/// How many characters of an unknown name are repeated in the error.
const NAME_SHOWN_MAX: usize = 100;

/// The allowed names, besides `localhost` and IP addresses. A foreign page can give its own name to
/// the daemon's address, but its origin cannot be an IP address that is not its own.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedHosts(Arc<BTreeSet<String>>);

impl AllowedHosts {
    /// The configured names, and the name in the listening address.
    pub(super) fn new(configured: &[String], listen: Option<&str>) -> Self {
        let of_listen = listen.and_then(name_in).and_then(|host| match host {
            Host::Domain(name) => Some(name),
            _ => None,
        });
        Self(Arc::new(
            configured.iter().cloned().chain(of_listen).map(|name| normal(&name)).collect(),
        ))
    }

    fn allows(&self, named: &str) -> bool {
        match name_in(named) {
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            Some(Host::Domain(name)) => {
                let name = normal(&name);
                name == "localhost" || name.ends_with(".localhost") || self.0.contains(&name)
            }
            None => false,
        }
    }

    /// The first name in a request that is not allowed. A browser always sends a host name; a
    /// request without one comes from a program.
    fn refused(&self, request: &Request) -> Option<String> {
        let in_headers = request.headers().get_all(header::HOST).iter();
        let in_headers =
            in_headers.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        let in_line = request.uri().authority().map(ToString::to_string);
        in_headers.chain(in_line).find(|named| !self.allows(named))
    }
}

/// The host of an authority, without its port.
fn name_in(authority: &str) -> Option<Host> {
    let authority: Authority = authority.parse().ok().filter(|_| !authority.contains('@'))?;
    Host::parse(authority.host()).ok()
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Passes requests that name an allowed host.
pub(super) async fn allowed_only(
    State(hosts): State<AllowedHosts>,
    request: Request,
    next: Next,
) -> Response {
    match hosts.refused(&request) {
        None => next.run(request).await,
        Some(name) => {
            let name: String = name.chars().take(NAME_SHOWN_MAX).collect();
            tracing::debug!(
                host = name,
                "a request for a host name that admin.hosts does not have"
            );
            ApiError::UnknownHost(name).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_configured_names_are_allowed_and_no_other_name_is() {
        let hosts =
            AllowedHosts::new(&["roomcast.example".to_owned()], Some("Admin.Internal:9321"));
        for allowed in [
            "127.0.0.1:9321",
            "127.0.0.1",
            "[::1]:9321",
            "10.1.2.3:80",
            "localhost:9321",
            "LOCALHOST.",
            "roomcast.localhost",
            "roomcast.example",
            "Roomcast.Example.:443",
            "admin.internal:9321",
        ] {
            assert!(hosts.allows(allowed), "{allowed}");
        }
        for refused in [
            "evil.example",
            "roomcast.example.evil.example",
            "x.roomcast.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "roomcast.example@evil.example",
            "evil.example@127.0.0.1",
            "",
            "a b",
        ] {
            assert!(!hosts.allows(refused), "{refused}");
        }
    }

    #[test]
    fn every_place_in_which_a_request_names_a_host_is_looked_at() {
        let hosts = AllowedHosts::default();
        let request = |uri: &str, named: &[&str]| {
            let builder = named
                .iter()
                .fold(Request::builder().uri(uri), |one, name| one.header("host", *name));
            builder.body(axum::body::Body::empty()).unwrap()
        };
        assert_eq!(hosts.refused(&request("/", &["localhost"])), None);
        assert_eq!(hosts.refused(&request("/", &[])), None);
        for (uri, named) in [
            ("/", &["evil.example"][..]),
            ("/", &["localhost", "evil.example"]),
            ("http://evil.example/", &["localhost"]),
        ] {
            assert_eq!(
                hosts.refused(&request(uri, named)).as_deref(),
                Some("evil.example"),
                "{uri} {named:?}"
            );
        }
    }
}
