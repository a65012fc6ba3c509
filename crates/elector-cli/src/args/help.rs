//! The help texts. Their names, order and defaults are part of the interface.

/// `elector --help`.
pub(crate) const TOP: &str = "\
elector: at most one of many copies of a program leads, on Apache ZooKeeper

Usage: elector COMMAND [OPTIONS]

  run          Run a program only while it leads; stop it when it does not
  check        Before production: what a run would find here, and what to mend
  status       Show who leads, who waits, and how fresh the answer is
  observe      Print each change of leader, until interrupted
  why          Tell why leadership moved: the last terms and how each ended
  demo         Three contenders on this machine: kill the leader and watch
  serve        A one-machine ZooKeeper server for development and tests
  completions  Print what bash, zsh or fish needs to complete all this
  man          Write the man pages into a directory

Where elections are held (say exactly one; there is no default):
  -z, --zookeeper LIST  the ensemble: zk1:2181,zk2:2181,zk3:2181[/chroot]
      --local[=DIR]     only you, only this machine; nothing to install

Try it: elector demo        Use it: elector run -z zk1,zk2,zk3 /billing -- ./billing-worker
";

/// The page of each command but `run`, whose page has a short and a long form, and `check`, which has the options
/// of `run`.
pub(crate) const PAGES: [(&str, &str); 7] = [
    ("status", STATUS),
    ("observe", OBSERVE),
    ("why", WHY),
    ("demo", DEMO),
    ("serve", SERVE),
    ("completions", COMPLETIONS),
    ("man", MAN),
];

/// The page of a command other than `run`; of all together where none is named.
pub(crate) fn page(command: Option<&str>) -> &'static str {
    let named = |name| PAGES.iter().find(|(known, _)| *known == name).map(|(_, page)| *page);
    let check = command.filter(|command| *command == "check").map(|_| CHECK);
    check.or(command.and_then(named)).unwrap_or(TOP)
}

/// `elector completions --help` and `-h`.
pub(crate) const COMPLETIONS: &str = "\
Usage: elector completions bash|zsh|fish
Prints what the shell needs to complete elector's commands and options.

  bash: elector completions bash > ~/.local/share/bash-completion/completions/elector
  zsh:  elector completions zsh > DIR/_elector, where DIR is one of $fpath
  fish: elector completions fish > ~/.config/fish/completions/elector.fish

Exit status: 0 done; 2 usage; 125 they cannot be written.
";

/// `elector man --help` and `-h`.
pub(crate) const MAN: &str = "\
Usage: elector man DIR
Writes the man pages into DIR: elector.1, and one for each command. DIR is made if it is not there.

For yourself: elector man ~/.local/share/man/man1, and then: man elector-run
In a package: elector man \"$DESTDIR/usr/share/man/man1\"

Exit status: 0 done; 2 usage; 125 they cannot be written.
";

/// `elector check --help` and `-h`.
pub(crate) const CHECK: &str = "\
Usage: elector check [OPTIONS OF run] ELECTION [-- PROGRAM [ARG...]]
Before production: what a run with these options would find here. Each server by itself, the rights on the path,
the session timeout granted, how long a leader that was cut off may act and how long a fail-over takes at most,
contenders of other libraries, and how the program's processes are held together. It takes no part in the
election and changes nothing in it.

With PROGRAM it is really started, once and without leading, let run for a second and stopped, to see how long that
takes. Its output goes to standard error.

Every option of run is taken, as in elector run --help; --connect-timeout is for each server  [3s].

Exit status: 0 nothing to mend; else that of the first thing to mend: 2 configuration, credentials, permission,
foreign contenders, or a program that does not stop in time; 4 a server does not answer; 125 elector failed; 130 INT.
";

