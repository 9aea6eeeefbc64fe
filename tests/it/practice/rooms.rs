//! Channels, messages, threads, files: the Web API remembers, and refuses as Slack does.

use serde_json::json;

use super::app::{call, call_form, client, ok, open};

#[tokio::test]
async fn a_channel_is_created_once_and_its_name_stays_taken_when_archived() {
    let (practice, _) = open().await;
    let made = ok(&practice, "conversations.create", json!({"name": "inc-1-checkout"})).await;
    let id = made["channel"]["id"].as_str().expect("an id");
    assert_eq!(made["channel"]["is_member"], true);
    ok(&practice, "conversations.archive", json!({"channel": id})).await;
    let again = call(&practice, "conversations.create", json!({"name": "inc-1-checkout"})).await;
    assert_eq!(again["error"], "name_taken");
    let bad = call(&practice, "conversations.create", json!({"name": "Not This"})).await;
    assert_eq!(bad["error"], "invalid_name_specials");
}

#[tokio::test]
async fn an_invitation_names_each_user_it_fails_for_and_force_invites_the_rest() {
    let (practice, _) = open().await;
    let bad = json!({"channel": "C0OPS", "users": "U0NEW,U0LEAD,U0NOBODY"});
    let refused = call(&practice, "conversations.invite", bad).await;
    assert_eq!(refused["error"], "already_in_channel");
    assert_eq!(refused["errors"][1], json!({"user": "U0NOBODY", "ok": false, "error": "user_not_found"}));
    assert!(!practice.workspace().members("ops").contains(&"U0NEW".to_owned()));
    let forced = json!({"channel": "C0OPS", "users": "U0NEW,U0NOBODY", "force": true});
    assert_eq!(ok(&practice, "conversations.invite", forced).await["errors"][0]["user"], "U0NOBODY");
    assert!(practice.workspace().members("ops").contains(&"U0NEW".to_owned()));
}

