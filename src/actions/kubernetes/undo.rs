//! Rolling workloads back to the revision before (K1): what `kubectl rollout undo` does, with a plan that names where it
//! goes.

use async_trait::async_trait;
use serde::Deserialize;

use super::super::config::ConfigFault;
use super::call::Site;
use super::change::{Part, Patching};
use super::deed::Deed;
use super::kinds::{PODS, Thing, What};
use super::object::{Object, clean_template, differing};
use super::revision::{Revision, current, history, one_back, shown};
use super::rights::Right;
use super::workloads::{all_of, of_roll_outs, validate};
use super::{NoDraft, pods};
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
        of_roll_outs(&things).into_iter().chain(kept).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate(&self.workloads, &format!("{path}.workloads"), faults);
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        let kept = site.list(thing.what.history(), &object.selector()).await;
        let kept = kept.map_err(|trouble| NoDraft::Trouble(trouble, Right::all("list", thing.what.history())))?;
        let kept: Vec<Object> = kept.into_iter().map(Object).collect();
        let known = history(object, &kept);
        let at = shown(&object.images(), current(object, &known).or(object.revision()));
        let none = || {
            let why = Words::new("kubernetes.no_history").with("name", thing.name.as_str());
            NoDraft::Nothing(why.with("at", at.as_str()))
        };
        let to = one_back(object, &known).ok_or_else(none)?;
        let holder = kept.into_iter().find(|one| one.uid() == to.holder_uid).ok_or_else(none)?;
        let mut diff = diff(object, &holder, &to);
        if thing.what == What::StatefulSet {
            diff.extend(
                stuck(site, object).await.map_err(|trouble| NoDraft::Trouble(trouble, Right::all("list", PODS)))?,
            );
        }
        let shown = to.shown();
        Ok(Part::new(thing, object, Deed::Undo(to), Some(at), shown).saying(diff).held_by(holder))
    }
}

/// What becomes different, without values: an environment may hold secrets.
fn diff(workload: &Object, holder: &Object, to: &Revision) -> Vec<Words> {
    let images = new_images(workload, &to.images);
    let fields = differing(&clean_template(workload.template()), &clean_template(holder.template()));
    let mut fields: Vec<String> = fields.into_iter().filter(|path| !path.ends_with("].image")).collect();
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
pub(super) fn new_images(workload: &Object, then: &std::collections::BTreeMap<String, String>) -> Vec<Words> {
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
async fn stuck(site: &Site<'_>, workload: &Object) -> Result<Option<Words>, super::call::Trouble> {
    let names = pods::not_ready(site, What::StatefulSet, workload).await?;
    Ok((!names.is_empty()).then(|| Words::new("kubernetes.diff_stuck").with("names", names)))
}

/// A time as the API writes it.
pub(super) fn moment(text: &str) -> Option<Instant> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(Instant(at.timestamp_millis()))
}
