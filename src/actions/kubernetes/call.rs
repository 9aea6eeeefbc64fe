//! Requests to an API server: readings are repeated, a change is sent once, and every trouble has its words.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::AsyncBufRead;
use kube::client::{Body, Client};
use kube::core::Status;
use kube::core::params::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchParams,
};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderValue};
use serde_json::{Value, json};

use super::super::World;
use super::super::redact::Redactor;
use super::super::stopwatch::{Stopwatch, pause, within};
use super::cluster::{Cluster, refused_access};
use super::kinds::{Kind, PODS, SECRETS};
use super::rights::Right;
use crate::incident::time::Instant;
use crate::incident::words::Words;

/// A request of kube's, by http's own type.
pub(super) type Call = axum::http::Request<Vec<u8>>;

/// Who the API server is told has changed something.
const MANAGER: &str = "vigie";
/// The first pause before a reading is repeated; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a change may take when the cluster's webhooks are slow.
const SLOW_CHANGE: Duration = Duration::from_secs(30);
/// A server that was silent a moment ago may have started anew, and then it refuses everybody until it has read who may
/// do what.
const LEARNS_RIGHTS: Duration = Duration::from_secs(15);
/// Objects on one page of a list.
const PAGE: u32 = 500;

/// A change of one object, in one of the languages for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// A list of operations.
    Json(Value),
    /// What is to be laid over the object; null takes a field away.
    Merge(Value),
    /// The same, with lists merged by their entries' names.
    Strategic(Value),
}

/// One namespace of one cluster, for one piece of work with its deadline.
pub(super) struct Site<'a> {
    cluster: &'a Cluster,
    pub(super) namespace: &'a str,
    pub(super) redactor: &'a Redactor,
    /// Where a person says it goes, while planning.
    pub(super) wanted: Option<&'a str>,
    /// What steps before this one of the same plan do in this namespace, while planning: the facts of each.
    pub(super) earlier: Vec<&'a Value>,
    /// What these steps change here, as people write it.
    pub(super) taken: BTreeSet<String>,
    /// Who is told while a step is carried out that the cluster does not answer.
    pub(super) tells: Option<&'a (dyn Fn(Words) + Send + Sync)>,
    /// The API server that a plan was approved for, as [`Site::server`] tells it: nothing is asked of another one.
    pub(super) held_to: Option<&'a str>,
    watch: Stopwatch,
    within: Duration,
    /// Since the server last gave no answer.
    silence: Mutex<Option<Stopwatch>>,
    /// The last that was told is that it does not answer.
    told_silence: AtomicBool,
}

/// Why a request brought nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no way to the cluster: its file, its credentials.
    NoAccess(Words),
    /// No answer, or half of one; what was asked for may have happened unless it was never sent.
    NoAnswer { sent: bool, why: String },
    /// The API server says no.
    Refused(Box<Status>),
}

