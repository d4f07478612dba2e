"""Jobs between the queue and deliver: which result counts after a reconnect, and what a kill of the queue alone costs."""
import collections
import contextlib
import os
import signal

from lib import Liar, Postern, until
from lib_queue import DEFER, SENT, TEXT, Queue


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
