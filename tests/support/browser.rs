//! A headless Chromium, told what to do through its DevTools protocol.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::kafka::skipped;
use super::wait;

/// The names that it goes by.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One browser with one page; ended on drop.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    sent: u64,
    complaints: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Browser {
    /// A page that is still empty; nothing, said loudly, where there is no Chromium.
    pub fn start(test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let spawn = |program: &&str| spawn(program, dir.path());
        let Some(mut child) = PROGRAMS.iter().find_map(spawn) else {
            return skipped(test, "there is no Chromium: scripts/install chromium");
        };
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("DevTools listening on ")?.to_owned()))
            .expect("Chromium says where it listens");
        // Whoever is not read stops at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let host = address.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = tungstenite::client(address.as_str(), stream).unwrap();
        let mut browser = Self {
            child,
            socket,
            session: None,
            sent: 0,
            complaints: Vec::new(),
            _dir: dir,
        };
        let page = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &target)["sessionId"].clone();
        browser.session = Some(session.as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Sends a command and waits for its answer; what happens meanwhile is noted.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        match self.try_call(method, params) {
            Ok(result) => result,
            Err(error) => panic!("{method}: {error}"),
        }
    }

    fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == self.sent {
                return match &message["error"] {
                    Value::Null => Ok(message["result"].clone()),
                    error => Err(error.clone()),
                };
            }
            self.complaints.extend(complaint(&message));
        }
    }

    /// Opens an address and waits until it is there.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        let answer = self.call("Page.navigate", &json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        wait::until_true("the page is there", PATIENCE, || {
            self.html().contains("</footer>")
        });
    }

    /// A window of this size; a telephone's has more dots to the pixel.
    pub fn resize(&mut self, width: u32, height: u32, is_phone: bool) {
        let scale = if is_phone { 2 } else { 1 };
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the reader's system prefers: `light` or `dark`.
    pub fn prefer(&mut self, scheme: &str) {
        let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", &feature);
    }

    /// From now on pages run no scripts.
    pub fn disable_scripts(&mut self) {
        self.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    }

    /// The value of an expression.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The text of the element with this selector.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({selector:?})?.innerText ?? ''"));
        text.as_str().unwrap().to_owned()
    }

    /// The whole document as it stands, also without scripts.
    #[track_caller]
    pub fn html(&mut self) -> String {
        // Where another document has come in between, the node is gone.
        wait::until("a document that stays", PATIENCE, || {
            let root = self.try_call("DOM.getDocument", &json!({ "depth": 0 })).ok()?;
            let node = json!({ "nodeId": root["root"]["nodeId"] });
            let html = self.try_call("DOM.getOuterHTML", &node).ok()?;
            Some(html["outerHTML"].as_str()?.to_owned())
        })
    }

    /// Errors and warnings in the console so far, broken policies included.
    pub fn complaints(&mut self) -> &[String] {
        // An answer comes after all that was said before.
        self.call("Runtime.evaluate", &json!({ "expression": "0" }));
        &self.complaints
    }

    /// Saves what is to be seen.
    pub fn screenshot(&mut self, file: &Path) {
        let answer = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let data = answer["data"].as_str().unwrap();
        let png = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its helpers end with it when it is asked.
        let close = json!({ "id": 0, "method": "Browser.close" });
        let asked = self.socket.send(Message::text(close.to_string())).is_ok();
        let ended = asked && wait::poll(Duration::from_secs(5), || self.child.try_wait().ok()?).is_some();
        if !ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn spawn(program: &str, dir: &Path) -> Option<Child> {
    Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", dir.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()
}

/// An event that tells of an error or a warning.
fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    let is_bad = match event["method"].as_str()? {
        "Log.entryAdded" => ["error", "warning"].contains(&params["entry"]["level"].as_str()?),
        "Runtime.consoleAPICalled" => ["error", "warning", "assert"].contains(&params["type"].as_str()?),
        "Runtime.exceptionThrown" => true,
        _ => false,
    };
    is_bad.then(|| params.to_string())
}
