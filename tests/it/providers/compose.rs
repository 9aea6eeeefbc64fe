//! Docker Compose (C1, D3) on a real engine (`tests/docker`): a service goes back to the image before and gets healthy, is
//! stopped and started; what goes wrong is told and leaves nothing half.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use vigie::incident::approval::{Outcome, Risk};
use vigie::incident::state::Phase;

use crate::faults::{skip, until};
use crate::french::is_french;
use crate::room::{Ran, Room};
use crate::runbook::{Runbook, Sheet};
use crate::world::{shown, ts};

/// Runs until it is told to end.
const WELL: &str = ": >/healthy; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";
const ILL: &str = "echo 'no database answers'; trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done";
const DIES: &str = "echo 'no such column: price'; exit 3";
/// Ends badly so often, as if what it needs were away, and stays up from then on.
const LATE: &str = "n=$(cat /tries 2>/dev/null || echo 0); echo $((n + 1)) >/tries; [ $n -ge TIMES ] || exit 3; ";

/// A project of its own in the engine: `web` with a health check, `worker` without one.
pub struct Shop {
    pub engine: PathBuf,
    pub folder: TempDir,
    pub name: String,
}

impl Shop {
    /// Two images, of which the second one runs; nothing where there is no engine.
    pub fn open() -> Option<Self> {
        let Some(engine) = std::env::var_os("VIGIE_TEST_DOCKER") else {
            skip("a Docker engine: VIGIE_TEST_DOCKER names none");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder can be made");
        let name = format!("shop{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let shop = Self { engine: engine.into(), folder, name };
        shop.image("1", WELL);
        shop.image("2", WELL);
        let image = format!("example/{}", shop.name);
        shop.writes(
            "compose.yml",
            &format!(
                "version: \"3.4\"\nservices:\n  web:\n    image: {image}:${{WEB_TAG}}\n    network_mode: none\n    \
                 stop_grace_period: 1s\n    environment: {{ PASSWORD: \"${{DB_PASSWORD}}\" }}\n    healthcheck: {{ test: \
                 [CMD, cat, /healthy], interval: 300ms, retries: 4 }}\n  worker:\n    image: {image}:${{WORKER_TAG}}\n    \
                 network_mode: none\n    stop_grace_period: 1s\n"
            ),
        );
        shop.writes(".env", &env("2"));
        std::fs::set_permissions(shop.file(".env"), std::fs::Permissions::from_mode(0o640)).expect("it can be set");
        shop.compose(&["up", "-d"]);
        Some(shop)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn writes(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("it can be written");
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("it can be read")
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.engine.join("docker.sock").display())
    }

    fn runs(&self, program: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env("DOCKER_HOST", self.host());
        let output = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {arguments:?}: {said}", program.display());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn of_project(&self) -> String {
        format!("label=com.docker.compose.project={}", self.name)
    }

    fn docker(&self, arguments: &[&str]) -> String {
        self.runs(&self.engine.join("docker"), arguments)
    }

    fn compose(&self, arguments: &[&str]) -> String {
        let all = [&["-p", self.name.as_str()], arguments].concat();
        self.runs(&self.engine.join("docker-compose"), &all)
    }

    /// Starts what its files say.
    pub fn up(&self) {
        self.compose(&["up", "-d"]);
    }

    fn image(&self, tag: &str, command: &str) {
        let command = format!("CMD {}", serde_json::json!(["sh", "-c", format!("echo this is {tag}; {command}")]));
        let tree = self.engine.join("busybox.tar").display().to_string();
        self.docker(&["import", "-c", &command, &tree, &format!("example/{}:{tag}", self.name)]);
    }

    /// The containers of a service: each with its id, its image as it was named, and its state.
    fn containers(&self, service: &str) -> Vec<(String, String, String)> {
        let filter = self.of_project();
        let service = format!("label=com.docker.compose.service={service}");
        let format = "{{.ID}} {{.Image}} {{.State}}";
        let all = self.docker(&["ps", "-a", "--filter", &filter, "--filter", &service, "--format", format]);
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let mut all: Vec<_> =
            all.lines().map(|line| <[String; 3]>::try_from(words(line)).expect("three words")).collect();
        all.sort();
        all.into_iter().map(|[id, image, state]| (id, image, state)).collect()
    }

    /// The tags that a service runs on.
    pub fn tags(&self, service: &str) -> Vec<String> {
        let prefix = format!("example/{}:", self.name);
        let running = self.containers(service).into_iter().filter(|(_, _, state)| state == "running");
        running.map(|(_, image, _)| image.strip_prefix(&prefix).expect("our image").to_owned()).collect()
    }

    fn step_with(&self, operation: &str, docker: &Path, compose: &Path) -> String {
        format!(
            "compose:\n  project: {}\n  service: web\n  folder: \"{}\"\n  files: [compose.yml]\n  host: \"{}\"\n  docker: \
             \"{}\"\n  compose: [\"{}\"]\n  healthy_within: 10s\n  steady: 1s\n  {operation}",
            self.name,
            self.folder.path().display(),
            self.host(),
            docker.display(),
            compose.display(),
        )
    }

    fn step(&self, operation: &str) -> String {
        self.step_with(operation, &self.engine.join("docker"), &self.engine.join("docker-compose"))
    }

    /// How the tag is written in the environment file, with more behind it.
    fn by_variable(&self, more: &str) -> String {
        format!("back: {{ env_file: \"{}\", variable: WEB_TAG{more} }}", self.file(".env").display())
    }

    fn room(&self, operation: &str) -> Room {
        patient(&format!("within: 60s\n{}", self.step(operation)))
    }

    /// A program that does `first` and then what the real one does.
    fn program(&self, name: &str, real: &str, first: &str) -> PathBuf {
        let path = self.file(name);
        let real = self.engine.join(real);
        std::fs::write(&path, format!("#!/bin/sh\n{first}\nexec {} \"$@\"\n", real.display()))
            .expect("it can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it can be made to run");
        path
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let all = self.docker(&["ps", "-aq", "--filter", &self.of_project()]);
        if !all.is_empty() {
            self.docker(&[&["rm", "-f"][..], &all.lines().collect::<Vec<_>>()].concat());
        }
    }
}

/// An engine with much to do beside takes its time to answer.
const PATIENT: &str = "limits: { plan_within: 2m }\n";

/// A room with such a step, and time for such an engine.
fn patient(step: &str) -> Room {
    let text = Room::text(step, "command: { argv: [\"true\"] }");
    Room::open(&text.replace("plan_within: 20s", "plan_within: 2m"))
}

const PASSWORD: &str = "s3cret-of-the-shop";

fn env(web: &str) -> String {
    format!("# the shop\nDB_PASSWORD={PASSWORD}\nWEB_TAG={web} # live\nWORKER_TAG=2\n")
}

#[track_caller]
fn is_done(ran: &Ran) {
    assert_eq!(ran.line(), "done", "{}", ran.everything());
}

/// C1, P7 · both containers, no other service, and back again.
#[tokio::test]
async fn a_service_goes_back_to_the_image_before() {
    let Some(shop) = Shop::open() else { return };
    shop.compose(&["up", "-d", "--scale", "web=2"]);
    let worker = shop.containers("worker");
    let room = shop.room(&shop.by_variable(""));
    assert_eq!(room.choices().await, ["1"]);
    let plan = room.planned().await;
    let step = &plan.steps[0];
    let image = format!("example/{}", shop.name);
    assert_eq!((step.from.as_deref(), step.to.as_str()), (Some(&*format!("{image}:2")), &*format!("{image}:1")));
    assert_eq!(step.risk, Risk::Reversible);
    let lines: Vec<&str> = step.diff.iter().map(|line| line.key.as_str()).collect();
    assert_eq!(lines, ["compose.image", "compose.writes", "compose.containers"]);
    assert_eq!(step.diff[2].vars["count"], 2);
    assert_eq!((shop.text(".env"), shop.tags("web").as_slice()), (env("2"), &["2".to_owned(), "2".to_owned()][..]));

    let ran = room.run(&plan).await;
    is_done(&ran);
    assert_eq!((shop.text(".env"), shop.tags("web").as_slice()), (env("1"), &["1".to_owned(), "1".to_owned()][..]));
    assert_eq!(std::fs::metadata(shop.file(".env")).expect("it is there").permissions().mode() & 0o7777, 0o640);
    assert_eq!(shop.containers("worker"), worker, "no other service is touched");
    assert!(!ran.everything().contains(PASSWORD) && !format!("{plan:?}").contains(PASSWORD));

    let back = room.planned_back(&plan).await;
    is_done(&room.run(&back).await);
    assert_eq!((shop.text(".env"), shop.tags("web").len()), (env("2"), 2));
    // What is so already is left alone.
    is_done(&room.run(&back).await);
}

#[tokio::test]
async fn the_tag_is_taken_from_the_recorded_history_and_a_person_may_choose() {
    let Some(shop) = Shop::open() else { return };
    shop.image("0", WELL);
    shop.writes(
        "deploys.log",
        "2026-11-01 ana 0\n2026-11-02 ana 1\n2026-11-02 ana 2\n2026-11-03 ben 1\n2026-11-04 ben 2\n",
    );
    let history = format!(", history: \"{}\"", shop.file("deploys.log").display());
    let room = shop.room(&shop.by_variable(&history));
    assert_eq!(room.choices().await, ["1", "0"]);
    assert_eq!(room.planned().await.steps[0].to, format!("example/{}:1", shop.name));
    let plan = room.planned_to("0").await;
    is_done(&room.run(&plan).await);
    assert_eq!(shop.tags("web"), ["0"]);
    assert!(room.refusal().await.contains("plan_fault.nothing_to_go_back_to"));
    shop.writes("deploys.log", "2026-11-01 ana 7\n");
    assert!(room.refusal().await.contains("compose.not_in_history"));
}

#[tokio::test]
async fn an_override_file_is_vigies_own_or_is_left_alone() {
    let Some(shop) = Shop::open() else { return };
    let operation = format!("back: {{ override: \"{}\" }}", shop.file("compose.vigie.yml").display());
    let room = shop.room(&operation);
    let plan = room.planned().await;
    is_done(&room.run(&plan).await);
    assert_eq!((shop.tags("web"), shop.text(".env")), (vec!["1".to_owned()], env("2")));
    let text = shop.text("compose.vigie.yml");
    assert!(text.ends_with(&format!("services:\n  web:\n    image: \"example/{}:1\"\n", shop.name)), "{text}");
    let back = room.planned_back(&plan).await;
    is_done(&room.run(&back).await);
    assert_eq!(shop.tags("web"), ["2"]);
    shop.writes("compose.vigie.yml", "services: {}\n");
    assert!(room.refusal().await.contains("compose.foreign_override"));
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_the_file_is_touched() {
    let Some(shop) = Shop::open() else { return };
    let cases = [
        (shop.by_variable(", to: \"9\""), "compose.no_image"),
        (shop.by_variable("").replace("WEB_TAG", "WEB_TAGS"), "compose.no_variable"),
        (shop.by_variable(", to: \"1\"").replace("WEB_TAG", "DB_PASSWORD"), "compose.not_used"),
        (shop.by_variable(", to: \"2\""), "plan_fault.already_there"),
        (shop.by_variable("").replace("/.env", "/gone.env"), "file.none"),
        ("start: {}".to_owned(), "plan_fault.already_there"),
    ];
    for (operation, wanted) in cases {
        let refusal = shop.room(&operation).refusal().await;
        assert!(refusal.contains(wanted) && !refusal.contains(PASSWORD), "{operation}: {refusal}");
    }
    let absent = Room::with_step(&shop.step(&shop.by_variable("")).replace("service: web", "service: wob"));
    assert!(absent.refusal().await.contains("compose.no_container"));
    let wild = shop.room(&shop.by_variable("")).choices().await;
    assert_eq!(wild, ["1"]);
    shop.writes(".env", &format!("{}WEB_TAG=3\n", env("2")));
    assert!(shop.room(&shop.by_variable("")).refusal().await.contains("compose.variable_twice"));
    assert_eq!(shop.tags("web"), ["2"]);
}

#[tokio::test]
async fn what_moved_since_the_plan_is_stale_and_left_alone() {
    let Some(shop) = Shop::open() else { return };
    let room = shop.room(&shop.by_variable(", to: \"1\""));
    let plan = room.planned().await;
    shop.image("1", &format!(": another one; {WELL}"));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: compose.tag_moved"), "{line}");
    let plan = room.planned().await;
    shop.writes(".env", &format!("{}MORE=1\n", env("2")));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: file.changed"), "{line}");
    let plan = room.planned().await;
    shop.image("3", WELL);
    shop.writes(".env", &env("3"));
    shop.compose(&["up", "-d", "web"]);
    shop.writes(".env", &format!("{}MORE=1\n", env("2")));
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: step.is_at") && line.contains(":3"), "{line}");
    assert_eq!(shop.tags("web"), ["3"]);
}

/// C1 · a container that is ill or dies fails the step with its last lines; the way back is offered from there.
#[tokio::test]
async fn a_container_that_does_not_get_healthy_fails_with_its_last_lines() {
    let Some(shop) = Shop::open() else { return };
    for (tag, command, wanted, line) in
        [("ill", ILL, "compose.ill", "no database answers"), ("dead", DIES, "compose.died", "no such column: price")]
    {
        shop.image(tag, command);
        let room = shop.room(&shop.by_variable(""));
        let plan = room.planned_to(tag).await;
        let ran = room.run(&plan).await;
        assert!(ran.line().starts_with(&format!("failed: {wanted}")), "{}", ran.line());
        assert!(ran.everything().contains(line), "{}", ran.everything());
        let back = room.planned_back(&plan).await;
        is_done(&room.run(&back).await);
        assert_eq!((shop.tags("web"), shop.text(".env")), (vec!["2".to_owned()], env("2")));
    }
}

/// C1 · whatever it was missing is there again: who tries again starts what had ended.
#[tokio::test]
async fn a_container_that_had_ended_is_started_when_it_is_tried_again() {
    let Some(shop) = Shop::open() else { return };
    shop.image("late", &format!("{}{WELL}", LATE.replace("TIMES", "1")));
    let room = shop.room(&shop.by_variable(""));
    let plan = room.planned_to("late").await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: compose.died"), "{line}");
    let before = shop.containers("web");
    is_done(&room.tried_again(&plan).await);
    assert_eq!(shop.tags("web"), ["late"]);
    let ids = |containers: &[(String, String, String)]| containers.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&shop.containers("web")), ids(&before), "it is the same container");
}

/// C1, D3 · what a container had been through before is not held against it.
#[tokio::test]
async fn a_container_that_got_well_by_itself_is_not_told_as_failed() {
    let Some(shop) = Shop::open() else { return };
    let text =
        shop.text("compose.yml").replacen("stop_grace_period: 1s\n", "stop_grace_period: 1s\n    restart: always\n", 1);
    assert!(text.contains("restart: always"), "{text}");
    shop.writes("compose.yml", &text);
    shop.image("late", &format!("{}{WELL}", LATE.replace("TIMES", "2")));
    let room = shop.room(&shop.by_variable(""));
    let plan = room.planned_to("late").await;
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("failed: compose.died"), "{line}");
    let is_healthy = || shop.docker(&["ps", "-q", "--filter", "health=healthy", "--filter", &shop.of_project()]);
    until("it gets well by itself", Duration::from_secs(60), async || (!is_healthy().is_empty()).then_some(())).await;
    is_done(&room.tried_again(&plan).await);

