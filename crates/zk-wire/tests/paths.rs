//! Which paths are good, and where the bad ones go wrong.

use proptest::prelude::*;
use zk_wire::PathError;
use zk_wire::path::{validate, validate_sequential};

#[test]
fn good_paths() {
    for path in [
        "/",
        "/a",
        "/a/b/c",
        "/...",
        "/.a/..b/c.",
        "/a b/\u{a0}",
        "/grün/日本/\u{d7ff}\u{f900}\u{ffef}",
        "/zookeeper",
        "/\u{20}~",
    ] {
        assert_eq!(validate(path), Ok(()), "{path:?}");
        assert_eq!(validate_sequential(path), Ok(()), "{path:?}");
    }
}

#[test]
fn bad_paths_and_where() {
    let character = |character, position| PathError::Character { character, position };
    for (path, error, words) in [
        ("", PathError::Empty, "path is empty"),
        ("a/b", PathError::NotAbsolute, "path must begin with '/'"),
        ("/a/", PathError::TrailingSlash { position: 2 }, "path must not end with '/' (position 2)"),
        ("//", PathError::EmptyName { position: 1 }, "empty name in path at position 1"),
        ("//a", PathError::EmptyName { position: 1 }, "empty name in path at position 1"),
        ("/ä//b", PathError::EmptyName { position: 3 }, "empty name in path at position 3"),
        ("/.", PathError::RelativeName { position: 1 }, "relative name in path at position 1"),
        ("/a/../b", PathError::RelativeName { position: 3 }, "relative name in path at position 3"),
        ("/a/.", PathError::RelativeName { position: 3 }, "relative name in path at position 3"),
        ("/a\0", character('\0', 2), "character U+0000 not allowed in path, at position 2"),
        ("/ä/b\u{1}", character('\u{1}', 4), "character U+0001 not allowed in path, at position 4"),
        ("/\u{1f}", character('\u{1f}', 1), "character U+001F not allowed in path, at position 1"),
        ("/\u{7f}", character('\u{7f}', 1), "character U+007F not allowed in path, at position 1"),
        ("/\u{9f}", character('\u{9f}', 1), "character U+009F not allowed in path, at position 1"),
        ("/\u{e000}", character('\u{e000}', 1), "character U+E000 not allowed in path, at position 1"),
        ("/\u{f8ff}", character('\u{f8ff}', 1), "character U+F8FF not allowed in path, at position 1"),
        ("/\u{fff0}", character('\u{fff0}', 1), "character U+FFF0 not allowed in path, at position 1"),
        ("/\u{ffff}", character('\u{ffff}', 1), "character U+FFFF not allowed in path, at position 1"),
        ("/a/😀", character('😀', 3), "character U+1F600 not allowed in path, at position 3"),
        ("/\u{10000}", character('\u{10000}', 1), "character U+10000 not allowed in path, at position 1"),
    ] {
        assert_eq!(validate(path), Err(error), "{path:?}");
        assert_eq!(error.to_string(), words);
    }
}

/// The number becomes part of the last name, or is all of it.
#[test]
fn sequential_paths_may_end_where_the_number_goes_on() {
    for path in ["/p/", "/p/.", "/p/.."] {
        assert!(validate(path).is_err());
        assert_eq!(validate_sequential(path), Ok(()), "{path:?}");
    }
    assert_eq!(validate_sequential("/p//"), Err(PathError::EmptyName { position: 3 }));
    assert_eq!(validate_sequential("/../p-"), Err(PathError::RelativeName { position: 1 }));
    assert_eq!(
        validate_sequential("/p/\u{2}"),
        Err(PathError::Character { character: '\u{2}', position: 3 })
    );
}

/// Whether ZooKeeper takes the UTF-16 unit, by the ranges of its documentation.
fn unit_is_good(unit: u16) -> bool {
    let bad = [0x0..=0x1f, 0x7f..=0x9f, 0xd800..=0xf8ff, 0xfff0..=0xffff];
    !bad.iter().any(|range| range.contains(&unit))
}

/// The rules once more, as a yes or no over UTF-16 as Java sees it.
fn is_good(path: &str) -> bool {
    let whole = path == "/"
        || path
            .strip_prefix('/')
            .is_some_and(|names| names.split('/').all(|name| !["", ".", ".."].contains(&name)));
    whole && path.encode_utf16().all(unit_is_good)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn agrees_with_the_rules(path in prop_oneof!["/?[/.a\u{1}\u{85}\u{e123}\u{fffd}😀]{0,8}", any::<String>()]) {
        let verdict = validate(&path);
        prop_assert_eq!(verdict.is_ok(), is_good(&path), "{:?}", verdict);
        prop_assert_eq!(validate_sequential(&path).is_ok(), path == "/" || is_good(&format!("{path}1")));
    }

    /// What stands before the position is no part of what is wrong: it is good itself, or good as the start
    /// of something longer.
    #[test]
    fn the_position_is_that_of_the_first_bad_character(path in "/[/.ab日\u{1}\u{e123}😀]{0,8}") {
        if let Err(error) = validate(&path) {
            let characters: Vec<char> = path.chars().collect();
            let before: String = characters[..error.position()].iter().collect();
            prop_assert!(before.is_empty() || validate_sequential(&before).is_ok());
            match error {
                PathError::Character { character, position } => {
                    prop_assert_eq!(characters[position], character);
                }
                PathError::TrailingSlash { position } => {
                    prop_assert_eq!((characters[position], position + 1), ('/', characters.len()));
                }
                PathError::EmptyName { position } => {
                    prop_assert_eq!(&characters[position - 1..=position], &['/', '/']);
                }
                PathError::RelativeName { position } => {
                    prop_assert_eq!(&characters[position - 1..=position], &['/', '.']);
                }
                PathError::Empty | PathError::NotAbsolute => prop_assert!(false, "begins with a slash"),
            }
        }
    }
}

#[test]
fn every_character_on_its_own() {
    for character in '\0'..=char::MAX {
        if matches!(character, '/' | '.') {
            continue;
        }
        let mut units = [0; 2];
        let good = character.encode_utf16(&mut units).iter().all(|&unit| unit_is_good(unit));
        assert_eq!(validate(&format!("/{character}")).is_ok(), good, "{character:?}");
    }
}
