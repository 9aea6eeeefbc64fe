//! Where the faults happen: the practice workspace, the phones and the shop in this process, `vigie serve` beside it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::Path;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::process::Command;
use vigie::app::practice::{CONFIG, Options, Setup, set_up};
use vigie::clock::Clock;
use vigie::practice::Workspace;
use vigie::store::Store;

use crate::bot::Bot;

/// Nobody waits a quarter of an hour in a test: each level of the ladder is silent for so long.
const CLIMB: (&str, &str) = ("wait: 15m", "wait: 4s");

/// Everything but the bot.
pub struct Town {
    pub setup: Setup,
    /// What is committed, seen from outside.
    pub store: Store,
    folder: TempDir,
    database: String,
}

impl Town {
    /// Opens it on this database.
    pub async fn open(database: &str) -> Self {
        assert!(CONFIG.contains(CLIMB.0), "the practice configuration does not say “{}”", CLIMB.0);
        Self::open_as(database, &CONFIG.replace(CLIMB.0, CLIMB.1)).await
    }

    /// The same with a configuration of its own for the bot.
    pub async fn open_as(database: &str, config: &str) -> Self {
        let options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            locale: "en".to_owned(),
            clock: Clock::system(),
            rate_limits: false,
            database: Some(database.to_owned()),
            config: None,
            variables: BTreeMap::new(),
        };
        let setup = set_up(options).await.unwrap_or_else(|fault| panic!("{fault}"));
        // The bot in this process has made the tables. It is not the one that is tried.
        setup.vigie.store.close().await;
        let store = Store::open_to_read(database).await.expect("the database is there");
        let folder = tempfile::tempdir().expect("a folder can be made");
        std::fs::write(folder.path().join("vigie.yml"), config).expect("it can be written");
        Self { setup, store, folder, database: database.to_owned() }
    }

    pub fn ws(&self) -> &Workspace {
        self.setup.workspace()
    }

    /// The folder that the bot works in.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Begins a bot and waits for nothing.
    pub fn begin(&self) -> Bot {
        Bot::begin(self.command(program(), "127.0.0.1:0"))
    }

    /// Starts a bot and waits until it listens.
    pub async fn start(&self) -> Bot {
        let mut bot = self.begin();
        bot.listens().await;
        bot
    }

    /// `vigie serve`, begun through the program that is named and the words that follow it.
    pub fn command_by(&self, words: &[&str], listen: &str) -> Command {
        let (first, rest) = words.split_first().expect("a program");
        let mut command = Command::new(first);
        command.args(rest).arg(program());
        self.furnish(command, listen)
    }

    fn command(&self, program: impl AsRef<OsStr>, listen: &str) -> Command {
        self.furnish(Command::new(program), listen)
    }

    fn furnish(&self, mut command: Command, listen: &str) -> Command {
        let (practice, phones) = (&self.setup.practice, &self.setup.phones);
        let account = phones.account();
        command.args(["serve", "--listen", listen]).current_dir(self.path()).env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("DATABASE_URL", &self.database);
        command.env("SLACK_API_URL", practice.api_url());
        command.env("SLACK_BOT_TOKEN", practice.bot_token());
        command.env("SLACK_APP_TOKEN", practice.app_token());
        command.env("SHOP_URL", self.setup.shop.url());
        command.env("PHONES_URL", phones.http_url());
        command.env("SMTP_PORT", phones.smtp_addr().port().to_string());
        command.env("PHONES_ACCOUNT", &account.sid);
        command.env("PHONES_TOKEN", account.token.expose_secret());
        command.env("PHONES_SECRET", "0123456789abcdef");
        command
    }
}

/// The program that is tried: the one that `VIGIE_TEST_BINARY` names (of a release, say), else this build's.
fn program() -> std::ffi::OsString {
    std::env::var_os("VIGIE_TEST_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_vigie").into())
}
