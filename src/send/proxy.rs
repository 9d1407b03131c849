//! Proxies on the way to the platforms.
//!
//! Owns their addresses as settings, their credentials, and what a failure says about a proxy.
//!
//! Not here: the client that uses a proxy (`clients.rs`), and which platform has which proxy
//! (`app/wiring.rs`).

use std::fmt;

use url::Url;
use zeroize::Zeroizing;

use crate::{
    domain::Secret,
    settings::{Form, Parsed, not_a_host_name},
};

/// The schemes of proxies. Through `socks5` the daemon resolves names, through the others the proxy
/// does.
const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// The address of a proxy: scheme, host and port. It has no credentials, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAddress(Url);

/// The proxy of one platform, in place of the proxy for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformProxy {
    /// The platform is called directly.
    Direct,
    /// The platform is called through this proxy.
    Through(ProxyAddress),
}

/// A proxy, and the credentials that it asks for.
#[derive(Clone)]
pub struct ProxyRoute {
    /// Where it is.
    pub address: ProxyAddress,
    /// User and password.
    pub credentials: Option<ProxyCredentials>,
}

/// User and password for a proxy.
#[derive(Clone)]
pub struct ProxyCredentials {
    user: String,
    password: Secret,
}

impl ProxyAddress {
    /// Its host, as in a URL.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether requests to the proxy itself are plain HTTP.
    pub(super) fn is_plain_http(&self) -> bool {
        self.0.scheme() == "http"
    }

    /// Host and port.
    pub(super) fn authority(&self) -> String {
        let standard = if self.0.scheme().starts_with("socks") { 1080 } else { 80 };
        format!("{}:{}", self.host(), self.0.port_or_known_default().unwrap_or(standard))
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl ProxyCredentials {
    /// Reads `user:password`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (user, password) = text.trim().split_once(':')?;
        let good = !user.is_empty() && !text.trim().contains(char::is_control);
        good.then(|| Self { user: user.to_owned(), password: Secret::new(password.to_owned()) })
    }

    fn is(&self, other: &Self) -> bool {
        self.user == other.user && self.password.expose() == other.password.expose()
    }

    /// The value of `Proxy-Authorization`.
    pub(super) fn basic(&self) -> Secret {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let both = Secret::concat(&[&self.user, ":", self.password.expose()]);
        Secret::concat(&["Basic ", &BASE64_STANDARD.encode(both.expose())])
    }
}

impl ProxyRoute {
    /// Whether both lead through the same proxy with the same credentials.
    pub(super) fn is(&self, other: &Self) -> bool {
        let same_credentials = match (&self.credentials, &other.credentials) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other),
            _ => false,
        };
        self.address == other.address && same_credentials
    }

    /// The proxy for the HTTP client. Hosts in `exceptions` are called without it.
    pub(super) fn for_client(&self, exceptions: &[String]) -> reqwest::Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.address.0.as_str())?;
        let proxy = match &self.credentials {
            Some(ProxyCredentials { user, password }) => {
                // The client keeps both in a URL. It escapes what a URL cannot have, except the
                // mark of escapes, and takes all escapes back.
                let password = Zeroizing::new(password.expose().replace('%', "%25"));
                proxy.basic_auth(&user.replace('%', "%25"), &password)
            }
            None => proxy,
        };
        Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&exceptions.join(","))))
    }
}

/// The address of a proxy.
#[must_use]
pub(super) fn proxy_address() -> Form<ProxyAddress> {
    Form::new("http://, https://, socks5:// or socks5h:// address", "", address)
}

/// The address of a proxy, or `direct`.
#[must_use]
pub fn platform_proxy() -> Form<PlatformProxy> {
    Form::new("`direct`, or an address as in `send.proxy`", "", |text| match text {
        "direct" => Ok(PlatformProxy::Direct),
        text => address(text).map(PlatformProxy::Through),
    })
}

/// A host that is called without the proxy.
#[must_use]
pub(super) fn exception() -> Form<String> {
    Form::new("host", "", |text| {
        let good = !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if good {
            Ok(text.trim_start_matches('.').to_ascii_lowercase())
        } else {
            Err(not_a_host_name(text))
        }
    })
}

