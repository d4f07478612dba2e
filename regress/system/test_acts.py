"""What an administrator did and was told is done survives a kill at any moment, also of what was under way."""
import contextlib
import os
import sqlite3
import time

from lib import until
from lib_queue import CONF, DEFER, SENT, Queue

LONG = CONF.replace("retry 1s..2s", "retry 1h..1h") + "limit recipients 100000\n"
DELAY = CONF.replace("retry 1s..2s, lifetime 1d", "retry 1s..1s, lifetime 1d, delay-notice 1s")


def states(q):
    return [m["state"] for m in q.ctl_json("queue", "list")]


def one_left(q, state):
    """the only message is in that state"""
    until(lambda: states(q) == [state])


def notice(q, job=None):
    """The notice to the sender, and nothing else."""
    job = job or q.job()
    assert job["sender"] == "" and [r["addr"] for r in job["rcpts"]] == ["a@src.test"], job
    q.result(job, SENT)
    q.wait_empty()
    q.no_job(0.2)


def done(q, act):
    """The act was done, after the delivery failed (or nobody had it any more)."""
    if act == "hold":
        one_left(q, "held")
        q.no_job(0.2)
    elif act == "remove":
        q.wait_empty()
        q.no_job(0.2)
    elif act in ("bounce", "expire"):
        notice(q)


def test_under_way():
    for act in ("hold", "remove", "bounce", "expire"):
        for held in (True, False):
            with Queue(LONG) as q:
                id = q.put(["x@far.test"])
                job = q.job()
                name = q.ctl_json("queue", "list")[0]["id"]
                status, out, err = q.ctl("queue", act, name)
                assert status == 0 and "when it returns" in out, (out, err)
                q.kill9()
                q.start([(job["job"], id, [0])] if held else [])
                if held:
                    assert states(q) == ["active"]
                    q.result(job, DEFER)
                done(q, act)


def test_under_way_and_delivered():
    """Delivered is delivered, whatever was to become of it else."""
    with Queue(LONG) as q:
        id = q.put(["x@far.test"])
        job = q.job()
        assert q.ctl("queue", "hold", "all")[0] == 0
        q.kill9()
        q.start([(job["job"], id, [0])])
        q.result(job, SENT)
        q.wait_empty()


def test_taken_back():
    """A hold that waits and is released before the delivery returns is none, also for the next run."""
    with Queue() as q:
        id = q.put(["x@far.test"])
        job = q.job()
        assert q.ctl("queue", "hold", "all")[0] == 0 and q.ctl("queue", "release", "all")[0] == 0
        q.kill9()
        q.start([(job["job"], id, [0])])
        q.result(job, DEFER)
        q.result(q.job(), SENT)
        q.wait_empty()


def test_answered():
    """What waits for its time: each act counts as soon as it was answered."""
    for act in ("hold", "remove", "bounce", "expire"):
        with Queue(LONG) as q:
            q.put(["x@far.test"])
            q.result(q.job(), DEFER)
            one_left(q, "deferred")
            assert q.ctl("queue", act, "all")[0] == 0
            q.kill9()
            q.start()
            done(q, act)


def test_release_is_durable():
    with Queue(LONG) as q:
        q.put(["x@far.test"])
        q.result(q.job(), DEFER)
        for _ in range(3):
            assert q.ctl("queue", "hold", "all")[0] == 0
            one_left(q, "held")
            q.ctl("pause", "delivery")
            assert q.ctl("queue", "release", "all")[0] == 0
            q.kill9()
            q.start()
            one_left(q, "active")
            q.ctl("resume", "delivery")
            q.result(q.job(), DEFER)
            one_left(q, "deferred")


def test_retry_all_misses_nothing():
    """A message whose first rows are being written is meant too."""
    with Queue(LONG) as q:
        q.put(["u%d@far.test" % i for i in range(20000)])
        job = q.job()
        q.result(job, DEFER)
        assert q.ctl("queue", "retry", "all")[0] == 0
        wanted, end = {r["n"] for r in job["rcpts"]}, time.monotonic() + 20
        while wanted and time.monotonic() < end:
            again = q.job()
            if again["attempt"] == 2:
                wanted -= {r["n"] for r in again["rcpts"]}
            q.result(again, SENT, wait=False)
        assert not wanted, wanted


def test_recipients_are_counted():
    """Those that came to their end before their rows were written are not among those that wait, in either count."""
    with Queue(LONG) as q:
        q.put(["u%d@%s.test" % (i, "far" if i < 30000 else "near") for i in range(32000)])
        jobs, near = [], 0
        while near < 20:                                # the last ones come to their end first
            jobs.append(q.job())
            if jobs[-1]["domain"] == "near.test":
                near += 1
                q.result(jobs.pop(), SENT, wait=False)
        for n in range(300):
            q.result(jobs.pop() if jobs else q.job(), DEFER, wait=False)
        until(lambda: q.count()["recipients"] == 30000)
        q.program.__exit__()                            # in order, so that all is in the file
        with contextlib.closing(sqlite3.connect(os.path.join(q.dir, "index.db"))) as db:
            assert db.execute("SELECT live FROM msg").fetchall() == db.execute("SELECT count(*) FROM rcpt").fetchall() == [(30000,)]


def test_delay_is_told_once():
    with Queue(DELAY) as q:
        q.put(["x@far.test"])
        told = q.job()
        while told["sender"] != "":                     # once or twice
            q.result(told, DEFER)
            told = q.job()
        assert told["rcpts"][0]["addr"] == "a@src.test", told
        q.kill9()
        q.start()
        for _ in range(4):
            job = q.job()
            assert job["sender"] != "" or job["id"] == told["id"], job
            q.result(job, SENT if job["sender"] == "" else DEFER)
        assert q.count()["messages"] == 1
