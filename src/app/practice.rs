//! `vigie practice`: the real bot in a local, Slack-compatible workspace, with phones, inboxes and a shop to break.
//!
//! Nothing here is a shortcut: the bot is put together exactly as for a real workspace and speaks Slack's wire protocol
//! to this one. Only loopback is used.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;
use tokio_util::sync::CancellationToken;

use super::{StartFault, Vigie};
use crate::clock::Clock;
use crate::config;
use crate::incident::people::Contact;
use crate::incident::time::Millis;
use crate::practice::page::{Advance, LocalWorld, PageRoom, router};
use crate::practice::phones::{Phones, PhonesOptions};
use crate::practice::shop::Shop;
use crate::practice::{NewChannel, NewPerson, NewUsergroup, Practice, PracticeOptions, Workspace};
use crate::slack::SlackConfig;

/// The app's manifest, the same that is given to Slack.
pub const MANIFEST: &str = include_str!("../../manifest.yml");
/// The configuration of the practice team, with its file's name.
const ENGLISH: (&str, &str) = ("practice.yml", include_str!("../../examples/practice.yml"));
/// The same in French.
const FRENCH: (&str, &str) = ("practice.fr.yml", include_str!("../../examples/practice.fr.yml"));
/// The configuration of the practice team.
pub const CONFIG: &str = ENGLISH.1;
/// Where incidents are announced.
const INCIDENTS: &str = "C0INCIDENTS";
/// Where everybody is.
const GENERAL: &str = "C0GENERAL";

/// How a practice is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the page and the workspace are served; loopback only.
    pub listen: SocketAddr,
    /// The workspace's language.
    pub locale: String,
    /// The time that everything follows.
    pub clock: Clock,
    /// Slack's rate limits are enforced.
    pub rate_limits: bool,
    /// The database's address; a SQLite file in a folder that goes away again when absent.
    pub database: Option<String>,
    /// The team's configuration; [`CONFIG`] when absent.
    pub config: Option<String>,
    /// What it leaves open besides what the practice fills in itself; the same name here wins.
    pub variables: BTreeMap<String, String>,
}

/// A practice that is set up: the workspace is open, the bot is put together and not yet running.
pub struct Setup {
    /// The workspace.
    pub practice: Practice,
    /// The phones and inboxes.
    pub phones: Phones,
    /// The shop.
    pub shop: Shop,
    /// The bot.
    pub vigie: Vigie,
    seat: Seat,
    hands: Hands,
    folder: Option<PathBuf>,
}

/// What a bot of this practice is put together from.
struct Seat {
    variables: BTreeMap<String, String>,
    locale: String,
    config: Option<String>,
    slack: SlackConfig,
    database: String,
    clock: Clock,
}

impl Seat {
    async fn assemble(&self) -> Result<Vigie, StartFault> {
        let config = configured(&self.variables, &self.locale, self.config.as_deref())?;
        Vigie::assemble(config, &self.slack, &self.database, self.clock.clone()).await
    }
}

/// The page moves the bot's clock, and the bot is made after the page, and anew after each restart.
type Hands = Arc<RwLock<Option<Vigie>>>;

fn hand_over(hands: &Hands, vigie: &Vigie) {
    *hands.write().unwrap_or_else(PoisonError::into_inner) = Some(vigie.clone());
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.practice.shutdown();
        if let Some(folder) = &self.folder
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::warn!(%error, folder = %folder.display(), "the practice's folder could not be removed");
        }
    }
}

impl Setup {
    /// The address of the page.
    pub fn page(&self) -> String {
        format!("http://{}/", self.practice.address())
    }

    /// Puts a new bot together on the same database and in the same workspace, after the one before has ended, however
    /// it ended. Nothing runs yet.
    ///
    /// # Errors
    /// A [`StartFault`], as at the first start.
    pub async fn restart(&mut self) -> Result<(), StartFault> {
        self.vigie.store.close().await;
        self.vigie = self.seat.assemble().await?;
        hand_over(&self.hands, &self.vigie);
        Ok(())
    }

