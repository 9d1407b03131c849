//! The web page that shows each chat with its received messages.
//!
//! Owns the HTML, and its escaping. Its head, with the style sheet, is `page_head.html`.
//!
//! Not here: the JSON for tests (`control.rs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::platform::Platform;
use crate::received::{Counts, Outcome, Received};

/// The most messages shown per chat; older ones are only counted.
const SHOWN: usize = 40;

const HEAD: &str = include_str!("page_head.html").trim_ascii_end();

/// Renders the page, with the newest message of each chat first.
pub(crate) fn draw(entries: &[Arc<Received>], counts: Counts) -> String {
    let mut chats: BTreeMap<(Platform, &str), Vec<&Received>> = BTreeMap::new();
    for entry in entries {
        chats.entry((entry.platform, &entry.token)).or_default().push(entry);
    }
    let mut html = String::from(HEAD);
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<header><h1>roomcast emulator</h1><span><b>{}</b> accepted</span>\
         <span><b class=\"no\">{}</b> refused</span><span><b class=\"no\">{}</b> throttled</span>\
         <span><b class=\"no\">{}</b> faults</span><span><b>{}</b> repeated</span></header><main>",
        counts.accepted, counts.refused, counts.throttled, counts.fault, counts.duplicate
    );
    if chats.is_empty() {
        html.push_str("<p class=\"empty\">No chat has received anything yet.</p>");
    }
    for ((platform, token), messages) in &chats {
        chat(&mut html, *platform, token, messages);
    }
    html.push_str("</main></body></html>\n");
    html
}

fn chat(html: &mut String, platform: Platform, token: &str, messages: &[&Received]) {
    let name = platform.name();
    let shown = messages.iter().filter(|m| m.outcome == Outcome::Accepted && !m.duplicate).count();
    let _ = write!(html, "<section class=\"{name}\"><h2>{name} · ");
    escape(html, token);
    let _ = write!(html, "<small>{shown} messages</small></h2>");
    // The chat shows a repeated message only once.
    for message in messages.iter().rev().filter(|message| !message.duplicate).take(SHOWN) {
        article(html, message);
    }
    html.push_str("</section>");
}

fn article(html: &mut String, message: &Received) {
    let taken = message.outcome == Outcome::Accepted;
    html.push_str(if taken { "<article>" } else { "<article class=\"no\">" });
    if let Some(title) = &message.title {
        html.push_str("<h3>");
        escape(html, title);
        html.push_str("</h3>");
    }
    html.push_str("<pre>");
    escape(html, &message.text);
    let _ = write!(html, "</pre><footer>#{} {} ", message.seq, clock(message.at_ms));
    escape(html, &message.msgtype);
    if !taken {
        let _ = write!(html, " · {} ", message.outcome.name());
        escape(html, &message.code);
    }
    if message.signed {
        html.push_str(" · signed");
    }
    let mentions = &message.mentions;
    if mentions.all {
        html.push_str("<mark>@all</mark>");
    }
    for name in mentions.mobiles.iter().chain(&mentions.users) {
        html.push_str("<mark>@");
        escape(html, name);
        html.push_str("</mark>");
    }
    html.push_str("</footer></article>");
}

/// The time of day in UTC.
fn clock(at_ms: i64) -> String {
    let second = at_ms.div_euclid(1_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Appends a text that a browser shows but does not interpret.
fn escape(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Mentions;
    use serde_json::Value;

    fn entry(text: &str) -> Received {
        Received {
            seq: 1,
            at_ms: 3_723_000,
            platform: Platform::Lark,
            token: text.to_owned(),
            msgtype: text.to_owned(),
            title: Some(text.to_owned()),
            text: text.to_owned(),
            mentions: Mentions { all: false, mobiles: vec![], users: vec![text.to_owned()] },
            outcome: Outcome::Refused,
            code: text.to_owned(),
            duplicate: false,
            msg_uuid: None,
            signed: true,
            body: Value::Null,
        }
    }

    #[test]
    fn nothing_received_reaches_the_browser_as_markup() {
        let html = draw(&[Arc::new(entry("<script>'\"&"))], Counts::default());
        assert!(!html.contains("<script>"));
        assert_eq!(html.matches("&lt;script&gt;&#39;&quot;&amp;").count(), 6);
        assert!(html.contains("01:02:03"));
    }

    #[test]
    fn a_repeated_message_is_shown_once() {
        let mut repeated = entry("once");
        repeated.duplicate = true;
        let html = draw(&[Arc::new(entry("once")), Arc::new(repeated)], Counts::default());
        assert_eq!(html.matches("<article").count(), 1);
    }
}
