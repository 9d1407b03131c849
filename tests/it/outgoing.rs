//! The ways to the platforms: hosts that the operator allows, private networks, proxies, and
//! certificates.
//!
//! Owns the promise that a message arrives by the configured way, that no other way is used, and
//! that a fault of a proxy is told as one.
//!
//! Not here: which webhooks are accepted (`src/platforms/check_endpoint.rs`), and TLS to the broker
//! (`tls.rs`).

use std::{fs, time::Duration};

use crate::support::{
    broker::{self, Broker},
    certificates::Authority,
    daemon::{Home, private},
    emulator::Emulator,
    outgoing::{HTTP_CREDENTIALS, Proxy, SOCKS_CREDENTIALS, https},
    until,
};

const SOON: Duration = Duration::from_secs(30);
const TOKEN: &str = "lark-ways-001";

/// A platform of its own at `https://localhost:<port>`, as in a private deployment.
struct Deployment {
    emulator: Emulator,
    port: u16,
    authority: Authority,
}

impl Deployment {
    async fn start() -> Self {
        let (emulator, authority) = (Emulator::start(&[]).await, Authority::new("ours"));
        let port = https(&emulator, &authority.server("localhost")).await;
        Self { emulator, port, authority }
    }

    /// A home whose daemon allows the deployment for Lark, with these settings in addition. DIR
    /// stands for its folder.
    fn home(&self, broker: &Broker, lark: &str, send: &str) -> Home {
        // Attempts go on for as long as a test waits.
        let (port, more) = (self.port, vec!["\"1s\""; 60].join(", "));
        let home = Home::new(
            broker,
            &self.emulator.url(),
            &format!(
                "[platforms.lark]\nhosts = [\"localhost:{port}\"]\n{lark}\n\
                 [send]\nca_file = \"DIR/ca.pem\"\ndeadline = \"6s\"\n{send}\n\
                 [retry]\ndelays = [\"1s\", {more}]\n",
            ),
        );
        let dir = home.dir().display().to_string();
        let home = home.with("DIR", &dir);
        fs::write(home.path("ca.pem"), &self.authority.certificate).unwrap();
        private(&home.path("proxy.auth"), HTTP_CREDENTIALS);
        home
    }

    /// Subscribes a robot of the deployment.
    fn subscribe(&self, home: &Home) -> String {
        let webhook = format!("https://localhost:{}/open-apis/bot/v2/hook/{TOKEN}", self.port);
        let added = ["subscription", "add", "--topic", "ops", "--platform", "lark"];
        home.ok(&added, &webhook)
    }

    async fn arrives(&self, text: &str) {
        until("it arrives", SOON, || async { self.emulator.shows(TOKEN, text).await }).await;
    }
}

fn publish(home: &Home, text: &str) {
    home.ok(&["publish", "--topic", "ops", text], "");
}

/// The code and detail of the only dead letter.
async fn dead_letter(home: &Home) -> String {
    let listed = || home.ok(&["dead", "list", "--json"], "");
    until("it is a dead letter", SOON, || async { listed().contains("\"code\"") }).await;
    listed()
}

