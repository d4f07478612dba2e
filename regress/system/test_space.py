"""The spool on a small file system of its own: full, out of inodes, held by few."""
import contextlib
import json
import os
import re
import subprocess
import threading
import time
import lib
from lib import Postern, Sink, until

CONF = """action out relay via smtp://127.0.0.1:$sink
action none discard
match from any for domain "none.test" action none
match from any for any action out
limit message-size 20M
destination * { retry 1s..1s, lifetime 1h, concurrency 20 }
"""


@contextlib.contextmanager
def small_spool(port, options, conf=CONF):
    """A Postern whose spool is a tmpfs with those options; it relays to that port."""
    lib.need_root()
    with Postern(conf, sink=port, start=False) as p:
        os.mkdir(p.spool)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", p.spool], check=False).returncode != 0:
            raise lib.Skip("needs the right to mount")
        try:
            p.start()
            yield p
        finally:
            p.end()
            subprocess.run(["umount", "-l", p.spool], check=True)


def text(serial, size):
    return b"Subject: n\r\nX-Serial: %d\r\n\r\n" % serial + (b"%070d\r\n" % serial) * (size // 72)


def send_until_full(p, size, most):
    """-> how many were taken before the first 452, which comes at once"""
    for n in range(most):
        with p.smtp() as s:
            begun = time.monotonic()
            answer = s.mail("", "x%d@far.test" % (n % 5), text(n, size))
            if not answer.startswith("250"):
                assert answer.startswith("452 4.3.1"), answer
                assert time.monotonic() - begun < 2 * lib.SLOW
                return n
    raise AssertionError("never full after %d messages" % most)


def fill(path):
    """Not one byte is left, or no inode."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as f:
        for piece in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while f.write(bytes(piece)) == piece:
                    pass


def answer(p):
    """to MAIL, its codes"""
    with p.smtp() as s:
        return s.cmd("MAIL FROM:<>")[:9]


def taken_again(p):
    """new mail is taken again"""
    return answer(p).startswith("250")


def index(p):
    """where it is"""
    return p.ctl_json("status")[0]["index"]


def restarts(p):
    """of the queue; None: it is not there, or has just begun and does not know"""
    status, out, _ = p.ctl("-j", "status")
    return {q["name"]: q["restarts"] for q in json.loads(out)["processes"]}.get("postern-queue") if status == 0 else None


def serials(sink):
    return sorted(int(e.content.split(b"X-Serial: ")[1].split()[0]) for e in sink.mails)


class Watch:
    """All the while: how long the control socket gave no answer, and what MAIL was told."""

    def __init__(self, p):
        self.p, self.over, self.silence, self.answers = p, threading.Event(), 0, set()
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.control, self.mail)]

    def control(self):
        last = time.monotonic()
        while not self.over.wait(0.1):
            good = self.p.ctl("status")[0] == 0
            self.silence = max(self.silence, time.monotonic() - last)
            if good:
                last = time.monotonic()

    def mail(self):
        while not self.over.wait(0.03):
            self.answers.add(answer(self.p))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for t in self.threads:
            t.join()
        if kind is None:
            assert 0 < self.silence < 2 * lib.SLOW, self.silence
            assert self.answers and self.answers <= {"250 2.1.0", "452 4.3.1"}, self.answers


def refuse(envelope):
    return "451 4.3.0 not now"


def drains(options, size, most):
    open_ = []
    with Sink(reply=lambda e: "250 2.0.0 taken" if open_ else refuse(e)) as sink, small_spool(sink.port, options) as p:
        n = send_until_full(p, size, most)
        assert n >= 3, n
        until(lambda: not taken_again(p), 2, 0.1)
        with Watch(p) as watch:
            fill(os.path.join(p.spool, "filler"))
            assert os.statvfs(p.spool).f_bavail == 0 or "nr_inodes" in options
            time.sleep(2)       # all of them are tried, and noted, while nothing is left
            assert watch.answers == {"452 4.3.1"}, watch.answers
            open_.append(True)
            p.wait_empty(20)
        assert restarts(p) == 0
        assert serials(sink) == list(range(n))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(p.spool, "filler"))
        until(lambda: taken_again(p), 10, 0.2)
        with p.smtp() as s:
            assert s.mail("", "x@far.test", text(n, size)).startswith("250")
        p.wait_empty(10)


def test_disk_full():
    drains("size=24m", 40000, 2000)


def test_disk_full_of_large_ones():
    drains("size=24m", 300000, 2000)


def test_out_of_inodes():
    drains("size=64m,nr_inodes=60", 200000, 600)


def test_few_do_not_hold_the_space():
    """A hundred times one deferred message and 24 that are done: as much as three of these file systems hold, were segments not emptied."""
    open_ = []
    with Sink(reply=lambda e: "250 2.0.0 taken" if open_ else refuse(e)) as sink, small_spool(sink.port, "size=24m") as p:
        for n in range(40):
            with p.smtp() as s:
                for serial in range(n * 25, n * 25 + 25):
                    to = "x@far.test" if serial % 25 == 7 else "x@none.test"

                    def taken():
                        """there is room"""
                        return s.mail("", to, text(serial, 60000)).startswith("250")
                    until(taken, 15, 0.1)
        assert len(os.listdir(os.path.join(p.spool, "seg"))) <= 16
        open_.append(True)
        p.wait_empty(20)
        assert serials(sink) == list(range(7, 1000, 25))
        assert all(lib.body_of(e.content) == text(int(e.content.split(b"X-Serial: ")[1].split()[0]), 60000) for e in sink.mails)


def attempts(p):
    return {row["id"]: row["attempts"] for row in p.ctl_json("queue", "list")}


def goes_back(p):
    """There is room again, and half a minute later the index is there."""
    os.unlink(os.path.join(p.spool, "filler"))
    until(lambda: index(p) == "disk", 40, 0.5)
    assert os.path.exists(os.path.join(p.spool, "index.db"))


def test_start_on_a_full_disk():
    """The index is in memory, with all that the last run had learnt; then on the disk, with what was learnt meanwhile."""
    open_ = []
    with Sink(reply=lambda e: "250 2.0.0 taken" if open_ else refuse(e)) as sink, small_spool(sink.port, "size=24m") as p:
        with p.smtp() as s:
            for n in range(30):
                assert s.mail("", "x@far.test", text(n, 1000)).startswith("250")
        until(lambda: min(attempts(p).values()) >= 3, 20, 0.2)
        known = attempts(p)
        p.kill9()
        fill(os.path.join(p.spool, "filler"))
        p.start()
        with Watch(p):
            assert index(p) == "memory" and "IN MEMORY, since the disk is full" in p.ctl("status")[1]
            assert all(n >= known[i] - 1 for i, n in attempts(p).items()) and len(known) == 30, (known, attempts(p))
            goes_back(p)
            assert restarts(p) == 0 and taken_again(p)
        known = attempts(p)
        p.stop()
        p.start()
        assert index(p) == "disk" and all(n >= known[i] for i, n in attempts(p).items()), (known, attempts(p))
        open_.append(True)
        p.wait_empty(20)
        assert serials(sink) == list(range(30))
        assert all(len(p.ctl_json("history", i)) >= n for i, n in known.items())


def for_many(p, n):
    with p.smtp() as s:
        assert s.mail("", ["recipient-with-a-name-%d@far.test" % i for i in range(n)], text(1, 1000)).startswith("250")


def all_came(sink, n):
    to = sorted(int(re.search(r"-(\d+)@", r)[1]) for e in sink.mails for r in e.rcpt_tos)
    assert to == list(range(n)), len(to)


MANY = "limit recipients 10000\n" + CONF.replace("1s..1s", "1h..1h")


def test_index_moves_while_it_runs():
    """Its rows are in the log, so many that what comes next must go to index.db, which cannot grow. Nothing is interrupted."""
    n = 2700
    with Sink() as sink, small_spool(sink.port, "size=24m", MANY) as p:
        p.ctl("pause", "delivery")
        for_many(p, n)
        until(lambda: p.ctl_json("queue", "count")[0]["recipients"] == n)
        with Watch(p):
            fill(os.path.join(p.spool, "filler"))
            assert p.ctl("queue", "hold", "all")[0] == 0
            until(lambda: index(p) == "memory", 3, 0.1)
            assert p.ctl_json("queue", "count")[0]["held"] == n
            assert p.ctl("queue", "release", "all")[0] == 0 and p.ctl("resume", "delivery")[0] == 0
            p.wait_empty(40)
            all_came(sink, n)
            goes_back(p)
        assert restarts(p) == 0


@contextlib.contextmanager
def log_is_full(p):
    """What the queue that runs now writes to the log of its index finds no room."""
    tracer = subprocess.Popen([lib.need("strace"), "-qq", "-f", "-p", str(p.children("queue")[0][0]), "-o", "/dev/null", "-P",
                               os.path.join(p.spool, "index.db-wal"), "-e", "inject=pwrite64:error=ENOSPC"])
    try:
        until(lambda: "TracerPid:\t0" not in open("/proc/%d/status" % p.children("queue")[0][0], encoding="ascii").read())
        yield
    finally:
        tracer.terminate()
        tracer.wait(5)


def test_no_room_for_a_transaction():
    """The index moves into memory with all that the log did not take. Nothing is interrupted, nothing is forgotten."""
    open_ = []
    with Sink(reply=lambda e: "250 2.0.0 taken" if open_ else refuse(e)) as sink, small_spool(sink.port, "size=24m", MANY) as p:
        with p.smtp() as s:
            ids = [s.mail("", "x@far.test", text(n, 1000)).split()[-1] for n in range(10)]
        until(lambda: attempts(p) == dict.fromkeys(ids, 1))
        assert len(p.ctl_json("history", ids[-1])) == 1         # what is gathered goes to the index now, not later
        assert p.ctl("queue", "hold", ids[0])[0] == 0 and p.ctl("queue", "hold", ids[1])[0] == 0
        open_.append(True)
        fill(os.path.join(p.spool, "filler"))
        until(lambda: answer(p) == "452 4.3.1", 3, 0.1)
        with Watch(p):
            with log_is_full(p):
                p.ctl("queue", "release", ids[0])
                until(lambda: index(p) == "memory", 3, 0.05)
            p.wait_log(ids[0] + ": released", 1)
            sink.wait(1, 3)
            until(lambda: attempts(p) == dict.fromkeys(ids[1:], 1), 3)
            assert p.ctl_json("queue", "count")[0]["held"] == 1
            assert p.ctl("queue", "release", ids[1])[0] == 0 and p.ctl("queue", "retry", "all")[0] == 0
            p.wait_empty(10)
            assert serials(sink) == list(range(10))
        assert restarts(p) == 0


for case in (test_disk_full, test_disk_full_of_large_ones, test_out_of_inodes, test_few_do_not_hold_the_space,
             test_start_on_a_full_disk, test_index_moves_while_it_runs, test_no_room_for_a_transaction):
    case.seconds = 120
