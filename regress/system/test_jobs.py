"""Jobs between the queue and deliver: which result counts after a reconnect, and what a kill of the queue alone costs."""
import collections
import contextlib
import os
import signal

from lib import Liar, Postern, until
from lib_edge import PROGRAMS
from lib_queue import DEFER, NOT_BEFORE, SENT, TEXT, Queue


def test_highest_number_has_the_recipient():
    """Of two jobs of one recipient that deliver still has the later one tells the truth, in whichever order they are told."""
    for order in (0, 1):
        with Queue() as q:
            id = q.put(["x@far.test", "y@far.test"])
            job = q.job()
            old, new = {**job, "rcpts": [{"n": 0}, {"n": 1}]}, {**job, "job": job["job"] + 7, "rcpts": [{"n": 1}]}
            held = [(j["job"], id, [r["n"] for r in j["rcpts"]]) for j in (old, new)]
            q.kill9()
            q.start(held[::-1] if order else held)
            q.result(old, DEFER)                        # of the second recipient it says nothing
            q.result(new, SENT)
            again = q.job()
            assert [r["n"] for r in again["rcpts"]] == [0] and again["job"] > new["job"], again
            q.result(again, SENT)
            q.wait_empty()


def test_job_that_lost_all():
    with Queue() as q:
        id = q.put(["x@far.test"])
        job = q.job()
        new = {**job, "job": job["job"] + 7}
        q.kill9()
        q.start([(job["job"], id, [0]), (new["job"], id, [0])])
        q.result(job, DEFER)
        q.result(new, SENT)
        q.wait_empty()


CONF = """action out relay via smtp://127.0.0.1:$sink
match from local for any action out
destination * { retry 1s..1s, lifetime 1h }
"""


def test_queue_killed_under_load():
    """The queue alone is killed again and again, while every third recipient is put off: deliver knows what became of each, so nobody gets
    a message twice, and no result is taken for another job's."""
    got, tries = collections.Counter(), collections.Counter()

    def rcpt(line):
        tries[line] += 1
        return "450 4.2.1 later\r\n" if tries[line] % 3 == 1 else "250 ok\r\n"

    def sink(c, n):
        to = []

        def take(line):
            answer = rcpt(line)
            to[:] = [line] if answer[0] == "2" else []
            return answer
        c.polite(ehlo="250 liar.test\r\n", answers={"RCPT": take, ".": lambda line: got.update(to) or "250 taken\r\n"})

    with Liar(sink) as s, Postern(CONF, sink=s.port, expect_trouble=True) as p:
        sent = 0
        for _ in range(5):
            with contextlib.suppress(OSError, EOFError), p.smtp() as c:
                for _ in range(60):
                    if c.mail("a@b.test", ["u%d@far.test" % (sent + 1)], TEXT).startswith("250"):
                        sent += 1
            for pid, _ in p.children("queue"):
                os.kill(pid, signal.SIGKILL)
            until(lambda: p.ctl("status")[0] == 0)
        p.wait_empty(30)
        assert sent > 100 and len(got) >= sent, (sent, len(got))
        assert max(got.values()) == 1, got.most_common(5)
        assert "which is not in this job" not in p.log()


def test_not_tried_is_no_attempt():
    """What deliver hands back, and what it had when it was killed from outside, was not tried, and is due again at once; nobody is suspected."""
    with Queue() as q:
        q.put(["x@far.test"])
        q.put(["y@far.test"])
        jobs = [q.job(), q.job()]
        q.result(jobs[0], NOT_BEFORE, rest_ms=0, wait=False)
        jobs[0] = q.job(3)
        assert jobs[0]["attempt"] == 1, jobs
        q.deliver.close()
        q.program.parent.send("DIED", {"prog": PROGRAMS.index("deliver"), "crashed": 0})
        q.connect()
        jobs = [q.job(3), q.job(3)]                     # both at once: a suspect is tried alone
        assert [j["attempt"] for j in jobs] == [1, 1], jobs
        for j in jobs:
            q.result(j, SENT)
        q.wait_empty()


def test_crash_makes_suspects():
    with Queue() as q:
        q.put(["x@far.test"])
        q.put(["y@far.test"])
        assert q.job() and q.job()
        q.deliver.close()
        q.program.parent.send("DIED", {"prog": PROGRAMS.index("deliver"), "crashed": 1})
        q.connect()
        first = q.job(3)
        assert first["attempt"] == 1
        q.no_job()
        q.result(first, SENT)
        q.result(q.job(3), SENT)
        q.wait_empty()
