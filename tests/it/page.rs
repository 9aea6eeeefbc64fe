//! A page reaches people wherever they are, says why, and leads them to the incident (E4, M1).

use vigie::practice::Trouble;
use vigie::practice::phones::DeliveryKind;

use crate::world::{INCIDENTS, World, shown};

const GENERAL: &str = "C0GENERAL";

/// The on-call engineer of the practice team can be reached by text message beside e-mail.
const BY_SMS: (&str, &str) = (
    "    email: oncall@example.com\n    phone: \"+1 555 0101\"\n    page_with: [slack, email]\n",
    "    email: oncall@example.com\n    phone: \"+1 555 0101\"\n    page_with: [slack, email, sms]\n",
);

#[tokio::test]
async fn a_page_outside_slack_leads_to_the_incident_s_channel_once_it_is_open() {
    let world = World::open_changed(&[BY_SMS]).await;
    world.types("U0ONCALL", GENERAL, "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    world.types("U0SUPPORT", GENERAL, "page --in inc_1 oncall please call me first").await;
    let link = format!("{}archives/{channel}", world.setup.vigie.slack.identity().await.expect("Slack answers").url);
    assert!(link.starts_with("https://") || link.starts_with("http://"), "{link}");
    for to in ["oncall@example.com", "+1 555 0101"] {
        let page = world.received(to).pop().expect("a page came");
        assert!(page.body.contains(&link), "no {link} in {page:?}");
    }
    world.close().await;
}

#[tokio::test]
async fn the_first_page_does_not_wait_for_a_channel_and_names_no_address_that_does_not_exist() {
    let world = World::open_changed(&[BY_SMS]).await;
    world.ws().faults().until_cleared("conversations.create", Trouble::ServerError);
    world.ws().person("U0ONCALL").command(GENERAL, "/incident", "start sev2 checkout returns 500").await;
    world.settle_now().await;
    for to in ["oncall@example.com", "+1 555 0101"] {
        let [page] = world.received(to).try_into().expect("one page each");
        assert!(page.body.contains("checkout returns 500") && !page.body.contains("archives/"), "{page:?}");
    }
    world.ws().faults().clear();
    world.settle().await;
    world.is_whole(1).await;
    world.close().await;
}

#[tokio::test]
async fn how_long_it_lasts_is_told_in_minutes_as_on_the_cards() {
    let world = World::open_changed(&[BY_SMS]).await;
    world.types("U0ONCALL", GENERAL, "start sev2 checkout returns 500").await;
    world.seconds(200).await;
    world.types("U0SUPPORT", GENERAL, "page --in inc_1 oncall").await;
    world.types("U0SUPPORT", GENERAL, "page --in inc_1 lead").await;
    for to in ["oncall@example.com", "+1 555 0101"] {
        let pages = world.received(to);
        let texts: Vec<String> = pages.iter().map(|page| format!("{} {}", page.subject, page.body)).collect();
        assert!(texts[0].contains("just now"), "{texts:?}");
        assert!(texts[1].contains("3 min"), "{texts:?}");
        assert!(!texts.concat().contains(" ms"), "{texts:?}");
    }
    let call = world.received("+1 555 0103").pop().expect("the lead is called");
    assert_eq!(call.kind, DeliveryKind::Call);
    assert!(call.body.contains("3 min") && !call.body.contains(" ms"), "{call:?}");
    world.close().await;
}

#[tokio::test]
async fn the_text_for_the_team_says_what_is_being_done_until_when_and_where() {
    let world = World::open().await;
    world.setup.shop.break_it();
    world.types("U0ONCALL", GENERAL, "start sev2 checkout returns 500").await;
    let channel = world.is_whole(1).await;
    world.types("U0ONCALL", &channel, "ack").await;
    world.types("U0ONCALL", &channel, "update").await;
    let form = shown(&world.form("U0ONCALL"));
    assert!(form.contains(&format!("archives/{channel}")), "{form}");
    assert!(form.contains("Action: looking for the cause"), "{form}");
    assert!(!form.contains("Back to normal expected"), "nobody can know yet: {form}");
    world.close().await;
}

#[tokio::test]
async fn a_channel_that_slack_does_not_allow_is_not_said_to_be_on_its_way() {
    for (locale, coming, refused) in
        [("en", "being opened", "could not be opened"), ("fr", "en cours d’ouverture", "n’a pas pu être ouvert")]
    {
        let world = World::open_in(locale).await;
        world.ws().faults().until_cleared("conversations.create", Trouble::Error("restricted_action".into()));
        world.types("U0ONCALL", GENERAL, "start sev2 checkout returns 500").await;
        let announcement = world.cards(INCIDENTS, 1, "announcement").pop().expect("it is announced");
        let page = world.dms("U0ONCALL").pop().expect("a page came");
        for card in [&announcement, &page] {
            let text = shown(card);
            assert!(!text.contains(coming) && text.contains(refused), "{text}");
        }
        world.types("U0ONCALL", GENERAL, "status --in inc_1").await;
        assert!(world.timeline("U0ONCALL", 1).await.contains(refused));
        world.ws().faults().clear();
        world.close().await;
    }
}
