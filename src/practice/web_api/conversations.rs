//! `conversations.*` and `users.conversations`: channels made, changed, joined, listed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::auth::need_any;
use super::{Args, Outcome, Refusal};
use crate::practice::methods;
use crate::practice::workspace::{Channel, ChannelKind, State, name_fault};

/// One page of a list, and the cursor of the next (empty at the end).
pub(super) fn page<T>(all: Vec<T>, args: &Args, most: i64) -> Result<(Vec<T>, String), Refusal> {
    let start = match args.opt("cursor") {
        None => 0,
        Some(cursor) => STANDARD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.strip_prefix("next:")?.parse::<usize>().ok())
            .ok_or_else(|| Refusal::from("invalid_cursor"))?,
    };
    let limit = match args.number("limit") {
        None | Some(0) => 100,
        Some(limit) if limit < 0 || limit > most => return Err(Refusal::from("invalid_limit")),
        Some(limit) => usize::try_from(limit).unwrap_or(100),
    };
    let end = start.saturating_add(limit);
    let next = if all.len() > end { STANDARD.encode(format!("next:{end}")) } else { String::new() };
    Ok((all.into_iter().skip(start).take(limit).collect(), next))
}

/// The channel a call means, when the bot may know of it: private places only as a member.
pub(super) fn visible<'a>(state: &'a State, channel: &str) -> Result<&'a Channel, Refusal> {
    let found = state.channels.get(channel).filter(|found| !found.is_private() || found.has(&state.app.bot_user));
    found.ok_or_else(|| Refusal::from("channel_not_found"))
}

/// As [`visible`], and the bot has the method's scope for this kind of channel.
fn scoped<'a>(state: &'a State, method: &str, channel: &str) -> Result<&'a Channel, Refusal> {
    let found = visible(state, channel)?;
    need_family(state, method, found.scope_family())?;
    Ok(found)
}

/// The scopes of a method differ by kind of channel: `channels:read`, `groups:read` …
fn need_family(state: &State, method: &str, family: &str) -> Result<(), Refusal> {
    let start = format!("{family}:");
    let scopes: Vec<&String> = methods::method(method)
        .map(|page| page.scopes.iter().filter(|scope| scope.starts_with(&start)).collect())
        .unwrap_or_default();
    if scopes.is_empty() {
        return Err(Refusal::from("method_not_supported_for_channel_type"));
    }
    need_any(state, &scopes)
}

fn member_of<'a>(state: &'a State, method: &str, channel: &str) -> Result<&'a Channel, Refusal> {
    let found = scoped(state, method, channel)?;
    if found.has(&state.app.bot_user) { Ok(found) } else { Err(Refusal::from("not_in_channel")) }
}

fn living<'a>(state: &'a State, method: &str, channel: &str) -> Result<&'a Channel, Refusal> {
    let found = scoped(state, method, channel)?;
    if found.is_archived {
        return Err(Refusal::from("is_archived"));
    }
    member_of(state, method, channel)
}

fn shown(state: &State, channel: &str) -> Value {
    let bot = &state.app.bot_user;
    state.channels.get(channel).map_or(Value::Null, |found| state.channel_json(found, bot))
}

pub(super) fn create(state: &mut State, args: &Args) -> Outcome {
    let is_private = args.flag("is_private");
    need_family(state, "conversations.create", if is_private { "groups" } else { "channels" })?;
    let bot = state.app.bot_user.clone();
    let id = state.create_channel(&bot, args.text("name"), is_private).map_err(Refusal::from)?;
    Ok(json!({"channel": shown(state, &id)}))
}

pub(super) fn archive(state: &mut State, args: &Args) -> Outcome {
    let found = scoped(state, "conversations.archive", args.text("channel"))?;
    if found.is_archived {
        return Err(Refusal::from("already_archived"));
    }
    let found = member_of(state, "conversations.archive", args.text("channel"))?;
    if found.is_general {
        return Err(Refusal::from("cant_archive_general"));
    }
    let (id, bot) = (found.id.clone(), state.app.bot_user.clone());
    state.archive_channel(&id, &bot);
    Ok(json!({}))
}

pub(super) fn unarchive(state: &mut State, args: &Args) -> Outcome {
    let found = scoped(state, "conversations.unarchive", args.text("channel"))?;
    if !found.is_archived {
        return Err(Refusal::from("not_archived"));
    }
    let (id, bot) = (found.id.clone(), state.app.bot_user.clone());
    state.unarchive_channel(&id, &bot);
    Ok(json!({}))
}

pub(super) fn rename(state: &mut State, args: &Args) -> Outcome {
    let found = living(state, "conversations.rename", args.text("channel"))?;
    let name = args.text("name");
    if let Some(fault) = name_fault(name) {
        return Err(Refusal::from(fault));
    }
    if state.channel_by_name(name).is_some_and(|other| other.id != found.id) {
        return Err(Refusal::from("name_taken"));
    }
    let (id, bot) = (found.id.clone(), state.app.bot_user.clone());
    state.rename_channel(&id, &bot, name);
    Ok(json!({"channel": shown(state, &id)}))
}

