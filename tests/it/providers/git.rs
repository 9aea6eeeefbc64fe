//! Git (G1) on real repositories: changes are taken back, branches go back, and what was there before keeps a tag.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use vigie::actions::ActionsConfig;
use vigie::incident::approval::{Outcome, Risk, Verdict};

use crate::faults::until;
use crate::french::is_french;
use crate::room::Room;
use crate::runbook::Runbook;
use crate::world::{shown, ts};

/// A bare repository that others push to, and somebody's clone of it.
pub struct Remote {
    pub folder: TempDir,
}

impl Remote {
    /// Two commits on `main`: the price is 10, then 20.
    pub fn open() -> Self {
        let remote = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        let bare = remote.bare();
        remote.git(
            remote.folder.path(),
            &["init", "--quiet", "--bare", "--initial-branch=main", &bare.display().to_string()],
        );
        remote.git(remote.folder.path(), &["clone", "--quiet", &bare.display().to_string(), "clone"]);
        remote.git(&remote.clone(), &["checkout", "--quiet", "-B", "main"]);
        remote.commits("price", "10", "Prix initial");
        remote.commits("price", "20", "Prix double");
        remote
    }

    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("shop.git")
    }

    pub fn clone(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    pub fn mirror(&self) -> PathBuf {
        self.folder.path().join("mirror/shop.git")
    }

    pub fn git(&self, cwd: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(cwd).env("HOME", self.folder.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        for (name, value) in [("NAME", "Ana"), ("EMAIL", "ana@example.com")] {
            command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        let output = command.output().expect("git starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Somebody changes a file and pushes.
    pub fn commits(&self, file: &str, text: &str, subject: &str) {
        std::fs::write(self.clone().join(file), text).expect("it can be written");
        self.git(&self.clone(), &["add", "."]);
        self.git(&self.clone(), &["commit", "--quiet", "-m", subject]);
        self.git(&self.clone(), &["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// Somebody merges a branch that adds a file.
    pub fn merges(&self) {
        let clone = self.clone();
        self.git(&clone, &["checkout", "--quiet", "-b", "coupon", "HEAD~1"]);
        std::fs::write(clone.join("coupon"), "yes").expect("it can be written");
        self.git(&clone, &["add", "."]);
        self.git(&clone, &["commit", "--quiet", "-m", "Bon de remise"]);
        self.git(&clone, &["checkout", "--quiet", "main"]);
        self.git(&clone, &["merge", "--quiet", "--no-ff", "-m", "Fusion", "coupon"]);
        self.git(&clone, &["push", "--quiet", "origin", "main"]);
    }

    /// What a name stands for at the remote.
    pub fn at(&self, name: &str) -> String {
        self.git(&self.bare(), &["rev-parse", name])
    }

    pub fn file(&self, name: &str) -> String {
        self.git(&self.bare(), &["show", &format!("main:{name}")])
    }

    pub fn count(&self) -> String {
        self.git(&self.bare(), &["rev-list", "--count", "main"])
    }

    /// The remote refuses every push to `main` with these words.
    fn protects(&self, words: &str) {
        let hook = self.bare().join("hooks/update");
        std::fs::create_dir_all(hook.parent().expect("a folder")).expect("it can be made");
        std::fs::write(&hook, format!("#!/bin/sh\necho '{words}' >&2\n[ \"$1\" != refs/heads/main ]\n"))
            .expect("it can be written");
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).expect("it can be made to run");
    }

    fn step(&self, operation: &str) -> String {
        self.step_at(&self.bare().display().to_string(), operation)
    }

    /// The same with another way to it.
    pub fn step_at(&self, repository: &str, operation: &str) -> String {
        let mirror = self.mirror();
        format!("git: {{ repository: \"{repository}\", mirror: \"{}\", branch: main, {operation} }}", mirror.display())
    }

    fn room(&self, operation: &str) -> Room {
        Room::with_step(&format!("within: 20s\n{}", self.step(operation)))
    }
}

const TAG: &str = "refs/tags/vigie/before-run_7_1-step-1-0";

#[tokio::test]
async fn the_last_commit_is_reverted_and_pushed_with_a_tag() {
    let remote = Remote::open();
    let head = remote.at("main");
    let room = remote.room("revert: {}");
    let plan = room.planned().await;
    let step = &plan.steps[0];
    let short = &head[..7];
    assert_eq!(step.from.as_deref(), Some(format!("{short} “Prix double”").as_str()));
    assert_eq!((step.risk, step.title.key.as_str()), (Risk::Reversible, "git.title_revert"));
    let lines: Vec<String> = step.diff.iter().map(ToString::to_string).collect();
    assert!(lines.iter().any(|line| line == "price +1 −1"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("Ana: Prix initial")), "{lines:#?}");
    assert_eq!(remote.at("main"), head, "planning changes nothing there");

    let ran = room.run(&plan).await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    assert_eq!((remote.file("price").as_str(), remote.at(TAG)), ("10", head.clone()));
    assert_eq!(remote.at("main~1"), head);
    let message = remote.git(&remote.bare(), &["log", "-1", "--format=%an %ae%n%B", "main"]);
    for line in [
        "Vigie vigie@localhost",
        "Revert \"Prix double\"",
        &format!("This reverts commit {head}."),
        "Vigie-Run: run_7_1-step-1-0",
    ] {
        assert!(message.contains(line), "{line} is not in {message}");
    }
    assert!(!remote.folder.path().join("mirror/shop.git.work").exists(), "the work tree is gone");
}

#[tokio::test]
async fn a_merge_is_reverted_on_its_first_parent() {
    let remote = Remote::open();
    remote.merges();
    assert!(remote.room("revert: {}").refusal().await.contains("git.is_merge"));
    let ran = remote.room("revert: { mainline: 1 }").goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    let files = remote.git(&remote.bare(), &["ls-tree", "--name-only", "main"]);
    assert_eq!((files.as_str(), remote.file("price").as_str()), ("price", "20"));
}

/// G1 · the newest merge, however many commits came after it.
#[tokio::test]
async fn the_newest_merge_is_taken_back_also_when_somebody_went_on() {
    let remote = Remote::open();
    let refusal = remote.room("revert: { mainline: 1 }").refusal().await;
    assert!(refusal.contains("git.no_merge"), "{refusal}");
    remote.merges();
    let merge = remote.at("main");
    remote.commits("price", "30", "Prix triple");
    let room = remote.room("revert: { mainline: 1 }");
    assert_eq!(room.choices().await, [merge]);
    let ran = room.goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
    let files = remote.git(&remote.bare(), &["ls-tree", "--name-only", "main"]);
    assert_eq!((files.as_str(), remote.file("price").as_str()), ("price", "30"));
}

/// G1, P3 · nobody approves what they do not see.
#[tokio::test]
async fn every_file_that_a_revert_changes_is_named_and_all_are_counted() {
    let remote = Remote::open();
    for number in 0..11 {
        std::fs::write(remote.clone().join(format!("page-{number:02}")), "new").expect("it can be written");
    }
    remote.commits("déjà vu", "new", "Douze pages");
    let plan = remote.room("revert: {}").planned().await;
    let lines: Vec<String> = plan.steps[0].diff.iter().map(ToString::to_string).collect();
    let count = plan.steps[0].diff.iter().find(|line| line.key == "git.files").expect("they are counted");
    assert_eq!(count.vars["count"], 12);
    assert_eq!(lines.iter().filter(|line| line.ends_with(" +0 −1")).count(), 12, "{lines:#?}");
    assert!(lines.iter().any(|line| line == "déjà vu +0 −1"), "{lines:#?}");

    for number in 0..300 {
        std::fs::write(remote.clone().join(format!("image-{number:03}")), "new").expect("it can be written");
    }
    remote.commits("page-00", "newer", "Beaucoup d’images");
    let plan = remote.room("revert: {}").planned().await;
    let counted = |key: &str| {
        let line = plan.steps[0].diff.iter().find(|line| line.key == key).expect("they are counted");
        line.vars["count"].clone()
    };
    assert_eq!((counted("git.files"), counted("git.more_files")), (301.into(), 101.into()));
}

#[tokio::test]
async fn a_conflict_is_refused_with_the_files_named() {
    let remote = Remote::open();
    let commit = remote.at("main");
    remote.commits("price", "30", "Prix triple");
    let refusal = remote.room(&format!("revert: {{ commit: {commit} }}")).refusal().await;
    assert!(refusal.contains("git.conflict") && refusal.contains("\"price\""), "{refusal}");
    remote.commits("été.txt", "10", "Prix d’été");
    let summer = remote.at("main");
    remote.commits("été.txt", "20", "Prix d’été double");
    let refusal = remote.room(&format!("revert: {{ commit: {summer} }}")).refusal().await;
    assert!(refusal.contains("git.conflict") && refusal.contains("\"été.txt\""), "{refusal}");
    let refusal = remote.room("revert: { commit: deadbeef }").refusal().await;
    assert!(refusal.contains("git.no_commit"), "{refusal}");
    // What a conflict left behind is in nobody's way.
    assert_eq!(remote.room("revert: {}").goes().await.line(), "done");
    assert_eq!(remote.file("été.txt"), "10");
}

#[tokio::test]
async fn a_protected_branch_says_so_and_nothing_is_changed() {
    let remote = Remote::open();
    let head = remote.at("main");
    remote.protects("main takes reviewed changes only");
    let line = remote.room("revert: {}").goes().await.line();
    assert!(line.starts_with("failed: step.unchanged") && line.contains("git.protected"), "{line}");
    assert!(line.contains("main takes reviewed changes only"), "{line}");
    assert_eq!(remote.at("main"), head);
    assert_eq!(remote.git(&remote.bare(), &["tag"]), "", "the tag goes with the change or not at all");
}

#[tokio::test]
async fn a_branch_that_moved_is_stale_and_nothing_is_pushed() {
    let remote = Remote::open();
    let room = remote.room("revert: {}");
    let plan = room.planned().await;
    remote.commits("price", "30", "Prix triple");
    let head = remote.at("main");
    let line = room.run(&plan).await.line();
    assert!(line.starts_with("stale: git.moved") && line.contains("Prix triple"), "{line}");
    assert_eq!(remote.at("main"), head);
}

/// Between the fetch and the push there is time for others; what they pushed in it is nobody's to overwrite.
#[tokio::test]
async fn what_somebody_pushes_in_between_is_never_overwritten() {
    for operation in ["revert: {}", "shared: false, reset: { to: HEAD_BEFORE }"] {
        let remote = Remote::open();
        let operation = operation.replace("HEAD_BEFORE", &remote.at("main~1"));
        let (clone, bin) = (remote.clone(), remote.folder.path().join("bin"));
        std::fs::write(clone.join("price"), "30").expect("it can be written");
        remote.git(&clone, &["commit", "--quiet", "-a", "-m", "Prix triple"]);
        let theirs = remote.git(&clone, &["rev-parse", "HEAD"]);
        std::fs::create_dir(&bin).expect("it can be made");
        let program = bin.join("git");
        let script = format!(
            "#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/bin\nif [ \"$1\" = push ]; then git -C '{}' push --quiet origin \
             HEAD:main || exit 9; fi\nexec git \"$@\"\n",
            clone.display()
        );
        std::fs::write(&program, script).expect("it can be written");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("it can be made to run");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        let step = format!("within: 20s\n{}", remote.step(&operation));
        let room = Room::open_with_path(&Room::text(&step, "command: { argv: [\"true\"] }"), &path);
        let line = room.goes().await.line();
        assert!(line.starts_with("stale: git.moved") && line.contains("Prix triple"), "{operation}: {line}");
        assert_eq!((remote.at("main"), remote.file("price").as_str()), (theirs, "30"));
        assert_eq!(remote.git(&remote.bare(), &["tag"]), "", "the tag goes with the change or not at all");
    }
}

#[tokio::test]
async fn an_unshared_branch_goes_back_and_the_tag_keeps_the_rest() {
    let remote = Remote::open();
    let (head, before) = (remote.at("main"), remote.at("main~1"));
    let room = remote.room(&format!("shared: false, reset: {{ to: {before} }}"));
    let plan = room.planned().await;
    assert_eq!((plan.risk(), plan.steps[0].diff[1].key.as_str()), (Risk::Destructive, "git.go_away"));
    assert_eq!(room.run(&plan).await.line(), "done");
    assert_eq!((remote.at("main"), remote.at(TAG)), (before, head));

    let yaml = format!(
        "actions: {{ go: {{ title: Go, class: urgent, risk: destructive, expected: 1m, verify: [], steps: [{{ {} }}] }} }}",
        remote.step("reset: { to: v1 }")
    );
    let config: ActionsConfig = serde_saphyr::from_str(&yaml).expect("it can be read");
    let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
    assert!(faults.iter().any(|fault| fault.contains("others work on is never reset")), "{faults:?}");
}

#[tokio::test]
async fn a_push_whose_answer_was_lost_is_found_by_its_tag_and_one_that_never_came_is_made() {
    let remote = Remote::open();
    let room = remote.room("revert: {}");
    let plan = room.planned().await;
    assert_eq!(room.run(&plan).await.line(), "done");
    remote.git(&remote.clone(), &["pull", "--quiet", "origin", "main"]);
    remote.commits("other", "1", "Autre chose");
    let ran = room.taken_up(&plan).await;
    assert_eq!((ran.line().as_str(), remote.count().as_str()), ("done", "4"), "{}", ran.everything());

    let remote = Remote::open();
    let room = remote.room("revert: {}");
    let plan = room.planned().await;
    let ran = room.taken_up(&plan).await;
    assert_eq!((ran.line().as_str(), remote.count().as_str()), ("done", "3"), "{}", ran.everything());
}

#[tokio::test]
async fn hooks_and_settings_around_it_do_not_run_here() {
    let remote = Remote::open();
    let room = remote.room("checkpoint: {}");
    let plan = room.planned().await;
    let (trap, sprung) = (remote.mirror().join("hooks/pre-push"), remote.folder.path().join("sprung"));
    std::fs::create_dir_all(trap.parent().expect("a folder")).expect("it can be made");
    std::fs::write(&trap, format!("#!/bin/sh\ntouch {}\n", sprung.display())).expect("it can be written");
    std::fs::set_permissions(&trap, PermissionsExt::from_mode(0o755)).expect("it can be made to run");
    assert_eq!(room.run(&plan).await.line(), "done");
    assert!(!sprung.exists());
    assert_eq!(remote.at(TAG), remote.at("main"));
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let remote = Remote::open();
    let step = remote.step("revert: {}");
    let gone = Room::with_step(&step.replace("shop.git\", mirror", "gone.git\", mirror"));
    assert!(gone.refusal().await.contains("git.no_access"));
    let branch = Room::with_step(&step.replace("branch: main", "branch: mian"));
    assert!(branch.refusal().await.contains("git.no_branch"));
    std::fs::write(remote.folder.path().join("mirror/file"), "x").expect("it can be written");
    let folder = Room::with_step(&step.replace("mirror/shop.git", "mirror"));
    assert!(folder.refusal().await.contains("git.foreign_folder"));
}

/// G1 · a whole repository takes longer than a plan may. It is fetched when Vigie starts, and who plans meanwhile is told.
#[tokio::test]
async fn a_repository_that_takes_long_is_fetched_before_it_is_needed() {
    let remote = Remote::open();
    let (met, gate, programs) =
        (remote.folder.path().join("met"), remote.folder.path().join("gate"), remote.folder.path().join("bin"));
    let made = Command::new("mkfifo").arg(&gate).status().expect("it starts");
    assert!(made.success());
    std::fs::create_dir(&programs).expect("it can be made");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *' fetch '*) if mkdir '{}' 2>/dev/null; then read -r line <'{}'; fi;; esac\nPATH=${{PATH#*:}} \
         exec git \"$@\"\n",
        met.display(),
        gate.display()
    );
    std::fs::write(programs.join("git"), script).expect("it can be written");
    std::fs::set_permissions(programs.join("git"), PermissionsExt::from_mode(0o755)).expect("it can be made to run");
    let text = Room::text(&format!("within: 20s\n{}", remote.step("revert: {}")), "command: { argv: [\"true\"] }");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display());
    let short = Room::open_with_path(&text.replace("plan_within: 20s", "plan_within: 2s"), &path);
    let meanwhile = async {
        until("the repository is fetched", Duration::from_secs(60), async || met.exists().then_some(())).await;
        let refusal = short.refusal().await;
        std::fs::write(&gate, "on\n").expect("somebody reads there");
        refusal
    };
    let ((), refusal) = tokio::join!(short.fetches_mirrors(), meanwhile);
    assert!(refusal.contains("git.mirror_held"), "{refusal}");
    let ran = Room::open_with_path(&text, &path).goes().await;
    assert_eq!(ran.line(), "done", "{}", ran.everything());
}

/// Fetching prunes what the remote side does not have.
#[tokio::test]
async fn somebody_elses_bare_repository_is_no_mirror() {
    let remote = Remote::open();
    let (mirror, bare) = (remote.mirror(), remote.bare());
    let path = mirror.display().to_string();
    remote.git(remote.folder.path(), &["clone", "--quiet", "--mirror", &bare.display().to_string(), &path]);
    remote.git(&mirror, &["branch", "only-here", "main"]);
    let refusal = remote.room("revert: {}").refusal().await;
    assert!(refusal.contains("git.foreign_folder"), "{refusal}");
    assert_eq!(remote.git(&mirror, &["rev-parse", "only-here"]), remote.at("main"), "nothing was pruned");

    std::fs::remove_dir_all(&mirror).expect("it can be removed");
    assert_eq!(remote.room("checkpoint: {}").goes().await.line(), "done");
    assert_eq!(remote.room("revert: {}").goes().await.line(), "done", "its own is known again");
}

/// G1, P7 · a revert is reverted although others have gone on; a reset goes back only while nobody has.
#[tokio::test]
async fn what_was_done_to_a_branch_is_taken_back() {
    let remote = Remote::open();
    let room = remote.room("revert: {}");
    let plan = room.planned().await;
    assert_eq!(room.run(&plan).await.line(), "done");
    remote.git(&remote.clone(), &["pull", "--quiet", "origin", "main"]);
    remote.commits("other", "1", "Autre chose");
    remote.git(&remote.bare(), &["tag", "-d", TAG.trim_start_matches("refs/tags/")]);
    let back = room.planned_back(&plan).await;
    let ran = room.run(&back).await;
    assert_eq!((ran.line().as_str(), remote.file("price").as_str()), ("done", "20"), "{}", ran.everything());
    assert_eq!(remote.file("other"), "1");

    let remote = Remote::open();
    let (now, before) = (remote.at("main"), remote.at("main~1"));
    let room = remote.room(&format!("shared: false, reset: {{ to: {before} }}"));
    let plan = room.planned().await;
    assert_eq!(room.run(&plan).await.line(), "done");
    remote.git(&remote.bare(), &["tag", "-d", TAG.trim_start_matches("refs/tags/")]);
    let back = room.planned_back(&plan).await;
    assert_eq!(room.run(&back).await.line(), "done");
    assert_eq!(remote.at("main"), now);
    remote.commits("price", "30", "Prix triple");
    assert!(room.refusal_back(&plan).await.contains("git.moved"));
}

/// G1 · a person chooses which of the newest commits is taken back; whoever diagnoses sees them.
#[tokio::test]
async fn the_newest_commits_are_shown_and_offered() {
    let remote = Remote::open();
    remote.commits("other", "1", "Autre chose");
    let (second, newest) = (remote.at("main~1"), remote.at("main"));
    let check = remote.step("last: 2");
    let room = Room::with_step_and_check(&remote.step("revert: {}"), &check);
    let first = remote.at("main~2");
    assert_eq!(room.choices().await, [newest.clone(), second.clone(), first]);
    let seen = room.looks().await;
    let wanted = format!("{} Ana: Autre chose · {} Ana: Prix double", &newest[..7], &second[..7]);
    assert_eq!((seen.verdict, seen.value.to_string()), (Verdict::Pass, wanted));
    let plan = room.planned_to(&second).await;
    assert_eq!(room.run(&plan).await.line(), "done");
    assert_eq!((remote.file("price").as_str(), remote.file("other").as_str()), ("10", "1"));
    let gone = Room::with_step_and_check(&remote.step("revert: {}"), &check.replace("branch: main", "branch: mian"));
    let seen = gone.looks().await;
    assert!(seen.verdict == Verdict::Fail && seen.value.to_string().contains("git.no_branch"), "{seen:?}");
}

/// G1, P3, P6, P7 · from the slash command to the timeline and back by the button, in both languages.
#[tokio::test]
async fn the_last_commit_is_taken_back_from_slack() {
    for (locale, title) in [("en", "Take back"), ("fr", "Annuler")] {
        let remote = Remote::open();
        let head = remote.at("main");
        let step = format!("- {}", remote.step("revert: {}"));
        let runbook = Runbook::open(locale, "command: { argv: [\"true\"] }", &step).await;
        let (channel, card) = runbook.planned().await;
        let text = shown(&card);
        assert!(text.contains(&format!("{title} {} “Prix double”", &head[..7])), "{text}");
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!(remote.file("price"), "10");
        assert!(done.contains("vigie/before-run_1_1-step-1"), "{done}");
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains("Revert"), "{timeline}");
        runbook.world.types("U0ONCALL", &channel, "undo run_1_1").await;
        let back = runbook.world.message(&channel, "approve run_1_2");
        runbook.world.clicks("U0LEAD", &channel, &ts(&back), "approve").await;
        assert_eq!((remote.file("price").as_str(), remote.count().as_str()), ("20", "4"));
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}
