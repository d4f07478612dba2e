"""How fast, and over how many connections, mail goes to a destination: rates, concurrency, messages a connection, recipients a message."""
import time

from lib import LOCAL, Liar, Postern, until

TEXT = b"From: a@b.test\r\nSubject: throttled\r\n\r\nbody\r\n"


def conf(*ports, keys="", more=""):
    """Addresses in net N.test go to the N-th port."""
    lines = [LOCAL]
    for n, port in enumerate(ports, 1):
        lines.append("action out%d relay via smtp://127.0.0.1:%d" % (n, port))
        lines.append("match from local for domain net%d.test action out%d" % (n, n))
    return "\n".join(lines) + "\ndestination * { retry 1s..2s, lifetime 1h }\n" + \
        ("destination 127.0.0.1 { %s }\n" % keys if keys else "") + more


class Watch:
    """A polite server that notes when each message begins, how many recipients it has, and how many connections there are."""

    def __init__(self, answers=None, wait=0):
        self.begun, self.messages, self.open, self.most, self.per_connection = [], [], 0, 0, []
        self.answers, self.wait = answers or {}, wait
        self.liar = Liar(self.script)
        self.port = self.liar.port

    def script(self, c, _):
        mine = [0, None]        # messages of this connection, recipients of its last one
        self.per_connection.append(mine)

        def mail(_):
            self.begun.append(time.monotonic())
            mine[0] += 1
            mine[1] = [0]
            self.messages.append(mine[1])
            return "250 ok\r\n"

        def rcpt(_):
            mine[1][0] += 1
            return "250 ok\r\n"

        def final(_):
            time.sleep(self.wait)
            return "250 taken\r\n"
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            c.polite(answers={"MAIL": mail, "RCPT": rcpt, ".": final, **self.answers})
        finally:
            self.open -= 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.liar.close()


def windows(at, width):
    """The most and the fewest in any window of so many seconds that lies within."""
    most = max(sum(1 for u in at if t <= u < t + width) for t in at)
    least = min((sum(1 for u in at if t < u <= t + width) for t in at if t + width <= at[-1]), default=most)
    return least, most


def send(p, rcpts, each=True):
    with p.smtp() as s:
        for group in ([[r] for r in rcpts] if each else [rcpts]):
            answer = s.mail("a@b.test", group, TEXT)
            assert answer.startswith("250"), answer


def test_rate():
    """50/s, in every window of 2 s, and another destination does not wait for it."""
    with Watch() as slow, Watch() as fast, Postern(conf(slow.port, fast.port).replace("127.0.0.1:%d" % fast.port, "localhost:%d" % fast.port) +
                                                  "destination 127.0.0.1 { rate 50/s }\n") as p:
        send(p, ["r%d@net1.test" % n for n in range(300)])
        begun = time.monotonic()
        send(p, ["x%d@net2.test" % n for n in range(20)])
        until(lambda: len(fast.begun) == 20, 5)
        took = time.monotonic() - begun
        until(lambda: len(slow.begun) == 300, 20)
        assert took < 3, took
        at = slow.begun
        least, most = windows(at, 2)
        assert most <= 100 * 1.05 + 12, (least, most)     # and the burst of a quarter of a second at its beginning
        assert least >= 100 * 0.93, (least, most)
        p.wait_empty()


def test_burst():
    with Watch() as w, Postern(conf(w.port, keys="rate 60/m burst 10")) as p:
        send(p, ["r%d@net1.test" % n for n in range(14)])
        until(lambda: len(w.begun) == 13, 15)
        assert w.begun[9] - w.begun[0] < 1, w.begun
        assert 0.7 < w.begun[10] - w.begun[0] and 2.5 < w.begun[12] - w.begun[0] < 5, [t - w.begun[0] for t in w.begun]


