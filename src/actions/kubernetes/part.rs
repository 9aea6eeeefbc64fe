//! One object's part in a step: what is compared before it, what it comes to, and what is told of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::apply;
use super::call::{Change, Site};
use super::deed::{Deed, Place};
use super::kinds::Thing;
use super::object::Object;
use super::rights::Right;
use super::scale::is_autoscaled;
use crate::incident::words::Words;

/// One object's part in a step. What could hold a secret is told by fingerprint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub thing: Thing,
    pub(super) uid: String,
    /// What is compared before acting; this, and nothing that moves by itself, makes a plan stale.
    was: String,
    /// The same afterwards, as the server rehearsed it.
    result: String,
    /// Both once more, but for restarts of ours: these neither make it stale nor stand in the way of taking it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    but_restarts: Option<[String; 2]>,
    pub from: Option<String>,
    pub to: String,
    pub deed: Deed,
    /// An earlier step of the same plan changes the object before, and this one does the same whatever that leaves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    follows: bool,
    /// When the object was changed last, as far as the plan knew: whoever did it since is named, and nobody before.
    #[serde(default)]
    known: String,
    /// The pods that were not ready, and may be deleted where they block, by their uids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stuck: Vec<String>,
    /// A roll-out that is paused goes on with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    resumes: bool,
    #[serde(skip)]
    pub(super) diff: Vec<Words>,
    /// What keeps the revision that is gone back to, where it was just read.
    #[serde(skip)]
    pub(super) holder: Option<Object>,
}

impl Part {
    /// The deed on this object as it is now.
    pub(super) fn new(thing: &Thing, object: &Object, deed: Deed, from: Option<String>, to: String) -> Self {
        let (uid, was) = (object.uid().to_owned(), deed.state(object));
        let thing = thing.clone();
        let known = object.changed_at();
        let but_restarts = deed.state_but_restarts(object).map(|was| [was, String::new()]);
        Self {
            thing,
            uid,
            was,
            result: String::new(),
            but_restarts,
            from,
            to,
            deed,
            follows: false,
            known,
            stuck: Vec::new(),
            resumes: false,
            diff: Vec::new(),
            holder: None,
        }
    }

    /// What the object is afterwards, as the server rehearsed it.
    pub(super) fn comes_to(&mut self, object: &Object) {
        self.result = self.deed.state(object);
        if let (Some([_, result]), Some(state)) = (&mut self.but_restarts, self.deed.state_but_restarts(object)) {
            *result = state;
        }
    }

    /// What a plan says about it besides from and to, one line each.
    #[must_use]
    pub(super) fn saying(mut self, diff: Vec<Words>) -> Self {
        self.diff = diff;
        self
    }

    /// In the same change a roll-out that stands still is let go on, so that what was paused never does.
    #[must_use]
    pub(super) fn resuming(mut self, object: &Object) -> Self {
        self.resumes = object.is_paused();
        let line = self.resumes.then(|| self.says("kubernetes.diff_resumes"));
        self.diff.extend(line);
        self
    }

    /// The pods of a StatefulSet that would block their own repair.
    pub(super) fn freeing(mut self, pods: &[Object]) -> Self {
        let names: Vec<&str> = pods.iter().map(Object::name).collect();
        if !names.is_empty() {
            self.diff.push(Words::new("kubernetes.diff_stuck").with("names", names));
        }
        self.stuck = pods.iter().map(|pod| pod.uid().to_owned()).collect();
        self
    }

    /// A roll-out that was paused goes on with it.
    pub(super) fn resumes(&self) -> bool {
        self.resumes
    }

    /// Those that the plan named, by their uids.
    pub(super) fn stuck(&self) -> &[String] {
        &self.stuck
    }

    /// What was just read of the revision that is gone back to.
    #[must_use]
    pub(super) fn held_by(mut self, holder: Object) -> Self {
        self.holder = Some(holder);
        self
    }

