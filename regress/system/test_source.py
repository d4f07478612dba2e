"""Where mail leaves from: sources and pools, on the many addresses of loopback."""
import re
import time

from lib import LOCAL, Liar, Postern, until

TEXT = b"From: a@b.test\r\nSubject: sourced\r\n\r\nbody\r\n"
SOURCES = """source a address 127.0.0.2 helo a.test
source b address 127.0.0.3 address ::1 helo b.test
source gone address 192.0.2.77 helo gone.test
destination * { retry 1s..2s, lifetime 1h }
match from local for any action out
"""


class Peers:
    """A server that notes the address and EHLO name behind each recipient, each time it is named."""

    def __init__(self, rcpt=None):
        self.seen, self.begun, self.rcpt = [], [], rcpt or (lambda line: "250 ok\r\n")
        self.liar = Liar(self.script)
        self.port = self.liar.port

    def script(self, c, _):
        peer, name = c.sock.getpeername()[0], [""]

        def ehlo(line):
            name[0] = line.split(" ")[1]
            return "250-liar.test\r\n250 PIPELINING\r\n"

        def rcpt(line):
            self.seen.append((re.search("<(.*?)>", line)[1], peer, name[0]))
            self.begun.append((time.monotonic(), peer))
            return self.rcpt(line)
        c.polite(answers={"EHLO": ehlo, "RCPT": rcpt})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.liar.close()


def run(peers, conf):
    return Postern(LOCAL + conf.replace("$to", "via smtp://127.0.0.1:%d" % peers.port) + SOURCES)


def send(p, n):
    with p.smtp() as s:
        for i in range(n):
            answer = s.mail("a@b.test", "r%d@far.test" % i, TEXT)
            assert answer.startswith("250"), answer


def test_pool():
    with Peers() as peers, run(peers, "pool both { a, b weight 3 }\naction out relay $to pool both\n") as p:
        send(p, 100)
        p.wait_empty()
        assert {(peer, name) for _, peer, name in peers.seen} == {("127.0.0.2", "a.test"), ("127.0.0.3", "b.test")}, peers.seen
        assert 55 < sum(peer == "127.0.0.3" for _, peer, _ in peers.seen) < 95, peers.seen


def test_pool_of_a_destination():
    with Peers() as peers, run(peers, "pool one { a }\ndestination 127.0.0.1 { pool one }\naction out relay $to\n") as p:
        send(p, 3)
        p.wait_empty()
        assert {peer for _, peer, _ in peers.seen} == {"127.0.0.2"}, peers.seen


def heard_ehlo(peers, name):
    return sum(line.startswith(b"EHLO " + name.encode()) for line in peers.liar.heard)


def test_domain_behind_a_smarthost():
    """Through one smarthost: a domain with a block of its own goes by that, key by key, and the others as the smarthost's block says."""
    conf = "pool one { a }\ndestination slow.test { pool one, rate 4/s burst 1, messages-per-connection 2 }\n" \
        "destination 127.0.0.1 { messages-per-connection 4 }\naction out relay $to\n"
    with Peers() as peers, run(peers, conf) as p:
        with p.smtp() as s:
            for i in range(8):
                assert s.mail("a@b.test", "r%d@slow.test" % i, TEXT).startswith("250")
            for i in range(40):
                assert s.mail("a@b.test", "r%d@d%d.test" % (i, i % 20), TEXT).startswith("250")
        until(lambda: sum(peer == "127.0.0.1" for _, peer, _ in peers.seen) == 40, 5)
        took = time.monotonic()
        until(lambda: len(peers.seen) == 48, 20)
        assert {(rcpt.endswith("@slow.test"), peer, name) for rcpt, peer, name in peers.seen} == {
            (True, "127.0.0.2", "a.test"), (False, "127.0.0.1", "mx.test")}, peers.seen
        at = sorted(t for t, peer in peers.begun if peer == "127.0.0.2")
        assert 1.6 < at[-1] - at[0] < 4 and took < at[-1], (took, at)
        assert heard_ehlo(peers, "a.test") >= 4 and heard_ehlo(peers, "mx.test") >= 10, peers.liar.heard
        p.wait_empty()
        p.write_conf(open(p.conf, encoding="utf-8").read().replace("pool one { a }", "pool one { b }").replace("rate 4/s burst 1, ", ""))
        assert p.ctl("reload")[0] == 0
        del peers.seen[:]
        with p.smtp() as s:
            for i in range(20):
                assert s.mail("a@b.test", "r%d@%s.test" % (i, "slow" if i % 2 else "far"), TEXT).startswith("250")
        p.wait_empty(5)
        assert {(rcpt.endswith("@slow.test"), peer) for rcpt, peer, _ in peers.seen} == {(True, "127.0.0.3"), (False, "127.0.0.1")}, peers.seen