def test_slow_rate_goes_back():
    """What has to wait for long is not kept by deliver."""
    with Watch() as w, Postern(conf(w.port, keys="rate 6/m")) as p:
        send(p, ["r%d@net1.test" % n for n in range(6)])
        until(lambda: len(w.begun) == 2, 20)
        assert 9 < w.begun[1] - w.begun[0] < 13, w.begun
        assert p.queued() >= 4


def test_shared_by_smarthost_name():
    """Two actions, one block: one rate for both."""
    with Watch() as one, Watch() as two, Postern(conf(one.port, two.port, keys="rate 20/s burst 1")) as p:
        send(p, ["r%d@net%d.test" % (n, 1 + n % 2) for n in range(60)])
        until(lambda: len(one.begun) + len(two.begun) == 60, 20)
        at = sorted(one.begun + two.begun)
        assert 2.7 < at[-1] - at[0] < 4.5, at[-1] - at[0]
        assert windows(at, 1)[1] <= 22, windows(at, 1)


def test_concurrency():
    with Watch(wait=0.1) as w, Postern(conf(w.port, keys="concurrency 3")) as p:
        send(p, ["r%d@net1.test" % n for n in range(30)])
        until(lambda: len(w.begun) == 30, 20)
        assert 2 <= w.most <= 3, w.most


def test_concurrency_is_shared():
    """One connection for two destinations: each has its turn."""
    with Watch() as one, Watch() as two, Postern(conf(one.port, two.port, keys="concurrency 1")) as p:
        send(p, ["r%d@net%d.test" % (n, 1 + n % 2) for n in range(20)])
        until(lambda: len(one.begun) + len(two.begun) == 20, 20)
        p.wait_empty()


def test_messages_per_connection():
    with Watch() as w, Postern(conf(w.port, keys="messages-per-connection 4, concurrency 2")) as p:
        send(p, ["r%d@net1.test" % n for n in range(20)])
        p.wait_empty()
        assert sum(n for n, _ in w.per_connection) == 20 and max(n for n, _ in w.per_connection) <= 4, w.per_connection


def test_recipients_per_message():
    with Watch() as w, Postern(conf(w.port, keys="recipients-per-message 3")) as p:
        send(p, ["r%d@net1.test" % n for n in range(10)], each=False)
        p.wait_empty()
        assert sorted(n for n, in w.messages) == [1, 3, 3, 3], w.messages


def test_down_costs_one_probe():
    """A host that refuses all costs a connection now and then, not one for each message; when it is back all of it goes."""
    up = []

    def script(c, _):
        c.polite(answers={} if up else {"banner": "421 4.3.2 closed\r\n"})
    with Liar(script) as liar, Postern(conf(liar.port)) as p:
        send(p, ["r%d@net1.test" % n for n in range(60)])
        time.sleep(4)
        assert liar.connections <= 10, liar.connections
        assert "421" in p.log() and p.queued() == 60
        up.append(1)
        p.wait_empty(20)


def test_retry_ends_only_its_own_rests():
    """Both hosts rest. What is retried of one is tried at once, by a probe and not by each message; the other is left alone."""
    up = []

    def script(c, _):
        c.polite(answers={} if up else {"banner": "421 4.3.2 closed\r\n"})
    with Liar(script) as one, Liar(script) as two, \
            Postern(conf(one.port, two.port).replace("retry 1s..2s", "retry 1h..2h")) as p:
        for host, net in ((one, "net1"), (two, "net2")):
            send(p, ["first@%s.test" % net])
            until(lambda host=host: host.connections == 1)
            p.wait_log("to=<first@%s.test>.*status=deferred" % net)
            send(p, ["r%d@%s.test" % (n, net) for n in range(60)])
        until(lambda: p.ctl_json("queue", "count", "state=deferred")[0]["recipients"] == 122)
        assert (one.connections, two.connections) == (1, 1)
        assert p.ctl("queue", "retry", "domain=net1.test", "--dry-run")[0] == 0
        assert p.ctl("queue", "retry", "domain=net1.test")[0] == 0
        until(lambda: one.connections > 1, 5)
        send(p, ["new@net2.test"])          # a rest that is over would not keep it
        time.sleep(1)
        assert one.connections <= 6 and two.connections == 1, (one.connections, two.connections)
        up.append(1)
        for m in p.ctl_json("queue", "list", "domain=net1.test")[:1]:      # if they are not gone already
            p.ctl("queue", "retry", m["id"])
            until(lambda qid=m["id"]: not p.ctl_json("queue", "list", "id=" + qid), 5)
        assert two.connections == 1 and p.ctl("suspend", "domain", "net2.test")[0] == 0
        assert p.ctl("queue", "retry", "domain=net2.test")[0] == 0          # suspended is suspended
        time.sleep(0.5)
        assert two.connections == 1 and p.ctl("resume", "domain", "net2.test")[0] == 0
        until(lambda: p.ctl_json("queue", "count", "domain=net2.test")[0]["recipients"] == 0, 5)
        assert p.ctl("queue", "retry", "all")[0] == 0
        p.wait_empty()


