//! What every card promises, whatever is written in it.

use proptest::prelude::*;

use super::example::*;
use super::facts::{self, Medium};
use super::hostile::{every_card, no_plan, open, outcomes, over};
use super::limits::{check_lines, check_message};
use super::plan_text::plan_text;
use super::{draw, sheets, topic, words};
use crate::incident::approval::{Choice, Outcome, PlanPhase};
use crate::incident::decision::Sheet;
use crate::incident::time::Millis;
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::Words;
use crate::render::Locale;
use crate::slack::scene::{Drawn, Scene};

fn drawn(stage: &Stage, card: &Card) -> Drawn {
    let drawn = draw(&stage.scene(), card).unwrap_or_else(|fault| panic!("{}: {fault}", card.name()));
    drawn.unwrap_or_else(|| panic!("{} shows nothing", card.name()))
}

/// Every state that has a card of its own look, with `text` wherever text comes from outside.
fn stages(text: &str) -> Vec<Stage> {
    let mut stages = vec![Stage::titled(text), open(text)];
    stages.extend(outcomes(text).into_iter().map(|outcome| over(text, outcome)));
    let reason = Some(text.to_owned());
    stages.push(no_plan(text, Fact::PlanFailed { run: RUN, why: Words::verbatim(text) }));
    stages.push(no_plan(text, Fact::PlanRejected { run: RUN, reason: reason.clone() }));
    stages.push(no_plan(text, Fact::PlanExpired { run: RUN }));
    stages.push(no_plan(text, Fact::Cancelled { reason: reason.clone() }));
    let mut reopened = no_plan(text, Fact::Cancelled { reason: None });
    reopened.by("U0LEAD", Fact::Reopened { reason });
    stages.push(reopened);
    stages
}

/// Every card and every sheet of a stage; of its notices, those that tell of what came after entry `seen`.
fn check_everything(stage: &Stage, seen: u64) {
    let is_new = |card: &Card| !matches!(card, Card::Notice(seq) if *seq <= seen);
    for card in every_card(stage.incident()).into_iter().filter(is_new) {
        let drawn = drawn(stage, &card);
        let blocks = serde_json::to_value(&drawn.blocks).unwrap();
        check_message(&drawn.text, &blocks);
        check_lines(&blocks);
    }
    let scene = stage.scene();
    for sheet in every_sheet() {
        let drawn = sheets::draw(&scene, &sheet, Locale::Fr).unwrap();
        let blocks = serde_json::to_value(&drawn.blocks).unwrap();
        check_message(&drawn.text, &blocks);
        check_lines(&blocks);
    }
    assert!(topic::topic(&scene, stage.incident()).unwrap().encode_utf16().count() <= 250);
}

fn every_sheet() -> [Sheet; 9] {
    [
        Sheet::Status,
        Sheet::Plan { run: RUN },
        Sheet::Timeline,
        Sheet::List,
        Sheet::Help { topic: None },
        Sheet::Help { topic: Some("severity".into()) },
        Sheet::Actions { rollbacks: true },
        Sheet::Actions { rollbacks: false },
        Sheet::Choices {
            action: "rollback-shop".into(),
            dry_run: true,
            choices: (0..60)
                .map(|n| Choice { value: format!("web-{n}"), label: Words::verbatim("revision ".repeat(90)) })
                .collect(),
        },
    ]
}

