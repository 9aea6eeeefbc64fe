//! People watch a roll-out on the card (K3).

use vigie::clock::Clock;
use vigie::incident::approval::Outcome;

use super::team::Team;
use crate::world::{shown, ts};

#[tokio::test]
async fn the_card_follows_a_roll_out_and_is_edited_at_most_once_a_second() {
    let Some(team) = Team::open().await else { return };
    team.space.deployed("web", &["example/web:1-slow", "example/web:2"], 4).await;
    let (channel, card) = team.planned(1, "undo-web").await;
    let world = &team.world;
    let began = Clock::system().now();
    world.ws().person("U0LEAD").click(&channel, &ts(&card), "approve").await.expect("there is a button");
    world.settle().await;
    let seconds = Clock::system().now().since(began).0 / 1_000;
    assert_eq!(team.outcome(1).await, Outcome::Done);
    let edits = world.ws().calls_of("chat.update").into_iter().filter(|call| call.args["ts"] == card["ts"]);
    let followed: Vec<String> = edits.map(|call| shown(&call.args)).filter(|text| text.contains('↳')).collect();
    assert!(followed.iter().all(|text| text.contains("↳ web: ") && text.contains(" of 4 updated")), "{followed:#?}");
    assert!((2..=usize::try_from(seconds).expect("it took a while") + 1).contains(&followed.len()), "{followed:#?}");
    assert!(!shown(&world.again(&channel, &card)).contains('↳'));
    team.close().await;
}
