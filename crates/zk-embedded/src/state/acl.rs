//! Who a connection is, and what access control lists let it do.
//!
//! Purpose: the schemes `world`, `auth`, `digest` and `ip`, as Apache's server has them. Invariant: a list
//! that is stored names no `auth` entry any more, and every entry can be judged. Pure; used by the state.

use std::collections::HashSet;
use std::net::IpAddr;

use zk_wire::Acl;

use super::digest;

/// Entries of a list, as it is asked for and as it is stored. Apache's server has no such limit but the
/// frame's; every access to the node would have to look through as many as fit into one.
const MOST_ENTRIES: usize = 1024;

/// One of the names a connection goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) scheme: String,
    pub(crate) id: String,
}

impl Identity {
    /// What every connection has from the start.
    pub(crate) fn address(address: IpAddr) -> Self {
        Self { scheme: "ip".to_owned(), id: address.to_canonical().to_string() }
    }

    /// The identity that `user:password` proves.
    pub(crate) fn digest(credential: &[u8]) -> Self {
        Self { scheme: "digest".to_owned(), id: digest::digest_id(&String::from_utf8_lossy(credential)) }
    }

    /// Whoever passes every check.
    pub(crate) fn superuser() -> Self {
        Self { scheme: "super".to_owned(), id: String::new() }
    }

    /// The part of the id that is no secret.
    pub(crate) fn user(&self) -> &str {
        match self.scheme.as_str() {
            "digest" => self.id.split(':').next().unwrap_or_default(),
            _ => &self.id,
        }
    }
}

/// Whether somebody with these identities has one of the permissions in `need`.
pub(crate) fn permits(acl: &[Acl], need: i32, who: &[Identity]) -> bool {
    acl.is_empty()
        || who.iter().any(|identity| identity.scheme == "super")
        || acl.iter().filter(|entry| entry.perms & need != 0).any(|entry| names(entry, who))
}

/// The list as it is stored: without doubles, and with `auth` replaced by what the caller has proved.
/// `None` if it is not well-formed.
pub(crate) fn resolve(acl: &[Acl], who: &[Identity]) -> Option<Vec<Acl>> {
    if acl.len() > MOST_ENTRIES {
        return None;
    }
    let mut resolved: Vec<Acl> = Vec::new();
    // One frame holds many long lists: what is known already is found without looking through it.
    let mut known = HashSet::new();
    let mut expanded = HashSet::new();
    for entry in acl {
        match entry.scheme.as_str() {
            "auth" => {
                let mut proved = who.iter().filter(|identity| identity.scheme == "digest").peekable();
                proved.peek()?;
                if expanded.insert(entry.perms) {
                    let new =
                        proved.filter(|proved| known.insert((entry.perms, "digest", proved.id.as_str())));
                    resolved.extend(new.map(|proved| Acl::new(entry.perms, "digest", &proved.id)));
                }
            }
            "world" if entry.id != "anyone" => return None,
            "digest" if !digest::is_digest_id(&entry.id) => return None,
            "ip" if Network::parse(&entry.id).is_none() => return None,
            "world" | "digest" | "ip" => {
                if known.insert((entry.perms, entry.scheme.as_str(), entry.id.as_str())) {
                    resolved.push(entry.clone());
                }
            }
            _ => return None,
        }
        if resolved.len() > MOST_ENTRIES {
            return None;
        }
    }
    (!resolved.is_empty()).then_some(resolved)
}

/// The list as somebody without ADMIN may see it: whose the entries are, but not what proves it.
pub(crate) fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mask = |entry: &Acl| match (entry.scheme.as_str(), entry.id.split_once(':')) {
        ("digest", Some((user, _))) => Acl::new(entry.perms, "digest", format!("{user}:x")),
        _ => entry.clone(),
    };
    acl.iter().map(mask).collect()
}

fn names(entry: &Acl, who: &[Identity]) -> bool {
    match entry.scheme.as_str() {
        "world" => entry.id == "anyone",
        "ip" => Network::parse(&entry.id).is_some_and(|network| {
            let addresses = who.iter().filter(|identity| identity.scheme == "ip");
            addresses.filter_map(|identity| identity.id.parse().ok()).any(|a| network.contains(a))
        }),
        "digest" => who.iter().any(|identity| identity.scheme == "digest" && identity.id == entry.id),
        _ => false,
    }
}

