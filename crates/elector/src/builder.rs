//! Options, checked before anything is sent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use elector_core::{Layout, Margins, OnDisconnect, Timing};
use zk_session::wire::{self, perms};
use zk_session::{
    BootClock, Config, ConnectString, Credential, MonotonicClock, Session, TcpConnector, UnixConnector,
};

use crate::driver::{self, Settings};
use crate::elector::Elector;
use crate::error::StartError;
use crate::history::History;
use crate::path;
use crate::place::{self, Place};

/// The session timeout asked of an ensemble unless [`Builder::session_timeout`] says otherwise.
pub const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// The same on this machine alone, where no quorum leader changes.
pub const LOCAL_SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest session timeout that can be asked for: a day.
const LONGEST_SESSION_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// The longest id in bytes.
const LONGEST_ID: usize = 255;

/// One entry of an access control list for our znodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// `world`, `auth`, `digest`, `ip` or another of the servers' schemes.
    pub scheme: String,
    /// Whom it names, as the scheme writes it; empty for `auth`.
    pub id: String,
    /// Any of the letters c, d, r, w, a, as zkCli writes them.
    pub permissions: String,
}

/// How an [`Elector`] is set up; made by [`Elector::builder`].
#[derive(Clone)]
pub struct Builder {
    place: Place,
    path: String,
    id: Option<String>,
    session_timeout: Option<Duration>,
    layout: Layout,
    credentials: Vec<Credential>,
    acl: Option<Vec<AclEntry>>,
    margins: Margins,
    on_disconnect: OnDisconnect,
    connect_timeout: Option<Duration>,
    own_thread: bool,
    name_neighbours: bool,
}

impl Builder {
    pub(crate) fn new(place: Place, path: &str) -> Builder {
        Builder {
            place,
            path: path.to_owned(),
            id: None,
            session_timeout: None,
            layout: Layout::default(),
            credentials: Vec::new(),
            acl: None,
            margins: Margins::default(),
            on_disconnect: OnDisconnect::default(),
            connect_timeout: None,
            own_thread: false,
            name_neighbours: false,
        }
    }

    /// The name that others are shown. Default: `pid-` and the process id.
    pub fn id(mut self, id: impl Into<String>) -> Builder {
        self.id = Some(id.into());
        self
    }

    /// How long the others wait when this machine dies; the servers may answer another. Default:
    /// 10 s, which leaves room for a change of the quorum leader; 5 s in [`Place::Local`].
    pub fn session_timeout(mut self, timeout: Duration) -> Builder {
        self.session_timeout = Some(timeout);
        self
    }

    /// With whom this election is shared. Default: [`Layout::Latch`].
    pub fn layout(mut self, layout: Layout) -> Builder {
        self.layout = layout;
        self
    }

    /// Adds a credential, such as scheme `digest` with `user:password`. It is given to each server
    /// before anything else, and never printed.
    pub fn credential(mut self, scheme: impl Into<String>, auth: impl Into<Vec<u8>>) -> Builder {
        self.credentials.push(Credential::new(scheme, auth));
        self
    }

    /// Who may do what with our znodes, and with the election path should it be missing. Default:
    /// anybody may do anything; with a credential, its owner may do anything and anybody may read. The
    /// servers check the *path's* list when a contender's znode is made or deleted, so a path that
    /// exists already must be closed to strangers by whoever made it.
    pub fn acl(mut self, entries: Vec<AclEntry>) -> Builder {
        self.acl = Some(entries);
        self
    }

    /// The ensemble's `tickTime`. Without it half the session timeout is assumed, the longest that
    /// the servers' defaults allow; knowing it makes room in the lease. Zero is for one server
    /// that is alone by its nature, and is unsafe anywhere else; [`Place::Local`] needs no saying.
    pub fn ensemble_tick(mut self, tick: Duration) -> Builder {
        self.margins.ensemble_tick = Some(tick);
        self
    }

    /// How long before the lease's end [`Leadership::ending`](crate::Leadership::ending) tells the
    /// work to stop. Default: not before its end.
    pub fn stop_early(mut self, early: Duration) -> Builder {
        self.margins.early = early;
        self
    }

    /// Whether to lead on while the lease lasts when no server is connected. Default: hold.
    pub fn on_disconnect(mut self, policy: OnDisconnect) -> Builder {
        self.on_disconnect = policy;
        self
    }

