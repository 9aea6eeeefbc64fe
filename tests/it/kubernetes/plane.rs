//! A namespace of the tests' own in the real control plane that `tests/run` starts, worked on by `kubectl` as the team
//! would, and the server's own record of what the bot did there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::faults::{skip, until};

/// Nothing that is waited for takes longer, unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace with its plane.
#[derive(Debug, Clone)]
pub struct Namespace {
    folder: PathBuf,
    pub name: String,
    /// The bot's kubeconfig, where it is another than the plane's.
    other: Option<Arc<Other>>,
}

/// A kubeconfig that is not the plane's own.
#[derive(Debug)]
struct Other {
    file: PathBuf,
    _folder: Option<TempDir>,
}

/// A plane of one test's own, whose processes it may stop.
pub struct Plane {
    folder: TempDir,
    /// Where its programs come from, instead of the tests' own.
    assets: Option<TempDir>,
}

impl Plane {
    /// A new one; nothing where this machine cannot have one.
    pub async fn own() -> Option<Self> {
        shared()?;
        Some(Self::made(None).await)
    }

    /// A new one on the programs that envtest has, which are no whole control plane.
    pub async fn of_envtest() -> Option<Self> {
        let programs = shared()?.join("bin");
        let assets = tempfile::tempdir().expect("a folder can be made");
        for name in ["etcd", "kube-apiserver", "kubectl"] {
            std::os::unix::fs::symlink(programs.join(name), assets.path().join(name)).expect("it can be linked");
        }
        Some(Self::made(Some(assets)).await)
    }

    async fn made(assets: Option<TempDir>) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let plane = Self { folder, assets };
        plane.told("up").await;
        plane
    }

    async fn told(&self, verb: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube/plane");
        let mut command = Command::new(script);
        command.envs(self.assets.iter().map(|assets| ("KUBEBUILDER_ASSETS", assets.path())));
        let ended = command.arg(verb).arg(self.folder.path()).output().await.expect("it can be started");
        assert!(ended.status.success(), "plane {verb}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    /// A namespace in it.
    pub async fn namespace(&self) -> Namespace {
        Namespace::open_in(self.folder.path().to_owned(), unique()).await
    }

    /// The namespace in it that is called like one of another plane.
    pub async fn namesake(&self, other: &Namespace) -> Namespace {
        Namespace::open_in(self.folder.path().to_owned(), other.name.clone()).await
    }

    /// The programs that it lacks, one a line.
    pub fn lacks(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("absent")).expect("the plane says what it lacks")
    }

    /// Where a program of it really lies.
    pub fn program(&self, name: &str) -> PathBuf {
        std::fs::read_link(self.folder.path().join("bin").join(name)).expect("it is linked")
    }

    /// The folder that it was given programs from.
    pub fn assets(&self) -> Option<&Path> {
        self.assets.as_ref().map(TempDir::path)
    }

    async fn signal(&self, name: &str) {
        let id = std::fs::read_to_string(self.folder.path().join("kube-apiserver.pid")).expect("it runs");
        let told = Command::new("kill").args([&format!("-{name}"), id.trim()]).status().await.expect("there is kill");
        assert!(told.success(), "kill -{name} {id}");
    }

    /// Its API server stands still and answers nobody.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// It goes on where it was.
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// Its API server is gone from one moment to the next; the others go on.
    pub async fn kill(&self) {
        self.signal("KILL").await;
    }

    /// Its API server is started anew on what etcd holds.
    pub async fn revive(&self) {
        self.told("up").await;
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube/plane");
        let ended = std::process::Command::new(script).arg("down").arg(self.folder.path()).output();
        if !ended.is_ok_and(|ended| ended.status.success()) {
            eprintln!("the plane in {} could not be stopped", self.folder.path().display());
        }
    }
}

/// The plane that `tests/run` started.
fn shared() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("VIGIE_TEST_KUBE").map(PathBuf::from) else {
        skip("a test on Kubernetes: VIGIE_TEST_KUBE names no control plane");
        return None;
    };
    let absent = std::fs::read_to_string(folder.join("absent")).expect("the plane says what it lacks");
    if !absent.trim().is_empty() {
        skip(&format!("a test on Kubernetes: the control plane lacks {}", absent.trim().replace('\n', " and ")));
        return None;
    }
    Some(folder)
}

/// A name that no other test has.
fn unique() -> String {
    format!("t-{}", uuid::Uuid::new_v4().simple())
}

impl Namespace {
    /// A new one in which the bot may do nothing yet; nothing where this machine has no whole control plane.
    pub async fn open() -> Option<Self> {
        Some(Self::open_in(shared()?, unique()).await)
    }

    async fn open_in(folder: PathBuf, name: String) -> Self {
        let namespace = Self { folder, name, other: None };
        namespace.kubectl(&["create", "namespace", &namespace.name]).await;
        // A pod is refused until its account has a token.
        let account = ["get", "serviceaccount", "default", "--output", "json"];
        let token = async || namespace.asked("admin", &account).await.ok()?.contains("\"secrets\"").then_some(());
        until("the namespace is ready", PATIENCE, token).await;
        namespace
    }

