//! Calls to Slack's Web API: one client, one time limit, one budget, one kind of fault.
//!
//! Every method goes through `Slack::post` or `Slack::get`, which speak raw JSON: the typed answers of
//! slack-morphism fail whole on metadata or files that they do not model. Tokens never leave this file.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dashmap::DashMap;
use hyper_util::client::legacy::connect::HttpConnector;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use slack_morphism::prelude::{
    ClientResult, SlackApiToken, SlackClient, SlackClientApiCallContext, SlackClientHttpConnector,
    SlackClientHyperConnector, SlackHyperClient, SlackHyperHttpsConnector,
};
use tokio::sync::OnceCell;
use url::{Host, Url};

use super::budget::{Budget, Urgency};
use super::fault::{self, Credential, SlackFault};
use crate::clock::Clock;
use crate::incident::id::{ChannelId, UserId};
use crate::tls::{self, TlsFault};

/// Slack's own address.
pub const SLACK_API_URL: &str = "https://slack.com/api";
/// A call that takes longer is given up; slack-morphism itself waits for ever.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// A connection that takes longer is given up; then nothing was sent.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What this room needs to know from the configuration.
#[derive(Debug, Clone)]
pub struct SlackConfig {
    /// `SLACK_BOT_TOKEN`, `xoxb-…`.
    pub bot_token: SecretString,
    /// `SLACK_APP_TOKEN`, `xapp-…`: Socket Mode.
    pub app_token: Option<SecretString>,
    /// `SLACK_SIGNING_SECRET`: the HTTP door.
    pub signing_secret: Option<SecretString>,
    /// `SLACK_API_URL`, [`SLACK_API_URL`] unless Slack is elsewhere (GovSlack, the practice workspace).
    pub api_url: String,
}

/// A configuration that no client can be made from.
#[derive(Debug, thiserror::Error)]
pub enum SlackSetupFault {
    /// Not an address.
    #[error("SLACK_API_URL “{url}” is not an address: {why}")]
    NoUrl {
        /// What was given.
        url: String,
        /// Why not.
        why: url::ParseError,
    },
    /// Tokens would travel unencrypted.
    #[error(
        "SLACK_API_URL “{url}” would send the tokens unencrypted; use https (http is allowed to this machine only)"
    )]
    NotSafe {
        /// What was given.
        url: String,
    },
    /// No certificates to check Slack's against.
    #[error(transparent)]
    NoRoots(#[from] TlsFault),
}

/// Who Vigie is in this workspace, from `auth.test`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The bot user.
    pub user: UserId,
    /// The bot behind it, `B…`.
    pub bot: String,
    /// The workspace's id.
    pub team: String,
    /// The workspace's name.
    pub team_name: String,
    /// The workspace's address, `https://example.slack.com/`.
    pub url: String,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Slack(Arc<Inner>);

struct Inner {
    connector: SlackHyperHttpsConnector,
    base: String,
    client: RwLock<Arc<SlackHyperClient>>,
    bot_token: SecretString,
    app_token: Option<SecretString>,
    budget: Budget,
    clock: Clock,
    identity: OnceCell<Identity>,
    /// Why Slack takes the bot token no more; nothing while it does.
    refusal: RwLock<Option<String>>,
    memory: Memory,
}

/// What was seen of Slack and may be forgotten at any time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Direct-message conversations; an empty one is being opened, or could not be.
    pub dms: DashMap<UserId, Arc<OnceCell<ChannelId>>>,
    /// What channels were last decorated with, so that the same topic is not set twice.
    pub decorations: DashMap<ChannelId, super::outgoing::Decoration>,
    /// Post-mortems that Slack took but may not show yet: channel and file name, with the file's id.
    pub shared: DashMap<(ChannelId, String), String>,
    /// The canary's message, and when it was heard.
    pub canary: super::outgoing::Canary,
    /// Messages whose last attempt ended before anything was posted, with the attempt's number.
    pub untouched: DashMap<String, u32>,
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack").field("base", &self.0.base).finish_non_exhaustive()
    }
}

