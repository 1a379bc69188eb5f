//! The names under which registries let others register: `com`, `co.uk`.
//!
//! The list is the part of Mozilla's Public Suffix List that is ICANN's. It stands here as sorted text, packed in the program: a
//! fifteenth of what the list takes as code. The test `registries` makes it, from the data of the crate `psl`, and compares.

use crate::packed::registries;

/// Whether a registry lets others register names directly below this one. The name is in lower case, without a final dot.
pub(crate) fn is_registry(name: &str) -> bool {
    if lists(&["!", name]) {
        return false;
    }
    lists(&[name]) || name.split_once('.').is_some_and(|(_, above)| lists(&["*.", above]))
}

/// Whether the parts together are a line of the list. A line each, in the order of its bytes: `co.uk`, `*.ck` (every name below
/// `ck`), `!www.ck` (but for this one).
fn lists(parts: &[&str]) -> bool {
    let list = registries();
    let wanted = || parts.iter().flat_map(|part| part.bytes());
    // Between two starts of lines.
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = list.get(low..middle).unwrap_or_default();
        let start = before.rfind('\n').map_or(low, |end| low + end + 1);
        let line = list.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        match line.bytes().cmp(wanted()) {
            std::cmp::Ordering::Equal => return !line.is_empty(),
            std::cmp::Ordering::Less => low = start + line.len() + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_wildcards_and_exceptions_are_told_apart() {
        for name in ["com", "uk", "co.uk", "ck", "anything.ck", "kobe.jp", "xn--p1ai"] {
            let expected = psl::suffix(name.as_bytes()).is_some_and(|found| {
                found.as_bytes() == name.as_bytes() && found.typ() == Some(psl::Type::Icann)
            });
            assert_eq!(is_registry(name), expected, "{name}");
        }
        for name in
            ["", "*", "!", "example.com", "www.ck", "city.kobe.jp", "github.io", "test", "co.uk\nac", "\n"]
        {
            assert!(!is_registry(name), "{name:?}");
        }
    }

    #[test]
    fn every_line_is_found() {
        assert!(registries().lines().count() > 6000);
        for line in registries().lines() {
            assert!(lists(&[line]), "{line}");
        }
    }

    #[test]
    fn what_stands_beside_a_line_is_not_found() {
        for line in registries().lines() {
            let name = line.trim_start_matches(['*', '!', '.']);
            for other in [format!("zq9{name}"), format!("{name}q9"), format!("q9-z.q9-z.{name}")] {
                let expected = psl::suffix(other.as_bytes()).is_some_and(|found| {
                    found.as_bytes() == other.as_bytes() && found.typ() == Some(psl::Type::Icann)
                });
                assert_eq!(is_registry(&other), expected, "{other}");
            }
        }
    }
}
