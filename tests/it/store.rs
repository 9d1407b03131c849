//! The store through the real binary: erasure, rotation, concurrent changes, backups, failing
//! disks.
//!
//! Owns the proof of these promises with real processes and files.
//!
//! Not here: crashes at any moment (`store_crash.rs`), the store's model tests (`src/store/`).

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};

use crate::support::{
    broker,
    daemon::{Daemon, Home, call, endpoint},
    emulator::Emulator,
    publisher::Publisher,
    terminal::Terminal,
    until,
};

const SOON: Duration = Duration::from_secs(60);
const NOWHERE: &str = "http://127.0.0.1:9";

/// A home whose daemon never finds a broker. Its store works nevertheless.
fn home_without_broker() -> Home {
    Home::with_prefix("amqp://guest:guest@127.0.0.1:9/%2f", "none", NOWHERE, "")
}

async fn start_without_broker(home: &Home) -> Daemon<'_> {
    let daemon = home.spawn();
    let socket = home.path("admin.sock");
    until("the daemon answers", SOON, || async {
        tokio::net::UnixStream::connect(&socket).await.is_ok()
    })
    .await;
    daemon
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn csv(topic: &str, numbers: std::ops::Range<usize>) -> String {
    let line = |n| {
        format!("{topic},wecom,{},n{n}\n", endpoint("wecom", &format!("token-{n:05}-0123456789")))
    };
    format!("topic,platform,endpoint,name\n{}", numbers.map(line).collect::<String>())
}

#[tokio::test]
async fn a_removed_subscription_is_proven_erased_with_a_daemon_and_without() {
    for with_daemon in [true, false] {
        let home = home_without_broker();
        let daemon = if with_daemon { Some(start_without_broker(&home).await) } else { None };
        let id = home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
        let before = home.fails(&["store", "prove-erased", &id], "", 1);
        assert!(
            before.contains("a key that opens it") && before.contains("is not erased"),
            "{before}"
        );
        home.ok(&["subscription", "remove", &id], "");
        let after = home.ok(&["store", "prove-erased", &id], "");
        assert!(
            after.contains("erased: no key") && after.contains("overwritten when it was removed"),
            "{after}"
        );
        drop(daemon);
    }
}

#[tokio::test]
async fn erasure_is_proven_by_evidence_and_never_by_a_folder_that_has_nothing() {
    let home = home_without_broker();
    let id = home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    let prove = |id: &str, code: i32, says: &str| {
        let said = home.fails(&["store", "prove-erased", id], "", code);
        assert!(said.contains(says) && !said.contains("erased: no key"), "{said}");
    };
    prove("00112233445566778899aabbccddeeff", 1, "nothing is known of");
    let (slots, away) = (home.path("data/slots"), home.path("slots"));
    fs::rename(&slots, &away).unwrap();
    prove(&id, 70, "slots is missing");
    std::os::unix::fs::symlink(&away, &slots).unwrap();
    prove(&id, 70, "slots is a symbolic link");
    fs::remove_file(&slots).unwrap();
    fs::rename(&away, &slots).unwrap();
    fs::rename(home.path("data"), home.path("elsewhere")).unwrap();
    prove(&id, 69, "cannot be read");
    fs::create_dir(home.path("data")).unwrap();
    prove(&id, 1, "there is no store in");
    fs::remove_dir(home.path("data")).unwrap();
    fs::rename(home.path("elsewhere"), home.path("data")).unwrap();
    prove(&id, 1, "is not erased");
}

