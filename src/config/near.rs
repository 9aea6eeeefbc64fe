//! “Did you mean”: the known word that somebody probably wanted to type.

/// The known word nearest to `typed`, when it is near enough to be what was meant.
pub(super) fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let typed = typed.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::normalized_damerau_levenshtein(&typed, &word.to_lowercase()), word))
        .filter(|(likeness, word)| {
            *likeness >= 0.6 || (typed.len() >= 3 && (word.starts_with(&typed) || typed.starts_with(word)))
        })
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

/// The cure for an unknown word: the nearest one, else all of them.
pub(super) fn cure<'k>(typed: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> String {
    if let Some(word) = nearest(typed, known.clone()) {
        return format!("did you mean “{word}”?");
    }
    let mut all: Vec<&str> = known.into_iter().collect();
    all.sort_unstable();
    match all.as_slice() {
        [] => "nothing of that kind is defined".to_owned(),
        [only] => format!("it can only be “{only}”"),
        many => format!("it can be {}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["severities", "services", "contacts"];
        assert_eq!(nearest("severitys", known), Some("severities"));
        assert_eq!(nearest("Contact", known), Some("contacts"));
        assert_eq!(nearest("paging", known), None);
        assert_eq!(cure("x", ["b", "a"]), "it can be a, b");
        assert_eq!(cure("x", ["a"]), "it can only be “a”");
    }
}
