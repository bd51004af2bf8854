//! The order in which go-yaml v2 prints the keys of a mapping.
//!
//! Runs of digits compare by value, letters come after everything else. This is *not* a total
//! order (three keys can go round in a circle), so the standard library's sort, which may panic on
//! such an order, is not used: [`sort`] always ends, and gives the same result for the same input.

/// Lists up to this long are sorted by insertion, as Go's library does.
const INSERTION_MAX: usize = 12;

/// Whether `a` is printed before `b`.
pub(crate) fn precedes(a: &str, b: &str) -> bool {
    if let Some(answer) = precedes_ascii_letters(a, b) {
        return answer;
    }
    let left: Vec<char> = a.chars().collect();
    let right: Vec<char> = b.chars().collect();
    let Some(at) = left.iter().zip(&right).position(|(l, r)| l != r) else {
        return left.len() < right.len();
    };
    let (Some(l), Some(r)) = (left.get(at).copied(), right.get(at).copied()) else { return false };
    if l.is_alphabetic() || r.is_alphabetic() {
        return if l.is_alphabetic() && r.is_alphabetic() { l < r } else { r.is_alphabetic() };
    }
    // A zero inside a longer number is a digit of it, not its beginning.
    let inside = (l == '0' || r == '0') && {
        let before = left.get(..at).unwrap_or_default();
        let digits = before.iter().rev().take_while(|letter| letter.is_numeric());
        digits.into_iter().any(|letter| *letter != '0')
    };
    let (left_number, left_end) = number(&left, at, inside);
    let (right_number, right_end) = number(&right, at, inside);
    if left_number != right_number {
        return left_number < right_number;
    }
    if left_end == right_end { l < r } else { left_end < right_end }
}

/// The common case without allocation: both differ first in two ASCII letters.
fn precedes_ascii_letters(a: &str, b: &str) -> Option<bool> {
    let at = a.bytes().zip(b.bytes()).position(|(l, r)| l != r)?;
    let (l, r) = (*a.as_bytes().get(at)?, *b.as_bytes().get(at)?);
    (l.is_ascii_alphabetic() && r.is_ascii_alphabetic()).then_some(l < r)
}

/// Value of the digits from `at` on, and where they end. Wraps like the 64 bits it stands for.
fn number(text: &[char], at: usize, inside: bool) -> (i64, usize) {
    let mut value = i64::from(inside);
    let mut end = at;
    while let Some(digit) = text.get(end).and_then(|letter| letter.to_digit(10)) {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        end += 1;
    }
    (value, end)
}

/// Sorts keys for printing.
pub(crate) fn sort<T>(items: &mut [T], key: impl Fn(&T) -> &str + Copy)
where
    T: Copy,
{
    if items.len() > INSERTION_MAX {
        let middle = items.len() / 2;
        let (left, right) = items.split_at_mut(middle);
        sort(left, key);
        sort(right, key);
        let merged = merge(left, right, key);
        items.copy_from_slice(&merged);
        return;
    }
    for end in 1..items.len() {
        let mut at = end;
        while let Some([before, this]) = items.get_mut(at - 1..=at)
            && precedes(key(this), key(before))
        {
            std::mem::swap(before, this);
            at -= 1;
            if at == 0 {
                break;
            }
        }
    }
}

fn merge<T: Copy>(left: &[T], right: &[T], key: impl Fn(&T) -> &str) -> Vec<T> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left, right);
    while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
        if precedes(key(second), key(first)) {
            merged.push(*second);
            right = right_rest;
        } else {
            merged.push(*first);
            left = left_rest;
        }
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str) -> String {
        let mut keys: Vec<&str> = text.split(' ').collect();
        sort(&mut keys, |key| key);
        keys.join(" ")
    }

    #[test]
    fn numbers_in_keys_are_compared_by_value_and_letters_come_last() {
        assert_eq!(sorted("a10 a2 a1"), "a1 a2 a10");
        assert_eq!(sorted("b a _ 1 A"), "_ 1 A a b");
        assert_eq!(sorted("app.kubernetes.io/name app"), "app app.kubernetes.io/name");
        assert_eq!(sorted("a1b a01b a1 a"), "a a1 a1b a01b");
        assert_eq!(sorted("é z e"), "e z é");
    }

    #[test]
    fn many_keys_are_sorted_like_few() {
        let keys: Vec<String> = (0..200).rev().map(|number| format!("key{number}")).collect();
        let mut refs: Vec<&str> = keys.iter().map(String::as_str).collect();
        sort(&mut refs, |key| key);
        assert!(refs.windows(2).all(|pair| precedes(pair[0], pair[1])));
    }

    #[test]
    fn keys_without_a_consistent_order_do_not_stop_the_sort() {
        let parts = ["0", "00", "1", "01", "10", "-", "a", "0a", "1a", "é", "_0", "0_"];
        let keys: Vec<String> =
            parts.iter().flat_map(|a| parts.iter().map(move |b| format!("{a}{b}"))).collect();
        let mut refs: Vec<&str> = keys.iter().map(String::as_str).collect();
        sort(&mut refs, |key| key);
        assert_eq!(refs.len(), keys.len());
    }
}