#[tokio::test]
async fn threads_count_their_replies_and_history_leaves_them_out() {
    let (practice, _) = open().await;
    let root = ok(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": "root"})).await;
    let ts = root["ts"].clone();
    for text in ["one", "two"] {
        ok(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": text, "thread_ts": ts})).await;
    }
    let history = ok(&practice, "conversations.history", json!({"channel": "C0OPS", "limit": 1})).await;
    assert_eq!(history["messages"][0]["text"], "root");
    assert_eq!(history["messages"][0]["reply_count"], 2);
    assert_eq!(history["has_more"], true);
    let query = [("channel", "C0OPS"), ("ts", ts.as_str().expect("a ts"))];
    let replies = call_form(&practice, "conversations.replies", &query).await;
    assert_eq!(replies["messages"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn metadata_comes_back_when_it_is_asked_for() {
    let (practice, _) = open().await;
    let metadata = json!({"event_type": "card", "event_payload": {"id": "inc_1"}});
    let message = json!({"channel": "C0OPS", "text": "card", "metadata": metadata});
    ok(&practice, "chat.postMessage", message).await;
    let plain = ok(&practice, "conversations.history", json!({"channel": "C0OPS"})).await;
    assert!(plain["messages"][0].get("metadata").is_none());
    let all = json!({"channel": "C0OPS", "include_all_metadata": true});
    let full = ok(&practice, "conversations.history", all).await;
    assert_eq!(full["messages"][0]["metadata"], metadata);
}

#[tokio::test]
async fn invalid_blocks_are_refused_with_pointers_and_written_down() {
    let (practice, _) = open().await;
    let blocks = json!([{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]);
    let answer = call(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": "x", "blocks": blocks})).await;
    assert_eq!(answer["error"], "invalid_blocks");
    let message = answer["response_metadata"]["messages"][0].as_str().expect("a message");
    assert!(message.contains("[json-pointer:/blocks/0/text/text]"), "{message}");
    let violations = practice.workspace().violations();
    assert!(violations.iter().any(|violation| violation.rule == "invalid_blocks"), "{violations:?}");
}

#[tokio::test]
async fn a_json_body_is_ignored_by_a_method_that_takes_forms_only() {
    let (practice, _) = open().await;
    assert_eq!(call(&practice, "users.info", json!({"user": "U0LEAD"})).await["error"], "invalid_arguments");
    let violations = practice.workspace().take_violations();
    assert!(violations.iter().any(|violation| violation.rule == "json_to_form_only_method"));
    let answer = call_form(&practice, "users.info", &[("user", "U0LEAD")]).await;
    assert_eq!(answer["user"]["profile"]["email"], "lead@example.com");
    assert_eq!(practice.workspace().violations(), []);
}

#[tokio::test]
async fn a_scope_the_manifest_does_not_have_is_missing() {
    let clock = super::app::HandClock::new();
    let mut options = super::app::options(&clock);
    options.manifest_yaml = options.manifest_yaml.replace("'chat:write', ", "");
    let practice = vigie::practice::Practice::start(options).await.expect("the workspace opens");
    let answer = call(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": "x"})).await;
    assert_eq!((&answer["error"], &answer["needed"]), (&json!("missing_scope"), &json!("chat:write")));
}

#[tokio::test]
async fn a_file_takes_three_steps_and_keeps_its_bytes() {
    let (practice, _) = open().await;
    let bytes = b"# Timeline\n14:02 declared\n".to_vec();
    let length = bytes.len().to_string();
    let step =
        call_form(&practice, "files.getUploadURLExternal", &[("filename", "timeline.md"), ("length", &length)]).await;
    let url = step["upload_url"].as_str().expect("a url");
    let sent = client().post(url).body(bytes.clone()).send().await.expect("an answer");
    assert_eq!(sent.text().await.expect("text"), format!("OK - {length}"));
    let id = step["file_id"].as_str().expect("an id");
    let files = json!({"files": [{"id": id, "title": "Timeline"}], "channel_id": "C0OPS", "initial_comment": "here"});
    let done = ok(&practice, "files.completeUploadExternal", files).await;
    assert_eq!(done["files"][0]["title"], "Timeline");
    assert_eq!(practice.workspace().file_bytes(id), Some(bytes));
    let message = practice.workspace().messages("ops").pop().expect("a message");
    assert_eq!((&message["subtype"], &message["text"]), (&json!("file_share"), &json!("here")));
}

#[tokio::test]
async fn unknown_methods_and_wrong_tokens_are_refused_and_written_down() {
    let (practice, _) = open().await;
    assert_eq!(call(&practice, "reminders.add", json!({})).await["error"], "unknown_method");
    let request = client().post(format!("{}/auth.test", practice.api_url())).bearer_auth(practice.app_token());
    let answer: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["error"], "not_allowed_token_type");
    let rules: Vec<String> = practice.workspace().violations().into_iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, ["unknown_method", "not_allowed_token_type"]);
}

#[tokio::test]
async fn only_ones_own_messages_are_edited() {
    let (practice, _) = open().await;
    let theirs = practice.workspace().person("U0LEAD").say("ops", "mine").expect("said");
    let update = json!({"channel": "C0OPS", "ts": theirs, "text": "no"});
    assert_eq!(call(&practice, "chat.update", update).await["error"], "cant_update_message");
    let own = ok(&practice, "chat.postMessage", json!({"channel": "C0OPS", "text": "card"})).await;
    let update = json!({"channel": "C0OPS", "ts": own["ts"], "text": "x".repeat(4001)});
    assert_eq!(call(&practice, "chat.update", update).await["error"], "msg_too_long");
    ok(&practice, "chat.update", json!({"channel": "C0OPS", "ts": own["ts"], "text": "changed"})).await;
    let ts = own["ts"].as_str().expect("a ts");
    assert_eq!(practice.workspace().message("ops", ts).map(|message| message["text"].clone()), Some(json!("changed")));
}
