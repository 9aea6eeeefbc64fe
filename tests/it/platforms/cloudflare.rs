//! Cloudflare's side: the records of one zone, and what it says no to.

use serde_json::{Map, Value, json};

use super::{Call, Platform, Said};

/// A zone with one record that says where the traffic goes.
pub struct Cloudflare {
    pub token: String,
    /// The token may look, and nothing else.
    pub only_reads: bool,
    /// Says yes and changes nothing.
    pub lies: bool,
    /// The record no longer exists.
    pub is_gone: bool,
    content: String,
    pub name: String,
    pub ttl: u64,
    /// Where it led, one after the other.
    pub led_to: Vec<String>,
}

pub const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
pub const RECORD: &str = "372e67954025e0ba6aaa6d586b9e0b59";
pub const NAME: &str = "shop.example.com";

impl Cloudflare {
    /// The traffic goes to the blue side.
    pub fn new() -> Self {
        Self {
            token: "cloudflare-token-for-tests".to_owned(),
            only_reads: false,
            lies: false,
            is_gone: false,
            content: "blue.example.net".to_owned(),
            name: NAME.to_owned(),
            ttl: 1,
            led_to: Vec::new(),
        }
    }

    /// Where the traffic goes.
    pub fn leads_to(&self) -> &str {
        &self.content
    }

    /// Somebody else changes the record.
    pub fn lead_to(&mut self, content: &str) {
        self.content = content.to_owned();
    }

    fn shown(&self) -> Said {
        let record = json!({
            "id": RECORD,
            "name": self.name,
            "type": "CNAME",
            "content": self.content,
            "proxied": true,
            "proxiable": true,
            "ttl": self.ttl,
            "meta": {},
            "settings": {},
            "tags": [],
            "created_on": "2026-01-10T08:00:00.000000Z",
            "modified_on": "2026-11-20T08:00:00.000000Z",
        });
        Said::new(200, json!({"success": true, "errors": [], "messages": [], "result": record}))
    }

    fn edit(&mut self, body: &Value) -> Said {
        let known = ["name", "type", "ttl", "content", "proxied", "comment", "settings", "tags"];
        let empty = Map::new();
        let body = body.as_object().unwrap_or(&empty);
        if let Some(unknown) = body.keys().find(|key| !known.contains(&key.as_str())) {
            return no(400, 1004, &format!("DNS Validation Error: unknown field {unknown}"));
        }
        match body.get("content").and_then(Value::as_str) {
            None => no(400, 9005, "Content for the record is missing"),
            Some(content) if content.contains(' ') => no(400, 9007, "Content for CNAME record is invalid"),
            Some(_) if self.lies => self.shown(),
            Some(content) => {
                self.content = content.to_owned();
                self.ttl = body.get("ttl").and_then(Value::as_u64).unwrap_or(self.ttl);
                self.name = body.get("name").and_then(Value::as_str).unwrap_or(&self.name).to_owned();
                self.led_to.push(content.to_owned());
                self.shown()
            }
        }
    }
}

impl Platform for Cloudflare {
    const VENDOR: &'static str = "cloudflare";

    fn answer(&mut self, call: &Call) -> Said {
        if call.bearer.as_deref() != Some(&self.token) {
            return no(401, 10_000, "Authentication error");
        }
        if self.only_reads && call.is_write() {
            return no(403, 9109, "Unauthorized to access requested resource");
        }
        let parts = call.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (call.method.as_str(), parts.as_slice()) {
            (_, ["zones", ZONE, "dns_records", RECORD]) if self.is_gone => no(404, 81_044, "Record does not exist."),
            ("GET", ["zones", ZONE, "dns_records", RECORD]) => self.shown(),
            ("PATCH", ["zones", ZONE, "dns_records", RECORD]) => self.edit(&call.body),
            (_, ["zones", ZONE, "dns_records", _]) => no(404, 81_044, "Record does not exist."),
            _ => no(404, 7003, "Could not route, perhaps your object identifier is invalid?"),
        }
    }
}

fn no(status: u16, code: u32, message: &str) -> Said {
    let errors = json!([{"code": code, "message": message}]);
    Said::new(status, json!({"success": false, "errors": errors, "messages": [], "result": null}))
}
