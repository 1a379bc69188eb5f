//! Short lists in order.

/// `items` by their `key`, the smallest first; those of the same key stay as they came.
///
/// For the few dozen that a DNS answer can have. The library's sort is faster with thousands, and four kilobytes for each
/// type that it sorts.
pub fn in_order<T, K: Ord>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut ordered: Vec<(K, T)> = Vec::new();
    for item in items {
        let key = key(&item);
        ordered.insert(ordered.partition_point(|(other, _)| *other <= key), (key, item));
    }
    ordered.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_keep_their_order() {
        let words = ["pear", "fig", "plum", "kiwi", "nut", "apple"];
        assert_eq!(in_order(words, |word| word.len()), ["fig", "nut", "pear", "plum", "kiwi", "apple"]);
        assert!(in_order(Vec::<u8>::new(), |number| *number).is_empty());
    }
}
