//! A service goes to another image: the tag is written, then Compose brings the service up. Both can be done again without
//! harm, so whatever was cut off between them is taken up.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::engine::{CameUp, Container, Engine, Image};
use super::{Back, Compose, is_tag};
use crate::actions::command::MOST_OUTPUT;
use crate::actions::env_file::files;
use crate::actions::process::{Ended, Finished};
use crate::actions::provider::{Happened, PlanFault, StepContext, StepResult, reconfigured, spec_of, unchanged};
use crate::incident::approval::{Choice, PlannedStep};
use crate::incident::words::Words;

/// The approved facts. Digests of the file, nothing of its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    repository: String,
    from: String,
    to: String,
    /// The images' ids: what a tag means can be changed.
    from_images: Vec<String>,
    to_image: String,
    /// How many containers there are.
    count: usize,
    path: PathBuf,
    before: Option<String>,
    after: String,
    /// It takes back what the configuration says.
    is_back: bool,
}

impl Spec {
    fn name(&self) -> String {
        format!("{}:{}", self.repository, self.to)
    }
}

/// An image's name in two parts; nothing where it has no tag.
pub(super) fn named(name: &str) -> Option<(&str, &str)> {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let (repository, tag) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let is_id = repository == "sha256" || !is_tag(tag);
    (!is_id).then_some((repository, tag))
}

/// What runs.
struct Now {
    containers: Vec<Container>,
    repository: String,
    tag: String,
}

impl Now {
    async fn of(config: &Compose, engine: &Engine<'_>) -> Result<Self, PlanFault> {
        let containers = engine.containers().await.map_err(|why| config.unreadable(why))?;
        let newest = containers.first().ok_or_else(|| config.refused(config.says("compose.no_container")))?;
        // Without a tag the engine takes `latest`.
        let whole =
            if newest.name.contains([':', '@']) { newest.name.clone() } else { format!("{}:latest", newest.name) };
        let (repository, tag) = named(&whole)
            .ok_or_else(|| config.refused(config.says("compose.no_tag").with("image", newest.name.as_str())))?;
        Ok(Self { repository: repository.to_owned(), tag: tag.to_owned(), containers })
    }

    fn images(&self) -> Vec<String> {
        let mut images: Vec<String> = self.containers.iter().map(|container| container.image.clone()).collect();
        images.sort();
        images.dedup();
        images
    }
}

/// Where a service could go, the nearest first.
async fn earlier(config: &Compose, back: &Back, engine: &Engine<'_>, now: &Now) -> Result<Vec<String>, PlanFault> {
    let Some(history) = &back.history else { return earlier_images(config, engine, now).await };
    let state = files::state(history).map_err(|why| config.unreadable(why))?;
    let about = |key| config.says(key).with("path", history.display().to_string()).with("at", now.tag.as_str());
    let state = state.ok_or_else(|| config.unreadable(about("file.none")))?;
    let text = state.text();
    let tags: Vec<&str> = text.lines().rev().filter_map(|line| line.split_whitespace().next_back()).collect();
    let here = tags.iter().position(|tag| *tag == now.tag);
    let here = here.ok_or_else(|| config.refused(about("compose.not_in_history")))?;
    let mut found: Vec<String> = Vec::new();
    for tag in tags.into_iter().skip(here).filter(|tag| is_tag(tag) && *tag != now.tag) {
        if !found.iter().any(|known| known == tag) {
            found.push(tag.to_owned());
        }
    }
    Ok(found)
}

async fn earlier_images(config: &Compose, engine: &Engine<'_>, now: &Now) -> Result<Vec<String>, PlanFault> {
    let mut images = engine.images(&now.repository).await.map_err(|why| config.unreadable(why))?;
    let running = now.images();
    let made = images.iter().filter(|image| running.contains(&image.id)).map(|image| image.created).max();
    images.retain(|image| !running.contains(&image.id) && made.is_none_or(|made| image.created <= made));
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    Ok(images.iter().filter_map(|image| image.tags_of(&now.repository).into_iter().next()).collect())
}

pub(super) async fn choices(config: &Compose, back: &Back, engine: &Engine<'_>) -> Result<Vec<Choice>, PlanFault> {
    let now = Now::of(config, engine).await?;
    let mut choices = Vec::new();
    for tag in earlier(config, back, engine, &now).await? {
        let name = format!("{}:{tag}", now.repository);
        if let Some(image) = engine.image(&name).await.map_err(|why| config.unreadable(why))? {
            choices.push(Choice { label: made(&name, &image), value: tag });
        }
    }
    Ok(choices)
}

