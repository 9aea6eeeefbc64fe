//! Members and user groups: who there is, and how the API shows them.

use serde_json::{Value, json};

use super::super::options::{NewPerson, NewUsergroup};
use super::model::{ChannelKind, Member, Usergroup};
use super::state::State;

impl State {
    /// Adds a member, and puts them into #general.
    pub fn admit(&mut self, person: NewPerson) {
        let id = person.id.clone();
        let updated = self.now_s();
        self.members.insert(id.clone(), Member { profile: person, deleted: false, is_bot: false, updated });
        let user = self.members.get(&id).map(|member| self.user_json(member, true));
        let ts = self.next_ts();
        self.emit("team_join", json!({"type": "team_join", "user": user, "event_ts": ts}));
        if let Some(general) = self.channel_by_name("general").map(|channel| channel.id.clone()) {
            self.add_member(&general, &id, None);
        }
    }

    /// Deactivates a member: they leave every channel but stay known.
    pub fn deactivate(&mut self, user: &str) {
        let now = self.now_s();
        let Some(member) = self.members.get_mut(user) else {
            return;
        };
        member.deleted = true;
        member.updated = now;
        for channel in self.channels.values_mut().filter(|channel| channel.kind != ChannelKind::Im) {
            channel.members.retain(|member| member != user);
        }
        for group in self.usergroups.values_mut() {
            group.group.members.retain(|member| member != user);
        }
        let user = self.members.get(user).map(|member| self.user_json(member, true));
        let ts = self.next_ts();
        self.emit("user_change", json!({"type": "user_change", "user": user, "cache_ts": now, "event_ts": ts}));
    }

    /// Who acts when an administrator does: the first one, else anybody.
    pub fn admin(&self) -> String {
        let people = || self.members.values().filter(|member| !member.is_bot && !member.deleted);
        people()
            .find(|member| member.profile.is_admin)
            .or_else(|| people().next())
            .map_or_else(|| "USLACKBOT".to_owned(), |member| member.profile.id.clone())
    }

    /// A member who can act: known and not deactivated.
    pub fn active(&self, user: &str) -> Option<&Member> {
        self.members.get(user).filter(|member| !member.deleted)
    }

    pub fn insert_usergroup(&mut self, group: NewUsergroup) {
        let updated = self.now_s();
        self.usergroups.insert(group.id.clone(), Usergroup { group, updated });
    }

    /// Changes the members of a group and tells the app.
    pub fn set_usergroup(&mut self, id: &str, members: &[&str]) {
        let now = self.now_s();
        let Some(group) = self.usergroups.get_mut(id) else {
            return;
        };
        group.group.members = members.iter().map(|&member| member.to_owned()).collect();
        group.updated = now;
        let subteam = self.usergroups.get(id).map(|group| self.usergroup_json(group, true, true));
        let ts = self.next_ts();
        self.emit("subteam_updated", json!({"type": "subteam_updated", "subteam": subteam, "event_ts": ts}));
    }

    pub fn usergroup_json(&self, group: &Usergroup, with_users: bool, with_count: bool) -> Value {
        let admin = self.admin();
        let mut shown = json!({
            "id": group.group.id,
            "team_id": self.team.id,
            "is_usergroup": true,
            "is_subteam": true,
            "name": group.group.name,
            "description": "",
            "handle": group.group.handle,
            "is_external": false,
            "date_create": group.updated,
            "date_update": group.updated,
            "date_delete": 0,
            "auto_type": null,
            "auto_provision": false,
            "enterprise_subteam_id": "",
            "created_by": admin,
            "updated_by": admin,
            "deleted_by": null,
            "prefs": {"channels": [], "groups": []},
        });
        if let Value::Object(map) = &mut shown {
            if with_users {
                map.insert("users".into(), json!(group.group.members));
            }
            if with_count {
                map.insert("user_count".into(), json!(group.group.members.len()));
                map.insert("channel_count".into(), json!(0));
            }
        }
        shown
    }

    /// The user object of `users.info`.
    pub fn user_json(&self, member: &Member, with_locale: bool) -> Value {
        let profile = &member.profile;
        let (first, last) = profile.real_name.split_once(' ').unwrap_or((&profile.real_name, ""));
        let mut shown_profile = json!({
            "title": profile.title,
            "phone": profile.phone,
            "skype": "",
            "real_name": profile.real_name,
            "real_name_normalized": profile.real_name,
            "display_name": profile.handle,
            "display_name_normalized": profile.handle,
            "status_text": "",
            "status_emoji": "",
            "status_expiration": 0,
            "avatar_hash": "practice",
            "first_name": first,
            "last_name": last,
            "team": self.team.id,
        });
        if let Value::Object(map) = &mut shown_profile {
            if member.is_bot {
                map.insert("bot_id".into(), json!(self.app.bot_id));
                map.insert("api_app_id".into(), json!(self.app.app_id));
                map.insert("always_active".into(), json!(true));
            } else if self.manifest.has_scope("users:read.email") {
                map.insert("email".into(), json!(profile.email));
            }
        }
        let (label, offset) = zone(&profile.tz, self.now);
        let mut shown = json!({
            "id": profile.id,
            "team_id": self.team.id,
            "name": profile.handle,
            "deleted": member.deleted,
            "profile": shown_profile,
            "is_bot": member.is_bot,
            "is_app_user": false,
            "updated": member.updated,
        });
        if let (Value::Object(map), false) = (&mut shown, member.deleted) {
            let more = json!({
                "color": "4bbe2e",
                "real_name": profile.real_name,
                "tz": profile.tz,
                "tz_label": label,
                "tz_offset": offset,
                "is_admin": profile.is_admin,
                "is_owner": false,
                "is_primary_owner": false,
                "is_restricted": false,
                "is_ultra_restricted": false,
                "is_email_confirmed": true,
                "who_can_share_contact_card": "EVERYONE",
            });
            if let Value::Object(more) = more {
                map.extend(more);
            }
            if with_locale {
                map.insert("locale".into(), json!(profile.locale));
            }
        }
        shown
    }

    /// The `bot_profile` of messages.
    pub fn bot_profile(&self) -> Value {
        json!({
            "id": self.app.bot_id,
            "app_id": self.app.app_id,
            "user_id": self.app.bot_user,
            "name": self.app.name,
            "deleted": false,
            "updated": 0,
            "team_id": self.team.id,
            "icons": {},
        })
    }
}

/// A zone's abbreviation and its offset in seconds at this instant; UTC for a zone nobody knows.
fn zone(name: &str, now_ms: i64) -> (String, i32) {
    let zone = jiff::tz::TimeZone::get(name).unwrap_or(jiff::tz::TimeZone::UTC);
    let at = jiff::Timestamp::from_millisecond(now_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let info = zone.to_offset_info(at);
    (info.abbreviation().to_owned(), info.offset().seconds())
}