#[tokio::test]
async fn an_import_of_long_lines_is_sent_in_requests_that_the_daemon_takes() {
    let home = home_without_broker();
    let _daemon = start_without_broker(&home).await;
    let filter: serde_json::Map<_, _> =
        (0..5).map(|n| (format!("a{n}"), json!(vec!["x".repeat(250); 10]))).collect();
    let line = |n: usize| {
        let endpoint = endpoint("wecom", &format!("token-{n:05}-0123456789"));
        format!(
            "{}\n",
            json!({"topic": "ops", "platform": "wecom", "endpoint": endpoint, "filter": filter})
        )
    };
    let long = json!({"topic": "ops", "platform": "wecom", "endpoint": "x".repeat(70_000)});
    let table: String = (0..400).map(line).chain([long.to_string()]).collect();
    assert!(table.len() > 4 * 1024 * 1024, "{}", table.len());
    let report = home.fails(&["subscription", "import"], &table, 64);
    assert!(report.contains("400 added, 0 there already, 1 refused"), "{report}");
    assert!(report.contains("line 401: it has 70") && !report.contains("xxxx"), "{report}");
}

#[tokio::test]
async fn many_are_imported_listed_moved_and_removed_with_their_topic() {
    let home = home_without_broker();
    let _daemon = start_without_broker(&home).await;
    let mut table = csv("ops", 0..1200);
    table.push_str(
        "no spaces,wecom,\
         https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=SECRETSECRETSECRET,x\n\
         ops,slack,y,z\n",
    );
    assert!(
        home.fails(&["subscription", "import", "--dry-run"], &table, 64)
            .contains("1200 would be added")
    );
    let report = home.fails(&["subscription", "import"], &table, 64);
    assert!(report.contains("1200 added, 0 there already, 2 refused"), "{report}");
    assert!(
        report.contains("line 1202: the topic's name")
            && report.contains("line 1203: unknown platform"),
        "{report}"
    );
    assert!(!report.contains("SECRETSECRET"));
    let again = home.ok(&["subscription", "import"], &csv("ops", 0..1300));
    assert!(again.contains("100 added, 1200 there already, 0 refused"), "{again}");

    assert_eq!(lines(&home.ok(&["subscription", "list", "--json"], "")).len(), 1300);
    let page = home.ok(&["subscription", "list", "--limit", "3"], "");
    let place = page.lines().last().unwrap().strip_prefix("more: --after ").unwrap();
    let next =
        lines(&home.ok(&["subscription", "list", "--json", "--limit", "2", "--after", place], ""));
    assert_eq!(
        next.iter().map(|one| one["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["n3", "n4"]
    );
    let named = lines(
        &home.ok(&["subscription", "list", "--json", "--name", "n129", "--state", "active"], ""),
    );
    assert_eq!(named.len(), 11, "n129 and n1290 to n1299");
    let robot = named[0]["robot"].as_str().unwrap();
    assert_eq!(lines(&home.ok(&["subscription", "list", "--json", "--robot", robot], "")).len(), 1);

    let masked = home.ok(&["subscription", "export", "--format", "csv"], "");
    assert_eq!(masked.lines().count(), 1301);
    assert!(masked.contains("key=****") && !masked.contains("token-00001"));
    let key = home.path("transfer.key").display().to_string();
    home.ok(&["key", "init", &key], "");
    let sealed = home.ok(&["subscription", "export", "--sealed", &key], "");
    let elsewhere = home_without_broker();
    assert!(elsewhere.fails(&["subscription", "import"], &sealed, 64).contains("it is sealed"));
    let moved = elsewhere.ok(&["subscription", "import", "--key", &key], &sealed);
    assert!(moved.contains("1300 added"), "{moved}");

    let refused = home.fails(&["subscription", "remove", "--topic", "ops"], "", 64);
    assert!(refused.contains("use --yes"), "{refused}");
    let id = named[0]["id"].as_str().unwrap();
    assert!(
        home.ok(&["subscription", "remove", "--topic", "ops", "--yes"], "")
            .contains("removed 1300")
    );
    assert!(home.ok(&["store", "prove-erased", id], "").contains("erased: no key"));
    home.fails(&["subscription", "remove", "--topic", "ops", "--yes"], "", 1);
}

#[tokio::test]
async fn an_update_changes_what_it_names_through_the_daemon_and_without_it_alike() {
    let home = home_without_broker();
    for with_daemon in [true, false] {
        let daemon = if with_daemon { Some(start_without_broker(&home).await) } else { None };
        let id = home.subscribe(
            "ops",
            "lark",
            &format!("hook-{with_daemon}-0123456789"),
            &["--name", "a", "--group", "g1"],
        );
        home.ok(
            &[
                "subscription",
                "update",
                &id,
                "--overflow",
                "latest",
                "--group",
                "",
                "--mention-user",
                "u1",
                "--language",
                "en",
            ],
            "",
        );
        let new =
            format!("{}\nSECnew", endpoint("lark", &format!("other-{with_daemon}-0123456789")));
        home.ok(&["subscription", "update", &id, "--endpoint-file", "-"], &new);
        let shown: Value =
            serde_json::from_str(&home.ok(&["subscription", "show", &id, "--json"], "")).unwrap();
        assert_eq!(
            (
                &shown["name"],
                &shown["overflow"],
                &shown["group"],
                &shown["signed"],
                &shown["mentions"]["users"][0],
                &shown["language"]
            ),
            (&json!("a"), &json!("latest"), &Value::Null, &json!(true), &json!("u1"), &json!("en"))
        );
        let exported = lines(&home.ok(&["subscription", "export"], ""));
        assert!(exported.iter().any(|one| one["language"] == "en"), "{exported:?}");
        home.ok(&["subscription", "update", &id, "--language", ""], "");
        let exported = lines(&home.ok(&["subscription", "export"], ""));
        assert!(exported.iter().all(|one| one["language"].is_null()), "{exported:?}");
        let other = home.fails(&["subscription", "update", &id, "--language", "fr"], "", 64);
        assert!(other.contains("use zh or en"), "{other}");
        assert!(home.fails(&["subscription", "update", &id], "", 64).contains("nothing to change"));
        let bad = home.fails(&["subscription", "update", &id, "--overflow", "drop"], "", 64);
        assert!(bad.contains("use queue, digest or latest"), "{bad}");
        drop(daemon);
    }
}

#[tokio::test]
async fn the_master_key_is_rotated_while_messages_are_delivered_and_across_a_kill() {
    let broker = broker::shared().await;
    let emulator = Emulator::start(&[]).await;
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "lark", "lark-001", &[]);
    let old = fs::read(home.path("master.key")).unwrap();
    let daemon = home.start().await;
    assert!(home.ok(&["subscription", "import"], &csv("many", 0..3000)).contains("3000 added"));
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "before"})).await;
    let mut rotating = Command::new(env!("CARGO_BIN_EXE_roomcast"))
        .args(["key", "rotate", "--config", &home.path("roomcast.toml").display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    publisher.publish("ops", &json!({"message": "meanwhile"})).await;
    until("the new key is let in", SOON, || async {
        fs::read(home.path("master.key")).unwrap() != old
    })
    .await;
    daemon.kill();
    rotating.wait().unwrap();
    let daemon = home.start().await;
    let done = home.ok(&["key", "rotate"], "");
    // Either the restart completed the first rotation and this was another one, or this one
    // completed it.
    assert!(done.contains("the master key is"), "{done}");
    let status: Value = serde_json::from_str(&home.ok(&["key", "status", "--json"], "")).unwrap();
    assert_eq!((&status["old"], &status["data_keys"]), (&Value::Null, &json!(3001)));
    publisher.publish("ops", &json!({"message": "after"})).await;
    until("all three arrive", SOON, || async { emulator.received().await.len() >= 3 }).await;
    assert!(
        home.ok(&["key", "rotate", "--data"], "")
            .contains("3001 subscriptions are sealed under new data keys")
    );
    assert!(home.ok(&["store", "verify"], "").contains("3001"));
    daemon.terminate();
    let new = fs::read(home.path("master.key")).unwrap();
    fs::write(home.path("master.key"), old).unwrap();
    assert!(
        home.fails(&["subscription", "list"], "", 64).contains("another master key"),
        "the old key is refused"
    );
    fs::write(home.path("master.key"), new).unwrap();
    home.ok(&["subscription", "list", "--limit", "1"], "");
}

#[tokio::test]
async fn a_backup_made_while_the_daemon_runs_restores_all_but_later_removals() {
    let home = home_without_broker();
    let daemon = start_without_broker(&home).await;
    home.ok(&["subscription", "import"], &csv("ops", 0..700));
    let gone = home.subscribe("ops", "wecom", "gone-0123456789abcdef", &[]);
    let backup = home.path("backup").display().to_string();
    assert!(home.ok(&["store", "backup", &backup], "").contains("701 subscriptions"));
    assert!(home.fails(&["store", "backup", &backup], "", 64).contains("exists already"));
    home.ok(&["subscription", "remove", &gone], "");
    daemon.terminate();
    assert!(
        home.fails(&["store", "restore", &backup], "", 64).contains("exists already"),
        "a store is not overwritten"
    );
    fs::rename(home.path("data"), home.path("old")).unwrap();
    let asked = home.fails(&["store", "restore", &backup], "", 64);
    assert!(
        asked.contains("come back") && asked.contains("--removed") && asked.contains("--yes"),
        "{asked}"
    );
    assert!(!home.path("data").exists(), "nothing was restored");
    let list = home.path("old/removed").display().to_string();
    let restored = home.ok(&["store", "restore", &backup, "--removed", &list], "");
    assert!(restored.contains("700 subscriptions restored and opened, 1 left out"), "{restored}");
    assert!(home.ok(&["store", "prove-erased", &gone], "").contains("erased: no key"));
    home.fails(&["subscription", "show", &gone], "", 1);
    assert!(home.ok(&["store", "verify"], "").contains("700"));
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_acked_or_damaged_and_everything_goes_on_when_there_is_room() {
    let broker = broker::shared().await;
    let emulator = Emulator::start(&[]).await;
    let home = Home::new(broker, &emulator.url(), "");
    home.subscribe("ops", "lark", "lark-001", &[]);
    // The database file is longer than the slot file so far.
    home.ok(&["subscription", "import"], &csv("others", 0..20));
    // A limit of the file size simulates a full disk without privileges: writes beyond it fail,
    // possibly halfway.
    let daemon = home.start_ignoring_size_signal().await;
    let room = |limit: Option<u64>| {
        prlimit(Some(daemon.pid()), Resource::Fsize, Rlimit { current: limit, maximum: None })
            .unwrap()
    };
    let publisher = Publisher::connect(&broker.url(), &home.prefix).await;
    publisher.publish("ops", &json!({"message": "before"})).await;
    until("it arrives", SOON, || async { emulator.received().await.len() == 1 }).await;
    room(Some(0));
    let refused = home.cli(
        &["subscription", "add", "--topic", "ops", "--platform", "wecom"],
        &endpoint("wecom", "late-0123456789abcd"),
    );
    assert_eq!(refused.status.code(), Some(69), "{}", String::from_utf8_lossy(&refused.stderr));
    for number in 0..5 {
        publisher.publish("ops", &json!({"message": format!("full {number}")})).await;
    }
    until("the session ends", SOON, || async {
        daemon.metric("roomcast_broker_up").await == Some(0.0)
    })
    .await;
    until("all is back in the queue", SOON, || async { publisher.depth("publish").await == 5 })
        .await;
    room(None);
    daemon.ready().await;
    until("all is acked", SOON, || async {
        let texts: std::collections::HashSet<String> = emulator
            .received()
            .await
            .iter()
            .map(|one| one.to_string())
            .filter(|text| text.contains("full "))
            .collect();
        texts.len() >= 5 && publisher.depth("publish").await == 0
    })
    .await;
    // Now the slot still fits, but the database does not.
    room(Some(4096));
    let late = endpoint("wecom", "late-0123456789abcd");
    let add = ["subscription", "add", "--topic", "ops", "--platform", "wecom"];
    let refused = home.cli(&add, &late);
    assert_eq!(refused.status.code(), Some(69), "{}", String::from_utf8_lossy(&refused.stderr));
    room(None);
    let late = home.ok(&add, &late);
    publisher.publish("ops", &json!({"message": "last"})).await;
    until("it arrives at both", SOON, || async {
        emulator.received().await.iter().filter(|one| one.to_string().contains("last")).count() == 2
    })
    .await;
    assert!(home.ok(&["store", "verify"], "").contains("subscriptions that open"));
    daemon.terminate();
    assert!(home.ok(&["subscription", "list"], "").contains(&late));
    home.ok(&["store", "verify"], "");
}

#[tokio::test]
async fn a_store_that_is_damaged_or_may_not_be_read_is_said_so_and_left_as_it_is() {
    let home = home_without_broker();
    let id = home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    for (file, code, says) in
        [("slots", 70, "is damaged"), ("keyring", 70, "is damaged"), ("db/db", 70, "is damaged")]
    {
        let path = home.path("data").join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad.fill(0x55);
        fs::write(&path, &bad).unwrap();
        let said = home.fails(&["subscription", "list"], "", code);
        assert!(said.contains(says), "{file}: {said}");
        assert!(home.fails(&["run"], "", code).contains(says));
        for entry in fs::read_dir(home.path("data/db")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
                fs::remove_file(path).unwrap();
            }
        }
        fs::write(&path, good).unwrap();
        assert!(home.ok(&["subscription", "list"], "").contains(&id), "{file}: nothing was lost");
    }
}

#[tokio::test]
async fn a_store_that_does_not_let_us_write_or_in_is_said_so() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let home = home_without_broker();
    home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    // Permissions do not restrict root. So the command runs as another user, with a copy of the
    // program that this user can reach.
    let program = home.path("roomcast");
    fs::copy(env!("CARGO_BIN_EXE_roomcast"), &program).unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        let chown =
            Command::new("chown").arg("-R").arg("65534:65534").arg(home.dir()).status().unwrap();
        assert!(chown.success());
    }
    let try_to = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).arg("--config").arg(home.path("roomcast.toml")).env_clear();
        if root {
            command.uid(65534).gid(65534);
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(try_to(&["subscription", "list"]).0, Some(0), "it works before");
    for (name, mode, says) in [
        ("data", 0o000, "Permission denied"),
        ("data/slots", 0o400, "Permission denied"),
        ("data/db", 0o500, "Permission denied"),
    ] {
        let mode_before = fs::metadata(home.path(name)).unwrap().permissions();
        fs::set_permissions(home.path(name), PermissionsExt::from_mode(mode)).unwrap();
        let (code, said) = try_to(&["subscription", "list"]);
        if name != "data/db" {
            assert!(
                code == Some(69) && said.contains("cannot be") && said.contains(says),
                "{name}: {code:?} {said}"
            );
        }
        fs::set_permissions(home.path(name), mode_before).unwrap();
        assert_eq!(try_to(&["subscription", "list"]).0, Some(0), "{name}: nothing was lost");
    }
}

