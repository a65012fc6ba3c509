#!/usr/bin/env python3
"""Keeps one value and refuses stale leaders: service.py FILE PORT

PUT stores its body and GET answers the value. Both carry "Fencing-Token: N": without it 428, and 412 if a higher
token was seen. A GET raises the token too, so that nothing older changes what its sender goes on to build on.
"""
import http.server
import json
import os
import re
import sys
import threading

LONGEST_VALUE = 1 << 20


class Store:
    """A value and the highest token seen, in one file: neither can be on disk without the other."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.token, self.value = 0, ""
        if os.path.exists(path):
            with open(path) as file:
                self.token, self.value = json.load(file)

    def accept(self, token, value=None):
        """Takes the value if there is one; answers the value in force, or None to a stale token."""
        with self.lock:  # comparing and storing are one step
            if token < self.token:  # the fence
                return None  # the fence
            value = self.value if value is None else value
            if (token, value) != (self.token, self.value):
                self.save(token, value)
            return value

    def save(self, token, value):
        with open(self.path + ".new", "w") as file:
            json.dump([token, value], file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)
        directory = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        self.token, self.value = token, value


class Handler(http.server.BaseHTTPRequestHandler):
    store = None

    def do_GET(self):
        self.answer()

    def do_PUT(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_VALUE:
            return self.send_error(411 if not length else 413)
        self.answer(self.rfile.read(int(length)).decode(errors="replace"))

    def answer(self, value=None):
        token = self.headers.get("Fencing-Token", "")
        if not re.fullmatch("[0-9]{1,19}", token):
            return self.send_error(428, "Fencing-Token is missing or no number")
        value = self.store.accept(int(token), value)
        if value is None:
            return self.send_error(412, "the token is stale: another leads or led")
        body = value.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    Handler.store = Store(sys.argv[1])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
