//! Applying a folder of saved manifests under our own name (K11), server-side: each is rehearsed first, and what others
//! own is not taken from them without being told to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::config::{ConfigFault, fault};
use super::super::provider::{Happened, StepContext, StepResult};
use super::super::stopwatch::pause;
use super::applied::Told;
use super::call::{Site, Trouble};
use super::change::facts_of;
use super::ending::{halfway, if_begun};
use super::manifests::{Folder, Manifest, clean, read};
use super::object::{Difference, MARK, Object, differences};
use super::rights::Right;
use super::{Draft, NoDraft, Operation};
use crate::incident::approval::Risk;
use crate::incident::words::Words;

/// Between a refusal for a newer version and the next try.
const AGAIN: Duration = Duration::from_millis(200);
/// A request that a frozen server still holds may be carried out so long after it seemed lost.
const HELD: Duration = Duration::from_secs(2);

/// Which manifests are applied.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The whole path of the folder; its .yaml, .yml and .json files are read.
    pub folder: PathBuf,
    /// Fields that others own are taken over: false.
    #[serde(default)]
    pub force: bool,
}

/// One object's part of the approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Planned {
    name: String,
    /// The object that there is; none where it is made.
    uid: Option<String>,
    /// The fingerprint of what is changed, from and to. Told again before it is done: what somebody else has changed
    /// since shall not be overwritten by what was approved for something else.
    #[serde(default)]
    effect: String,
    /// It gives a workload another number of pods.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    scales: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Facts {
    files: BTreeMap<String, String>,
    objects: Vec<Planned>,
}

impl Planned {
    fn changes(&self) -> bool {
        self.uid.is_none() || !self.effect.is_empty()
    }
}

/// Whether these facts are of an apply that makes or changes this object.
pub(super) fn changes(facts: &Value, name: &str) -> bool {
    let is_one = |facts: Facts| facts.objects.iter().any(|one| one.name == name && one.changes());
    facts_of::<Facts>(facts).is_ok_and(is_one)
}

/// Whether these facts are of an apply that gives this workload another number of pods.
pub(super) fn scales(facts: &Value, name: &str) -> bool {
    let is_one = |facts: Facts| facts.objects.iter().any(|one| one.name == name && one.scales);
    facts_of::<Facts>(facts).is_ok_and(is_one)
}

/// What applying one of them would do.
enum Effect {
    Makes,
    Changes(Vec<Difference>),
    Nothing,
}

impl Effect {
    fn fingerprint(&self) -> String {
        match self {
            Effect::Changes(all) => hex::encode(Sha256::digest(json!(all).to_string())),
            Effect::Makes | Effect::Nothing => String::new(),
        }
    }

    fn scales(&self) -> bool {
        matches!(self, Effect::Changes(all) if all.iter().any(|one| one.path == "spec.replicas"))
    }
}

/// What the server would make of a manifest, and from which version of which object.
struct Rehearsal {
    uid: Option<String>,
    version: Option<String>,
    effect: Effect,
}

#[async_trait]
impl Operation for Apply {
    fn names(&self) -> Vec<String> {
        vec![format!("manifests {}", self.folder.display())]
    }

    fn risk(&self) -> Risk {
        Risk::Destructive
    }

    fn rights(&self) -> Vec<Right> {
        // The files say which kinds there are. Where they cannot be read here, the plan says so.
        let kinds = read(&self.folder, None).map(|folder| folder.manifests).unwrap_or_default();
        let of = |one: &Manifest| {
            let own = ["get", "patch"].map(|verb| Right::one(verb, one.kind, &one.name));
            // A role cannot name what is not there yet.
            own.into_iter().chain([Right::all("create", one.kind)])
        };
        kinds.iter().flat_map(of).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if !self.folder.is_absolute() {
            let sentence = "it depends on the folder that Vigie is started in; give the whole path";
            faults.push(fault(format!("{path}.folder"), sentence));
        }
    }

    fn settings(&self) -> Value {
        json!({"force": self.force})
    }

