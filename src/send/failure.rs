//! A request without an answer: why.
//!
//! Owns its code, and its text without any part of the request.
//!
//! Not here: what a failure says about a proxy (`proxy.rs`).

use std::error::Error;

use super::{
    TransportError,
    guard::PrivateAddressError,
    proxy::{self, ProxyAddress},
};

/// The text of a failure, without the URL that the client's errors would show. `proxy` is the one
/// on the way: if it is at fault, the text says so, and not the platform.
pub(super) fn failed(error: reqwest::Error, proxy: Option<&ProxyAddress>) -> TransportError {
    let error = error.without_url();
    let causes: Vec<_> = std::iter::successors(error.source(), |cause| (*cause).source()).collect();
    if let Some(proxy) = proxy {
        let texts: Vec<_> = causes.iter().map(ToString::to_string).collect();
        let in_time = || format!("no connection through the proxy {proxy} in time");
        let late = || (error.is_connect() && error.is_timeout()).then(in_time);
        if let Some(words) = proxy::fault(proxy, &texts).or_else(late) {
            return transport_error("proxy", &words);
        }
    }
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

pub(super) fn transport_error(code: &'static str, detail: &str) -> TransportError {
    TransportError { code, detail: detail.to_owned() }
}
