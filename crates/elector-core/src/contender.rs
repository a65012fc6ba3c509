//! Reading the children of an election path: who contends, in which order, of which family.

use crate::error::Error;
use crate::layout::{Family, Layout};

/// A sequence number from which on a path counts as worn out: ZooKeeper's counter is a signed
/// 32-bit number that overflows silently, and order would turn round.
const WORN_OUT: u32 = 2_147_000_000;

/// A live entry in the queue: a child whose last ten characters are digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Contender {
    /// The child's name, under the election path.
    pub name: String,
    /// Its place in the order.
    pub sequence: u32,
}

impl Contender {
    /// Reads one child's name; none if it is not a contender. Worn-out numbers, and numbers too
    /// large to compare, are an error rather than a wrong order.
    pub fn parse(name: &str) -> Result<Option<Contender>, Error> {
        let Some((stem, digits)) = split(name) else { return Ok(None) };
        // `…-latch--2147483648` and `…__lock__-…`: the counter has overflowed.
        let overflowed = stem.ends_with("--") || stem.ends_with("__-");
        match digits.parse::<u32>() {
            Ok(sequence) if sequence < WORN_OUT && !overflowed => {
                Ok(Some(Contender { name: name.to_owned(), sequence }))
            }
            _ => Err(Error::WornOut { name: name.to_owned() }),
        }
    }
}

/// Splits a contender's name into its stem and its ten digits.
fn split(name: &str) -> Option<(&str, &str)> {
    let at = name.len().checked_sub(10)?;
    let (stem, digits) = (name.get(..at)?, name.get(at..)?);
    digits.bytes().all(|b| b.is_ascii_digit()).then_some((stem, digits))
}

/// All contenders among `children`, lowest first. Two of one number stay in the order of their
/// names, for looking at; the machine never decides by that.
pub fn queue(children: &[String]) -> Result<Vec<Contender>, Error> {
    let mut contenders = Vec::new();
    for child in children {
        contenders.extend(Contender::parse(child)?);
    }
    contenders.sort_by(|a, b| (a.sequence, &a.name).cmp(&(b.sequence, &b.name)));
    Ok(contenders)
}

/// The families among `contenders` that `layout` does not exclude, each with one of its znodes.
pub(crate) fn foreign(contenders: &[Contender], layout: Layout) -> Vec<(Family, String)> {
    let mut found: Vec<(Family, String)> = Vec::new();
    for contender in contenders {
        let family = family(&contender.name);
        if Some(family) != layout.family() && !found.iter().any(|(known, _)| *known == family) {
            found.push((family, contender.name.clone()));
        }
    }
    found
}

/// The layout to which the contenders at hand belong, if they are all of one known family.
pub fn layout_of(contenders: &[Contender]) -> Option<Layout> {
    let mut families = contenders.iter().map(|c| family(&c.name));
    let first = families.next()?;
    families.all(|other| other == first).then(|| first.layout()).flatten()
}

fn family(name: &str) -> Family {
    split(name).map_or(Family::Other, |(stem, _)| Family::of(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Result<Option<u32>, Error> {
        Contender::parse(name).map(|found| found.map(|c| c.sequence))
    }

    #[test]
    fn a_contender_ends_in_ten_digits() {
        assert_eq!(parse("_c_4f5c-latch-0000000005"), Ok(Some(5)));
        assert_eq!(parse("0000000012"), Ok(Some(12)));
        assert_eq!(parse("config"), Ok(None));
        assert_eq!(parse("latch-000000005"), Ok(None));
        assert_eq!(parse("ü00000005"), Ok(None));
        assert_eq!(parse(""), Ok(None));
    }

    #[test]
    fn a_worn_out_path_is_an_error_and_never_an_order() {
        assert_eq!(parse("x-latch-2146999999"), Ok(Some(2_146_999_999)));
        let worn =
            ["x-latch-2147000000", "x-latch-9999999999", "x-latch--2147483648", "ab__lock__-2147483648"];
        // Later ones of a counter that went round have digits that could pass for a number in order.
        let later = ["x-latch--1000000000", "ab__lock__-1000000000"];
        for name in worn.into_iter().chain(later) {
            assert!(matches!(parse(name), Err(Error::WornOut { .. })), "{name}");
        }
    }

    #[test]
    fn the_queue_is_ordered_by_number_alone() {
        let children = ["z-latch-0000000002", "a-latch-0000000010", "notes", "m-latch-0000000001"];
        let names: Vec<_> =
            queue(&children.map(str::to_owned)).unwrap().into_iter().map(|c| c.sequence).collect();
        assert_eq!(names, [1, 2, 10]);
    }

    #[test]
    fn families_that_the_layout_does_not_exclude_are_named() {
        let children = ["_c_a-latch-0000000001", "_c_b-lock-0000000002", "ab__lock__0000000003"];
        let queue = queue(&children.map(str::to_owned)).unwrap();
        let found: Vec<_> = foreign(&queue, Layout::Latch).into_iter().map(|(f, _)| f).collect();
        assert_eq!(found, [Family::Lock, Family::Kazoo]);
    }

    #[test]
    fn each_library_is_known_by_the_names_that_it_gives() {
        let names = [
            ("_c_8a1d3f6e-1111-4222-8333-444455556666-latch-0000000007", Family::Latch), // Curator's LeaderLatch
            ("_c_8a1d3f6e-1111-4222-8333-444455556666-lock-0000000007", Family::Lock), // LeaderSelector, Mutex
            ("_c_8a1d3f6e111142228333444455556666-lock-0000000007", Family::Lock), // Go's Lock: no hyphens inside
            ("8a1d3f6e111142228333444455556666-lock-0000000007", Family::Lock), // kazoo with its three lines
            ("8a1d3f6e111142228333444455556666__lock__0000000007", Family::Kazoo),
            // Not what any of our layouts excludes: readers, leases, other recipes.
            ("8a1d3f6e111142228333444455556666__rlock__0000000007", Family::Other),
            ("_c_8a1d3f6e-1111-4222-8333-444455556666-__WRIT__0000000007", Family::Other),
            ("_c_8a1d3f6e-1111-4222-8333-444455556666-lease-0000000007", Family::Other),
            ("n_0000000007", Family::Other),
        ];
        for (name, expected) in names {
            assert_eq!(parse(name), Ok(Some(7)));
            assert_eq!(family(name), expected, "{name}");
        }
    }
}
