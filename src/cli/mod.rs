//! The command line: what can be typed, and where it leads.
//!
//! Exit codes: 0 when it went well, 1 when it did not (the reason is one sentence on standard error, or the list of
//! faults), 2 when what was typed is not understood. Colour only on a terminal; `--json` where a script may want it.

mod action;
mod backup;
mod check;
mod doctor;
mod incidents;
mod init;
mod live;
mod migrate;
mod paint;
mod postmortem;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::config::{Config, Fault, Faults, environment, load};
use crate::incident::id::{IncidentId, RunId};
use paint::Paint;

/// What `vigie` alone prints.
const ABOUT: &str = "\
Vigie runs your team's emergency plan with you, in Slack: it pages people until somebody answers, opens a channel,
has rollbacks planned, approved, run and verified, keeps customers told, and compiles the post-mortem.

  vigie practice            try everything now: a local Slack, phones, and a shop to break; nothing leaves this machine
  vigie init                write a first configuration
  vigie serve               run it in your workspace

vigie help says more.
";

/// What stands below the long help.
const EXIT_CODES: &str =
    "Exit codes: 0 it went well · 1 it did not, the reason is on standard error · 2 not understood";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "vigie", version, about = "Runs your team's emergency plan with you, in Slack", after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run in your Slack workspace (needs SLACK_BOT_TOKEN and SLACK_APP_TOKEN)
    Serve(Serve),
    /// Practise on this machine: a local Slack, phones and inboxes, and a shop to break
    Practice(Practice),
    /// Write a first configuration with comments, to put your people in
    Init(Init),
    /// Say whether the configuration is right, with every fault at once
    Check(Check),
    /// Say whether everything is in place: configuration, environment, database, Slack, scopes, people
    Doctor(Doctor),
    /// Bring the database's schema up to date, before a new version starts
    Migrate,
    /// Print an incident's post-mortem
    Postmortem(Postmortem),
    /// List incidents, the newest first
    Incidents(Incidents),
    /// Work with runbook actions from a terminal
    #[command(subcommand)]
    Action(Action),
    /// Say what you would type after /incident, as yourself, for the day Slack is down: vigie say approve run_7_1
    Say(Say),
    /// Copy the whole database into one file, checked, also while the bot runs
    Backup(Backup),
    /// Fill an empty database, SQLite or PostgreSQL, from a backup; nothing is done on it before `vigie resume`
    Restore(Restore),
    /// Let the bot go on after a restore
    Resume,
    /// Print what makes a shell complete vigie's commands: source <(vigie completions bash)
    Completions(Completions),
}

/// `vigie action`
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the runbook actions
    List(ActionList),
    /// Print the plan of an action; reads only, and needs neither Slack nor a database
    Plan(ActionPlan),
    /// Have an action planned in an incident, under the same rules as in Slack; approve it with `vigie say approve …`
    Run(ActionRun),
    /// Print what was kept of the state before a run
    Files(ActionFiles),
    /// Print the least that Vigie must be allowed in a Kubernetes cluster: vigie action rbac | kubectl apply -f -
    Rbac(Rbac),
}

/// `vigie action list`
#[derive(Debug, Args)]
pub struct ActionList {
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
}

/// `vigie action plan`
#[derive(Debug, Args)]
pub struct ActionPlan {
    /// The action's key
    pub action: String,
    /// Where it goes, where that can be chosen
    #[arg(long, value_name = "TEXT")]
    pub to: Option<String>,
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
    /// The whole plan for a program
    #[arg(long)]
    pub json: bool,
}

/// `vigie action run`
#[derive(Debug, Args)]
pub struct ActionRun {
    /// The action's key
    pub action: String,
    /// The incident it belongs to: inc_7, or 7
    #[arg(long, value_name = "INCIDENT", required_unless_present = "start", conflicts_with = "start")]
    pub incident: Option<IncidentId>,
    /// Declare an incident for it: "sev2 checkout returns 500"
    #[arg(long, value_name = "TEXT")]
    pub start: Option<String>,
    /// Where it goes, where that can be chosen
    #[arg(long, value_name = "TEXT")]
    pub to: Option<String>,
    /// Show the plan and nothing more
    #[arg(long)]
    pub dry_run: bool,
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
}