// TLS before the emulator goes on while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_deployment_is_called_only_in_a_network_that_is_allowed_for_it() {
    let (broker, deployment) = (broker::shared().await, Deployment::start().await);
    let home = deployment.home(broker, "", "").with("delays = [\"1s\", ", "delays = [] # ");
    deployment.subscribe(&home);
    let daemon = home.start().await;
    publish(&home, "guarded");
    let dead = dead_letter(&home).await;
    assert!(dead.contains("private address") && dead.contains("private_networks"), "{dead}");
    assert_eq!(deployment.emulator.received().await.len(), 0);
    assert!(daemon.terminate().success());

    let hosts = format!("hosts = [\"localhost:{}\"]\n", deployment.port);
    let networks = "private_networks = [\"127.0.0.0/8\", \"::1/128\"]\n";
    let home = home.with(&hosts, &format!("{hosts}{networks}"));
    let daemon = home.start().await;
    home.ok(&["dead", "redrive", "--all"], "");
    deployment.arrives("guarded").await;
    assert!(daemon.terminate().success());

    // The host is not allowed any more.
    let home = home.with(&hosts, "").with(networks, "");
    let refused = home.fails(
        &["subscription", "add", "--topic", "new", "--platform", "lark"],
        &format!("https://localhost:{}/open-apis/bot/v2/hook/{TOKEN}", deployment.port),
        64,
    );
    assert!(refused.contains("platforms.lark.hosts") && !refused.contains(TOKEN), "{refused}");
    let daemon = home.start().await;
    until("the start names it", SOON, || async {
        let log = home.log();
        log.contains("webhooks in the store are at a host that is not allowed")
            && log.contains(&format!("localhost:{}", deployment.port))
    })
    .await;
    publish(&home, "kept");
    let dead = dead_letter(&home).await;
    assert!(dead.contains("host_not_allowed"), "{dead}");
    assert!(daemon.terminate().success());

    let home = home.with("[platforms.lark]\n", &format!("[platforms.lark]\n{hosts}{networks}"));
    let daemon = home.start().await;
    home.ok(&["dead", "redrive", "--all"], "");
    deployment.arrives("kept").await;
    assert!(daemon.terminate().success());
}

// TLS before the emulator goes on while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn messages_pass_a_proxy_of_each_kind_and_check_shows_the_way() {
    let (broker, deployment) = (broker::shared().await, Deployment::start().await);
    let http = Proxy::http(Proxy::free_port(), deployment.port).await;
    let socks = Proxy::socks(Proxy::free_port()).await;
    let settings = include_str!("../field/forward-proxy/settings.toml");
    let networks = "private_networks = [\"127.0.0.0/8\", \"::1/128\"]\n";
    for (proxy, scheme, lark) in
        [(&http, "http", ""), (&socks, "socks5h", ""), (&socks, "socks5", networks)]
    {
        let address = format!("{scheme}://127.0.0.1:{}", proxy.port);
        let send = settings.replace("SCHEME", scheme).replace("PORT", &proxy.port.to_string());
        let home = deployment.home(broker, lark, &send);
        if scheme != "http" {
            fs::write(home.path("proxy.auth"), SOCKS_CREDENTIALS).unwrap();
        }
        deployment.subscribe(&home);
        let daemon = home.start().await;
        let text = format!("through {scheme}");
        publish(&home, &text);
        deployment.arrives(&text).await;
        assert!(daemon.terminate().success());
        let (log, target) = (proxy.log(), format!("localhost:{}", deployment.port));
        match scheme {
            "http" => assert!(log.contains(&format!("CONNECT {target}")), "{log}"),
            "socks5h" => assert!(log.contains(&format!("connected to {target}")), "{log}"),
            // The daemon has resolved the name.
            _ => assert!(
                log.contains(&format!("connected to 127.0.0.1:{}", deployment.port)),
                "{log}"
            ),
        }
        if scheme == "http" {
            let says = home.ok(&["check"], "");
            assert!(
                says.contains(&format!("proxy          ok through {address}: {target}")),
                "{says}"
            );
            // The proxy forbids all other ways, and says so in its words.
            assert!(says.contains("not reached: open.feishu.cn"), "{says}");
            assert!(says.contains("opens no way to the platform: HTTP/1.1 403"), "{says}");
            assert!(!says.contains("MARKER"), "{says}");
        }
        assert!(!home.log().contains("MARKER"), "{}", home.log());
    }
}

