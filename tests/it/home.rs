//! Home shows what is open and what waits for me, and is brought up to date when that changes.

use serde_json::json;
use vigie::incident::approval::Outcome;
use vigie::incident::state::{CustomerText, Phase, Status};
use vigie::practice::SubmitOutcome;

use crate::clicks::{phase, planned};
use crate::world::{World, read_aloud, shown, ts};

const START: &str = "start sev2 checkout returns 500";

/// Somebody opens their Home for the first time. Gives what it says.
async fn opens(world: &World, who: &str) -> String {
    world.ws().person(who).open_home().expect("there is a Home tab");
    world.ws().wait_for(|ws| ws.home(who)).await.expect("Home is drawn for whoever opens it");
    world.settle().await;
    sees(world, who)
}

/// What the Home that somebody has open says now.
fn sees(world: &World, who: &str) -> String {
    let home = world.ws().home(who).unwrap_or_else(|| panic!("{who} has no Home"));
    read_aloud(&shown(&home["blocks"]))
}

async fn clicks_home(world: &World, who: &str, wanted: &str) {
    let acted = world.ws().person(who).click_home(wanted).await.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(acted.failure, None, "click on {wanted}");
    world.settle().await;
}

/// The newest thing that the bot told somebody in their direct messages.
fn told_directly(world: &World, who: &str) -> String {
    read_aloud(&shown(&world.dms(who).pop().expect("there is a direct message")))
}

#[tokio::test]
async fn an_empty_home_says_what_to_do_and_its_button_opens_the_form() {
    let world = World::open().await;
    let home = opens(&world, "U0SUPPORT").await;
    assert_eq!(
        home,
        "Start an incident\nNothing waits for you and no incident is open. Start one here, or type /incident start."
    );
    clicks_home(&world, "U0SUPPORT", "start").await;
    let outcome = world.submits("U0SUPPORT", json!({"severity": "sev2", "title": "checkout returns 500"})).await;
    assert_eq!(outcome, SubmitOutcome::Cleared);
    assert_eq!(world.incident(1).await.title, "checkout returns 500");
    assert!(told_directly(&world, "U0SUPPORT").contains("inc_1 is declared"), "{}", told_directly(&world, "U0SUPPORT"));
    let home = sees(&world, "U0SUPPORT");
    assert!(home.contains("1 open incident") && home.contains("checkout returns 500"), "{home}");
    world.close().await;
}

#[tokio::test]
async fn a_page_waits_at_home_until_somebody_answers_and_can_be_answered_there() {
    let world = World::open().await;
    for who in ["U0ONCALL", "U0LEAD"] {
        opens(&world, who).await;
    }
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let (home, channel) = (sees(&world, "U0ONCALL"), world.channel(1).await);
    for line in ["What waits for you", "*You are paged*, and nobody has answered yet.", "Acknowledge"] {
        assert!(home.contains(line), "{line} is not in {home}");
    }
    assert!(home.contains(&format!("SEV2 · checkout returns 500 · <#{channel}>")), "with the way there: {home}");
    assert!(!sees(&world, "U0LEAD").contains("You are paged"), "the second level is not paged yet");

    world.pass(15).await;
    assert!(sees(&world, "U0LEAD").contains("You are paged"), "{}", sees(&world, "U0LEAD"));
    clicks_home(&world, "U0LEAD", "ack --in inc_1").await;
    let incident = world.incident(1).await;
    assert_eq!(incident.acknowledged.and_then(|mark| mark.by.person().cloned()), Some("U0LEAD".into()));
    assert!(world.dms("U0LEAD").iter().any(|message| shown(message).contains("Thank you. You are on inc_1")));
    for who in ["U0LEAD", "U0ONCALL"] {
        let home = sees(&world, who);
        assert!(home.contains("Nothing waits for you.") && !home.contains("You are paged"), "{who}: {home}");
        assert!(home.contains("acknowledged"), "{who}: {home}");
    }
    world.close().await;
}

#[tokio::test]
async fn whoever_is_asked_for_by_name_sees_who_asks() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", START).await;
    world.types("U0ONCALL", "C0GENERAL", "ack").await;
    opens(&world, "U0CTO").await;
    world.types("U0ONCALL", "C0GENERAL", "page cto please decide").await;
    assert!(sees(&world, "U0CTO").contains("*<@U0ONCALL> asks for you.*"), "{}", sees(&world, "U0CTO"));
    clicks_home(&world, "U0CTO", "ack --in inc_1").await;
    assert!(sees(&world, "U0CTO").contains("Nothing waits for you."), "{}", sees(&world, "U0CTO"));
    assert!(world.incident(1).await.acknowledged_by.contains(&"U0CTO".into()));
    world.close().await;
}

