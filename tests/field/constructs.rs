//! What each platform shows of markdown, as a table in `docs/PUBLISHING.md`.
//!
//! Owns the list of constructs. The test compares the table with what the models show;
//! `UPDATE_DOCS=1 cargo test --test field constructs` writes it anew.
//!
//! Not here: the models (`shown.rs`).

use std::{env, fs, sync::Arc};

use roomcast::domain::Platform;
use serde_json::{Value, json};

use crate::{
    rendered::{Outcome, decode_body, messages},
    root,
    shown::{Kind, Line, shown},
    shown_line::Run,
};

const CONSTRUCTS: [&str; 40] = [
    "# db-1 is **down**",
    "**down**",
    "*down*",
    "~~down~~",
    "`df -h`",
    "[runbook](https://x.test)",
    "https://x.test/?a=*&b=*",
    "![graph](https://x.test/g.png)",
    "[![graph](https://x.test/g.png)](https://x.test)",
    "- one\n- two",
    "- one\n  - inner\n    - deepest",
    "1. one\n   1. inner\n2. two",
    "- [x] done\n- [ ] open",
    "> quoted",
    "> outer\n>\n> > inner",
    "```sh\nmake\n  all\n```",
    "| host | load |\n|---|---|\n| db-1 | 9.5 |",
    "| a |\n|---|\n| x\\|y |",
    "above\n\n---\n\nbelow",
    "one\ntwo",
    "<font color=\"red\">down</font>",
    "<at id=ou_1></at>",
    "<@ann>",
    "one<br>two",
    "pod <none>: Vec<String>",
    "1 < 2 && 3 > 2",
    "&lt;b&gt; &amp;copy;",
    "\\[FIRING:2\\] disk\\_full on db\\*1",
    "[FIRING:2] disk_full",
    "10*1000 and 2*3*4",
    "2**10 and 3**2",
    "**告警：**磁盘满",
    "`a` and \\`b\\`",
    "5~6~7",
    "__init__.py",
    "C:\\\\temp\\\\[1\\]",
    "\\*\\*not bold\\*\\*",
    "\\[no\\](link)",
    "\\# no heading",
    "\\- no item",
];

const BEGIN: &str = "<!-- The table begins here. A test writes it. -->\n";
const END: &str = "<!-- The table ends here. -->\n";

#[test]
fn the_table_of_the_constructs_is_what_the_platforms_show() {
    let path = root().join("docs/PUBLISHING.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once(END).unwrap();
    let made = table();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    let differs = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
    assert!(
        kept == made,
        "docs/PUBLISHING.md is not what the platforms show; \
         UPDATE_DOCS=1 cargo test --test field constructs writes it anew. {differs:?}"
    );
}

fn table() -> String {
    let mut table =
        "\n| written | DingTalk | Lark | WeCom |\n| --- | --- | --- | --- |\n".to_owned();
    for written in CONSTRUCTS {
        let lines: Vec<String> =
            written.lines().filter(|line| !line.is_empty()).map(code).collect();
        table += &format!("| {} ", lines.join("<br>"));
        for platform in [Platform::DingTalk, Platform::Lark, Platform::WeCom] {
            let event = json!({"message": written, "format": "markdown"});
            let event = decode_body(event.to_string().into_bytes()).unwrap();
            let Outcome::Messages(messages) = messages(&Arc::new(event), platform) else {
                panic!("{written} is refused");
            };
            let newer = if messages.bodies[0].get("markdown_v2").is_some() { " ᵛ²" } else { "" };
            table += &format!("| {}{newer} ", described(&messages.bodies[0]));
        }
        table += "|\n";
    }
    table + "\n"
}

fn described(body: &Value) -> String {
    let lines = shown(body);
    let lines = lines.iter().filter(|line| line.kind == Kind::Rule || !line.runs.is_empty());
    // The indentations of the items around the current one.
    let mut around: Vec<usize> = Vec::new();
    let lines = lines.map(|line| {
        if let Kind::Item(blanks, _) = line.kind {
            around.retain(|other| *other < blanks);
            around.push(blanks);
        }
        described_line(line, around.len())
    });
    lines.collect::<Vec<_>>().join("<br>")
}

fn described_line(line: &Line, depth: usize) -> String {
    let runs = line.runs.iter().filter(|run| !run.text.trim().is_empty());
    let runs: Vec<_> = runs.map(described_run).collect();
    let runs = runs.join(" + ");
    match &line.kind {
        Kind::Text => runs,
        Kind::Heading => format!("heading {runs}"),
        Kind::Quote => format!("quote {runs}"),
        Kind::Item(_, mark) => format!("{}{mark} {runs}", "&emsp;".repeat(depth - 1)),
        Kind::Code => format!("code {runs}"),
        Kind::Row => format!("row {runs}"),
        Kind::Rule => "rule".to_owned(),
    }
}

fn described_run(run: &Run) -> String {
    let mut styles = run.styles.clone();
    if run.address.is_some() && !styles.contains(&"picture") {
        styles.push("link");
    }
    let text = code(&run.text.replace('\u{200b}', ""));
    if styles.is_empty() { text } else { format!("{} {text}", styles.join(" ")) }
}

/// A text as code in a cell.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\u{a0}', " ");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