    // One of two runs, and had restarted; the other one is started again.
    shop.compose(&["up", "-d", "--no-recreate", "--scale", "web=2"]);
    until("both are well", Duration::from_secs(60), async || (is_healthy().lines().count() == 2).then_some(())).await;
    shop.docker(&["stop", "-t", "1", &shop.containers("web")[0].0]);
    is_done(&shop.room("start: {}").goes().await);
    assert_eq!(shop.tags("web"), ["late", "late"]);
}

/// Compose prints the environment of every service with the images. It is read as it is, and shown nowhere.
#[tokio::test]
async fn what_stands_in_the_environment_of_a_service_stands_in_nobodys_way_and_is_not_shown() {
    let Some(shop) = Shop::open() else { return };
    let secret = "not-to-be-shown";
    let environment = format!(
        "    environment:\n      KEY: \"-----BEGIN PRIVATE KEY-----\\nMIIE{secret}\\n-----END PRIVATE KEY-----\\n\"\n      \
         API_SETTING: {secret}\n"
    );
    shop.writes("compose.yml", &format!("{}{environment}", shop.text("compose.yml")));
    let plan = shop.room(&shop.by_variable("")).planned().await;
    assert_eq!(plan.steps[0].to, format!("example/{}:1", shop.name));
    assert!(!format!("{plan:?}").contains(secret));

    let half =
        format!("printf 'services:\\n  web:\\n    API_SETTING: {secret}\\n   image: [\\n    OTHER: {secret}\\n'");
    let many = format!("yes 'OTHER: {secret}' | head -c 300000");
    for (prints, wanted) in [
        (half, "compose.no_compose_file"),
        (many, "compose.too_long"),
        (format!("echo 'OTHER: {secret}'; exit 1"), "compose.unreadable"),
    ] {
        let first = format!("case \" $* \" in *' config '*) {prints}; exit 0;; esac");
        let compose = shop.program("compose", "docker-compose", &first);
        let step = shop.step_with(&shop.by_variable(""), &shop.engine.join("docker"), &compose);
        let refusal = patient(&step).refusal().await;
        assert!(refusal.contains(wanted) && !refusal.contains(secret), "{wanted}: {refusal}");
    }
}