    /// Another bot for the same team, which shares the database with the first: not on SQLite.
    ///
    /// # Errors
    /// A [`StartFault`].
    pub async fn another(&self) -> Result<Vigie, StartFault> {
        self.seat.assemble().await
    }

    /// The people, channels and messages.
    pub fn workspace(&self) -> &Workspace {
        self.practice.workspace()
    }
}

/// Sets a practice up.
///
/// # Errors
/// A [`StartFault`] that says which part did not start.
pub async fn set_up(options: Options) -> Result<Setup, StartFault> {
    super::install_crypto();
    let fault = |fault: &dyn std::fmt::Display| StartFault::Practice(fault.to_string());
    let clock = options.clock.clone();
    let now = move || clock.now().0;
    let phones = Phones::start(PhonesOptions::new(now.clone())).await.map_err(|error| fault(&error))?;
    let shop = Shop::start(now.clone()).await.map_err(|error| fault(&error))?;
    let variables = variables(&options, &phones, &shop);
    let config = configured(&variables, &options.locale, options.config.as_deref())?;
    let contacts: Vec<Contact> = config.rules.contacts.values().cloned().collect();

    let hands = Hands::default();
    let mut workspace = PracticeOptions::new(MANIFEST, Arc::new(now));
    workspace.listen = options.listen;
    workspace.team_name = "Practice".to_owned();
    workspace.rate_limits = options.rate_limits;
    workspace.people = people(&contacts, &options.locale);
    workspace.channels = channels(&contacts);
    workspace.usergroups = vec![NewUsergroup {
        id: "S0LEADS".to_owned(),
        handle: "leads".to_owned(),
        name: "Leads".to_owned(),
        members: vec!["U0LEAD".to_owned()],
    }];
    workspace.extra = Some(page(&contacts, &options.locale, &phones, &shop, Arc::clone(&hands)));
    let practice = Practice::start(workspace).await.map_err(|error| fault(&error))?;
    let slack = SlackConfig {
        bot_token: practice.bot_token().to_owned().into(),
        app_token: Some(practice.app_token().to_owned().into()),
        signing_secret: None,
        api_url: practice.api_url().to_owned(),
    };
    let (database, folder) = database(options.database)?;
    let seat =
        Seat { variables, locale: options.locale, config: options.config, slack, database, clock: options.clock };
    let vigie = seat.assemble().await?;
    hand_over(&hands, &vigie);
    Ok(Setup { practice, phones, shop, vigie, seat, hands, folder })
}

/// The configuration of the practice team in its language, with what it leaves open.
fn configured(
    variables: &BTreeMap<String, String>,
    locale: &str,
    own: Option<&str>,
) -> Result<config::Config, StartFault> {
    let (name, shipped) = if locale == "fr" { FRENCH } else { ENGLISH };
    let text = own.unwrap_or(shipped);
    let config = config::parse(name, text, &|name| variables.get(name).cloned());
    config.map_err(|faults| StartFault::Practice(faults.to_string()))
}

/// Runs until `stop`; `ready` is called once the bot hears what is typed.
///
/// # Errors
/// A [`StartFault`] when it cannot start.
pub async fn practice(
    options: Options,
    ready: impl FnOnce(&Setup) + Send,
    stop: CancellationToken,
) -> Result<(), StartFault> {
    let setup = set_up(options).await?;
    // The page is told only when the bot hears: a command typed before would be lost on the way.
    let connected = async {
        let hears = setup.workspace().wait_for(|workspace| (workspace.open_sockets() > 0).then_some(())).await;
        if let Err(vain) = hears {
            tracing::warn!(%vain, "the bot is not connected yet");
        }
        ready(&setup);
        std::future::pending().await
    };
    tokio::select! {
        () = setup.vigie.run(stop) => {}
        () = connected => {}
    }
    setup.vigie.store.close().await;
    Ok(())
}

