"""A contender of kazoo's Election or Lock, to stand beside ours in one election.

Arguments: servers, election path, id, session timeout in milliseconds, and which recipe: `election` and `lock` as
they come (layout `kazoo`), or `joined`, the Election with the three lines that bring it into the layout `lock`.

It prints "LEADING id at=N" when its work begins and "LOST id at=N" when it has stopped, before anything is released;
N is CLOCK_MONOTONIC in nanoseconds. Its work stops when kazoo says that the connection is suspended. On its standard
input `close` leaves the election, `start` joins it again, `contenders` prints who is there as kazoo sees it, `quit`
or the end of input ends the program.
"""

import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import CancelledError, KazooException
from kazoo.protocol.states import KazooState
from kazoo.recipe.election import Election
from kazoo.recipe.lock import Lock

RETRY_AFTER = 0.2
START_LIMIT = 60
LOOK_EVERY = 0.002
printing = threading.Lock()


def say(line):
    with printing:
        print(line, flush=True)


class L(Lock):
    _NODE_NAME = "-lock-"
    _EXCLUDE_NAMES = ["-lock-"]


class Peer:
    """Takes part in one election, one stay after the other."""

    def __init__(self, servers, path, name, timeout, recipe):
        self.servers = servers
        self.path = path
        self.name = name
        self.timeout = timeout
        self.recipe = recipe
        self.thread = None

    def join(self):
        self.leaving = threading.Event()
        self.election = None
        self.thread = threading.Thread(target=self.contend)
        self.thread.start()

    def leave(self):
        if self.thread is None:
            return
        self.leaving.set()
        while self.thread.is_alive():
            election = self.election
            if election is not None:
                election.cancel()  # ends waiting; a term ends by `leaving`
            self.thread.join(0.05)
        self.thread = None
        say(f"CLOSED {self.name}")

    def contend(self):
        """Stays until it is told to leave; a stay that fails is followed by another, with a new session."""
        while not self.leaving.is_set():
            client = KazooClient(hosts=self.servers, timeout=self.timeout)
            try:
                client.start(timeout=START_LIMIT)
                self.stay(client)
            except (KazooException, client.handler.timeout_exception) as trouble:
                say(f"ERROR {trouble!r}")
                time.sleep(RETRY_AFTER)
            finally:
                client.stop()
                client.close()

    def stay(self, client):
        suspended = threading.Event()

        def changed(state):
            if state != KazooState.CONNECTED:
                suspended.set()

        client.add_listener(changed)

        def lead():
            suspended.clear()  # what happened while it waited is over
            say(f"LEADING {self.name} at={time.monotonic_ns()}")
            while client.connected and not suspended.is_set() and not self.leaving.is_set():
                suspended.wait(LOOK_EVERY)
            say(f"LOST {self.name} at={time.monotonic_ns()}")

        if self.recipe == "lock":
            self.election = client.Lock(self.path, self.name)
            try:
                with self.election:
                    lead()
            except CancelledError:
                pass
        else:
            self.election = Election(client, self.path, self.name)
            if self.recipe == "joined":
                self.election.lock = L(client, self.path, self.name)
            self.election.run(lead)


def main():
    servers, path, name, milliseconds, recipe = sys.argv[1:]
    peer = Peer(servers, path, name, int(milliseconds) / 1000, recipe)
    peer.join()
    for line in sys.stdin:
        command = line.strip()
        if command == "quit":
            break
        if command == "close":
            peer.leave()
        elif command == "start":
            peer.join()
        elif command == "contenders":
            say("CONTENDERS " + " ".join(peer.election.contenders()))
        else:
            say(f"UNKNOWN {command}")
    peer.leave()
    say(f"BYE {name}")


main()
