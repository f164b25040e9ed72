"""An MCP client over a child's standard streams: what scripts/try and scripts/bench measure with."""

import json
import os
import selectors
import signal
import statistics
import subprocess
import tempfile
import time


class Failed(Exception):
    """A server that did not do what it should have."""


class Server:
    """A server that is a child of ours. Times are milliseconds since its start."""

    def __init__(self, argv, cwd="/", env=None, patience=300):
        self.argv, self.patience, self.ids, self.buffer = argv, patience, 0, b""
        self.words = tempfile.TemporaryFile()
        self.started = time.perf_counter()
        self.child = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.words, bufsize=0
        )
        self.reading = selectors.DefaultSelector()
        self.reading.register(self.child.stdout, selectors.EVENT_READ)

    def elapsed(self):
        return (time.perf_counter() - self.started) * 1000

    def fail(self, what):
        self.words.seek(0)
        last = self.words.read()[-2000:].decode(errors="replace").strip()
        raise Failed(f"{' '.join(self.argv)}: {what}" + (f"\n{last}" if last else ""))

    def write(self, data):
        try:
            self.child.stdin.write(data)
        except BrokenPipeError:
            self.fail("ended")

    def line(self):
        end = time.monotonic() + self.patience
        while b"\n" not in self.buffer:
            if not self.reading.select(max(0, end - time.monotonic())):
                self.fail(f"no answer within {self.patience} s")
            chunk = os.read(self.child.stdout.fileno(), 1 << 16)
            if not chunk:
                self.fail("ended without an answer")
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def send(self, method, params=None, **more):
        message = {"jsonrpc": "2.0", **more, "method": method, "params": params or {}}
        self.write(json.dumps(message).encode() + b"\n")

    def request(self, method, params=None):
        self.ids += 1
        self.send(method, params, id=self.ids)
        while True:
            line = self.line()
            try:
                answer = json.loads(line)
            except ValueError:
                self.fail(f"not JSON: {line[:200]!r}")
            if answer.get("id") == self.ids and "method" not in answer:
                if "error" in answer:
                    self.fail(f"{method}: {answer['error']}")
                return answer["result"]
            if "id" in answer:  # the server asks us
                result = {"roots": []} if answer["method"] == "roots/list" else {}
                self.write(json.dumps({"jsonrpc": "2.0", "id": answer["id"], "result": result}).encode() + b"\n")

    def initialize(self):
        """The server's info; how long it took is in `ready`."""
        client = {"name": "jitbox-scripts", "version": "1"}
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
        result = self.request("initialize", asked)
        self.ready = self.elapsed()
        self.send("notifications/initialized")
        return result["serverInfo"]

    def close(self, patience=10):
        """Ends it as clients do: end of input, then a signal. Returns its exit code."""
        self.child.stdin.close()
        try:
            self.child.wait(patience)
        except subprocess.TimeoutExpired:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.child.stdout.close()
        self.words.close()
        return self.child.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.returncode is None:
            self.close()


def start_ms(argv, **more):
    """One start, until the answer to `initialize`."""
    with Server(argv, **more) as server:
        server.initialize()
        return server.ready


def ms(value):
    return f"{value:.0f} ms"


median = statistics.median