/// What there is to know of an image.
fn made(name: &str, image: &Image) -> Words {
    let words = Words::new("compose.image").with("image", name).with("made_at", image.created.timestamp_millis());
    words.with("id", image.id.chars().take(19).collect::<String>())
}

pub(super) async fn plan(
    config: &Compose,
    back: &Back,
    engine: &Engine<'_>,
    wanted: Option<&str>,
    is_back: bool,
) -> Result<PlannedStep, PlanFault> {
    let now = Now::of(config, engine).await?;
    let to = match wanted {
        Some(tag) if is_tag(tag) => tag.to_owned(),
        Some(tag) => return Err(config.refused(config.says("compose.not_a_tag").with("tag", tag))),
        None => earlier(config, back, engine, &now).await?.into_iter().next().ok_or_else(|| {
            let why = config.says("compose.no_earlier").with("at", now.tag.as_str());
            PlanFault::NothingToGoBackTo(why)
        })?,
    };
    let name = format!("{}:{to}", now.repository);
    let image = engine.image(&name).await.map_err(|why| config.unreadable(why))?;
    let image = image.ok_or_else(|| config.refused(config.says("compose.no_image").with("image", name.as_str())))?;
    let running = now.images();
    if running == [image.id.clone()] {
        return Err(PlanFault::AlreadyThere { target: format!("{} ({})", config.service, config.project), to: name });
    }
    let edit = back.edited(&config.service, &now.repository, &to).map_err(|why| config.refused(why))?;
    let mut diff = vec![made(&name, &image)];
    diff.extend(others(config, back, engine, &now, &to).await?);
    let writes = Words::new("compose.writes").with("path", edit.path.display().to_string());
    diff.push(writes.with("variable", back.variable.as_deref()).with("to", to.as_str()));
    diff.push(config.says("compose.containers").with("count", now.containers.len()));
    let title = config.says("compose.title_back").with("from", now.tag.as_str()).with("to", to.as_str());
    let spec = Spec {
        from: now.tag.clone(),
        to: to.clone(),
        from_images: running,
        to_image: image.id.clone(),
        count: now.containers.len(),
        repository: now.repository,
        path: edit.path,
        before: edit.before,
        after: edit.after,
        is_back,
    };
    let from = format!("{}:{}", spec.repository, spec.from);
    Ok(config.step(title, from, name, diff, serde_json::to_value(&spec).unwrap_or_default()))
}

/// That the variable really names this service's image, and which others would have another one, too.
async fn others(
    config: &Compose,
    back: &Back,
    engine: &Engine<'_>,
    now: &Now,
    to: &str,
) -> Result<Option<Words>, PlanFault> {
    let Some(variable) = &back.variable else { return Ok(None) };
    // As a whole name where the file has one.
    for value in [to.to_owned(), format!("{}:{to}", now.repository)] {
        let then = engine.rendered(variable, &value).await.map_err(|why| config.unreadable(why))?;
        let wanted = format!("{}:{to}", now.repository);
        if then.get(&config.service) != Some(&wanted) {
            continue;
        }
        let before = engine.rendered(variable, "vigie-looks").await.map_err(|why| config.unreadable(why))?;
        let changed =
            |(service, image): &(&String, &String)| **service != config.service && before.get(*service) != Some(*image);
        let others: Vec<String> = then.iter().filter(changed).map(|(service, _)| service.clone()).collect();
        let words = Words::new("compose.shared_variable").with("variable", variable.as_str());
        return Ok((!others.is_empty()).then(|| words.with("services", others)));
    }
    Err(config.refused(config.says("compose.not_used").with("variable", variable.as_str())))
}

pub(super) async fn plan_back(
    config: &Compose,
    back: &Back,
    engine: &Engine<'_>,
    done: &PlannedStep,
) -> Result<PlannedStep, PlanFault> {
    let spec: Spec = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
    plan(config, back, engine, Some(&spec.from), true).await
}

/// The approved facts, if today's configuration still means the same.
fn approved(back: &Back, step: &PlannedStep) -> Result<Spec, Words> {
    let spec: Spec = spec_of(step)?;
    let same_tag = spec.is_back || back.to.as_ref().is_none_or(|to| *to == spec.to);
    let same_place = files::real(&back.path()).as_ref() == Ok(&spec.path);
    if same_tag && same_place { Ok(spec) } else { Err(reconfigured()) }
}

