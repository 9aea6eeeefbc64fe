//! A system of a team's own: a maintenance page that is put up by one request. What is asked for twice by the same name is
//! done once.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Call, Platform, Said};

/// The page.
pub struct Maintenance {
    pub token: String,
    pub is_up: bool,
    /// It says yes to the request, and that it could not do it.
    pub cannot: bool,
    /// How often something was really done.
    pub done: usize,
    /// What was answered to whom.
    answers: BTreeMap<String, Said>,
}

impl Maintenance {
    /// Customers see the shop.
    pub fn new() -> Self {
        let token = "maintenance-token-for-tests".to_owned();
        Self { token, is_up: false, cannot: false, done: 0, answers: BTreeMap::new() }
    }

    fn put_up(&mut self, key: &str) -> Said {
        if let Some(said) = self.answers.get(key) {
            return said.clone();
        }
        self.done += 1;
        self.is_up = !self.cannot;
        let said = Said::new(200, json!({"state": if self.is_up { "up" } else { "stuck" }, "nodes": {"done": 3}}));
        self.answers.insert(key.to_owned(), said.clone());
        said
    }
}

impl Platform for Maintenance {
    const VENDOR: &'static str = "maintenance";
    const IS_DESCRIBED: bool = false;

    fn answer(&mut self, call: &Call) -> Said {
        if call.bearer.as_deref() != Some(&self.token) {
            return Said::new(401, json!({"error": "who are you?"}));
        }
        match (call.method.as_str(), call.path.as_str(), call.idempotency_key()) {
            ("GET", "/page", _) => Said::new(200, json!({"state": if self.is_up { "up" } else { "down" }})),
            ("POST", "/page", None) => Said::new(400, json!({"error": "an idempotency key is missing"})),
            ("POST", "/page", Some(key)) => self.put_up(key),
            _ => Said::new(404, json!({"error": "there is no such thing"})),
        }
    }
}
