#!/usr/bin/env python3
"""Notes the last invoice that was sent: elector run ... /billing -- ./zookeeper_data.py NUMBER

The data is the highest token seen, a space, and the value.
"""
import os
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError

token = int(os.environ["ELECTOR_TOKEN"])
client = KazooClient(os.environ["ZOOKEEPER"], timeout=30)
client.start()


def write():
    """Whether it was written; if not, somebody else wrote since this looked."""
    data, stat = client.get("/last-invoice")
    if int(data.split(b" ")[0]) > token:
        sys.exit("refused: this term is over")
    try:
        client.set(
            "/last-invoice",
            b"%d %s" % (token, sys.argv[1].encode()),
            version=stat.version,  # the fence
        )
    except BadVersionError:
        return False
    return True


while not write():
    pass
client.stop()