/// What `examples/practice.yml` leaves open, and the ways to page of every example.
fn variables(options: &Options, phones: &Phones, shop: &Shop) -> BTreeMap<String, String> {
    let account = phones.account();
    let own = [
        ("PRACTICE_LOCALE", options.locale.clone()),
        ("SHOP_URL", shop.url().to_owned()),
        ("PHONES_URL", phones.http_url()),
        ("SMTP_PORT", phones.smtp_addr().port().to_string()),
        ("PHONES_ACCOUNT", account.sid.clone()),
        ("PHONES_TOKEN", account.token.expose_secret().to_owned()),
        ("PHONES_SECRET", uuid::Uuid::new_v4().simple().to_string()),
        ("SMTP_HOST", phones.smtp_addr().ip().to_string()),
        ("SMTP_SECURITY", "plain".to_owned()),
        ("TWILIO_API", phones.http_url()),
        ("TWILIO_ACCOUNT", account.sid.clone()),
        ("TWILIO_TOKEN", account.token.expose_secret().to_owned()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    own.chain(options.variables.clone()).collect()
}

/// The people of the emergency plan, as members of the workspace.
fn people(contacts: &[Contact], locale: &str) -> Vec<NewPerson> {
    let region = if locale == "fr" { "fr-FR" } else { "en-US" };
    let member = |contact: &Contact| {
        let mut person = NewPerson::new(contact.slack.as_ref()?.0.as_str(), &contact.key, &contact.name);
        person.title = contact.name.clone();
        person.locale = region.to_owned();
        person.tz = contact.zone.clone().unwrap_or_else(|| "Europe/Paris".to_owned());
        if let Some(email) = &contact.email {
            person.email.clone_from(email);
        }
        Some(person)
    };
    contacts.iter().filter_map(member).collect()
}

fn channels(contacts: &[Contact]) -> Vec<NewChannel> {
    let everybody: Vec<String> = contacts.iter().filter_map(|contact| contact.slack.clone()).map(|id| id.0).collect();
    let channel = |id: &str, name: &str| NewChannel {
        id: id.to_owned(),
        name: name.to_owned(),
        is_private: false,
        members: everybody.clone(),
        with_bot: true,
    };
    vec![channel(GENERAL, "general"), channel(INCIDENTS, "incidents")]
}

/// The page, over the workspace that is about to open.
fn page(
    contacts: &[Contact],
    locale: &str,
    phones: &Phones,
    shop: &Shop,
    hands: Hands,
) -> crate::practice::ExtraRoutes {
    let numbers: BTreeMap<String, String> = contacts
        .iter()
        .filter_map(|contact| Some((contact.slack.as_ref()?.0.clone(), contact.phone.clone()?)))
        .collect();
    let advance: Advance = Arc::new(move |milliseconds| {
        let vigie = hands.read().unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            let vigie = vigie.ok_or("The bot is not ready yet.")?;
            vigie.advance(Millis(milliseconds)).await.map_err(|fault| fault.to_string())
        }
        .boxed()
    });
    let oncall = contacts.iter().find(|contact| contact.key == "oncall").and_then(|contact| contact.slack.clone());
    let oncall = oncall.map(|user| user.0);
    let (phones, shop, locale) = (phones.clone(), shop.clone(), locale.to_owned());
    Box::new(move |workspace| {
        let world = LocalWorld::new(workspace, "Practice", &locale, numbers, Some(advance)).opening_for(oncall);
        router(PageRoom::new(Arc::new(world), phones, shop))
    })
}

/// The database's address, and the folder to remove afterwards.
fn database(given: Option<String>) -> Result<(String, Option<PathBuf>), StartFault> {
    if let Some(url) = given {
        return Ok((url, None));
    }
    let folder = std::env::temp_dir().join(format!("vigie-practice-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&folder)
        .map_err(|error| StartFault::Practice(format!("{} could not be made: {error}", folder.display())))?;
    Ok((format!("sqlite://{}", folder.join("vigie.db").display()), Some(folder)))
}