    /// The part after others of its plan that change the same object, or its name where nobody can tell what they leave.
    pub(super) fn after_others(self, site: &Site<'_>, takes_up: bool) -> Result<Self, String> {
        let name = self.thing.to_string();
        let is_applied = || site.earlier.iter().any(|facts| apply::changes(facts, &name));
        match &self.deed {
            _ if !site.taken.contains(&name) => Ok(self),
            // The images of this moment may not be those that are restarted.
            Deed::Restart => Ok(Self { follows: true, to: "restart".to_owned(), ..self }),
            // What is rolled out by then is what the manifests say.
            Deed::Pause(_) if takes_up && is_applied() => Ok(Self { follows: true, diff: Vec::new(), ..self }),
            Deed::Wait if is_applied() => Ok(Self { to: "complete".to_owned(), diff: Vec::new(), ..self }),
            _ if takes_up => Ok(self),
            _ => Err(name),
        }
    }

    /// The part that takes this one back, from where it has led to.
    pub(super) fn reversed(&self) -> Self {
        let deed = match self.deed.clone() {
            Deed::Select { set, former } => Deed::Select { set: former, former: set },
            Deed::Data { set, former } => Deed::Data { set: former, former: set },
            other => other,
        };
        let but_restarts = self.but_restarts.clone().map(|[was, result]| [result, was]);
        Self { was: self.result.clone(), result: self.was.clone(), but_restarts, deed, ..self.clone() }
    }

    pub(super) fn name(&self) -> &str {
        &self.thing.name
    }

    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// It leads to where things are already. One of several, it is looked at again with the others and not written.
    pub(super) fn changes_nothing(&self) -> bool {
        self.was == self.result && !matches!(self.deed, Deed::Wait | Deed::Secret(_))
    }

    /// It is as it was before this part.
    pub(super) fn is_undone(&self, object: &Object) -> bool {
        self.deed.state(object) == self.was || self.was_but_restarts(object)
    }

    /// It is as this part has left it.
    pub(super) fn is_done(&self, object: &Object) -> bool {
        let here = self.deed.state_but_restarts(object);
        let is_but_restarts = self.but_restarts.as_ref().is_some_and(|[_, result]| Some(result) == here.as_ref());
        self.deed.state(object) == self.result || is_but_restarts
    }

    /// It is as it was before this part but for a restart of ours.
    fn was_but_restarts(&self, object: &Object) -> bool {
        let here = self.deed.state_but_restarts(object);
        self.but_restarts.as_ref().is_some_and(|[was, _]| Some(was) == here.as_ref())
    }

    /// How many pods are left at most, where it takes some away.
    pub(super) fn made_smaller_to(&self) -> Option<i64> {
        match self.deed {
            Deed::Scale { to, .. } if self.was.parse::<i64>().is_ok_and(|was| to < was) => Some(to),
            _ => None,
        }
    }

    /// Its number of pods was set again since by its autoscaler, which is nobody's fault.
    pub(super) async fn autoscaled(&self, site: &Site<'_>, object: &Object) -> bool {
        matches!(self.deed, Deed::Scale { .. }) && is_autoscaled(site, &self.thing, object).await
    }

    /// When the object was changed last before the plan.
    pub(super) fn known(&self) -> &str {
        &self.known
    }

    /// What was compared before it.
    pub(super) fn was(&self) -> &str {
        &self.was
    }

    pub(super) fn place(&self, object: &Object, key: &str) -> Place {
        match self.deed.place(object, &self.was, &self.result, key) {
            Place::Elsewhere if self.follows && self.deed.is_reached(object) => Place::After,
            Place::Elsewhere if self.follows || self.was_but_restarts(object) => Place::Before,
            place => place,
        }
    }

    pub(super) fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("name", self.name())
    }

    pub(super) fn unfit(&self, object: &Object) -> Option<Words> {
        self.deed.unfit(object, self.resumes)
    }

    pub(super) fn body(&self, object: &Object, holder: Option<&Object>, key: &str) -> Change {
        let mut change = self.deed.body(self.thing.what, object, holder, key);
        if let Change::Json(Value::Array(operations)) = &mut change
            && self.resumes
            && object.is_paused()
        {
            operations.push(json!({"op": "remove", "path": "/spec/paused"}));
        }
        change
    }

    pub(super) fn right(&self, verb: &'static str) -> Right {
        Right::one(verb, self.thing.kind(), self.name())
    }
}
