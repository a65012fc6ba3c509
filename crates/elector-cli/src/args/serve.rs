//! What `elector serve` works with: a directory, an address, and whether that may reach beyond this machine.

use super::env::Environment;
use super::grammar::ServeArgs;
use super::options::{NAMES, Sources, log};
use super::values::Given;
use crate::log::LogOptions;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where it listens if nothing else is said: ZooKeeper's port, on this machine.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2181);

/// What `--allow-remote` means, wherever it is named.
pub(crate) const REMOTE: &str = "whoever can connect may read and write what no ACL protects; there is no \
authentication of its own, no TLS, and one machine is no quorum: past one machine it is Apache ZooKeeper";

/// All of `elector serve`.
#[derive(Debug, Clone)]
pub(crate) struct ServeOptions {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) log: LogOptions,
    /// What to say once, after the first line.
    pub(crate) warnings: Vec<String>,
    /// What to say to those who want details.
    pub(crate) details: Vec<String>,
}

/// Judges `elector serve`.
pub(super) fn serve(args: &ServeArgs, env: &Environment) -> Result<ServeOptions, String> {
    let mut sources = Sources { env, details: Vec::new() };
    let s = &mut sources;
    let data_dir = s
        .pick("data-dir", args.data_dir.as_ref())
        .ok_or("no directory given: say where the data is kept with --data-dir DIR (or ELECTOR_DATA_DIR)")?;
    if data_dir.value.is_empty() {
        return Err(data_dir.refuse("", "the name of a directory is needed"));
    }
    let allow_remote = s.switch("allow-remote", args.allow_remote)?;
    let listen = s.pick("listen", args.listen.as_ref());
    let from = listen.as_ref().map_or_else(String::new, |given| given.from.clone());
    let listen = listen.map_or(Ok(LISTEN), |given| address(&given))?;
    let is_remote = !listen.ip().to_canonical().is_loopback();
    if is_remote && !allow_remote {
        return Err(format!(
            "{from} {listen} reaches beyond this machine, which takes --allow-remote: {REMOTE}"
        ));
    }
    let quiet = s.switch("quiet", args.quiet)?;
    let log = log(s, &args.log, quiet)?;
    let mut warnings = env.unknown(&NAMES);
    if is_remote {
        warnings.push(format!("{listen} reaches beyond this machine: {REMOTE}"));
    }
    Ok(ServeOptions { data_dir: data_dir.value.into(), listen, log, warnings, details: sources.details })
}

/// An address to listen on. Names other than localhost are not looked up: what a name means today may be another
/// network tomorrow.
fn address(given: &Given<'_>) -> Result<SocketAddr, String> {
    let text = given.text()?;
    let local = text.strip_prefix("localhost:").map(|port| format!("{}:{port}", LISTEN.ip()));
    local.as_deref().unwrap_or(text).parse().map_err(|_| {
        given.refuse(
            text,
            "write it as ADDRESS:PORT with the address in numbers, such as 127.0.0.1:2181 or [::1]:0",
        )
    })
}
