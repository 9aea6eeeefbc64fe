//! A mail server on the wire for tests: a scripted listener that answers as told and remembers what it got.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// Offers AUTH and gives this reply to it.
    pub auth: Option<&'static str>,
    /// Offers STARTTLS.
    pub starttls: bool,
    /// The reply to MAIL, if not 250.
    pub mail: Option<&'static str>,
    /// Recipients that get this reply, by how their address begins.
    pub recipients: Vec<(&'static str, &'static str)>,
    /// The reply to the message, if not 250.
    pub message: Option<&'static str>,
    /// Closes the connection after this verb.
    pub drop_after: Option<&'static str>,
    /// Closes the connection once the whole message has come.
    pub drop_after_message: bool,
    /// Says nothing to the goodbye.
    pub silent_on_quit: bool,
    /// Takes the whole message and says nothing more.
    pub silent_after_message: bool,
}

/// What the server saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Each command line.
    pub commands: Vec<String>,
    /// Each whole message.
    pub messages: Vec<String>,
}

/// The mail server; it ends with the test's runtime.
#[derive(Debug)]
pub(crate) struct MailPeer {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl MailPeer {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = Session::new(stream, script.clone(), shared.clone());
                tokio::spawn(session.run());
            }
        });
        Self { port, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("no test thread panicked").clone()
    }
}

struct Session {
    lines: BufReader<OwnedReadHalf>,
    out: OwnedWriteHalf,
    script: Script,
    seen: Arc<Mutex<Seen>>,
}

impl Session {
    fn new(stream: TcpStream, script: Script, seen: Arc<Mutex<Seen>>) -> Self {
        let (lines, out) = stream.into_split();
        Self { lines: BufReader::new(lines), out, script, seen }
    }

    async fn run(mut self) {
        self.say("220 mail.example.com").await;
        while let Some(line) = self.line().await {
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            self.seen.lock().expect("no test thread panicked").commands.push(line.clone());
            if self.script.drop_after.is_some_and(|at| at == verb) {
                return;
            }
            let goes_on = match verb.as_str() {
                "DATA" => self.data().await,
                "QUIT" if self.script.silent_on_quit => self.line().await.is_some(),
                "QUIT" => false,
                _ => {
                    let reply = self.reply(&verb, &line);
                    self.say(&reply).await;
                    true
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    fn reply(&self, verb: &str, line: &str) -> String {
        let refused = |address: &&(&str, &str)| line.contains(&format!("<{}", address.0));
        match verb {
            "EHLO" => self.greeting(),
            "AUTH" => self.script.auth.unwrap_or("235 ok").to_owned(),
            "MAIL" => self.script.mail.unwrap_or("250 ok").to_owned(),
            "RCPT" => self.script.recipients.iter().find(refused).map_or("250 ok", |(_, reply)| reply).to_owned(),
            _ => "250 ok".to_owned(),
        }
    }

    fn greeting(&self) -> String {
        let mut lines = vec!["250-mail.example.com".to_owned()];
        if self.script.starttls {
            lines.push("250-STARTTLS".to_owned());
        }
        if self.script.auth.is_some() {
            lines.push("250-AUTH PLAIN LOGIN".to_owned());
        }
        lines.push("250 8BITMIME".to_owned());
        lines.join("\r\n")
    }

    /// Takes the message; false ends the session.
    async fn data(&mut self) -> bool {
        self.say("354 go on").await;
        let mut message = String::new();
        loop {
            match self.line().await {
                None => return false,
                Some(line) if line == "." => break,
                Some(line) => {
                    message.push_str(line.strip_prefix('.').unwrap_or(&line));
                    message.push('\n');
                }
            }
        }
        self.seen.lock().expect("no test thread panicked").messages.push(message);
        if self.script.drop_after_message {
            return false;
        }
        if self.script.silent_after_message {
            // Ends when the client gives up and closes.
            return self.line().await.is_some();
        }
        let reply = self.script.message.unwrap_or("250 queued as 4Q1");
        self.say(reply).await;
        true
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }

    async fn say(&mut self, text: &str) {
        // A client that has gone away ends the session at the next read.
        self.out.write_all(format!("{text}\r\n").as_bytes()).await.ok();
    }
}
