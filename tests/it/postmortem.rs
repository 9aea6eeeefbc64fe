//! The post-mortem is compiled from what really happened, shared once, and can always be printed (PM1–PM3).

use std::path::Path;
use std::process::{Command, Output};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vigie::practice::{SubmitOutcome, Trouble};

use crate::world::{World, shown, ts};

/// Tries to be HTML, a link, an image, a table's wall, code, a heading, a mention.
const HOSTILE: &str = "<script>alert(1)</script> [click](javascript:alert(1)) ![](https://evil.example.com/pixel.png) \
                       | cell | `code` <!channel> <@U0CTO> \\";

/// An incident lived through from the first page to the resolution. Gives its channel.
async fn lived_through(world: &World) -> String {
    world.setup.shop.break_it();
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.pass(4).await;
    world.types("U0ONCALL", &channel, "ack").await;
    world.types("U0ONCALL", &channel, "role commander @lead").await;
    world.types("U0ONCALL", &channel, "diag").await;
    world.types("U0ONCALL", &channel, "rollback").await;
    let plan = ts(&world.message(&channel, "approve run_1_1"));
    world.clicks("U0LEAD", &channel, &plan, "tick run_1_1 data").await;
    world.clicks("U0LEAD", &channel, &plan, "approve run_1_1").await;
    world.types("U0ONCALL", &channel, "update --customer “Paying works again.” rolled back").await;
    world.types("U0COMMS", &channel, "send upd_1_1").await;
    world.pass(6).await;
    world.types("U0ONCALL", &channel, "mitigate rolled back to 1.2.3").await;
    world.pass(10).await;
    world.types("U0ONCALL", &channel, "resolve").await;
    let resolution = json!({
        "summary": "Rolled back.",
        "impact": "Nobody could pay for a quarter of an hour.",
        "cause": "A setting was missing.",
    });
    assert_eq!(world.submits("U0ONCALL", resolution).await, SubmitOutcome::Cleared);
    channel
}

/// The messages of a channel that hold a file of a post-mortem.
fn files_shown(world: &World, channel: &str) -> Vec<Value> {
    let is_it = |message: &Value| {
        let name = message["files"][0]["name"].as_str().unwrap_or_default();
        name.contains("post-mortem")
    };
    world.ws().messages(channel).into_iter().filter(is_it).collect()
}

/// The newest document that Slack was given.
pub fn newest_file(world: &World) -> String {
    let file = world.ws().files().pop().expect("a file was uploaded");
    String::from_utf8(file.bytes).expect("a document is UTF-8")
}

/// The text between a heading and the next.
pub fn section<'d>(document: &'d str, heading: &str) -> &'d str {
    let start = document.split(&format!("\n## {heading}\n")).nth(1);
    let start = start.unwrap_or_else(|| panic!("there is no “{heading}”: {document}"));
    start.split("\n## ").next().unwrap_or(start)
}

/// What a table says beside a word.
fn beside<'d>(document: &'d str, word: &str) -> &'d str {
    let begins = format!("| {word} | ");
    let row = document.lines().find_map(|line| line.strip_prefix(&begins));
    row.unwrap_or_else(|| panic!("no row “{word}”: {document}")).split(" |").next().unwrap_or_default()
}

