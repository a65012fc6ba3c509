//! The number that orders terms.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// A fencing token: an opaque number below 2^63 that rises with every term of one election within
/// one ZooKeeper data set.
///
/// It is the creation zxid of the leader's znode. Send it with each write and let the storage
/// refuse a lower one than it has seen; nothing else protects a write that was already on its way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(NonZeroU64);

/// A text that is no fencing token: not a decimal number from 1 to 2^63 − 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a fencing token: {0:?} (expected a whole number from 1 to 9223372036854775807)")]
pub struct TokenError(String);

impl Token {
    /// The token of a znode created at `czxid`; none if that is not a positive zxid.
    pub fn from_czxid(czxid: i64) -> Option<Token> {
        u64::try_from(czxid).ok().and_then(NonZeroU64::new).map(Token)
    }

    /// The number, from 1 to 2^63 − 1.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The number for storage that knows signed integers only; never negative.
    pub fn as_i64(self) -> i64 {
        self.0.get().cast_signed()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.0)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits_only { text.parse().ok() } else { None };
        number.and_then(Token::from_czxid).ok_or_else(|| TokenError(text.chars().take(40).collect()))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A number above 2^53 does not survive every reader of JSON.
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Token {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_prints() {
        let token = Token::from_czxid(4_294_967_388).unwrap();
        assert_eq!(token.to_string(), "4294967388");
        assert_eq!("4294967388".parse(), Ok(token));
        assert_eq!(token.as_i64(), 4_294_967_388);
    }

    #[test]
    fn refuses_what_is_no_zxid() {
        for text in ["", "0", "-1", "+5", " 5", "9223372036854775808", "0x10", "ten"] {
            assert!(text.parse::<Token>().is_err(), "{text:?}");
        }
        assert_eq!(Token::from_czxid(-1), None);
    }
}
