//! Severity, mitigate, cancel, reopen: how it stands changes, and everybody who looks or waits sees it.

use vigie::incident::state::Status;
use vigie::practice::phones::DeliveryKind;

use super::{START, card, declared, kinds, seq, topic};
use crate::world::{INCIDENTS, World, read_aloud, shown};

#[tokio::test]
async fn a_worse_severity_pages_its_first_level_at_once_and_climbs_by_its_own_times() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.pass(7).await;
    let told = world.asks("U0COMMS", &channel, "Severity P1 nobody can buy").await;
    assert_eq!(told, "The severity is now SEV1.");

    assert_eq!(world.dms("U0LEAD").len(), 1, "whoever is first for SEV1 is paged");
    assert_eq!(world.received("+1 555 0103")[0].kind, DeliveryKind::Call);
    let incident = world.incident(1).await;
    assert_eq!((incident.status, incident.ladder.level, incident.ladder.round), (Status::Triggered, 0, 0));
    world.pass(4).await;
    assert!(world.dms("U0DBA").is_empty(), "the second level of SEV1 has 5 minutes to wait for");
    world.pass(1).await;
    assert_eq!((world.dms("U0DBA").len(), world.dms("U0SECURITY").len()), (1, 1));
    world.pass(5).await;
    assert_eq!(world.dms("U0DBA").len(), 1, "the times of SEV2 are over and done with");
    assert!(world.dms("U0CTO").is_empty());
    world.close().await;
}

#[tokio::test]
async fn a_new_severity_stands_on_the_card_in_the_topic_the_announcement_and_every_page() {
    let world = World::open().await;
    let channel = declared(&world).await;
    assert!(topic(&world, &channel).starts_with("🟠 SEV2 · "), "{}", topic(&world, &channel));
    let first_page = world.dms("U0ONCALL").remove(0);
    world.types("U0ONCALL", &channel, "severity sev1 nobody can buy").await;

    assert!(topic(&world, &channel).starts_with("🔴 SEV1 · triggered · "), "{}", topic(&world, &channel));
    let bookmarks = world.ws().bookmarks(&channel);
    assert!(bookmarks.iter().any(|bookmark| bookmark["title"] == "Crisis call"), "SEV1 has a call: {bookmarks:?}");
    let pinned = card(&world, &channel);
    assert!(pinned.contains("🔴 SEV1 · checkout returns 500"), "{pinned}");
    let announced = world.cards(INCIDENTS, 1, "announcement").pop().expect("it is announced");
    assert!(shown(&announced).contains("SEV1") && !shown(&announced).contains("SEV2"), "{}", shown(&announced));
    let dm = world.dm("U0ONCALL");
    let page = shown(&world.again(&dm, &first_page));
    assert!(page.contains("SEV1") && !page.contains("SEV2"), "{page}");
    world.message(&channel, "<@U0ONCALL> changed the severity to SEV1: nobody can buy");
    let timeline = world.timeline("U0ONCALL", 1).await;
    assert!(timeline.contains("changed the severity to SEV1: nobody can buy"), "{timeline}");
    world.close().await;
}

#[tokio::test]
async fn a_worse_severity_of_an_answered_incident_tells_its_first_level_and_climbs_no_further() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.types("U0ONCALL", &channel, "ack").await;
    world.pass(1).await;
    world.types("U0ONCALL", &channel, "sev sev1").await;
    let page = world.dms("U0LEAD").pop().expect("the lead is told");
    assert!(shown(&page).contains("It is SEV1 now, and you are first in line for that"), "{}", shown(&page));
    assert_eq!(world.dms("U0ONCALL").len(), 1, "who was paged before is not paged again");
    assert!(world.ws().members(&channel).contains(&"U0LEAD".to_owned()), "the lead is invited");
    world.pass(12).await;
    assert!(world.dms("U0DBA").is_empty() && world.dms("U0SECURITY").is_empty(), "somebody is on it");
    assert_eq!(world.incident(1).await.status, Status::Acknowledged);
    world.close().await;
}