#[tokio::test]
async fn a_plan_waits_for_those_who_may_approve_it_until_it_is_decided() {
    let world = World::open().await;
    for who in ["U0ONCALL", "U0LEAD", "U0DBA", "U0CTO", "U0SUPPORT"] {
        opens(&world, who).await;
    }
    let (channel, plan) = planned(&world).await;
    for who in ["U0LEAD", "U0DBA", "U0CTO"] {
        let home = sees(&world, who);
        let line = "*You may approve:* Roll back the bookshop (v2 → 1.2.3 (v1)), until ";
        assert!(home.contains(line), "{who}: {home}");
        assert!(home.contains("run_1_1. Read the plan in its channel.") && home.contains(&channel), "{who}: {home}");
    }
    for who in ["U0ONCALL", "U0SUPPORT"] {
        assert!(!sees(&world, who).contains("You may approve"), "{who}: {}", sees(&world, who));
    }
    // Whoever leads may approve as well.
    opens(&world, "U0COMMS").await;
    world.types("U0COMMS", &channel, "role commander").await;
    assert!(sees(&world, "U0COMMS").contains("You may approve"), "{}", sees(&world, "U0COMMS"));

    world.clicks("U0DBA", &channel, &plan, "approve run_1_1").await;
    assert_eq!(phase(&world).await, Phase::Finished { outcome: Outcome::Done });
    for who in ["U0LEAD", "U0DBA", "U0CTO", "U0COMMS"] {
        assert!(!sees(&world, who).contains("You may approve"), "{who}: {}", sees(&world, who));
    }
    world.close().await;
}

#[tokio::test]
async fn a_plan_whose_time_is_over_waits_for_nobody() {
    let world = World::open().await;
    opens(&world, "U0CTO").await;
    planned(&world).await;
    assert!(sees(&world, "U0CTO").contains("You may approve"), "{}", sees(&world, "U0CTO"));
    world.types("U0ONCALL", "C0GENERAL", "ack").await;
    world.pass(16).await;
    assert_eq!(phase(&world).await, Phase::Expired);
    assert!(sees(&world, "U0CTO").contains("Nothing waits for you."), "{}", sees(&world, "U0CTO"));
    world.close().await;
}

#[tokio::test]
async fn a_customer_text_waits_for_another_pair_of_eyes_and_can_be_let_go_or_held_there() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", START).await;
    let channel = world.channel(1).await;
    for who in ["U0ONCALL", "U0COMMS", "U0SUPPORT"] {
        opens(&world, who).await;
    }
    world.types("U0COMMS", &channel, "update --customer “We are having difficulties & work on it.” on it").await;
    let home = sees(&world, "U0SUPPORT");
    for line in [
        "*A customer text to check*, written by <@U0COMMS>:",
        "> We are having difficulties & work on it.",
        "Send to customers",
        "Hold back",
    ] {
        assert!(home.contains(line), "{line} is not in {home}");
    }
    for who in ["U0COMMS", "U0ONCALL"] {
        assert!(!sees(&world, who).contains("customer text"), "{who}: {}", sees(&world, who));
    }
    clicks_home(&world, "U0SUPPORT", "send upd_1_1").await;
    assert!(!sees(&world, "U0SUPPORT").contains("customer text"), "{}", sees(&world, "U0SUPPORT"));
    assert!(world.received("customer.one@example.com")[0].body.contains("We are having difficulties"));

    world.types("U0SUPPORT", "C0GENERAL", "update --customer “It is all fine.”").await;
    assert!(sees(&world, "U0COMMS").contains("> It is all fine."), "{}", sees(&world, "U0COMMS"));
    clicks_home(&world, "U0COMMS", "hold upd_1_2").await;
    assert!(!sees(&world, "U0COMMS").contains("It is all fine."), "{}", sees(&world, "U0COMMS"));
    let held = world.incident(1).await.updates.into_values().next_back().expect("it was written");
    assert!(matches!(held.customer_state, Some(CustomerText::Rejected { .. })), "{held:?}");
    assert_eq!(world.received("customer.one@example.com").len(), 1, "what is held back is not sent");
    world.close().await;
}

#[tokio::test]
async fn an_update_that_is_due_waits_for_whoever_is_in_charge_and_then_for_the_next() {
    let world = World::open().await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    world.types("U0ONCALL", "C0GENERAL", "ack").await;
    for who in ["U0ONCALL", "U0LEAD"] {
        opens(&world, who).await;
    }
    const DUE: &str = "*The status update is yours to write*, promised for";
    assert!(!sees(&world, "U0ONCALL").contains(DUE), "{}", sees(&world, "U0ONCALL"));
    world.pass(30).await;
    assert!(sees(&world, "U0ONCALL").contains(DUE), "{}", sees(&world, "U0ONCALL"));
    assert!(!sees(&world, "U0LEAD").contains(DUE), "{}", sees(&world, "U0LEAD"));
    world.pass(10).await;
    assert!(sees(&world, "U0LEAD").contains(DUE), "the reminder climbed: {}", sees(&world, "U0LEAD"));

    clicks_home(&world, "U0LEAD", "update --in inc_1").await;
    let outcome = world.submits("U0LEAD", json!({"internal": "we found the cause"})).await;
    assert_eq!(outcome, SubmitOutcome::Cleared);
    for who in ["U0ONCALL", "U0LEAD"] {
        assert!(!sees(&world, who).contains(DUE), "{who}: {}", sees(&world, who));
    }
    world.close().await;
}

