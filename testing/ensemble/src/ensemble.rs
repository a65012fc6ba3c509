//! An ensemble of one or three real servers.
//!
//! Invariant: when an [`Ensemble`] is dropped, by a panic too, no process, port, thread or file of it is left; when
//! the test process is killed, the kernel kills the servers (see [`crate::spawn`]).

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::four_letter::Mode;
use crate::partition::PeerLinks;
use crate::server::{Ports, Server, Settings};

/// How long servers may take from their start until clients are served; two busy cores need most of it.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// Real Apache ZooKeeper servers on loopback ports, for one test.
///
/// ```no_run
/// let mut ensemble = zk_ensemble::Ensemble::start(3);
/// let connect = ensemble.connect_string();      // 127.0.0.1:12345,127.0.0.1:12346,127.0.0.1:12347
/// let leader = ensemble.leader_index();
/// ensemble.server(leader).kill();
/// ensemble.wait_until_serving();                // the other two have a new quorum
/// ensemble.server(leader).restart();
/// ```
#[derive(Debug)]
pub struct Ensemble {
    servers: Vec<Server>,
    links: Option<PeerLinks>,
}

/// How an [`Ensemble`] is set up; see [`Ensemble::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    size: usize,
    tick: Duration,
    min_session_timeout: Option<Duration>,
    max_session_timeout: Option<Duration>,
    config: Vec<String>,
    server_config: Vec<(usize, String)>,
    java: Vec<String>,
    sync_to_disk: bool,
    peer_links: bool,
}

impl Builder {
    /// ZooKeeper's tick: 2 s if nothing is said. Session timeouts range from 2 to 20 ticks.
    #[must_use]
    pub fn tick_time(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// The least session timeout that the servers grant, instead of 2 ticks.
    #[must_use]
    pub fn min_session_timeout(mut self, timeout: Duration) -> Self {
        self.min_session_timeout = Some(timeout);
        self
    }

    /// The greatest session timeout that the servers grant, instead of 20 ticks.
    #[must_use]
    pub fn max_session_timeout(mut self, timeout: Duration) -> Self {
        self.max_session_timeout = Some(timeout);
        self
    }

    /// A further line of `zoo.cfg` for all servers, such as `maxClientCnxns=3`. A later line wins over an earlier one.
    #[must_use]
    pub fn config_line(mut self, line: impl Into<String>) -> Self {
        self.config.push(line.into());
        self
    }

    /// A further line of `zoo.cfg` for the server `index` alone, such as `maxSessionTimeout=6000`.
    #[must_use]
    pub fn server_config_line(mut self, index: usize, line: impl Into<String>) -> Self {
        self.server_config.push((index, line.into()));
        self
    }

    /// A further argument for the Java machine, such as `-Djute.maxbuffer=4096`.
    #[must_use]
    pub fn java_argument(mut self, argument: impl Into<String>) -> Self {
        self.java.push(argument.into());
        self
    }

    /// Whether servers wait for the disk before they acknowledge. Off if nothing is said: a killed process loses
    /// nothing that it wrote, only a power cut would, and tests run several times faster.
    #[must_use]
    pub fn sync_to_disk(mut self, sync: bool) -> Self {
        self.sync_to_disk = sync;
        self
    }

    /// Lets the servers reach each other only through a relay of this harness, so that
    /// [`Ensemble::isolate_peers`] can cut one off from its peers while clients still reach it.
    #[must_use]
    pub fn peer_links_through_proxies(mut self) -> Self {
        self.peer_links = true;
        self
    }

    /// Starts the servers and waits until all serve clients.
    ///
    /// # Panics
    /// When ZooKeeper is not installed (see [`crate::require`]) or a server does not serve in time.
    #[must_use]
    pub fn start(self) -> Ensemble {
        let ports: Vec<Ports> = (0..self.size).map(|_| Ports::reserve()).collect();
        let members = if self.size == 1 { String::new() } else { member_lines(&ports) };
        let links = self.peer_links.then(|| {
            PeerLinks::new(ports.iter().map(|p| [p.quorum.number(), p.election.number()]).collect())
        });
        let servers = ports
            .into_iter()
            .enumerate()
            .map(|(index, ports)| {
                let mut java = self.java.clone();
                java.push(format!("-Dzookeeper.forceSync={}", if self.sync_to_disk { "yes" } else { "no" }));
                java.extend(links.iter().flat_map(|links| links.java_arguments(index)));
                let config = self.config_for(index, &members);
                let my_id = (self.size > 1).then_some(index + 1);
                Server::start(ports, Settings { config, my_id, java })
                    .expect("a server process can be started")
            })
            .collect();
        let mut ensemble = Ensemble { servers, links };
        ensemble.wait_until_serving();
        ensemble
    }

    fn config_for(&self, index: usize, members: &str) -> String {
        let mut config = format!(
            "tickTime={}\ninitLimit=10\nsyncLimit=5\nmaxClientCnxns=0\nadmin.enableServer=false\n\
             4lw.commands.whitelist=*\nautopurge.purgeInterval=0\n{members}",
            self.tick.as_millis()
        );
        let limits = [("min", self.min_session_timeout), ("max", self.max_session_timeout)];
        for (which, timeout) in limits.iter().filter_map(|(which, timeout)| Some((which, (*timeout)?))) {
            let _ = writeln!(config, "{which}SessionTimeout={}", timeout.as_millis());
        }
        let own = self.server_config.iter().filter(|(i, _)| *i == index).map(|(_, line)| line);
        for line in self.config.iter().chain(own) {
            let _ = writeln!(config, "{line}");
        }
        config
    }
}

fn member_lines(ports: &[Ports]) -> String {
    let mut lines = String::new();
    for (index, ports) in ports.iter().enumerate() {
        let (quorum, election) = (ports.quorum.number(), ports.election.number());
        let _ = writeln!(lines, "server.{}=127.0.0.1:{quorum}:{election}", index + 1);
    }
    lines
}

impl Ensemble {
    /// Starts `size` servers, 1 (standalone) or 3, with a tick of 2 s, and waits until all serve clients.
    ///
    /// # Panics
    /// As [`Builder::start`].
    #[must_use]
    pub fn start(size: usize) -> Self {
        Self::builder(size).start()
    }