/// How the file and the containers stand.
struct Stand {
    digest: Option<String>,
    containers: Vec<Container>,
}

impl Stand {
    async fn of(engine: &Engine<'_>, spec: &Spec) -> Result<Self, Words> {
        let containers = engine.containers().await?;
        Ok(Self { digest: files::state(&spec.path)?.map(|state| state.digest), containers })
    }

    fn is_written(&self, spec: &Spec) -> bool {
        self.digest.as_deref() == Some(&spec.after)
    }

    fn is_before(&self, spec: &Spec) -> bool {
        self.digest == spec.before
    }

    fn all_new(&self, spec: &Spec) -> bool {
        !self.containers.is_empty() && self.containers.iter().all(|one| one.image == spec.to_image)
    }

    fn all_old(&self, spec: &Spec) -> bool {
        !self.containers.is_empty() && self.containers.iter().all(|one| spec.from_images.contains(&one.image))
    }

    /// Only images that the plan knows.
    fn is_known(&self, spec: &Spec) -> bool {
        let known = |one: &Container| one.image == spec.to_image || spec.from_images.contains(&one.image);
        !self.containers.is_empty() && self.containers.iter().all(known)
    }

    fn at(&self) -> String {
        self.containers.first().map(|one| one.name.clone()).unwrap_or_default()
    }
}

pub(super) async fn execute(
    config: &Compose,
    back: &Back,
    engine: &Engine<'_>,
    step: &PlannedStep,
    cx: &StepContext<'_>,
) -> StepResult {
    let spec = match approved(back, step) {
        Ok(spec) => spec,
        Err(found) => return StepResult::stale(found),
    };
    let stand = match Stand::of(engine, &spec).await {
        Ok(stand) => stand,
        Err(why) => return StepResult::unchanged(why),
    };
    if !stand.is_written(&spec) && !stand.is_before(&spec) {
        return StepResult::stale(Words::new("file.changed").with("path", spec.path.display().to_string()));
    }
    if !stand.is_known(&spec) {
        return StepResult::stale(at(config, "step.is_at", &stand.at()));
    }
    match engine.image(&spec.name()).await {
        Ok(Some(image)) if image.id == spec.to_image => {}
        Ok(Some(_)) => return StepResult::stale(Words::new("compose.tag_moved").with("image", spec.name())),
        Ok(None) => {
            let why = config.says("compose.no_image").with("image", spec.name());
            return StepResult::unchanged(why);
        }
        Err(why) => return StepResult::unchanged(why),
    }
    // Those that ended are started again: whatever they were missing may be there now.
    let is_up = stand.is_written(&spec) && stand.all_new(&spec) && stand.containers.iter().all(Container::is_running);
    if !is_up && let Err(end) = bring_up(config, back, engine, &spec, &stand, cx).await {
        return *end;
    }
    match engine.came_up((Some(&spec.to_image), spec.count), &stand.containers, cx).await {
        CameUp::Well => {
            let note = at(config, if is_up { "step.already_at" } else { "step.is_at" }, &spec.name());
            StepResult::Done { note, output: None, live: Some(spec.name()) }
        }
        CameUp::Not { why, log } => StepResult::Failed { why, output: log },
        CameUp::Unseen(why) => StepResult::unknown(why),
    }
}

/// A sentence about where the service is.
fn at(config: &Compose, key: &'static str, at: &str) -> Words {
    Words::new(key).with("target", format!("{} ({})", config.service, config.project)).with("at", at)
}

