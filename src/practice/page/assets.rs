//! The page's own files, embedded in the program.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

#[derive(Embed)]
#[folder = "src/practice/assets/"]
pub(super) struct Assets;

pub(super) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

pub(super) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    serve(&path, &headers)
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(EmbeddedFile { data, metadata }) = Assets::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", hex::encode(metadata.sha256_hash()));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    // Revalidated each time: a new build of the program must never meet an old page.
    let caching = [(header::CACHE_CONTROL, "no-cache".to_owned()), (header::ETAG, tag)];
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, kind(path))], data).into_response()
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

/// An asset's text, for tests.
#[cfg(test)]
pub(super) fn text_of(file: &str) -> String {
    String::from_utf8(Assets::get(file).expect("an embedded file").data.into_owned()).expect("text")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use regex::Regex;

    use super::{Assets, text_of};

    fn words(lang: &str) -> BTreeMap<String, String> {
        serde_json::from_str(&text_of(&format!("i18n/{lang}.json"))).expect("texts by key")
    }

    #[test]
    fn both_languages_have_the_same_keys_and_the_same_places_to_fill() {
        let (en, fr) = (words("en"), words("fr"));
        assert_eq!(en.keys().collect::<Vec<_>>(), fr.keys().collect::<Vec<_>>());
        let place = Regex::new(r"\{\w+\}").expect("a pattern");
        let places = |text: &str| place.find_iter(text).map(|m| m.as_str().to_owned()).collect::<BTreeSet<_>>();
        for (key, text) in &en {
            assert_eq!(places(text), places(&fr[key]), "{key}");
        }
    }

    #[test]
    fn every_text_the_page_uses_exists_and_every_text_is_used() {
        let used = Regex::new(r#"\b(tn?)\(\s*(?:'([\w.]+)'|`([\w.]+)\$\{\w+(?:\.\w+)?\}([\w.]*)`)|data-t(?:-label)?="([\w.]+)"|'((?:side|composer|time|shop|stream|tour|theme|panel|shortcuts|modal)[\w.]*)'"#).expect("a pattern");
        let keys = words("en");
        let mut reached = BTreeSet::new();
        for file in Assets::iter().filter(|f| f.ends_with(".js") || f.ends_with(".html")) {
            for found in used.captures_iter(&text_of(&file)) {
                let plural = found.get(1).is_some_and(|f| f.as_str() == "tn");
                if let Some(head) = found.get(3) {
                    let tail = found.get(4).map_or("", |m| m.as_str());
                    reached.extend(keys.keys().filter(|k| k.starts_with(head.as_str()) && k.ends_with(tail)).cloned());
                    continue;
                }
                let certain = found.get(2).or(found.get(5));
                let Some(key) = certain.or(found.get(6)).map(|m| m.as_str()) else {
                    continue;
                };
                let forms =
                    if plural { vec![format!("{key}.one"), format!("{key}.other")] } else { vec![key.to_owned()] };
                for form in forms {
                    assert!(certain.is_none() || keys.contains_key(&form), "{file} uses “{form}”, which has no text");
                    reached.insert(form);
                }
            }
        }
        let unused: Vec<_> = keys.keys().filter(|k| !reached.contains(*k)).collect();
        assert!(unused.is_empty(), "nobody uses {unused:?}");
    }

    #[test]
    fn the_assets_ask_nobody_outside_and_keep_to_the_policy() {
        let outside = Regex::new(r#"(?:src|href)="(?:https?:)?//|@import|url\(|fetch\(['`]http|\sstyle="|\son\w+="|<script>|<style|\.innerHTML|insertAdjacentHTML|setAttribute\('style'"#).expect("a pattern");
        for file in Assets::iter() {
            if let Some(found) = outside.find(&text_of(&file)) {
                panic!("{file} contains {}", found.as_str());
            }
        }
    }

    #[test]
    fn every_module_can_be_read_at_a_sitting() {
        for file in Assets::iter().filter(|f| f.ends_with(".js") || f.ends_with(".css")) {
            let lines = text_of(&file).lines().count();
            assert!(lines < 400, "{file} has {lines} lines");
        }
    }
}
