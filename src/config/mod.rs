//! Reads the environment and the configuration file, once, and reports everything that is wrong with them at once.
//!
//! The only room that reads the environment. It knows the other rooms' `Config` structs and fills them; no room knows
//! this one. Each fault says where (`vigie.yml:41:9`), what, and the cure; no fault shows a secret.
//!
//! From text to [`Config`]: `node` reads the YAML into a tree with places and fills in `${NAME}`; `decode` gives the
//! tree to the typed `file`, going on after each fault; `compile` looks references up and asks every room about
//! its own part.

mod compile;
mod decode;
mod env;
mod fault;
mod file;
mod hide;
mod interpolate;
mod near;
mod node;
mod words;

#[cfg(test)]
mod manifest_test;
#[cfg(test)]
mod promises;

use std::path::{Path, PathBuf};

use url::Url;

pub use env::{Env, SlackDoor};
pub use fault::{Fault, Faults, Place};

use crate::actions::ActionsConfig;
use crate::comms::CommsConfig;
use crate::incident::id::ChannelId;
use crate::incident::people::Contact;
use crate::incident::rules::Rules;
use crate::paging::PagingConfig;

use self::fault::Findings;
use self::interpolate::Variables;
use self::node::Sources;

/// The whole configuration, each part in its room's own words.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the core may decide.
    pub rules: Rules,
    /// The ways to reach people.
    pub paging: PagingConfig,
    /// Where texts go.
    pub comms: CommsConfig,
    /// How actions and checks are done.
    pub actions: ActionsConfig,
    /// How Vigie looks after itself.
    pub watch: WatchConfig,
    /// A folder with templates of the team's own, laid over the built-in ones.
    pub templates: Option<PathBuf>,
    /// What works but is probably not what was meant.
    pub warnings: Vec<Fault>,
}

/// How Vigie looks after itself (durability rule 10).
#[derive(Debug, Clone, Default)]
pub struct WatchConfig {
    /// Told, by anything but Slack, when Vigie itself has trouble.
    pub tell: Vec<Contact>,
    /// Called every minute while all is well. Whoever knows the address can keep the alarm quiet.
    pub heartbeat: Option<Url>,
    /// A quiet channel where Vigie looks whether Slack is heard.
    pub canary: Option<ChannelId>,
}

/// Reads the file at `path`, with `env` for its `${NAME}`s.
///
/// # Errors
/// Every fault at once, in the order of the file.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&name, &error))?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    read(&name, &text, Some(&folder), env)
}

/// Reads a configuration that is not a file, such as the practice workspace's. Paths in it count from the working
/// directory.
///
/// # Errors
/// Every fault at once, in the order of the text.
pub fn parse(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    read(name, text, None, env)
}

/// The value of an environment variable; nothing when it is unset, empty or not Unicode.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The whole environment, of which programs run as actions get only what the configuration allows by name.
pub fn whole_environment() -> std::collections::BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read(name: &str, text: &str, folder: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    let mut findings = Findings::new(name, text);
    let files = |path: &str| {
        let path = folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
        std::fs::read_to_string(path)
    };
    let sources = Sources { variables: Variables::new(env), files: &files };
    let mut config = None;
    if let Some(root) = node::read(text, &sources, &mut findings) {
        let decoded = decode::decode::<file::File>(&root, &mut findings);
        config = decoded.file.map(|file| compile::compile(&file, &root, &decoded.broken, folder, &mut findings));
    }
    let warnings = findings.end()?;
    match config {
        Some(config) => Ok(Config { warnings, ..config }),
        None => Err(Faults(vec![about(name, "nothing could be read", "look at examples/minimal.yml")])),
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Faults {
    let cure = match error.kind() {
        std::io::ErrorKind::NotFound => "give its path with --config, or write a first one with vigie init",
        std::io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "check who may read it",
    };
    Faults(vec![about(name, &format!("the file cannot be read: {error}"), cure)])
}

fn about(name: &str, what: &str, cure: &str) -> Fault {
    Fault { file: name.to_owned(), place: None, what: what.to_owned(), cure: cure.to_owned(), snippet: None }
}
