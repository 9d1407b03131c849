//! Files with secrets.
//!
//! Owns the promise that the daemon does not start if other users can read them, and that a named
//! pipe in their place blocks no command.
//!
//! Not here: secrets in the output (`leaks.rs`).

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{
    daemon::{Home, endpoint, private},
    free_ports, until,
};

const URL: &str = "amqp://guest:hunter2@127.0.0.1:9/%2f";

fn home() -> Home {
    Home::with_prefix(URL, "none", "http://127.0.0.1:9", "")
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn each_file_with_a_secret_is_refused_if_others_can_read_it_or_it_is_not_a_file() {
    let home = home();
    private(&home.path("token"), "a-token-of-the-tests");
    private(&home.path("url"), URL);
    home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    let listen = format!(
        "[admin]\nlisten = \"127.0.0.1:{}\"\ntoken_file = \"{}\"\n",
        free_ports(),
        home.path("token").display()
    );
    let in_file = format!("url_file = \"{}\"", home.path("url").display());
    let home = home.with("[admin]\n", &listen);
    let refused = |home: &Home, name: &str, wanted: &str| {
        for command in ["check", "run"] {
            let said = home.fails(&[command], "", 64);
            assert!(
                said.contains(wanted) && said.contains(name) && !said.contains("hunter2"),
                "{command}: {said}"
            );
        }
    };
    let others_read = |home: &Home, name: &str, mode: u32| {
        let before = fs::metadata(home.path(name)).unwrap().permissions();
        for exposed in [mode | 0o040, mode | 0o004, mode | 0o020] {
            home.set_mode(name, exposed);
            refused(
                home,
                name,
                &format!("can be read by others (mode {exposed:04o}): chmod {mode:o}"),
            );
        }
        fs::set_permissions(home.path(name), before).unwrap();
    };
    let no_file = |home: &Home, name: &str| {
        let away = home.path("away");
        fs::rename(home.path(name), &away).unwrap();
        pipe(&home.path(name));
        refused(home, name, "is a pipe: it must be a regular file");
        fs::remove_file(home.path(name)).unwrap();
        fs::create_dir(home.path(name)).unwrap();
        refused(home, name, "is a folder: it must be a regular file");
        fs::remove_dir(home.path(name)).unwrap();
        fs::rename(&away, home.path(name)).unwrap();
    };
    others_read(&home, "roomcast.toml", 0o600);
    others_read(&home, "data", 0o700);
    for name in ["master.key", "token"] {
        others_read(&home, name, 0o600);
        no_file(&home, name);
    }
    if rustix::process::geteuid().is_root() {
        for name in ["master.key", "token", "data", "roomcast.toml"] {
            std::os::unix::fs::chown(home.path(name), Some(65_534), None).unwrap();
            refused(&home, name, "belongs to user 65534");
            std::os::unix::fs::chown(home.path(name), Some(0), None).unwrap();
        }
    }
    let home = home.with(&format!("url = \"{URL}\""), &in_file);
    // A configuration without a password may be readable by all users.
    home.set_mode("roomcast.toml", 0o644);
    others_read(&home, "url", 0o600);
    no_file(&home, "url");
    // There is no other problem.
    assert!(home.fails(&["check"], "", 69).contains("not ready: broker"));
    let ca = home.path("ca.pem");
    pipe(&ca);
    let home = home.with("[broker]\n", &format!("[broker]\nca_file = \"{}\"\n", ca.display()));
    let home = {
        fs::write(home.path("url"), URL.replace("amqp:", "amqps:")).unwrap();
        home
    };
    refused(&home, "broker.ca_file", "it is a pipe: it must be a regular file");
}

#[tokio::test]
async fn a_credential_of_systemd_is_private_by_its_folder() {
    let home = home();
    home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    // An access list for the service's user appears as a permission of the group.
    home.set_mode("master.key", 0o440);
    home.fails(&["subscription", "list"], "", 64);
    let mut command = home.command(&["subscription", "list"]);
    let output = command.env("CREDENTIALS_DIRECTORY", home.dir()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn nothing_that_a_command_makes_can_be_read_by_others_whatever_the_shell_allows() {
    let home = home();
    home.subscribe("ops", "wecom", "token-aaaaa-0123456789", &[]);
    let backup = home.path("backup").display().to_string();
    home.ok(&["store", "backup", &backup], "");
    let daemon = home.spawn();
    let socket = home.path("admin.sock");
    until("the daemon answers", Duration::from_secs(30), || async { socket.exists() }).await;
    drop(daemon);
    let mut folders = vec![home.path("data"), home.path("backup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has the mode {mode:o}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}

#[tokio::test]
async fn a_webhook_may_come_through_a_pipe() {
    let home = home();
    let robot = |number: usize| endpoint("wecom", &format!("token-{number}-0123456789"));
    let add = "subscription add --topic ops --platform wecom --config \"$CONFIG\" --endpoint-file";
    for (number, script) in [
        format!("\"$ROOMCAST\" {add} <(echo \"$WEBHOOK\")"),
        format!("echo \"$WEBHOOK\" | \"$ROOMCAST\" {add} /dev/stdin"),
        format!("echo \"$WEBHOOK\" | \"$ROOMCAST\" {add} -"),
        "\"$ROOMCAST\" subscription list --config <(cat \"$CONFIG\")".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let mut shell = Command::new("bash");
        shell
            .args(["-c", script])
            .env("ROOMCAST", env!("CARGO_BIN_EXE_roomcast"))
            .env("WEBHOOK", robot(number));
        shell.env("CONFIG", home.path("roomcast.toml")).stdin(Stdio::null());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(home.ok(&["subscription", "list", "--json"], "").lines().count(), 3);
}