#[tokio::test]
async fn a_store_on_a_read_only_file_system_is_said_so_and_left_as_it_is() {
    let home = home_without_broker();
    let id = home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    // The command sees the store mounted read-only, in a mount namespace of its own. Root of a user
    // namespace may mount it.
    let read_only = |command: &[&str]| {
        let mounted =
            r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 99; exec "$@""#;
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", mounted])
            .arg(home.path("data"));
        unshare.args(command).output()
    };
    if !read_only(&["true"]).is_ok_and(|output| output.status.success()) {
        eprintln!("not tried: this machine lets nobody mount in a namespace of his own");
        return;
    }
    let config = home.path("roomcast.toml").display().to_string();
    for command in [
        &["subscription", "list"][..],
        &["subscription", "remove", &id],
        &["store", "verify"],
        &["run"],
    ] {
        let arguments =
            [&[env!("CARGO_BIN_EXE_roomcast")][..], command, &["--config", &config]].concat();
        let output = read_only(&arguments).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("cannot be opened: Read-only file system"), "{command:?}: {said}");
        assert_eq!(output.status.code(), Some(69), "{command:?}");
    }
    assert!(home.ok(&["subscription", "list"], "").contains(&id), "nothing was lost");
    assert!(home.ok(&["store", "verify"], "").contains("subscriptions that open              1"));
}

