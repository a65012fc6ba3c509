//! Finding the program before contending, so that nobody is elected only to fail.

use rustix::fs::{Access, access};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// As much of a file as its kind is judged by.
const HEAD_BYTES: u64 = 256;

/// Why a program cannot be run. The text is one line that names the program or its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotRunnable {
    /// Exit status 127.
    NotFound(String),
    /// Exit status 126.
    NotExecutable(String),
}

/// The file that `name` stands for: itself where it holds a slash, else the first executable in `path` (the
/// value of PATH). The answer always holds a slash.
pub(crate) fn find(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, NotRunnable> {
    if name.is_empty() {
        return Err(NotRunnable::NotFound("the program's name is empty".into()));
    }
    if name.as_bytes().contains(&b'/') {
        let file = PathBuf::from(name);
        return judge(&file).map(|()| file);
    }
    let mut refused = None;
    for directory in std::env::split_paths(path.unwrap_or(OsStr::new("/usr/bin:/bin"))) {
        let directory = if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory };
        let file = directory.join(name);
        match judge(&file) {
            Ok(()) => return Ok(file),
            Err(NotRunnable::NotFound(_)) => {}
            // As a shell does: go on searching, and tell of the first that could not be run.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| NotRunnable::NotFound(format!("{}: not found in PATH", name.display()))))
}

fn judge(file: &Path) -> Result<(), NotRunnable> {
    let not_found = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => NotRunnable::NotFound(format!("{}: no such file", file.display())),
        std::io::ErrorKind::NotADirectory => NotRunnable::NotFound(format!("{}: {error}", file.display())),
        _ => NotRunnable::NotExecutable(format!("{}: {error}", file.display())),
    };
    let metadata = fs::metadata(file).map_err(not_found)?;
    if !metadata.is_file() {
        return Err(NotRunnable::NotExecutable(format!("{} is not a regular file", file.display())));
    }
    if access(file, Access::EXEC_OK).is_err() {
        let text = format!("{} is not executable: chmod +x", file.display());
        return Err(NotRunnable::NotExecutable(text));
    }
    let mut head = Vec::new();
    // An executable need not be readable; then the kernel alone can judge it.
    if let Ok(opened) = File::open(file) {
        let _ = opened.take(HEAD_BYTES).read_to_end(&mut head);
        judge_head(file, &head, foreign_formats())?;
    }
    Ok(())
}

/// Refuses what `execve` would refuse: a text without an interpreter's line, and a line whose interpreter is not
/// there. `foreign` says that the kernel knows more formats than we do.
fn judge_head(file: &Path, head: &[u8], foreign: bool) -> Result<(), NotRunnable> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if line.ends_with(b"\r") {
            let text =
                format!("{}: its first line ends with a carriage return: dos2unix mends it", file.display());
            return Err(NotRunnable::NotExecutable(text));
        }
        let mut words = line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
        let interpreter = Path::new(OsStr::from_bytes(words.next().unwrap_or_default()));
        if !interpreter.is_file() || access(interpreter, Access::EXEC_OK).is_err() {
            let text = format!(
                "{}: its interpreter {} is not there, or not executable",
                file.display(),
                interpreter.display()
            );
            return Err(NotRunnable::NotExecutable(text));
        }
    } else if !head.starts_with(b"\x7fELF") && !foreign {
        let text = format!(
            "{} is neither a binary nor a script with a #! line: add one, or run it as -- sh {}",
            file.display(),
            file.display()
        );
        return Err(NotRunnable::NotExecutable(text));
    }
    Ok(())
}

/// Whether somebody taught this kernel further formats (binfmt_misc).
fn foreign_formats() -> bool {
    let known: [OsString; 2] = ["register".into(), "status".into()];
    fs::read_dir("/proc/sys/fs/binfmt_misc")
        .is_ok_and(|entries| entries.flatten().any(|entry| !known.contains(&entry.file_name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(directory: &Path, name: &str, mode: u32, content: &[u8]) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_name_is_looked_up_in_path_and_the_first_executable_wins() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        file(&a, "tool", 0o644, b"#!/bin/sh\n");
        let wanted = file(&b, "tool", 0o755, b"#!/bin/sh\n");
        let path = std::env::join_paths([&a, &b]).unwrap();
        assert_eq!(find(OsStr::new("tool"), Some(&path)), Ok(wanted));
        assert!(matches!(
            find(OsStr::new("tool"), Some(a.as_os_str())),
            Err(NotRunnable::NotExecutable(text)) if text.contains("chmod +x")
        ));
        assert!(matches!(find(OsStr::new("no-such"), Some(&path)), Err(NotRunnable::NotFound(_))));
    }

    #[test]
    fn directories_missing_files_and_empty_names_are_told_apart() {
        assert!(matches!(find(OsStr::new("/"), None), Err(NotRunnable::NotExecutable(_))));
        assert!(matches!(find(OsStr::new("/no/such"), None), Err(NotRunnable::NotFound(_))));
        assert!(matches!(find(OsStr::new(""), None), Err(NotRunnable::NotFound(_))));
        assert!(find(OsStr::new("sh"), None).is_ok());
    }

    #[test]
    fn formats_that_execve_refuses_are_refused() {
        let path = Path::new("x");
        assert!(judge_head(path, b"\x7fELF\x02", false).is_ok());
        assert!(judge_head(path, b"#! /bin/sh -e\necho", false).is_ok());
        assert!(judge_head(path, b"#!/no/such/interpreter\n", false).is_err());
        assert!(judge_head(path, b"#!", false).is_err());
        assert!(judge_head(path, b"echo hello\n", false).is_err());
        assert!(judge_head(path, b"", false).is_err());
        assert!(judge_head(path, b"echo hello\n", true).is_ok());
    }
}