    /// How long [`Builder::connect`] waits for a server. Default: no limit.
    pub fn connect_timeout(mut self, limit: Duration) -> Builder {
        self.connect_timeout = Some(limit);
        self
    }

    /// Runs the elector's driver on a thread of its own, for applications that may starve their
    /// runtime. A starved driver is safe either way; it only loses leaderships needlessly. Waiting
    /// for a leadership's end ([`guard`](crate::Leadership::guard) and the like) still takes tokio's
    /// timers; without a runtime there is the feature `blocking`.
    pub fn own_thread(mut self) -> Builder {
        self.own_thread = true;
        self
    }

    /// Reads the name of whoever is right ahead, one request more at each change there, for
    /// [`Role::Waiting`](crate::Role::Waiting). Default: no.
    pub fn name_neighbours(mut self, yes: bool) -> Builder {
        self.name_neighbours = yes;
        self
    }

    /// The periods and bounds that follow from these options, if the servers grant the timeout.
    pub fn timing(&self) -> Timing {
        Timing::new(self.timeout(), &self.place.margins(self.margins))
    }

    fn timeout(&self) -> Duration {
        self.session_timeout.unwrap_or_else(|| self.place.default_timeout())
    }

    /// Whether [`Builder::start`] would accept these options. Nothing is started or sent.
    ///
    /// # Errors
    /// Whatever is wrong with the options.
    pub fn check(&self) -> Result<(), StartError> {
        self.settings()?;
        match &self.place {
            Place::Ensemble(servers) => connect_string(servers).map(drop),
            Place::Local(_) => Ok(()),
        }
    }

    /// The history of this election, for adding to it with these options' credentials and rights. Nothing is
    /// started or sent.
    ///
    /// # Errors
    /// Whatever is wrong with the options.
    pub fn history(&self) -> Result<History, StartError> {
        let Settings { place, path, credentials, acl, .. } = self.settings()?;
        let above = closed_or_open(&acl);
        Ok(History::new(place, &path, credentials, acl, above))
    }

    /// Starts without waiting for a server.
    ///
    /// # Errors
    /// Whatever is wrong with the options. Nothing was sent then.
    pub fn start(self) -> Result<Elector, StartError> {
        let settings = self.settings()?;
        let config = |servers| Config {
            timeout: settings.timeout,
            credentials: self.credentials.clone(),
            ..Config::new(servers)
        };
        match &self.place {
            Place::Ensemble(servers) => {
                let config = config(connect_string(servers)?);
                let session = move || Session::new(config, TcpConnector, BootClock);
                driver::start(session, settings, self.own_thread)
            }
            Place::Local(socket) => {
                let config = config(place::only_server(socket));
                let connector = UnixConnector::new(socket);
                let session = move || Session::new(config, connector, MonotonicClock);
                driver::start(session, settings, self.own_thread)
            }
        }
    }

    /// Starts, and waits until a server carries a session.
    ///
    /// Cancelling it drops the elector.
    ///
    /// # Errors
    /// As [`Builder::start`]; [`StartError::Unreachable`] after the connect timeout; refused
    /// credentials at once.
    pub async fn connect(self) -> Result<Elector, StartError> {
        let limit = self.connect_timeout;
        let elector = self.start()?;
        match limit {
            None => elector.connected().await?,
            Some(within) => match tokio::time::timeout(within, elector.connected()).await {
                Ok(connected) => connected?,
                Err(_) => return Err(StartError::Unreachable { within, tried: elector.last_round() }),
            },
        }
        Ok(elector)
    }

    /// The whole of it over any connector, clock and source of random numbers, as a future that somebody
    /// has to poll: for the project's simulator, which is the only one that builds with this feature.
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn simulate<C: zk_session::Connector, K: zk_session::Clock>(
        self,
        connector: C,
        clock: K,
        random: impl FnMut() -> u64 + Clone + Send + 'static,
    ) -> Result<(Elector, driver::Running), StartError> {
        let settings = self.settings()?;
        let servers = match &self.place {
            Place::Ensemble(servers) => {
                servers.parse().map_err(|error| StartError::Servers(format!("{error}")))?
            }
            Place::Local(socket) => place::only_server(socket),
        };
        let config =
            Config { timeout: settings.timeout, credentials: self.credentials, ..Config::new(servers) };
        let session = move || Session::new(config, connector, clock);
        let (elector, driver) = driver::assemble(session, settings, elector_core::Entropy::new(random));
        Ok((elector, driver()))
    }

