//! Headers that do not fit the broker's frame.
//!
//! Owns which headers are left out first, and how the others name them.
//!
//! Not here: the bound itself (`pipeline/headers.rs`, `broker/properties.rs`).

use std::{cmp::Reverse, collections::HashSet, fmt};

use super::{HeaderValue, Headers, bytes_of};

/// The header that names the headers which were left out of a message. Every republish keeps it.
pub const LEFT_OUT: &str = "x-roomcast-left-out";

/// The maximum number of headers that are named there.
const NAMED_MAX: usize = 20;
/// The most bytes of these names.
const NAMES_BYTES_MAX: usize = 1_000;
/// The room for that header.
const LEFT_OUT_BYTES: usize = 1_100;

/// The beginnings of names that roomcast knows: the context of a CloudEvent or of a trace, and its
/// own headers.
const KNOWN_BEGIN: [&str; 5] = ["cloudEvents_", "cloudEvents:", "trace", "baggage", "x-roomcast-"];

/// Whether roomcast knows a header with this name.
#[must_use]
pub fn is_known_header(name: &str) -> bool {
    KNOWN_BEGIN.iter().any(|beginning| name.starts_with(beginning))
}

/// Headers that were left out: names and sizes, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOutHeaders(Vec<(String, usize)>);

impl LeftOutHeaders {
    /// Whether all headers fitted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl LeftOutHeaders {
    /// The header that names them.
    fn header(&self) -> (String, HeaderValue) {
        let mut names = self.to_string();
        names.truncate(names.floor_char_boundary(NAMES_BYTES_MAX));
        (LEFT_OUT.to_owned(), HeaderValue::text(names))
    }
}

impl fmt::Display for LeftOutHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, bytes)) in self.0.iter().take(NAMED_MAX).enumerate() {
            let separator = if place > 0 { ", " } else { "" };
            write!(f, "{separator}{name} ({bytes} bytes)")?;
        }
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Leaves out headers until the rest have at most `max` bytes: the largest first, and those that
/// roomcast knows last. One more header then names them. A header for which `is_needed` holds is
/// never left out, so the rest may still be larger.
pub fn fit_headers(
    headers: &mut Headers,
    max: usize,
    is_needed: impl Fn(&str) -> bool,
) -> LeftOutHeaders {
    let mut left = bytes_of(headers);
    let mut out = LeftOutHeaders::default();
    if left <= max {
        return out;
    }
    headers.retain(|(name, _)| name != LEFT_OUT);
    let max = max.saturating_sub(LEFT_OUT_BYTES);
    let mut largest: Vec<_> =
        headers.iter().enumerate().filter(|(_, (name, _))| !is_needed(name)).collect();
    largest.sort_by_key(|(_, (name, value))| {
        (is_known_header(name), Reverse(name.len() + value.bytes()))
    });
    let mut places = HashSet::new();
    for (place, (name, value)) in largest {
        if left <= max {
            break;
        }
        left -= name.len() + value.bytes();
        out.0.push((name.clone(), value.bytes()));
        places.insert(place);
    }
    let mut place = 0..;
    headers.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
    if !out.is_empty() {
        headers.push(out.header());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(sizes: &[(&str, usize)]) -> Headers {
        sizes
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), HeaderValue::Bytes(vec![0; *bytes])))
            .collect()
    }

    fn names(headers: &Headers) -> Vec<&str> {
        let names = headers.iter().map(|(name, _)| name.as_str());
        names.filter(|name| *name != LEFT_OUT).collect()
    }

    #[test]
    fn the_largest_unknown_headers_are_left_out_first_and_known_ones_last() {
        let sizes = [("traceparent", 6000), ("small", 10), ("large", 4000), ("larger", 5000)];
        for (max, left, says) in [
            (16_000, vec!["traceparent", "small", "large", "larger"], ""),
            (12_000, vec!["traceparent", "small", "large"], "larger (5006 bytes)"),
            (8_000, vec!["traceparent", "small"], "larger (5006 bytes), large (4006 bytes)"),
            (
                1_500,
                vec![],
                "larger (5006 bytes), large (4006 bytes), small (16 bytes), \
                 traceparent (6006 bytes)",
            ),
        ] {
            let mut all = headers(&sizes);
            let out = fit_headers(&mut all, max, |_| false);
            assert_eq!((names(&all), out.to_string().as_str()), (left, says), "{max}");
            assert_eq!(out.is_empty(), says.is_empty());
            assert!(bytes_of(&all) <= max);
            let named = all.iter().find(|(name, _)| name == LEFT_OUT);
            assert_eq!(named.map(|(_, value)| value.as_text().unwrap()).unwrap_or_default(), says);
        }
    }

    #[test]
    fn a_header_that_is_needed_stays_even_if_the_rest_do_not_fit() {
        let mut all = headers(&[("severity", 9000), ("traceparent", 50), ("large", 4000)]);
        let out = fit_headers(&mut all, 5000, |name| name == "severity" || is_known_header(name));
        assert_eq!(names(&all), ["severity", "traceparent"]);
        assert_eq!(out.to_string(), "large (4006 bytes)");
        assert!(bytes_of(&all) > 5000);
    }

    #[test]
    fn few_of_many_are_named_within_a_bound() {
        let mut all: Headers =
            (0..3000).map(|number| (format!("h{number}"), HeaderValue::Int(number))).collect();
        let out = fit_headers(&mut all, 20_000, |_| false).to_string();
        assert!(out.ends_with(" more") && out.len() < 1000, "{out}");
        assert!(bytes_of(&all) <= 20_000 && all.len() > 1000);
        let long: Headers =
            (0..250).map(|at| (format!("{at}{}", "长".repeat(80)), HeaderValue::Int(1))).collect();
        let mut all = long;
        fit_headers(&mut all, 20_000, |_| false);
        assert!(all.last().unwrap().1.bytes() < LEFT_OUT_BYTES && bytes_of(&all) <= 20_000);
    }
}
