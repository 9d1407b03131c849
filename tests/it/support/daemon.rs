//! The daemon as a child process, and its command line.
//!
//! Owns the configuration that the tests begin with.
//!
//! Not here: the broker and the emulator (`broker.rs`, `emulator.rs`).

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use roomcast::{
    domain::Platform,
    platforms::{main_host, webhook_path},
};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::UnixStream;

use super::{broker::Broker, until};

/// The files of a daemon: configuration, key, data, socket, log. They survive the process, so that
/// a test can kill and restart it.
pub struct Home {
    dir: TempDir,
    pub prefix: String,
}

/// A running daemon.
pub struct Daemon<'a> {
    pub home: &'a Home,
    child: Child,
}

impl Home {
    /// A home whose daemon uses this broker and sends all requests to `base_url`. `more` is
    /// appended to the configuration.
    pub fn new(broker: &Broker, base_url: &str, more: &str) -> Self {
        Self::with_prefix(&broker.url(), &super::broker::prefix(), base_url, more)
    }

    pub fn with_prefix(broker_url: &str, prefix: &str, base_url: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        // Counting takes dead letters out of their queue for a moment, where most tests expect
        // them. So it is disabled.
        let mut config = format!(
            "[broker]\nurl = \"{broker_url}\"\nprefix = \"{prefix}\"\nreconnect_min = \"100ms\"\n\
             reconnect_max = \"1s\"\n\
             dead_count_every = \"0s\"\n\
             [store]\ndir = \"{}\"\n[key]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n\
             [log]\nlevel = \"debug\"\n",
            path("data"),
            path("master.key"),
            path("admin.sock"),
        );
        // Most tests with faults are about single attempts, so no robot is held for them.
        if !more.contains("[breaker]") {
            config.push_str("[breaker]\nafter = 1000\n");
        }
        for platform in Platform::ALL {
            if !more.contains(&format!("[platforms.{platform}]")) {
                // All platforms share one host, and therefore the smallest of their rates.
                let rate =
                    if more.contains("rate_per_second = 0") { "rate_per_second = 0\n" } else { "" };
                config.push_str(&format!(
                    "[platforms.{platform}]\nbase_url = \"{base_url}\"\n{rate}"
                ));
            }
        }
        config.push_str(&more.replace("BASE_URL", base_url));
        private(&dir.path().join("roomcast.toml"), &config);
        let home = Self { dir, prefix: prefix.to_owned() };
        let made = home.cli(&["key", "init"], "");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        home
    }

    /// The same home with one piece of its configuration replaced.
    pub fn with(self, from: &str, to: &str) -> Self {
        let path = self.path("roomcast.toml");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{from} is in the configuration");
        fs::write(&path, config.replace(from, to)).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the daemon and waits until it has a session with the broker.
    pub async fn start(&self) -> Daemon<'_> {
        let daemon = self.spawn();
        daemon.ready().await;
        daemon
    }

    /// Starts the daemon.
    pub fn spawn(&self) -> Daemon<'_> {
        self.spawn_with(&[])
    }

    /// Starts the daemon with these environment variables.
    pub fn spawn_with(&self, variables: &[(&str, &str)]) -> Daemon<'_> {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command(&["run"]);
        command
            .envs(variables.iter().copied())
            .stderr(log)
            .stdout(Stdio::null())
            .stdin(Stdio::null());
        Daemon { home: self, child: command.spawn().unwrap() }
    }

    /// Starts the daemon so that writes beyond a size limit fail, as in a service, instead of
    /// killing the process.
    pub async fn start_ignoring_size_signal(&self) -> Daemon<'_> {
        self.start_after("trap '' XFSZ").await
    }

    /// Starts a daemon with this limit of open files, which it cannot raise.
    pub async fn start_with_open_files(&self, limit: u64) -> Daemon<'_> {
        self.start_after(&format!("ulimit -n {limit}")).await
    }

    /// Starts the daemon from a shell, after this command.
    pub async fn start_after(&self, preparation: &str) -> Daemon<'_> {
        let log = File::options().create(true).append(true).open(self.path("log")).unwrap();
        let config = self.path("roomcast.toml");
        let mut command = Command::new("sh");
        let script = format!("{preparation}; exec \"$0\" run --config \"$1\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_roomcast")]);
        command.arg(config).env_clear().stderr(log).stdout(Stdio::null()).stdin(Stdio::null());
        let daemon = Daemon { home: self, child: command.spawn().unwrap() };
        daemon.ready().await;
        daemon
    }

    /// Runs a command to its end.
    pub fn cli(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails early does not read its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Starts a command and leaves it running.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs a command that must fail with this exit code; returns its output.
    pub fn fails(&self, arguments: &[&str], input: &str, code: i32) -> String {
        let output = self.cli(arguments, input);
        let says = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {says}");
        says
    }

    /// Runs a command that must succeed; returns its output.
    pub fn ok(&self, arguments: &[&str], input: &str) -> String {
        let output = self.cli(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Subscribes a robot; returns the subscription's id.
    pub fn subscribe(&self, topic: &str, platform: &str, token: &str, more: &[&str]) -> String {
        let mut arguments = vec!["subscription", "add", "--topic", topic, "--platform", platform];
        arguments.extend(more);
        self.ok(&arguments, &endpoint(platform, token))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A command of this home, for a caller that starts it itself.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roomcast"));
        command.args(arguments).arg("--config").arg(self.path("roomcast.toml")).env_clear();
        command
    }

    pub fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), PermissionsExt::from_mode(mode)).unwrap();
    }
}

/// Writes a file that only its owner may read, because it contains a secret.
pub fn private(path: &Path, text: &str) {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A robot's real URL.
pub fn endpoint(platform: &str, token: &str) -> String {
    let platform = platform.parse().unwrap();
    format!("https://{}{}{token}", main_host(platform), webhook_path(platform))
}

impl Daemon<'_> {
    /// Waits until the daemon has a session with the broker.
    pub async fn ready(&self) {
        let socket = self.home.path("admin.sock");
        until("the daemon is ready", Duration::from_secs(60), || async {
            get(&socket, "/readyz").await.starts_with("ready")
        })
        .await;
    }

    pub async fn metric(&self, line: &str) -> Option<f64> {
        let text = get(&self.home.path("admin.sock"), "/metrics").await;
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
    }

    /// Kills the process like a power failure.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to stop, and waits for its end.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("the daemon's log:\n{}", self.home.log());
        }
    }
}

/// The body of an answer of the admin API; empty if there is none.
pub async fn get(socket: &Path, path: &str) -> String {
    call(socket, "GET", path, &Value::Null).await.1
}

/// Sends a request to the admin API; returns status and body, 0 and empty if there is no answer.
pub async fn call(socket: &Path, method: &str, path: &str, body: &Value) -> (u16, String) {
    use http_body_util::{BodyExt, Full};
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answered = async {
        let stream = UnixStream::connect(socket).await.ok()?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream))
                .await
                .ok()?;
        tokio::spawn(connection);
        let request = hyper::Request::builder().method(method).uri(path).header("host", "x");
        let request = request.header("content-type", "application/json");
        let request = request.body(Full::new(hyper::body::Bytes::from(body))).ok()?;
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8(bytes.to_vec()).ok()?))
    };
    answered.await.unwrap_or_default()
}
