//! A real browser without a screen: Chromium, controlled by its own driver.
//!
//! Owns the driver's process and the waits for elements.
//!
//! Not here: requests to the console without a browser (`console.rs`).

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use fantoccini::{
    Client, ClientBuilder, Locator, elements::Element, wd::WebDriverCompatibleCommand,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::until;

const SOON: Duration = Duration::from_secs(30);

/// Keys, by their WebDriver codes.
pub mod key {
    pub const TAB: &str = "\u{e004}";
    pub const ENTER: &str = "\u{e007}";
    pub const ESCAPE: &str = "\u{e00c}";
}

pub struct Browser {
    pub page: Client,
    session: String,
    port: u16,
    _driver: Driver,
}

/// The driver's process. Dropping it also covers a browser that does not start.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// A port for a driver. By default the driver takes a free port of IPv6 and then needs the same of
/// IPv4; it ends if any connection uses that. So this port is outside the system's range for
/// connections, unique in this process, and free in both.
fn driver_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 8_000).unwrap();
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 8_000;
        let is_taken = |address: &str| {
            let bound = TcpListener::bind((address, port));
            bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
        };
        if !is_taken("127.0.0.1") && !is_taken("::1") {
            return port;
        }
    }
}

impl Browser {
    /// Starts a browser with a profile of its own.
    pub async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg(format!("--port={}", driver_port()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser's driver is missing: install Debian's package chromium-driver");
        let stdout = driver.stdout.take();
        let driver = Driver(driver);
        let mut lines = BufReader::new(stdout.unwrap()).lines();
        let mut said = Vec::new();
        let port = lines.find_map(|line| {
            said.push(line.unwrap());
            said.last()?.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
        });
        // The remaining output is read, so that the driver does not block on it.
        std::thread::spawn(move || lines.for_each(drop));
        let port: u16 = port.unwrap_or_else(|| panic!("the driver does not listen: {said:?}"));
        let wanted = json!({
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                "--hide-scrollbars", "--lang=en-GB", "--window-size=1280,900"
            ]},
            "goog:loggingPrefs": {"browser": "ALL"}
        });
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("the browser starts");
        let session = page.session_id().await.unwrap().unwrap();
        Self { page, session, port, _driver: driver }
    }

    /// Opens a URL.
    pub async fn open(&self, url: &str) {
        self.page.goto(url).await.unwrap();
    }

    /// The first visible element for a selector; waits for it.
    pub async fn find(&self, css: &str) -> Element {
        until(&format!("{css} is shown"), SOON, || async { self.shown(css).await }).await;
        self.page.find(Locator::Css(css)).await.unwrap()
    }

    /// Whether a selector finds a visible element.
    pub async fn shown(&self, css: &str) -> bool {
        match self.page.find(Locator::Css(css)).await {
            // The page may replace the element between the two calls.
            Ok(element) => element.is_displayed().await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// The button or link with this text inside the selected elements; waits for it.
    pub async fn named(&self, within: &str, text: &str) -> Element {
        let script = "return [...document.querySelectorAll(arguments[0])]\
            .flatMap(one => [...one.querySelectorAll('button, a')])\
            .find(one => one.textContent.trim() === arguments[1] && one.checkVisibility()) ?? null";
        let arguments = vec![json!(within), json!(text)];
        let there =
            || async { !self.page.execute(script, arguments.clone()).await.unwrap().is_null() };
        until(&format!("{text} is shown in {within}"), SOON, there).await;
        let found = self.page.execute(script, arguments.clone()).await.unwrap();
        Element::from_element_id(self.page.clone(), element_id(&found).into())
    }

    /// Clicks such a button or link.
    pub async fn click(&self, within: &str, text: &str) {
        self.named(within, text).await.click().await.unwrap();
    }

    /// The visible text of a selected element; empty if there is none.
    pub async fn text(&self, css: &str) -> String {
        match self.page.find(Locator::Css(css)).await {
            Ok(element) => element.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until a selected element contains a text.
    pub async fn says(&self, css: &str, text: &str) {
        let began = Instant::now();
        let mut said = self.text(css).await;
        while !said.contains(text) {
            assert!(
                began.elapsed() < SOON,
                "{css} says {said:?} and not {text:?}; {:?}",
                self.complaints().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            said = self.text(css).await;
        }
    }

    /// Waits until a selector finds this number of elements.
    pub async fn counts(&self, css: &str, count: usize) {
        until(&format!("there are {count} {css}"), SOON, || async {
            self.page.find_all(Locator::Css(css)).await.unwrap().len() == count
        })
        .await;
    }

    /// Evaluates a script, regardless of the page's policy.
    pub async fn evaluate(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap()
    }

    /// Sends keys to the focused element.
    pub async fn press(&self, keys: &str) {
        self.page.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Sends a command to the browser itself.
    pub async fn ask(&self, method: &'static str, parameters: Value) -> Value {
        let path = "goog/cdp/execute";
        self.page
            .issue_cmd(Raw { path, body: json!({"cmd": method, "params": parameters}) })
            .await
            .unwrap()
    }

    /// The browser's own complaints since the last call: refused scripts, failed requests, errors.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self
            .page
            .issue_cmd(Raw { path: "se/log", body: json!({"type": "browser"}) })
            .await
            .unwrap();
        log.as_array()
            .unwrap()
            .iter()
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits for complaints with these texts. The browser tells of a refusal later than it refuses.
    pub async fn complains(&self, texts: &[&str]) {
        let (began, mut all) = (Instant::now(), Vec::new());
        loop {
            all.extend(self.complaints().await);
            if texts.iter().all(|text| all.iter().any(|line: &String| line.contains(text))) {
                return;
            }
            assert!(began.elapsed() < SOON, "{texts:?} are not in {all:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sets the preferred colour scheme and the width of the window.
    pub async fn seen(&self, scheme: &str, width: u32) {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": feature})).await;
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Saves a picture of the whole page, light, dark and narrow, under `target/tmp/console/`.
    pub async fn pictures(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("console");
        std::fs::create_dir_all(&folder).unwrap();
        for (kind, scheme, width) in
            [("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "light", 390)]
        {
            self.seen(scheme, width).await;
            // The colours are final only after all animations.
            let still = "return document.getAnimations().length === 0";
            until("nothing moves", SOON, || async { self.evaluate(still).await == true }).await;
            let wide = self.evaluate("return document.documentElement.scrollWidth").await;
            assert!(wide.as_u64() <= Some(u64::from(width)), "{name} {kind} is {wide} wide");
            let shot = json!({"captureBeyondViewport": true, "format": "png"});
            let shot = self.ask("Page.captureScreenshot", shot).await;
            let picture = BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
            assert!(picture.len() > 4000, "{name} {kind} shows something");
            std::fs::write(folder.join(format!("{name}-{kind}.png")), picture).unwrap();
        }
        self.seen("light", 1280).await;
    }

    /// Controls without an accessible name.
    pub async fn nameless(&self) -> Vec<String> {
        let tree = self.ask("Accessibility.getFullAXTree", json!({})).await;
        let controls = [
            "button", "link", "textbox", "combobox", "checkbox", "table", "dialog", "image",
            "region", "search",
        ];
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let bare = nodes.filter(|node| node["ignored"] == false).filter(|node| {
            controls.contains(&node["role"]["value"].as_str().unwrap_or_default())
                && node["name"]["value"].as_str().unwrap_or_default().trim().is_empty()
        });
        bare.map(ToString::to_string).collect()
    }
}

fn element_id(found: &Value) -> String {
    found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
}

/// A driver command beyond the WebDriver standard.
#[derive(Debug)]
struct Raw {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Raw {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(self.body.to_string()))
    }
}

impl Drop for Browser {
    /// Ends the browser too, which the driver started as a separate process.
    fn drop(&mut self) {
        let quit = format!(
            "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
            self.session
        );
        let _ = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(SOON))?;
            stream.write_all(quit.as_bytes())?;
            stream.read(&mut [0; 64])
        });
    }
}
