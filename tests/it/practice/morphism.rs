//! The library the bot speaks Slack with understands what the workspace says.

use std::sync::Arc;

use slack_morphism::prelude::*;
use vigie::practice::Practice;

use super::app::{Socket, button, open};

fn client(practice: &Practice) -> SlackClient<SlackClientHyperHttpsConnector> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_native_roots()
        .expect("the system has roots")
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .build();
    SlackClient::new(SlackClientHyperConnector::with_connector(connector).with_slack_api_url(practice.api_url()))
}

/// The payload of an envelope in the library's types.
fn payload<T: serde::de::DeserializeOwned>(frame: &serde_json::Value) -> T {
    serde_json::from_value(frame["payload"].clone()).unwrap_or_else(|error| panic!("{error}: {frame}"))
}

fn token(text: &str) -> SlackApiToken {
    SlackApiToken::new(SlackApiTokenValue(text.to_owned()))
}

#[tokio::test]
async fn an_incident_channel_is_made_and_read_back() {
    let (practice, _) = open().await;
    let client = Arc::new(client(&practice));
    let bot = token(practice.bot_token());
    let session = client.open_session(&bot);
    assert_eq!(session.auth_test().await.expect("auth.test").user_id.to_string(), "U0PRACTICEBOT");
    let request = SlackApiConversationsCreateRequest::new("inc-1".into());
    let channel = session.conversations_create(&request).await.expect("conversations.create").channel.id;
    let request = SlackApiConversationsInviteRequest::new(channel.clone(), vec!["U0LEAD".into()]);
    session.conversations_invite(&request).await.expect("conversations.invite");
    let content = SlackMessageContent::new().with_text("card".into());
    let post = SlackApiChatPostMessageRequest::new(channel.clone(), content);
    let ts = session.chat_post_message(&post).await.expect("chat.postMessage").ts;
    session.pins_add(&SlackApiPinsAddRequest::new(channel.clone(), ts.clone())).await.expect("pins.add");
    let reaction = SlackApiReactionsAddRequest::new(channel.clone(), SlackReactionName("fire".into()), ts.clone());
    session.reactions_add(&reaction).await.expect("reactions.add");
    let history = SlackApiConversationsHistoryRequest::new().with_channel(channel.clone());
    let history = session.conversations_history(&history).await.expect("conversations.history");
    assert_eq!(history.messages.first().map(|message| message.origin.ts.clone()), Some(ts));
    let info = SlackApiConversationsInfoRequest::new(channel.clone());
    session.conversations_info(&info).await.expect("conversations.info");
    session.users_info(&SlackApiUsersInfoRequest::new("U0LEAD".into())).await.expect("users.info");
    session.users_list(&SlackApiUsersListRequest::new()).await.expect("users.list");
    session.pins_list(&SlackApiPinsListRequest::new(channel)).await.expect("pins.list");
    session.team_info(&SlackApiTeamInfoRequest::new()).await.expect("team.info");
}

#[tokio::test]
async fn every_envelope_is_one_the_library_can_read() {
    let (practice, _) = open().await;
    let ws = practice.workspace();
    let mut socket = Socket::open(&practice).await;
    let lead = ws.person("U0LEAD");
    let message = serde_json::json!({"channel": "C0OPS", "text": "card", "blocks": button("go", "Go", "go")});
    let ts = super::app::ok(&practice, "chat.postMessage", message).await["ts"].as_str().expect("a ts").to_owned();
    lead.say("ops", "hello <@U0PRACTICEBOT>").expect("said");
    lead.react("ops", &ts, "eyes").expect("reacted");
    lead.open_home().expect("a Home");
    lead.leave("ops").expect("left");
    lead.join("ops").expect("joined");
    ws.archive_channel("C0OPS");
    ws.unarchive_channel("C0OPS");
    let mut kinds = std::collections::BTreeSet::new();
    while !kinds.contains("channel_unarchive") {
        let frame = socket.next().await.expect("a frame");
        socket.ack(&frame, None).await;
        let event: SlackPushEventCallback = payload(&frame);
        let kind = frame["payload"]["event"]["type"].as_str().expect("a type").to_owned();
        assert!(!matches!(event.event, SlackEventCallbackBody::Unknown(_)), "{frame}");
        kinds.insert(kind);
    }
    for wanted in
        ["message", "app_mention", "reaction_added", "app_home_opened", "member_joined_channel", "channel_archive"]
    {
        assert!(kinds.contains(wanted), "{wanted} is missing in {kinds:?}");
    }
    let (_, frame) = tokio::join!(lead.command("ops", "/incident", "help"), async {
        let frame = socket.envelope("slash_commands").await;
        socket.ack(&frame, None).await;
        frame
    });
    assert_eq!(payload::<SlackCommandEvent>(&frame).command.value(), "/incident");
    let (_, frame) = tokio::join!(lead.click("ops", &ts, "Go"), async {
        let frame = socket.envelope("interactive").await;
        socket.ack(&frame, None).await;
        frame
    });
    assert!(matches!(payload(&frame), SlackInteractionEvent::BlockActions(_)));
    let (_, frame) = tokio::join!(lead.message_shortcut("add_to_timeline", "ops", &ts), async {
        let frame = socket.envelope("interactive").await;
        socket.ack(&frame, None).await;
        frame
    });
    assert!(matches!(payload(&frame), SlackInteractionEvent::MessageAction(_)));
}