/// Compose says no: then nothing runs anew, and the file does not say so either.
#[tokio::test]
async fn a_start_that_fails_leaves_file_and_containers_as_they_were() {
    let Some(shop) = Shop::open() else { return };
    let no = "case \" $* \" in *' up -d '*) echo 'no space left on device' >&2; exit 1;; esac";
    let compose = shop.program("compose", "docker-compose", no);
    let step = shop.step_with(&shop.by_variable(""), &shop.engine.join("docker"), &compose);
    let line = patient(&format!("within: 60s\n{step}")).goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("no space left on device"), "{line}");
    assert_eq!((shop.tags("web"), shop.text(".env")), (vec!["2".to_owned()], env("2")));
}

/// Today's Compose would pull where the file says so, and build. The engine's old one knows the first no better.
#[tokio::test]
async fn no_image_is_pulled_or_built() {
    let Some(shop) = Shop::open() else { return };
    let calls = shop.file("calls");
    let log = format!("case \" $* \" in *' up -d '*) echo \"$*\" >>'{}';; esac\n", calls.display());
    let of_today =
        "case \" $* \" in *' up --help '*) echo '  --pull string   Pull image before running'; exit 0;; esac\n";
    let for_old = "for word; do shift; case $word in --pull | never) ;; *) set -- \"$@\" \"$word\" ;; esac; done";
    for (first, wanted) in [
        (format!("{log}{of_today}{for_old}"), " up -d --no-build --pull never --no-deps "),
        (log.clone(), " up -d --no-build --no-deps "),
    ] {
        let compose = shop.program("compose", "docker-compose", &first);
        let step = shop.step_with(&shop.by_variable(""), &shop.engine.join("docker"), &compose);
        let room = patient(&format!("within: 60s\n{step}"));
        let plan = room.planned().await;
        is_done(&room.run(&plan).await);
        assert_eq!(shop.tags("web"), ["1"]);
        let said = shop.text("calls");
        assert!(said.lines().last().is_some_and(|line| line.contains(wanted)), "{said}");
        is_done(&room.run(&room.planned_back(&plan).await).await);
    }
}

