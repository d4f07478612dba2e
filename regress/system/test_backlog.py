"""What waits, and for what: a destination that is up is served at once, one that is not costs nothing, and nobody waits for another."""
import socket
import time

from lib import LOCAL, Liar, Postern, until

TEXT = b"From: a@b.test\r\nSubject: waits\r\n\r\nbody\r\n"


def conf(*ports, retry="1s..2s", more=""):
    """Addresses below netN.test go to the N-th port, by one action each."""
    lines = [LOCAL.replace("for any action", "for domain example.test action")]
    for n, port in enumerate(ports, 1):
        lines.append("action out%d relay via smtp://127.0.0.1:%d" % (n, port))
        lines.append("match from local for domain net%d.test action out%d" % (n, n))
        lines.append("match from local for domain .net%d.test action out%d" % (n, n))
    return "\n".join(lines) + "\ndestination * { retry %s, lifetime 1d }\n%s" % (retry, more)


def send(p, rcpts, sender="a@b.test"):
    """A message each, pipelined."""
    with socket.create_connection(("127.0.0.1", p.port), 60) as s, s.makefile("rb") as answers:
        def ask(data, *codes):
            s.sendall(data)
            for code in codes:
                line = answers.readline()
                assert line.startswith(code), line
        answers.readline()
        ask(b"HELO client.test\r\n", b"250")
        for r in rcpts:
            ask(b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (sender.encode(), r.encode()), b"250", b"250", b"354")
            ask(TEXT + b".\r\n", b"250")


class Switch:
    """A server that says nothing, closes, refuses, or takes mail, as .state says ("mute", "gone", "down", "up"); .seen are the recipients whose message it took, in order; of so many recipients as .refuse
    says it wants none now."""

    def __init__(self, state="up"):
        self.state, self.seen, self.refuse = state, [], 0
        self.liar = Liar(self.script)
        self.port = self.liar.port

    def script(self, c, _):
        rcpt = [""]

        def final(_):
            self.seen.append(rcpt[0])
            return "250 taken\r\n"

        def to(line):
            rcpt[0] = line.partition("<")[2].partition(">")[0]
            if self.refuse:
                self.refuse -= 1
                return "450 4.2.1 not now\r\n"
            return "250 ok\r\n"
        until(lambda: self.state != "mute", 60)
        if self.state == "gone":
            return
        c.polite(answers={"banner": "421 4.3.2 closed\r\n"} if self.state == "down" else {"RCPT": to, ".": final})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.state == "mute":
            self.state = "down"
        self.liar.close()


def stat(p, text):
    """A number of `posternctl stats` by its words."""
    return next(int(line.split()[0]) for line in p.ctl("stats")[1].splitlines() if text in line)


def test_sibling():
    """The one that is tried again after a second does not wait for the other, whose server hangs."""
    with Switch("mute") as mute, Switch() as fine, Postern(conf(mute.port, fine.port)) as p:
        fine.refuse = 1
        with p.smtp() as s:
            assert s.mail("a@b.test", ["x@net1.test", "y@net2.test"], TEXT).startswith("250")
        until(lambda: fine.seen == ["y@net2.test"], 8)
        assert mute.seen == [] and p.queued() == 1


def test_success_wakes():
    """What was deferred because the host could not be reached goes when mail of another domain gets through there, whatever its own time is."""
    with Switch("gone") as host, Postern(conf(host.port, retry="1h..2h")) as p:
        send(p, ["x@one.net1.test", "y@two.net1.test"])
        until(lambda: p.ctl_json("queue", "count", "state=deferred")[0]["recipients"] == 2)
        host.state = "up"
        assert p.ctl("queue", "retry", "domain=one.net1.test")[0] == 0
        p.wait_empty(8)
        assert sorted(host.seen) == ["x@one.net1.test", "y@two.net1.test"]


def test_rest_costs_nothing():
    """What waits for a host that is down is not loaded at each rest, and says why it waits."""
    with Switch("down") as host, Postern(conf(host.port, retry="6s..7s", more="destination 127.0.0.1 { concurrency 1 }\n")) as p:
        send(p, ["first@net1.test"])
        p.wait_log("to=<first@net1.test>.*status=deferred")
        send(p, ["r%d@net1.test" % n for n in range(120)])
        until(lambda: stat(p, "messages in memory") < 10)
        before, tried = stat(p, "loaded from the index"), host.liar.connections
        until(lambda: host.liar.connections > tried)
        assert stat(p, "loaded from the index") - before < 20
        rests = p.ctl_json("queue", "count", "reason~closed")[0]["recipients"]
        assert rests >= 110, rests
        host.state = "up"
        p.wait_empty(20)
        assert len(set(host.seen)) == 121


def test_mute_smarthost():
    """A hundred domains behind one that says nothing have its share of the places; local mail and others are not held up."""
    with Switch("mute") as mute, Switch() as fine, Postern(conf(mute.port, fine.port)) as p:
        send(p, ["r%d@d%d.net1.test" % (n, n % 100) for n in range(2500)])
        until(lambda: stat(p, "jobs in flight") >= 20)
        assert stat(p, "jobs in flight") <= 40
        send(p, ["one@example.test", "x@net2.test"])
        until(lambda: len(p.mail("one")) == 1 and fine.seen == ["x@net2.test"], 8)


def test_letter_under_a_rate():
    """One rate for all: a letter waits for its sender's turn, not for a newsletter's two hundred domains."""
    with Switch() as host, Postern(conf(host.port, more="destination 127.0.0.1 { rate 10/s burst 1 }\n")) as p:
        send(p, ["r@d%d.net1.test" % n for n in range(200)], sender="news@b.test")
        send(p, ["letter@other.net1.test"], sender="clerk@c.test")
        until(lambda: "letter@other.net1.test" in host.seen, 15)
        assert host.seen.index("letter@other.net1.test") < 60, host.seen.index("letter@other.net1.test")
        qid = p.ctl_json("queue", "list", "domain=d199.net1.test")[0]["id"]
        assert "place" in p.ctl("why", qid)[1], p.ctl("why", qid)[1]


def test_acts_while_paused():
    """More than memory has room for, and nothing is sent: what is done to one or to all is done."""
    with Postern(conf(1)) as p:
        assert p.ctl("pause", "delivery")[0] == 0
        send(p, ["r%d@net1.test" % n for n in range(11000)])
        assert p.ctl_json("queue", "hold", "to=r10999@net1.test")[0]["recipients"] == 1
        assert p.ctl_json("queue", "count", "state=held")[0]["recipients"] == 1
        assert stat(p, "messages in memory") < 10000
        status, out, err = p.ctl("queue", "remove", "all")
        assert status == 0 and "11000 messages" in out, (out, err)
        assert p.queued() == 0


test_acts_while_paused.seconds = 120


def test_sink_that_paused():
    """More waits than memory has room for, while a server says nothing; when it goes on all of it goes, without a time that was booked."""
    with Switch("mute") as host, Postern(conf(host.port)) as p:
        send(p, ["r%d@net1.test" % n for n in range(5600)])
        host.state = "up"
        begun = time.monotonic()
        p.wait_empty(60)
        assert len(set(host.seen)) == 5600, len(host.seen)
        assert time.monotonic() - begun < 60


test_sink_that_paused.seconds = 120
