//! Netlify's side: a site with its deploys, one of which is published.

use serde_json::{Value, json};

use super::{Call, Platform, Said};

/// One deploy.
#[derive(Debug, Clone)]
pub struct Deploy {
    pub id: String,
    pub hour: u32,
    pub title: String,
    pub state: &'static str,
    pub was_published: bool,
    pub is_locked: bool,
    /// `production`, `deploy-preview` or `branch-deploy`.
    pub context: &'static str,
}

/// A site.
pub struct Netlify {
    pub token: String,
    pub deploys: Vec<Deploy>,
    /// Nothing, in a site that shows nothing yet.
    published: String,
    /// After how many readings a restored deploy is published.
    pub readings: usize,
    coming: Option<(String, usize)>,
}

impl Deploy {
    fn new(number: u32, title: &str) -> Self {
        Self {
            id: format!("66f0a{number}"),
            hour: number,
            title: title.to_owned(),
            state: "ready",
            was_published: true,
            is_locked: false,
            context: "production",
        }
    }
}

pub const SITE: &str = "shop.netlify.app";

impl Netlify {
    /// Three deploys, of which the last is published.
    pub fn new() -> Self {
        let deploys = (1..).zip(["Add the cart", "Fix the cart", "New checkout"]);
        Self {
            token: "netlify-token-for-tests".to_owned(),
            deploys: deploys.map(|(number, title)| Deploy::new(number, title)).collect(),
            published: "66f0a3".to_owned(),
            readings: 1,
            coming: None,
        }
    }

    /// Builds until there are so many deploys; none of these goes live.
    pub fn builds_up_to(&mut self, last: u32) {
        let first = self.deploys.last().map_or(1, |newest| newest.hour + 1);
        self.deploys.extend((first..=last).map(|number| Deploy::new(number, "Build")));
    }

    pub fn deploy(&mut self, id: &str) -> &mut Deploy {
        self.deploys.iter_mut().find(|found| found.id == id).expect("there is such a deploy")
    }

    pub fn published(&self) -> &str {
        &self.published
    }

    pub fn publish(&mut self, id: &str) {
        self.published = id.to_owned();
    }

    fn find(&self, id: &str) -> Option<&Deploy> {
        self.deploys.iter().find(|found| found.id == id)
    }

    fn site(&mut self) -> Said {
        match self.coming.take() {
            Some((id, 0)) => self.published = id,
            Some((id, left)) => self.coming = Some((id, left - 1)),
            None => {}
        }
        let mut site = json!({"id": "site1", "name": "shop", "state": "current"});
        if let Some(published) = self.find(&self.published) {
            site["published_deploy"] = shown(published);
        }
        Said::new(200, site)
    }

    fn restore(&mut self, id: &str) -> Said {
        match self.find(id).cloned() {
            None => no(404, "Not Found"),
            Some(found) if found.state != "ready" => no(422, "This deploy cannot be published"),
            Some(found) => {
                self.coming = Some((id.to_owned(), self.readings));
                Said::new(201, shown(&found))
            }
        }
    }
}

impl Platform for Netlify {
    const VENDOR: &'static str = "netlify";

    fn answer(&mut self, call: &Call) -> Said {
        if call.bearer.as_deref() != Some(&self.token) {
            return no(401, "Access Denied: wrong credentials");
        }
        let parts = call.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["sites", SITE]) => self.site(),
            ("GET", ["sites", SITE, "deploys"]) => {
                let state = call.query.get("state").map(String::as_str);
                let number = |name: &str, usual: usize| {
                    call.query.get(name).map_or(usual, |text| text.parse().expect("it is a number"))
                };
                let (page, most) = (number("page", 1), number("per_page", 30).min(100));
                let asked = self.deploys.iter().rev().filter(|found| state.is_none_or(|state| state == found.state));
                Said::new(200, asked.skip((page - 1) * most).take(most).map(shown).collect())
            }
            ("GET", ["sites", SITE, "deploys", id]) => {
                self.find(id).map_or_else(|| no(404, "Not Found"), |found| Said::new(200, shown(found)))
            }
            ("POST", ["sites", SITE, "deploys", id, "restore"]) => self.restore(id),
            _ => no(404, "Not Found"),
        }
    }
}

fn no(status: u16, message: &str) -> Said {
    Said::new(status, json!({"code": status, "message": message}))
}

fn shown(found: &Deploy) -> Value {
    let at = |minute: u32| format!("2026-11-{:02}T{:02}:{minute:02}:00.000Z", 20 + found.hour / 24, found.hour % 24);
    let mut shown = json!({
        "id": found.id,
        "site_id": "site1",
        "state": found.state,
        "title": found.title,
        "branch": "main",
        "context": found.context,
        "commit_ref": found.hour.to_string().repeat(40),
        "created_at": at(0),
        "locked": found.is_locked,
    });
    if found.was_published {
        shown["published_at"] = at(5).into();
    }
    shown
}