/// A crash at each moment: before the file was written, between file and containers, and before the end was kept.
#[tokio::test]
async fn a_crash_at_any_moment_is_taken_up() {
    let Some(shop) = Shop::open() else { return };
    let room = shop.room(&shop.by_variable(""));
    let plan = room.planned().await;
    is_done(&room.taken_up(&plan).await);
    assert_eq!(shop.tags("web"), ["1"]);
    is_done(&room.taken_up(&plan).await);

    let plan = room.planned_back(&plan).await;
    shop.writes(".env", &env("2"));
    is_done(&room.taken_up(&plan).await);
    assert_eq!((shop.tags("web"), shop.text(".env")), (vec!["2".to_owned()], env("2")));
    shop.writes(".env", "WEB_TAG=other\n");
    shop.docker(&["rm", "-f", &shop.containers("web")[0].0]);
    let line = room.taken_up(&plan).await.line();
    assert!(line.starts_with("unknown:") && line.contains("step.elsewhere"), "{line}");
}

/// C1 · the bot dies after the tag was written and before a container was touched; the next one takes it up.
#[tokio::test]
async fn a_bot_that_dies_between_the_file_and_the_containers_leaves_nothing_half() {
    let Some(shop) = Shop::open() else { return };
    // The first `up` waits for ever; it goes with the bot that called it.
    let (met, gate) = (shop.file("met"), shop.file("gate"));
    shop.runs(Path::new("/usr/bin/mkfifo"), &[&gate.display().to_string()]);
    let first = format!(
        "case \" $* \" in *' up -d '*) if mkdir '{}' 2>/dev/null; then read -r line <'{}'; fi;; esac",
        met.display(),
        gate.display()
    );
    let compose = shop.program("compose", "docker-compose", &first);
    let step = shop.step_with(&shop.by_variable(""), &shop.engine.join("docker"), &compose).replace('\n', "\n  ");
    let steps = format!("- {step}");
    let mut runbook = Runbook::open_with("en", &Sheet { sections: PATIENT, steps: &steps, ..Sheet::default() }).await;
    let (channel, card) = runbook.planned().await;
    let acted = runbook.world.ws().person("U0LEAD").click(&channel, &ts(&card), "approve").await.expect("a button");
    assert_eq!(acted.failure, None);
    until("Compose is called", Duration::from_secs(60), async || met.exists().then_some(())).await;
    assert_eq!((shop.text(".env"), shop.tags("web")), (env("1"), vec!["2".to_owned()]));
    runbook.world.crash().await;
    // The lease of the one that died ends.
    runbook.world.seconds(61).await;
    runbook.world.settle().await;
    assert_eq!(runbook.outcome().await, Outcome::Done);
    assert_eq!((shop.text(".env"), shop.tags("web")), (env("1"), vec!["1".to_owned()]));
    runbook.close_without(&[PASSWORD]).await;
}

