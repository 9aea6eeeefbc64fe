//! The workspace that every bot is measured in: the practice team, some colleagues who only type commands, phones and
//! inboxes. Slack's rate limits are off until a group of figures turns them on.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use vigie::app::practice::{CONFIG, MANIFEST};
use vigie::clock::Clock;
use vigie::config;
use vigie::practice::phones::{Phones, PhonesOptions};
use vigie::practice::shop::Shop;
use vigie::practice::{NewChannel, NewPerson, Now, Person, Practice, PracticeOptions, Workspace};

/// Where commands are typed.
pub const GENERAL: &str = "C0GENERAL";
/// Colleagues beside the people of the emergency plan.
const COLLEAGUES: usize = 32;

/// Everything that is not the bot.
pub struct Team {
    pub practice: Practice,
    pub phones: Phones,
    /// What the practice configuration leaves open.
    pub variables: Vec<(&'static str, String)>,
    /// Kept for as long as the team is there.
    _shop: Shop,
}

impl Team {
    pub async fn open() -> Self {
        let clock = Clock::system();
        Self::at(Arc::new(move || clock.now().0)).await
    }

    /// The same by another clock.
    pub async fn at(now: Now) -> Self {
        let tell = Arc::clone(&now);
        let tell = move || tell();
        let phones = Phones::start(PhonesOptions::new(tell.clone())).await.expect("there are free ports");
        let shop = Shop::start(tell).await.expect("there is a free port");
        let variables = variables(&phones, &shop);
        let mut options = PracticeOptions::new(MANIFEST, now);
        options.people = [plan(&variables), colleagues()].concat();
        let everybody: Vec<String> = options.people.iter().map(|person| person.id.clone()).collect();
        let channel = |id: &str, name: &str| NewChannel {
            id: id.to_owned(),
            name: name.to_owned(),
            is_private: false,
            members: everybody.clone(),
            with_bot: true,
        };
        options.channels = vec![channel(GENERAL, "general"), channel("C0INCIDENTS", "incidents")];
        let practice = Practice::start(options).await.expect("there is a free port");
        Self { practice, phones, variables, _shop: shop }
    }

    pub fn ws(&self) -> &Workspace {
        self.practice.workspace()
    }

    /// The colleagues, each with hands of their own.
    pub fn colleagues(&self) -> Vec<Person> {
        colleagues().iter().map(|person| self.ws().person(&person.id)).collect()
    }

    /// How many answers the colleagues have been shown.
    pub fn answers(&self) -> usize {
        colleagues().iter().map(|person| self.ws().ephemerals(&person.id).len()).sum()
    }

    /// Waits until a command is acknowledged: the bot hears.
    pub async fn is_heard(&self, within: Duration) {
        let person = self.ws().person("U0LEAD");
        let mut again = tokio::time::interval(Duration::from_millis(5));
        let heard = async {
            while person.command(GENERAL, "/incident", "list").await.failure.is_some() {
                again.tick().await;
            }
        };
        tokio::time::timeout(within, heard).await.expect("the bot hears what is typed");
    }
}

fn variables(phones: &Phones, shop: &Shop) -> Vec<(&'static str, String)> {
    let account = phones.account();
    vec![
        ("SHOP_URL", shop.url().to_owned()),
        ("PHONES_URL", phones.http_url()),
        ("SMTP_PORT", phones.smtp_addr().port().to_string()),
        ("PHONES_ACCOUNT", account.sid.clone()),
        ("PHONES_TOKEN", account.token.expose_secret().to_owned()),
        ("PHONES_SECRET", "practice".repeat(4)),
    ]
}

/// The people of the practice team's emergency plan.
fn plan(variables: &[(&str, String)]) -> Vec<NewPerson> {
    let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    let config = config::parse("practice.yml", CONFIG, &lookup).unwrap_or_else(|faults| panic!("{faults}"));
    let contacts = config.rules.contacts.values();
    contacts
        .filter_map(|contact| Some(NewPerson::new(&contact.slack.as_ref()?.0, &contact.key, &contact.name)))
        .collect()
}

fn colleagues() -> Vec<NewPerson> {
    (1..=COLLEAGUES)
        .map(|number| {
            let handle = format!("colleague{number:02}");
            NewPerson::new(&format!("U0{}", handle.to_uppercase()), &handle, &handle)
        })
        .collect()
}