impl Trouble {
    fn of(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Trouble::Refused(status),
            kube::Error::Auth(_) | kube::Error::RustlsTls(_) => Trouble::NoAccess(refused_access(&error)),
            other => Trouble::NoAnswer { sent: !never_left(&other), why: innermost(&other) },
        }
    }

    /// The request itself is impossible.
    pub(super) fn unsent(why: kube::core::request::Error) -> Self {
        Trouble::NoAnswer { sent: false, why: why.to_string() }
    }

    pub(super) fn late(waited: Duration) -> Self {
        Trouble::NoAnswer { sent: true, why: format!("no answer in {} s", waited.as_secs()) }
    }

    /// The answer ended in its middle.
    pub(super) fn broke_off(error: &std::io::Error) -> Self {
        Trouble::NoAnswer { sent: true, why: error.to_string() }
    }

    fn garbled() -> Self {
        Trouble::NoAnswer { sent: true, why: "the answer is no JSON".to_owned() }
    }

    /// Asking again may bring something else.
    pub(super) fn passes(&self) -> bool {
        match self {
            Trouble::NoAccess(_) => false,
            Trouble::NoAnswer { .. } => true,
            Trouble::Refused(status) => status.code == 429 || status.code >= 500,
        }
    }

    /// What was asked for may be the case all the same.
    pub(super) fn may_have_happened(&self) -> bool {
        match self {
            Trouble::NoAccess(_) => false,
            Trouble::NoAnswer { sent, .. } => *sent,
            Trouble::Refused(status) => status.code >= 500,
        }
    }

    /// The object changed since it was read.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Trouble::Refused(status) if status.code == 409)
    }

    /// What the server says of a field that no object of the kind has. Until 1.24 it is told as the server's own trouble
    /// (500), after that as a fault of the request (400) with a sentence of its own.
    pub(super) fn unknown_field(&self) -> Option<&str> {
        let Trouble::Refused(status) = self else { return None };
        let is_one = ["field not declared in schema", "strict decoding error: unknown field"];
        is_one.iter().any(|words| status.message.contains(words)).then_some(status.message.as_str())
    }

    /// The fields that an apply would have taken from others.
    pub(super) fn owned_by_others(&self) -> Option<Vec<String>> {
        let Trouble::Refused(status) = self else { return None };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let fields = causes.filter(|cause| cause.reason == "FieldManagerConflict");
        let fields: Vec<String> = fields.map(|cause| format!("{} ({})", cause.field, cause.message)).collect();
        (status.code == 409 && !fields.is_empty()).then_some(fields)
    }

    /// A disruption budget lets no more pod go now.
    pub(super) fn is_held_by_a_budget(&self) -> bool {
        matches!(self, Trouble::Refused(status) if status.code == 429 && has_cause(status, "DisruptionBudget"))
    }

    /// A pod that more than one disruption budget selects is never evicted. The server tells it as its own trouble (500), and
    /// asking again brings the same.
    pub(super) fn is_held_by_several_budgets(&self) -> bool {
        matches!(self, Trouble::Refused(status) if status.message.contains("more than one PodDisruptionBudget"))
    }

    /// What should answer is not there at the moment.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(self, Trouble::Refused(status) if status.code == 503)
    }

    /// We may not do that, as the roles have it.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Trouble::Refused(status) if is_of_roles(status))
    }

    /// The server forbids it, for whatever reason.
    fn is_forbidden(&self) -> bool {
        matches!(self, Trouble::Refused(status) if status.code == 403)
    }

    /// What was asked for was there, and is not kept any more.
    fn is_forgotten(&self) -> bool {
        matches!(self, Trouble::Refused(status) if status.code == 410)
    }

    /// The object is not there.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Trouble::Refused(status) if status.code == 404)
    }

    /// That it does not answer, or not as it should, whatever was asked for.
    fn silence(&self, site: &Site<'_>) -> Words {
        let why = match self {
            Trouble::NoAccess(why) => Value::from(why.clone()),
            Trouble::NoAnswer { why, .. } => site.redactor.short(why, 200).into(),
            // Its sentence may hold what was asked about; its code does not.
            Trouble::Refused(status) => format!("{} {}", status.code, site.redactor.short(&status.reason, 60)).into(),
        };
        Words::new("kubernetes.no_connection").with("cluster", site.cluster.key.as_str()).with("why", why)
    }

    /// What asked for it would say; `right` is what was tried.
    pub(super) fn words(&self, site: &Site<'_>, right: &Right) -> Words {
        let cluster = site.cluster.key.as_str();
        match self {
            Trouble::NoAccess(why) => {
                Words::new("kubernetes.unusable").with("cluster", cluster).with("why", why.clone())
            }
            Trouble::NoAnswer { why, .. } => Words::new("kubernetes.no_connection")
                .with("cluster", cluster)
                .with("why", site.redactor.short(why, 200)),
            Trouble::Refused(status) => match status.code {
                401 => Words::new("kubernetes.unknown_us").with("cluster", cluster),
                403 if has_cause(status, "NamespaceTerminating") => {
                    Words::new("kubernetes.namespace_ending").with("namespace", site.namespace)
                }
                403 if is_of_roles(status) => {
                    Words::new("kubernetes.denied").with("rights", vec![Value::from(right.words(site.namespace))])
                }
                404 => right.absent(site.namespace),
                // Its answer to a change of a Secret may hold the Secret, the values that nobody sent included.
                code if right.kind == SECRETS => Words::new("kubernetes.refuses_secret")
                    .with("code", code)
                    .with("reason", site.redactor.short(&status.reason, 60)),
                _ => Words::new("kubernetes.server_refuses").with("said", site.redactor.short(&said(status), 300)),
            },
        }
    }
}