#[tokio::test]
async fn an_engine_that_is_down_or_lies_or_does_not_answer_is_said_so() {
    let Some(shop) = Shop::open() else { return };
    let step = shop.step(&shop.by_variable(""));
    let down = Room::with_step(&step.replace("docker.sock", "gone.sock"));
    let refusal = down.refusal().await;
    assert!(refusal.contains("compose.no_engine") && refusal.contains("docker"), "{refusal}");
    for (first, wanted) in [
        ("echo '<html>'; exit 0", "compose.unreadable"),
        ("echo 'permission denied while trying to connect' >&2; exit 1", "permission denied"),
        ("trap '' TERM; while :; do sleep 1; done", "compose.no_engine"),
    ] {
        let docker = shop.program("docker", "docker", first);
        let compose = shop.engine.join("docker-compose");
        let step = shop.step_with(&shop.by_variable(""), &docker, &compose).replace('\n', "\n      ");
        let room = Room::open(&format!(
            "limits: {{ plan_within: 2s }}\nactions:\n  go:\n    title: Go\n    service: shop\n    class: urgent\n    \
             risk: reversible\n    expected: 30s\n    verify: [there]\n    steps:\n    - {step}\nservices:\n  shop:\n    - \
             {{ key: there, command: {{ argv: [\"true\"] }} }}\n"
        ));
        let refusal = room.refusal().await;
        assert!(refusal.contains(wanted), "{first}: {refusal}");
    }
    let none = Room::with_step(&shop.step_with(&shop.by_variable(""), Path::new("/nowhere/docker"), Path::new("/x")));
    assert!(none.refusal().await.contains("could not be started"));
}