    async fn plan(&self, site: &Site<'_>) -> Result<Draft, NoDraft> {
        let folder = read(&self.folder, Some(site.namespace)).map_err(NoDraft::Refused)?;
        let (mut made, mut told, mut same) = (Vec::new(), Told::default(), 0_usize);
        let mut objects = Vec::new();
        for one in &folder.manifests {
            let live = live(site, one).await;
            let live = live.map_err(|why| NoDraft::Trouble(why, Right::one("get", one.kind, &one.name)))?;
            let Rehearsal { uid, effect, .. } = self.rehearsed(site, one, live).await?;
            told.takes(&one.shown(), &self.taken(site, one).await?);
            objects.push(Planned { name: one.shown(), uid, effect: effect.fingerprint(), scales: effect.scales() });
            match effect {
                Effect::Makes => made.push(one.shown()),
                Effect::Nothing => same += 1,
                Effect::Changes(all) => told.changes(site, &one.shown(), &all),
            }
        }
        if made.is_empty() && told.changes_nothing() {
            return Err(NoDraft::Already(self.folder.display().to_string()));
        }
        let new = (!made.is_empty()).then(|| Words::new("kubernetes.diff_made").with("names", made));
        let rest = (same > 0).then(|| Words::new("kubernetes.diff_same").with("objects", same));
        let left = (!folder.left_out.is_empty())
            .then(|| Words::new("kubernetes.diff_left_out").with("names", folder.left_out.clone()));
        let unknown = (!folder.unknown.is_empty())
            .then(|| Words::new("kubernetes.diff_unknown").with("names", folder.unknown.clone()));
        Ok(Draft {
            title: Words::new("kubernetes.title_apply").with("objects", objects.len()),
            from: None,
            to: self.folder.display().to_string(),
            diff: new.into_iter().chain(told.lines(self.force)).chain(rest).chain(left).chain(unknown).collect(),
            also: objects.iter().map(|one| one.name.clone()).collect(),
            facts: json!(Facts { files: folder.files, objects }),
        })
    }

    async fn execute(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        let (facts, folder) = match self.approved(facts, site) {
            Ok(found) => found,
            Err(why) => return StepResult::stale(why),
        };
        let key = cx.idempotency_key();
        let mut done: Vec<String> = Vec::new();
        for (one, planned) in folder.manifests.iter().zip(&facts.objects) {
            (cx.progress)(Words::new("kubernetes.applying").with("name", one.shown()));
            match self.write(site, one, planned, &key).await {
                Ok(()) => done.push(one.shown()),
                Err(result) => {
                    let left = folder.manifests.iter().skip(done.len()).map(Manifest::shown).collect();
                    return halfway(if_begun(cx.begun, result), done, left);
                }
            }
        }
        StepResult::done(Words::new("kubernetes.applied").with("objects", done.len()))
    }

    async fn check(&self, facts: &Value, site: &Site<'_>, cx: &StepContext<'_>) -> Happened {
        let folder = match self.approved(facts, site) {
            Ok((_, folder)) => folder,
            Err(why) => return Happened::CannotTell { why },
        };
        let key = cx.idempotency_key();
        let mut looked_twice = false;
        loop {
            let mut done = 0;
            for one in &folder.manifests {
                match site.get(one.kind, &one.name).await {
                    Ok(object) if Object(object.clone()).mark() == Some(&key) => done += 1,
                    Ok(_) => {}
                    Err(trouble) if trouble.is_absent() => {}
                    Err(trouble) => {
                        let why = trouble.words(site, &Right::one("get", one.kind, &one.name));
                        return Happened::CannotTell { why };
                    }
                }
            }
            let note = Words::new("kubernetes.applied").with("objects", done);
            if done == folder.manifests.len() {
                return Happened::Yes { note, live: None };
            }
            if done > 0 {
                return Happened::Begun { note };
            }
            if looked_twice {
                return Happened::No { note };
            }
            looked_twice = true;
            pause(HELD).await;
        }
    }
}

impl Apply {
    /// The facts and the folder, if its files are what was approved.
    fn approved(&self, facts: &Value, site: &Site<'_>) -> Result<(Facts, Folder), Words> {
        let facts: Facts = facts_of(facts)?;
        let folder = read(&self.folder, Some(site.namespace))?;
        let names: Vec<String> = folder.manifests.iter().map(Manifest::shown).collect();
        let same = folder.files == facts.files && names.iter().eq(facts.objects.iter().map(|one| &one.name));
        let moved = || Words::new("kubernetes.files_moved").with("folder", self.folder.display().to_string());
        if same { Ok((facts, folder)) } else { Err(moved()) }
    }

    /// The fields that it would take from others, as the server names them to whoever does not force it.
    async fn taken(&self, site: &Site<'_>, one: &Manifest) -> Result<Vec<String>, NoDraft> {
        if !self.force {
            return Ok(Vec::new());
        }
        match site.apply(one.kind, &one.name, &one.object, false, true).await {
            Ok(_) => Ok(Vec::new()),
            Err(trouble) => match trouble.owned_by_others() {
                Some(fields) => Ok(fields),
                None => Err(NoDraft::Trouble(trouble, Right::one("patch", one.kind, &one.name))),
            },
        }
    }