def test_policy_rests_the_host():
    """4.7.x is about us: the others are not tried until the rest is over."""
    until_when = time.monotonic() + 3

    def script(c, _):
        c.polite(answers={"MAIL": lambda _: "451 4.7.0 too much from you\r\n" if time.monotonic() < until_when else "250 ok\r\n"})
    with Liar(script) as liar, Postern(conf(liar.port)) as p:
        send(p, ["r%d@net1.test" % n for n in range(40)])
        time.sleep(2)
        tried = sum(line.startswith(b"MAIL") for line in liar.heard)
        assert 1 <= tried <= 12, tried
        p.wait_log(r"too much from you; no mail goes there for a while")
        p.wait_empty(20)


def test_greylisting():
    """The one is asked again when the server said; the host does not rest for the others."""
    first = {}

    def rcpt(line):
        if b"grey" not in line.encode():
            return "250 ok\r\n"
        first.setdefault(line, time.monotonic())
        return "250 ok\r\n" if time.monotonic() > first[line] + 9 else "450 4.7.1 Greylisted, come back in 10 seconds\r\n"

    def script(c, _):
        c.polite(answers={"RCPT": rcpt})
    with Liar(script) as liar, Postern(conf(liar.port).replace("1s..2s", "1h..2h")) as p:
        send(p, ["grey@net1.test"] + ["r%d@net1.test" % n for n in range(10)])
        until(lambda: p.queued() == 1, 5)
        p.wait_empty(20)
        assert sum(line.startswith(b"RCPT") and b"grey" in line for line in liar.heard) == 2, liar.heard


def test_fewer_connections_when_asked():
    """It takes two connections, not three."""
    with Watch(wait=0.05) as w:
        polite = w.script

        def script(c, n):
            if w.open >= 2:
                c.say("421 4.7.0 too many connections\r\n")
            else:
                polite(c, n)
        w.liar.script = script
        with Postern(conf(w.port)) as p:
            send(p, ["r%d@net1.test" % n for n in range(60)])
            p.wait_empty(20)
            assert w.most == 2 and w.liar.connections < 12, (w.most, w.liar.connections)
            assert len(w.begun) == 60


def test_too_old_for_a_rest():
    """Of many that wait for a host that is down each is given up in its time, though one probe at a time is made for all."""
    def script(c, _):
        c.polite(answers={"banner": "421 4.3.2 closed\r\n"})
    with Liar(script) as down, Postern(conf(down.port, keys="concurrency 1").replace("retry 1s..2s, lifetime 1h", "retry 10s..10s, lifetime 12s")) as p:
        send(p, ["first@net1.test"])
        p.wait_log(r"to=<first@net1\.test>.*status=deferred")
        send(p, ["r%d@net1.test" % n for n in range(100)])
        until(lambda: p.log().count("status=expired") >= 100, 40)
        assert down.connections <= 5, down.connections