pub(super) fn set_topic(state: &mut State, args: &Args) -> Outcome {
    set_note(state, args, true)
}

pub(super) fn set_purpose(state: &mut State, args: &Args) -> Outcome {
    set_note(state, args, false)
}

fn set_note(state: &mut State, args: &Args, is_topic: bool) -> Outcome {
    let (method, key) =
        if is_topic { ("conversations.setTopic", "topic") } else { ("conversations.setPurpose", "purpose") };
    let found = living(state, method, args.text("channel"))?;
    let value = args.text(key);
    if value.chars().count() > 250 {
        return Err(Refusal::from("too_long"));
    }
    let (id, bot) = (found.id.clone(), state.app.bot_user.clone());
    state.set_note(&id, &bot, is_topic, value);
    Ok(json!({"channel": shown(state, &id), key: value}))
}

pub(super) fn invite(state: &mut State, args: &Args) -> Outcome {
    let found = living(state, "conversations.invite", args.text("channel"))?;
    let id = found.id.clone();
    let users: Vec<String> =
        args.text("users").split(',').map(|user| user.trim().to_owned()).filter(|user| !user.is_empty()).collect();
    if users.is_empty() {
        return Err(Refusal::from("no_user"));
    }
    if users.len() > 100 {
        return Err(Refusal::from("too_many_users"));
    }
    let fault = |user: &String| -> Option<&'static str> {
        if *user == state.app.bot_user {
            Some("cant_invite_self")
        } else if state.active(user).is_none() {
            Some("user_not_found")
        } else if found.has(user) {
            Some("already_in_channel")
        } else {
            None
        }
    };
    let faults: Vec<(String, &str)> = users.iter().filter_map(|user| Some((user.clone(), fault(user)?))).collect();
    let bot = state.app.bot_user.clone();
    if faults.is_empty() || args.flag("force") {
        let good = users.iter().filter(|user| !faults.iter().any(|(bad, _)| bad == *user));
        let good: Vec<String> = good.cloned().collect();
        for user in &good {
            state.add_member(&id, user, Some(&bot));
        }
        if !good.is_empty() || faults.is_empty() {
            let mut answer = json!({"channel": shown(state, &id)});
            if let (Value::Object(map), false) = (&mut answer, faults.is_empty()) {
                map.insert("errors".into(), per_user(&faults));
            }
            return Ok(answer);
        }
    }
    let code = faults.first().map_or("cant_invite", |(_, code)| code);
    Err(Refusal::with(code, json!({"errors": per_user(&faults)})))
}

fn per_user(faults: &[(String, &str)]) -> Value {
    faults.iter().map(|(user, code)| json!({"user": user, "ok": false, "error": code})).collect()
}

pub(super) fn kick(state: &mut State, args: &Args) -> Outcome {
    let found = member_of(state, "conversations.kick", args.text("channel"))?;
    let user = args.text("user").to_owned();
    if user == state.app.bot_user {
        return Err(Refusal::from("cant_kick_self"));
    }
    if found.is_general {
        return Err(Refusal::from("cant_kick_from_general"));
    }
    if !state.members.contains_key(&user) {
        return Err(Refusal::from("user_not_found"));
    }
    if !found.has(&user) {
        return Err(Refusal::from("not_in_channel"));
    }
    let (id, bot) = (found.id.clone(), state.app.bot_user.clone());
    state.remove_member(&id, &user, Some(&bot));
    Ok(json!({"errors": {}}))
}

pub(super) fn join(state: &mut State, args: &Args) -> Outcome {
    let found = visible(state, args.text("channel"))?;
    if found.kind != ChannelKind::Public {
        return Err(Refusal::from("method_not_supported_for_channel_type"));
    }
    if found.is_archived {
        return Err(Refusal::from("is_archived"));
    }
    let (id, bot) = (found.id.clone(), state.app.bot_user.clone());
    if found.has(&bot) {
        return Ok(json!({
            "channel": shown(state, &id),
            "warning": "already_in_channel",
            "response_metadata": {"warnings": ["already_in_channel"]},
        }));
    }
    state.add_member(&id, &bot, None);
    Ok(json!({"channel": shown(state, &id)}))
}

pub(super) fn leave(state: &mut State, args: &Args) -> Outcome {
    let found = scoped(state, "conversations.leave", args.text("channel"))?;
    let bot = state.app.bot_user.clone();
    if found.is_general {
        return Err(Refusal::from("cant_leave_general"));
    }
    if found.is_archived {
        return Err(Refusal::from("is_archived"));
    }
    if !found.has(&bot) {
        return Ok(json!({"not_in_channel": true}));
    }
    if found.is_private() && found.members.len() == 1 {
        return Err(Refusal::from("last_member"));
    }
    let id = found.id.clone();
    state.remove_member(&id, &bot, None);
    Ok(json!({}))
}

