//! Error codes, as they stand in reply headers and in the results of a multi.

use std::fmt;

/// Declares the enum, both conversions and the words in one table, so that they cannot drift apart.
macro_rules! codes {
    ($($name:ident = $code:literal, $words:literal;)*) => {
        /// What a server answers. The names are ZooKeeper's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = concat!($words, " (", stringify!($code), ").")] $name,)*
            /// A code that this crate does not know. Make it with `From<i32>` only, so that values stay equal.
            Unknown(i32),
        }

        impl ErrorCode {
            /// All codes that have a name.
            pub const NAMED: &[Self] = &[$(Self::$name,)*];
        }

        impl From<i32> for ErrorCode {
            fn from(code: i32) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<ErrorCode> for i32 {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$name => $code,)*
                    ErrorCode::Unknown(other) => other,
                }
            }
        }

        impl fmt::Display for ErrorCode {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($words),)*
                    Self::Unknown(code) => write!(f, "error {code}"),
                }
            }
        }
    };
}

codes! {
    Ok = 0, "ok";
    SystemError = -1, "system error";
    RuntimeInconsistency = -2, "runtime inconsistency";
    DataInconsistency = -3, "data inconsistency";
    ConnectionLoss = -4, "connection loss";
    MarshallingError = -5, "marshalling error";
    Unimplemented = -6, "unimplemented";
    OperationTimeout = -7, "operation timeout";
    BadArguments = -8, "bad arguments";
    UnknownSession = -12, "unknown session";
    NewConfigNoQuorum = -13, "no quorum for the new configuration";
    ReconfigInProgress = -14, "reconfiguration in progress";
    ApiError = -100, "API error";
    NoNode = -101, "no node";
    NoAuth = -102, "no permission";
    BadVersion = -103, "bad version";
    NoChildrenForEphemerals = -108, "no children for ephemerals";
    NodeExists = -110, "node exists";
    NotEmpty = -111, "node has children";
    SessionExpired = -112, "session expired";
    InvalidCallback = -113, "invalid callback";
    InvalidAcl = -114, "invalid ACL";
    AuthFailed = -115, "credentials refused";
    SessionMoved = -118, "session moved";
    NotReadOnly = -119, "server is read-only";
    EphemeralOnLocalSession = -120, "ephemeral on a local session";
    NoWatcher = -121, "no watch";
    RequestTimeout = -122, "request timeout";
    ReconfigDisabled = -123, "reconfiguration disabled";
    SessionClosedRequireSaslAuth = -124, "session closed, SASL required";
    QuotaExceeded = -125, "quota exceeded";
    ThrottledOp = -127, "throttled";
}

impl std::error::Error for ErrorCode {}
