//! Words of a text, as a search finds them.

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// Whether a script writes its words without spaces between them, so that each of its characters counts as a word.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// The text with spaces around each character that counts as a word.
pub(crate) fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if stands_alone(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

/// The words of a text, in order, lower case and without accents.
pub(crate) fn words(text: &str) -> Vec<String> {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_mark = |c: &char| GeneralCategoryGroup::Mark.contains(categories.get(*c));
    let spaced = spaced(text);
    let plain: String = DecomposingNormalizerBorrowed::new_nfd()
        .normalize_iter(spaced.chars())
        .filter(|c| !is_mark(c))
        .collect();
    plain
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(Into::into)
        .collect()
}

/// Whether a text has what is looked for: each word of `wanted` by its beginning.
pub(crate) fn has(text: &[String], wanted: &[Vec<String>]) -> bool {
    wanted.iter().all(|phrase| {
        let Some((last, first)) = phrase.split_last() else { return true };
        text.windows(phrase.len()).any(|window| {
            window.split_last().is_some_and(|(end, begin)| begin == first && end.starts_with(last.as_str()))
        })
    })
}

/// What is looked for: the words of a query, each with the parts that have to follow each other.
pub(crate) fn wanted(query: &str) -> Vec<Vec<String>> {
    query.split_whitespace().map(words).filter(|phrase| !phrase.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_their_beginning_without_case_and_accents() {
        let text = words("Café crème, in Москва: 今天天氣");
        for query in ["caf", "CREME", "москв", "in caf", "今天", "天氣"] {
            assert!(has(&text, &wanted(query)), "{query}");
        }
        for query in ["afé", "cafe tea", "天今"] {
            assert!(!has(&text, &wanted(query)), "{query}");
        }
    }
}
