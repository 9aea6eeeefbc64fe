//! The Docker engine and Compose, asked by their programs. An environment of our own, so that no variable of this process
//! stands above what is written in a file.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::Compose;
use crate::actions::World;
use crate::actions::length;
use crate::actions::process::{self, Deadline, Ended, Finished, Program};
use crate::actions::provider::StepContext;
use crate::actions::stopwatch::{Stopwatch, pause};
use crate::incident::words::Words;

/// How many lines of a container that did not get well are kept.
const MOST_LOG: &str = "20";
/// Between two looks at containers that come up.
const PACE: Duration = Duration::from_millis(300);

/// What is asked of a container. Its health has a place only where it has a health check.
const CONTAINER: &str = r#"{"id":{{json .Id}},"image":{{json .Image}},"name":{{json .Config.Image}},"status":{{json .State.Status}},"exit":{{json .State.ExitCode}},"started":{{json .State.StartedAt}},"restarts":{{json .RestartCount}},"created":{{json .Created}},"health":{{$health := index .State "Health"}}{{if $health}}{{json $health.Status}}{{else}}null{{end}}}"#;
const IMAGE: &str = r#"{"id":{{json .Id}},"created":{{json .Created}},"tags":{{json .RepoTags}}}"#;

/// The engine, for one piece of work with its deadline.
pub(super) struct Engine<'a> {
    config: &'a Compose,
    world: &'a World,
    watch: Stopwatch,
    within: Duration,
}

/// A container of the service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Container {
    pub id: String,
    /// The image's id.
    pub image: String,
    /// The image as it was named.
    pub name: String,
    status: String,
    exit: i64,
    started: String,
    restarts: i64,
    created: DateTime<Utc>,
    health: Option<String>,
}

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Image {
    pub id: String,
    pub created: DateTime<Utc>,
    tags: Option<Vec<String>>,
}

/// The files as Compose understands them.
#[derive(Debug, Deserialize)]
struct Rendered {
    #[serde(default)]
    services: BTreeMap<String, RenderedService>,
}

impl Rendered {
    /// Of a fault only its line is told: the parser's own words quote what stands around it.
    fn read(text: &str) -> Result<Self, Words> {
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map(|location| location.line());
            Words::new("compose.no_compose_file").with("line", line)
        })
    }
}

#[derive(Debug, Deserialize)]
struct RenderedService {
    image: Option<String>,
}

/// A program that did not do what it should.
struct Refused {
    /// It ended by itself and said no.
    is_answer: bool,
    said: String,
}

/// What became of containers that should come up.
pub(super) enum CameUp {
    Well,
    /// Why not, and the last lines of the one that did not.
    Not {
        why: Words,
        log: Option<String>,
    },
    /// It could not be looked at any more.
    Unseen(Words),
}

impl Container {
    pub(super) fn is_running(&self) -> bool {
        self.status == "running"
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.is_running() && self.health.as_deref() == Some("healthy")
    }

    /// It ended, or was started again, since this was seen of it; what happened before that is history.
    fn has_died(&self, before: Option<&Container>) -> bool {
        let known = before.filter(|before| before.is_running() || before.status == "restarting");
        self.restarts > known.map_or(0, |known| known.restarts) || matches!(self.status.as_str(), "exited" | "dead")
    }
}

impl Image {
    /// Its tags within a repository.
    pub(super) fn tags_of(&self, repository: &str) -> Vec<String> {
        let names = self.tags.iter().flatten().filter_map(|name| super::back::named(name));
        names.filter(|(own, _)| *own == repository).map(|(_, tag)| tag.to_owned()).collect()
    }
}

impl<'a> Engine<'a> {
    pub(super) fn new(config: &'a Compose, world: &'a World, within: Duration) -> Self {
        Self { config, world, watch: Stopwatch::start(), within }
    }

    fn left(&self) -> Duration {
        self.watch.left_of(self.within)
    }

    /// The service's containers, the newest first. Those of a single `run` do not count.
    pub(super) async fn containers(&self) -> Result<Vec<Container>, Words> {
        let project = format!("label=com.docker.compose.project={}", self.config.project);
        let service = format!("label=com.docker.compose.service={}", self.config.service);
        let ids = self
            .ask(&[
                "ps",
                "--all",
                "--quiet",
                "--no-trunc",
                "--filter",
                &project,
                "--filter",
                &service,
                "--filter",
                "label=com.docker.compose.oneoff=False",
            ])
            .await
            .map_err(|refused| no_engine(&refused))?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let asked = [&["container", "inspect", "--format", CONTAINER][..], &ids].concat();
        let mut containers: Vec<Container> = match self.ask(&asked).await {
            Ok(text) => lines(&text)?,
            // One of them went while it was being asked for; what is left is told by the next look.
            Err(refused) if refused.is_answer => Vec::new(),
            Err(refused) => return Err(no_engine(&refused)),
        };
        containers.sort_by_key(|container| std::cmp::Reverse(container.created));
        Ok(containers)
    }

