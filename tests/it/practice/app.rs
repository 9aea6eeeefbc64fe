//! The smallest app that can talk to a practice workspace: bare HTTP and a bare WebSocket, so that what is tested is the
//! workspace and not a library.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vigie::practice::{NewChannel, NewPerson, NewUsergroup, Practice, PracticeOptions};

/// A clock that moves by hand.
#[derive(Clone)]
pub struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1_790_000_000_000)))
    }

    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn reader(&self) -> vigie::practice::Now {
        let time = Arc::clone(&self.0);
        Arc::new(move || time.load(Ordering::SeqCst))
    }
}

/// The clock on the wall, for peers that look at it themselves.
#[expect(clippy::disallowed_methods, reason = "the peer looks at the clock on the wall")]
pub fn real_clock() -> vigie::practice::Now {
    Arc::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
        i64::try_from(now.as_millis()).expect("the clock is before the year 292278994")
    })
}

pub const MANIFEST: &str = r"
display_information: {name: Vigie}
features:
  app_home: {home_tab_enabled: true}
  bot_user: {display_name: vigie}
  slash_commands:
    - {command: /incident, should_escape: true}
  shortcuts:
    - {name: Declare, type: global, callback_id: declare}
    - {name: Add, type: message, callback_id: add_to_timeline}
oauth_config:
  scopes:
    bot: [commands, 'chat:write', 'channels:manage', 'channels:read', 'channels:history', 'channels:join',
          'groups:write', 'groups:read', 'groups:history', 'im:write', 'im:read', 'im:history', 'pins:write', 'pins:read',
          'reactions:read', 'reactions:write', 'bookmarks:read', 'bookmarks:write', 'files:write', 'files:read',
          'canvases:write', 'usergroups:read', 'users:read', 'users:read.email', 'app_mentions:read', 'team:read']
settings:
  interactivity: {is_enabled: true}
  event_subscriptions:
    bot_events: [message.channels, message.groups, message.im, reaction_added, reaction_removed, app_home_opened,
                 member_joined_channel, member_left_channel, channel_archive, channel_unarchive, channel_rename,
                 channel_deleted, pin_added, app_mention, subteam_updated]
";

/// A workspace with a lead, a commander and somebody new.
pub fn options(clock: &HandClock) -> PracticeOptions {
    let mut options = PracticeOptions::new(MANIFEST, clock.reader());
    let mut lead = NewPerson::new("U0LEAD", "lead", "Lead Example");
    lead.is_admin = true;
    options.people = vec![
        lead,
        NewPerson::new("U0CMD", "commander", "Commander Example"),
        NewPerson::new("U0NEW", "newcomer", "Newcomer Example"),
    ];
    options.channels = vec![NewChannel {
        id: "C0OPS".into(),
        name: "ops".into(),
        is_private: false,
        members: vec!["U0LEAD".into(), "U0CMD".into()],
        with_bot: true,
    }];
    options.usergroups = vec![NewUsergroup {
        id: "S0LEADS".into(),
        handle: "leads".into(),
        name: "Leads".into(),
        members: vec!["U0LEAD".into()],
    }];
    options
}

pub async fn open() -> (Practice, HandClock) {
    let clock = HandClock::new();
    let practice = Practice::start(options(&clock)).await.expect("the workspace opens");
    (practice, clock)
}

pub fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// Calls a method with a JSON body and the bot's token.
pub async fn call(practice: &Practice, method: &str, args: Value) -> Value {
    let request =
        client().post(format!("{}/{method}", practice.api_url())).bearer_auth(practice.bot_token()).json(&args);
    request.send().await.expect("an answer").json().await.expect("JSON")
}

/// Calls a method with a form.
pub async fn call_form(practice: &Practice, method: &str, args: &[(&str, &str)]) -> Value {
    let request =
        client().post(format!("{}/{method}", practice.api_url())).bearer_auth(practice.bot_token()).form(args);
    request.send().await.expect("an answer").json().await.expect("JSON")
}

/// As [`call`], and the method must have said yes.
pub async fn ok(practice: &Practice, method: &str, args: Value) -> Value {
    let answer = call(practice, method, args).await;
    assert_eq!(answer["ok"], true, "{method}: {answer}");
    answer
}

/// One Socket Mode connection.
pub struct Socket {
    ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    pub async fn open(practice: &Practice) -> Self {
        let url = format!("{}/apps.connections.open", practice.api_url());
        let answer: Value = client()
            .post(url)
            .bearer_auth(practice.app_token())
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let url = answer["url"].as_str().expect("a url");
        let (ws, _) = tokio_tungstenite::connect_async(url).await.expect("a socket");
        let mut socket = Self { ws };
        let hello = socket.next().await.expect("a frame");
        assert_eq!(hello["type"], "hello");
        socket
    }

    /// The next text frame; none when the socket has ended.
    pub async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(Duration::from_secs(10), self.read()).await.expect("a frame comes within 10 s")
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            match self.ws.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("JSON")),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The next envelope of this type; others are acknowledged on the way.
    pub async fn envelope(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.expect("the socket is open");
            if frame["type"] == kind {
                return frame;
            }
            if frame["envelope_id"].is_string() {
                self.ack(&frame, None).await;
            }
        }
    }

    /// The next event of this type.
    pub async fn event(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.envelope("events_api").await;
            self.ack(&frame, None).await;
            if frame["payload"]["event"]["type"] == kind {
                return frame["payload"]["event"].clone();
            }
        }
    }

    pub async fn ack(&mut self, envelope: &Value, payload: Option<Value>) {
        let mut ack = json!({"envelope_id": envelope["envelope_id"]});
        if let Some(payload) = payload {
            ack["payload"] = payload;
        }
        self.ws.send(Message::Text(ack.to_string().into())).await.expect("sent");
    }
}

pub fn button(action: &str, text: &str, value: &str) -> Value {
    json!([{"type": "actions", "block_id": "b", "elements": [
        {"type": "button", "action_id": action, "value": value, "text": {"type": "plain_text", "text": text}}]}])
}

pub fn modal() -> Value {
    json!({
        "type": "modal",
        "callback_id": "declare",
        "title": {"type": "plain_text", "text": "Declare"},
        "submit": {"type": "plain_text", "text": "Declare"},
        "blocks": [
            {"type": "input", "block_id": "title", "label": {"type": "plain_text", "text": "Title"},
             "element": {"type": "plain_text_input", "action_id": "text"}},
            {"type": "input", "block_id": "severity", "label": {"type": "plain_text", "text": "Severity"},
             "element": {"type": "static_select", "action_id": "pick", "options": [
                {"text": {"type": "plain_text", "text": "SEV1"}, "value": "sev1"},
                {"text": {"type": "plain_text", "text": "SEV2"}, "value": "sev2"}]}},
        ],
    })
}
