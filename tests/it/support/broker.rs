//! A private RabbitMQ node as a child process, on free ports, with a data directory of its own.
//!
//! Owns the life of the node: start, pause, kill, restart.
//!
//! Not here: publishing and consuming (`publisher.rs`).

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{net::TcpStream, sync::OnceCell};

use super::{free_ports, until};

/// One node.
pub struct Broker {
    dir: TempDir,
    port: u16,
    /// The TLS port, if the node has one.
    tls: Option<u16>,
    child: Option<Child>,
}

static SHARED: OnceCell<Broker> = OnceCell::const_new();
static FOR_LARGE_BODIES: OnceCell<Broker> = OnceCell::const_new();
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// The node that the tests share; it ends with the test process. Each test has its own prefix.
pub async fn shared() -> &'static Broker {
    SHARED.get_or_init(Broker::start).await
}

/// The node of the tests with large bodies, whose traffic delays no other test's.
pub async fn for_large_bodies() -> &'static Broker {
    FOR_LARGE_BODIES.get_or_init(Broker::start).await
}

/// A prefix that no other test uses.
pub fn prefix() -> String {
    format!("t{}", PREFIXES.fetch_add(1, Ordering::Relaxed))
}

impl Broker {
    /// Starts a node and waits until it accepts AMQP connections.
    pub async fn start() -> Self {
        let mut broker =
            Self { dir: tempfile::tempdir().unwrap(), port: free_ports(), tls: None, child: None };
        broker.resume().await;
        broker
    }

    /// Starts a node that also accepts TLS with this certificate. Both arguments are PEM.
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        let (dir, tls) = (tempfile::tempdir().unwrap(), free_ports());
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::write(path("server.pem"), certificate).unwrap();
        fs::write(path("server.key"), key).unwrap();
        let more = format!(
            "listeners.ssl.1 = 127.0.0.1:{tls}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n\
             ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
            path("server.pem"),
            path("server.key"),
        );
        fs::write(path("more.conf"), more).unwrap();
        let mut broker = Self { dir, port: free_ports(), tls: Some(tls), child: None };
        broker.resume().await;
        broker
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// The URL for TLS clients that reach the node by this host name.
    pub fn tls_url(&self, host: &str) -> String {
        format!("amqps://guest:guest@{host}:{}/%2f", self.tls.unwrap())
    }