/// Writes the tag and lets Compose do the rest; the end of the step where that did not go well.
async fn bring_up(
    config: &Compose,
    back: &Back,
    engine: &Engine<'_>,
    spec: &Spec,
    stand: &Stand,
    cx: &StepContext<'_>,
) -> Result<(), Box<StepResult>> {
    let failed = |why: Words| Box::new(StepResult::unchanged(why));
    let mut former = None;
    if !stand.is_written(spec) {
        let edit = back.edited(&config.service, &spec.repository, &spec.to).map_err(failed)?;
        if edit.after != spec.after {
            let changed = Words::new("file.changed").with("path", spec.path.display().to_string());
            return Err(Box::new(StepResult::stale(changed)));
        }
        former = Some(files::bytes(&spec.path).map_err(failed)?);
        edit.write(&cx.idempotency_key()).map_err(failed)?;
    }
    let scale = format!("{}={}", config.service, spec.count);
    let up = [&["up", "-d"][..], engine.only_what_is_there().await, &["--no-deps", "--scale", &scale, &config.service]]
        .concat();
    let mut finished = engine.compose(&up).await;
    // One that was cut off and still goes on in somebody else's name stands in the way only for a moment.
    if finished.as_ref().is_ok_and(|finished| matches!(finished.ended, Ended::Exit(code) if code != 0)) {
        let stand = Stand::of(engine, spec).await;
        if stand.is_ok_and(|stand| !stand.all_old(spec) && !stand.all_new(spec)) {
            finished = engine.compose(&up).await;
        }
    }
    let finished = match finished {
        Ok(finished) if finished.ended == Ended::Exit(0) => return Ok(()),
        Ok(finished) => finished,
        Err(why) => return Err(Box::new(put_back(spec, former, why, None, cx))),
    };
    Err(Box::new(not_up(config, engine, spec, former, &finished, cx).await))
}

async fn not_up(
    config: &Compose,
    engine: &Engine<'_>,
    spec: &Spec,
    former: Option<Option<Vec<u8>>>,
    finished: &Finished,
    cx: &StepContext<'_>,
) -> StepResult {
    let output = finished.output(MOST_OUTPUT);
    let why = config.says("compose.up_failed").with("said", engine.last(finished));
    if !matches!(finished.ended, Ended::Exit(_)) {
        return StepResult::Unknown { why: config.says("compose.up_cut_off"), output };
    }
    match Stand::of(engine, spec).await {
        Ok(stand) if stand.all_old(spec) => put_back(spec, former, why, output, cx),
        Ok(_) => StepResult::Failed { why: config.says("compose.half").with("why", why), output },
        Err(unseen) => {
            StepResult::Unknown { why: Words::new("step.both").with("first", why).with("then", unseen), output }
        }
    }
}

/// Nothing runs anew, so the file must not say so either: the next `up` of somebody else would do it.
fn put_back(
    spec: &Spec,
    former: Option<Option<Vec<u8>>>,
    why: Words,
    output: Option<String>,
    cx: &StepContext<'_>,
) -> StepResult {
    let done = match former {
        Some(Some(bytes)) => files::put(&spec.path, &bytes, &cx.idempotency_key()),
        Some(None) => files::remove(&spec.path),
        // It was written by an owner that was lost.
        None => Err(Words::new("compose.stays_written").with("path", spec.path.display().to_string())),
    };
    let why = match done {
        Ok(()) => unchanged(why),
        Err(then) => Words::new("step.both").with("first", why).with("then", then),
    };
    StepResult::Failed { why, output }
}

pub(super) async fn check(config: &Compose, back: &Back, engine: &Engine<'_>, step: &PlannedStep) -> Happened {
    let spec = match approved(back, step) {
        Ok(spec) => spec,
        Err(why) => return Happened::CannotTell { why },
    };
    let stand = match Stand::of(engine, &spec).await {
        Ok(stand) => stand,
        Err(why) => return Happened::CannotTell { why },
    };
    let (is_known, is_new) = (stand.is_known(&spec), stand.all_new(&spec));
    if is_new && stand.containers.iter().all(Container::is_healthy) {
        return Happened::Yes { note: at(config, "step.is_at", &spec.name()), live: Some(spec.name()) };
    }
    // Between two containers there may be none for a moment.
    if stand.is_written(&spec) && (is_known || stand.containers.is_empty()) && spec.before.as_ref() != Some(&spec.after)
        || is_new
    {
        return Happened::Begun { note: at(config, "compose.begun", &spec.name()) };
    }
    if stand.is_before(&spec) && stand.all_old(&spec) {
        return Happened::No { note: at(config, "step.still_at", &stand.at()) };
    }
    Happened::CannotTell { why: at(config, "step.elsewhere", &stand.at()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_name_has_two_parts_wherever_it_comes_from() {
        for (name, parts) in [
            ("example/web:1.2.3", Some(("example/web", "1.2.3"))),
            ("registry.example.com:5000/shop/web:2", Some(("registry.example.com:5000/shop/web", "2"))),
            ("web:2@sha256:abc", Some(("web", "2"))),
            ("registry.example.com:5000/web", None),
            ("web", None),
            ("sha256:964e", None),
        ] {
            assert_eq!(named(name), parts, "{name}");
        }
    }
}
