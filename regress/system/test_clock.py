"""The wall clock is wrong at the start, or jumps while the queue runs: nothing is given up or told of for that."""
import glob
import os
import time

from lib import Skip
from lib_queue import CONF, DEFER, SENT, Queue

YEARS = 3650 * 86400
HASTY = CONF.replace("retry 1s..2s, lifetime 1d", "retry 1s..1s, lifetime 2d, delay-notice 1d")


class Clock:
    """A queue whose wall clock is off by so many seconds, which step changes."""

    def __init__(self, off):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            raise Skip("needs faketime")
        if os.environ.get("SAN"):
            raise Skip("two libraries that must both come first")
        self.queue = Queue.__new__(Queue)
        self.file = "/tmp/postern-clock-%d" % os.getpid()
        self.step(off)
        self.queue.__init__(HASTY, {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1",
                                    "FAKETIME_DONT_FAKE_MONOTONIC": "1"})

    def step(self, off):
        self.off = off
        with open(self.file + ".new", "w", encoding="ascii") as f:
            f.write("%+d" % off)
        os.rename(self.file + ".new", self.file)
        time.sleep(1.2)                                 # so that the queue sees it before a message comes

    def put(self, rcpt):
        return self.queue.put([rcpt], arrival=int((time.time() + self.off) * 1000))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.queue.__exit__()
        os.unlink(self.file)


def still_there(c, n):
    """All n messages are tried, put off, and are there still: neither given up nor told of."""
    q = c.queue
    for _ in range(n):
        q.result(q.job(), DEFER)
    assert q.count()["messages"] == n, q.ctl("queue", "list")[1]
    assert [row["age"] < 3600 and row["from"] != "" for row in q.ctl_json("queue", "list")] == [True] * n


def test_wrong_at_the_start():
    for off in (YEARS, -YEARS):
        with Clock(off) as c:
            c.put("early@far.test")
            c.step(0)
            c.put("late@far.test")
            still_there(c, 2)
            c.step(-off)
            still_there(c, 2)


def restart(c, off):
    """The queue alone is killed, and begins again with another wall clock."""
    time.sleep(1.5)                                     # the index has it
    c.queue.kill9()
    c.step(off)
    c.queue.start()


def test_ahead_all_along():
    """A run whose clock is years ahead finds older mail: one attempt that fails is not the end of it."""
    with Clock(0) as c:
        c.put("early@far.test")
        c.queue.result(c.queue.job(), DEFER)
        restart(c, YEARS)
        still_there(c, 1)
        still_there(c, 1)


def test_due_by_another_clock():
    """What a run whose clock was days ahead put off is due when no retry could be later."""
    with Clock(9 * 86400) as c:
        c.put("early@far.test")
        c.queue.result(c.queue.job(), DEFER)
        restart(c, 0)
        still_there(c, 1)


def test_jumps():
    with Clock(0) as c:
        c.put("early@far.test")
        for off in (3 * 86400, -3 * 86400, YEARS):
            c.step(off)
            still_there(c, 1)
        c.queue.result(c.queue.job(), SENT)
        c.queue.wait_empty()
