//! A French team reads French, wherever the words come from: cards, pages, e-mails, results, faults, documents.

use regex::Regex;
use serde_json::json;
use vigie::practice::phones::{Door, Fault};
use vigie::practice::{SubmitOutcome, Trouble};

use crate::world::{World, shown, ts};

const GENERAL: &str = "C0GENERAL";

/// Words that are English and not French.
const ENGLISH: &str = r"(?i)\b(the|is|are|was|were|has|have|had|been|not|nobody|nothing|could|can|cannot|will|would|did|does|do|with|without|from|at|by|of|and|or|for|to|this|that|it|its|you|your|already|again|before|after|until|still|said|answered|asked|delivered|failed|refused|reached|found|changed|within|above|below|limit|exit|check|checks|channel|paged|level|update|updates|just|now|address|number|server|queued|sent|success|who|what|when|which|min ago|half|hour)\b";

/// The parts of a text that are nobody's words: what is quoted, code, addresses, markup, commands, our own names.
const NO_WORDS: &str = r#"«[^»]*»|`[^`]*`|<[!@#h][^>]*>|\S*(?:/|@|:_|_\d)\S*|/incident(?: [a-z]+)?|(?:PUT|GET|POST) .*|Post-mortem|post-mortem|\{"[^}]*\}"#;

/// Everything that Slack shows or people get, with where it stood.
fn everything(world: &World) -> Vec<(String, String)> {
    let calls = world.ws().calls().into_iter().filter(|call| call.is_ok());
    let mut all: Vec<(String, String)> = calls.map(|call| (call.method, shown(&call.args))).collect();
    for person in world.ws().people() {
        let id = person.profile.id;
        all.extend(world.told(&id).into_iter().map(|text| (format!("whisper to {id}"), text)));
    }
    for delivery in world.setup.phones.deliveries() {
        all.push((format!("{:?} to {}", delivery.kind, delivery.to), delivery.subject.clone()));
        let is_text = !delivery.body.trim_start().starts_with('{');
        all.extend(is_text.then(|| (format!("{:?} to {}", delivery.kind, delivery.to), delivery.body)));
    }
    for file in world.ws().files() {
        all.push((file.name.clone(), String::from_utf8_lossy(&file.bytes).into_owned()));
        all.push((file.name, file.title));
    }
    all
}

/// Demands that everything which was shown is French.
pub fn is_french(world: &World) {
    let english = Regex::new(ENGLISH).expect("the pattern is sound");
    let no_words = Regex::new(NO_WORDS).expect("the pattern is sound");
    let mut found: Vec<String> = Vec::new();
    for (place, text) in everything(world) {
        for line in text.lines() {
            let bare = no_words.replace_all(line, " ");
            let words: Vec<&str> = english.find_iter(&bare).map(|word| word.as_str()).collect();
            if !words.is_empty() {
                found.push(format!("{words:?} in {place}: {line}"));
            }
        }
    }
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "{} lines are not French:\n{}", found.len(), found.join("\n"));
}

/// The shop is broken, an incident is declared and answered. Gives its channel.
async fn answered(world: &World) -> String {
    world.setup.shop.break_it();
    world.types("U0ONCALL", GENERAL, "start sev2 le paiement renvoie une erreur 500").await;
    let channel = world.channel(1).await;
    let (dm, page) = (world.dm("U0ONCALL"), world.dms("U0ONCALL").pop().expect("a page came"));
    world.clicks("U0ONCALL", &dm, &ts(&page), "ack").await;
    channel
}

