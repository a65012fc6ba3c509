//! The examples' files as they stand, and the control: the same without the fence.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the examples lie.
pub(crate) const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/fencing");
/// How a line ends that belongs to the fence, in whatever language.
const MARK: &str = " the fence";

/// With what a test runs: the example, or the control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// The file as it stands.
    Kept,
    /// The file without the lines that end with [`MARK`].
    LeftOut,
}

/// An example's text.
pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(Path::new(DIRECTORY).join(name)).expect("an example")
}

/// A copy of an example in `directory` that can be executed.
pub(crate) fn program(directory: &Path, name: &str, fence: Fence) -> PathBuf {
    let mut text = text(name);
    if fence == Fence::LeftOut {
        let kept: Vec<&str> = text.lines().filter(|line| !line.ends_with(MARK)).collect();
        assert!(kept.len() < text.lines().count(), "{name} has no line that ends with {MARK:?}");
        text = kept.join("\n");
    }
    let path = directory.join(name);
    fs::write(&path, text).expect("a temporary file");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our own file");
    path
}