/// `elector run -h`.
pub(crate) const RUN: &str = "\
Usage: elector run [OPTIONS] ELECTION -- PROGRAM [ARG...]
Waits its turn, runs PROGRAM while it leads, and stops all of it before anybody else can lead. No shell.
PROGRAM's end ends the run, and the next contender starts its own: for a service. A job that must run once
among several machines needs -n and --at-least.

  -z, --zookeeper LIST      the ensemble: zk1:2181,zk2:2181,zk3:2181[/chroot]
      --local[=DIR]         only you, only this machine; nothing to install
      --id ID               name shown to others  [HOSTNAME:PID]
      --wait DURATION       give up when not leading by then  [no limit]
  -n, --nonblock            --wait 0s: only if it can lead now
  -E, --conflict-exit-code CODE
                            exit status when --wait or -n gave up  [124]
      --at-least DURATION   hold the place so long from the start, even after PROGRAM ended, so that a late
                            machine does not run the job again  [0s]
      --once                after a loss exit with 75 instead of contending again
      --on-exit resign|restart
                            when PROGRAM ends by itself  [resign]
      --stop-signal SIGNAL  first signal to PROGRAM  [TERM]
      --stop-grace DURATION then KILL: on a planned stop, leading all the while  [10s]
      --on-disconnect hold|stop
                            keep PROGRAM while the lease lasts, or stop at once  [hold]
      --session-timeout DURATION
                            how long the others wait when this machine dies  [10s; --local 5s]
      --connect-timeout DURATION
                            give up connecting at start  [no limit]
      --auth-file FILE      lines of scheme:credential, mode 0600
  -q, --quiet               only warnings and errors
  -v, --verbose             more of what happens
      --log-format text|json
                            [text]
      --color auto|always|never
                            [auto]
";

/// What `elector run --help` shows after [`RUN`].
pub(crate) const RUN_MORE: &str = "
More:
      --layout latch|lock|kazoo|single
                            whom it stands beside in one election: latch is Curator's LeaderLatch; lock its
                            LeaderSelector and InterProcessMutex, and Go's Lock; kazoo Python's Election and Lock;
                            single the path itself as one znode. All must use the same  [latch]
      --acl LIST            rights on what it creates: creator, open, or scheme:id:rights separated by commas,
                            such as world:anyone:r,auth::cdrwa  [creator with --auth-file, else open]
      --ensemble-tick DURATION
                            the servers' tickTime, where it is known: a longer lease from the same timeout
                            [taken for half the session timeout]
      --loss-grace DURATION from the stop signal to KILL when leadership is lost; must fit the lease
                            [min(2s, timeout/5)]
      --takeover-delay DURATION
                            wait so long between leading and starting PROGRAM  [0s]
      --containment auto|require-cgroup
                            how PROGRAM's processes are held together: a control group where there is one for
                            us, else the process group and adoption; require-cgroup does not run with less  [auto]

Durations need a unit: 500ms, 10s, 2m. Each long option is also read from the environment, --stop-grace from
ELECTOR_STOP_GRACE; a flag wins. PROGRAM gets ELECTOR_ELECTION, ELECTOR_ID and ELECTOR_TOKEN, the fencing token of
this term: send it with each write, and let the storage refuse a lower one.

Signals: TERM and INT stop PROGRAM and hand over, a second one kills it now. HUP, QUIT, USR1, USR2 and WINCH go to
PROGRAM; while waiting, HUP and QUIT leave the queue.

Exit status: PROGRAM's own; 0 after TERM; 130 after INT; 128+n when signal n ended PROGRAM; 137 when it had to be
killed on a planned stop; 2 usage, refused credentials, no permission, foreign layout; 75 lost under --once;
124 not leading in time; 125 elector failed or could not connect in time; 126 and 127 PROGRAM cannot be executed or
was not found.
";

/// `elector status --help` and `-h`.
pub(crate) const STATUS: &str = "\
Usage: elector status [OPTIONS] ELECTION
Shows who leads, who waits, and how fresh the answer is.

  -z, --zookeeper LIST      the ensemble: zk1:2181,zk2:2181,zk3:2181[/chroot]
      --local[=DIR]         only you, only this machine; nothing to install
      --json                one JSON object instead of text
      --connect-timeout DURATION
                            give up then, and answer unknown  [3s]
      --auth-file FILE      lines of scheme:credential, mode 0600
  -q, --quiet               no warnings

Exit status: 0 somebody leads; 3 nobody leads; 4 not known: not reachable in time; 2 usage, refused credentials, no
permission; 125 elector failed; 130 INT.
";

/// `elector observe --help` and `-h`.
pub(crate) const OBSERVE: &str = "\
Usage: elector observe [OPTIONS] ELECTION
Prints each change of leader as a line, until interrupted. Whatever may have been missed, as while no server could
be reached, is said: 'changes may be missing', in JSON \"gap\":true. It takes no part and changes nothing.

  -z, --zookeeper LIST      the ensemble: zk1:2181,zk2:2181,zk3:2181[/chroot]
      --local[=DIR]         only you, only this machine; nothing to install
      --json                one JSON object a line instead of text
      --connect-timeout DURATION
                            give up connecting at start  [no limit]
      --auth-file FILE      lines of scheme:credential, mode 0600
  -q, --quiet               on standard error only warnings and errors
  -v, --verbose             more of what happens
      --log-format text|json
                            json is --json for both outputs  [text]
      --color auto|always|never
                            [auto]