pub(super) fn info(state: &mut State, args: &Args) -> Outcome {
    let found = scoped(state, "conversations.info", args.text("channel"))?;
    let mut channel = state.channel_json(found, &state.app.bot_user);
    if let Value::Object(map) = &mut channel {
        if args.flag("include_num_members") {
            map.insert("num_members".into(), json!(found.members.len()));
        }
        if args.flag("include_locale") {
            map.insert("locale".into(), json!("en-US"));
        }
    }
    Ok(json!({"channel": channel}))
}

fn wanted_kinds(state: &State, method: &str, args: &Args) -> Result<Vec<ChannelKind>, Refusal> {
    let mut kinds = Vec::new();
    for kind in args.opt("types").unwrap_or("public_channel").split(',') {
        let (kind, family) = match kind.trim() {
            "public_channel" => (ChannelKind::Public, "channels"),
            "private_channel" => (ChannelKind::Private, "groups"),
            "im" => (ChannelKind::Im, "im"),
            "mpim" => (ChannelKind::Mpim, "mpim"),
            _ => return Err(Refusal::from("invalid_types")),
        };
        need_family(state, method, family)?;
        kinds.push(kind);
    }
    Ok(kinds)
}

pub(super) fn list(state: &mut State, args: &Args) -> Outcome {
    let kinds = wanted_kinds(state, "conversations.list", args)?;
    let bot = state.app.bot_user.clone();
    let fits = |channel: &&Channel| {
        kinds.contains(&channel.kind)
            && (!channel.is_private() || channel.has(&bot))
            && !(args.flag("exclude_archived") && channel.is_archived)
    };
    let all: Vec<Value> = state
        .channels
        .values()
        .filter(fits)
        .map(|channel| {
            let mut shown = state.channel_json(channel, &bot);
            if let Value::Object(map) = &mut shown {
                map.insert("num_members".into(), json!(channel.members.len()));
            }
            shown
        })
        .collect();
    let (channels, cursor) = page(all, args, 1000)?;
    Ok(json!({"channels": channels, "response_metadata": {"next_cursor": cursor}}))
}

pub(super) fn users_conversations(state: &mut State, args: &Args) -> Outcome {
    let kinds = wanted_kinds(state, "users.conversations", args)?;
    let bot = state.app.bot_user.clone();
    let user = args.opt("user").unwrap_or(&bot).to_owned();
    let fits = |channel: &&Channel| {
        kinds.contains(&channel.kind)
            && channel.has(&user)
            && (!channel.is_private() || channel.has(&bot))
            && !(args.flag("exclude_archived") && channel.is_archived)
    };
    let all: Vec<Value> =
        state.channels.values().filter(fits).map(|channel| state.channel_json(channel, &bot)).collect();
    let (channels, cursor) = page(all, args, 1000)?;
    Ok(json!({"channels": channels, "response_metadata": {"next_cursor": cursor}}))
}

pub(super) fn members(state: &mut State, args: &Args) -> Outcome {
    let found = scoped(state, "conversations.members", args.text("channel"))?;
    let (members, cursor) = page(found.members.clone(), args, 1000)?;
    Ok(json!({"members": members, "response_metadata": {"next_cursor": cursor}}))
}

pub(super) fn open(state: &mut State, args: &Args) -> Outcome {
    let bot = state.app.bot_user.clone();
    if let Some(channel) = args.opt("channel") {
        let found = visible(state, channel)?;
        if !matches!(found.kind, ChannelKind::Im | ChannelKind::Mpim) {
            return Err(Refusal::from("method_not_supported_for_channel_type"));
        }
        return Ok(json!({"channel": {"id": found.id}, "already_open": true, "no_op": true}));
    }
    let mut people: Vec<String> =
        args.text("users").split(',').map(|user| user.trim().to_owned()).filter(|user| !user.is_empty()).collect();
    if people.is_empty() {
        return Err(Refusal::from("users_list_not_supplied"));
    }
    if people.len() > 8 {
        return Err(Refusal::from("too_many_users"));
    }
    need_family(state, "conversations.open", if people.len() > 1 { "mpim" } else { "im" })?;
    for user in &people {
        match state.members.get(user) {
            None => return Err(Refusal::from("user_not_found")),
            Some(member) if member.deleted => return Err(Refusal::from("user_disabled")),
            Some(_) => {}
        }
    }
    people.push(bot);
    let (id, existed) = state.direct(&people);
    let mut answer =
        if args.flag("return_im") { json!({"channel": shown(state, &id)}) } else { json!({"channel": {"id": id}}) };
    if let (Value::Object(map), true) = (&mut answer, existed) {
        map.insert("no_op".into(), json!(true));
        map.insert("already_open".into(), json!(true));
    }
    Ok(answer)
}
