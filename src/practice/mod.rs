//! A practice Slack: a local workspace that speaks Slack's wire protocol strictly and remembers everything, with people in
//! it who can do what people do.
//!
//! It is the world of `vigie practice` and of every integration test. Apps connect to it unchanged: the Web API is at
//! [`Practice::api_url`], Socket Mode opens from there, and HTTP delivery is signed as Slack signs. What Slack would refuse
//! it refuses the same way and also writes down ([`Workspace::violations`]), so that a test can demand that there was none.
//!
//! Depends on nothing else of this crate, and listens on loopback only. Time is what the clock in [`PracticeOptions`] says;
//! only guards against waiting for ever use real time.
//!
//! - [`workspace`]: the state, the people, what there is to see
//! - `web_api`: the methods; `validate`: Block Kit; `methods`: arguments, scopes and tiers from Slack's method pages
//! - `courier`, `hub`, `envelope`, `socket`, `doors`: envelopes to the app, by WebSocket or signed HTTP
//! - `faults`, `limits`: trouble on order, and Slack's rate tiers

mod courier;
mod doors;
mod envelope;
mod faults;
mod hub;
mod limits;
mod manifest;
mod methods;
mod options;
pub mod page;
pub mod phones;
pub mod shop;
mod socket;
mod validate;
mod web_api;
mod wire;
pub mod workspace;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State as Shared, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use courier::Courier;
use wire::{Wire, WireListener};
use workspace::{AppIdentity, ChannelKind, Keys, Member, State, TeamIdentity};

pub use faults::{Faults, Trouble};
pub use manifest::{Manifest, Shortcut, SlashCommand};
pub use options::{Delivery, ExtraRoutes, NewChannel, NewPerson, NewUsergroup, Now, PracticeOptions};
pub use workspace::{Acted, CommandAck, NotPossible, Person, SubmitOutcome, Violation, WaitedInVain, Workspace};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(20);

/// Why a practice workspace did not open.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    #[error("the practice workspace listens on this machine only, and {0} is not a loopback address; use 127.0.0.1")]
    NotLoopback(SocketAddr),
    #[error(
        "the practice workspace delivers to this machine only, and {0} is not a loopback address; use http://127.0.0.1:…"
    )]
    ForeignDelivery(String),
    #[error("the practice workspace could not listen on {0}: {1}; is another one running?")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("the app manifest given to the practice workspace could not be read: {0}")]
    Manifest(#[source] Box<serde_saphyr::Error>),
}

/// A running practice workspace.
pub struct Practice {
    ws: Workspace,
    address: SocketAddr,
    api_url: String,
    routes: Router,
    plug: Mutex<CancellationToken>,
    closing: CancellationToken,
}

impl Practice {
    /// Opens a workspace.
    ///
    /// # Errors
    /// [`PracticeError`] when an address is not this machine's, the port is taken or the manifest cannot be read.
    pub async fn start(options: PracticeOptions) -> Result<Self, PracticeError> {
        if !options.listen.ip().is_loopback() {
            return Err(PracticeError::NotLoopback(options.listen));
        }
        check_delivery(&options.delivery)?;
        let manifest =
            Manifest::parse(&options.manifest_yaml).map_err(|error| PracticeError::Manifest(Box::new(error)))?;
        let listen = options.listen;
        let tcp = TcpListener::bind(listen).await.map_err(|error| PracticeError::Listen(listen, error))?;
        let address = tcp.local_addr().map_err(|error| PracticeError::Listen(listen, error))?;
        let closing = CancellationToken::new();
        let keys = Keys {
            bot_token: format!("xoxb-{}", uuid::Uuid::new_v4().simple()),
            app_token: format!("xapp-1-{}", uuid::Uuid::new_v4().simple()),
            signing_secret: uuid::Uuid::new_v4().simple().to_string(),
        };
        let (ws, results) = build(&options, manifest, address, keys);
        let mut routes = web_api::routes(ws.clone()).merge(socket_routes(ws.clone()));
        if let Some(extra) = options.extra {
            routes = routes.merge(extra(ws.clone()));
        }
        let plug = closing.child_token();
        spawn_server(tcp, routes.clone(), plug.clone());
        spawn_ticker(ws.clone(), closing.clone());
        spawn_results(Arc::clone(ws.courier()), results, closing.clone());
        let (api_url, plug) = (format!("http://{address}/api"), Mutex::new(plug));
        Ok(Self { ws, address, api_url, routes, plug, closing })
    }

    /// The base URL for Web API clients, without trailing slash.
    #[must_use]
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bot's token (`xoxb-…`), good for this workspace only.
    #[must_use]
    pub fn bot_token(&self) -> &str {
        &self.ws.keys().bot_token
    }

    /// The app-level token for Socket Mode (`xapp-…`).
    #[must_use]
    pub fn app_token(&self) -> &str {
        &self.ws.keys().app_token
    }

    /// The secret that HTTP deliveries are signed with.
    #[must_use]
    pub fn signing_secret(&self) -> &str {
        &self.ws.keys().signing_secret
    }

    /// The world in it.
    #[must_use]
    pub fn workspace(&self) -> &Workspace {
        &self.ws
    }

    /// Cuts every connection and refuses new ones until [`Practice::plug_in`]. The people in the workspace stay.
    pub fn unplug(&self) {
        self.ws.courier().abort_links();
        self.plug().cancel();
    }

