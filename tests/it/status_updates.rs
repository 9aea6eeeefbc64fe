//! People are told in time, and customers only what a second pair of eyes has read (M1–M3, M7, section 8).

use serde_json::{Value, json};
use vigie::incident::id::IncidentId;
use vigie::practice::phones::{Delivery, DeliveryKind, Door, Fault};
use vigie::practice::{SubmitOutcome, Trouble};

use crate::world::{World, shown, ts};

const DIFFICULTIES: &str = "customer_difficulties";
const GENERAL: &str = "C0GENERAL";
/// Every place that the practice team's customers read.
const CUSTOMERS: [&str; 3] = ["customer.one@example.com", "customer.two@example.com", "status-page"];
/// The practice team's customers can also be reached by text message and by a webhook of a partner.
const MORE_PLACES: (&str, &str) = (
    "      - name: status-page\n",
    "      - name: hotline\n        sms: [\"+15550199\"]\n      \
     - name: partner\n        webhook: { url: \"${PHONES_URL}/hook/partner\", secret: \"${PHONES_SECRET}\" }\n      \
     - name: status-page\n",
);

/// An incident that somebody is on. Gives its channel.
async fn answered(world: &World) -> String {
    world.types("U0ONCALL", GENERAL, "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "ack").await;
    channel
}

/// The initial text of the input in the block of this name.
fn filled_in(form: &Value, block: &str) -> String {
    let blocks = form["blocks"].as_array().expect("a view has blocks");
    let found = blocks.iter().find(|one| one["block_id"].as_str().is_some_and(|id| id.starts_with(block)));
    let found = found.unwrap_or_else(|| panic!("there is no input {block}: {form:#}"));
    found["element"]["initial_value"].as_str().unwrap_or_default().to_owned()
}

/// Chooses a message for customers in the open dialog; gives the dialog as it is then.
async fn chooses(world: &World, who: &str, kind: &str) -> Value {
    let id = world.form(who)["id"].as_str().expect("a view has an id").to_owned();
    let acted = world.ws().person(who).select_in_view(&id, "kind/choice", kind).await.expect("it can be chosen");
    assert_eq!(acted.failure, None);
    world.form(who)
}

/// An update with a text for customers, written in the dialog by the on-call engineer. Gives its card.
async fn written(world: &World, channel: &str) -> Value {
    world.types("U0ONCALL", channel, "update").await;
    chooses(world, "U0ONCALL", DIFFICULTIES).await;
    let texts = json!({"internal": "We are rolling back.", "customer:customer_difficulties": "Paying is difficult."});
    assert_eq!(world.submits("U0ONCALL", texts).await, SubmitOutcome::Cleared);
    world.message(channel, "send upd_1_1")
}

/// What customers got, in order of arrival.
fn customers_got(world: &World) -> Vec<Delivery> {
    let to_customers = |delivery: &Delivery| {
        delivery.to.starts_with("customer.") || ["status-page", "partner", "+15550199"].contains(&delivery.to.as_str())
    };
    world.setup.phones.deliveries().into_iter().filter(to_customers).collect()
}

/// How often each place got something.
fn counts(deliveries: &[Delivery], places: &[&str]) -> Vec<usize> {
    places.iter().map(|place| deliveries.iter().filter(|delivery| delivery.to == *place).count()).collect()
}

async fn happened(world: &World, kind: &str) -> usize {
    let timeline = world.setup.vigie.store.timeline(IncidentId(1)).await.expect("the store answers");
    timeline.iter().filter(|entry| entry.fact.kind() == kind).count()
}

#[tokio::test]
async fn the_dialog_is_filled_in_and_previews_what_customers_will_read() {
    let world = World::open().await;
    let channel = answered(&world).await;
    world.types("U0ONCALL", &channel, "update").await;
    let form = world.form("U0ONCALL");
    assert_eq!((&form["callback_id"], &form["title"]["text"]), (&"update".into(), &"Status update".into()));
    let internal = filled_in(&form, "internal");
    assert!(internal.contains("SEV2 · checkout returns 500") && internal.contains("Commander: "), "{internal}");
    assert!(!internal.contains('<'), "what is typed into is plain text: {internal}");
    let asked = shown(&form);
    assert!(asked.contains("Tell customers") && asked.contains("Nothing for now"), "{asked}");
    assert!(!asked.contains("For customers"), "nothing is said to customers unless somebody chooses to: {asked}");

    let id = form["id"].as_str().expect("a view has an id").to_owned();
    let person = world.ws().person("U0ONCALL");
    person.fill_in(&id, json!({"internal": "We are rolling back."})).await.expect("it can be typed");
    let form = chooses(&world, "U0ONCALL", DIFFICULTIES).await;
    let customer = filled_in(&form, "customer:");
    assert!(customer.starts_with("We are having difficulties with: Bookshop."), "{customer}");
    person.fill_in(&id, json!({"customer:customer_difficulties": "Paying <b>is</b> difficult."})).await.expect("typed");
    let acted = person.click_in_view(&id, "preview").await.expect("there is a preview");
    assert_eq!(acted.failure, None);
    let preview = shown(&world.form("U0ONCALL"));
    assert!(preview.contains("This is what customers will read"), "{preview}");
    assert!(preview.contains("customers/newsletter and customers/status-page"), "{preview}");
    assert!(preview.contains("Paying &lt;b&gt;is&lt;/b&gt; difficult."), "as it was edited: {preview}");

    // A slow Slack is no reason for a warning beside a click that worked.
    world.ws().faults().next("views.update", 1, Trouble::Hang);
    assert_eq!(person.click_in_view(&id, "preview").await.expect("there is a preview").failure, None);

    // Another message is another text; what was typed for the team stays.
    let form = chooses(&world, "U0ONCALL", "customer_notification").await;
    assert_ne!(filled_in(&form, "customer:"), customer);
    assert_eq!(world.submits("U0ONCALL", json!({})).await, SubmitOutcome::Cleared);
    let update = world.incident(1).await.updates.into_values().next().expect("an update was written");
    assert_eq!(update.internal.as_deref(), Some("We are rolling back."));
    world.close().await;
}

#[tokio::test]
async fn the_team_reads_at_once_and_customers_after_a_second_person_once_everywhere() {
    let world = World::open_changed(&[MORE_PLACES]).await;
    let channel = answered(&world).await;
    let card = written(&world, &channel).await;
    let text = shown(&card);
    assert!(text.contains("We are rolling back.") && text.contains("waiting for a second pair of eyes"), "{text}");
    assert!(text.contains("Paying is difficult.") && text.contains("Send to customers"), "{text}");
    world.message(GENERAL, "We are rolling back.");
    world.whisper("U0ONCALL", "A customer text goes out once somebody else has approved it.");
    assert_eq!(customers_got(&world), [], "nothing leaves before it was approved");

    // The author cannot let it out, nor can whoever is not asked.
    world.clicks("U0ONCALL", &channel, &ts(&card), "send upd_1_1").await;
    world.whisper("U0ONCALL", "You wrote this text, so somebody else must approve it.");
    world.clicks("U0DBA", &channel, &ts(&card), "send upd_1_1").await;
    world.whisper("U0DBA", "may decide this");
    assert_eq!(customers_got(&world), []);

    let (comms, support) = (world.ws().person("U0COMMS"), world.ws().person("U0SUPPORT"));
    support.join(&channel).expect("the channel is open to all");
    let stamp = ts(&card);
    let send = "send upd_1_1";
    let (one, two) = tokio::join!(comms.click(&channel, &stamp, send), support.click(&channel, &stamp, send));
    assert_eq!((one.expect("a button").failure, two.expect("a button").failure), (None, None));
    world.settle().await;
    let got = customers_got(&world);
    let everywhere = [CUSTOMERS.as_slice(), &["partner", "+15550199"]].concat();
    assert_eq!(counts(&got, &everywhere), [1, 1, 1, 1, 1], "{got:#?}");
    assert!(got.iter().all(|delivery| delivery.body.contains("Paying is difficult.")), "{got:#?}");
    assert!(got.iter().all(|delivery| !delivery.raw.contains("rolling back")), "the team's text stays in the team");
    let mail = got.iter().find(|delivery| delivery.kind == DeliveryKind::Email).expect("an e-mail");
    assert!(mail.from.contains("support@example.com"), "{mail:?}");
    assert!(mail.subject.starts_with("difficulties in progress"), "{mail:?}");

    let text = shown(&world.again(&channel, &card));
    assert!(text.contains("*For customers*, approved by <@U0"), "{text}");
    for place in ["company/general", "customers/newsletter", "customers/status-page", "customers/hotline"] {
        assert!(text.contains(&format!("✅ {place}: sent")), "{text}");
    }
    assert!(!text.contains("Send to customers"), "there is nothing left to decide: {text}");
    let told = [world.told("U0COMMS"), world.told("U0SUPPORT")].concat();
    assert!(told.iter().any(|text| text.contains("let this text go out at")), "the later of two is told: {told:?}");
    assert_eq!(happened(&world, "customer_text_approved").await, 1);
    world.close().await;
}

#[tokio::test]
async fn a_place_that_takes_nothing_is_named_and_the_others_get_it_all_the_same() {
    let world = World::open().await;
    let channel = answered(&world).await;
    let card = written(&world, &channel).await;
    world.setup.phones.refuse("status-page");
    world.setup.phones.refuse("customer.two@example.com");
    world.clicks("U0COMMS", &channel, &ts(&card), "send upd_1_1").await;
    assert_eq!(counts(&customers_got(&world), &CUSTOMERS), [1, 0, 0]);
    let text = shown(&world.again(&channel, &card));
    assert!(text.contains("⚠️ customers/status-page: not sent, "), "{text}");
    assert!(text.contains("⚠️ customers/newsletter (customer.two@example.com): not sent, "), "{text}");
    assert!(text.contains("✅ customers/newsletter: sent"), "{text}");
    let timeline = world.timeline("U0LEAD", 1).await;
    assert!(timeline.contains("Update not sent to customers/status-page: "), "{timeline}");
    world.close().await;
}

#[tokio::test]
async fn a_place_that_is_down_for_a_moment_gets_it_later_and_once() {
    let world = World::open().await;
    let channel = answered(&world).await;
    let card = written(&world, &channel).await;
    world.setup.phones.fail_next(Door::Hook, Fault::Unavailable, 2);
    world.setup.phones.fail_next(Door::Smtp, Fault::TooMany, 1);
    world.clicks("U0COMMS", &channel, &ts(&card), "send upd_1_1").await;
    assert_eq!(counts(&customers_got(&world), &CUSTOMERS), [1, 1, 1]);
    let text = shown(&world.again(&channel, &card));
    assert!(!text.contains("not sent"), "{text}");
    world.close().await;
}

#[tokio::test]
async fn a_status_page_has_one_entry_that_later_texts_change() {
    let request = "{ url: \"${PHONES_URL}/hook/status-page-{{remote_id}}\", body: { title: \"{{subject}}\" } }";
    let page = "        status_page:\n";
    let more = format!("{page}          id_pointer: /id\n          update: {request}\n          resolve: {request}\n");
    let world = World::open_changed(&[(page, &more)]).await;
    let channel = answered(&world).await;
    for (number, text) in [(1, "for the team only"), (2, "--customer “One.” one"), (3, "--customer “Two.” two")]
    {
        world.types("U0ONCALL", &channel, &format!("update {text}")).await;
        if number > 1 {
            world.types("U0COMMS", &channel, &format!("send upd_1_{number}")).await;
        }
    }
    world.types("U0ONCALL", &channel, "mitigate rolled back").await;
    world.types("U0ONCALL", &channel, "update --customer “Three.” three").await;
    world.types("U0COMMS", &channel, "send upd_1_4").await;
    world.types("U0ONCALL", &channel, "resolve rolled back").await;
    world.types("U0ONCALL", &channel, "update --customer “Four.” four").await;
    world.types("U0COMMS", &channel, "send upd_1_5").await;
    let hooks = world.setup.phones.deliveries();
    let hooks: Vec<_> = hooks.into_iter().filter(|delivery| delivery.to.starts_with("status-page")).collect();
    let entry = format!("status-page-{}", hooks[0].id);
    let seen: Vec<(&str, &str)> = hooks.iter().map(|hook| (hook.to.as_str(), hook.subject.as_str())).collect();
    let expected = [
        ("status-page", "difficulties in progress (Bookshop)"),
        (&entry, "update on the current difficulties (Bookshop)"),
        (&entry, "service restored, under observation (Bookshop)"),
        (&entry, "difficulties resolved (Bookshop)"),
    ];
    assert_eq!(seen, expected);
    world.close().await;
}

#[tokio::test]
async fn held_back_with_a_reason_it_goes_nowhere_and_a_new_one_can_be_written() {
    let world = World::open().await;
    let channel = answered(&world).await;
    let card = written(&world, &channel).await;
    world.types("U0COMMS", &channel, "hold upd_1_1 too vague, <!here> say until when").await;
    let text = shown(&world.again(&channel, &card));
    let held = "held back by <@U0COMMS> at <!date^";
    assert!(text.contains(held) && text.contains(": too vague, @here say until when. It was not sent."), "{text}");
    assert!(!text.contains("Send to customers"), "{text}");
    world.types("U0SUPPORT", GENERAL, "send upd_1_1 --in inc_1").await;
    world.whisper("U0SUPPORT", "held this text back at");
    assert_eq!(customers_got(&world), []);

    // The author may take a text back as well, by its button.
    world.types("U0ONCALL", &channel, "update --customer “Until 15:00.” again").await;
    let card = world.message(&channel, "send upd_1_2");
    world.clicks("U0ONCALL", &channel, &ts(&card), "hold upd_1_2").await;
    assert!(shown(&world.again(&channel, &card)).contains("held back by <@U0ONCALL>"));
    world.types("U0ONCALL", &channel, "update --customer “Until 16:00.” once more").await;
    world.types("U0COMMS", &channel, "send upd_1_3").await;
    assert_eq!(counts(&customers_got(&world), &CUSTOMERS), [1, 1, 1]);
    assert!(customers_got(&world).iter().all(|delivery| delivery.body.contains("Until 16:00.")));
    world.close().await;
}

#[tokio::test]
async fn an_empty_text_is_told_in_the_dialog_and_nothing_is_lost() {
    let world = World::open().await;
    let channel = answered(&world).await;
    world.types("U0ONCALL", &channel, "update").await;
    let SubmitOutcome::Errors(errors) = world.submits("U0ONCALL", json!({"internal": " \n "})).await else {
        panic!("an update without a text was taken");
    };
    assert_eq!(errors["internal"], "Write a text for the team, for customers, or both.");
    assert!(world.incident(1).await.updates.is_empty());
    assert_eq!(world.submits("U0ONCALL", json!({"internal": "On it."})).await, SubmitOutcome::Cleared);
    assert_eq!(world.incident(1).await.updates.len(), 1);
    world.close().await;
}

#[tokio::test]
async fn after_half_an_hour_of_silence_the_commander_is_reminded_with_a_button_that_opens_the_dialog() {
    let world = World::open().await;
    let channel = answered(&world).await;
    world.types("U0ONCALL", &channel, "role commander @lead").await;
    world.pass(29).await;
    assert!(world.cards(&channel, 1, "reminder_1").is_empty(), "not before its time");
    world.pass(1).await;
    let reminder = world.cards(&channel, 1, "reminder_1").pop().expect("the reminder is in the channel");
    let text = shown(&reminder);
    assert!(text.contains("⏰ <@U0LEAD>, the status update is due (promised for <!date^"), "{text}");
    assert!(text.contains("No update was posted yet."), "{text}");
    assert!(text.contains("Write update") && text.contains("Snooze 10 min"), "{text}");

    world.clicks("U0LEAD", &channel, &ts(&reminder), "update --in inc_1").await;
    assert_eq!(world.submits("U0LEAD", json!({"internal": "We look for the cause."})).await, SubmitOutcome::Cleared);
    let text = shown(&world.again(&channel, &reminder));
    assert!(text.contains("✅ The status update was written by <@U0LEAD>") && !text.contains("Snooze"), "{text}");

    // Posting begins the half hour anew.
    world.pass(29).await;
    assert!(world.cards(&channel, 1, "reminder_2").is_empty(), "half an hour begins with the update");
    world.pass(1).await;
    let text = shown(&world.cards(&channel, 1, "reminder_2").pop().expect("the next reminder"));
    assert!(text.contains("Last: “We look for the cause.”"), "{text}");
    world.close().await;
}

#[tokio::test]
async fn a_reminder_can_be_put_off_and_a_missed_one_climbs_to_the_next_in_charge() {
    let world = World::open().await;
    let channel = answered(&world).await;
    world.pass(30).await;
    let reminder = world.cards(&channel, 1, "reminder_1").pop().expect("the reminder");
    assert!(shown(&reminder).contains("<@U0ONCALL>, the status update is due"), "whoever answered is in charge");
    world.clicks("U0ONCALL", &channel, &ts(&reminder), "snooze --in inc_1").await;
    world.whisper("U0ONCALL", "I will remind you at");
    assert!(shown(&world.again(&channel, &reminder)).contains("snoozed until <!date^"));
    let calls = |world: &World| world.received("+1 555 0103").len();
    world.pass(9).await;
    assert_eq!((world.cards(&channel, 1, "reminder_2").len(), calls(&world)), (0, 0), "it was put off");

    world.pass(1).await;
    let climbed = world.cards(&channel, 1, "reminder_2").pop().expect("the missed reminder climbs");
    assert!(shown(&climbed).contains("<@U0LEAD>, the status update is due"), "{}", shown(&climbed));
    assert_eq!(calls(&world), 1, "who is next is called, not only named");
    let page = shown(world.dms("U0LEAD").last().expect("and gets a direct message"));
    assert!(page.contains("checkout returns 500"), "{page}");

    // An update ends the climb, and every reminder of it says so; the next reminder is for whoever is in charge again.
    world.types("U0ONCALL", &channel, "update we look for the cause").await;
    for card in [&reminder, &climbed] {
        let text = shown(&world.again(&channel, card));
        assert!(text.contains("was written by <@U0ONCALL>") && !text.contains("Snooze"), "{text}");
    }
    world.pass(30).await;
    let next = world.cards(&channel, 1, "reminder_3").pop().expect("the next reminder");
    assert!(shown(&next).contains("<@U0ONCALL>, the status update is due"), "{}", shown(&next));
    assert_eq!(calls(&world), 1);
    world.close().await;
}

#[tokio::test]
async fn a_severity_that_promises_no_updates_has_no_reminders_and_a_resolved_incident_neither() {
    let world = World::open().await;
    let channel = answered(&world).await;
    world.types("U0ONCALL", GENERAL, "start sev3 the logo is crooked").await;
    let calm = world.channel(2).await;
    world.types("U0ONCALL", &calm, "ack").await;
    world.types("U0ONCALL", &calm, "snooze").await;
    world.whisper("U0ONCALL", "No update is due, so there is nothing to put off.");
    world.pass(30).await;
    let reminder = world.cards(&channel, 1, "reminder_1").pop().expect("the graver one has its reminder");
    world.types("U0ONCALL", &channel, "resolve rolled back").await;
    assert!(shown(&world.again(&channel, &reminder)).contains("The incident is over; no update is due any more."));
    let pages = world.setup.phones.deliveries().len();
    for _ in 0..4 {
        world.pass(60).await;
    }
    assert!(world.cards(&channel, 1, "reminder_2").is_empty(), "it is over");
    assert!(world.cards(&calm, 2, "reminder_1").is_empty(), "none was promised");
    assert_eq!(world.setup.phones.deliveries().len(), pages, "nobody is called");

    // Customers may still be told that it is over.
    world.types("U0ONCALL", &channel, "update").await;
    let form = world.form("U0ONCALL");
    assert!(filled_in(&form, "customer:customer_resolved").contains("Bookshop"), "{form:#}");
    assert_eq!(world.submits("U0ONCALL", json!({})).await, SubmitOutcome::Cleared);
    world.types("U0COMMS", &channel, "send upd_1_1").await;
    let got = customers_got(&world);
    assert_eq!(counts(&got, &CUSTOMERS), [1, 1, 1]);
    assert!(got[0].subject.contains("difficulties resolved"), "{got:#?}");
    world.close().await;
}

#[tokio::test]
async fn everything_of_it_is_said_in_french_where_the_team_is_french() {
    let world = World::open_in("fr").await;
    let channel = answered(&world).await;
    world.types("U0ONCALL", &channel, "update").await;
    let form = world.form("U0ONCALL");
    assert_eq!(form["title"]["text"], "Point d’étape");
    let internal = filled_in(&form, "internal");
    assert!(internal.contains("Incident en cours depuis"), "{internal}");
    let form = chooses(&world, "U0ONCALL", DIFFICULTIES).await;
    assert!(filled_in(&form, "customer:").starts_with("Nous rencontrons des difficultés sur"), "{form:#}");
    assert_eq!(world.submits("U0ONCALL", json!({})).await, SubmitOutcome::Cleared);
    let card = world.message(&channel, "send upd_1_1");
    assert!(shown(&card).contains("en attente d’une relecture"), "{}", shown(&card));
    world.clicks("U0ONCALL", &channel, &ts(&card), "send upd_1_1").await;
    world.whisper("U0ONCALL", "une autre personne doit l’approuver");
    world.clicks("U0COMMS", &channel, &ts(&card), "send upd_1_1").await;
    let got = customers_got(&world);
    assert_eq!(counts(&got, &CUSTOMERS), [1, 1, 1]);
    let mail = got.iter().find(|delivery| delivery.kind == DeliveryKind::Email).expect("an e-mail");
    assert!(mail.subject.contains("incident en cours") && mail.body.contains("Nous rencontrons"), "{mail:?}");
    assert!(shown(&world.again(&channel, &card)).contains("approuvé par <@U0COMMS>"));

    world.pass(30).await;
    let reminder = world.cards(&channel, 1, "reminder_1").pop().expect("the reminder");
    let text = shown(&reminder);
    assert!(text.contains("<@U0ONCALL>, un point d’étape est attendu") && text.contains("Dernier point"), "{text}");
    world.clicks("U0ONCALL", &channel, &ts(&reminder), "snooze --in inc_1").await;
    world.whisper("U0ONCALL", "Je vous le rappellerai à");
    world.close().await;
}
