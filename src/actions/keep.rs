//! Keeping the state of things before anything is changed (K15): as text that people can read, without secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use super::Actions;
use super::check::millis;
use super::provider::{ActionProvider, PlanContext};
use super::stopwatch::within;
use crate::incident::approval::{ActionPlan, PlannedStep};
use crate::incident::words::Words;

/// How long one place may take.
const WITHIN: Duration = Duration::from_secs(30);
/// The longest file, and all files of a run together, in bytes.
const MOST_FILE: usize = 8 << 20;
const MOST_RUN: usize = 32 << 20;
/// The last line of what was longer.
const CUT: &str = "… cut here: the rest was longer than what is kept";

/// What was kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The files.
    pub files: Vec<StateFile>,
    /// What could not be kept, one line each.
    pub missed: Vec<Words>,
}

/// One file of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// Its name.
    pub name: String,
    /// Its content.
    pub content: String,
}

impl Actions {
    /// Keeps the state of every place that the plan would change and that can be kept. Only reads.
    pub async fn keep_state(&self, plan: &ActionPlan) -> State {
        let cx = PlanContext { world: &self.inner.world, within: WITHIN, wanted: None, earlier: &[], done_by: None };
        let places = self.places(plan);
        let kept = places.iter().map(|(place, (provider, steps))| {
            let keeping = within(WITHIN, provider.keep_state(steps, &cx));
            async move { keeping.await.unwrap_or_else(|_| too_slow(place)) }
        });
        let mut all = State::default();
        for state in join_all(kept).await {
            all.files.extend(state.files);
            all.missed.extend(state.missed);
        }
        self.made_fit(all)
    }

    /// Each place once, with the steps that change it.
    fn places<'a>(&'a self, plan: &'a ActionPlan) -> BTreeMap<String, (&'a dyn ActionProvider, Vec<&'a PlannedStep>)> {
        let configured = self.inner.config.actions.get(&plan.action).map(|action| action.steps.as_slice());
        let mut places: BTreeMap<String, (&dyn ActionProvider, Vec<&PlannedStep>)> = BTreeMap::new();
        for (index, step) in plan.steps.iter().enumerate() {
            let config = configured.and_then(|steps| steps.get(step.configured_at.unwrap_or(index)));
            let Some((_, provider)) = config.and_then(|config| config.provider()) else { continue };
            if let Some(place) = provider.keeps_state_of() {
                places.entry(place).or_insert_with(|| (provider, Vec::new())).1.push(step);
            }
        }
        places
    }

    /// Without secrets, and of bearable length.
    fn made_fit(&self, mut state: State) -> State {
        let redactor = self.redactor();
        let mut room = MOST_RUN;
        for file in &mut state.files {
            // A database's text knows no such letter.
            let clean = redactor.lines(&file.content, false).replace('\0', "\u{fffd}");
            let most = MOST_FILE.min(room);
            if clean.len() > most {
                state.missed.push(Words::new("kept.cut").with("file", file.name.as_str()));
            }
            file.content = cut(clean, most);
            room -= file.content.len().min(room);
        }
        state.files.retain(|file| !file.content.trim().is_empty());
        state.missed = state.missed.into_iter().map(|why| redactor.words(why, 500)).collect();
        state
    }
}

fn too_slow(place: &str) -> State {
    let why = Words::new("kept.too_slow").with("place", place).with("within_ms", millis(WITHIN).0);
    State { files: Vec::new(), missed: vec![why] }
}

/// Whole lines of so many bytes.
fn cut(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let room = most.saturating_sub(CUT.len() + 1);
    let end = text.bytes().take(room).rposition(|byte| byte == b'\n').map_or(0, |end| end + 1);
    format!("{}{CUT}\n", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_is_said_to_be() {
        let file = |name: &str, bytes: usize| StateFile { name: name.to_owned(), content: "line\n".repeat(bytes / 5) };
        let state = State { files: vec![file("short", 50), file("long", MOST_FILE + 50)], missed: Vec::new() };
        let kept = crate::actions::toy::actions("services: {}").made_fit(state);
        assert!(kept.files.iter().all(|file| file.content.len() <= MOST_FILE));
        assert_eq!(kept.missed, [Words::new("kept.cut").with("file", "long")]);
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_line_and_says_so() {
        assert_eq!(cut("short".to_owned(), 10), "short");
        let long = "é line\n".repeat(100);
        let kept = cut(long.clone(), 200);
        assert!(
            kept.len() <= 200 && kept.starts_with("é line\n") && kept.ends_with(&format!("line\n{CUT}\n")),
            "{kept}"
        );
        assert_eq!(cut(long, 3), format!("{CUT}\n"));
    }
}