    /// Restarts the node with its data.
    pub async fn resume(&mut self) {
        assert!(
            Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists(),
            "RabbitMQ is missing: install Debian's package rabbitmq-server"
        );
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/private-broker.sh");
        let mut command = Command::new("bash");
        command
            .arg(script)
            .arg(self.dir.path())
            .arg(self.port.to_string())
            .arg("--with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0);
        self.child = Some(command.spawn().unwrap());
        let (port, log) = (self.port, self.dir.path().join("server.log"));
        until(
            &format!("the private broker starts; see {}", log.display()),
            Duration::from_secs(60),
            || async move { speaks_amqp(port).await },
        )
        .await;
    }

    /// Runs `rabbitmqctl` against this node; returns its output.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let node = format!("private-{}@localhost", self.port);
        let output = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl")
            .args(["-n", &node])
            .args(arguments)
            .env("HOME", self.dir.path())
            .env("ERL_EPMD_PORT", (self.port + 1).to_string())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Evaluates Erlang expressions in the node; returns the last value as Erlang writes it. A
    /// client that is a process of Erlang needs a hundred times the processor time of this one.
    pub fn eval(&self, expressions: &str) -> String {
        let mut command = Command::new("erl_call");
        command
            .args(["-sname", &format!("private-{}@localhost", self.port), "-r", "-e"])
            .env("HOME", self.dir.path())
            .env("ERL_EPMD_PORT", (self.port + 1).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child =
            command.spawn().expect("erl_call is missing: install Debian's package erlang-base");
        writeln!(child.stdin.take().unwrap(), "{expressions}").unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let value = said.strip_prefix("{ok, ").and_then(|rest| rest.strip_suffix('}'));
        let error = String::from_utf8_lossy(&output.stderr);
        value.unwrap_or_else(|| panic!("{expressions}: {said}{error}")).to_owned()
    }

    /// Takes the consumers of a quorum queue away, without a word to their channels.
    pub fn lose_consumers(&self, queue: &str) {
        self.eval(&format!(
            "{}, Leader = amqqueue:get_pid(Q), \
             {{ok, {{_, Consumers}}, _}} = \
             ra:local_query(Leader, fun rabbit_fifo:query_consumers/1), \
             [{{ok, _, _}} = \
             ra:process_command(Leader, rabbit_fifo:make_checkout(One, cancel, #{{}})) \
             || One <- maps:keys(Consumers)].",
            look_up(queue)
        ));
    }

    /// Suspends or resumes the process of a queue. A suspended queue accepts messages and confirms
    /// none, like a quorum queue without its majority.
    pub fn stand_still(&self, queue: &str, still: bool) {
        let what = if still { "suspend" } else { "resume" };
        self.eval(&format!("{}, ok = sys:{what}(amqqueue:get_pid(Q)).", look_up(queue)));
    }

    /// The names of all queues and exchanges.
    pub fn names(&self) -> Vec<String> {
        let told = self.eval(
            "Names = rabbit_amqqueue:list_names(<<\"/\">>) ++ rabbit_exchange:list_names(), \
             binary_to_list(iolist_to_binary([[element(4, Name), $\\s] || Name <- Names])).",
        );
        words(&told).map(str::to_owned).collect()
    }

    /// Closes the connection to which its client gave this name, once there is exactly one: an
    /// earlier one may still be closing.
    pub async fn close_connection(&self, name: &str) {
        let close = format!(
            "Named = fun (C) -> [{{_, Properties}}] = \
             rabbit_networking:connection_info(C, [client_properties]), \
             lists:member({{<<\"connection_name\">>, longstr, <<\"{name}\">>}}, Properties) end, \
             case [C || C <- rabbit_networking:connections(), (catch Named(C)) =:= true] of \
             [Found] -> rabbit_networking:close_connection(Found, <<\"a test\">>); \
             _ -> wait end."
        );
        until(&format!("{name} is closed"), Duration::from_secs(30), || async {
            self.eval(&close) == "ok"
        })
        .await;
    }

    /// The messages of a queue, ready and unacknowledged, as the queue itself reports them now.
    pub fn messages(&self, queue: &str) -> usize {
        let count = self.eval(&format!(
            "{}, case amqqueue:is_quorum(Q) of \
             true -> {{ok, {{_, Count}}, _}} = \
             ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), Count; \
             false -> [{{messages, Count}}] = rabbit_amqqueue:info(Q, [messages]), Count end.",
            look_up(queue)
        ));
        count.parse().unwrap()
    }

    /// The messages of each quorum queue with a prefix, as the queue itself reports them now:
    /// ready, unacknowledged, and expired ones that the target queue has not accepted yet. Queues
    /// of other tests are not asked: one that is being declared at the moment has no answer.
    pub fn held(&self, prefix: &str) -> BTreeMap<String, usize> {
        let told = self.eval(&format!(
            "Start = <<\"{prefix}.\">>, \
             Name = fun (Q) -> element(4, amqqueue:get_name(Q)) end, \
             Held = fun (Q) -> \
             {{ok, {{_, Count}}, _}} = \
             ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), \
             [Name(Q), $\\s, integer_to_binary(Count), $\\s] end, \
             binary_to_list(iolist_to_binary([Held(Q) || Q <- rabbit_amqqueue:list(<<\"/\">>), \
             amqqueue:is_quorum(Q), string:prefix(Name(Q), Start) =/= nomatch])).",
        ));
        let words: Vec<_> = words(&told).collect();
        let pairs = words.chunks_exact(2).map(|pair| {
            let name = pair[0].strip_prefix(prefix).and_then(|name| name.strip_prefix('.'));
            (name.unwrap().to_owned(), pair[1].parse().unwrap())
        });
        pairs.collect()
    }

    /// Whether the daemon of this prefix has finished: its messages are settled and acknowledged,
    /// the delay tiers are empty, and there are no dead letters.
    pub fn is_settled(&self, prefix: &str) -> bool {
        let held = self.held(prefix);
        let all = |of: &str| {
            held.iter()
                .filter(|(name, _)| name.starts_with(of))
                .map(|(_, count)| count)
                .sum::<usize>()
        };
        assert_eq!(all("dead."), 0, "nothing is given up: {held:?}");
        ["publish", "delivery.", "delay."].map(all) == [0; 3]
    }

    /// The URL for the client with this name, which is its password too.
    pub fn url_for(&self, user: &str) -> String {
        format!("amqp://{user}:{user}@127.0.0.1:{}/%2f", self.port)
    }

    /// Stops or continues the node's process. Its connections stay open without any traffic.
    pub fn fall_silent(&self, silent: bool) {
        use rustix::process::Signal;
        let signal = if silent { Signal::STOP } else { Signal::CONT };
        signal_group(self.child.as_ref().unwrap(), signal);
    }

    /// Kills the node like a power failure. Before, it persists the list of its queues. Otherwise
    /// it would create queues declared in the last moments as new and empty ones, and lose their
    /// confirmed messages (`docs/UPSTREAM.md`).
    pub fn kill(&mut self) {
        let names = "maps:get(directory_rev, maps:get(names, ra_system:fetch(quorum_queues)))";
        self.eval(&format!("ok = dets:sync({names})."));
        self.end();
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Kills the whole process group: the script, the node and the port mapper.
            signal_group(&child, rustix::process::Signal::KILL);
            child.wait().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// The words in a string of Erlang. An empty string is an empty list.
fn words(told: &str) -> impl Iterator<Item = &str> {
    told.trim_matches(['"', '[', ']']).split_whitespace()
}

/// Erlang's pattern that binds `Q` to a queue.
fn look_up(queue: &str) -> String {
    format!("{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>))")
}

fn signal_group(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let _ = rustix::process::kill_process_group(pid, signal);
}

async fn speaks_amqp(port: u16) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let mut first = [0; 1];
    let spoke = async {
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read_exact(&mut first).await
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), spoke).await, Ok(Ok(_)))
}
