//! What is typed in a hurry is understood, or answered with how it is typed; help says what there is.

use vigie::incident::command::all_help;

use super::{START, declared, kinds, seq};
use crate::world::World;

#[tokio::test]
async fn help_lists_every_command_as_the_grammar_knows_it_to_whoever_asked_alone() {
    let world = World::open().await;
    let messages = world.ws().messages("C0GENERAL").len();
    for line in ["help", "Help", ""] {
        let help = world.asks("U0SUPPORT", "C0GENERAL", line).await;
        for command in all_help() {
            assert!(help.contains(&format!("`{}` · ", command.usage)), "“{}” is not in {help}", command.usage);
        }
        assert!(help.contains("/incident role <role> [person]"), "{help}");
        assert!(help.contains("📌"), "what is done without typing is told too: {help}");
    }
    assert_eq!(world.ws().messages("C0GENERAL").len(), messages, "the channel is left in peace");
    world.close().await;
}

#[tokio::test]
async fn help_on_one_command_says_how_it_is_typed_and_what_else_it_is_called() {
    let world = World::open().await;
    let role = world.asks("U0SUPPORT", "C0GENERAL", "help Role").await;
    assert!(role.contains("`/incident role <role> [person]`\nTake a role"), "{role}");
    assert!(!role.contains("/incident page"), "only what was asked for: {role}");
    for (line, usage) in [("help acknowledge", "/incident ack"), ("help /severity", "/incident severity <severity>")] {
        let help = world.asks("U0SUPPORT", "C0GENERAL", line).await;
        assert!(help.contains(usage) && help.contains("Also: "), "{line}: {help}");
    }
    let unknown = world.asks("U0SUPPORT", "C0GENERAL", "help cooking").await;
    assert!(unknown.contains("There is no command “cooking”. These exist:"), "{unknown}");
    assert!(unknown.contains("/incident rollback"), "{unknown}");
    world.close().await;
}

#[tokio::test]
async fn a_word_that_is_nearly_right_gets_the_right_one() {
    let world = World::open().await;
    for (line, word) in [
        ("strat sev2 checkout returns 500", "start"),
        ("Rolback", "rollback"),
        ("resovle it was DNS", "resolve"),
        ("statsu", "status"),
        ("timelien", "timeline"),
        ("acknowlege", "acknowledge"),
        ("mitigat", "mitigate"),
        ("postmorten", "postmortem"),
    ] {
        let typed = line.split(' ').next().expect("a word");
        let ack = world.types("U0SUPPORT", "C0GENERAL", line).await;
        let says = format!("I do not know “{typed}”. Did you mean /incident {word}?");
        assert_eq!(ack.text(), Some(says.as_str()));
    }
    let ack = world.types("U0SUPPORT", "C0GENERAL", "frobnicate the shop").await;
    assert_eq!(ack.text(), Some("I do not know “frobnicate”. /incident help lists what I know."));
    assert_eq!(world.setup.vigie.store.recent_incidents(5).await.expect("the store answers"), []);
    world.close().await;
}

#[tokio::test]
async fn what_is_missing_or_does_not_fit_is_named_with_how_it_is_typed_and_stores_nothing() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let before = seq(&world).await;
    for (line, says) in [
        ("severity", "Something is missing: <severity>. It is typed like this: /incident severity <severity> [text …]"),
        ("Role", "Something is missing: <role>. It is typed like this: /incident role <role> [person]"),
        ("page", "Something is missing: <person|level>. It is typed like this: /incident page <person|level> [text …]"),
        ("approve", "Something is missing: <run>. It is typed like this: /incident approve <run>"),
        ("tick run_1_1", "Something is missing: <item>. It is typed like this: /incident tick <run> <item>"),
        ("approve nonsense", "“nonsense” does not fit <run>. It is typed like this: /incident approve <run>"),
        (
            "settle run_1_1 perhaps",
            "“perhaps” does not fit <truth>. It is typed like this: /incident settle <run> <truth>",
        ),
        ("update --next soon on it", "“soon” does not fit --next <minutes>."),
        ("ack --in seven", "“seven” does not fit --in <inc_7>."),
        ("ack on my way", "I did not understand “on”. It is typed like this: /incident ack"),
    ] {
        let ack = world.types("U0ONCALL", &channel, line).await;
        let text = crate::world::read_aloud(ack.text().expect("it is answered at once"));
        assert!(text.starts_with(says), "{line}: {text}");
    }
    assert_eq!(seq(&world).await, before);
    world.close().await;
}

#[tokio::test]
async fn what_a_phone_makes_of_it_is_understood() {
    let world = World::open().await;
    // A capital, a typographic apostrophe, a long dash, spaces that do not break.
    world.types("U0ONCALL", "C0GENERAL", "Start\u{a0}P2 it’s all down — nobody can buy ").await;
    let incident = world.incident(1).await;
    assert_eq!((incident.title.as_str(), incident.severity.key.as_str()), ("it’s all down — nobody can buy", "sev2"));
    // Dashes that a phone joined, quotes that it bent.
    world.types("U0ONCALL", "C0GENERAL", "START —drill –service “Bookshop” sev3 the till is slow").await;
    let drill = world.incident(2).await;
    assert_eq!((drill.drill, drill.title.as_str()), (true, "the till is slow"));
    assert_eq!((drill.severity.key.as_str(), drill.service.as_deref()), ("sev3", Some("shop")));

    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "Note they say “it’s   the till” – not us: -5 % —really").await;
    let timeline = world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("noted: they say “it’s the till” – not us: -5 % —really"), "{timeline}");
    assert_eq!(world.asks("U0ONCALL", &channel, "  Role   IC   Me ").await, "Commander: <@U0ONCALL>.");
    assert_eq!(world.asks("U0ONCALL", "C0GENERAL", "Severity Critical —in inc_2").await, "The severity is now SEV1.");
    assert_eq!(world.incident(2).await.severity.key, "sev1");
    assert!(world.asks("U0ONCALL", &channel, "ACK").await.starts_with("Thank you. You are on inc_1"));
    world.close().await;
}

#[tokio::test]
async fn other_words_for_a_command_do_the_same() {
    let world = World::open().await;
    for (line, kind) in [
        ("declare sev2 checkout returns 500", "declared"),
        ("acknowledge", "acknowledged"),
        ("sev p1", "severity_changed"),
        ("check", "diagnostic_finished"),
        ("pm", "post_mortem_compiled"),
    ] {
        world.types("U0ONCALL", "C0GENERAL", line).await;
        assert!(kinds(&world, 1).await.contains(&kind.to_owned()), "{line}: {:?}", kinds(&world, 1).await);
    }
    world.types("U0ONCALL", "C0GENERAL", &START.replace("start", "new")).await;
    assert_eq!(world.incident(2).await.title, "checkout returns 500");
    world.close().await;
}
