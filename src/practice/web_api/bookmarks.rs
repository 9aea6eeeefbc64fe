//! `bookmarks.*`.

use serde_json::{Value, json};

use super::conversations::visible;
use super::{Args, Outcome, Refusal, fields};
use crate::practice::workspace::State;

/// A channel holds this many bookmarks.
const BOOKMARKS_MAX: usize = 100;

/// The channel a call means, when the bot is in it.
fn channel(state: &State, args: &Args) -> Result<String, Refusal> {
    let found = visible(state, args.text("channel_id"))?;
    if found.has(&state.app.bot_user) { Ok(found.id.clone()) } else { Err(Refusal::from("permission_denied")) }
}

/// Only web addresses can be bookmarked.
fn check_link(link: Option<&str>) -> Result<(), Refusal> {
    let Some(link) = link else { return Ok(()) };
    let is_web = url::Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_web { Ok(()) } else { Err(Refusal::from("invalid_link")) }
}

/// `:clap:`
fn check_emoji(emoji: Option<&str>) -> Result<(), Refusal> {
    let is_good = emoji.is_none_or(|emoji| emoji.len() > 2 && emoji.starts_with(':') && emoji.ends_with(':'));
    if is_good { Ok(()) } else { Err(Refusal::from("invalid_emoji")) }
}

pub(super) fn add(state: &mut State, args: &Args) -> Outcome {
    let channel = channel(state, args)?;
    if args.text("type") != "link" {
        return Err(Refusal::from("invalid_bookmark_type"));
    }
    check_link(Some(args.text("link")))?;
    check_emoji(args.opt("emoji"))?;
    let count = state.channels.get(&channel).map_or(0, |found| found.bookmarks.len());
    if count >= BOOKMARKS_MAX {
        return Err(Refusal::from("too_many_bookmarks"));
    }
    let bookmark = json!({
        "id": state.next_id("Bk"),
        "channel_id": channel,
        "title": args.text("title"),
        "link": args.text("link"),
        "emoji": args.opt("emoji").unwrap_or_default(),
        "icon_url": "",
        "type": "link",
        "entity_id": null,
        "date_created": state.now_s(),
        "date_updated": 0,
        "rank": "g",
        "last_updated_by_user_id": state.app.bot_user,
        "last_updated_by_team_id": state.team.id,
        "shortcut_id": null,
        "app_id": state.app.app_id,
    });
    if let Some(found) = state.channels.get_mut(&channel) {
        found.bookmarks.push(fields(bookmark.clone()));
    }
    Ok(json!({"bookmark": bookmark}))
}

pub(super) fn edit(state: &mut State, args: &Args) -> Outcome {
    let channel = channel(state, args)?;
    check_link(args.opt("link"))?;
    check_emoji(args.opt("emoji"))?;
    let now = state.now_s();
    let bookmarks = state.channels.get_mut(&channel).map(|found| &mut found.bookmarks);
    let wanted = json!(args.text("bookmark_id"));
    let bookmark = bookmarks.into_iter().flatten().find(|bookmark| bookmark.get("id") == Some(&wanted));
    let bookmark = bookmark.ok_or_else(|| Refusal::from("not_found"))?;
    for key in ["title", "link", "emoji"] {
        if let Some(value) = args.opt(key) {
            bookmark.insert(key.into(), json!(value));
        }
    }
    bookmark.insert("date_updated".into(), json!(now));
    Ok(json!({"bookmark": bookmark}))
}

pub(super) fn list(state: &mut State, args: &Args) -> Outcome {
    let found = visible(state, args.text("channel_id"))?;
    let bookmarks: Vec<Value> = found.bookmarks.iter().cloned().map(Value::Object).collect();
    Ok(json!({"bookmarks": bookmarks}))
}

pub(super) fn remove(state: &mut State, args: &Args) -> Outcome {
    let channel = channel(state, args)?;
    let wanted = json!(args.text("bookmark_id"));
    let Some(found) = state.channels.get_mut(&channel) else {
        return Err(Refusal::from("channel_not_found"));
    };
    let before = found.bookmarks.len();
    found.bookmarks.retain(|bookmark| bookmark.get("id") != Some(&wanted));
    if found.bookmarks.len() == before { Err(Refusal::from("not_found")) } else { Ok(json!({})) }
}