/// D3 · writers are stopped and come back as the same containers.
#[tokio::test]
async fn writers_are_stopped_and_start_again() {
    let Some(shop) = Shop::open() else { return };
    let before = shop.containers("web");
    let (stop, start) = (shop.room("stop: { grace: 5s }"), shop.room("start: {}"));
    let plan = stop.planned().await;
    assert_eq!((plan.steps[0].from.as_deref(), plan.steps[0].to.as_str()), (Some("running=1"), "running=0"));
    is_done(&stop.run(&plan).await);
    assert_eq!(shop.tags("web"), Vec::<String>::new());
    assert!(stop.refusal().await.contains("plan_fault.already_there"));
    is_done(&stop.taken_up(&plan).await);
    is_done(&start.goes().await);
    assert_eq!(shop.containers("web"), before);
    is_done(&stop.run(&plan).await);
    let back = stop.planned_back(&plan).await;
    is_done(&stop.run(&back).await);
    assert_eq!(shop.containers("web"), before);
    shop.compose(&["up", "-d", "--force-recreate", "web"]);
    let line = stop.run(&plan).await.line();
    assert!(line.starts_with("stale: compose.other_containers"), "{line}");
}

/// D3, P1 · stop, work, start: under one approval, and the writers start also when the work fails.
#[tokio::test]
async fn writers_stop_for_the_work_and_start_whatever_becomes_of_it() {
    let Some(shop) = Shop::open() else { return };
    let before = shop.containers("web");
    let engine = shop.engine.join("docker");
    let count = format!(
        "[ -z \"$({} -H {} ps -q --filter label=com.docker.compose.service=web --filter \
         label=com.docker.compose.project={})\" ]",
        engine.display(),
        shop.host(),
        shop.name
    );
    for (work, outcome) in [(format!("{count} || exit 9"), "done"), ("exit 7".to_owned(), "failed:")] {
        shop.writes("work", &format!("{work}\n"));
        let step = |operation: &str| shop.step(operation).replace('\n', "\n      ");
        let room = Room::open(&format!(
            "limits: {{ verify_within: 1s, plan_within: 20s }}\nactions:\n  go:\n    title: Go\n    service: shop\n    \
             class: urgent\n    risk: reversible\n    expected: 30s\n    verify: [there]\n    steps:\n    - {}\n    - \
             command: {{ target: orders, risk: reversible, to: repaired, argv: [sh, \"{}\"] }}\n    - always: true\n      \
             {}\nservices:\n  shop:\n    - {{ key: there, command: {{ argv: [\"true\"] }} }}\n",
            step("stop: { grace: 5s }"),
            shop.file("work").display(),
            step("start: {}"),
        ));
        let plan = room.planned().await;
        assert_eq!((plan.steps[2].from.as_deref(), plan.steps[2].to.as_str()), (Some("running=0"), "running=1"));
        let ran = room.run(&plan).await;
        assert!(ran.line().starts_with(outcome), "{}", ran.everything());
        assert_eq!(shop.containers("web"), before, "{}", ran.everything());
    }
}

