//! Who there is: `users.*`, `usergroups.*`, `bots.info`, `team.info`, `emoji.list`.

use serde_json::{Value, json};

use super::conversations::page;
use super::{Args, Outcome, Refusal};
use crate::practice::workspace::State;

pub(super) fn users_info(state: &mut State, args: &Args) -> Outcome {
    let member = state.members.get(args.text("user")).ok_or_else(|| Refusal::from("user_not_found"))?;
    Ok(json!({"user": state.user_json(member, args.flag("include_locale"))}))
}

pub(super) fn users_list(state: &mut State, args: &Args) -> Outcome {
    let all: Vec<Value> =
        state.members.values().map(|member| state.user_json(member, args.flag("include_locale"))).collect();
    let (members, cursor) = page(all, args, 1000)?;
    Ok(json!({"members": members, "cache_ts": state.now_s(), "response_metadata": {"next_cursor": cursor}}))
}

pub(super) fn users_lookup_by_email(state: &mut State, args: &Args) -> Outcome {
    let wanted = args.text("email").to_lowercase();
    let found = state
        .members
        .values()
        .find(|member| !member.deleted && !member.is_bot && member.profile.email.to_lowercase() == wanted);
    match found {
        Some(member) => Ok(json!({"user": state.user_json(member, false)})),
        None => Err(Refusal::from("users_not_found")),
    }
}

pub(super) fn usergroups_list(state: &mut State, args: &Args) -> Outcome {
    let (users, count) = (args.flag("include_users"), args.flag("include_count"));
    let groups: Vec<Value> = state.usergroups.values().map(|group| state.usergroup_json(group, users, count)).collect();
    Ok(json!({"usergroups": groups}))
}

pub(super) fn usergroups_users_list(state: &mut State, args: &Args) -> Outcome {
    match state.usergroups.get(args.text("usergroup")) {
        Some(group) => Ok(json!({"users": group.group.members})),
        None => Err(Refusal::from("no_such_subteam")),
    }
}

pub(super) fn bots_info(state: &mut State, args: &Args) -> Outcome {
    match args.opt("bot") {
        Some(bot) if bot != state.app.bot_id => Err(Refusal::from("bot_not_found")),
        _ => Ok(json!({"bot": state.bot_profile()})),
    }
}

pub(super) fn team_info(state: &mut State, _: &Args) -> Outcome {
    Ok(json!({"team": {
        "id": state.team.id,
        "name": state.team.name,
        "url": format!("{}/", state.origin),
        "domain": state.team.domain,
        "email_domain": "",
        "icon": {"image_default": true},
        "avatar_base_url": format!("{}/", state.origin),
        "is_verified": false,
    }}))
}

pub(super) fn emoji_list(_: &mut State, _: &Args) -> Outcome {
    Ok(json!({"emoji": {}, "cache_ts": "0"}))
}