/// The roles forbid it. A quota, a policy or a webhook forbids with the same code, and says why in its own words.
fn is_of_roles(status: &Status) -> bool {
    status.code == 403 && status.message.contains("User \"") && status.message.contains("\" cannot ")
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status.details.iter().flat_map(|details| &details.causes).any(|cause| cause.reason == reason)
}

/// The server's own sentence: its causes where it names fields, else its message.
fn said(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes).filter(|cause| !cause.field.is_empty());
    let causes: Vec<String> = causes.map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    if causes.is_empty() { status.message.clone() } else { causes.join("; ") }
}

/// The connection was never made, so nothing can have happened.
fn never_left(error: &kube::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(client) = cause.downcast_ref::<hyper_util::client::legacy::Error>() {
            return client.is_connect();
        }
        source = cause.source();
    }
    false
}

/// The server's certificate is vouched for by nobody whom we know.
fn distrusts(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(tls) = error.downcast_ref() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    // An error of input and output tells of the causes of what it holds, and not of that itself.
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    held.is_some_and(|held| distrusts(held)) || error.source().is_some_and(distrusts)
}

/// The cause below all others: what people can do something about.
fn innermost(error: &kube::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(below) = cause.source() {
        cause = below;
    }
    cause.to_string()
}

/// The events of one object.
pub(super) type Events = futures_util::stream::BoxStream<'static, Result<Event, ()>>;

/// What a watch tells.
pub(super) enum Event {
    /// The object as it is now.
    Is(Value),
    /// It is gone.
    Gone,
}

impl<'a> Site<'a> {
    /// Begins a piece of work that may take so long.
    pub(super) fn new(cluster: &'a Cluster, namespace: &'a str, world: &'a World, within: Duration) -> Self {
        let (redactor, watch) = (&world.redactor, Stopwatch::start());
        Self {
            cluster,
            namespace,
            redactor,
            wanted: None,
            earlier: Vec::new(),
            taken: BTreeSet::new(),
            tells: None,
            held_to: None,
            watch,
            within,
            silence: Mutex::default(),
            told_silence: AtomicBool::new(false),
        }
    }

    /// The time that is left.
    pub(super) fn left(&self) -> Duration {
        self.watch.left_of(self.within)
    }

    /// The whole time there was.
    pub(super) fn within(&self) -> Duration {
        self.within
    }

    /// Where the objects of a kind stand.
    pub(super) fn at(&self, kind: Kind) -> kube::core::Request {
        kube::core::Request::new(kind.path(self.namespace))
    }

    /// Which API server the cluster is reached at now, told so that two are known apart.
    pub(super) async fn server(&self) -> Result<String, Trouble> {
        self.cluster.access().await.map(|access| access.server).map_err(Trouble::NoAccess)
    }

    /// What speaks to the API server, where that is the one that was approved.
    async fn client(&self) -> Result<Client, Trouble> {
        let access = self.cluster.access().await.map_err(Trouble::NoAccess)?;
        match self.held_to {
            Some(wanted) if wanted != access.server => Err(Trouble::NoAccess(self.is_another())),
            _ => Ok(access.client),
        }
    }

    /// The kubeconfig leads somewhere else than it did when the plan was made.
    pub(super) fn is_another(&self) -> Words {
        Words::new("kubernetes.other_cluster").with("cluster", self.cluster.key.as_str())
    }