    /// Begins the set-up of `size` servers.
    ///
    /// # Panics
    /// When `size` is 0 or 2: there is no such ensemble that would survive what one server does.
    #[must_use]
    pub fn builder(size: usize) -> Builder {
        assert!(size % 2 == 1, "an ensemble has an odd number of servers");
        Builder {
            size,
            tick: Duration::from_secs(2),
            min_session_timeout: None,
            max_session_timeout: None,
            config: Vec::new(),
            server_config: Vec::new(),
            java: Vec::new(),
            sync_to_disk: false,
            peer_links: false,
        }
    }

    /// How many servers there are, down ones included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.servers.len()
    }

    /// All servers' client addresses, as a client's connect string without a chroot.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.servers.iter().map(|server| server.address().to_string()).collect::<Vec<_>>().join(",")
    }

    /// The server `index`, counted from 0.
    pub fn server(&mut self, index: usize) -> &mut Server {
        &mut self.servers[index]
    }

    /// The servers in order.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The quorum's leader, or the standalone server, if one says that it is.
    #[must_use]
    pub fn find_leader(&self) -> Option<usize> {
        self.servers.iter().position(|s| matches!(s.mode(), Some(Mode::Leader | Mode::Standalone)))
    }

    /// As [`Ensemble::find_leader`].
    ///
    /// # Panics
    /// When there is none; call [`Ensemble::wait_until_serving`] first after any fault.
    #[must_use]
    pub fn leader_index(&self) -> usize {
        self.find_leader().expect("the ensemble has a leader")
    }

    /// The servers that follow at this moment.
    #[must_use]
    pub fn follower_indexes(&self) -> Vec<usize> {
        let follows = |index: &usize| self.servers[*index].mode() == Some(Mode::Follower);
        (0..self.size()).filter(follows).collect()
    }

    /// The last transaction that the server `index` has applied; `None` while it does not serve.
    #[must_use]
    pub fn zxid(&self, index: usize) -> Option<u64> {
        self.servers[index].report().map(|report| report.zxid)
    }

    /// Waits until every server whose process is up serves clients and one of them leads. Do not call it while
    /// one is stopped or isolated: that one does not serve.
    ///
    /// # Panics
    /// After [`START_LIMIT`], or when a server has ended by itself; the message holds the end of its log.
    pub fn wait_until_serving(&mut self) {
        let end = Instant::now() + START_LIMIT;
        for server in self.servers.iter_mut().filter(|server| server.process_expected()) {
            server.wait_until_serving(end.saturating_duration_since(Instant::now()));
        }
        while self.find_leader().is_none() {
            assert!(Instant::now() < end, "no server leads after {START_LIMIT:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Cuts the server `index` off from its peers, as a network that drops packets would: connections stay open
    /// and silent, new ones hang. Clients still reach it.
    ///
    /// # Panics
    /// Unless built with [`Builder::peer_links_through_proxies`].
    pub fn isolate_peers(&self, index: usize) {
        self.links().isolate(index);
    }

    /// Ends [`Ensemble::isolate_peers`]: what was under way is delivered, late.
    ///
    /// # Panics
    /// As [`Ensemble::isolate_peers`].
    pub fn heal_peers(&self, index: usize) {
        self.links().heal(index);
    }

    fn links(&self) -> &PeerLinks {
        self.links.as_ref().expect("built with peer_links_through_proxies()")
    }
}