    fn settings(&self) -> Result<Settings, StartError> {
        path::validate(&self.path)?;
        let id = match &self.id {
            Some(id) => validate_id(id)?,
            None => format!("pid-{}", std::process::id()),
        };
        let timeout = self.timeout();
        if timeout > LONGEST_SESSION_TIMEOUT {
            return Err(StartError::SessionTimeout(timeout));
        }
        self.timing().check()?;
        let acl = self.wire_acl()?;
        Ok(Settings {
            place: self.place.clone(),
            credentials: self.credentials.clone(),
            path: Arc::from(self.path.as_str()),
            id: Arc::from(id.as_str()),
            layout: self.layout,
            timeout,
            margins: self.place.margins(self.margins),
            alone: matches!(self.place, Place::Local(_)),
            on_disconnect: self.on_disconnect,
            path_acl: self.path_acl(&acl),
            acl,
            name_neighbours: self.name_neighbours,
        })
    }

    /// Whoever may create and delete under the path can contend and depose: if the list says who may, it
    /// holds for the path too. In layout `single` what is made is only the path above.
    fn path_acl(&self, acl: &[wire::Acl]) -> Vec<wire::Acl> {
        match self.layout {
            Layout::Single => vec![wire::Acl::anyone(perms::ALL)],
            _ => closed_or_open(acl),
        }
    }

    fn wire_acl(&self) -> Result<Vec<wire::Acl>, StartError> {
        let Some(entries) = &self.acl else {
            return Ok(if self.credentials.is_empty() {
                vec![wire::Acl::anyone(perms::ALL)]
            } else {
                // Foreign peers read the znode before theirs, so reading stays open.
                vec![wire::Acl::creator(perms::ALL), wire::Acl::anyone(perms::READ)]
            });
        };
        if entries.is_empty() {
            return Err(StartError::Acl("it is empty, which the servers refuse"));
        }
        let mut acl = Vec::new();
        for entry in entries {
            let bits = permissions(&entry.permissions)?;
            if entry.scheme == "auth" && self.credentials.is_empty() {
                return Err(StartError::Acl("scheme auth stands for our credentials, and there are none"));
            }
            acl.push(wire::Acl::new(bits, entry.scheme.clone(), entry.id.clone()));
        }
        // The servers hide a znode's end from those who may not read it.
        if !acl.iter().any(|entry| entry.perms & perms::READ != 0) {
            return Err(StartError::Acl("nobody may read, not even this candidate; add r"));
        }
        Ok(acl)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("place", &self.place)
            .field("path", &self.path)
            .field("id", &self.id)
            .field("layout", &self.layout)
            .field("timing", &self.timing())
            .finish_non_exhaustive()
    }
}

/// For a znode under which others are made: the same list if it says who may do that.
fn closed_or_open(acl: &[wire::Acl]) -> Vec<wire::Acl> {
    let both = perms::CREATE | perms::DELETE;
    match acl.iter().any(|entry| entry.perms & both == both) {
        true => acl.to_vec(),
        false => vec![wire::Acl::anyone(perms::ALL)],
    }
}

fn connect_string(servers: &str) -> Result<ConnectString, StartError> {
    servers.parse().map_err(|error| StartError::Servers(format!("{error}")))
}

fn validate_id(id: &str) -> Result<String, StartError> {
    if id.is_empty() {
        Err(StartError::Id("it is empty"))
    } else if id.len() > LONGEST_ID {
        Err(StartError::Id("it is longer than 255 bytes"))
    } else if id.chars().any(char::is_control) {
        Err(StartError::Id("it has a control character"))
    } else {
        Ok(id.to_owned())
    }
}

fn permissions(letters: &str) -> Result<i32, StartError> {
    let mut bits = 0;
    for letter in letters.chars() {
        bits |= match letter {
            'c' => perms::CREATE,
            'd' => perms::DELETE,
            'r' => perms::READ,
            'w' => perms::WRITE,
            'a' => perms::ADMIN,
            _ => return Err(StartError::Acl("permissions are letters of cdrwa")),
        };
    }
    if bits == 0 {
        return Err(StartError::Acl("an entry without permissions; use letters of cdrwa"));
    }
    Ok(bits)
}