    /// The image of this name, if the engine has it.
    pub(super) async fn image(&self, name: &str) -> Result<Option<Image>, Words> {
        match self.ask(&["image", "inspect", "--format", IMAGE, name]).await {
            Ok(text) => Ok(lines(&text)?.pop()),
            Err(refused) if refused.is_answer && refused.said.contains("No such image") => Ok(None),
            Err(refused) => Err(no_engine(&refused)),
        }
    }

    /// All of a repository's images.
    pub(super) async fn images(&self, repository: &str) -> Result<Vec<Image>, Words> {
        let ids = self.ask(&["image", "ls", "--quiet", "--no-trunc", repository]).await;
        let ids = ids.map_err(|refused| no_engine(&refused))?;
        let mut ids: Vec<&str> = ids.split_whitespace().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let asked = [&["image", "inspect", "--format", IMAGE][..], &ids].concat();
        lines(&self.ask(&asked).await.map_err(|refused| no_engine(&refused))?)
    }

    /// Which image each service would have, if a variable had this value.
    pub(super) async fn rendered(&self, variable: &str, value: &str) -> Result<BTreeMap<String, String>, Words> {
        let argv = self.compose_argv(&["config"], None);
        let unreadable = |said: String| Words::new("compose.unreadable").with("said", said);
        let program = self.program(&argv, &[(variable, value)], Deadline::of_looking(self.left()));
        let ran = process::run_for_parser(&program, &self.world.redactor).await;
        let (finished, printed) = ran.map_err(|fault| unreadable(fault.to_string()))?;
        if finished.ended == Ended::Deadline {
            return Err(Words::new("compose.slow"));
        }
        if finished.ended != Ended::Exit(0) {
            // Never a line of what it printed: every value of the environment stands there.
            let said = finished.stderr.last_line().unwrap_or_default();
            return Err(unreadable(self.world.redactor.short(said, 200)));
        }
        let printed = printed.ok_or_else(|| Words::new("compose.too_long"))?;
        let rendered = Rendered::read(printed.expose_secret())?;
        let named = rendered.services.into_iter().filter_map(|(service, found)| Some((service, found.image?)));
        Ok(named.collect())
    }

    /// Lets Compose do something.
    pub(super) async fn compose(&self, arguments: &[&str]) -> Result<Finished, Words> {
        let argv = self.compose_argv(arguments, self.config.back.as_ref());
        let done = self.run(&argv, &[], Deadline::of(self.left()), &|_| {}).await;
        done.map_err(|refused| Words::new("compose.no_engine").with("said", refused.said))
    }