#[tokio::test]
async fn the_whole_story_is_told_in_french() {
    let world = World::open_in("fr").await;
    let channel = answered(&world).await;
    world.types("U0ONCALL", &channel, "diag").await;
    world.types("U0ONCALL", &channel, "rollback").await;
    let plan = ts(&world.message(&channel, "approve run_1_1"));
    world.clicks("U0ONCALL", &channel, &plan, "approve run_1_1").await;
    world.clicks("U0LEAD", &channel, &plan, "approve run_1_1").await;
    world.clicks("U0LEAD", &channel, &plan, "tick run_1_1 data").await;
    world.clicks("U0LEAD", &channel, &plan, "approve run_1_1").await;
    let card = shown(&world.ws().message(&channel, &plan).expect("the card stands"));
    assert!(card.contains("Terminé") && card.contains("version de la librairie"), "{card}");

    world.types("U0ONCALL", &channel, "update").await;
    let id = world.form("U0ONCALL")["id"].as_str().expect("a view has an id").to_owned();
    let kind = "customer_difficulties";
    world.ws().person("U0ONCALL").select_in_view(&id, "kind/choice", kind).await.expect("it can be chosen");
    assert_eq!(world.submits("U0ONCALL", json!({})).await, SubmitOutcome::Cleared);
    world.types("U0COMMS", &channel, "send upd_1_1").await;
    world.pass(30).await;
    world.pass(10).await;
    world.types("U0ONCALL", &channel, "severity sev1 plus personne ne peut payer").await;
    world.types("U0ONCALL", &channel, "page support merci de rejoindre le canal").await;
    world.types("U0ONCALL", &channel, "role scribe").await;
    world.types("U0ONCALL", &channel, "note mise en ligne vers 14 h 02").await;
    for line in ["status", "list", "timeline", "run", "snooze", "help", "help ack"] {
        world.types("U0ONCALL", &channel, line).await;
    }
    world.types("U0ONCALL", &channel, "mitigate ancienne version en ligne").await;
    world.types("U0ONCALL", &channel, "resolve ancienne version en ligne").await;
    world.types("U0ONCALL", &channel, "timeline").await;
    world.types("U0ONCALL", &channel, "postmortem").await;
    world.ws().person("U0ONCALL").open_home().expect("there is a Home tab");
    world.settle().await;
    is_french(&world);
    world.close().await;
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_french_too() {
    let world = World::open_in("fr").await;
    // Nobody answers, and nothing gets through.
    world.setup.phones.fail_next(Door::Smtp, Fault::Refused, 1);
    world.ws().faults().next("conversations.open", 1, Trouble::Error("user_disabled".into()));
    let channel = answered_late(&world).await;
    world.ws().person("U0LEAD").join(&channel).expect("the channel is open to all");
    world.setup.phones.fail_next(Door::Call, Fault::Refused, 5);
    world.setup.phones.fail_next(Door::Sms, Fault::Unavailable, 500);
    world.types("U0ONCALL", &channel, "page cto merci de rejoindre le canal").await;

    // Somebody else was faster; then there is nothing left to go back to; then a check hangs.
    world.setup.shop.break_it();
    world.types("U0ONCALL", &channel, "rollback").await;
    let plan = ts(&world.message(&channel, "approve run_1_1"));
    let url = format!("{}/switch", world.setup.shop.url());
    let moved = reqwest::Client::new().put(url).json(&json!({"to": "v1", "expected": "v2"})).send().await;
    assert_eq!(moved.expect("the shop answers").status(), 200);
    world.clicks("U0LEAD", &channel, &plan, "tick run_1_1 data").await;
    world.clicks("U0LEAD", &channel, &plan, "approve run_1_1").await;
    let card = shown(&world.ws().message(&channel, &plan).expect("the card stands"));
    assert!(card.contains("version de la librairie\u{a0}: déjà à v1"), "{card}");
    world.types("U0ONCALL", &channel, "rollback").await;
    let card = shown(&world.message(&channel, "Pas de plan"));
    assert!(card.contains("Il n’y a aucun état antérieur"), "{card}");
    world.setup.shop.hang_health(true);
    world.types("U0ONCALL", &channel, "diag").await;
    world.setup.shop.hang_health(false);

    // Slack does not take what is said, and a place takes no text.
    world.ws().faults().next("chat.postMessage", 1, Trouble::Error("restricted_action".into()));
    world.types("U0ONCALL", &channel, "severity sev3 moins grave que prévu").await;
    world.setup.phones.refuse("status-page");
    world.setup.phones.refuse("customer.two@example.com");
    world.types("U0ONCALL", &channel, "update --customer “Le paiement est difficile.” retour arrière en cours").await;
    world.types("U0COMMS", &channel, "send upd_1_1").await;
    world.ws().archive_channel(&channel);
    world.settle().await;
    world.types("U0ONCALL", GENERAL, "status --in inc_1").await;
    world.types("U0ONCALL", GENERAL, "timeline --in inc_1").await;
    is_french(&world);
    world.close().await;
}

/// An incident whose first pages did not get through. Gives its channel.
async fn answered_late(world: &World) -> String {
    world.types("U0SUPPORT", GENERAL, "start sev2 le paiement renvoie une erreur 500").await;
    let channel = world.channel(1).await;
    world.pass(16).await;
    world.types("U0ONCALL", &channel, "ack").await;
    channel
}
