//! Tests of markdown: many small texts, each as every platform shows it.
//!
//! Owns the proof that no text panics, exceeds the limit or loses a letter. The goldens are in
//! `snapshots/`, checked by eye.
//!
//! Not here: whole messages of a platform (`message.rs` of each platform).

use proptest::prelude::*;

use super::{Head, Markdown};
use crate::{
    domain::Language,
    platforms::{
        dingtalk, lark,
        text::IN_JSON,
        wecom::{self, markdown::MarkdownKind},
    },
};

/// The text in all dialects; for WeCom in the kind that would be chosen.
fn rendered(source: &str) -> String {
    let markdown = Markdown::read(source);
    let (kind, flow) = wecom::markdown::write(&markdown, None, false);
    format!(
        "== dingtalk\n{}\n== lark\n{}\n== wecom {kind:?}\n{}\n",
        markdown.write(None, &dingtalk::markdown::DIALECT).text,
        markdown.write(None, &lark::markdown::DIALECT).text,
        flow.text,
    )
}

macro_rules! golden {
    ($($name:ident: $source:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::with_settings!({
                description => $source,
                omit_expression => true,
                prepend_module_to_snapshot => false
            }, {
                insta::assert_snapshot!(stringify!($name), rendered($source));
            });
        }
    )*};
}

golden! {
    headings_and_paragraphs: "# db-1 is down\n\nreplica took over\n\n###### small print";
    setext_headings: "Title\n=====\n\nPart\n----\ntext";
    a_line_ends_where_its_author_ended_it: "one\ntwo  \nthree\\\nfour";
    bold_italic_struck: "**bold** *italic* ***both*** ~~gone~~ __bold__ _italic_";
    code_in_a_line: "run `systemctl restart x` or ``a`b`` or `` ` ``";
    links: "see [the runbook](https://x.test/a_(b)) or <https://x.test> \
        or [**bold** link](https://y.test \"title\")";
    a_link_by_reference: "see [it][1]\n\n[1]: https://x.test";
    pictures: "![graph](https://x.test/g.png) ![](https://x.test/h.png) ![key](img_v2_1)";
    bullets: "- one\n- two\n  more of two\n- three";
    bullets_within_bullets: "- one\n  - inner\n    - deepest\n- two";
    numbers: "3. three\n4. four";
    loose_list: "- one\n\n  second paragraph\n\n- two";
    tasks: "- [x] done\n- [ ] open";
    quote: "> first\n> second\n>\n> third";
    quote_within_quote: "> outer\n>\n> > inner";
    list_within_quote: "> - a\n> - b";
    code_block: "before\n\n```rust\nfn main() {\n    println!(\"*x*\");\n}\n```\n\nafter";
    code_with_fences_inside: "~~~\n```\ninner\n```\n~~~";
    code_within_a_list: "- step\n\n  ```sh\n  make\n  ```\n- next";
    table: "| host | state | load |\n|:-----|:-----:|-----:|\n| db-1 | **down** | 9.5 |\n\
        | a\\|b | [x](https://x.test) | |";
    rule: "above\n\n---\n\nbelow";
    colours_by_wecoms_names: "<font color=\"warning\">down</font> <font color=\"info\">up</font> \
        <font color=\"comment\">old</font>";
    colours_by_number: "<font color=#FF0000>red</font> <font color='#00aa00'>green</font> \
        <font color=\"#888888\">grey</font> <font color=\"#ff8800\">orange</font> \
        <font color=\"pinkish\">none</font>";
    a_colour_that_nobody_closes: "<font color=\"red\">down **now**\n\nnext";
    a_colour_over_lines: "<font color=\"red\">\nline one\nline two\n</font>";
    a_coloured_table: "| a |\n|---|\n| <font color=\"red\">b</font> |";
    mentions_as_lark_writes_them: "<at id=ou_1></at> and <at id=\"all\">everybody</at>";
    tags_that_are_none: "a Vec<String> and <b>bold</b><br>next";
    what_was_escaped_stays_escaped: "\\*not emphasised\\* &lt;at id=all&gt; \
        \\\\*emphasised* 2 \\* 3";
    chinese: "## 告警\n\n**主机** db-1 已宕机，请 [查看](https://x.test/查看)。";
    html_block: "<div>\nkept as it is\n</div>";
    nothing_but_a_definition: "[a]: https://x.test";
}

