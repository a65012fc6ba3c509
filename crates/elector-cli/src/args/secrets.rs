//! Credentials, which come from a file only: the command line and the environment of a process can be read by
//! others, and both are passed on to programs.

use crate::text::escape;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// One line of the file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    /// Such as `digest`.
    pub(crate) scheme: String,
    /// What the scheme wants, for digest `user:password`.
    pub(crate) auth: Vec<u8>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Reads lines of `scheme:credential`. The error is a fragment that begins with the path and never shows a
/// line's content.
pub(crate) fn read(path: &Path) -> Result<Vec<Credential>, String> {
    let shown = escape(&path.to_string_lossy());
    let fail = |error: std::io::Error| format!("{shown}: {error}");
    // Without blocking: the opening of a pipe would wait for its writer.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(format!("{shown}: not a regular file"));
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(format!("{shown}: mode {mode:04o} lets others at the credentials: chmod 600 {shown}"));
    }
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(fail)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(format!("{shown}: larger than {MAX_BYTES} bytes"));
    }
    parse(&content).map_err(|rule| format!("{shown}: {rule}"))
}

fn parse(content: &[u8]) -> Result<Vec<Credential>, String> {
    let mut found = Vec::new();
    for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
        // A file written on Windows ends its lines with CR as well, which is no part of any password.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let scheme = colon.and_then(|at| std::str::from_utf8(&line[..at]).ok()).filter(|s| !s.is_empty());
        let (Some(scheme), Some(at)) = (scheme, colon) else {
            return Err(format!(
                "line {}: expected scheme:credential, such as digest:user:password",
                number + 1
            ));
        };
        let auth = line[at + 1..].to_vec();
        if auth.is_empty() || (scheme == "digest" && !auth.contains(&b':')) {
            return Err(format!(
                "line {}: a credential is missing, such as digest:user:password",
                number + 1
            ));
        }
        found.push(Credential { scheme: scheme.to_string(), auth });
    }
    if found.is_empty() {
        return Err("no credential in it; expected lines such as digest:user:password".into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_read_and_line_ends_are_no_part_of_a_password() {
        let read = parse(b"# ours\r\ndigest:user:pa:ss\r\n\nx509:cn\n").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].scheme.as_str(), read[0].auth.as_slice()), ("digest", &b"user:pa:ss"[..]));
        assert!(!format!("{read:?}").contains("pa:ss"));
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_only() {
        for (content, rule) in [
            (&b""[..], "no credential"),
            (b"\r\n# x\n", "no credential"),
            (b"digest:a:b\nsecret\n", "line 2"),
            (b":secret", "line 1"),
            (b"digest:secret", "line 1"),
            (b"\xff:secret", "line 1"),
        ] {
            let error = parse(content).expect_err(rule);
            assert!(error.contains(rule) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_file_for_all_eyes_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("auth");
        fs::write(&path, "digest:user:password\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).is_err_and(|error| error.contains("0644") && error.contains("chmod 600")));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).map(|found| found.len()), Ok(1));
        assert!(read(directory.path()).is_err());
        assert!(read(&directory.path().join("none")).is_err_and(|error| error.contains("No such file")));
    }
}
