//! One line opens everything a team needs (E1, E2, M1).

use crate::world::{INCIDENTS, World, texts};

#[tokio::test]
async fn a_command_opens_the_channel_pages_level_one_and_tells_the_company() {
    let world = World::open().await;
    let ack = world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    println!("ack {:?}", ack.payload);
    let incident = world.incident(1).await;
    let channel = world.ws().channel(&world.channel(1).await).expect("the channel exists");
    println!("{} {} {:?}", channel.name, channel.topic.value, channel.bookmarks);
    println!("{}", texts(&world.ws().messages(&channel.id)));
    println!("announce {}", texts(&world.ws().messages(INCIDENTS)));
    println!("dm {}", texts(&world.dms("U0ONCALL")));
    println!("mail {:#?}", world.setup.phones.deliveries());
    println!("{:#?}", incident.pages);
    println!("whisper {}", texts(&world.ws().ephemerals("U0ONCALL")));
    for call in world.ws().calls() {
        println!("{:?}", call);
    }
    world.close().await;
}