def test_stays_with_a_message():
    """Over retries and a restart each message comes from where it came from first."""
    turns = {}

    def later(line):
        turns[line] = turns.get(line, 0) + 1
        return "451 4.3.0 later\r\n" if turns[line] < 4 else "250 ok\r\n"
    with Peers(later) as peers, run(peers, "pool both { a, b }\naction out relay $to pool both\n") as p:
        send(p, 12)
        until(lambda: len(peers.seen) >= 12, 10)
        p.stop()
        p.start()
        p.wait_empty(30)
        by = {}
        for rcpt, peer, _ in peers.seen:
            by.setdefault(rcpt, set()).add(peer)
        assert len(by) == 12 and all(len(v) == 1 for v in by.values()), by
        assert {next(iter(v)) for v in by.values()} == {"127.0.0.2", "127.0.0.3"}, by


def test_address_that_is_not_here():
    """It is passed over, and said once."""
    with Peers() as peers, run(peers, "pool some { a, gone weight 5 }\naction out relay $to pool some\n") as p:
        p.wait_log(r"source gone: 192\.0\.2\.77 is not an address of this host")
        send(p, 10)
        p.wait_empty()
        assert {peer for _, peer, _ in peers.seen} == {"127.0.0.2"}, peers.seen
        assert p.log().count("192.0.2.77 is not an address") == 1


def test_no_address_here():
    """Nothing leaves from an address that was not asked for."""
    with Peers() as peers, run(peers, "pool some { gone }\naction out relay $to pool some\n") as p:
        send(p, 1)
        p.wait_log(r"status=deferred \(no source of pool some has an address on this host")
        assert not peers.seen and p.queued() == 1


def test_rate_by_source():
    """Each source has the rate for itself, in every window."""
    with Peers() as peers, run(peers, "pool both { a, b }\ndestination 127.0.0.1 { rate 10/s burst 1 }\naction out relay $to pool both\n") as p:
        send(p, 60)
        until(lambda: len(peers.seen) == 60, 20)
        for source in ("127.0.0.2", "127.0.0.3"):
            at = sorted(t for t, peer in peers.begun if peer == source)
            most = max(sum(1 for u in at if t <= u < t + 1) for t in at)
            assert len(at) > 15 and most <= 11, (source, len(at), most)
            assert len(at) - 1 <= (at[-1] - at[0]) * 10.5, (source, at)


def test_family():
    with Peers() as peers, run(peers, "pool p { b }\ndestination 127.0.0.1 { family ipv6 }\naction out relay $to pool p\n") as p:
        send(p, 1)
        p.wait_log(r"status=deferred \(the mail hosts of 127\.0\.0\.1 have no IPv6 address")
        p.write_conf(open(p.conf, encoding="utf-8").read().replace("family ipv6", "family ipv4"))
        assert p.ctl("reload")[0] == 0
        p.wait_empty(20)
        assert [peer for _, peer, _ in peers.seen] == ["127.0.0.3"], peers.seen


# ---- suspended sources ----

BOTH = "pool both { a, b }\naction out relay $to pool both\n"


def rows(p):
    return p.ctl_json("queue", "list")


def test_suspended_source():
    """It is passed over, over a restart too; the mail of the others stays where it was."""
    with Peers() as peers, run(peers, BOTH) as p:
        assert p.ctl_json("suspend", "source", "a") == [{"source": "a", "suspended": True}]
        assert p.ctl("suspend", "source", "a")[0] == 1 and p.ctl("resume", "source", "b")[0] == 1
        status, _, err = p.ctl("suspend", "source", "nosuch")
        assert status == 1 and 'no source "nosuch"' in err, err
        assert p.ctl("suspend", "domain", "x.test")[0] == 0
        assert p.ctl_json("suspend") == [{"suspended": "x.test"}, {"suspended_source": "a"}]
        assert p.ctl("suspend")[1] == "x.test\nsource a\n"
        send(p, 20)
        p.wait_empty()
        p.stop()
        p.start()
        assert p.ctl_json("suspend") == [{"suspended": "x.test"}, {"suspended_source": "a"}]
        send(p, 20)
        p.wait_empty()
        assert len(peers.seen) == 40 and {peer for _, peer, _ in peers.seen} == {"127.0.0.3"}, peers.seen
        assert p.ctl("resume", "source", "a")[0] == 0 and p.ctl("resume", "source", "a")[0] == 1
        assert p.ctl_json("suspend") == [{"suspended": "x.test"}]
        send(p, 40)
        p.wait_empty()
        assert {peer for _, peer, _ in peers.seen[40:]} == {"127.0.0.2", "127.0.0.3"}, peers.seen