/// An address, or all that begin with the same bits: `10.0.0.0/8`.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        (bits <= all).then_some(Self { address, bits })
    }

    fn contains(&self, other: IpAddr) -> bool {
        let shares = |ours: u128, theirs: u128, all: u32| {
            // A shift by all bits is no shift in Rust; no bits to compare means that all match.
            self.bits == 0 || (ours ^ theirs) >> (all - self.bits) == 0
        };
        match (self.address, other) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                shares(u128::from(u32::from(ours)), u128::from(u32::from(theirs)), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => shares(ours.into(), theirs.into(), 128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_wire::perms::{ADMIN, ALL, READ, WRITE};

    fn at(address: &str) -> Identity {
        Identity::address(address.parse().unwrap())
    }

    #[test]
    fn an_entry_counts_only_for_its_permissions_and_its_names() {
        let user = Identity::digest(b"user:secret");
        let acl = [Acl::new(READ | ADMIN, "digest", &user.id), Acl::new(WRITE, "ip", "10.1.0.0/16")];
        let who = [at("10.1.200.3"), user];
        assert!(permits(&acl, READ, &who));
        assert!(permits(&acl, WRITE, &who));
        assert!(!permits(&acl, READ, &who[..1]));
        assert!(!permits(&acl, WRITE, &[at("10.2.0.1")]));
        assert!(permits(&acl, READ, &[Identity::superuser()]));
    }

    #[test]
    fn networks_match_by_their_bits() {
        let inside =
            |network: &str, address: &str| permits(&[Acl::new(READ, "ip", network)], READ, &[at(address)]);
        assert!(inside("127.0.0.1", "127.0.0.1"));
        assert!(!inside("127.0.0.1", "127.0.0.2"));
        assert!(inside("0.0.0.0/0", "8.8.8.8"));
        assert!(inside("192.168.0.0/23", "192.168.1.9"));
        assert!(!inside("192.168.0.0/24", "192.168.1.9"));
        assert!(inside("fe80::/10", "fe80::1"));
        assert!(!inside("0.0.0.0/0", "::1"));
        assert!(inside("127.0.0.1", "::ffff:127.0.0.1"), "a mapped address is the IPv4 address");
    }

    #[test]
    fn lists_that_cannot_be_judged_are_refused() {
        for (scheme, id) in [
            ("world", "someone"),
            ("digest", "user"),
            ("digest", "a:b:c"),
            ("ip", "here"),
            ("ip", "1.2.3.4/33"),
            ("auth", ""),
            ("none", "x"),
        ] {
            assert_eq!(resolve(&[Acl::new(ALL, scheme, id)], &[at("127.0.0.1")]), None, "{scheme}:{id}");
        }
        assert_eq!(resolve(&[], &[]), None);
        let many = |count: i32| (0..count).map(Acl::anyone).collect::<Vec<_>>();
        assert!(resolve(&many(1024), &[]).is_some() && resolve(&many(1025), &[]).is_none());
    }

    #[test]
    fn auth_stands_for_every_credential_and_doubles_drop_out() {
        let (a, b) = (Identity::digest(b"a:1"), Identity::digest(b"b:2"));
        let who = [at("127.0.0.1"), a.clone(), b.clone()];
        let list = [Acl::creator(ALL), Acl::creator(ALL), Acl::anyone(READ), Acl::anyone(READ)];
        let expected = vec![Acl::new(ALL, "digest", a.id), Acl::new(ALL, "digest", b.id), Acl::anyone(READ)];
        assert_eq!(resolve(&list, &who), Some(expected));
    }

    #[test]
    fn long_lists_cost_no_more_than_their_bytes() {
        let list: Vec<Acl> =
            (0..1024).map(|number| Acl::new(ALL, "digest", format!("{}:{number}", "u".repeat(64)))).collect();
        let began = std::time::Instant::now();
        for _ in 0..1000 {
            assert_eq!(resolve(&list, &[]).unwrap().len(), 1024);
        }
        // Each compared with each takes far more than a minute.
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }

    #[test]
    fn a_masked_list_keeps_the_users_only() {
        let user = Identity::digest(b"user:secret");
        assert_eq!(masked(&[Acl::new(ALL, "digest", user.id)]), [Acl::new(ALL, "digest", "user:x")]);
    }
}
