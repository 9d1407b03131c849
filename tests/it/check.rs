//! `roomcast check`.
//!
//! Owns the promise that it reports every problem for which `roomcast run` would not start, and
//! that it creates and changes nothing.
//!
//! Not here: the sentences of other commands (`startup.rs`).

use std::{fs, net::TcpListener};

use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use crate::support::{
    broker::{self, Broker},
    daemon::{Home, private},
};

const NOWHERE: &str = "http://127.0.0.1:9";

/// Both commands refuse, for the same reason, with the same exit code.
fn both_refuse(home: &Home, code: i32, says: &str) {
    for command in ["check", "run"] {
        let said = home.fails(&[command], "", code);
        assert!(said.contains(says), "{command}: {says:?} is not in: {said}");
    }
}

/// The exchanges and queues of the broker under a prefix.
fn names(broker: &Broker, prefix: &str) -> Vec<String> {
    let ours = |name: &String| name.starts_with(&format!("{prefix}.")) && !name.ends_with(".lock");
    let mut names: Vec<_> = broker.names().into_iter().filter(ours).collect();
    names.sort();
    names
}

async fn channel(broker: &Broker) -> (Connection, lapin::Channel) {
    let connection =
        Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn a_check_finds_a_different_topology_behind_a_missing_part_and_declares_nothing() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let fine = home.ok(&["check"], "");
    assert!(
        fine.contains("not there yet, the daemon makes them")
            && fine.contains("bindings cannot be seen"),
        "{fine}"
    );
    assert_eq!(names(broker, &home.prefix), Vec::<String>::new(), "nothing was made");
    let (_connection, declaring) = channel(broker).await;
    // An exchange of another type, which a passive declaration does not detect.
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let dead = format!("{}.dead", home.prefix);
    let exchange = declaring.exchange_declare(
        dead.as_str().into(),
        ExchangeKind::Direct,
        options,
        FieldTable::default(),
    );
    exchange.await.unwrap();
    both_refuse(&home, 64, &format!("exchange {dead} exists with other arguments"));
    declaring.exchange_delete(dead.as_str().into(), Default::default()).await.unwrap();

    // The daemon's own start has declared a part of the topology. The queue comes after exchanges
    // and queues that are missing.
    let home = Home::new(broker, NOWHERE, "");
    let queue = format!("{}.unrouted", home.prefix);
    let mut classic = FieldTable::default();
    classic.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    declaring.queue_declare(queue.as_str().into(), options, classic).await.unwrap();
    let said = home.fails(&["check"], "", 64);
    assert!(said.contains(&format!("queue {queue} exists with other arguments")), "{said}");
    assert_eq!(names(broker, &home.prefix), [queue.as_str()], "nothing was made");
    both_refuse(&home, 64, &format!("queue {queue} exists with other arguments"));
}

#[tokio::test]
async fn a_check_finds_permissions_that_are_missing_and_makes_nothing() {
    let broker = broker::shared().await;
    let (all, user) = (Home::new(broker, NOWHERE, ""), format!("user-{}", broker::prefix()));
    broker.ctl(&["add_user", &user, &user]);
    let may = |configure: &str| broker.ctl(&["set_permissions", &user, configure, ".*", ".*"]);
    may(".*");
    let url = broker.url_for(&user);
    let home = Home::with_prefix(&url, &all.prefix, NOWHERE, "");
    home.ok(&["check"], "");
    // The missing parts could not be declared.
    may(&format!("^{}\\.lock$", all.prefix));
    both_refuse(&home, 69, "lacks a permission on exchange");
    assert_eq!(names(broker, &all.prefix), Vec::<String>::new(), "nothing was made");
    // The topology is complete, but its lock could not be taken.
    assert!(all.start().await.terminate().success());
    let before = names(broker, &all.prefix);
    may("^$");
    let home = home.with("[broker]\n", "[broker]\ndeclare = \"verify\"\n");
    both_refuse(&home, 69, &format!("{}.lock", all.prefix));
    may(&format!("^{}\\.lock$", all.prefix));
    home.ok(&["check"], "");
    assert_eq!(names(broker, &all.prefix), before, "nothing was made");
    // The topology belongs to an administrator, and is not declared.
    let prefix = broker::prefix();
    may(&format!("^{prefix}\\.lock$"));
    for declare in ["verify", "none"] {
        let home = Home::with_prefix(&url, &prefix, NOWHERE, "");
        let home = home.with("[broker]\n", &format!("[broker]\ndeclare = \"{declare}\"\n"));
        both_refuse(&home, 69, "does not exist");
    }
    broker.ctl(&["delete_user", &user]);
}

#[tokio::test]
async fn a_check_finds_a_token_socket_or_address_that_cannot_be_used() {
    let broker = broker::shared().await;
    let home = Home::new(broker, NOWHERE, "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    private(&home.path("token"), "short");
    let token = home.path("token").display().to_string();
    let home = home
        .with("[admin]\n", &format!("[admin]\nlisten = \"{address}\"\ntoken_file = \"{token}\"\n"));
    both_refuse(&home, 64, "has fewer than 16 characters");
    fs::write(home.path("token"), "a-token-of-the-tests").unwrap();
    both_refuse(&home, 69, &format!("the admin address {address} cannot be listened on"));
    let home = home.with(&address, "nowhere at all");
    both_refuse(&home, 69, "the admin address nowhere at all cannot be listened on");
    let home = home.with("listen = \"nowhere at all\"\n", "");
    home.ok(&["check"], "");
    // A start that failed at the admin address left its socket.
    let _ = fs::remove_file(home.path("admin.sock"));
    fs::write(home.path("admin.sock"), "somebody's own").unwrap();
    both_refuse(&home, 64, "admin.sock");
    assert_eq!(fs::read_to_string(home.path("admin.sock")).unwrap(), "somebody's own");
    fs::remove_file(home.path("admin.sock")).unwrap();
    // With a running daemon the check finds no problem.
    let daemon = home.start().await;
    let said = home.ok(&["check"], "");
    assert!(
        said.contains("the running daemon answers") && said.contains("the topology is there"),
        "{said}"
    );
    assert!(daemon.terminate().success());
}
