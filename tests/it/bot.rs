//! The program, running as a process of its own: begun, asked, stopped in good order, frozen and killed.

use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Nothing that is waited for here takes longer, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program, running.
pub struct Bot {
    child: Child,
    log: watch::Receiver<Vec<String>>,
    /// Where it listens, once [`Bot::listens`] has waited for it.
    pub address: String,
    pub client: reqwest::Client,
}

impl Bot {
    /// Begins the program and waits for nothing.
    pub fn begin(mut command: Command) -> Self {
        command.env("VIGIE_LOG", "json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the program starts");
        let (grows, log) = watch::channel(Vec::new());
        let mut lines = BufReader::new(child.stderr.take().expect("its errors are heard")).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                grows.send_modify(|log: &mut Vec<String>| log.push(line));
            }
        });
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
        Self { child, log, address: String::new(), client }
    }

    /// Waits until it listens.
    pub async fn listens(&mut self) {
        let ready = self.says("on the look-out").await;
        self.address = format!("http://{}", ready["fields"]["listen"].as_str().expect("it says where it listens"));
    }

    /// Everything that it said so far.
    pub fn said(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Waits for a line of the log.
    pub async fn says(&self, what: &str) -> Value {
        let mut heard = self.log.clone();
        let said = heard.wait_for(|log| log.iter().any(|line| line.contains(what)));
        let log = match tokio::time::timeout(PATIENCE, said).await {
            Ok(Ok(log)) => log.clone(),
            _ => panic!("it never said “{what}”: {:#?}", self.log.borrow()),
        };
        let line = log.iter().find(|line| line.contains(what)).expect("it was there a moment ago");
        serde_json::from_str(line).expect("a log for machines is JSON")
    }

    pub async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.address)).send().await.expect("it answers");
        (answer.status(), answer.text().await.expect("a text"))
    }

    /// What `/readyz` says of each part.
    pub async fn readiness(&self) -> (StatusCode, Value) {
        let (status, body) = self.get("/readyz").await;
        (status, serde_json::from_str(&body).expect("/readyz answers in JSON"))
    }

    /// Asks `/readyz` until it answers like this.
    pub async fn becomes(&self, wanted: StatusCode) -> Value {
        let asked = Mutex::new(Value::Null);
        let asking = async {
            loop {
                let (status, body) = self.readiness().await;
                if status == wanted {
                    return body;
                }
                *asked.lock().expect("nobody panics with it") = body;
            }
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(body) => body,
            Err(_) => panic!("/readyz never answered {wanted}: {asked:?}"),
        }
    }

    /// Stops it as a service manager does. Gives everything it said.
    pub async fn stop(mut self) -> String {
        self.signal("TERM").await;
        let ended = self.ended().await;
        let log = self.log.borrow().join("\n");
        assert_eq!(ended.code(), Some(0), "{log}");
        log
    }

    /// Ends it as a power cut does: it can do nothing more from one instruction to the next.
    pub async fn kill(mut self) {
        self.child.start_kill().expect("it runs");
        self.ended().await;
    }

    /// Stops it in mid-air; it does not notice.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on where it was.
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap_or_else(|| panic!("it has ended: {:#?}", self.log.borrow())).to_string();
        let told = Command::new("kill").args([&format!("-{name}"), &id]).status().await.expect("there is kill");
        assert!(told.success());
    }

    async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {:#?}", self.log.borrow())).expect("it is ours")
    }
}