/// `vigie action files`
#[derive(Debug, Args)]
pub struct ActionFiles {
    /// The run: run_7_1
    pub run: RunId,
}

/// `vigie say`
#[derive(Debug, Args)]
pub struct Say {
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
    /// The line
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "LINE")]
    pub line: Vec<String>,
}

/// `vigie action rbac`
#[derive(Debug, Args)]
pub struct Rbac {
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
    /// The cluster, by its key in the configuration [default: the only one there is]
    #[arg(long, value_name = "KEY")]
    pub cluster: Option<String>,
    /// Who Vigie is there: user:NAME, group:NAME or serviceaccount:NAMESPACE/NAME
    #[arg(long, value_name = "SUBJECT", default_value = "user:vigie")]
    pub subject: String,
}

/// `vigie backup`
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to make
    pub file: PathBuf,
}

/// `vigie restore`
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    pub file: PathBuf,
}

/// `vigie serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
    /// Where health, figures and, without Socket Mode, Slack's requests are taken [default: VIGIE_LISTEN, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
}

/// `vigie practice`
#[derive(Debug, Args)]
pub struct Practice {
    /// The port of the practice page on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "NUMBER", default_value_t = 4000)]
    pub port: u16,
    /// The language of the workspace
    #[arg(long, value_enum, default_value_t = Lang::En)]
    pub lang: Lang,
    /// Open the page in the browser
    #[arg(long)]
    pub open: bool,
}

/// A language Vigie speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// English
    En,
    /// French
    Fr,
}

impl Lang {
    /// The word used in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Fr => "fr",
        }
    }
}

/// `vigie init`
#[derive(Debug, Args)]
pub struct Init {
    /// The file to write
    #[arg(default_value = "vigie.yml")]
    pub file: PathBuf,
    /// The language of its comments, and of the team
    #[arg(long, value_enum, default_value_t = Lang::En)]
    pub lang: Lang,
    /// Write over what is there
    #[arg(long)]
    pub force: bool,
}

/// `vigie check`
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
    /// For scripts
    #[arg(long)]
    pub json: bool,
    /// Print the configuration's JSON Schema, with which an editor completes it
    #[arg(long, conflicts_with_all = ["config", "json"])]
    pub schema: bool,
}

/// `vigie doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// The configuration: a file, or a folder of .yml files
    #[arg(long, value_name = "FILE", default_value = "vigie.yml")]
    pub config: PathBuf,
    /// For scripts
    #[arg(long)]
    pub json: bool,
}

/// `vigie completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `vigie postmortem`
#[derive(Debug, Args)]
pub struct Postmortem {
    /// The incident: inc_7, or 7
    pub incident: IncidentId,
    /// Markdown, a page to print, or the record for a program
    #[arg(long, value_enum, default_value_t = Format::Md)]
    pub format: Format,
    /// long, short, minimal, or one of your own templates (`postmortem_NAME.md.hbs`)
    #[arg(long, default_value = "long")]
    pub layout: String,
    /// The configuration, for people's names, your language and your templates [default: vigie.yml where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// How a document is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Markdown
    Md,
    /// A page to read or print
    Html,
    /// Everything the record knows
    Json,
}

/// `vigie incidents`
#[derive(Debug, Args)]
pub struct Incidents {
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: u32,
    /// The configuration, for your time zone [default: vigie.yml where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// For scripts
    #[arg(long)]
    pub json: bool,
}

/// Does what was typed and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    crate::app::install_crypto();
    let done = match cli.verb {
        None => print(ABOUT).map(|()| ExitCode::SUCCESS),
        Some(Verb::Init(args)) => init::init(&args).map(|()| ExitCode::SUCCESS),
        Some(Verb::Check(args)) if args.schema => check::schema().map(|()| ExitCode::SUCCESS),
        Some(Verb::Check(args)) => check::check(&args, Paint::of_stdout()),
        Some(Verb::Doctor(args)) => doctor::doctor(&args, Paint::of_stdout()).await,
        Some(Verb::Migrate) => migrate::migrate().await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Completions(args)) => completions(args.shell).map(|()| ExitCode::SUCCESS),
        Some(Verb::Incidents(args)) => incidents::list(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Action(Action::Rbac(args))) => action::rbac(&args).map(|()| ExitCode::SUCCESS),
        Some(Verb::Action(Action::List(args))) => action::list(&args).map(|()| ExitCode::SUCCESS),
        Some(Verb::Action(Action::Plan(args))) => action::plan(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Action(Action::Run(args))) => action::run(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Action(Action::Files(args))) => action::files(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Say(args)) => action::say(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Postmortem(args)) => postmortem::print_one(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Backup(args)) => backup::backup(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Restore(args)) => backup::restore(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Resume) => backup::resume().await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Serve(args)) => live::serve(&args).await.map(|()| ExitCode::SUCCESS),
        Some(Verb::Practice(args)) => live::practice(&args).await.map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("vigie: {}", sentence(&error));
        ExitCode::FAILURE
    })
}