#[tokio::test]
async fn services_that_share_the_variable_are_named() {
    let Some(shop) = Shop::open() else { return };
    let text = shop.text("compose.yml").replace("${WORKER_TAG}", "${WEB_TAG}");
    shop.writes("compose.yml", &text);
    let plan = shop.room(&shop.by_variable("")).planned().await;
    let line = &plan.steps[0].diff[1];
    assert_eq!(
        (line.key.as_str(), &line.vars["services"]),
        ("compose.shared_variable", &serde_json::json!(["worker"]))
    );
}

/// C1, P3, P7 · from the slash command to the timeline and back, in both languages.
#[tokio::test]
async fn a_service_is_taken_back_from_slack() {
    for (locale, title) in [("en", "Take web from 2 to 1"), ("fr", "Faire passer web de 2 à 1")] {
        let Some(shop) = Shop::open() else { return };
        let check = format!(
            "command: {{ argv: [\"{}\", -H, \"{}\", version] }}",
            shop.engine.join("docker").display(),
            shop.host()
        );
        let step = format!("- {}", shop.step(&shop.by_variable("")).replace('\n', "\n  "));
        let sheet = Sheet { sections: PATIENT, check: &check, steps: &step, ..Sheet::default() };
        let runbook = Runbook::open_with(locale, &sheet).await;
        let (channel, card) = runbook.planned().await;
        assert!(shown(&card).contains(title), "{}", shown(&card));
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!((shop.tags("web"), shop.text(".env")), (vec!["1".to_owned()], env("1")));
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains(&format!("example/{}:1", shop.name)), "{timeline}");

        runbook.world.types("U0ONCALL", &channel, "undo run_1_1").await;
        let back = runbook.world.message(&channel, "approve run_1_2");
        runbook.world.clicks("U0LEAD", &channel, &ts(&back), "approve").await;
        let last = runbook.world.incident(1).await.runs.into_values().next_back().expect("a run");
        assert_eq!(last.phase, Phase::Finished { outcome: Outcome::Done });
        assert_eq!(shop.tags("web"), ["2"]);
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[PASSWORD]).await;
    }
}
