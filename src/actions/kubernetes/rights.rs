//! What Vigie needs to be allowed: asked of the server before anybody is asked, and printed as roles.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::call::Site;
use super::kinds::Kind;
use crate::incident::words::Words;

/// One thing that must be allowed in the namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub(super) kind: Kind,
    /// A part of the object that has rights of its own: `log`.
    pub(super) part: &'static str,
    /// The one object that it is needed for; all of the kind when it is not said.
    pub(super) name: Option<String>,
    pub(super) verb: &'static str,
    /// Without it the step works all the same and can say less.
    pub(super) is_extra: bool,
}

impl Right {
    pub(super) fn one(verb: &'static str, kind: Kind, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::all(verb, kind) }
    }

    pub(super) const fn all(verb: &'static str, kind: Kind) -> Self {
        Self { kind, part: "", name: None, verb, is_extra: false }
    }

    /// A right on a part of the kind's objects.
    pub(super) const fn part(verb: &'static str, kind: Kind, part: &'static str) -> Self {
        Self { kind, part, name: None, verb, is_extra: false }
    }

    /// Only to say more.
    #[must_use]
    pub(super) fn extra(mut self) -> Self {
        self.is_extra = true;
        self
    }

    /// As roles write it: `pods/log`.
    pub(super) fn resource(&self) -> String {
        if self.part.is_empty() { self.kind.plural.to_owned() } else { format!("{}/{}", self.kind.plural, self.part) }
    }

    /// As the API server wants to be asked about it.
    pub(super) fn attributes(&self, namespace: &str) -> Value {
        json!({
            "verb": self.verb,
            "group": self.kind.group,
            "resource": self.kind.plural,
            "subresource": self.part,
            "namespace": namespace,
            "name": self.name.as_deref().unwrap_or_default(),
        })
    }

    /// `patch deployments/web in shop`.
    pub(super) fn words(&self, namespace: &str) -> Words {
        Words::new("kubernetes.right")
            .with("verb", self.verb)
            .with("resource", self.resource())
            .with("name", self.name.as_deref())
            .with("namespace", namespace)
    }

    /// The object is not there.
    pub(super) fn absent(&self, namespace: &str) -> Words {
        Words::new("kubernetes.absent")
            .with("resource", self.kind.plural)
            .with("name", self.name.as_deref())
            .with("namespace", namespace)
    }
}

/// What was found about the rights of a plan.
pub(super) enum Allowed {
    /// All of them, each in words.
    All(Vec<Words>),
    /// These are missing.
    Lacks(Words),
    /// The server does not say; the plan's rehearsal has to do.
    Unsaid,
}

/// Asks about all of them at once.
pub(super) async fn check(site: &Site<'_>, rights: &[Right]) -> Allowed {
    let needed: Vec<&Right> = rights.iter().filter(|right| !right.is_extra).collect();
    let mut asked = Vec::new();
    for right in &needed {
        asked.push(site.may(right));
    }
    let answers = join_all(asked).await;
    let mut missing: Vec<Value> = Vec::new();
    for (right, answer) in needed.iter().zip(answers) {
        match answer {
            Ok(true) => {}
            Ok(false) => missing.push(right.words(site.namespace).into()),
            Err(trouble) => {
                tracing::warn!(?trouble, "the rights could not be checked beforehand");
                return Allowed::Unsaid;
            }
        }
    }
    if missing.is_empty() {
        Allowed::All(needed.iter().map(|right| right.words(site.namespace)).collect())
    } else {
        Allowed::Lacks(Words::new("kubernetes.denied").with("rights", missing))
    }
}
