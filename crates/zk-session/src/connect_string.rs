//! The connect string: `h1:2181,[::1]:2182/chroot`.
//!
//! Purpose: turn what a person typed into hosts and a chroot, or say which entry is wrong and why.
//! Invariant: a parsed string has at least one host, every port is 1-65535, and the chroot, if any, is a
//! valid absolute path other than `/`. Names are not looked up here.

use std::fmt;
use std::str::FromStr;

use zk_wire::path;

/// ZooKeeper's port for clients, used where an entry names none.
pub const DEFAULT_PORT: u16 = 2181;

/// More servers than this in one string are a mistake: no ensemble is that large.
pub const MAX_SERVERS: usize = 256;

/// One server as the user wrote it; the name is looked up anew at each attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address; an IPv6 address stands here without its brackets.
    pub host: String,
    /// 1-65535.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The servers of an ensemble, and the path below which the session sees its tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectString {
    /// In the order written; the session shuffles its own copy.
    pub hosts: Vec<HostPort>,
    /// Absolute and without a slash at its end; `None` for the whole tree.
    pub chroot: Option<String>,
}

impl fmt::Display for ConnectString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, host) in self.hosts.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        f.write_str(self.chroot.as_deref().unwrap_or(""))
    }
}

/// Why a connect string was refused; each names the part that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectStringError {
    /// Nothing but white space, or only a chroot.
    #[error("no server given; expected host:port[,host:port...][/chroot]")]
    Empty,
    /// One entry of the list of servers is wrong.
    #[error("bad server {entry:?}: {why}")]
    BadServer {
        /// The entry as written.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The path behind the servers is wrong.
    #[error("bad chroot {chroot:?}: {why}")]
    BadChroot {
        /// The chroot as written.
        chroot: String,
        /// What is wrong with it.
        why: String,
    },
    /// More than [`MAX_SERVERS`] entries.
    #[error("{given} servers given, at most {MAX_SERVERS} are possible")]
    TooMany {
        /// How many there were.
        given: usize,
    },
}

impl FromStr for ConnectString {
    type Err = ConnectStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (servers, chroot) = match text.find('/') {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        if servers.trim().is_empty() {
            return Err(ConnectStringError::Empty);
        }
        let given = servers.split(',').count();
        if given > MAX_SERVERS {
            return Err(ConnectStringError::TooMany { given });
        }
        let hosts = servers.split(',').map(|entry| server(entry.trim())).collect::<Result<_, _>>()?;
        Ok(Self { hosts, chroot: chroot.map(parse_chroot).transpose()?.flatten() })
    }
}

fn server(entry: &str) -> Result<HostPort, ConnectStringError> {
    let bad = |why| ConnectStringError::BadServer { entry: entry.to_owned(), why };
    if entry.is_empty() {
        return Err(bad("empty entry between commas"));
    }
    let (host, port) = if let Some(rest) = entry.strip_prefix('[') {
        let (inside, rest) = rest.split_once(']').ok_or_else(|| bad("\"[\" without \"]\""))?;
        if inside.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(bad("not an IPv6 address between the brackets"));
        }
        match rest.strip_prefix(':') {
            Some(port) => (inside, Some(port)),
            None if rest.is_empty() => (inside, None),
            None => return Err(bad("only a port may follow \"]\"")),
        }
    } else {
        match entry.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(bad("more than one \":\"; an IPv6 address needs brackets, as in [::1]:2181"));
            }
            Some((host, port)) => (host, Some(port)),
            None => (entry, None),
        }
    };
    if host.is_empty() {
        return Err(bad("no host before the port"));
    }
    if !host.chars().all(|c| c.is_alphanumeric() || "-_.%:".contains(c)) {
        return Err(bad(
            "a host name has letters, digits, dots and hyphens; servers are separated by commas",
        ));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => match digits.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(bad("the port must be a number from 1 to 65535")),
        },
        Some(_) => return Err(bad("the port must be a number from 1 to 65535")),
    };
    Ok(HostPort { host: host.to_owned(), port })
}

/// `/` alone means the whole tree, as it does to every other client.
fn parse_chroot(chroot: &str) -> Result<Option<String>, ConnectStringError> {
    if chroot == "/" {
        return Ok(None);
    }
    if chroot.contains(',') {
        // Each server with a chroot of its own would mean another election on each machine.
        let why = "it stands once, behind the last server: zk1:2181,zk2:2181/chroot".to_owned();
        return Err(ConnectStringError::BadChroot { chroot: chroot.to_owned(), why });
    }
    match path::validate(chroot) {
        Ok(()) => Ok(Some(chroot.to_owned())),
        Err(why) => Err(ConnectStringError::BadChroot { chroot: chroot.to_owned(), why: why.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConnectString, ConnectStringError> {
        text.parse()
    }

    #[test]
    fn hosts_ports_brackets_and_chroot() {
        let parsed = parse("h1, h2:2182 ,[::1]:2183,[fe80::1]/some/root").expect("well formed");
        let expected = [("h1", 2181), ("h2", 2182), ("::1", 2183), ("fe80::1", 2181)];
        let hosts: Vec<_> = parsed.hosts.iter().map(|h| (h.host.as_str(), h.port)).collect();
        assert_eq!(hosts, expected);
        assert_eq!(parsed.chroot.as_deref(), Some("/some/root"));
        assert_eq!(parsed.to_string(), "h1:2181,h2:2182,[::1]:2183,[fe80::1]:2181/some/root");
        assert_eq!(parse(&parsed.to_string()), Ok(parsed));
    }

    #[test]
    fn a_lone_slash_is_the_whole_tree() {
        assert_eq!(parse("h:1/").expect("well formed").chroot, None);
    }

    #[test]
    fn the_bad_entry_is_named() {
        let cases = [
            ("h1,a:b:c", "a:b:c"),
            ("host:0,h2", "host:0"),
            ("host:70000", "host:70000"),
            ("host:", "host:"),
            ("host:+1", "host:+1"),
            ("host:2x", "host:2x"),
            (":2181", ":2181"),
            ("::1", "::1"),
            ("h1,,h2", ""),
            ("h1,", ""),
            ("[::1", "[::1"),
            ("[h1]:2181", "[h1]:2181"),
            ("[::1]2181", "[::1]2181"),
            ("two words:2181", "two words:2181"),
            ("zk://h1:2181", "zk:"),
        ];
        for (text, entry) in cases {
            match parse(text) {
                Err(ConnectStringError::BadServer { entry: named, .. }) => assert_eq!(named, entry, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn nothing_given_is_its_own_error() {
        for text in ["", "  ", "/chroot"] {
            assert_eq!(parse(text), Err(ConnectStringError::Empty), "{text}");
        }
        let many = vec!["h"; MAX_SERVERS + 1].join(",");
        assert_eq!(parse(&many), Err(ConnectStringError::TooMany { given: MAX_SERVERS + 1 }));
    }

    #[test]
    fn a_bad_chroot_is_named() {
        for text in ["host:2181/a//b", "host:2181/../x", "host:2181/a/", "h/a/./b", "h/a\u{1}"] {
            let error = parse(text).expect_err(text);
            assert!(matches!(error, ConnectStringError::BadChroot { .. }), "{text}: {error}");
            assert!(error.to_string().starts_with("bad chroot"), "{error}");
        }
    }
}