    /// How Compose is told to take only images that are there. The old one cannot be kept from pulling; its help says so.
    pub(super) async fn only_what_is_there(&self) -> &'static [&'static str] {
        let argv = self.compose_argv(&["up", "--help"], None);
        let help = self.run(&argv, &[], Deadline::of_looking(Duration::from_secs(5)), &|_| {}).await;
        let knows = help.is_ok_and(|help| help.stdout.text.split_whitespace().any(|word| word == "--pull"));
        if knows { &["--no-build", "--pull", "never"] } else { &["--no-build"] }
    }

    /// The last thing that a program said.
    pub(super) fn last(&self, finished: &Finished) -> String {
        self.world.redactor.short(finished.last_line().unwrap_or_default(), 200)
    }

    /// Waits until these many containers of the image are healthy, or one of them shows that it will not be. What a container
    /// had been through before is not held against it.
    pub(super) async fn came_up(
        &self,
        (image, count): (Option<&str>, usize),
        before: &[Container],
        cx: &StepContext<'_>,
    ) -> CameUp {
        let has_died = |one: &Container| one.has_died(before.iter().find(|former| former.id == one.id));
        let patience = length::duration(self.config.healthy_within());
        let (whole, mut since, mut told) = (Stopwatch::start(), None::<(Stopwatch, Vec<String>)>, None);
        loop {
            let all = match self.containers().await {
                Ok(all) => all,
                Err(why) if whole.left_of(patience).is_zero() || self.left().is_zero() => return CameUp::Unseen(why),
                Err(_) => {
                    pause(PACE).await;
                    continue;
                }
            };
            let ours: Vec<&Container> = all.iter().filter(|one| image.is_none_or(|image| one.image == image)).collect();
            if let Some(dead) = ours.iter().find(|one| has_died(one) || one.health.as_deref() == Some("unhealthy")) {
                let key = if has_died(dead) { "compose.died" } else { "compose.ill" };
                let why = self.config.says(key).with("at", dead.name.as_str()).with("code", dead.exit);
                return CameUp::Not { why, log: self.log(&dead.id).await };
            }
            let running: Vec<String> =
                ours.iter().filter(|one| one.is_running()).map(|one| format!("{} {}", one.id, one.started)).collect();
            if since.as_ref().is_none_or(|(_, before)| *before != running) {
                since = Some((Stopwatch::start(), running.clone()));
            }
            let is_steady = since.as_ref().is_some_and(|(since, _)| since.left_of(self.config.steady()).is_zero());
            let is_good =
                |one: &&&Container| one.is_healthy() || (one.health.is_none() && one.is_running() && is_steady);
            let good = ours.iter().filter(is_good).count();
            if good >= count && all.len() == ours.len() {
                return CameUp::Well;
            }
            if told != Some(good) {
                (cx.progress)(self.config.says("compose.standing").with("good", good).with("all", count));
                told = Some(good);
            }
            if whole.left_of(patience).is_zero() || self.left().is_zero() {
                let why = self.config.says("compose.not_healthy").with("good", good).with("all", count);
                let log = match ours.iter().find(|one| !one.is_healthy()) {
                    Some(one) => self.log(&one.id).await,
                    None => None,
                };
                return CameUp::Not { why: why.with("within_ms", self.config.healthy_within().0), log };
            }
            pause(PACE).await;
        }
    }

    async fn log(&self, id: &str) -> Option<String> {
        let argv = [self.config.docker.as_str(), "logs", "--tail", MOST_LOG, id].map(str::to_owned);
        let read = self.run(&argv, &[], Deadline::of_looking(Duration::from_secs(5)), &|_| {}).await;
        read.ok().and_then(|finished| finished.output(crate::actions::command::MOST_OUTPUT))
    }

    /// The override, where there is one, stands behind the project's own files.
    fn compose_argv(&self, arguments: &[&str], back: Option<&super::Back>) -> Vec<String> {
        let mut argv = self.config.compose.clone();
        let mut add = |name: &str, value: &str| argv.extend([name.to_owned(), value.to_owned()]);
        add("-p", &self.config.project);
        for file in &self.config.files {
            add("-f", &self.config.folder.join(file).display().to_string());
        }
        if let Some(file) = back.and_then(|back| back.r#override.as_ref()) {
            add("-f", &file.display().to_string());
        }
        if let Some(file) = self.config.back.as_ref().and_then(|back| back.env_file.as_ref()) {
            add("--env-file", &file.display().to_string());
        }
        argv.extend(arguments.iter().map(|&argument| argument.to_owned()));
        argv
    }

    async fn ask(&self, arguments: &[&str]) -> Result<String, Refused> {
        let argv: Vec<String> =
            std::iter::once(self.config.docker.as_str()).chain(arguments.iter().copied()).map(str::to_owned).collect();
        let finished = self.run(&argv, &[], Deadline::of_looking(self.left()), &|_| {}).await?;
        match finished.ended {
            Ended::Exit(0) if finished.stdout.left_out == 0 => Ok(finished.stdout.text),
            ended => {
                let is_no = matches!(ended, Ended::Exit(_)) && finished.stderr.text.contains("No such");
                Err(Refused { is_answer: is_no, said: self.last(&finished) })
            }
        }
    }

    async fn run(
        &self,
        argv: &[String],
        extra: &[(&str, &str)],
        deadline: Deadline,
        progress: process::Progress<'_>,
    ) -> Result<Finished, Refused> {
        let done = process::run(&self.program(argv, extra, deadline), &self.world.redactor, progress).await;
        done.map_err(|fault| Refused { is_answer: false, said: fault.to_string() })
    }

    fn program<'p>(&'p self, argv: &'p [String], extra: &[(&str, &str)], deadline: Deadline) -> Program<'p> {
        let host = self.config.host.as_deref().map(|host| ("DOCKER_HOST", host));
        let environment = process::environment(&self.world.environment, &[], extra.iter().copied().chain(host));
        Program { argv, cwd: Some(self.config.folder.as_path()), environment, deadline }
    }
}

fn no_engine(refused: &Refused) -> Words {
    Words::new("compose.no_engine").with("said", refused.said.as_str())
}

/// One object a line.
fn lines<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, Words> {
    let read = text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str);
    read.collect::<Result<Vec<T>, _>>()
        .map_err(|error| Words::new("compose.unreadable").with("said", error.to_string()))
}