// TLS before the emulator goes on while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_one_platform_leads_to_its_gateway_too_and_exceptions_are_called_directly() {
    let (broker, deployment) = (broker::shared().await, Deployment::start().await);
    let socks = Proxy::socks(Proxy::free_port()).await;
    let address = format!("socks5h://127.0.0.1:{}", socks.port);
    let lark = format!(
        "base_url = \"https://localhost:{}\"\nproxy = \"{address}\"\n\
         proxy_auth_file = \"DIR/proxy.auth\"",
        deployment.port
    );
    let home = deployment.home(broker, &lark, "");
    fs::write(home.path("proxy.auth"), SOCKS_CREDENTIALS).unwrap();
    home.subscribe("ops", "lark", TOKEN, &[]);
    home.subscribe("ops", "wecom", "wecom-ways-1", &[]);
    let says = home.ok(&["check"], "");
    let target = format!("localhost:{}", deployment.port);
    assert!(says.contains(&format!("proxy          ok through {address}: {target}\n")), "{says}");
    let daemon = home.start().await;
    publish(&home, "to the gateway");
    deployment.arrives("to the gateway").await;
    until("the gateway without a proxy, too", SOON, || async {
        deployment.emulator.shows("wecom-ways-1", "to the gateway").await
    })
    .await;
    assert!(socks.log().contains(&target), "{}", socks.log());
    assert!(daemon.terminate().success());

    // No proxy listens there, and localhost is not called through it.
    let nowhere = format!("proxy = \"http://127.0.0.1:{}\"", Proxy::free_port());
    let networks = "private_networks = [\"127.0.0.0/8\", \"::1/128\"]";
    let home = deployment.home(broker, networks, &format!("{nowhere}\nno_proxy = [\"localhost\"]"));
    deployment.subscribe(&home);
    // The proxies of other programs are not used.
    let variable = format!("http://127.0.0.1:{}", Proxy::free_port());
    let daemon = home.spawn_with(&[("HTTPS_PROXY", &variable), ("ALL_PROXY", &variable)]);
    daemon.ready().await;
    publish(&home, "directly");
    deployment.arrives("directly").await;
    assert!(daemon.terminate().success());
}

// TLS before the emulator goes on while a command runs.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_proxy_is_away_deliveries_wait_and_the_log_names_the_proxy_and_not_the_platform() {
    let (broker, deployment) = (broker::shared().await, Deployment::start().await);
    let port = Proxy::free_port();
    let address = format!("http://127.0.0.1:{port}");
    let send = format!("proxy = \"{address}\"\nproxy_auth_file = \"DIR/proxy.auth\"\n");
    let home = deployment.home(broker, "", &send);
    deployment.subscribe(&home);
    let says = home.fails(&["check"], "", 69);
    assert!(says.contains("no platform is reached"), "{says}");
    assert!(says.contains(&format!("the proxy {address} cannot be reached")), "{says}");
    let daemon = home.start().await;
    publish(&home, "late");
    until("the log names the proxy", SOON, || async {
        let log = home.log();
        log.contains("WARN the proxy on the way to a platform cannot be used")
            && log.contains(&format!("the proxy {address} cannot be reached"))
    })
    .await;
    let _proxy = Proxy::http(port, deployment.port).await;
    deployment.arrives("late").await;
    assert!(daemon.terminate().success());

    fs::write(home.path("proxy.auth"), "roomcast:WRONGMARKER\n").unwrap();
    let says = home.fails(&["check"], "", 69);
    assert!(says.contains("HTTP/1.0 401 Unauthorized"), "{says}");
    assert!(!says.contains("MARKER"), "{says}");
}

#[tokio::test]
async fn a_wrong_file_of_credentials_or_certificates_is_named_before_anything_is_sent() {
    let (broker, deployment) = (broker::shared().await, Deployment::start().await);
    let send = "proxy = \"http://127.0.0.1:9\"\nproxy_auth_file = \"DIR/proxy.auth\"\n";
    let home = deployment.home(broker, "", send);
    let both = |says: &str| {
        for command in [&["check"][..], &["run"]] {
            let found = home.fails(command, "", 64);
            assert!(found.contains(says) && !found.contains("MARKER"), "{command:?}: {found}");
        }
    };
    home.set_mode("proxy.auth", 0o644);
    both("can be read by others (mode 0644): chmod 600");
    home.set_mode("proxy.auth", 0o600);
    fs::write(home.path("proxy.auth"), "PROXYMARKER").unwrap();
    both("are not user:password on one line");
    fs::write(home.path("proxy.auth"), HTTP_CREDENTIALS).unwrap();
    fs::write(home.path("ca.pem"), "rubbish").unwrap();
    both("there is no certificate in it");
    fs::remove_file(home.path("ca.pem")).unwrap();
    both("No such file");
}
