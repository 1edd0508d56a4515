//! "Did you mean": the known word that a misspelled one is closest to.

/// The known word nearest to `word`, if it is near enough to have been meant: a third of the
/// letters may differ. Case and the choice between `-` and `_` count for nothing.
pub(crate) fn closest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let word = folded(word);
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &folded(known)), known))
        .filter(|(distance, known)| {
            let letters = word.chars().count().max(known.chars().count());
            *distance <= (letters / 3).max(1) && *distance < letters
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn folded(word: &str) -> String {
    // Comparing is quadratic, and no key is that long.
    word.chars().take(100).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}