impl Slack {
    /// Makes the client; calls nobody yet.
    ///
    /// # Errors
    /// A [`SlackSetupFault`] for an address that is none or would leak the tokens, or without CA certificates.
    pub fn new(config: &SlackConfig, clock: Clock) -> Result<Self, SlackSetupFault> {
        let base = config.api_url.trim_end_matches('/').to_owned();
        let url = Url::parse(&base).map_err(|why| SlackSetupFault::NoUrl { url: base.clone(), why })?;
        if !is_safe(&url) {
            return Err(SlackSetupFault::NotSafe { url: base });
        }
        let connector = connector()?;
        let client = RwLock::new(Arc::new(client(connector.clone(), &base)));
        Ok(Self(Arc::new(Inner {
            connector,
            base,
            client,
            bot_token: config.bot_token.clone(),
            app_token: config.app_token.clone(),
            budget: Budget::default(),
            clock,
            identity: OnceCell::new(),
            refusal: RwLock::default(),
            memory: Memory::default(),
        })))
    }

    /// The scopes that the bot token has, which Slack names beside its answer to `auth.test`; `None` when it does not.
    ///
    /// `http` is a client of its own, because slack-morphism keeps the answers' headers to itself.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn granted_scopes(&self, http: &reqwest::Client) -> Result<Option<Vec<String>>, SlackFault> {
        const METHOD: &str = "auth.test";
        let call = http.post(format!("{}/{METHOD}", self.0.base)).bearer_auth(self.0.bot_token.expose_secret());
        let answer = call.timeout(CALL_LIMIT).send().await.map_err(|_| fault::lost(METHOD))?;
        let scopes = answer.headers().get("x-oauth-scopes").and_then(|scopes| scopes.to_str().ok());
        Ok(scopes.map(|scopes| scopes.split(',').map(|scope| scope.trim().to_owned()).collect()))
    }

    /// Whether Socket Mode would be let in (`apps.connections.open`).
    ///
    /// # Errors
    /// What Slack says, with the variable to correct.
    pub async fn check_socket(&self) -> Result<(), SlackFault> {
        self.open_socket_address().await.map(|_| ())
    }

    /// Asks Slack whether the tokens are good; for start-up.
    ///
    /// # Errors
    /// What Slack says, with the variable to correct.
    pub async fn check_tokens(&self) -> Result<Identity, SlackFault> {
        let identity = self.ask_identity().await?;
        if self.0.app_token.is_some() {
            self.open_socket_address().await?;
        }
        Ok(identity)
    }

    /// Asks Slack who Vigie is, however often it was asked before: shows that Slack answers and the token is good.
    ///
    /// # Errors
    /// What Slack says to `auth.test`.
    pub async fn ask_identity(&self) -> Result<Identity, SlackFault> {
        let answer = self.post("auth.test", Urgency::Person, "", &json!({})).await?;
        let identity = Identity {
            user: UserId(text(&answer, "/user_id")),
            bot: text(&answer, "/bot_id"),
            team: text(&answer, "/team_id"),
            team_name: text(&answer, "/team"),
            url: text(&answer, "/url"),
        };
        Ok(self.0.identity.get_or_init(|| async move { identity }).await.clone())
    }

    /// Why Slack takes the bot token no more, when it was heard to say so; nothing while it takes it.
    pub fn refusal(&self) -> Option<String> {
        self.0.refusal.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, asked anew if it was so.
    pub async fn refusal_still(&self) -> Option<String> {
        self.refusal()?;
        // What comes of it is noted as that of every call.
        let _ = self.ask_identity().await;
        self.refusal()
    }

    /// Notes what Slack says of the bot token.
    pub(super) fn note_refusal(&self, why: Option<String>) {
        *self.0.refusal.write().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Who Vigie is; asked until it is known.
    ///
    /// # Errors
    /// What Slack says to `auth.test`.
    pub async fn identity(&self) -> Result<Identity, SlackFault> {
        match self.known_identity() {
            Some(identity) => Ok(identity.clone()),
            None => self.ask_identity().await,
        }
    }

    /// Who Vigie is, if it was asked before.
    pub fn known_identity(&self) -> Option<&Identity> {
        self.0.identity.get()
    }

    /// A fresh address for one Socket Mode connection (`apps.connections.open`).
    pub(super) async fn open_socket_address(&self) -> Result<String, SlackFault> {
        const METHOD: &str = "apps.connections.open";
        let Some(secret) = &self.0.app_token else {
            return Err(SlackFault::permanent(
                "no_app_token",
                "Socket Mode needs SLACK_APP_TOKEN; set it, or SLACK_SIGNING_SECRET for the HTTP door.",
            ));
        };
        let token = token(secret);
        let client = self.client();
        let session = client.open_session(&token);
        let body = json!({});
        let call = session.http_session_api.http_post(METHOD, &body, None);
        let answer = self.run(METHOD, Credential::App, call).await.map_err(|(fault, _)| fault)?;
        answer.pointer("/url").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| fault::garbage(METHOD))
    }

    /// Calls a method with a JSON body. `channel` is what the budget counts by.
    pub(super) async fn post(
        &self,
        method: &'static str,
        urgency: Urgency,
        channel: &str,
        body: &Value,
    ) -> Result<Value, SlackFault> {
        let answer = self.post_in_full(method, urgency, channel, body).await;
        answer.map_err(|(fault, _)| fault)
    }

    /// Like [`Slack::post`]; a refusal comes with Slack's whole answer, for errors told person by person.
    pub(super) async fn post_in_full(
        &self,
        method: &'static str,
        urgency: Urgency,
        channel: &str,
        body: &Value,
    ) -> Result<Value, (SlackFault, Option<Value>)> {
        self.spend(method, urgency, channel).map_err(|fault| (fault, None))?;
        let token = token(&self.0.bot_token);
        let client = self.client();
        let session = client.open_session(&token);
        let call = session.http_session_api.http_post(method, body, None);
        let answer = self.run(method, Credential::Bot, call).await;
        self.heed(method, urgency, channel, answer)
    }

    /// Calls a method that takes no JSON (Slack's page “json_input_supported”: lists, `users.info`, replies, uploads).
    pub(super) async fn get(
        &self,
        method: &'static str,
        urgency: Urgency,
        query: &[(&'static str, String)],
    ) -> Result<Value, SlackFault> {
        self.spend(method, urgency, "")?;
        let token = token(&self.0.bot_token);
        let client = self.client();
        let session = client.open_session(&token);
        let params: Vec<(&str, Option<&String>)> = query.iter().map(|(key, value)| (*key, Some(value))).collect();
        let call = session.http_session_api.http_get(method, &params, None);
        let answer = self.run(method, Credential::Bot, call).await;
        self.heed(method, urgency, "", answer).map_err(|(fault, _)| fault)
    }

    /// Posts to an address that Slack gave for one answer. No token goes along.
    pub(super) async fn post_to_address(
        &self,
        name: &'static str,
        address: &str,
        body: &Value,
    ) -> Result<(), SlackFault> {
        let url = safe_address(name, address)?;
        let client = self.client();
        let span = tracing::Span::none();
        let call = client.http_api.connector.http_post_uri(url, body, no_token(&span));
        self.run_plain(name, call).await
    }

    /// Uploads bytes to an address that Slack gave for one file. No token goes along.
    pub(super) async fn upload(&self, address: &str, bytes: &[u8]) -> Result<(), SlackFault> {
        const NAME: &str = "the upload address";
        let url = safe_address(NAME, address)?;
        let client = self.client();
        let span = tracing::Span::none();
        let content_type = "application/octet-stream".to_owned();
        let call = client.http_api.connector.http_post_uri_binary(url, content_type, bytes, no_token(&span));
        self.run_plain(NAME, call).await
    }

    /// What was seen of Slack.
    pub(super) fn memory(&self) -> &Memory {
        &self.0.memory
    }

    fn spend(&self, method: &str, urgency: Urgency, channel: &str) -> Result<(), SlackFault> {
        let taken = self.0.budget.take(method, channel, urgency, self.0.clock.now());
        taken.map_err(|after| {
            let why = format!("Vigie waits before it calls {method} again, so that Slack need not refuse it.");
            SlackFault::retry("budget", Some(after), why)
        })
    }

    /// Remembers Slack's own word about the pace, and gives what it refused a turn of its own.
    fn heed(
        &self,
        method: &str,
        urgency: Urgency,
        channel: &str,
        mut answer: Result<Value, (SlackFault, Option<Value>)>,
    ) -> Result<Value, (SlackFault, Option<Value>)> {
        if let Err((SlackFault::Retry { after: Some(after), code, .. }, _)) = &mut answer
            && code == "ratelimited"
        {
            *after = self.0.budget.block(method, channel, urgency, *after, self.0.clock.now());
        }
        answer
    }

    async fn run(
        &self,
        method: &'static str,
        credential: Credential,
        call: impl Future<Output = ClientResult<Value>>,
    ) -> Result<Value, (SlackFault, Option<Value>)> {
        let outcome = match tokio::time::timeout(CALL_LIMIT, call).await {
            Err(_) => {
                self.renew();
                Err((fault::late(method, CALL_LIMIT), None))
            }
            Ok(Err(error)) => Err(fault::understand(method, credential, &error)),
            Ok(Ok(answer)) if answer.get("ok") == Some(&Value::Bool(true)) => Ok(answer),
            Ok(Ok(_)) => Err((fault::garbage(method), None)),
        };
        let word = match &outcome {
            Ok(_) => "ok",
            Err((SlackFault::Retry { .. }, _)) => "retry",
            Err((SlackFault::Permanent { .. }, _)) => "refused",
            Err((SlackFault::Unknown { .. }, _)) => "unknown",
        };
        metrics::counter!("vigie_slack_calls_total", "method" => method, "outcome" => word).increment(1);
        if credential == Credential::Bot {
            match &outcome {
                Ok(_) => self.note_refusal(None),
                Err((fault, _)) if fault.is_one_of(&fault::TOKEN_REFUSED) => {
                    self.note_refusal(Some(fault.why().to_owned()))
                }
                Err(_) => {}
            }
        }
        outcome
    }

    /// For addresses that answer in plain text (“ok”, “OK - 12”).
    async fn run_plain(&self, name: &str, call: impl Future<Output = ClientResult<Value>>) -> Result<(), SlackFault> {
        match tokio::time::timeout(CALL_LIMIT, call).await {
            Err(_) => {
                self.renew();
                Err(fault::late(name, CALL_LIMIT))
            }
            Ok(Err(error)) => Err(fault::understand(name, Credential::None, &error).0),
            Ok(Ok(_)) => Ok(()),
        }
    }

    fn client(&self) -> Arc<SlackHyperClient> {
        let guard = self.0.client.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&guard)
    }

    /// Leaves the present connections alone and makes new ones: a peer that died silently would otherwise be used,
    /// over HTTP/2, until the kernel gives it up a quarter of an hour later.
    fn renew(&self) {
        let fresh = Arc::new(client(self.0.connector.clone(), &self.0.base));
        *self.0.client.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

/// How every connection to Slack begins, of calls and of sockets: with whichever of the host's addresses answers, for one that
/// swallows everything shall not keep the others from being tried.
pub(super) fn dialer() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // Nagle's algorithm would hold an acknowledgement back behind an earlier small frame for tens of milliseconds.
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_LIMIT));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    tcp
}

