//! Reads the environment and the configuration file, once, and reports everything that is wrong with them at once.
//!
//! The only room that reads the environment. It knows the other rooms' `Config` structs and fills them; no room knows
//! this one. Each fault says where (`vigie.yml:41:9`), what, and the cure; no fault shows a secret.
//!
//! From text to [`Config`]: `node` reads the YAML (one file, or a folder of them) into a tree with places and fills in
//! `${NAME}`; `decode` gives the tree to the typed `file`, going on after each fault; `compile` looks references up and
//! asks every room about its own part. `schema` describes the same types to editors.

mod compile;
mod decode;
mod env;
mod fault;
mod file;
mod hide;
mod interpolate;
mod near;
mod node;
mod schema;
mod words;

#[cfg(test)]
mod manifest_test;
#[cfg(test)]
mod promises;

use std::path::{Path, PathBuf};

use url::Url;

pub use env::{Env, SlackDoor};
pub use fault::{Fault, Faults, Place};
pub use schema::schema;

use crate::actions::ActionsConfig;
use crate::comms::CommsConfig;
use crate::incident::id::ChannelId;
use crate::incident::people::Contact;
use crate::incident::rules::Rules;
use crate::paging::PagingConfig;

use self::fault::{Findings, Source};
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

/// Reads the file at `path`, or every YAML file in the folder at `path` as one configuration, with `env` for their
/// `${NAME}`s.
///
/// # Errors
/// Every fault at once, in the order of the files.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    let is_folder = path.is_dir();
    let files = if is_folder { files_in(path)? } else { vec![path.to_path_buf()] };
    let sources = files.iter().map(|file| {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => Ok(Source { name, text }),
            Err(error) => Err(unreadable(&name, &error)),
        }
    });
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for source in sources {
        match source {
            Ok(source) => good.push(source),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let folder = if is_folder { Some(path) } else { path.parent() };
    read(&path.display().to_string(), &good, Some(folder.unwrap_or(Path::new(""))), env)
}

/// Reads a configuration that is not a file, such as the practice workspace's. Paths in it count from the working
/// directory.
///
/// # Errors
/// Every fault at once, in the order of the text.
pub fn parse(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Faults> {
    read(name, &[Source { name: name.to_owned(), text: text.to_owned() }], None, env)
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

fn read(
    name: &str,
    sources: &[Source],
    folder: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Faults> {
    let mut findings = Findings::new(name, sources);
    let files = |path: &str| {
        let path = folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path));
        std::fs::read_to_string(path)
    };
    let outside = Sources { variables: Variables::new(env), files: &files };
    let mut config = None;
    if let Some(root) = node::read(sources, &outside, &mut findings) {
        let decoded = decode::decode::<file::File>(&root, &mut findings);
        config = decoded.file.map(|file| compile::compile(&file, &root, &decoded.broken, folder, &mut findings));
    }
    let warnings = findings.end()?;
    match config {
        Some(config) => Ok(Config { warnings, ..config }),
        None => Err(Faults(vec![about(name, "nothing could be read", "write a first configuration with vigie init")])),
    }
}

/// The YAML files of a folder, by name; hidden ones are an editor's.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Faults> {
    let name = folder.display().to_string();
    let listed = || -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            let yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
            if yaml && !hidden && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    };
    match listed() {
        Err(error) => {
            Err(Faults(vec![about(&name, &format!("the folder cannot be read: {error}"), "check who may read it")]))
        }
        Ok(files) if files.is_empty() => {
            let cure = format!("write a first one with vigie init {}", folder.join("vigie.yml").display());
            Err(Faults(vec![about(&name, "there is no .yml file in this folder", &cure)]))
        }
        Ok(files) => Ok(files),
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Fault {
    let cure = match error.kind() {
        std::io::ErrorKind::NotFound => "give its path with --config, or write a first one with vigie init",
        std::io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "check who may read it",
    };
    about(name, &format!("the file cannot be read: {error}"), cure)
}

fn about(name: &str, what: &str, cure: &str) -> Fault {
    Fault { file: name.to_owned(), place: None, what: what.to_owned(), cure: cure.to_owned(), snippet: None }
}
