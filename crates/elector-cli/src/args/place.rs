//! Where elections are held: an ensemble or this machine alone, said exactly once, and never guessed.

use super::grammar::{CommonArgs, LOCAL_ALONE};
use super::options::Sources;
use super::values::Given;
use elector::{Elector, StartError};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Said where no place was given.
const WHERE: &str = "\
where is this election held? Neither --zookeeper nor --local was given.
  among machines:       --zookeeper zk1:2181,zk2:2181,zk3:2181   (or ELECTOR_ZOOKEEPER)
  on this machine only: --local                                  (or ELECTOR_LOCAL=1)";

/// Where the election is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Where {
    /// `--zookeeper`: a connect string.
    Ensemble(String),
    /// `--local`: a directory, else the user's own.
    Local(Option<PathBuf>),
}

impl Where {
    /// How long the others wait when this machine or this process dies, unless somebody says otherwise.
    pub(super) fn session_timeout(&self) -> Duration {
        match self {
            Where::Ensemble(_) => elector::DEFAULT_SESSION_TIMEOUT,
            Where::Local(_) => elector::LOCAL_SESSION_TIMEOUT,
        }
    }

    /// Whether what is sent there goes over a network.
    pub(super) fn is_beyond_this_machine(&self) -> bool {
        match self {
            Where::Ensemble(servers) => !all_loopback(servers),
            Where::Local(_) => false,
        }
    }
}

/// The place, or why there is none.
pub(super) fn pick<'a>(s: &mut Sources<'a>, common: &'a CommonArgs) -> Result<Where, String> {
    if common.zookeeper.is_some() && common.local.is_some() {
        return Err(
            "--zookeeper and --local were both given: an election is held in one place, say which".into()
        );
    }
    // A flag of one overrides the other's variable.
    let local = if common.zookeeper.is_some() { None } else { s.pick("local", common.local.as_ref()) };
    let zookeeper =
        if common.local.is_some() { None } else { s.pick("zookeeper", common.zookeeper.as_ref()) };
    match (zookeeper, local) {
        (Some(_), Some(_)) => {
            Err("ELECTOR_ZOOKEEPER and ELECTOR_LOCAL are both set: an election is held in one \
                                   place, say which with a flag"
                .into())
        }
        (None, Some(local)) => directory(&local).map(Where::Local),
        (Some(zookeeper), None) => servers(&zookeeper).map(Where::Ensemble),
        (None, None) => Err(WHERE.into()),
    }
}

/// The directory that `--local` or its variable names; none where the user's own is meant.
fn directory(given: &Given<'_>) -> Result<Option<PathBuf>, String> {
    let is_flag = given.from.starts_with("--");
    let own = if is_flag { LOCAL_ALONE } else { "1" };
    let mistaken = ["0", "1", "true", "false", "yes", "no", "on", "off"];
    match given.value.to_str() {
        Some(word) if word == own => Ok(None),
        // An empty word is more likely a variable that was not set, and would be another election.
        Some("") if is_flag => Err("--local=: no directory given; the user's own is --local alone".into()),
        Some("") => Err(format!("{}: empty; say 1 or a directory, or unset it", given.from)),
        Some(word) if mistaken.contains(&word) => {
            let own =
                if is_flag { format!("--local alone; one of that name is ./{word}") } else { "1".into() };
            Err(given.refuse(word, &format!("it takes a directory, and the user's own is {own}")))
        }
        _ => path(given).map(Some),
    }
}

/// A directory that everybody finds who gives the same word.
fn path(given: &Given<'_>) -> Result<PathBuf, String> {
    let path = PathBuf::from(given.value);
    let word = given.value.to_string_lossy();
    // Bash expands it neither behind a = nor in a service's file, and a directory of that name is what nobody means.
    if word.starts_with('~') {
        return Err(given
            .refuse(&word, "the shell did not expand the ~ here: write $HOME, or ./~ for one of that name"));
    }
    // A cron job's working directory is not a terminal's, and two directories would be two elections.
    if !given.from.starts_with("--") && path.is_relative() {
        return Err(
            given.refuse(&word, "a variable takes an absolute directory, which is the same from everywhere")
        );
    }
    Ok(path)
}

fn servers(given: &Given<'_>) -> Result<String, String> {
    let list = given.text()?;
    if list.trim().is_empty() {
        return Err(given.refuse(list, "no server given; write it like zk1:2181,zk2:2181,zk3:2181"));
    }
    if list.contains('@') {
        // Not shown: what stands before the sign may be a password.
        return Err(format!("{}: no user or password belongs here: use --auth-file", given.from));
    }
    // The library reads the list; here it is also known whose value it is.
    match Elector::builder(list, "/any").check() {
        Err(StartError::Servers(why)) => Err(format!("{}: {why}", given.from)),
        _ => Ok(list.to_string()),
    }
}

/// The election's path, which the library judges.
pub(super) fn election(given: Option<&OsString>) -> Result<String, String> {
    let path = given.ok_or("no election given: it is an absolute path, such as /billing")?;
    let path = path.to_str().ok_or("the election's path is not valid UTF-8")?;
    match Elector::builder("any:2181", path).check() {
        Err(StartError::Path(why)) => Err(why.to_string()),
        _ => Ok(path.to_string()),
    }
}

/// Whether every server is this very machine, by the way it is written.
fn all_loopback(servers: &str) -> bool {
    let hosts = servers.split('/').next().unwrap_or_default();
    hosts.split(',').all(|entry| {
        let entry = entry.trim();
        let host = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inside, _)) => inside,
            None => entry.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    })
}
