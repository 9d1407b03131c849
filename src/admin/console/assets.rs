//! The files of the console's page: the HTML, CSS and modules in
//! `page/`, compiled into the program.
//!
//! Owns how they are cached: the browser asks each time, and an ETag spares an unchanged file. The
//! module with the labels is written from the catalogue.
//!
//! Not here: security headers (`guard.rs`), and the routes (`mod.rs`).

use std::sync::LazyLock;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::admin::catalogue::catalogue;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The page itself. It holds no data, so it needs no session; it requests the data that it shows.
pub(super) const PAGE: (&str, &str) = (HTML, include_str!("page/page.html"));

/// The files of the page: name, content type, content.
const FILES: [(&str, &str, &str); 22] = [
    ("console.css", CSS, include_str!("page/console.css")),
    ("icon.svg", SVG, include_str!("page/icon.svg")),
    ("console.js", JS, include_str!("page/console.js")),
    ("ask.js", JS, include_str!("page/ask.js")),
    ("chart.js", JS, include_str!("page/chart.js")),
    ("dialog.js", JS, include_str!("page/dialog.js")),
    ("elements.js", JS, include_str!("page/elements.js")),
    ("filter.js", JS, include_str!("page/filter.js")),
    ("header-rows.js", JS, include_str!("page/header-rows.js")),
    ("letter.js", JS, include_str!("page/letter.js")),
    ("live.js", JS, include_str!("page/live.js")),
    ("sign-in.js", JS, include_str!("page/sign-in.js")),
    ("table.js", JS, include_str!("page/table.js")),
    ("words.js", JS, include_str!("page/words.js")),
    ("view-budgets.js", JS, include_str!("page/view-budgets.js")),
    ("view-dead.js", JS, include_str!("page/view-dead.js")),
    ("view-explain.js", JS, include_str!("page/view-explain.js")),
    ("view-history.js", JS, include_str!("page/view-history.js")),
    ("view-overview.js", JS, include_str!("page/view-overview.js")),
    ("view-robots.js", JS, include_str!("page/view-robots.js")),
    ("view-subscriptions.js", JS, include_str!("page/view-subscriptions.js")),
    ("view-topics.js", JS, include_str!("page/view-topics.js")),
];

/// The module with the labels of everything that the daemon names: one object for each kind.
static CATALOGUE: LazyLock<String> = LazyLock::new(|| {
    let mut module = "// The names that the daemon hands out, with their labels.\n".to_owned();
    for (kind, pairs) in catalogue().as_object().into_iter().flatten() {
        module.push_str(&format!("export const {kind} = Object.fromEntries({pairs});\n"));
    }
    module
});

/// All files of the page.
fn files() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    FILES.into_iter().chain([("catalogue.js", JS, CATALOGUE.as_str())])
}

/// One of the page's files, or 304 if the browser already has it.
pub(super) fn file(name: &str, asked: &HeaderMap) -> Option<Response> {
    let (_, kind, text) = files().find(|(known, ..)| *known == name)?;
    let tag = format!("\"{}\"", hex::encode(Sha256::digest(text)));
    let had = asked.get(header::IF_NONE_MATCH).is_some_and(|had| had.as_bytes() == tag.as_bytes());
    let mut response = if had {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], text).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (header::ETAG, tag)));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let first = file("console.css", &HeaderMap::new()).unwrap();
        let tag = first.headers().get(header::ETAG).unwrap().clone();
        assert_eq!(first.status(), StatusCode::OK);
        let again =
            file("console.css", &HeaderMap::from_iter([(header::IF_NONE_MATCH, tag)])).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(file("../page.html", &HeaderMap::new()).is_none());
    }

    #[test]
    fn every_module_that_a_module_names_is_carried() {
        let mut named = 0;
        for (name, _, text) in files() {
            let imports = text
                .lines()
                .filter(|line| line.starts_with("import ") || line.contains("import(\""));
            for import in imports {
                let file = import.split("\"./").nth(1).unwrap().split('"').next().unwrap();
                assert!(files().any(|(known, ..)| known == file), "{name} names {file}");
                named += 1;
            }
        }
        assert!(named > 10, "imports were found: {named}");
    }

    #[test]
    fn the_page_needs_no_network_but_the_daemon_and_makes_no_markup_of_text() {
        for (name, _, text) in files().chain([("page.html", PAGE.0, PAGE.1)]) {
            // The name of the SVG namespace is not an address that a browser loads.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for bad in [
                "http://",
                "https://",
                "//cdn",
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                " style=",
                "onclick=",
            ] {
                assert!(!text.contains(bad), "{name} says {bad}");
            }
        }
    }

    #[test]
    fn each_file_says_what_it_is_for_and_can_be_read_in_one_sitting() {
        for (name, kind, text) in files().filter(|(_, kind, _)| *kind != SVG) {
            let opens = if kind == CSS { "/* " } else { "// " };
            assert!(text.starts_with(opens), "{name} has no header");
            assert!(text.lines().count() <= 400, "{name} is too long");
        }
    }
}