#[tokio::test]
async fn a_lesser_severity_gives_people_the_time_that_it_has() {
    let world = World::open().await;
    let channel = declared(&world).await;
    world.pass(10).await;
    world.types("U0ONCALL", &channel, "severity minor there is a way round").await;
    let page = world.dms("U0ONCALL").pop().expect("the first level of SEV3 is paged");
    assert!(shown(&page).contains("(level 1 of 2)"), "{}", shown(&page));
    let pinned = card(&world, &channel);
    assert!(!pinned.contains("Next update"), "SEV3 promises no updates: {pinned}");
    world.pass(59).await;
    assert!(world.dms("U0LEAD").is_empty());
    world.pass(1).await;
    assert_eq!(world.dms("U0LEAD").len(), 1, "an hour, as the calm policy says");
    world.close().await;
}

#[tokio::test]
async fn a_severity_that_changes_nothing_is_refused_with_the_ones_there_are() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let before = seq(&world).await;
    assert_eq!(world.asks("U0ONCALL", &channel, "severity Major").await, "The severity is SEV2 already.");
    let told = world.asks("U0ONCALL", &channel, "severity sev9").await;
    assert_eq!(told, "There is no severity “sev9”; choose sev1, sev2 and sev3.");
    assert_eq!(seq(&world).await, before);
    world.close().await;
}

#[tokio::test]
async fn mitigated_says_so_everywhere_and_nobody_further_is_paged() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let page = world.dms("U0ONCALL").remove(0);
    let told = world.asks("U0ONCALL", &channel, "Mitigate we switched the new shop off").await;
    assert!(told.starts_with("Noted: users are no longer affected by inc_1."), "{told}");
    assert_eq!(world.incident(1).await.status, Status::Mitigated);
    let pinned = card(&world, &channel);
    for line in ["*Mitigated* by <@U0ONCALL>", "*What was done:* we switched the new shop off"] {
        assert!(pinned.contains(line), "{line} is not in {pinned}");
    }
    assert!(topic(&world, &channel).contains("· mitigated ·"), "{}", topic(&world, &channel));
    world.message(&channel, "users are no longer affected · we switched the new shop off");
    let dm = world.dm("U0ONCALL");
    let page = shown(&world.again(&dm, &page));
    assert!(page.contains("*Mitigated*"), "{page}");
    world.pass(20).await;
    assert!(world.dms("U0LEAD").is_empty());

    let before = seq(&world).await;
    let told = world.asks("U0COMMS", &channel, "mitigate").await;
    assert!(told.contains("recorded already") && told.contains("/incident resolve"), "{told}");
    assert_eq!(seq(&world).await, before);
    world.close().await;
}

#[tokio::test]
async fn a_cancelled_incident_leaves_everybody_in_peace() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let page = world.dms("U0ONCALL").remove(0);
    assert_eq!(world.asks("U0ONCALL", &channel, "cancel a false alarm").await, "inc_1 is cancelled.");
    assert_eq!(world.incident(1).await.status, Status::Cancelled);
    let pinned = card(&world, &channel);
    assert!(pinned.contains("it was no incident") && pinned.contains("*Why:* a false alarm"), "{pinned}");
    let dm = world.dm("U0ONCALL");
    let page = shown(&world.again(&dm, &page));
    assert!(page.contains("*Cancelled*") && !page.contains("\nAcknowledge"), "{page}");
    let announced = world.cards(INCIDENTS, 1, "announcement").pop().expect("it is announced");
    assert!(shown(&announced).contains("*Cancelled*"), "{}", shown(&announced));
    let sent = world.setup.phones.deliveries().len();
    world.pass(120).await;
    assert_eq!(world.setup.phones.deliveries().len(), sent, "nobody is paged or reminded any more");

    let before = seq(&world).await;
    for line in ["ack", "severity sev1", "role commander", "page lead", "mitigate", "cancel", "resolve it was nothing"]
    {
        let told = world.asks("U0ONCALL", &channel, line).await;
        assert!(told.starts_with("inc_1 is cancelled. If the trouble is back, use /incident reopen"), "{line}: {told}");
    }
    assert_eq!(seq(&world).await, before);
    world.close().await;
}