#[tokio::test]
async fn open_incidents_stand_at_home_the_worst_first_each_with_its_details() {
    let world = World::open().await;
    opens(&world, "U0ONCALL").await;
    for line in ["start sev3 e-mails are late", START] {
        world.types("U0ONCALL", "C0GENERAL", line).await;
    }
    let home = sees(&world, "U0ONCALL");
    let place = |what: &str| home.rfind(what).unwrap_or_else(|| panic!("no {what} in {home}"));
    assert!(home.contains("2 open incidents"), "{home}");
    assert!(place("checkout returns 500") < place("e-mails are late"), "{home}");
    clicks_home(&world, "U0ONCALL", "status --in inc_1").await;
    let details = told_directly(&world, "U0ONCALL");
    assert!(details.contains("e-mails are late") && details.contains("*Commander:*"), "{details}");

    world.types("U0ONCALL", "C0GENERAL", "severity sev1 nobody gets a receipt --in inc_1").await;
    let home = sees(&world, "U0ONCALL");
    assert!(home.contains("SEV1 · e-mails are late"), "{home}");
    // Somebody else ends it; whoever is in it sees that.
    world.types("U0COMMS", "C0GENERAL", "resolve they are on their way --in inc_1").await;
    assert_eq!(world.incident(1).await.status, Status::Resolved);
    let home = sees(&world, "U0ONCALL");
    assert!(home.contains("1 open incident") && !home.contains("e-mails are late"), "{home}");
    world.types("U0COMMS", "C0GENERAL", "cancel").await;
    let home = sees(&world, "U0ONCALL");
    assert!(home.contains("Nothing waits for you and no incident is open."), "{home}");
    world.close().await;
}

#[tokio::test]
async fn a_click_at_home_that_comes_too_late_is_answered_and_home_is_right_again() {
    let world = World::open().await;
    opens(&world, "U0ONCALL").await;
    world.types("U0SUPPORT", "C0GENERAL", START).await;
    let (dm, page) = (world.dm("U0ONCALL"), world.dms("U0ONCALL").pop().expect("a page came"));
    let oncall = world.ws().person("U0ONCALL");
    let page = ts(&page);
    let (at_home, in_dm) = tokio::join!(oncall.click_home("ack --in inc_1"), oncall.click(&dm, &page, "ack"));
    assert_eq!((at_home.expect("a button").failure, in_dm.expect("a button").failure), (None, None));
    world.settle().await;
    assert_eq!(crate::clicks::happened(&world, "acknowledged").await, 1);
    let told: Vec<String> = world.dms("U0ONCALL").iter().map(shown).chain(world.told("U0ONCALL")).collect();
    assert!(told.iter().any(|text| text.contains("You have answered already")), "{told:?}");
    assert!(sees(&world, "U0ONCALL").contains("Nothing waits for you."), "{}", sees(&world, "U0ONCALL"));
    world.close().await;
}

#[tokio::test]
async fn home_speaks_french_where_the_team_does() {
    let world = World::open_in("fr").await;
    let home = opens(&world, "U0ONCALL").await;
    assert_eq!(
        home,
        "Déclarer un incident\nRien ne vous attend et aucun incident n’est ouvert. Déclarez-en un ici, ou tapez /incident start."
    );
    world.setup.shop.break_it();
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 le paiement renvoie une erreur 500").await;
    let home = sees(&world, "U0ONCALL");
    for line in [
        "Ce qui vous attend",
        "*Vous êtes alerté*, et personne n’a encore répondu.",
        "Prendre en compte",
        "1 incident ouvert",
    ] {
        assert!(home.contains(line), "{line} is not in {home}");
    }
    clicks_home(&world, "U0ONCALL", "ack --in inc_1").await;
    assert!(sees(&world, "U0ONCALL").contains("Rien ne vous attend."), "{}", sees(&world, "U0ONCALL"));
    opens(&world, "U0LEAD").await;
    world.types("U0ONCALL", "C0GENERAL", "rollback").await;
    assert!(sees(&world, "U0LEAD").contains("*À approuver :*"), "{}", sees(&world, "U0LEAD"));
    world.types("U0ONCALL", "C0GENERAL", "page lead venez").await;
    assert!(sees(&world, "U0LEAD").contains("*<@U0ONCALL> vous demande.*"), "{}", sees(&world, "U0LEAD"));
    opens(&world, "U0SUPPORT").await;
    world.types("U0ONCALL", "C0GENERAL", "update --customer « Nous rencontrons des difficultés. »").await;
    let home = sees(&world, "U0SUPPORT");
    for line in ["*Un texte pour les clients à relire*, rédigé par <@U0ONCALL>", "Envoyer aux clients", "Retenir"] {
        assert!(home.contains(line), "{line} is not in {home}");
    }
    world.pass(30).await;
    assert!(sees(&world, "U0ONCALL").contains("*Le point d’étape vous revient*"), "{}", sees(&world, "U0ONCALL"));
    world.close().await;
}