#[test]
fn a_mark_is_taken_away_only_where_it_certainly_is_one() {
    for text in [
        "2*3*4",
        "10*1000 to 10*3000",
        "长*宽*高",
        "2**10 and 3**2",
        "f(*args, **kwargs)",
        "a/*/b/*/c",
        "src/**/a/**/b",
        "*.log, *.txt",
        "SELECT *, count(*)",
        "*/5,*/10 * * *",
        "?a=*&b=*&c",
        "5~6~7",
        "~10~ minutes",
        "__init__.py",
        "obj.__dict__",
        "a/_b_/c",
        "x *= y*z",
        "snake_case_name",
        "**kwargs, **opts",
        "rm -- *a*2",
    ] {
        assert_eq!(super::plain_lines(text).trim(), text);
    }
    for (text, read) in [
        ("*a* b", "a b"),
        ("(*a*)", "(a)"),
        ("a *b*, c", "a b, c"),
        ("_a_: b", "a: b"),
        ("**a**b", "ab"),
        ("主机**db-1**宕机", "主机db-1宕机"),
        ("**告警：**磁盘满 **级别：**P1", "告警：磁盘满 级别：P1"),
        ("**告警：**磁盘满**级别：**P1", "告警：磁盘满级别：P1"),
        ("磁盘**“满”**了", "磁盘“满”了"),
        ("**host:**db-1 **load:**9", "host:db-1 load:9"),
        ("~~旧：~~新", "~~旧：~~新"),
        ("***告警：***磁盘满", "告警：磁盘满"),
        ("*注意：*请重启", "注意：请重启"),
        ("使用率**90%**以上", "使用率90%以上"),
        ("2*3（x）*y", "2*3（x）*y"),
        ("`**a：**b` **c：**d", "**a：**b c：d"),
        ("\\**a：\\**b", "**a：**b"),
    ] {
        assert_eq!(super::plain_lines(text).trim(), read, "{text}");
    }
}

#[test]
fn a_mention_is_a_tag_only_on_the_platform_that_knows_the_id() {
    let written = rendered("<@ann> \\<@bob> <@a b> Vec<@T> <at id=ou_1></at>");
    let lines: Vec<_> = written.lines().filter(|line| !line.starts_with("==")).collect();
    assert_eq!(
        lines,
        [
            "@ann <@bob> <@a b> Vec<@T> @ou_1",
            "@ann &#60;@bob&#62; &#60;@a b&#62; Vec&#60;@T&#62; <at id=ou_1></at>",
            "<@ann> <\u{200b}@bob> <\u{200b}@a b> Vec<\u{200b}@T> @ou_1",
        ]
    );
}

#[test]
fn a_fourth_table_in_a_card_is_written_as_code() {
    let text = Markdown::read(&"| a |\n|---|\n| b |\n\n".repeat(6))
        .write(None, &lark::markdown::DIALECT)
        .text;
    assert_eq!(text.matches("---").count(), 3);
    assert!(text.ends_with("```\na\nb\n```"), "{text}");
}