#[tokio::test]
async fn a_daemon_that_dies_leaves_no_image_of_its_memory() {
    let home = home_without_broker();
    let mut daemon = start_without_broker(&home).await;
    let limits =
        fs::read_to_string(format!("/proc/{}/limits", daemon.pid().as_raw_nonzero())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    rustix::process::kill_process(daemon.pid(), Signal::ABORT).unwrap();
    until("it is dead", SOON, || std::future::ready(daemon.ended().is_some())).await;
    let status = daemon.ended().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

#[tokio::test]
async fn an_oversized_webhook_gets_the_same_answer_from_daemon_and_store() {
    let home = home_without_broker();
    let id = home.subscribe("ops", "wecom", "wecom-001", &[]);
    let refused = |bytes: usize| {
        let endpoint = format!(
            "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={}",
            "x".repeat(bytes - 53)
        );
        assert_eq!(endpoint.len(), bytes);
        let answer = format!("the webhook has {bytes} bytes, and no robot's has more than 2048");
        for arguments in [
            &["subscription", "add", "--topic", "ops", "--platform", "wecom"][..],
            &["subscription", "update", &id, "--endpoint-file", "-"],
        ] {
            let says = home.fails(arguments, &endpoint, 64);
            assert!(says.contains(&answer) && !says.contains("xxxx"), "{arguments:?}: {says}");
        }
        let secret =
            format!("https://open.feishu.cn/open-apis/bot/v2/hook/12345678\n{}", "x".repeat(bytes));
        let says = home.fails(
            &["subscription", "add", "--topic", "ops", "--platform", "lark"],
            &secret,
            64,
        );
        assert!(
            says.contains(&format!("the signing secret has {bytes} bytes"))
                && !says.contains("xxxx"),
            "{says}"
        );
    };
    let sizes = [3_000, 70_000, 5_000_000];
    sizes.into_iter().for_each(&refused);
    let _daemon = start_without_broker(&home).await;
    sizes.into_iter().for_each(&refused);
    let wish = json!({"topic": "ops", "platform": "wecom", "endpoint": "x".repeat(3_000)});
    let (status, answer) = call(&home.path("admin.sock"), "POST", "/v1/subscriptions", &wish).await;
    assert!(status == 400 && answer.contains("the webhook has 3000 bytes"), "{status} {answer}");
}

#[tokio::test]
async fn a_restoration_without_a_list_of_removals_asks_and_names_the_consequence() {
    let home = home_without_broker();
    let gone = home.subscribe("ops", "wecom", "gone-0123456789abcdef", &[]);
    let backup = home.path("backup").display().to_string();
    home.ok(&["store", "backup", &backup], "");
    home.ok(&["subscription", "remove", &gone], "");
    fs::remove_dir_all(home.path("data")).unwrap();
    for command in ["verify", "backup"] {
        let arguments =
            [&["store", command][..], if command == "backup" { &["elsewhere"][..] } else { &[] }]
                .concat();
        assert!(home.fails(&arguments, "", 1).contains("there is no store in"), "{command}");
        assert!(!home.path("data").exists(), "{command} made a store");
    }
    let terminal = Terminal::start(home.command(&["store", "restore", &backup]), (200, 20));
    terminal.shows("restore all the same? [y/N]").await;
    terminal.shows("webhooks that were removed after the backup was made come back").await;
    terminal.press("n\r");
    assert_eq!(terminal.close_when_ended().await.code(), Some(1));
    assert!(!home.path("data").exists(), "nothing was restored");
    home.ok(&["store", "restore", &backup, "--yes"], "");
    assert!(home.ok(&["subscription", "list"], "").contains(&gone), "it came back");
}