    /// Listens again where it listened before.
    ///
    /// # Errors
    /// [`PracticeError::Listen`] when somebody else has taken the port meanwhile.
    pub async fn plug_in(&self) -> Result<(), PracticeError> {
        let tcp = TcpListener::bind(self.address).await.map_err(|error| PracticeError::Listen(self.address, error))?;
        let plug = self.closing.child_token();
        *self.plug() = plug.clone();
        spawn_server(tcp, self.routes.clone(), plug);
        Ok(())
    }

    // The token is replaced whole, so a panic elsewhere leaves nothing half done.
    fn plug(&self) -> MutexGuard<'_, CancellationToken> {
        self.plug.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes every connection and stops listening.
    pub fn shutdown(&self) {
        self.ws.courier().abort_links();
        self.closing.cancel();
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Deliveries go to this machine only.
fn check_delivery(delivery: &Delivery) -> Result<(), PracticeError> {
    let Delivery::Http { base_url } = delivery else {
        return Ok(());
    };
    let host = url::Url::parse(base_url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    let is_local = match host {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if is_local { Ok(()) } else { Err(PracticeError::ForeignDelivery(base_url.clone())) }
}

type Results = tokio::sync::mpsc::UnboundedReceiver<(envelope::Parcel, doors::DoorAnswer, Duration)>;

/// Makes the world that the options describe.
fn build(options: &PracticeOptions, manifest: Manifest, address: SocketAddr, keys: Keys) -> (Workspace, Results) {
    let name = [&manifest.features.bot_user.display_name, &manifest.display_information.name]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or_else(|| "vigie".to_owned(), |name| name.to_lowercase());
    let app = AppIdentity {
        app_id: "A0PRACTICE".to_owned(),
        bot_id: "B0PRACTICE".to_owned(),
        bot_user: "U0PRACTICEBOT".to_owned(),
        name: name.clone(),
    };
    let team = TeamIdentity {
        id: "T0PRACTICE".to_owned(),
        name: options.team_name.clone(),
        domain: options.team_domain.clone(),
    };
    let now = Arc::clone(&options.now);
    let (courier, results) =
        Courier::new(options.delivery.clone(), &keys.signing_secret, &app.app_id, Arc::clone(&now));
    let bot = Member { profile: NewPerson::new(&app.bot_user, &name, &name), deleted: false, is_bot: true, updated: 0 };
    let mut state = State::new(team, app, Arc::new(manifest), format!("http://{address}"), now());
    state.members.insert(bot.profile.id.clone(), bot);
    populate(&mut state, options);
    // What was there before the app came is no news to it.
    state.outgoing.clear();
    (Workspace::new(state, courier, now, keys, options.rate_limits), results)
}

fn populate(state: &mut State, options: &PracticeOptions) {
    for person in &options.people {
        let member = Member { profile: person.clone(), deleted: false, is_bot: false, updated: state.now_s() };
        state.members.insert(person.id.clone(), member);
    }
    let admin = state.admin();
    if !options.channels.iter().any(|channel| channel.name == "general") {
        state.insert_channel("C0GENERAL", "general", ChannelKind::Public, &admin);
        for person in &options.people {
            state.add_member("C0GENERAL", &person.id, None);
        }
    }
    for channel in &options.channels {
        let kind = if channel.is_private { ChannelKind::Private } else { ChannelKind::Public };
        state.insert_channel(&channel.id, &channel.name, kind, &admin);
        for member in &channel.members {
            state.add_member(&channel.id, member, None);
        }
        if channel.with_bot {
            let bot = state.app.bot_user.clone();
            state.add_member(&channel.id, &bot, Some(&admin));
        }
    }
    for group in &options.usergroups {
        state.insert_usergroup(group.clone());
    }
}

fn spawn_server(tcp: TcpListener, routes: Router, closing: CancellationToken) {
    let listener = WireListener { tcp, closing: closing.clone() };
    let service = routes.into_make_service_with_connect_info::<Wire>();
    tokio::spawn(async move {
        tokio::select! {
            served = axum::serve(listener, service).into_future() => {
                if let Err(error) = served {
                    tracing::error!(%error, "the practice workspace stopped serving");
                }
            }
            () = closing.cancelled() => {}
        }
    });
}

fn spawn_ticker(ws: Workspace, closing: CancellationToken) {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                _ = ticks.tick() => ws.tick(),
                () = closing.cancelled() => return,
            }
        }
    });
}

fn spawn_results(courier: Arc<Courier>, mut results: Results, closing: CancellationToken) {
    tokio::spawn(async move {
        loop {
            tokio::select! {
                result = results.recv() => match result {
                    Some((parcel, answer, elapsed)) => courier.door_answered(parcel, answer, elapsed),
                    None => return,
                },
                () = closing.cancelled() => return,
            }
        }
    });
}

#[derive(Deserialize)]
struct LinkQuery {
    ticket: String,
    #[serde(default)]
    debug_reconnects: bool,
}

fn socket_routes(ws: Workspace) -> Router {
    Router::new().route("/link/", get(link)).with_state(ws)
}

/// Socket Mode's WebSocket.
async fn link(Shared(ws): Shared<Workspace>, Query(query): Query<LinkQuery>, upgrade: WebSocketUpgrade) -> Response {
    let Some((id, from)) = ws.courier().open_link(&query.ticket, query.debug_reconnects) else {
        ws.with(|state| state.violate("bad_ticket", "socket", "the address is unknown, used or too old"));
        return StatusCode::UNAUTHORIZED.into_response();
    };
    upgrade.on_upgrade(move |socket| async move {
        let courier = Arc::clone(ws.courier());
        socket::run(socket, &courier, id, from).await;
        ws.touch();
    })
}
