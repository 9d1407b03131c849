//! The work for a text grows in proportion to its length, for any text. A publisher chooses the
//! text, and seconds of work would delay all deliveries.
//!
//! Work is processor time of the thread, so that other load does not count. The bound for a longer
//! text is a small multiple of proportional work.
//!
//! Owns that promise.
//!
//! Not here: the limits of a request (`properties.rs`).

use std::{sync::Arc, time::Duration};

use roomcast::{
    domain::{Delivery, Event, Format, Platform, Timestamp},
    platforms::{RenderInput, prepare},
};
use rustix::time::{ClockId, clock_gettime};

use crate::{subscription, targets::saying};

/// The factor between the long and the short text.
const LONGER: u32 = 8;
/// The largest accepted factor of the work. Quadratic growth would be 64.
const MORE_MAX: u32 = 3 * LONGER;
/// Smaller amounts of work are too imprecise to compare.
const WORK_MIN: Duration = Duration::from_millis(3);

fn on_the_processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// The least work of several tries to render the event's first message for a platform.
fn work(event: &Arc<Event>, platform: Platform, tries: u32) -> Duration {
    let subscription = subscription(platform);
    let delivery = Delivery::fresh(event, subscription.id, platform, subscription.robot);
    let draft = RenderInput {
        delivery: &delivery,
        subscription: &subscription,
        now: Timestamp::from_unix_millis(1),
    };
    let once = || {
        let began = on_the_processor();
        let _ = std::hint::black_box(prepare(&draft));
        on_the_processor() - began
    };
    (0..tries).map(|_| once()).min().unwrap()
}

/// A text of eight times the length takes about eight times the work.
pub(crate) fn grows_with_its_length(name: &str, text: impl Fn(usize) -> String, bytes: usize) {
    let (short, long) = (
        saying(&text(bytes), Format::Markdown),
        saying(&text(bytes * LONGER as usize), Format::Markdown),
    );
    for platform in [Platform::DingTalk, Platform::Lark, Platform::WeCom] {
        let most = work(&short, platform, 3).max(WORK_MIN) * MORE_MAX;
        // Other load only adds to the measurement, so one measurement within the bound is enough.
        let much = work(&long, platform, 1);
        let much = if much > most { much.min(work(&long, platform, 4)) } else { much };
        assert!(much <= most, "{name:?} for {platform}: {much:?}, at most {most:?}");
    }
}

#[test]
fn no_kind_of_markdown_takes_more_than_its_length() {
    let units = [
        "| **b** `c` |\n",
        "**b** `c` [d](e) ",
        "*a **b ",
        "~~a ",
        "> ",
        ">a\n",
        "- a\n",
        "* ",
        "1. a\n",
        "[",
        "![",
        "![a](b) ",
        "[a]: b\n",
        "[a](",
        "`",
        "``a`",
        "<",
        "<font color=red>",
        "<font color=red>a</font>",
        "<at id=a></at>",
        "<!--",
        "<br>\n",
        "\\|",
        "&amp;",
        "&",
        "https://a.b/c ",
        "a\n\n",
        "***",
        "___",
        "```\na\n```\n",
        "    a\n",
        "# a\n",
        "a\\\n",
        "|\n",
        "\t",
        "(",
        "\"",
        "2*3*4 ",
        "2*3*",
        "**a：**b ",
        "**：",
        "字**“",
        "~a~b~~：",
        "<@a",
        "<@a>",
        "&#",
        "\\*",
        "\\",
        "https://a.b/*_*_ ",
        "https://a.b/*",
        "[![a](b)](c) ",
        "[",
        "]: ",
        "👩‍👩‍👧",
        "🇨🇳",
        "e\u{301}",
        "\u{301}",
        "__",
    ];
    for unit in units {
        grows_with_its_length(unit, |bytes| unit.repeat(bytes / unit.len()), 4 * 1024);
    }
    // The longer table is just as long as the shown part, because omitted text takes no work.
    // Shorter rows make more rows.
    for (row, bytes) in [
        ("| **b** `c` |\n", 16 * 1024),
        ("|\n", 4 * 1024),
        ("b\n", 4 * 1024),
        ("|[d](e)|", 16 * 1024),
    ] {
        let table =
            |bytes: usize| format!("| a | b |\n|---|---|\n{}", row.repeat(bytes / row.len()));
        grows_with_its_length(row, table, bytes);
    }
    // Every row is as wide as the head.
    let wide = |bytes: usize| {
        format!(
            "{}|\n{}|\n{}",
            "|a".repeat(bytes / 8),
            "|-".repeat(bytes / 8),
            "|b\n".repeat(bytes / 6)
        )
    };
    grows_with_its_length("a wide table", wide, 4 * 1024);
    let nested =
        |bytes: usize| format!("{}a{}", "*b **".repeat(bytes / 10), "** *".repeat(bytes / 8));
    grows_with_its_length("emphasis within emphasis", nested, 4 * 1024);
}
