//! What Vigie needs to be allowed, asked of the server before anybody is asked.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::call::{Kind, Site};
use crate::incident::words::Words;

/// One thing that must be allowed in the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Right<'a> {
    pub verb: &'static str,
    pub kind: Kind,
    /// The one object that it is needed for; all of the kind when it is not said.
    pub name: Option<&'a str>,
}

impl<'a> Right<'a> {
    pub(super) const fn one(verb: &'static str, kind: Kind, name: &'a str) -> Self {
        Self { verb, kind, name: Some(name) }
    }

    pub(super) const fn all(verb: &'static str, kind: Kind) -> Self {
        Self { verb, kind, name: None }
    }

    /// As the API server wants to be asked about it.
    pub(super) fn attributes(&self, namespace: &str) -> Value {
        json!({
            "verb": self.verb,
            "group": self.kind.group,
            "resource": self.kind.plural,
            "namespace": namespace,
            "name": self.name.unwrap_or_default(),
        })
    }

    /// `patch deployments/web in shop`.
    pub(super) fn words(&self, namespace: &str) -> Words {
        Words::new("kubernetes.right")
            .with("verb", self.verb)
            .with("resource", self.kind.plural)
            .with("name", self.name)
            .with("namespace", namespace)
    }

    /// The object is not there.
    pub(super) fn absent(&self, namespace: &str) -> Words {
        Words::new("kubernetes.absent")
            .with("resource", self.kind.plural)
            .with("name", self.name)
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
pub(super) async fn check(site: &Site<'_>, rights: &[Right<'_>]) -> Allowed {
    let mut asked = Vec::new();
    for right in rights {
        asked.push(site.may(right));
    }
    let answers = join_all(asked).await;
    let mut missing: Vec<Value> = Vec::new();
    for (right, answer) in rights.iter().zip(answers) {
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
        Allowed::All(rights.iter().map(|right| right.words(site.namespace)).collect())
    } else {
        Allowed::Lacks(Words::new("kubernetes.denied").with("rights", missing))
    }
}
