//! One compact card of figures, within its deadline whatever hangs, and nothing is changed (H7).

use vigie::incident::approval::Verdict;

use crate::world::{World, shown};

const LIMITS: (&str, &str) = ("\nservices:\n", "\nlimits:\n  diagnose_within: 2s\n\nservices:\n");
/// The shop may take its time, as it does on a busy machine.
const PATIENT: (&str, &str) =
    ("warn_after: 500ms\n          fail_after: 2s", "warn_after: 20s\n          fail_after: 30s");

async fn in_channel(changes: &[(&str, &str)]) -> (World, String) {
    let world = World::open_changed(changes).await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    let channel = world.channel(1).await;
    (world, channel)
}

fn cards(world: &World, channel: &str) -> Vec<String> {
    let all: Vec<String> = world.ws().messages(channel).iter().map(shown).collect();
    all.into_iter().filter(|text| text.contains("Diagnostic of Bookshop")).collect()
}

#[tokio::test]
async fn a_well_shop_gives_one_card_that_says_so_and_nothing_is_changed() {
    let (world, channel) = in_channel(&[PATIENT]).await;
    let before = world.setup.shop.state().switch;
    world.types("U0ONCALL", &channel, "diag").await;
    let [card] = cards(&world, &channel).try_into().expect("there is one card");
    for line in ["nothing outside its limits, 3 checks", "*Health:* 200 in", "*Buying a book:*", "within limits"] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    assert_eq!(world.setup.shop.state().switch, before, "looking changes nothing");
    assert!(world.incident(1).await.runs.is_empty(), "nobody need approve");
    let pinned = shown(&world.ws().pins(&channel)[0]);
    assert!(pinned.contains("*Diagnostic* at") && pinned.contains("all within limits"), "{pinned}");
    world.close().await;
}

#[tokio::test]
async fn what_hangs_is_said_to_hang_and_holds_nobody_up() {
    let (world, channel) = in_channel(&[LIMITS]).await;
    world.setup.shop.hang_health(true);
    let began = std::time::Instant::now();
    world.types("U0ONCALL", &channel, "diagnose checkout").await;
    assert!(began.elapsed().as_secs() < 10, "the deadline is 2 s, it took {:?}", began.elapsed());

    let [card] = cards(&world, &channel).try_into().expect("there is one card, edited");
    assert!(card.contains("1 of 3 checks outside limits or silent"), "{card}");
    let place = |word: &str| card.find(word).unwrap_or_else(|| panic!("no {word} in {card}"));
    assert!(card.contains("*Health:* no answer after"), "{card}");
    assert!(place("*Health:*") < place("*Buying a book:*"), "the worst comes first: {card}");
    let incident = world.incident(1).await;
    let (_, round) = incident.last_diagnostic().expect("the round ended");
    let results = round.results.as_ref().expect("it has results");
    assert_eq!((results[0].check.as_str(), results[0].verdict), ("health", Verdict::Hung));
    assert!(results[1..].iter().all(|result| result.verdict == Verdict::Pass), "{results:?}");
    world.close().await;
}

#[tokio::test]
async fn a_second_round_waits_for_the_first_and_a_wrong_service_is_named() {
    let (world, channel) = in_channel(&[LIMITS]).await;
    world.setup.shop.hang_health(true);
    world.joins("U0LEAD", &channel).await;
    let ack = world.ws().person("U0ONCALL").command(&channel, "/incident", "diag").await;
    assert_eq!(ack.failure, None);
    world.ws().person("U0LEAD").join(&channel).expect("the channel is open to all");
    world.types("U0LEAD", &channel, "diag").await;
    world.whisper("U0LEAD", "A diagnostic of Bookshop is running");
    assert_eq!(cards(&world, &channel).len(), 1);
    world.types("U0LEAD", &channel, "diag kitchen").await;
    world.whisper("U0LEAD", "There is no service “kitchen”; there are shop");
    world.close().await;
}

#[tokio::test]
async fn a_broken_shop_shows_each_figure_against_its_limit() {
    let (world, channel) = in_channel(&[]).await;
    world.setup.shop.break_it();
    for _ in 0..3 {
        world.setup.shop.buy().await.expect("the shop answers");
    }
    world.types("U0ONCALL", &channel, "diag").await;
    let [card] = cards(&world, &channel).try_into().expect("there is one card");
    for line in ["3 of 3 checks outside limits", "*Health:* 503 in", "(limit 200)", "*Customers who got an error:*"] {
        assert!(card.contains(line), "{line} is not in {card}");
    }
    world.close().await;
}