/// Whether a host is one of the exceptions, or below one. The HTTP client compares in the same way.
pub(super) fn is_exception(exceptions: &[String], host: &str) -> bool {
    exceptions.iter().any(|one| {
        host.strip_suffix(one.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The mistakes do not repeat the address, because it may have a password.
fn address(text: &str) -> Parsed<ProxyAddress> {
    let url = Url::parse(text).ok().filter(|url| SCHEMES.contains(&url.scheme()) && url.has_host());
    let url = url.ok_or_else(|| {
        format!("it is not an address of a proxy: it begins with {}", SCHEMES.join("://, ") + "://")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user and password do not belong here: put user:password into proxy_auth_file"
            .to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("only scheme, host and port belong here".to_owned());
    }
    Ok(ProxyAddress(url))
}

/// What the texts of a failure say about the proxy; `None` if the failure is behind it. The client
/// gives its errors about proxies no types.
pub(super) fn fault(proxy: &ProxyAddress, texts: &[String]) -> Option<String> {
    let says = |part: &str| texts.iter().any(|text| text.contains(part));
    let last = texts.last().map(String::as_str).unwrap_or_default();
    let socks = texts.iter().find_map(|text| text.strip_prefix("SOCKS error: "));
    if !says("tunnel error: ") && socks.is_none() {
        return None;
    }
    Some(if says("failed to create underlying connection") {
        format!("the proxy {proxy} cannot be reached: {last}")
    } else if says("proxy authorization required")
        || says("credentials not accepted")
        || says("user/pass authentication")
        || says("implements authentication incorrectly")
    {
        format!("the proxy {proxy} does not accept our credentials: see proxy_auth_file")
    } else if says("tunnel error: unsuccessful") {
        format!("the proxy {proxy} opens no way to the platform")
    } else if says("io error") || says("unexpected end of file") || says("failed parsing") {
        format!("the proxy {proxy} broke off: {last}")
    } else {
        format!("the proxy {proxy} opens no way to the platform: {}", socks.unwrap_or(last))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_scheme_host_and_port_and_no_mistake_repeats_it() {
        for (text, shown, authority) in [
            ("http://proxy.test:3128", "http://proxy.test:3128", "proxy.test:3128"),
            ("HTTP://Proxy.test/", "http://proxy.test", "proxy.test:80"),
            ("https://proxy.test", "https://proxy.test", "proxy.test:443"),
            ("socks5://10.0.0.7", "socks5://10.0.0.7", "10.0.0.7:1080"),
            ("socks5h://[fd00::1]:9050", "socks5h://[fd00::1]:9050", "[fd00::1]:9050"),
        ] {
            let address = address(text).unwrap();
            assert_eq!(
                (address.to_string().as_str(), address.authority().as_str()),
                (shown, authority)
            );
        }
        for (text, says) in [
            ("proxy.test:3128", "it begins with http://, https://, socks5://, socks5h://"),
            ("socks4://proxy.test", "it is not an address of a proxy"),
            ("http://", "it is not an address of a proxy"),
            ("http://user:MARKER@proxy.test", "put user:password into proxy_auth_file"),
            ("socks5h://MARKER@proxy.test", "put user:password into proxy_auth_file"),
            ("http://proxy.test/MARKER", "only scheme, host and port"),
        ] {
            let mistake = address(text).unwrap_err();
            assert!(mistake.contains(says) && !mistake.contains("MARKER"), "{text}: {mistake}");
        }
        assert_eq!(platform_proxy().parse("direct"), Ok(PlatformProxy::Direct));
    }

    #[test]
    fn credentials_are_a_user_and_a_password_that_may_have_any_mark() {
        for (text, basic) in [
            ("user:password\n", Some("Basic dXNlcjpwYXNzd29yZA==")),
            ("u:p:@/%", Some("Basic dTpwOkAvJQ==")),
            ("user", None),
            (":password", None),
            ("user:pass\r\nX-Header: x", None),
        ] {
            let read = ProxyCredentials::parse(text).map(|one| one.basic().expose().to_owned());
            assert_eq!(read.as_deref(), basic, "{text}");
        }
    }

    #[test]
    fn an_exception_holds_for_a_host_and_those_below_it() {
        let exceptions = ["lark.test".to_owned()];
        for (host, expected) in
            [("lark.test", true), ("open.lark.test", true), ("notlark.test", false), ("x", false)]
        {
            assert_eq!(is_exception(&exceptions, host), expected, "{host}");
        }
        for wrong in ["", "*", "https://x", "x:443", "a,b"] {
            assert!(exception().parse(wrong).is_err(), "{wrong}");
        }
    }
}
