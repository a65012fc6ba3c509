#!/usr/bin/env python3
"""Notes the last invoice that was sent: elector run ... /billing -- ./zookeeper.py NUMBER

The connect string is elector's, chroot included.
"""
import os
import sys

from kazoo.client import KazooClient

election, token = os.environ["ELECTOR_ELECTION"], int(os.environ["ELECTOR_TOKEN"])
client = KazooClient(os.environ["ZOOKEEPER"], timeout=30)
client.start()


def own_znode():
    """The path of this term's znode. No other znode of the ensemble ever has the same czxid."""
    for name in client.get_children(election):
        stat = client.exists(f"{election}/{name}")
        if stat and stat.czxid == token:
            return f"{election}/{name}"
    sys.exit("this term is over")


transaction = client.transaction()
transaction.check(own_znode(), -1)  # the fence
transaction.set_data("/last-invoice", sys.argv[1].encode())
for result in transaction.commit():  # returns what went wrong, and does not raise it
    if isinstance(result, Exception):
        sys.exit(f"refused: {result!r}")
client.stop()