#[tokio::test]
async fn a_reopened_incident_is_open_again_for_everybody_who_looks() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let page = world.dms("U0ONCALL").remove(0);
    let told = world.asks("U0ONCALL", &channel, "reopen").await;
    assert_eq!(told, "inc_1 is open already.");
    world.types("U0ONCALL", &channel, "cancel").await;
    assert_eq!(world.asks("U0COMMS", &channel, "reopen it is back").await, "inc_1 is open again.");

    let incident = world.incident(1).await;
    assert_eq!((incident.status, incident.cancelled), (Status::Triggered, None));
    world.message(&channel, "<@U0COMMS> reopened it: it is back");
    assert!(topic(&world, &channel).contains("· triggered ·"), "{}", topic(&world, &channel));
    world.pass(2).await;
    let pinned = card(&world, &channel);
    assert!(pinned.contains("nobody has answered yet"), "somebody still has to be found: {pinned}");
    assert!(!pinned.contains("*Cancelled*"), "{pinned}");
    let dm = world.dm("U0ONCALL");
    let page = shown(&world.again(&dm, &page));
    assert!(!page.contains("*Cancelled*") && page.contains("\nAcknowledge"), "the page too: {page}");
    let announced = world.cards(INCIDENTS, 1, "announcement").pop().expect("it is announced");
    assert!(!shown(&announced).contains("*Cancelled*"), "{}", shown(&announced));
    assert!(world.incident(1).await.update_due.at.is_some(), "updates are owed again");
    world.close().await;
}

#[tokio::test]
async fn the_same_is_said_in_french() {
    let world = World::open_in("fr").await;
    let declaring = world.asks("U0ONCALL", "C0GENERAL", "start sev2 le paiement renvoie une erreur 500").await;
    assert!(declaring.starts_with("L’incident est en cours de déclaration"), "{declaring}");
    let channel = world.channel(1).await;
    for (line, says) in [
        ("Severity critique plus personne ne peut payer", "La gravité est maintenant : SEV1."),
        ("severity sev9", "La gravité « sev9 » n’existe pas ; choisissez parmi : sev1, sev2 et sev3."),
        ("role responsable moi", "Responsable de l’incident : <@U0ONCALL>."),
        ("role rapporteur support", "Rapporteur : <@U0SUPPORT>."),
        ("role chef", "Le rôle « chef » n’existe pas"),
        ("page niveau 2 venez vite", "Alerte en cours : Administration des bases et Sécurité."),
        ("page personne", "Je ne connais pas « personne ». Mentionnez la personne, ou choisissez parmi : comms, cto,"),
        ("mitigate version précédente remise", "C’est noté : inc_1 ne touche plus les utilisateurs."),
        ("cancel fausse alerte", "inc_1 est annulé."),
        ("ack", "inc_1 est annulé. Si le problème revient, utilisez /incident reopen --in inc_1."),
        ("reopen", "inc_1 est de nouveau ouvert."),
        ("status", "*Responsable de l’incident :* <@U0ONCALL>"),
        ("list", "1 incident ouvert"),
        ("help role", "Prendre un rôle ou le confier"),
        ("help cuisine", "La commande « cuisine » n’existe pas."),
        ("strat", "Je ne connais pas « strat ». Vouliez-vous dire /incident start ?"),
        ("role", "Il manque quelque chose : <role>. La commande s’écrit ainsi : /incident role <role> [person]"),
        ("ack --in sept", "« sept » ne convient pas pour --in <inc_7>."),
        ("ack --in inc_9", "L’incident inc_9 n’existe pas."),
    ] {
        let told = world.asks("U0ONCALL", &channel, line).await;
        assert!(told.contains(says), "{line}: {told}");
    }
    let pinned = card(&world, &channel);
    assert!(pinned.contains("*Rapporteur :* <@U0SUPPORT>"), "{pinned}");
    assert!(topic(&world, &channel).contains("responsable"), "{}", topic(&world, &channel));
    let notice = read_aloud(&shown(&world.message(&channel, "a changé la gravité")));
    assert!(notice.contains("SEV1 (plus personne ne peut payer)"), "{notice}");
    world.close().await;
}

#[tokio::test]
async fn a_second_incident_can_be_declared_in_the_channel_of_the_first() {
    let world = World::open().await;
    let channel = declared(&world).await;
    let before = kinds(&world, 1).await.len();
    world.types("U0ONCALL", &channel, "start sev3 e-mails are late").await;
    assert_eq!(world.incident(2).await.title, "e-mails are late");
    assert_ne!(world.channel(2).await, channel);
    assert_eq!(kinds(&world, 1).await.len(), before, "the first is left as it was: {:?}", kinds(&world, 1).await);
    world.types("U0ONCALL", &channel, &format!("{START} again --in inc_1")).await;
    assert_eq!(world.incident(3).await.title, "checkout returns 500 again");
    world.close().await;
}
