//! TLS to the broker.
//!
//! Owns the promise that it works with the right authority, and that any other problem is named.
//!
//! Not here: permissions on the broker (`check.rs`).

use std::{fs, process::Output, time::Duration};

use serde_json::json;

use crate::support::{
    broker::Broker, certificates::Authority, daemon::Home, emulator::Emulator, until,
};

const SOON: Duration = Duration::from_secs(60);

/// A home whose daemon reaches the broker by TLS under this name, and trusts these authorities.
fn home(broker: &Broker, host: &str, base_url: &str, authorities: &str) -> Home {
    let home = Home::new(broker, base_url, "");
    let file = home.path("ca.pem");
    fs::write(&file, authorities).unwrap();
    let with = format!("url = \"{}\"\nca_file = \"{}\"\n", broker.tls_url(host), file.display());
    home.with(&format!("url = \"{}\"\n", broker.url()), &with)
}

/// Every command that connects to the broker, and the daemon, ends with this code and this
/// sentence.
fn all_refuse(home: &Home, code: i32, says: &str) {
    let publish = ["publish", "--topic", "ops", "x"];
    // The daemon comes last, because it would retry forever if it took the error for a transient
    // one.
    for arguments in [&["check"][..], &publish, &["dead", "list"], &["run"]] {
        let output = home.cli(arguments, "");
        // `check` prints each finding in its list.
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let sentence = format!("{listed}{}", sentence(&output));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {sentence}");
        assert!(sentence.contains(says), "{arguments:?}: {says:?} is not in: {sentence}");
        assert!(!sentence.contains("guest"), "{sentence}");
    }
}

/// The only sentence on standard error, apart from log lines.
fn sentence(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("20")).collect();
    assert_eq!(lines.len(), 1, "one sentence: {text}");
    lines[0].to_owned()
}

#[tokio::test]
async fn a_broker_with_tls_is_spoken_to_if_its_certificate_is_trusted_and_names_it() {
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let server = ours.server("localhost");
    let broker = Broker::start_with_tls(&server.certificate, &server.key).await;
    let emulator = Emulator::start(&[]).await;

    let right = home(
        &broker,
        "localhost",
        &emulator.url(),
        &format!("{}{}", others.certificate, ours.certificate),
    );
    right.subscribe("ops", "wecom", "wecom-001", &[]);
    let daemon = right.start().await;
    assert!(right.ok(&["check"], "").contains("the topology is there"));
    right.ok(&["publish", "--topic", "ops", "over TLS"], "");
    until("it arrives", SOON, || async { emulator.count("accepted").await == 1 }).await;
    emulator
        .fault(
            json!({"kind": "answer", "status": 200, "body": {"errcode": 40058, "errmsg": "bad"}}),
        )
        .await;
    right.ok(&["publish", "--topic", "ops", "refused"], "");
    until("it is given up", SOON, || async { right.ok(&["dead", "list"], "").contains("40058") })
        .await;
    assert!(daemon.terminate().success());

    let stranger = home(&broker, "localhost", &emulator.url(), &others.certificate);
    all_refuse(
        &stranger,
        69,
        "no trusted authority has signed its certificate: set broker.ca_file",
    );
    let elsewhere = home(&broker, "127.0.0.1", &emulator.url(), &ours.certificate);
    all_refuse(
        &elsewhere,
        69,
        "its certificate is not for 127.0.0.1, as broker.url calls it, but for",
    );
    let plain = home(&broker, "localhost", &emulator.url(), &ours.certificate)
        .with(&broker.tls_url("localhost"), &broker.url().replace("amqp:", "amqps:"));
    all_refuse(&plain, 69, "does not speak TLS");
    for (content, says) in [
        ("rubbish\n", "there is no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nrubbish\n", "it is not PEM"),
        (
            "-----BEGIN CERTIFICATE-----\ncnViYmlzaA==\n-----END CERTIFICATE-----\n",
            "cannot be read",
        ),
    ] {
        all_refuse(&home(&broker, "localhost", &emulator.url(), content), 64, says);
    }
    let missing = home(&broker, "localhost", &emulator.url(), "");
    fs::remove_file(missing.path("ca.pem")).unwrap();
    all_refuse(&missing, 64, "No such file");
}