    /// Where a kubeconfig of the plane lies.
    pub fn kubeconfig(&self, who: &str) -> PathBuf {
        self.folder.join(format!("{who}.kubeconfig"))
    }

    /// Where the bot's lies.
    pub fn of_the_bot(&self) -> PathBuf {
        self.other.as_ref().map_or_else(|| self.kubeconfig("bot"), |other| other.file.clone())
    }

    /// The same with another kubeconfig for the bot.
    pub fn with_kubeconfig(&self, file: &Path) -> Self {
        let other = Other { file: file.to_owned(), _folder: None };
        Self { other: Some(Arc::new(other)), ..self.clone() }
    }

    /// The same, reached by the bot at another address.
    pub fn through(&self, address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("kubeconfig");
        let good = std::fs::read_to_string(self.kubeconfig("bot")).expect("it is there");
        let other = good.replace(&format!("https://{}", self.server()), &format!("https://{address}"));
        assert_ne!(good, other, "the address is in the file");
        std::fs::write(&file, other).expect("it can be written");
        let other = Other { file, _folder: Some(folder) };
        Self { other: Some(Arc::new(other)), ..self.clone() }
    }

    /// Where the API server listens.
    pub fn server(&self) -> SocketAddr {
        let port = std::fs::read_to_string(self.folder.join("port")).expect("the plane has a port");
        (Ipv4Addr::LOCALHOST, port.trim().parse().expect("a number")).into()
    }

    pub fn program(&self) -> PathBuf {
        self.folder.join("bin/kubectl")
    }

    /// Does something as the administrator; what was printed.
    pub async fn kubectl(&self, words: &[&str]) -> String {
        self.asked("admin", words).await.unwrap_or_else(|said| panic!("kubectl {words:?}: {said}"))
    }

    /// Applies a manifest as the administrator.
    pub async fn apply(&self, manifest: &str) {
        let told = self.told("admin", &["apply", "--filename", "-"], manifest).await;
        told.unwrap_or_else(|said| panic!("kubectl apply: {said}\n{manifest}"));
    }

    async fn asked(&self, who: &str, words: &[&str]) -> Result<String, String> {
        self.told(who, words, "").await
    }

    async fn told(&self, who: &str, words: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new(self.program());
        command.env_clear().env("HOME", Path::new("/nonexistent")).args(["--namespace", &self.name]);
        command.arg("--kubeconfig").arg(self.kubeconfig(who)).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl can be started");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(input.as_bytes()).await.expect("kubectl reads");
        drop(stdin);
        let ended = child.wait_with_output().await.expect("kubectl ends");
        let (said, cried) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        if ended.status.success() { Ok(said.into_owned()) } else { Err(cried.into_owned()) }
    }

    /// An object as it is now.
    pub async fn get(&self, what: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", what, "--output", "json"]).await).expect("JSON")
    }

    /// The image that a Deployment of one container wants now.
    pub async fn image(&self, name: &str) -> String {
        let deployment = self.get(&format!("deployment/{name}")).await;
        deployment
            .pointer("/spec/template/spec/containers/0/image")
            .and_then(Value::as_str)
            .expect("an image")
            .to_owned()
    }

    /// A Deployment with this history of images, the last one live. Images that never become ready are not waited for.
    pub async fn deployed(&self, name: &str, images: &[&str], replicas: u32) {
        let (first, rest) = images.split_first().expect("an image");
        let replicas = format!("--replicas={replicas}");
        self.kubectl(&["create", "deployment", name, &format!("--image={first}"), &replicas]).await;
        self.rolled_out(name, first).await;
        for image in rest {
            self.set_image(name, image).await;
            self.rolled_out(name, image).await;
        }
    }

    pub async fn set_image(&self, name: &str, image: &str) {
        let container = self.get(&format!("deployment/{name}")).await;
        let container = container.pointer("/spec/template/spec/containers/0/name").and_then(Value::as_str);
        let setting = format!("{}={image}", container.expect("a container"));
        self.kubectl(&["set", "image", &format!("deployment/{name}"), &setting]).await;
    }

    async fn rolled_out(&self, name: &str, image: &str) {
        let seen = async || {
            let object = self.get(&format!("deployment/{name}")).await;
            (object["status"]["observedGeneration"] == object["metadata"]["generation"]).then_some(())
        };
        until("the controller has seen it", PATIENCE, seen).await;
        if !["broken", "crash"].iter().any(|word| image.contains(word)) {
            self.kubectl(&["rollout", "status", &format!("deployment/{name}"), "--timeout=60s"]).await;
        }
    }