def test_no_source_left():
    """All are suspended: mail waits without an attempt and can say why, and goes at once when one is back."""
    with Peers() as peers, run(peers, "pool some { a, b, gone }\naction out relay $to pool some\n") as p:
        assert p.ctl("suspend", "source", "a")[0] == 0 and p.ctl("suspend", "source", "b")[0] == 0
        send(p, 30)
        until(lambda: [r["attempts"] for r in rows(p) if r["reply"] and r["state"] == "deferred"] == [0] * 30)
        why = "4.3.2 no source is left; suspended: a, b (pool some)"
        assert {r["reply"] for r in rows(p)} == {why}, rows(p)
        qid = rows(p)[0]["id"]
        assert why in p.ctl("queue", "show", qid)[1] and p.ctl_json("why", qid)[-1]["reply"] == why
        assert p.ctl_json("queue", "summary", "by", "reason") == [{"reason": why, "recipients": 30}]
        p.kill9()
        p.start()
        send(p, 1)
        until(lambda: len([r for r in rows(p) if r["reply"] == why]) == 31)
        assert not peers.seen
        assert p.ctl("resume", "source", "b")[0] == 0
        p.wait_empty(10)
        assert len(peers.seen) == 31 and {peer for _, peer, _ in peers.seen} == {"127.0.0.3"}, peers.seen


def test_no_source_left_after_an_attempt():
    """What was tried before says why it waits, too."""
    with Peers(lambda line: "451 4.3.0 later\r\n") as peers, run(peers, "pool one { a }\naction out relay $to pool one\n") as p:
        send(p, 1)
        until(lambda: "later" in rows(p)[0]["reply"])
        assert p.ctl("suspend", "source", "a")[0] == 0
        until(lambda: "no source is left; suspended: a (pool one)" in rows(p)[0]["reply"])
        n = len(peers.seen)
        time.sleep(3)
        assert len(peers.seen) == n, peers.seen


def test_suspended_under_way():
    """The message that is under way is finished and its connection ends; what stood behind it leaves by the other source."""
    done, at_end = [], []

    def script(c, _):
        peer = c.sock.getpeername()[0]

        def final(line):
            if peer == "127.0.0.2":
                until(lambda: done, 20)
            return "250 taken\r\n"
        try:
            c.polite(answers={"RCPT": lambda line: (peers.seen.append((line, peer, "")), "250 ok\r\n")[1], ".": final})
        finally:
            at_end.append((peer, time.monotonic()))
    with Peers() as peers, run(peers, "destination 127.0.0.1 { concurrency 1 }\n" + BOTH) as p:
        peers.liar.script = script
        assert p.ctl("suspend", "source", "b")[0] == 0
        send(p, 10)
        until(lambda: len(peers.seen) == 1)
        assert p.ctl("resume", "source", "b")[0] == 0 and p.ctl("suspend", "source", "a")[0] == 0
        until(lambda: len(peers.seen) >= 9)             # a still has its first one in hand, and perhaps sent the second behind it
        assert [peer for _, peer, _ in peers.seen[:9]] == ["127.0.0.2"] + 8 * ["127.0.0.3"], peers.seen
        until(lambda: 1 <= p.queued() <= 2)
        done.append(1)
        ended = time.monotonic()
        p.wait_empty(5)
        closed = until(lambda: [t for peer, t in at_end if peer == "127.0.0.2"], 5)[0]
        assert closed - ended < 1.5, closed - ended     # idle ones are kept for longer
        assert {line for line, _, _ in peers.seen} == {"RCPT TO:<r%d@far.test>" % n for n in range(10)}, peers.seen


def test_idle_connection_of_a_suspended_source():
    at_end = []

    def script(c, _):
        try:
            c.polite()
        finally:
            at_end.append(time.monotonic())
    with Peers() as peers, run(peers, "pool one { a }\naction out relay $to pool one\n") as p:
        peers.liar.script = script
        send(p, 1)
        p.wait_empty()
        assert not at_end
        begun = time.monotonic()
        assert p.ctl("suspend", "source", "a")[0] == 0
        until(lambda: at_end, 5)
        assert at_end[0] - begun < 1.5, at_end[0] - begun
