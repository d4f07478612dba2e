"""archive: a copy of what matches, with its envelope, before the 250; once, and whatever happens in between."""
import os
import re
import signal
import threading
import time

from lib import LOCAL, Postern, Sink, Smtp, until
from test_bounce import RELAY, send


def envelope(text):
    """-> the queue id, the sender, the recipients in the fields in front, and the rest"""
    head, rest = re.match(rb"((?:(?!Received:)[^\n]*\n)*)((?s:.*))", text).groups()
    def values(name):
        return [v.decode() for v in re.findall(rb"^X-Postern-Archive-" + name + rb": <?([^\n>]*)>?$", head, re.M)]
    return values(b"Id")[0], values(b"Sender")[0], values(b"Rcpt"), rest


def test_copy():
    conf = LOCAL + "archive to journal@example.test\narchive from me@example.test to Journal@example.test\n"
    with Postern(conf) as p:
        qid = send(p, "me@example.test", ["a@example.test", "b@example.test"])
        text = p.wait_mail("journal")[0]
        assert text.startswith(b"Return-Path: <>\n"), text
        got = envelope(text)
        assert got[:3] == (qid, "me@example.test", ["a@example.test", "b@example.test"]), got
        assert got[3] == p.wait_mail("a")[0].split(b"a@example.test\n", 1)[1], (got[3], p.mail("a"))
        p.wait_empty()
        assert len(p.mail("journal")) == 1
        big = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 50000
        with p.smtp() as s:
            assert s.mail("", "c@example.test", big).startswith("250")
        text = until(lambda: [t for t in p.mail("journal") if b"Subject: big" in t])[0]
        assert envelope(text)[1:3] == ("", ["c@example.test"]) and text.endswith(big[-1000000:].replace(b"\r\n", b"\n"))
        p.wait_empty()


def test_rules():
    conf = LOCAL + """table watched { b@example.test, far.test, .below.test }
archive from <watched> to from@example.test
archive for <watched> to for@example.test
archive from other.test for !.example.test to both
match from local for any action local
"""
    with Postern(conf) as p:
        for sender, rcpt in (("x@far.test", "a@example.test"), ("x@y.test", "b@example.test"), ("x@other.test", "c@example.test"), ("x@y.test", "c@example.test"),
                             ("x@sub.below.test", "a@example.test"), ("x@below.test", "a@example.test")):
            send(p, sender, [rcpt])
        p.wait_empty()
        assert sorted(envelope(t)[1] for t in p.mail("from")) == ["x@far.test", "x@sub.below.test"]
        assert [envelope(t)[2] for t in p.mail("for")] == [["b@example.test"]]
        assert [envelope(t)[1] for t in p.mail("both")] == ["x@other.test"]


def test_no_way():
    """What cannot be archived is not taken; a copy that fails later goes to the postmaster, never to the sender; a notice has no copy."""
    rule = "match from socket for rcpt keep@nowhere.test defer\n"
    with Postern(LOCAL + rule + "archive to keep@nowhere.test\n") as p, p.smtp() as s:
        assert s.mail("me@example.test", "a@example.test", b"Subject: x\r\n\r\nx\r\n").startswith("451 4.3.0")
        assert p.mail("a") == [] and p.queued() == 0
    with Sink(rcpt=lambda a: "550 5.1.1 no archive here") as sink, Postern(RELAY + "archive to keep@far.test\n", sink=sink.port) as p:
        send(p, "me@example.test", ["a@example.test", "bad@far.test"])
        p.wait_mail("me")
        texts = [t for t in p.wait_mail("postmaster")]
        p.wait_empty()
        assert len(p.mail("a")) == len(p.mail("me")) == len(texts) == 1
        assert b"archive" in texts[0] and b"keep@far.test" in texts[0] and b"X-Postern-Archive-Rcpt: <bad@far.test>" in texts[0], texts
        assert b"keep@far.test" not in p.mail("me")[0]


def flood(port, taken, stop):
    n = 0
    while not stop.is_set():
        try:
            with Smtp(port, timeout=5) as s:
                s.cmd("EHLO flood.test")
                while not stop.is_set():
                    n += 1
                    text = b"Subject: %d\r\n\r\n%s\r\n" % (n, (b"y" * 70 + b"\r\n") * (2000 if n % 10 == 0 else 3))
                    answer = s.mail("me@example.test", "a@example.test", text)
                    if answer.startswith("250"):
                        taken.append(answer.split()[-1])
        except (OSError, EOFError, IndexError, AttributeError):
            time.sleep(0.05)


def test_kill():
    """kill -9 at any moment: no message that got its 250, or was delivered, lacks its copy."""
    with Postern(LOCAL + "archive to journal@example.test\n", expect_trouble=True) as p:
        taken, stop = [], threading.Event()
        threads = [threading.Thread(target=flood, args=(p.port, taken, stop)) for _ in range(4)]
        for t in threads:
            t.start()
        for n in range(6):
            time.sleep(0.4 + n * 0.03)
            if n % 2:
                p.kill9()
                p.start()
            else:
                for pid, _ in p.children("queue"):
                    os.kill(pid, signal.SIGKILL)
        stop.set()
        for t in threads:
            t.join()
        p.wait_empty(30)
        copied = {envelope(t)[0] for t in p.mail("journal")}
        delivered = {re.search(rb"\sid (\w+)", t)[1].decode() for t in p.mail("a")}
        assert len(taken) > 20, len(taken)
        assert not set(taken) - copied, sorted(set(taken) - copied)
        assert not delivered - copied, sorted(delivered - copied)


test_kill.seconds = 120
