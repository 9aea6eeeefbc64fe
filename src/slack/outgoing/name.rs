//! An incident channel's name: `inc-7-checkout-returns-500`.
//!
//! Slack takes lower-case letters, digits, `-` and `_`, 80 of them at most (docs: conversations.create). The
//! incident's number makes the name unique within one Vigie.

use crate::incident::id::IncidentId;

/// The longest name that Slack takes.
const LONGEST: usize = 80;
/// The longest name we make: long ones are cut off in Slack's side bar, and `-2` must still fit.
const COMFORTABLE: usize = 60;

/// The name of an incident's channel; `number` above 1 for the case that the name is taken by somebody else.
pub fn channel_name(prefix: &str, incident: IncidentId, title: &str, number: u32) -> String {
    let mut name = slug(prefix);
    if !name.is_empty() && !name.ends_with('_') {
        name.push('-');
    }
    name.push_str(&incident.0.to_string());
    for word in slug(title).split('-').filter(|word| !word.is_empty()) {
        if name.len() + 1 + word.len() > COMFORTABLE {
            break;
        }
        name.push('-');
        name.push_str(word);
    }
    let suffix = if number > 1 { format!("-{number}") } else { String::new() };
    // Only ASCII from here, so cutting is safe.
    name.truncate(LONGEST - suffix.len());
    name + &suffix
}

/// Lower-case ASCII words joined by dashes; letters with accents lose them.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' | '_' => out.push(c),
            '\'' | '’' if out.ends_with(|c: char| c.is_ascii_alphanumeric()) => {}
            _ => match folded(c) {
                Some(plain) => out.push_str(plain),
                None if out.is_empty() || out.ends_with('-') => {}
                None => out.push('-'),
            },
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// A Latin letter without its accents.
fn folded(c: char) -> Option<&'static str> {
    let plain = match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'þ' => "th",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        // Combining marks, where a keyboard sends letter and accent apart.
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    };
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(title: &str) -> String {
        channel_name("inc-", IncidentId(7), title, 1)
    }

    #[test]
    fn a_title_becomes_a_name_that_people_can_say() {
        assert_eq!(name("checkout returns 500"), "inc-7-checkout-returns-500");
        assert_eq!(name("L’écran de paiement échoue à Nîmes !"), "inc-7-lecran-de-paiement-echoue-a-nimes");
        assert_eq!(name("Große Straße: <@U1> & <!channel>"), "inc-7-grosse-strasse-u1-channel");
        assert_eq!(name("e\u{301}te\u{301}"), "inc-7-ete");
    }

    #[test]
    fn a_title_without_usable_letters_leaves_the_number() {
        assert_eq!(name("決済が失敗する"), "inc-7");
        assert_eq!(name("!!!"), "inc-7");
        assert_eq!(channel_name("", IncidentId(7), "!!!", 3), "7-3");
        assert_eq!(channel_name("Incident_", IncidentId(7), "x", 1), "incident_7-x");
    }

    #[test]
    fn a_taken_name_gets_a_number_that_is_never_cut_off() {
        assert_eq!(channel_name("inc", IncidentId(7), "db down", 2), "inc-7-db-down-2");
        let long = channel_name(&"p".repeat(200), IncidentId(7), "db down", 12);
        assert!(long.len() == 80 && long.ends_with("-12"), "{long}");
    }

    proptest::proptest! {
        #[test]
        fn every_name_is_one_that_slack_takes(prefix in ".{0,40}", title in ".{0,200}", id in 1_i64.., number in 1_u32..99) {
            let name = channel_name(&prefix, IncidentId(id), &title, number);
            assert!(!name.is_empty() && name.len() <= 80, "{name}");
            assert!(name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')), "{name}");
            assert!(!name.contains("--"), "{name}");
        }
    }
}
