//! Rolling workloads back to the revision before (K1): what `kubectl rollout undo` does, with a plan that names where it
//! goes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;

use super::super::config::{ConfigFault, fault};
use super::call::Site;
use super::change::Patching;
use super::deed::Deed;
use super::kinds::{PODS, Thing, What};
use super::object::{LISTS, Object, clean_template, differing};
use super::part::Part;
use super::revision::{Revision, current, history, one_back, shown};
use super::rights::Right;
use super::workloads::{all_of, of_new_templates, validate};
use super::{NoDraft, pods};
use crate::incident::approval::{Choice, Choosing};
use crate::incident::time::Instant;
use crate::incident::words::Words;

/// Lines about fields that differ.
const MOST_FIELDS: usize = 8;

/// Which workloads go back, together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Each as `deployment/name`, `statefulset/name` or `daemonset/name`.
    pub workloads: Vec<String>,
    /// A person chooses the revision, where there is one workload: false, and the one before is gone back to.
    #[serde(default)]
    pub choose: bool,
    /// A roll-out that is paused goes on with the revision that is gone back to, in the same change: false, and what is
    /// paused is refused.
    #[serde(default)]
    pub resume: bool,
}

#[async_trait]
impl Patching for Undo {
    fn things(&self) -> Vec<Thing> {
        all_of(&self.workloads)
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_undo")
    }

    fn rights(&self) -> Vec<Right> {
        let things = self.things();
        let kept = things.iter().map(|thing| thing.what.history());
        let kept = kept.flat_map(|kind| ["list", "get"].map(|verb| Right::all(verb, kind)));
        of_new_templates(&things).into_iter().chain(kept).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate(&self.workloads, &format!("{path}.workloads"), faults);
        if self.choose && self.workloads.len() > 1 {
            let sentence = "one revision is chosen, so there can be one workload; make an action for each";
            faults.push(fault(format!("{path}.choose"), sentence));
        }
    }

    fn choosing(&self) -> Choosing {
        match self.workloads.len() {
            1 if self.choose => Choosing::Must,
            1 => Choosing::May,
            _ => Choosing::Nothing,
        }
    }

    async fn choices(&self, site: &Site<'_>) -> Result<Vec<Choice>, NoDraft> {
        let Some(thing) = self.things().into_iter().next() else { return Ok(Vec::new()) };
        let object = site.get(thing.kind(), &thing.name).await;
        let object = object.map_err(|why| NoDraft::Trouble(why, Right::one("get", thing.kind(), &thing.name)))?;
        let object = Object(object);
        let known = history(&object, &kept(site, &thing, &object).await?);
        let now = object.fingerprint();
        let others = known.into_iter().filter(|one| one.fingerprint != now);
        let choice = |one: Revision| Choice {
            label: Words::new("kubernetes.choice")
                .with("at", one.shown())
                .with("made_at", moment(&one.made_at).map(|at| at.0))
                .with("cause", one.cause.as_deref()),
            // A number means something else after the next roll-back; the name of what keeps the revision does not.
            value: one.holder,
        };
        Ok(others.map(choice).collect())
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        let kept = kept(site, thing, object).await?;
        let known = history(object, &kept);
        let at = shown(&object.images(), current(object, &known).or(object.revision()));
        let none = || {
            let why = Words::new("kubernetes.no_history").with("name", thing.name.as_str());
            NoDraft::Nothing(why.with("at", at.as_str()))
        };
        let to = match site.wanted {
            Some(wanted) => named(&known, wanted).ok_or_else(|| {
                let numbers: Vec<String> = known.iter().map(|one| one.number.to_string()).collect();
                let why = Words::new("kubernetes.no_revision").with("name", thing.name.as_str());
                NoDraft::Refused(why.with("wanted", wanted).with("known", numbers))
            })?,
            None => one_back(object, &known).ok_or_else(none)?,
        };
        let holder = kept.into_iter().find(|one| one.uid() == to.holder_uid).ok_or_else(none)?;
        let diff = diff(object, &holder, &to);
        let (shown, stuck) = (to.shown(), stuck(site, thing, object).await?);
        let part =
            Part::new(thing, object, Deed::Undo(to), Some(at), shown).saying(diff).freeing(&stuck).held_by(holder);
        Ok(if self.resume { part.resuming(object) } else { part })
    }
}

/// What keeps the former templates of a workload.
pub(super) async fn kept(site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Vec<Object>, NoDraft> {
    let kept = site.list(thing.what.history(), &object.selector()).await;
    let kept = kept.map_err(|trouble| NoDraft::Trouble(trouble, Right::all("list", thing.what.history())))?;
    Ok(kept.into_iter().map(Object).collect())
}

/// The revision that a person means: by the name of what keeps it, or by its number at this moment.
fn named(known: &[Revision], wanted: &str) -> Option<Revision> {
    known.iter().find(|one| one.holder == wanted || one.number.to_string() == wanted).cloned()
}

/// What becomes different, without values: an environment may hold secrets.
fn diff(workload: &Object, holder: &Object, to: &Revision) -> Vec<Words> {
    let then: BTreeMap<String, String> = holder
        .containers()
        .into_iter()
        .filter_map(|(.., name)| Some((name.to_owned(), holder.image_of(name)?.to_owned())))
        .collect();
    let images = new_images(workload, &then);
    let told = |path: &String| {
        let changed = then.keys().filter(|name| workload.image_of(name) != then.get(*name).map(String::as_str));
        let mut places = changed.flat_map(|name| LISTS.map(|list| format!("spec.{list}[{name}].image")));
        places.any(|place| place == *path)
    };
    let fields = differing(&clean_template(workload.template()), &clean_template(holder.template()));
    let mut fields: Vec<String> = fields.into_iter().filter(|path| !told(path)).collect();
    let more = fields.len().saturating_sub(MOST_FIELDS);
    fields.truncate(MOST_FIELDS);
    let others =
        (!fields.is_empty()).then(|| Words::new("kubernetes.diff_fields").with("fields", fields).with("more", more));
    let revision = Words::new("kubernetes.diff_revision")
        .with("holder", to.holder.as_str())
        .with("made_at", moment(&to.made_at).map(|at| at.0))
        .with("cause", to.cause.as_deref());
    images.into_iter().chain(others).chain([revision]).collect()
}

/// The images that become others.
pub(super) fn new_images(workload: &Object, then: &BTreeMap<String, String>) -> Vec<Words> {
    let changed = then.iter().filter(|(name, image)| workload.image_of(name) != Some(image));
    let line = |(name, image): (&String, &String)| {
        Words::new("kubernetes.diff_image")
            .with("container", name.as_str())
            .with("from", workload.image_of(name))
            .with("to", image.as_str())
    };
    changed.map(line).collect()
}

/// The pods of a StatefulSet that would block their own repair.
pub(super) async fn stuck(site: &Site<'_>, thing: &Thing, workload: &Object) -> Result<Vec<Object>, NoDraft> {
    if thing.what != What::StatefulSet {
        return Ok(Vec::new());
    }
    pods::not_ready(site, workload).await.map_err(|trouble| NoDraft::Trouble(trouble, Right::all("list", PODS)))
}

/// A time as the API writes it.
pub(super) fn moment(text: &str) -> Option<Instant> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Instant(at.timestamp_millis()))
}