    /// Whoever looks at the card learns why nothing moves.
    pub(super) fn tell(&self, trouble: &Trouble) {
        if let (Some(tells), true) = (self.tells, trouble.passes()) {
            tells(trouble.silence(self));
            self.told_silence.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the card says that the cluster does not answer. Asked once it has answered, so that it is told again how things
    /// are: people would mend the network, and not what does not become ready.
    pub(super) fn was_silent(&self) -> bool {
        self.told_silence.swap(false, Ordering::Relaxed)
    }

    /// Sends one request once.
    async fn once(&self, call: Call, longest: Duration) -> Result<String, Trouble> {
        let client = self.client().await?;
        let answer = within(longest, client.request_text(call)).await;
        let answer = answer.map_err(|_| Trouble::late(longest))?;
        if answer.as_ref().is_err_and(|error| distrusts(error)) {
            // Who vouches for the server may have changed since: the next client reads it anew.
            self.cluster.forget_client().await;
        }
        answer.map_err(Trouble::of)
    }

    /// Sends one request. A refusal means that nothing happened: where it may pass by itself it is asked again.
    async fn ask(&self, call: Call, longest: Duration) -> Result<Value, Trouble> {
        loop {
            match self.ask_as_known(&call, longest).await {
                Err(trouble) if trouble.is_forbidden() && self.may_have_just_started() => pause(FIRST_PAUSE).await,
                Err(trouble) => {
                    if matches!(trouble, Trouble::NoAnswer { .. }) {
                        self.heard_nothing();
                    }
                    return Err(trouble);
                }
                answer => return answer,
            }
        }
    }

    /// With new credentials once more when the old ones are not taken.
    async fn ask_as_known(&self, call: &Call, longest: Duration) -> Result<Value, Trouble> {
        let mut answer = self.once(call.clone(), longest).await;
        if matches!(&answer, Err(Trouble::Refused(status)) if status.code == 401) {
            self.cluster.forget_client().await;
            answer = self.once(call.clone(), longest).await;
        }
        serde_json::from_str(&answer?).map_err(|_| Trouble::garbled())
    }

    /// The server gave no answer, or broke off in one.
    pub(super) fn heard_nothing(&self) {
        *self.silence.lock().unwrap_or_else(PoisonError::into_inner) = Some(Stopwatch::start());
    }

    fn may_have_just_started(&self) -> bool {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let learns = silence.as_ref().is_some_and(|since| !since.left_of(LEARNS_RIGHTS).is_zero());
        learns && !self.left().is_zero()
    }

    /// How long one reading may take now. The last one may begin just before the end and gets a moment of its own.
    pub(super) fn one_look(&self) -> Duration {
        self.left().max(Duration::from_secs(1)).min(self.cluster.answers_within())
    }

    /// An object as it is at this moment, asked for once.
    pub(super) async fn look(&self, kind: Kind, name: &str) -> Result<Value, Trouble> {
        let call = self.at(kind).get(name, &GetParams::default()).map_err(Trouble::unsent)?;
        self.ask(call, self.one_look()).await
    }

    /// An object, asked for until there is an answer or no time is left.
    pub(super) async fn get(&self, kind: Kind, name: &str) -> Result<Value, Trouble> {
        let call = self.at(kind).get(name, &GetParams::default()).map_err(Trouble::unsent)?;
        self.patiently(call).await
    }

    /// All objects of a kind with these labels.
    pub(super) async fn list(&self, kind: Kind, labels: &str) -> Result<Vec<Value>, Trouble> {
        self.listing(kind, ListParams::default().labels(labels)).await
    }

    /// All objects of a kind with these fields.
    pub(super) async fn list_fields(&self, kind: Kind, fields: &str) -> Result<Vec<Value>, Trouble> {
        self.listing(kind, ListParams::default().fields(fields)).await
    }

    async fn listing(&self, kind: Kind, params: ListParams) -> Result<Vec<Value>, Trouble> {
        let place = self.at(kind);
        self.pages(params, |params| place.list(params)).await
    }

    /// All objects at a path.
    pub(super) async fn list_at(&self, path: &str) -> Result<Vec<Value>, Trouble> {
        let place = kube::core::Request::new(path);
        self.pages(ListParams::default(), |params| place.list(params)).await
    }

    /// The same with nothing but their metadata: the server keeps the rest to itself.
    pub(super) async fn list_metadata(&self, path: &str) -> Result<Vec<Value>, Trouble> {
        let place = kube::core::Request::new(path);
        self.pages(ListParams::default(), |params| place.list_metadata(params)).await
    }

    /// Whatever stands at a path.
    pub(super) async fn get_at(&self, path: &str) -> Result<Value, Trouble> {
        let call = axum::http::Request::get(path).body(Vec::new()).map_err(|_| Trouble::garbled())?;
        self.patiently(call).await
    }

    async fn pages(
        &self,
        params: ListParams,
        page: impl Fn(&ListParams) -> Result<Call, kube::core::request::Error>,
    ) -> Result<Vec<Value>, Trouble> {
        let mut params = params.limit(PAGE);
        let mut all = Vec::new();
        loop {
            let call = page(&params).map_err(Trouble::unsent)?;
            let mut page = match self.patiently(call).await {
                // The server has forgotten the list that goes on here. Only a new one tells what there is.
                Err(trouble) if trouble.is_forgotten() && params.continue_token.is_some() && !self.left().is_zero() => {
                    all.clear();
                    params.continue_token = None;
                    continue;
                }
                page => page?,
            };
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                all.extend(items);
            }
            match page.pointer("/metadata/continue").and_then(Value::as_str).filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token.to_owned()),
                None => return Ok(all),
            }
        }
    }

    /// A reading, repeated until there is an answer or no time is left.
    async fn patiently(&self, call: Call) -> Result<Value, Trouble> {
        let mut wait = FIRST_PAUSE;
        loop {
            match self.ask(call.clone(), self.one_look()).await {
                Err(trouble) if trouble.passes() && self.left() > wait => {
                    tracing::debug!(?trouble, "a reading is repeated");
                    self.tell(&trouble);
                    pause(wait).await;
                    wait = (wait * 2).min(LONGEST_PAUSE);
                }
                answer => return answer,
            }
        }
    }

    /// A change, sent once. A rehearsal changes nothing.
    pub(super) async fn patch(&self, kind: Kind, name: &str, body: &Change, rehearsal: bool) -> Result<Value, Trouble> {
        let params =
            PatchParams { dry_run: rehearsal, field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let call = match body {
            Change::Json(said) | Change::Merge(said) => self.at(kind).patch(name, &params, &Patch::Merge(said)),
            Change::Strategic(said) => self.at(kind).patch(name, &params, &Patch::Strategic(said)),
        };
        let mut call = call.map_err(Trouble::unsent)?;
        if matches!(body, Change::Json(_)) {
            // kube's own JSON patch brings two more crates for the sake of this header.
            call.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json-patch+json"));
        }
        self.ask(call, self.one_change(rehearsal)).await
    }

    /// Makes an object be as a manifest says, under our name. With force what others own is taken from them.
    pub(super) async fn apply(
        &self,
        kind: Kind,
        name: &str,
        manifest: &Value,
        force: bool,
        rehearsal: bool,
    ) -> Result<Value, Trouble> {
        let params = PatchParams { dry_run: rehearsal, force, ..PatchParams::apply(MANAGER) };
        let params = params.validation_strict();
        let call = self.at(kind).patch(name, &params, &Patch::Apply(manifest)).map_err(Trouble::unsent)?;
        self.ask(call, self.one_change(rehearsal)).await
    }

    /// Makes a new object. Sent once.
    pub(super) async fn create(&self, kind: Kind, object: &Value, rehearsal: bool) -> Result<Value, Trouble> {
        let params = PostParams { dry_run: rehearsal, field_manager: Some(MANAGER.to_owned()) };
        let call = self.at(kind).create(&params, object.to_string().into_bytes()).map_err(Trouble::unsent)?;
        self.ask(call, self.one_change(rehearsal)).await
    }

    /// Deletes exactly this object, and what it owns with it. Sent once; another one of the same name is left alone.
    pub(super) async fn delete(&self, kind: Kind, name: &str, uid: &str, rehearsal: bool) -> Result<(), Trouble> {
        let exactly = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let params = DeleteParams { dry_run: rehearsal, ..DeleteParams::background().preconditions(exactly) };
        let call = self.at(kind).delete(name, &params).map_err(Trouble::unsent)?;
        self.ask(call, self.one_change(rehearsal)).await.map(|_| ())
    }

    /// Lets exactly this pod go, as far as its disruption budgets allow it. Sent once.
    pub(super) async fn evict(&self, name: &str, uid: &str, rehearsal: bool) -> Result<(), Trouble> {
        let exactly = json!({
            "metadata": {"name": name, "namespace": self.namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        });
        let params = PostParams { dry_run: rehearsal, ..PostParams::default() };
        let call = self.at(PODS).create_subresource("eviction", name, &params, exactly.to_string().into_bytes());
        self.ask(call.map_err(Trouble::unsent)?, self.one_change(rehearsal)).await.map(|_| ())
    }

    /// How long one change may take now. The last one may begin just before the end and gets a moment of its own.
    fn one_change(&self, rehearsal: bool) -> Duration {
        if rehearsal { self.one_look() } else { self.left().max(Duration::from_secs(1)).min(SLOW_CHANGE) }
    }

    /// Whether we may do this, as the server says itself.
    pub(super) async fn may(&self, right: &Right) -> Result<bool, Trouble> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": right.attributes(self.namespace)},
        });
        let reviews = kube::core::Request::new("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        let call = reviews.create(&PostParams::default(), review.to_string().into_bytes());
        let call = call.map_err(Trouble::unsent)?;
        let answer = self.ask(call, self.one_look()).await?;
        Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
    }

    /// What happens to one object from this version on, until the server ends it.
    pub(super) async fn events(&self, kind: Kind, name: &str, version: &str) -> Result<Events, Trouble> {
        use futures_util::StreamExt as _;
        let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(60).disable_bookmarks();
        let call = self.at(kind).watch(&params, version).map_err(Trouble::unsent)?;
        let client = self.client().await?;
        let longest = self.one_look();
        let stream = within(longest, client.request_events::<Value>(call)).await;
        let stream = stream.map_err(|_| Trouble::late(longest))?.map_err(Trouble::of)?;
        Ok(stream.map(told).boxed())
    }

    /// An answer that is read as it comes.
    pub(super) async fn stream(&self, call: Call) -> Result<impl AsyncBufRead + Send + use<>, Trouble> {
        let client = self.client().await?;
        client.request_stream(call).await.map_err(Trouble::of)
    }

    /// The time in the cluster, as its API server stamps its answers.
    pub(super) async fn time(&self) -> Result<Instant, Trouble> {
        let call = axum::http::Request::get("/version").body(Body::empty()).map_err(|_| Trouble::garbled())?;
        let client = self.client().await?;
        let longest = self.one_look();
        let answer = within(longest, client.send(call)).await;
        let answer = answer.map_err(|_| Trouble::late(longest))?.map_err(Trouble::of)?;
        let stamp = answer.headers().get(DATE).and_then(|stamp| stamp.to_str().ok());
        let at = stamp.and_then(|stamp| chrono::DateTime::parse_from_rfc2822(stamp).ok());
        at.map(|at| Instant(at.timestamp_millis())).ok_or_else(Trouble::garbled)
    }
}

/// An event; anything else than news of the object ends the watch, and the object is looked at instead.
pub(super) fn told(event: Result<kube::core::WatchEvent<Value>, kube::Error>) -> Result<Event, ()> {
    use kube::core::WatchEvent;
    match event {
        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => Ok(Event::Is(object)),
        Ok(WatchEvent::Deleted(_)) => Ok(Event::Gone),
        // A version that is too old is told by an event, in an answer that says 200.
        Ok(WatchEvent::Error(status)) => {
            tracing::debug!(code = status.code, "the watch is begun again");
            Err(())
        }
        Ok(WatchEvent::Bookmark(_)) => Err(()),
        Err(error) => {
            tracing::debug!(why = innermost(&error), "the watch is begun again");
            Err(())
        }
    }
}
