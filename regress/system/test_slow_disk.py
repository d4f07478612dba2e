"""A disk whose syncs take a second: every 250 waits for its own, and no step of the queue's main loop waits for any."""
import contextlib
import os
import threading
import time
import lib
from lib import Postern, Sink, until

CONF = """action out relay via smtp://127.0.0.1:$sink
match from any for any action out
limit recipients 30000
destination * { retry 1h..1h, lifetime 10h, concurrency 20 }
"""
SLOW_MS = 1000


@contextlib.contextmanager
def slow(port):
    shim = os.path.join(lib.B, "crash/slowdisk.so")
    if not os.path.exists(shim):
        raise lib.Skip("needs " + shim)
    if os.environ.get("SAN"):
        raise lib.Skip("two libraries that must both come first")
    with Postern(CONF, sink=port, start=False) as p:
        folder = os.path.join(p.dir, "bin")
        os.mkdir(folder)
        for name in os.listdir(p.bin):
            os.symlink(os.path.join(p.bin, name), os.path.join(folder, name))
        os.unlink(os.path.join(folder, "posternd"))
        os.link(os.path.join(p.bin, "posternd"), os.path.join(folder, "posternd"))
        queue = os.path.join(folder, "postern-queue")
        os.unlink(queue)
        with open(queue, "w", encoding="ascii") as f:
            f.write('#!/bin/sh\nLD_PRELOAD=%s SLOWDISK_MS=%d exec %s "$@"\n' % (shim, SLOW_MS, os.path.join(p.bin, "postern-queue")))
        os.chmod(queue, 0o755)
        p.bin = folder
        yield p.start()


def no_step_waited(p):
    held = {k: v for k, v in p.ctl_json("stats")[0].items() if k.startswith("held_")}
    assert max(held.values()) < SLOW_MS * 1000 / 2, held
    assert "the longest step of the main loop" in p.ctl("stats")[1]


def test_no_step_waits():
    n = 12000
    with Sink(rcpt=lambda r: "550 5.1.1 no such person" if "bad" in r else None) as sink, slow(sink.port) as p:
        begun = time.monotonic()
        with p.smtp() as s:
            assert s.mail("", "one@far.test", b"Subject: x\r\n\r\nhi\r\n").startswith("250")
        assert time.monotonic() - begun >= SLOW_MS / 1000      # not before its sync
        sink.wait(1, 10)
        p.ctl("pause", "delivery")
        with p.smtp() as s:
            assert s.mail("", ["a-recipient-whose-name-is-as-long-as-some-are-%d@far.test" % i for i in range(n)],
                          b"Subject: many\r\n\r\n" + b"x" * 70 + b"\r\n").startswith("250")
        until(lambda: p.ctl_json("queue", "count")[0]["recipients"] == n, 20)
        for act in ("hold", "release"):                         # every row is written anew: the log is emptied, more than once
            assert p.ctl("queue", act, "all")[0] == 0
        assert p.ctl("suspend", "domain", "other.test")[0] == 0
        no_step_waited(p)
        mails = [threading.Thread(target=large, args=(p, i)) for i in range(3)]
        for m in mails:
            m.start()
        p.ctl("queue", "remove", "all")
        for m in mails:
            m.join()
        p.ctl("resume", "delivery")
        p.wait_empty(30)
        no_step_waited(p)


def large(p, i):
    with p.smtp() as s:
        assert s.mail("", "large%d@far.test" % i, b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 30000).startswith("250")


test_no_step_waits.seconds = 120