/// The error and its causes in one sentence, without those that are said already; whatever RUST_BACKTRACE says.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |said, cause| {
        let cause = cause.to_string();
        if said.contains(&cause) { said } else { format!("{said}: {cause}") }
    })
}

/// Prints to standard output. A reader who has seen enough (`vigie incidents | head`) is no fault.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| anyhow::anyhow!("nothing could be printed: {error}")),
    }
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vigie", &mut script);
    print(&String::from_utf8(script)?)
}

/// The configuration that a command would like to have but can do without: the one named, else ./vigie.yml where there is
/// one. Faults in that one are told, and do not keep anybody from reading.
fn surroundings(named: Option<&Path>) -> anyhow::Result<Option<Config>> {
    const USUAL: &str = "vigie.yml";
    if let Some(path) = named {
        return Ok(Some(load(path, &environment)?));
    }
    if !Path::new(USUAL).exists() {
        return Ok(None);
    }
    match load(Path::new(USUAL), &environment) {
        Ok(config) => Ok(Some(config)),
        Err(Faults(faults)) => {
            let first = faults.first().map(Fault::headline).unwrap_or_default();
            eprintln!("vigie: {USUAL} is left aside, because it has faults (vigie check names them all): {first}");
            Ok(None)
        }
    }
}

/// Reads a file that the environment names.
fn files(path: &str) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_people_type_is_understood() {
        let verb = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.verb);
        assert!(matches!(verb("vigie"), Ok(None)));
        assert!(
            matches!(verb("vigie serve --listen 127.0.0.1:9000"), Ok(Some(Verb::Serve(args))) if args.listen.is_some())
        );
        assert!(
            matches!(verb("vigie practice --lang fr --open"), Ok(Some(Verb::Practice(args))) if args.lang == Lang::Fr && args.port == 4000)
        );
        assert!(
            matches!(verb("vigie check --json"), Ok(Some(Verb::Check(args))) if args.json && args.config.ends_with("vigie.yml"))
        );
        assert!(
            matches!(verb("vigie postmortem 7 --format html --layout short"), Ok(Some(Verb::Postmortem(args))) if args.incident == IncidentId(7))
        );
        assert!(
            matches!(verb("vigie init team.yml --lang fr"), Ok(Some(Verb::Init(args))) if args.file.ends_with("team.yml") && args.lang == Lang::Fr && !args.force)
        );
        assert!(matches!(verb("vigie check --schema"), Ok(Some(Verb::Check(args))) if args.schema));
        assert!(matches!(verb("vigie migrate"), Ok(Some(Verb::Migrate))));
        assert!(matches!(verb("vigie incidents"), Ok(Some(Verb::Incidents(args))) if args.limit == 20));
    }

    #[test]
    fn a_slip_is_answered_with_what_was_probably_meant() {
        let told = Cli::try_parse_from(["vigie", "servee"]).unwrap_err();
        assert_eq!(told.exit_code(), 2);
        assert!(told.to_string().contains("serve"), "{told}");
        let told = Cli::try_parse_from(["vigie", "postmortem", "seven"]).unwrap_err().to_string();
        assert!(told.contains("is not a name of the form inc_7"), "{told}");
    }

    #[test]
    fn an_error_is_one_sentence_and_says_nothing_twice() {
        let error = anyhow::anyhow!("the disk is full").context("the log: the disk is full").context("it cannot start");
        assert_eq!(sentence(&error), "it cannot start: the log: the disk is full");
    }

    #[test]
    fn vigie_alone_names_the_three_commands_that_matter() {
        for command in ["vigie practice", "vigie init", "vigie serve"] {
            assert!(ABOUT.contains(command));
        }
    }
}