    /// What the server would make of it.
    async fn rehearsed(&self, site: &Site<'_>, one: &Manifest, live: Option<Object>) -> Result<Rehearsal, NoDraft> {
        let answer = site.apply(one.kind, &one.name, &one.object, self.force, true).await;
        let answer = answer.map_err(|trouble| {
            if let Some(fields) = trouble.owned_by_others() {
                let why = Words::new("kubernetes.owned_by_others").with("name", one.shown());
                return NoDraft::Refused(why.with("fields", fields));
            }
            if let Some(said) = trouble.unknown_field() {
                let why = Words::new("kubernetes.unknown_field").with("name", one.shown());
                return NoDraft::Refused(why.with("said", site.redactor.short(said, 300)));
            }
            NoDraft::Trouble(trouble, Right::one("patch", one.kind, &one.name))
        })?;
        let Some(live) = live else { return Ok(Rehearsal { uid: None, version: None, effect: Effect::Makes }) };
        let (uid, version) = (Some(live.uid().to_owned()), Some(live.version().to_owned()));
        let (mut before, mut after) = (live.0, answer);
        clean(&mut before);
        clean(&mut after);
        let all = differences(&before, &after);
        Ok(Rehearsal { uid, version, effect: if all.is_empty() { Effect::Nothing } else { Effect::Changes(all) } })
    }

    /// Applies one of them. Applied twice it comes to the same; the version that was looked at goes along all the same, so
    /// that a copy of the request that arrives late changes nothing.
    async fn write(&self, site: &Site<'_>, one: &Manifest, planned: &Planned, key: &str) -> Result<(), StepResult> {
        let mut may_have_happened = false;
        loop {
            let trouble = match self.try_once(site, one, planned, key, &mut may_have_happened).await {
                Ok(result) => return result.map_err(|result| result.after(may_have_happened)),
                Err(trouble) => trouble,
            };
            let stays = trouble.owned_by_others().is_some() || !(trouble.is_conflict() || trouble.passes());
            if stays || site.left().is_zero() {
                let why = trouble.words(site, &Right::one("patch", one.kind, &one.name));
                return Err(StepResult::unchanged(why).after(may_have_happened));
            }
            site.tell(&trouble);
            pause(AGAIN).await;
        }
    }

    /// Looks, and applies it once. Only what is applied can have happened: nothing comes of a reading or a rehearsal.
    async fn try_once(
        &self,
        site: &Site<'_>,
        one: &Manifest,
        planned: &Planned,
        key: &str,
        may_have_happened: &mut bool,
    ) -> Result<Result<(), StepResult>, Trouble> {
        let live = live(site, one).await?;
        if live.as_ref().is_some_and(|live| live.mark() == Some(key)) {
            return Ok(Ok(()));
        }
        let now = match self.rehearsed(site, one, live).await {
            Ok(now) => now,
            Err(NoDraft::Trouble(trouble, _)) => return Err(trouble),
            Err(other) => return Ok(Err(StepResult::stale(other.fault(site, &one.shown()).words()))),
        };
        if now.uid != planned.uid {
            let moved = if now.uid.is_none() { "kubernetes.gone" } else { "kubernetes.replaced" };
            return Ok(Err(StepResult::stale(Words::new(moved).with("name", one.shown()))));
        }
        if now.effect.fingerprint() != planned.effect {
            return Ok(Err(StepResult::stale(Words::new("kubernetes.apply_moved").with("name", one.shown()))));
        }
        let mut object = one.object.clone();
        object["metadata"]["annotations"][MARK] = key.into();
        if let Some(version) = &now.version {
            object["metadata"]["resourceVersion"] = version.as_str().into();
        }
        let applied = site.apply(one.kind, &one.name, &object, self.force, false).await;
        applied.map(|_| Ok(())).inspect_err(|trouble| *may_have_happened |= trouble.may_have_happened())
    }
}

/// The object as it is; nothing where there is none yet.
async fn live(site: &Site<'_>, one: &Manifest) -> Result<Option<Object>, Trouble> {
    match site.get(one.kind, &one.name).await {
        Ok(live) => Ok(Some(Object(live))),
        Err(trouble) if trouble.is_absent() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}