#[test]
fn wecoms_newer_kind_shows_what_the_older_one_cannot_and_never_loses_a_colour() {
    for (source, kind) in [
        ("# x\n\n**y** `z` [l](https://x.test)\n\n- a\n- b\n\n> q", MarkdownKind::Markdown),
        ("| a |\n|---|\n| b |", MarkdownKind::MarkdownV2),
        ("```\nx\n```", MarkdownKind::MarkdownV2),
        ("- ![p](https://x.test/p.png)", MarkdownKind::MarkdownV2),
        ("- a\n  - b", MarkdownKind::MarkdownV2),
        ("| <font color=\"info\">a</font> |\n|---|\n| b |", MarkdownKind::Markdown),
    ] {
        let chosen = wecom::markdown::write(&Markdown::read(source), None, false).0;
        assert_eq!(chosen, kind, "{source}");
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_between_blocks_at_lines_and_before_links() {
    let fit = |source: &str, max| {
        Markdown::read(source).write(None, &lark::markdown::DIALECT).fit(
            |_| "\n@x".to_owned(),
            Language::En,
            max,
            IN_JSON,
        )
    };
    let paragraphs = format!("{}\n\n{}\n\n{}", "a".repeat(100), "b".repeat(100), "c".repeat(100));
    assert_eq!(
        fit(&paragraphs, 260),
        format!("{}\n\n{}\n… (102 bytes left out)\n@x", "a".repeat(100), "b".repeat(100))
    );
    let lines = "one line of ten\n".repeat(40);
    let cut = fit(&lines, 300);
    assert!(cut.lines().rev().skip(2).all(|line| line == "one line of ten"), "{cut}");
    let link =
        format!("{} [{}](https://x.test/{})", "a".repeat(100), "t".repeat(40), "u".repeat(40));
    assert_eq!(fit(&link, 180), format!("{}\n… (100 bytes left out)\n@x", "a".repeat(100)));
}

#[test]
fn a_block_of_code_that_is_cut_is_closed() {
    let source = format!("> before\n>\n> ```\n{}> ```", "> some code\n".repeat(100));
    let cut = Markdown::read(&source).write(None, &lark::markdown::DIALECT).fit(
        |_| String::new(),
        Language::En,
        300,
        IN_JSON,
    );
    assert_eq!(cut.matches("```").count(), 2, "{cut}");
    assert!(cut.contains("some code\n> ```\n\n… ("), "{cut}");
}

#[test]
fn what_lies_too_deep_is_said_without_its_markup() {
    for source in [
        ">".repeat(10_000) + "x",
        "- ".repeat(10_000) + "x",
        "*a ".repeat(5_000) + &"b* ".repeat(5_000),
    ] {
        for text in [
            Markdown::read(&source).write(None, &dingtalk::markdown::DIALECT).text,
            Markdown::read(&source).write(None, &lark::markdown::DIALECT).text,
        ] {
            assert!(text.contains('x') || text.contains('b'), "{text}");
        }
    }
}

#[test]
fn nothing_is_lost_where_the_depth_ends() {
    for depth in 0..24 {
        let quotes = "> ".repeat(depth);
        for source in [
            format!("{quotes}- - - - x"),
            format!("{quotes}- x\n{quotes}- y"),
            format!("{quotes}| a |\n{quotes}|---|\n{quotes}| x |"),
            format!("{quotes}```\n{quotes}x\n{quotes}```"),
            format!("{quotes}<div>\n{quotes}x\n{quotes}</div>"),
            format!("{quotes}**<font color=\"red\">x</font>**"),
        ] {
            for flow in [
                Markdown::read(&source).write(None, &dingtalk::markdown::DIALECT),
                Markdown::read(&source).write(None, &lark::markdown::DIALECT),
            ] {
                assert!(flow.text.contains('x'), "{source:?} became {:?}", flow.text);
            }
        }
    }
}

/// Pieces of markdown, whole and broken.
fn any_markdown() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("# ".to_owned()),
        Just("> ".to_owned()),
        Just("- ".to_owned()),
        Just("1. ".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("    ".to_owned()),
        Just("```\n".to_owned()),
        Just("`".to_owned()),
        Just("**".to_owned()),
        Just("*".to_owned()),
        Just("~~".to_owned()),
        Just("[a](https://x.test)".to_owned()),
        Just("![p](img_1)".to_owned()),
        Just("| a | b |\n|---|---|\n| c |".to_owned()),
        Just("<font color=\"red\">".to_owned()),
        Just("</font>".to_owned()),
        Just("<at id=all>".to_owned()),
        Just("</at>".to_owned()),
        Just("<div>\n".to_owned()),
        Just("\\".to_owned()),
        Just("&lt;".to_owned()),
        Just("---\n".to_owned()),
        "[a-z]{1,12}",
        "[告警已宕机]{1,8}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_cut_right_behind_a_link_is_not_moved_to_a_blank_within_it() {
    let source =
        format!("{}[some link text](https://x.test/some/path){}", "a".repeat(500), "b".repeat(500));
    for max in 500..700 {
        let text = Markdown::read(&source).write(None, &lark::markdown::DIALECT).fit(
            |_| String::new(),
            Language::En,
            max,
            IN_JSON,
        );
        assert_eq!(
            text.matches('[').count(),
            text.matches("](https://x.test/some/path)").count(),
            "{max}: {text}"
        );
    }
}

proptest! {
    /// For any text, the result is within the limit and has its tail. A text that is not blank does
    /// not become blank.
    #[test]
    fn rendering_never_panics_and_never_exceeds_the_limit(
        source in any_markdown(),
        max in 80_usize..600,
    ) {
        let markdown = Markdown::read(&source);
        let head = |gap| Some(Head { mark: "### ", text: "s", gap });
        for flow in [
            markdown.write(head("\n\n"), &dingtalk::markdown::DIALECT),
            markdown.write(None, &lark::markdown::DIALECT),
            markdown.write(head("\n"), MarkdownKind::Markdown.dialect()),
            markdown.write(None, MarkdownKind::MarkdownV2.dialect()),
        ] {
            let text = flow.fit(|_| "\n@tail".to_owned(), Language::Zh, max, IN_JSON);
            prop_assert!(text.chars().map(IN_JSON).sum::<usize>() <= max);
            prop_assert!(text.ends_with("@tail"));
            prop_assert!(source.trim().is_empty() || !flow.text.is_empty());
        }
    }

    /// A cut never leaves a code block open or a link incomplete.
    #[test]
    fn a_cut_is_never_within_a_link_or_an_open_block_of_code(
        parts in prop::collection::vec(prop_oneof![
            Just("[some link text](https://x.test/some/path)".to_owned()),
            Just("\n\n```\nsome code\nmore code\n```\n\n".to_owned()),
            "[a-z][a-z ]{0,39}",
        ], 1..30),
        max in 150_usize..600,
    ) {
        let source = parts.concat();
        let flow = Markdown::read(&source).write(None, &lark::markdown::DIALECT);
        let text = flow.fit(|_| String::new(), Language::En, max, IN_JSON);
        prop_assert_eq!(text.matches("```").count() % 2, 0, "{}", text);
        let whole = text.matches("](https://x.test/some/path)").count();
        prop_assert_eq!(text.matches('[').count(), whole, "{}", text);
    }

    /// No letter is lost, even inside broken markup.
    #[test]
    fn no_letter_is_lost(source in any_markdown()) {
        // Exclusions: links, texts after a fence, and cells beyond the columns of a table change or
        // disappear.
        let source = source.replace("](", "] (").replace("]:", "] :").replace(['~', '|'], "-");
        let parts: Vec<_> = source.split('`').filter(|part| !part.is_empty()).collect();
        let source = parts.join("`");
        let letters =
            |text: &str| text.chars().filter(|c| "告警已宕机".contains(*c)).collect::<String>();
        let markdown = Markdown::read(&source);
        let expected = letters(&source);
        for flow in [
            markdown.write(None, &dingtalk::markdown::DIALECT),
            markdown.write(None, &lark::markdown::DIALECT),
            markdown.write(None, MarkdownKind::Markdown.dialect()),
        ] {
            prop_assert_eq!(&letters(&flow.text), &expected, "{}", flow.text);
        }
    }
}
