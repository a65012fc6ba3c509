//! What `docs/use-the-token.md` shows is what the tests run.

use std::collections::BTreeSet;

use crate::source::{DIRECTORY, text};

const PAGE: &str = include_str!("../../../../docs/use-the-token.md");
/// Stands in the line above a block that shows the file of this name.
const MARKER: &str = "<!-- examples/fencing/";

#[test]
fn the_page_shows_each_example_as_it_is() {
    let mut shown = BTreeSet::new();
    for part in PAGE.split(MARKER).skip(1) {
        let (name, rest) = part.split_once(" -->\n```").expect("a block right below the marker");
        let (_language, rest) = rest.split_once('\n').expect("the block goes on");
        let (block, _) = rest.split_once("\n```\n").expect("the block ends");
        assert_eq!(block, text(name).trim_end(), "{name}: the page and the file differ");
        shown.insert(name.to_owned());
    }
    let entries = std::fs::read_dir(DIRECTORY).expect("the examples").flatten();
    let files: BTreeSet<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(shown, files, "an example that the page does not show, or shows without there being one");
}