A line says leader, vacant (nobody is in the queue, or who follows is not seen yet) or unknown (no server tells).
Who leads is the first in the queue; its program may be starting, or stopping.

Exit status: 0 after TERM or when the reader of its lines has gone; 130 after INT; 2 usage, refused credentials, no
permission; 125 --connect-timeout passed, or elector failed.
";

/// `elector why --help` and `-h`.
pub(crate) const WHY: &str = "\
Usage: elector why [OPTIONS] ELECTION
Tells why leadership moved: the last terms, who led from when and for how long, how each ended, and how long nobody
led then. It reads what every 'elector run' writes down beside the election, in ELECTION.ctl/history, the last fifty
terms. Times are by the servers' clock. Whatever is inferred, since a leader left no last word, is marked with ~.

  -z, --zookeeper LIST      the ensemble: zk1:2181,zk2:2181,zk3:2181[/chroot]
      --local[=DIR]         only you, only this machine; nothing to install
      --json                one JSON object instead of a table
      --connect-timeout DURATION
                            give up then, and answer unknown  [3s]
      --auth-file FILE      lines of scheme:credential, mode 0600
  -q, --quiet               no warnings

Exit status: 0 told, also where nothing is written down yet; 4 not known: not reachable in time, or a local election
where nobody runs; 2 usage, refused credentials, no permission; 125 elector failed; 130 INT.
";

/// `elector serve --help` and `-h`.
pub(crate) const SERVE: &str = "\
Usage: elector serve [OPTIONS] --data-dir DIR
A one-machine ZooKeeper server for development and tests, for any ZooKeeper client. What it has acknowledged
survives a crash of this machine, not the loss of its disk: there is no quorum. Past one machine it is Apache
ZooKeeper, and nothing changes but the connect string.

      --data-dir DIR        where it keeps its data; made if it is not there, and for one server at a time
      --listen ADDRESS:PORT where clients come in; port 0 takes a free one and tells which  [127.0.0.1:2181]
      --allow-remote        let --listen reach beyond this machine. Whoever can connect may then read and write
                            what no ACL protects: it has no authentication of its own and no TLS, and it is one
                            machine and no quorum
  -q, --quiet               only warnings and errors
  -v, --verbose             more of what happens
      --log-format text|json
                            [text]
      --color auto|always|never
                            [auto]

Each long option is also read from the environment, --data-dir from ELECTOR_DATA_DIR; a flag wins. The words srvr,
stat, mntr, ruok and isro are answered, as in: echo srvr | nc 127.0.0.1 2181

Signals: TERM and INT (also HUP and QUIT) stop accepting, sync and free DIR; a second one ends it at once.

Exit status: 0 after such a signal, 130 after INT; 2 usage, address taken, DIR in use, of another user, damaged or of
a version that this one cannot read; 125 DIR cannot be written any more or was removed, or elector failed.
";

/// `elector demo --help` and `-h`.
pub(crate) const DEMO: &str = "\
Usage: elector demo [OPTIONS]
Three contenders on this machine: kill the leader and watch. Nothing has to be installed: a ZooKeeper server runs
inside this process, in memory, on a free port of 127.0.0.1, and three real 'elector run' processes contend on it.
Their programs write to a small storage that looks at the fencing tokens. Each change of leader is shown with the
time for which nobody led. Nothing is left behind, neither a process nor a file. While it runs, another terminal can
look on: elector status -z ADDRESS /demo, with the address that it shows.

On a terminal the keys are:
  k  kill -9 the leader with its program; it comes back as a new contender
  f  freeze the leader with its program, as if its machine were paused; again, or after 4 s: let it go on, and
     see its late writes refused or its program killed before it writes
  r  planned stop: the leader stops its program and hands over
  q  quit

Without a terminal, as in 'elector demo | cat', it plays one of each by itself and ends, after about 15 s.

      --color auto|always|never
                            [auto]

Exit status: 0 seen to the end, after q, or after TERM; 130 after INT; 2 usage; 125 nobody took over in time, or
elector failed.
";
