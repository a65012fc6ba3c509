//! Identities of the `digest` scheme: `user:base64(sha1("user:password"))`.
//!
//! ZooKeeper's choice of hash, not ours: it keeps passwords out of lists that many can read, no more.

use std::fmt::Write;

/// The id that `user:password` proves. Without a colon, all of it is the user.
#[must_use]
pub fn digest_id(credential: &str) -> String {
    let user = credential.split(':').next().unwrap_or_default();
    let mut id = format!("{user}:");
    base64(&sha1_smol::Sha1::from(credential.as_bytes()).digest().bytes(), &mut id);
    id
}

/// Whether an entry's id has the two parts that such an id has. Empty parts at the end do not count, as
/// Java's `split` has it.
pub(crate) fn is_digest_id(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

fn base64(bytes: &[u8], out: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_usize, |group, byte| group << 8 | usize::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let letter = ALPHABET[group >> (18 - 6 * position) & 63];
            let letter = if position <= chunk.len() { char::from(letter) } else { '=' };
            out.write_char(letter).expect("a string takes every letter");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_zookeeper_makes() {
        assert_eq!(digest_id("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
        assert_eq!(digest_id("user:a:b").split(':').next(), Some("user"));
    }

    #[test]
    fn base64_pads() {
        let encode = |bytes: &[u8]| {
            let mut out = String::new();
            base64(bytes, &mut out);
            out
        };
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(|text| encode(text.as_bytes())),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }

    #[test]
    fn two_parts_make_an_id() {
        assert!(is_digest_id("user:hash") && is_digest_id(":hash") && is_digest_id("user:hash:"));
        assert!(
            !is_digest_id("user:") && !is_digest_id("user") && !is_digest_id("a:b:c") && !is_digest_id("")
        );
    }
}
