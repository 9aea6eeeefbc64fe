//! A bot as a process of its own: started, looked at from outside, stopped.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use vigie::app::practice::CONFIG;

use crate::database::Database;
use crate::place;
use crate::team::Team;

/// No bot takes longer to start or to stop, unless it never does.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a storm leaves to be done is done by then.
const LONG_PATIENCE: Duration = Duration::from_secs(120);
/// The kernel counts a process's time on the processor in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Which bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Vigie,
    BoltJs,
    /// The same, and it answers each command as well.
    BoltJsAnswering,
    BoltPython,
}

impl Kind {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Vigie => "Vigie",
            Kind::BoltJs => "Bolt JS",
            Kind::BoltJsAnswering => "Bolt JS that answers, too",
            Kind::BoltPython => "Bolt Python",
        }
    }

    /// Whether it answers what it has acknowledged.
    pub const fn answers(self) -> bool {
        matches!(self, Kind::Vigie | Kind::BoltJsAnswering)
    }
}

/// A bot that hears.
pub struct Bot {
    child: Child,
    /// The bots on Bolt end when this does.
    _stdin: Option<ChildStdin>,
    _folder: TempDir,
    /// From its start until it said that it was ready.
    pub took_to_start: Duration,
    /// Where Vigie tells its figures.
    metrics: Option<String>,
}

impl Bot {
    /// Starts one, and waits until a command is acknowledged.
    pub async fn start(kind: Kind, team: &Team, database: &Database) -> Self {
        let bot = match kind {
            Kind::Vigie => Self::vigie(team, database, CONFIG).await,
            Kind::BoltJs => Self::peer(Command::new("node"), &["bolt.js"], team, database).await,
            Kind::BoltJsAnswering => Self::peer(Command::new("node"), &["bolt.js", "answering"], team, database).await,
            Kind::BoltPython => Self::peer(python(), &["bolt.py"], team, database).await,
        };
        team.is_heard(PATIENCE).await;
        bot
    }

    /// `vigie serve`, until `/readyz` says 200.
    pub async fn vigie(team: &Team, database: &Database, config: &str) -> Self {
        let folder = place::folder();
        std::fs::write(folder.path().join("vigie.yml"), config).expect("the folder can be written to");
        let log = std::fs::File::create(folder.path().join("vigie.log")).expect("the folder can be written to");
        let address = free_address();
        let mut command = Command::new(program());
        command.args(["serve", "--listen", &address.to_string()]).current_dir(folder.path()).env_clear();
        command.envs(team.variables.iter().cloned()).stdin(Stdio::null()).stderr(log);
        let began = Instant::now();
        let child = start(&mut command, team, database);
        let client = client();
        let mut again = tokio::time::interval(Duration::from_millis(1));
        let ready = async {
            let ask = || client.get(format!("http://{address}/readyz")).send();
            while !ask().await.is_ok_and(|answer| answer.status().is_success()) {
                again.tick().await;
            }
        };
        let ready = tokio::time::timeout(PATIENCE, ready).await;
        assert!(ready.is_ok(), "vigie is never ready: {}", log_of(folder.path()));
        let metrics = Some(format!("http://{address}/metrics"));
        Self { child, _stdin: None, _folder: folder, took_to_start: began.elapsed(), metrics }
    }

    async fn peer(mut command: Command, script: &[&str], team: &Team, database: &Database) -> Self {
        let folder = place::folder();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers").join(script[0]);
        command.arg(path).args(&script[1..]).current_dir(folder.path()).env("NO_PROXY", "127.0.0.1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = start(&mut command, team, database);
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let ready = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it says something in time");
        assert_eq!(ready.expect("it is heard").as_deref(), Some("listening"));
        Self { child, _stdin: stdin, _folder: folder, took_to_start: began.elapsed(), metrics: None }
    }

    /// Waits until Vigie has decided upon everything and carried everything out.
    pub async fn rests(&self) {
        let (client, metrics) = (client(), self.metrics.as_ref().expect("only Vigie tells"));
        let mut again = tokio::time::interval(Duration::from_millis(20));
        let mut figures = String::new();
        let rests = async {
            loop {
                again.tick().await;
                let answer = client.get(metrics).send().await.expect("it answers");
                figures = answer.text().await.expect("a text");
                if figures.contains("vigie_inbox_waiting 0\n") && figures.contains("vigie_outbox_waiting 0\n") {
                    return;
                }
            }
        };
        let rested = tokio::time::timeout(LONG_PATIENCE, rests).await;
        assert!(rested.is_ok(), "it does not come to rest:\n{figures}");
    }

    /// What it holds in memory now, in megabytes (2²⁰ bytes).
    pub fn memory(&self) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says it");
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes / 1_024.0
    }

    /// How long it has used a processor so far.
    pub fn processor(&self) -> Duration {
        let stat = self.read("stat");
        // The second field is a name in brackets and may hold spaces.
        let (_, fields) = stat.rsplit_once(')').expect("the name is in brackets");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u32>().expect("a number");
        TICK * (ticks(11) + ticks(12))
    }

    fn read(&self, file: &str) -> String {
        let id = self.child.id().expect("it runs");
        std::fs::read_to_string(PathBuf::from("/proc").join(id.to_string()).join(file)).expect("it runs")
    }

    /// Stops it as a service manager does.
    pub async fn stop(mut self) {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await.expect("there is kill");
        assert!(told.success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("it ends").expect("it is ours");
    }
}

fn start(command: &mut Command, team: &Team, database: &Database) -> Child {
    command
        .env("SLACK_API_URL", team.practice.api_url())
        .env("SLACK_BOT_TOKEN", team.practice.bot_token())
        .env("SLACK_APP_TOKEN", team.practice.app_token())
        .env("DATABASE_URL", &database.url)
        .kill_on_drop(true)
        .spawn()
        .expect("the bot's program is there")
}

/// This build's, or another one to compare with.
fn program() -> OsString {
    std::env::var_os("VIGIE_BENCH_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_vigie").into())
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

fn python() -> Command {
    let python = std::env::var_os("VIGIE_BENCH_PYTHON");
    Command::new(python.expect("VIGIE_BENCH_PYTHON names no interpreter; benches/run makes one and sets it"))
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it has an address")
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("vigie.log")).unwrap_or_else(|error| error.to_string())
}