    /// Lets the bot do what a manifest of roles says, and waits until that counts.
    pub async fn grant(&self, manifest: &str) {
        self.apply(manifest).await;
        let first = |key: &str| {
            let line = manifest.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
            line.map(|list| list.trim_matches(['[', ']']).split(", ").next().unwrap_or_default().replace('"', ""))
        };
        let (verb, kind) = (first("verbs: ").expect("a verb"), first("resources: ").expect("a kind"));
        // After a slash `can-i` expects a name.
        let (kind, part) = kind.split_once('/').unwrap_or((&kind, ""));
        let rule = manifest.split("  - apiGroups").nth(1).expect("a rule");
        let name = rule.contains("resourceNames").then(|| first("resourceNames: ").expect("a name"));
        let kind = name.map_or(kind.to_owned(), |name| format!("{kind}/{name}"));
        let part = format!("--subresource={part}");
        let words = ["auth", "can-i", verb.as_str(), &kind, &part];
        until("the rights count", PATIENCE, async || self.asked("bot", &words).await.ok()).await;
    }

    /// Waits until the bot may no longer do this.
    pub async fn until_denied(&self, verb: &str, what: &str) {
        let words = ["auth", "can-i", verb, what];
        until("the right is gone", PATIENCE, async || self.asked("bot", &words).await.err()).await;
    }

    /// A question that the administrator can ask again and again, from anywhere.
    pub fn question(&self, words: &[&str]) -> impl Fn() -> String + Send + Sync + 'static {
        let (program, admin, name) = (self.program(), self.kubeconfig("admin"), self.name.clone());
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        move || {
            let mut command = std::process::Command::new(&program);
            command.env_clear().env("HOME", "/nonexistent").args(["--namespace", &name]);
            let ended = command.arg("--kubeconfig").arg(&admin).args(&words).output().expect("kubectl can be started");
            String::from_utf8_lossy(&ended.stdout).into_owned()
        }
    }

    /// An object once something is the case.
    pub async fn once(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let seen = async || {
            let object = self.get(what).await;
            is_so(&object).then_some(object)
        };
        until(&format!("{what} is as it should be"), PATIENCE, seen).await
    }

    /// A Deployment for each colour, blue with this image, and two Services that send to the green one. An image called
    /// broken never gets ready.
    pub async fn colours(&self, blue: &str) {
        for (colour, image) in [("blue", blue), ("green", "example/web:2")] {
            self.apply(&format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web-{colour} }}\nspec:\n  replicas: 2\n  \
                 selector: {{ matchLabels: {{ app: web, version: {colour} }} }}\n  template:\n    metadata: {{ labels: \
                 {{ app: web, version: {colour} }} }}\n    spec:\n      containers: [{{ name: web, image: \"{image}\" }}]\n"
            ))
            .await;
            if !image.contains("broken") {
                self.kubectl(&["rollout", "status", &format!("deployment/web-{colour}"), "--timeout=60s"]).await;
            }
        }
        for name in ["web", "api"] {
            self.apply(&format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec:\n  selector: {{ app: web, version: green }}\n  \
                 ports: [{{ port: 80, targetPort: 8080 }}]\n"
            ))
            .await;
            // There is none at first, so all are looked at.
            let filled = |all: &Value| {
                let all = all["items"].as_array().expect("a list").iter();
                let mut own = all.filter(|endpoints| endpoints["metadata"]["name"] == name);
                own.any(|endpoints| endpoints["subsets"][0]["addresses"].as_array().is_some_and(|pods| pods.len() == 2))
            };
            self.once("endpoints", filled).await;
        }
    }

    /// The names of the pods with these labels.
    pub async fn pods(&self, labels: &str) -> Vec<String> {
        let pods = self.kubectl(&["get", "pods", "--selector", labels, "--output", "name"]).await;
        pods.lines().map(str::to_owned).collect()
    }

    /// The bot's requests of this kind in this namespace, rehearsals too, by their addresses.
    pub fn requests(&self, verb: &str) -> Vec<String> {
        let own = self.record().into_iter().filter(|entry| entry["verb"] == verb);
        let addresses: Vec<String> = own.filter_map(|entry| entry["requestURI"].as_str().map(str::to_owned)).collect();
        assert!(!addresses.is_empty(), "there was a {verb}");
        addresses
    }

    /// What the server recorded of the bot's doings in this namespace.
    fn record(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder.join("audit.log")).expect("the server keeps a record");
        // A line without its end is of a request that is still being answered, in another namespace.
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let entries = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        entries.filter(|entry| entry["objectRef"]["namespace"] == self.name.as_str()).collect()
    }

    /// What the bot changed in this namespace, as the server recorded it: verb, object and answer. Rehearsals change
    /// nothing.
    pub fn writes(&self) -> Vec<Value> {
        let writes = self.record().into_iter().filter(|entry| {
            let verb = entry["verb"].as_str().unwrap_or_default();
            !["get", "list", "watch"].contains(&verb)
                && entry["objectRef"]["resource"] != "selfsubjectaccessreviews"
                && !entry["requestURI"].as_str().unwrap_or_default().contains("dryRun=All")
                && entry["requestObject"]["dryRun"] != json!(["All"])
        });
        writes
            .map(|entry| {
                let object = &entry["objectRef"];
                let path = format!(
                    "{}/{}",
                    object["resource"].as_str().unwrap_or_default(),
                    object["name"].as_str().unwrap_or_default()
                );
                json!([entry["verb"], path, entry["responseStatus"]["code"]])
            })
            .collect()
    }
}