/// A terminal in the folder of the examples, with what the practice team's configuration leaves open.
struct Terminal(Vec<(&'static str, String)>);

impl Terminal {
    fn of(world: &World) -> Self {
        let phones = &world.setup.phones;
        Self(vec![
            ("DATABASE_URL", world.database.url.clone()),
            ("SHOP_URL", world.setup.shop.url().to_owned()),
            ("PHONES_URL", phones.http_url()),
            ("SMTP_PORT", phones.smtp_addr().port().to_string()),
            ("PHONES_ACCOUNT", phones.account().sid.clone()),
            ("PHONES_TOKEN", phones.account().token.expose_secret().to_owned()),
            ("PHONES_SECRET", "0123456789abcdef".to_owned()),
        ])
    }

    /// Runs `vigie …`.
    fn run(&self, line: &str) -> Output {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        command.args(line.split_whitespace()).current_dir(folder).env_clear().envs(self.0.iter().cloned());
        command.output().expect("the program runs")
    }

    /// What it prints when all is well.
    fn prints(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("output is UTF-8")
    }
}

/// A document without the line that says when it was compiled.
fn undated(document: &str) -> Vec<&str> {
    document.trim().lines().filter(|line| !line.starts_with("| Compiled |")).collect()
}

#[tokio::test]
async fn it_holds_what_happened_what_was_run_and_what_was_said_and_leaves_the_rest_to_people() {
    let world = World::open().await;
    let channel = lived_through(&world).await;
    let resolved = world.message(&channel, "postmortem --in inc_1");
    world.clicks("U0ONCALL", &channel, &ts(&resolved), "postmortem --in inc_1").await;
    world.whisper("U0ONCALL", "The post-mortem of inc_1 is being compiled");

    let shared = files_shown(&world, &channel);
    assert_eq!(shared.len(), 1);
    assert_eq!(shared[0]["files"][0]["title"], "Post-mortem inc_1: checkout returns 500");
    assert!(shown(&shared[0]).contains("SEV2 · checkout returns 500"), "{}", shown(&shared[0]));
    let document = newest_file(&world);
    println!("{document}");
    assert!(document.starts_with("# Post-mortem inc_1: checkout returns 500\n"), "{document}");
    for (word, value) in
        [("Severity", "SEV2"), ("Status", "resolved"), ("Services", "Bookshop"), ("Commander", "Engineering lead")]
    {
        assert_eq!(beside(&document, word).to_lowercase(), value.to_lowercase(), "{document}");
    }
    assert_eq!(beside(&document, "Time to acknowledge"), "4 min");
    let incident = world.incident(1).await;
    let minutes = |word: &str| beside(&document, word).split(" min").next().map(str::to_owned).unwrap_or_default();
    let (mitigated, _) = incident.mitigated.expect("it was mitigated");
    let since = |at: vigie::incident::time::Instant| at.since(incident.declared.at).whole_minutes().to_string();
    assert_eq!(minutes("Time to mitigate"), since(mitigated.at));
    assert_eq!(minutes("Time to resolve"), since(incident.resolution.expect("it is resolved").mark.at));
    for milestone in ["Started", "Team alerted", "Acknowledged", "Investigation started", "Fix applied", "Resolved"] {
        assert!(beside(section(&document, "Milestones"), milestone).starts_with("20"), "{milestone}: {document}");
    }
    assert_eq!(beside(section(&document, "Milestones"), "Cause found"), "to be filled in");

    assert!(section(&document, "Impact").contains("Nobody could pay for a quarter of an hour."));
    assert!(section(&document, "Impact").contains("Users affected: _to be filled in_"));
    assert!(section(&document, "Root cause").contains("A setting was missing."));
    let run = section(&document, "What was run");
    assert!(run.contains("**Roll back the bookshop** (run_1_1)") && run.contains(": done"), "{run}");
    assert!(run.contains("Asked by On-call engineer, approved by Engineering lead"), "{run}");
    let said = section(&document, "Communications");
    for place in ["customers, customers/newsletter", "customers, customers/status-page"] {
        let line = said.lines().find(|line| line.contains(place)).unwrap_or_else(|| panic!("no {place}: {said}"));
        assert!(line.contains("“Paying works again.”, approved by Communications"), "{line}");
    }
    assert!(said.contains("internal, company/general: “rolled back”"), "{said}");
    for heading in ["Lessons", "Prevention", "Follow-ups"] {
        let text = section(&document, heading).to_lowercase();
        assert!(text.contains("to be filled in"), "{heading}: {text}");
    }
    let timeline = section(&document, "Full timeline");
    for entry in ["declared", "answered", "approved", "no longer affected", "Rolled back."] {
        assert!(timeline.to_lowercase().contains(&entry.to_lowercase()), "{entry}: {timeline}");
    }
    assert!(!document.contains("U0"), "people are called by their names: {document}");

    // The workspace has canvases: the same document is the channel's canvas.
    let canvases = world.ws().canvases();
    assert_eq!((canvases.len(), canvases[0].channel.as_deref()), (1, Some(channel.as_str())));
    assert_eq!(canvases[0].markdown, document);
    world.close().await;
}

#[tokio::test]
async fn a_second_version_takes_the_place_of_the_first() {
    let world = World::open().await;
    let channel = lived_through(&world).await;
    world.types("U0ONCALL", &channel, "postmortem").await;
    let first = files_shown(&world, &channel);
    world.types("U0LEAD", &channel, "note the setting is back <b>everywhere</b>").await;
    world.types("U0LEAD", &channel, "postmortem").await;
    let second = files_shown(&world, &channel);
    assert_eq!((first.len(), second.len()), (1, 1), "one document in the channel");
    assert_ne!(first[0]["ts"], second[0]["ts"], "the newest stands where people look");
    let document = newest_file(&world);
    assert!(document.contains("the setting is back \\<b>everywhere\\</b>"), "{document}");
    let canvases = world.ws().canvases();
    assert_eq!((canvases.len(), &canvases[0].markdown), (1, &document));

    world.types("U0LEAD", &channel, "postmortem").await;
    assert_eq!(files_shown(&world, &channel).len(), 1);
    world.close().await;
}

#[tokio::test]
async fn an_earlier_version_that_slack_keeps_is_no_obstacle() {
    let world = World::open().await;
    let channel = lived_through(&world).await;
    world.types("U0ONCALL", &channel, "postmortem").await;
    let forbidden = Trouble::Error("compliance_exports_prevent_deletion".into());
    world.ws().faults().next("chat.delete", 1, forbidden);
    world.types("U0LEAD", &channel, "postmortem").await;
    assert_eq!(files_shown(&world, &channel).len(), 2);
    assert_eq!(world.ws().faults().left(), 0);
    world.close().await;
}

#[tokio::test]
async fn without_canvases_the_file_is_enough() {
    let world = World::open().await;
    let channel = lived_through(&world).await;
    world
        .ws()
        .faults()
        .until_cleared("conversations.canvases.create", Trouble::Error("canvas_globally_disabled".into()));
    let before = world.ws().messages(&channel).len();
    world.types("U0ONCALL", &channel, "postmortem").await;
    assert_eq!(files_shown(&world, &channel).len(), 1);
    assert_eq!(world.ws().messages(&channel).len(), before + 1, "nothing more is said about it");
    assert!(world.ws().canvases().is_empty());
    world.close().await;
}

#[tokio::test]
async fn where_slack_takes_no_file_the_channel_is_told_how_to_print_it() {
    for method in ["files.getUploadURLExternal", "files.completeUploadExternal"] {
        let world = World::open().await;
        let terminal = Terminal::of(&world);
        let channel = lived_through(&world).await;
        world.ws().faults().until_cleared(method, Trouble::Error("file_uploads_disabled".into()));
        world.types("U0ONCALL", &channel, "postmortem").await;
        assert!(files_shown(&world, &channel).is_empty());
        let told = shown(&world.message(&channel, "The post-mortem could not be shared here"));
        assert!(
            told.contains("file_uploads_disabled") && told.contains("print it with: vigie postmortem inc_1"),
            "{told}"
        );
        let printed = terminal.prints("postmortem inc_1");
        assert!(printed.contains("# Post-mortem inc_1: checkout returns 500"), "{printed}");

        // When the workspace allows it again, it is shared as if nothing had been.
        world.ws().faults().clear();
        world.types("U0ONCALL", &channel, "postmortem").await;
        assert_eq!(files_shown(&world, &channel).len(), 1);
        world.close().await;
    }
}

#[tokio::test]
async fn where_the_channel_is_gone_whoever_asks_is_told_how_to_print_it() {
    let world = World::open().await;
    let channel = lived_through(&world).await;
    world.ws().archive_channel(&channel);
    world.settle().await;
    world.types("U0ONCALL", "C0GENERAL", "postmortem --in inc_1").await;
    let told = shown(&world.whisper("U0ONCALL", "cannot be used"));
    assert!(told.contains("Print it with: vigie postmortem inc_1"), "{told}");
    assert!(world.ws().files().is_empty());
    world.close().await;
}

#[tokio::test]
async fn what_people_wrote_stays_text_in_every_format() {
    let world = World::open().await;
    let terminal = Terminal::of(&world);
    world.types("U0ONCALL", "C0GENERAL", &format!("start sev2 checkout {HOSTILE}")).await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, &format!("note {HOSTILE}")).await;
    world.types("U0ONCALL", &channel, "resolve").await;
    let forged = format!("{HOSTILE}\n## Follow-ups\n<h1>forged</h1>\n---");
    let filled = json!({"summary": HOSTILE, "impact": forged, "cause": forged});
    assert_eq!(world.submits("U0ONCALL", filled).await, SubmitOutcome::Cleared);
    world.types("U0ONCALL", &channel, "postmortem").await;

    let document = newest_file(&world);
    println!("{document}");
    for acts in ["<script", "<h1>", "[click](", "![](", "\n## Follow-ups\n\\<", "<!channel>", "<@U0CTO>"] {
        let plain = document.replace("\\<", "").replace("\\[", "");
        assert!(!plain.contains(acts), "“{acts}” acts: {document}");
    }
    assert_eq!(document.matches("\n## Follow-ups\n").count(), 1, "{document}");
    let columns = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
    for line in section(&document, "Full timeline").lines().filter(|line| line.starts_with("| 20")) {
        assert_eq!(columns(line), 4, "{line}");
    }
    assert_eq!(world.ws().canvases()[0].markdown, document);

    let page = terminal.prints("postmortem 1 --format html");
    for acts in ["<script", "javascript:alert(1)\"", "<img", "<h1>forged", "href=\"https://evil"] {
        assert!(!page.contains(acts), "“{acts}” acts: {page}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; [click](javascript:alert(1))"), "{page}");
    assert_eq!(page.matches("<h2>Follow-ups</h2>").count(), 1, "{page}");
    let record: Value = serde_json::from_str(&terminal.prints("postmortem 1 --format json")).expect("JSON");
    assert_eq!(record["cause"], forged, "a program gets it as it was written");
    world.close().await;
}

#[tokio::test]
async fn the_terminal_prints_the_same_document_while_the_bot_runs_and_after() {
    let world = World::open().await;
    let terminal = Terminal::of(&world);
    let channel = lived_through(&world).await;
    world.types("U0ONCALL", &channel, "postmortem").await;
    let shared = newest_file(&world);
    let line = "postmortem inc_1 --config practice.yml";
    let printed = terminal.prints(line);
    assert_eq!(undated(&printed), undated(&shared));
    let record: Value = serde_json::from_str(&terminal.prints("postmortem 1 --format json")).expect("JSON");
    assert_eq!((&record["incident"], &record["durations"]["acknowledge"]), (&"inc_1".into(), &240_000.into()));
    assert_eq!(record["runs"][0]["approved"][0]["by"]["person"], "U0LEAD");
    let page = terminal.prints(&format!("{line} --format html"));
    assert!(page.contains("<h1>Post-mortem inc_1: checkout returns 500</h1>"), "{page}");

    let unknown = terminal.run("postmortem inc_9");
    let told = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(
        (unknown.status.code(), told.as_str()),
        (Some(1), "vigie: there is no incident inc_9; vigie incidents lists them\n")
    );
    let _database = world.close().await;
    assert_eq!(undated(&terminal.prints(line)), undated(&shared), "also when the bot is gone");
}

#[tokio::test]
async fn it_is_written_in_french_where_the_team_is_french() {
    let world = World::open_in("fr").await;
    let channel = lived_through(&world).await;
    world.types("U0ONCALL", &channel, "postmortem").await;
    let document = newest_file(&world);
    println!("{document}");
    assert!(document.starts_with("# Post-mortem inc_1\u{a0}: checkout returns 500\n"), "{document}");
    assert_eq!(beside(&document, "Délai de prise en compte"), "4\u{a0}min");
    for heading in ["Jalons", "Cause première", "Enseignements", "Actions de suivi", "Chronologie complète"] {
        section(&document, heading);
    }
    assert!(section(&document, "Enseignements").contains("À compléter"));
    for english in ["to be filled in", "approved", "Severity", "paged"] {
        assert!(!document.contains(english), "{english}: {document}");
    }
    world.ws().faults().until_cleared("files.getUploadURLExternal", Trouble::Error("file_uploads_disabled".into()));
    world.types("U0ONCALL", &channel, "postmortem").await;
    let told = shown(&world.message(&channel, "n’a pas pu être partagé ici"));
    assert!(told.contains("vigie postmortem inc_1"), "{told}");
    world.close().await;
}