#[test]
fn a_plan_too_long_for_its_card_is_a_button_away() {
    let mut stage = Stage::declared();
    stage.acknowledged().plan_shown();
    assert!(!sketch(&drawn(&stage, &Card::Run(RUN))).contains("Whole plan"), "the card shows all of it");
    let mut stage = Stage::declared();
    stage.plan.steps[0].diff = (1..=9).map(|n| Words::verbatim(format!("setting {n} changes"))).collect();
    stage.acknowledged().plan_shown();
    let card = sketch(&drawn(&stage, &Card::Run(RUN)));
    assert!(card.contains("… and 5 more") && !card.contains("setting 5 changes"), "{card}");
    assert!(card.contains("[Whole plan → plan run_7_1]"), "{card}");
    let whole = sketch(&sheets::draw(&stage.scene(), &Sheet::Plan { run: RUN }, Locale::Fr).unwrap());
    insta::assert_snapshot!(whole, @r#"
    Plan complet de run_7_1 · 965539a6afc1
    ---
    *Plan complet de run_7_1* · 965539a6afc1
    *v1.3.0 → v1.2.3* · shop (production)
    1. Switch the shop from v1.3.0 to v1.2.3
          ◦ setting 1 changes
          ◦ setting 2 changes
          ◦ setting 3 changes
          ◦ setting 4 changes
          ◦ setting 5 changes
          ◦ setting 6 changes
          ◦ setting 7 changes
          ◦ setting 8 changes
          ◦ setting 9 changes
    2. Clear the page cache · → empty · cache (production)
    *Pourquoi :*
    • error rate 7.2 % for 5 min (limit 5 %)
    • v1.3.0 went live 6 min before
    *Risque :* réversible · urgent (moins de 15 min) · durée habituelle : 40 s
    *Quand s’abstenir :* bad data rather than bad code
    *Ne touche pas à :* the database
    *Vérifié ensuite :*
    • health page
    • error rate
    *Droits nécessaires, vérifiés :* patch deployments/shop in production
    *En cas d’échec d’une étape :* l’exécution s’arrête là, dit ce qui est fait et ce qui ne l’est pas, et ne modifie rien de plus.
    "#);
}

#[test]
fn phases_stand_above_their_steps_with_their_budgets_and_what_is_used_of_them() {
    let phase = |title: &str, within, first| PlanPhase { title: title.into(), within: Millis::seconds(within), first };
    let mut stage = Stage::declared();
    stage.plan.phases = vec![phase("Program", 300, 0), phase("Cache", 1, 1)];
    stage.acknowledged().plan_shown();
    let plan = sketch(&drawn(&stage, &Card::Run(RUN)));
    let place = |card: &str, text: &str| card.find(text).unwrap_or_else(|| panic!("{text} is not in {card}"));
    assert!(place(&plan, "*Program* · budget 5 min") < place(&plan, "1. Switch the shop"), "{plan}");
    assert!(place(&plan, "*Cache* · budget 1 s") < place(&plan, "2. Clear the page cache"), "{plan}");
    let text = plan_text(&stage.scene(), Locale::Fr, &stage.plan).unwrap();
    assert!(text.contains("Program · 5\u{a0}min au plus\n1. "), "{text}");

    let mut stage = Stage::declared();
    stage.plan.phases = vec![phase("Program", 300, 0), phase("Cache", 1, 1)];
    stage.acknowledged().running();
    let running = sketch(&drawn(&stage, &Card::Run(RUN)));
    assert!(place(&running, "*Program* · budget 5 min, until ") < place(&running, "Switch the shop"), "{running}");
    assert!(running.contains("*Cache* · budget 1 s") && !running.contains("over budget"), "{running}");
    stage.after(301);
    let late = sketch(&drawn(&stage, &Card::Run(RUN)));
    assert!(late.contains(" · ⚠️ over budget") && late.contains("*Cache* · budget 1 s"), "{late}");
    stage.step_done(0).vigie(Fact::StepStarted { run: RUN, step: 1 }).step_done(1);
    let done = sketch(&drawn(&stage, &Card::Run(RUN)));
    assert!(
        done.contains("*Program* · 2 s of 5 min") && done.contains("*Cache* · 2 s of 1 s · ⚠️ over budget"),
        "{done}"
    );
}

#[test]
fn no_text_makes_a_card_that_slack_refuses_or_that_mentions_anybody() {
    let long = ["x".repeat(40_000), "é <b> & ".repeat(5_000), "👩‍🚒🔥".repeat(4_000), "\n".repeat(9_000)];
    let short = [
        "",
        " ",
        "<!channel> & \"x\"",
        "<@U0LEAD> <#C0INC7|x> <https://example.com|x> <!date^1^{time}|x>",
        "&lt;!here&gt; &amp;amp; &",
        "*bold* _x_ ~y~ `z` ```\nfence\n> quote",
        "شبكة \u{202e}עברית\u{202c} \u{0}\u{7}日本語",
        "https://example.com/?a=1&b=<x> @channel @here",
        "{{title}} {{#if}} \\{{x}}",
        "U0LEAD",
    ];
    for text in long {
        let failed = Outcome::Failed { step: Some(1), why: Words::verbatim(&text) };
        check_everything(&over(&text, failed), 0);
    }
    for text in short {
        let mut seen = 0;
        for mut stage in stages(text) {
            stage.opens(vec![stage.incident().clone(); 3]);
            check_everything(&stage, seen);
            seen = seen.max(stage.incident().seq.min(open(text).incident().seq));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn any_text_makes_a_card_that_slack_takes(text in "[\\PC\n<>&@#!|^`]{0,120}") {
        let before = open(&text);
        check_everything(&before, 0);
        check_everything(&over(&text, Outcome::Done), before.incident().seq);
    }
}

#[test]
fn every_entry_reads_as_one_line_in_slack_and_on_paper() {
    for locale in Locale::ALL {
        for stage in stages("two\nlines") {
            for entry in &stage.timeline {
                let slack = facts::line(&stage.scene(), locale, entry, Medium::Slack).unwrap();
                let plain = facts::line(&stage.scene(), locale, entry, Medium::Plain).unwrap();
                assert_eq!((slack.lines().count(), plain.lines().count()), (1, 1), "{slack}\n{plain}");
                assert!(!plain.contains(['<', '>']), "markup on paper: {plain}");
            }
        }
    }
}

#[test]
fn a_refusal_names_people_by_mention_and_instants_by_slack_date() {
    let stage = Stage::declared();
    let words = Words::new("refusal.rejected_already").with("user", "U0LEAD").with("decided_at", START.0);
    let said = words::say(&stage.scene(), Locale::En, &words).unwrap();
    assert_eq!(
        said,
        "<@U0LEAD> rejected this plan at <!date^1795184160^{time}|15:16 (Paris time)>. Ask for a new one."
    );
    let plain = words::plain(&stage.scene(), Locale::Fr, &words).unwrap();
    assert_eq!(plain, "Operations lead a refusé ce plan à 15\u{a0}h\u{a0}16 (heure de Paris). Demandez-en un nouveau.");
}

#[test]
fn a_refusal_names_roles_and_states_in_the_readers_language() {
    let stage = Stage::declared();
    let say = |words: Words| words::say(&stage.scene(), Locale::Fr, &words).unwrap();
    let held = Words::new("refusal.role_held").with("role", "commander").with("user", "U0LEAD");
    assert_eq!(say(held), "Responsable de l’incident\u{a0}: c’est déjà <@U0LEAD>.");
    let approvers = vec![serde_json::json!("Operations lead"), "commander".into()];
    let refused = Words::new("refusal.not_approver").with("approvers", approvers);
    assert!(say(refused).contains("Operations lead et Responsable de l’incident"));
}

#[test]
fn what_somebody_typed_is_quoted_back_without_its_power() {
    let stage = Stage::declared();
    let words = Words::new("usage.unknown_command").with("found", "<!channel>");
    let said = words::say(&stage.scene(), Locale::En, &words).unwrap();
    assert!(said.contains("&lt;!channel&gt;") && !said.contains("<!"), "{said}");
}

#[test]
fn a_page_is_written_in_the_language_of_whoever_is_paged() {
    let mut stage = Stage::declared();
    let mut lead = stage.rules.contacts["lead"].clone();
    lead.locale = Some("fr-FR".into());
    let why = crate::incident::timeline::PageWhy::Level { level: 1, round: 0 };
    let way = crate::incident::people::Way::Slack;
    stage.vigie(Fact::Paged { page: page(9), contact: Box::new(lead), way, why, message: None });
    let drawn = drawn(&stage, &Card::Page(page(9)));
    assert_eq!(drawn.text, "🟠 SEV2 · checkout returns 500 · à l’instant · vous êtes alerté (niveau 2 sur 3)");
}

#[test]
fn a_card_for_something_that_does_not_exist_shows_nothing() {
    let stage = Stage::declared();
    for card in [Card::Run(RUN), Card::Notice(99), Card::Reminder(1), Card::PostMortem(1), Card::Update(UPDATE)] {
        assert_eq!(draw(&stage.scene(), &card).unwrap(), None);
    }
}

#[test]
fn a_reminder_is_answered_by_an_update_and_then_asks_for_nothing() {
    let mut stage = Stage::declared();
    stage.acknowledged().after(1_800);
    let climbs_at = stage.now;
    stage.vigie(Fact::UpdateReminded { number: 1, who: vec![user("U0ENGINEER")], climbs_at });
    let asks = sketch(&drawn(&stage, &Card::Reminder(1)));
    assert!(asks.contains("<@U0ENGINEER>") && asks.contains("→ snooze --in inc_7"), "{asks}");
    let internal = Some("rolling back".to_owned());
    stage.by("U0ENGINEER", Fact::UpdatePosted { update: UPDATE, internal, customer: None, next_at: None });
    let answered = sketch(&drawn(&stage, &Card::Reminder(1)));
    assert!(answered.contains("was written by") && !answered.contains('→'), "{answered}");
}

#[test]
fn a_reminder_asks_for_nothing_once_the_incident_is_over() {
    for (locale, over) in [("en", "The incident is over"), ("fr", "L’incident est terminé")] {
        let mut stage = Stage::declared();
        stage.speak(locale).acknowledged().after(1_800);
        let climbs_at = stage.now;
        stage.vigie(Fact::UpdateReminded { number: 1, who: vec![user("U0ENGINEER")], climbs_at });
        stage.by("U0LEAD", Fact::Resolved { summary: "rolled back".into(), impact: None, cause: None });
        let settled = sketch(&drawn(&stage, &Card::Reminder(1)));
        assert!(settled.contains(over) && !settled.contains('→'), "{settled}");
    }
}

#[test]
fn a_settled_card_names_whoever_looked_without_being_told_the_timeline() {
    let mut stage = Stage::declared();
    stage.acknowledged().running();
    let outcome = Outcome::Unknown { step: 0, why: "the answer was lost".into() };
    stage.vigie(Fact::RunFinished { run: RUN, outcome, output: None });
    stage.by("U0LEAD", Fact::RunSettled { run: RUN, happened: true });
    let scene = Scene { timeline: &[], ..stage.scene() };
    let card = sketch(&draw(&scene, &Card::Run(RUN)).unwrap().unwrap());
    assert!(card.contains("<@U0LEAD> looked: it happened"), "{card}");
}
