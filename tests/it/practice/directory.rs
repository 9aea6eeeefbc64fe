//! People, groups, bookmarks, canvases, links: the rest of what an incident bot asks Slack for.

use serde_json::{Value, json};

use super::app::{call, call_form, ok, open};

async fn get(practice: &vigie::practice::Practice, method: &str, args: &[(&str, &str)]) -> Value {
    let answer = call_form(practice, method, args).await;
    assert_eq!(answer["ok"], true, "{method}: {answer}");
    answer
}

#[tokio::test]
async fn people_are_found_by_id_and_by_address() {
    let (practice, _) = open().await;
    let found = get(&practice, "users.lookupByEmail", &[("email", "Lead@example.com")]).await;
    assert_eq!(found["user"]["id"], "U0LEAD");
    let missing = call_form(&practice, "users.lookupByEmail", &[("email", "nobody@example.com")]).await;
    assert_eq!(missing["error"], "users_not_found");
    practice.workspace().remove_user("U0NEW");
    let gone = get(&practice, "users.info", &[("user", "U0NEW")]).await;
    assert_eq!(gone["user"]["deleted"], true);
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&practice, "users.list", &[("limit", "2"), ("cursor", &cursor)]).await;
        names.extend(page["members"].as_array().into_iter().flatten().map(|member| member["name"].clone()));
        cursor = page["response_metadata"]["next_cursor"].as_str().unwrap_or_default().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(names.len(), 4);
}

#[tokio::test]
async fn a_group_says_who_is_in_it_now() {
    let (practice, _) = open().await;
    practice.workspace().set_usergroup("S0LEADS", &["U0CMD"]);
    let users = get(&practice, "usergroups.users.list", &[("usergroup", "S0LEADS")]).await;
    assert_eq!(users["users"], json!(["U0CMD"]));
    let groups = get(&practice, "usergroups.list", &[("include_users", "true"), ("include_count", "1")]).await;
    assert_eq!(
        (&groups["usergroups"][0]["handle"], &groups["usergroups"][0]["user_count"]),
        (&json!("leads"), &json!(1))
    );
    assert_eq!(
        call_form(&practice, "usergroups.users.list", &[("usergroup", "S0NO")]).await["error"],
        "no_such_subteam"
    );
}

#[tokio::test]
async fn bookmarks_are_web_addresses_that_can_be_changed_and_taken_away() {
    let (practice, _) = open().await;
    let bad = json!({"channel_id": "C0OPS", "title": "x", "type": "link", "link": "ftp://example.com"});
    assert_eq!(call(&practice, "bookmarks.add", bad).await["error"], "invalid_link");
    let good = json!({"channel_id": "C0OPS", "title": "x", "type": "link", "link": "https://example.com"});
    let id = ok(&practice, "bookmarks.add", good).await["bookmark"]["id"].clone();
    ok(&practice, "bookmarks.edit", json!({"channel_id": "C0OPS", "bookmark_id": id, "title": "y"})).await;
    assert_eq!(practice.workspace().bookmarks("ops")[0]["title"], "y");
    ok(&practice, "bookmarks.remove", json!({"channel_id": "C0OPS", "bookmark_id": id})).await;
    let again = json!({"channel_id": "C0OPS", "bookmark_id": id});
    assert_eq!(call(&practice, "bookmarks.remove", again).await["error"], "not_found");
}

#[tokio::test]
async fn a_channel_has_one_canvas_that_can_be_written_to() {
    let (practice, _) = open().await;
    let content = |text: &str| json!({"type": "markdown", "markdown": text});
    let made = json!({"channel_id": "C0OPS", "document_content": content("# One")});
    let id = ok(&practice, "conversations.canvases.create", made.clone()).await["canvas_id"].clone();
    let again = call(&practice, "conversations.canvases.create", made).await;
    assert_eq!(again["error"], "channel_canvas_already_exists");
    let change =
        json!({"canvas_id": id, "changes": [{"operation": "insert_at_end", "document_content": content("two")}]});
    ok(&practice, "canvases.edit", change).await;
    assert_eq!(practice.workspace().canvases()[0].markdown, "# One\ntwo");
    let info = get(&practice, "conversations.info", &[("channel", "C0OPS")]).await;
    assert_eq!(info["channel"]["properties"]["canvas"]["file_id"], id);
}

#[tokio::test]
async fn a_message_to_a_person_opens_their_direct_conversation() {
    let (practice, _) = open().await;
    let sent = ok(&practice, "chat.postMessage", json!({"channel": "U0LEAD", "text": "hello"})).await;
    let channel = sent["channel"].as_str().expect("an id").to_owned();
    let opened = ok(&practice, "conversations.open", json!({"users": "U0LEAD"})).await;
    assert_eq!((&opened["channel"]["id"], &opened["already_open"]), (&json!(channel), &json!(true)));
    assert_eq!(practice.workspace().person("U0LEAD").open_dm("U0PRACTICEBOT"), channel);
    assert_eq!(practice.workspace().messages(&channel)[0]["text"], "hello");
}

#[tokio::test]
async fn a_private_channel_is_unknown_to_a_bot_that_is_not_in_it() {
    let (practice, _) = open().await;
    let made = ok(&practice, "conversations.create", json!({"name": "inc-secret", "is_private": true})).await;
    let id = made["channel"]["id"].as_str().expect("an id");
    ok(&practice, "conversations.invite", json!({"channel": id, "users": "U0LEAD"})).await;
    practice.workspace().kick_bot(id);
    let answer = call(&practice, "chat.postMessage", json!({"channel": id, "text": "x"})).await;
    assert_eq!(answer["error"], "channel_not_found");
    practice.workspace().kick_bot("C0OPS");
    let answer = call(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": "x"})).await;
    assert_eq!(answer["error"], "not_in_channel");
    ok(&practice, "conversations.join", json!({"channel": "C0OPS"})).await;
    ok(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": "x"})).await;
}

#[tokio::test]
async fn a_link_leads_to_the_message_and_a_reaction_is_given_once() {
    let (practice, _) = open().await;
    let ts = practice.workspace().person("U0LEAD").say("ops", "hello").expect("said");
    let link = get(&practice, "chat.getPermalink", &[("channel", "C0OPS"), ("message_ts", &ts)]).await;
    assert!(link["permalink"].as_str().is_some_and(|link| link.ends_with(&format!("p{}", ts.replace('.', "")))));
    let reaction = json!({"channel": "C0OPS", "timestamp": ts, "name": "eyes"});
    ok(&practice, "reactions.add", reaction.clone()).await;
    assert_eq!(call(&practice, "reactions.add", reaction.clone()).await["error"], "already_reacted");
    ok(&practice, "pins.add", json!({"channel": "C0OPS", "timestamp": ts})).await;
    let again = call(&practice, "pins.add", json!({"channel": "C0OPS", "timestamp": ts})).await;
    assert_eq!(again["error"], "already_pinned");
    let item = [("channel", "C0OPS"), ("timestamp", ts.as_str())];
    assert_eq!(
        get(&practice, "reactions.get", &item).await["message"]["reactions"][0]["users"],
        json!(["U0PRACTICEBOT"])
    );
    ok(&practice, "reactions.remove", reaction).await;
    assert_eq!(get(&practice, "pins.list", &[("channel", "C0OPS")]).await["items"].as_array().map(Vec::len), Some(1));
}
