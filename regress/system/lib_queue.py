"""lib_queue: postern-queue alone, with the test as its listener, its deliver and its administrator: what it does is decided by the test, step
by step, and it can be killed between any two of them.

    with Queue() as q:
        id = q.put(["x@far.test"])
        job = q.job()
        q.result(job, SENT)
"""
import json
import os
import shutil
import signal
import socket
import tempfile
import time

from lib import SLOW, until
from lib_edge import Program

SENT, DEFER, BOUNCE, NOT_BEFORE = range(4)
CONF = """hostname mx.test
domain example.test
spool "/tmp/postern-none"
runtime "/tmp/postern-none"
listen on 127.0.0.1 port 10690
action a relay
match from any for any action a
destination * { retry 1s..2s, lifetime 1d }
"""
TEXT = b"Subject: x\r\n\r\nhi\r\n"


class Queue:
    """conf: in place of CONF; env: of the process."""

    def __init__(self, conf=CONF, env=None):
        self.dir = tempfile.mkdtemp(prefix="postern-")
        self.conf, self.env, self.program, self.tx = conf, env or {}, None, 0
        self.start()

    def start(self, held=()):
        """held: jobs that deliver still has of before, (number, id, recipients)."""
        self.ids = []
        before = {name: os.environ.get(name) for name in self.env}
        os.environ.update(self.env)
        try:
            self.program = Program("queue", self.conf, directory=self.dir)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        with socket.socket(socket.AF_UNIX) as s:
            self.path = os.path.join(self.dir, "control.sock")
            if os.path.exists(self.path):
                os.unlink(self.path)
            s.bind(self.path)
            s.listen(16)
            s.setblocking(False)
            self.program.parent.send("CONTROL", {"value": 0}, fd=os.dup(s.fileno()))
        self.program.parent.send("START")
        self.said = [("", None)]                        # to the parent, up to READY
        while self.said[-1][0] != "READY":
            name, _, values, _ = self.program.parent.receive()
            self.said.append((name, values))
        self.listener = self.program.edge("listener")
        self.connect(held)

    def connect(self, held=()):
        """A new edge to deliver, which tells what it has."""
        self.deliver, self.jobs, self.acked = self.program.edge("deliver"), [], []
        for number, id, rcpts in held:
            self.deliver.send("JOB_HELD", {"job": number, "id": id, "rcpts": [{"n": n} for n in rcpts]})
        self.deliver.send("JOBS_TOLD")

    def kill9(self):
        self.program.process.send_signal(signal.SIGKILL)
        self.program.process.wait(10)
        self.deliver.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.program.process.poll() is None:
            self.program.__exit__()
        shutil.rmtree(self.dir, ignore_errors=True)

    # mail

    def begin(self, rcpts, sender="a@src.test", text=TEXT, arrival=None, **more):
        """A transaction up to its end, which is not waited for. -> queue id"""
        while not self.ids:
            self.listener.send("LEASE_ASK")
            name, _, p, _ = self.listener.receive()
            if name == "LEASE":
                self.ids = list(range(p["first"], p["first"] + p["count"]))
        id, self.tx = self.ids.pop(0), self.tx + 1
        self.listener.send("TX_BEGIN", {"version": 1, "id": id, "arrival": arrival or int(time.time() * 1000), "sender": sender, "body": 3,
                                        "uid": -1, "proto": "ESMTP", **more}, id=self.tx)
        rows = [{"addr": r, "action": "a"} if isinstance(r, str) else r for r in rcpts]
        for i in range(0, len(rows), 500):
            self.listener.send("TX_RCPT", {"rcpts": rows[i:i + 500]}, id=self.tx)
        self.listener.send("TX_DATA", {"bytes": text}, id=self.tx)
        self.listener.send("TX_COMMIT", id=self.tx)
        return id

    def put(self, rcpts, **more):
        """A message that is durable. -> queue id"""
        id = self.begin(rcpts, **more)
        while True:
            name, tx, p, _ = self.listener.receive()
            if name == "TX_DONE" and tx == self.tx:
                assert p["code"] == 250, p
                return id

    # deliver's side

    def next(self, name, seconds=20):
        """The next message of that name; jobs that come before it wait, acknowledgements are noted in acked."""
        if name == "JOB" and self.jobs:
            return self.jobs.pop(0)
        self.deliver.sock.settimeout(seconds * SLOW)
        while True:
            got, _, p, fd = self.deliver.receive()
            if got == "JOB_ACK":
                self.acked.append(p["job"])
            if fd != -1:
                os.close(fd)
            if got == name:
                return p
            if got == "JOB":
                self.jobs.append(p)

    def job(self, seconds=20):
        return self.next("JOB", seconds)

    def no_job(self, seconds=0.5):
        try:
            job = self.job(seconds / SLOW)
        except TimeoutError:
            return
        raise AssertionError("a job: %r" % job)

    def ack(self, number, seconds=20):
        while number not in self.acked:
            self.next("JOB_ACK", seconds)

    def result(self, job, outcome, code=None, dsn=None, text="so", relay="far.test[192.0.2.1]:25", rest_ms=0, rcpts=None, wait=True):
        """The same for all recipients of the job. rcpts: others in their place."""
        code = {SENT: 250, DEFER: 450, BOUNCE: 550, NOT_BEFORE: 0}[outcome] if code is None else code
        dsn = {SENT: "2.0.0", DEFER: "4.2.1", BOUNCE: "5.1.1", NOT_BEFORE: ""}[outcome] if dsn is None else dsn
        self.deliver.send("JOB_RESULT", {"job": job["job"], "id": job["id"], "rest_ms": rest_ms, "results": [
            {"n": r["n"], "outcome": outcome, "code": code, "dsn": dsn, "text": text, "relay": relay} for r in rcpts or job["rcpts"]]})
        if wait:
            self.ack(job["job"])

    # the administrator

    def ctl(self, *words, wait=True, form="text"):
        """-> (status, standard output, standard error); wait=False: the socket, once the question is written."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30 * SLOW)
        s.connect(self.path)
        s.sendall(("\t".join((form,) + words) + "\n").encode())
        if not wait:
            return s
        return self.answer(s)

    @staticmethod
    def answer(s):
        data = b""
        with s:
            while True:
                more = s.recv(65536)
                if not more:
                    break
                data += more
        out, err, code = "", "", None
        for line in data.decode("utf-8", "replace").splitlines():
            if line[:1] == " ":
                out += line[1:] + "\n"
            elif line[:1] == "!":
                err += line[1:] + "\n"
            elif line[:1] == "=":
                code = int(line[1:])
        assert code is not None, "the answer broke off: %r" % data[-200:]
        return code, out, err

    def ctl_json(self, *words):
        code, out, err = self.ctl(*words, form="json")
        assert code in (0, 1), (code, err)
        return [json.loads(line) for line in out.splitlines()]

    def count(self):
        return self.ctl_json("queue", "count")[0]

    def wait_empty(self, seconds=10):
        def empty():
            """the queue is empty"""
            return self.count()["messages"] == 0
        until(empty, seconds, 0.05)