fn connector() -> Result<SlackHyperHttpsConnector, TlsFault> {
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls::config()?)
        .https_or_http()
        .enable_http1()
        .enable_http2();
    Ok(builder.wrap_connector(dialer()))
}

fn client(connector: SlackHyperHttpsConnector, base: &str) -> SlackHyperClient {
    SlackClient::new(SlackClientHyperConnector::with_connector(connector).with_slack_api_url(base))
}

fn token(secret: &SecretString) -> SlackApiToken {
    SlackApiToken::new(secret.expose_secret().to_owned().into())
}

fn no_token(span: &tracing::Span) -> SlackClientApiCallContext<'_> {
    SlackClientApiCallContext { rate_control_params: None, token: None, tracing_span: span, is_sensitive_url: true }
}

/// Encrypted, or on this machine.
pub(super) fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" | "wss" => true,
        "http" | "ws" => match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        },
        _ => false,
    }
}

fn safe_address(name: &str, address: &str) -> Result<Url, SlackFault> {
    Url::parse(address).ok().filter(is_safe).ok_or_else(|| {
        let why = format!("{name} is not an https address, so nothing was sent there.");
        SlackFault::permanent("bad_address", why)
    })
}

/// The text at a JSON pointer; empty when there is none.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_travel_unencrypted_to_this_machine_only() {
        let safe = |url: &str| is_safe(&Url::parse(url).expect("a URL of the test"));
        for url in [
            "https://slack.com/api",
            "https://slack-gov.com/api",
            "http://127.0.0.1:9/api",
            "http://localhost/api",
            "ws://[::1]:1/",
        ] {
            assert!(safe(url), "{url}");
        }
        for url in ["http://slack.com/api", "ws://192.0.2.1/", "ftp://127.0.0.1/", "http://127.0.0.1.example.com/"] {
            assert!(!safe(url), "{url}");
        }
    }

    #[test]
    fn an_address_that_would_leak_the_tokens_is_refused_with_the_cure() {
        let config = SlackConfig {
            bot_token: "xoxb-not-to-be-seen".into(),
            app_token: None,
            signing_secret: None,
            api_url: "http://slack.example.com/api/".into(),
        };
        let refused = Slack::new(&config, Clock::system()).expect_err("plain http is refused");
        assert!(refused.to_string().contains("use https"), "{refused}");
        assert!(!format!("{config:?}{refused:?}").contains("not-to-be-seen"));
    }
}
