//! Spelling: what was probably meant, for error messages.

/// The one of `words` that is spelt nearly like `typed`.
pub fn like<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = words.into_iter().map(|word| (distance(word, typed), word));
    near.filter(|(far, word)| *far <= 1.max(word.chars().count() / 3)).min().map(|(_, word)| word)
}

/// How many characters must be changed, added or taken out to make one text of the other.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            let changed = corner + usize::from(x != *y);
            left = changed.min(above + 1).min(left + 1);
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        for (a, b, far) in [("", "", 0), ("tag", "tga", 2), ("询盘", "询价", 1), ("a", "", 1)] {
            assert_eq!(distance(a, b), far, "{a} {b}");
        }
        assert_eq!(like("adress", ["domain", "address"]), Some("address"));
        assert_eq!(like("xyz", ["domain", "address"]), None);
    }
}
