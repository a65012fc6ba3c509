//! The known name nearest to a mistyped one.

/// The name in `known` that `typed` was most likely meant to be, if any is near enough.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong, at least one; a name that begins as typed is near as well.
    let typed: Vec<char> = typed.chars().take(64).collect();
    let limit = (typed.len() / 3).max(1);
    let scored = known.into_iter().map(|name| (distance(&typed, &name.chars().collect::<Vec<_>>()), name));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// The edits (a letter put in, left out, changed, or two neighbours swapped) between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let above = &rows[i - 1];
            let change = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_mended_and_other_words_are_not() {
        let known = ["run", "status", "observe"];
        for (typed, meant) in [
            ("rnu", Some("run")),
            ("rum", Some("run")),
            ("statsu", Some("status")),
            ("stauts", Some("status")),
            ("obsrve", Some("observe")),
            ("frobnicate", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
