"""Nobody holds a door: shares of strangers, loopback and local users, stress, rates, early talkers, sessions that bring nothing."""
import contextlib
import os
import socket
import threading
import time

from lib import BASE, LOCAL, Postern, Smtp, need_root, strangers, until

ONE = BASE.replace("listeners 2", "listeners 1")
NO_PAUSE = LOCAL + "limit greet-pause 0s\n"


def stranger(p, n=9, **kw):
    return Smtp(p.port, source=("198.51.100.%d" % n, 0), **kw)


def crowd(stack, make, n):
    """n connections that stay open; -> those that were greeted"""
    found = []
    for i in range(n):
        s = stack.enter_context(contextlib.closing(make(i)))
        if s.banner.startswith("220"):
            found.append(s)
    return found


def test_greet_pause():
    """Who speaks before the banner is caught; who waited once is known; loopback does not wait."""
    strangers()
    with Postern(LOCAL + "limit greet-pause 1s\n") as p:
        with stranger(p, 1, banner=False) as s:
            time.sleep(0.2)
            s.send("EHLO early.test\r\n")
            assert s.reply().startswith("554 5.5.0 <unknown[198.51.100.1]>: Client host rejected: ") and s.is_closed()
        p.wait_log(r"NOQUEUE: reject: CONNECT from unknown\[198\.51\.100\.1\]: 554 5\.5\.0 ")
        for least, most in ((0.9, 9), (0, 0.8)):
            before = time.monotonic()
            with stranger(p, 2) as s:
                took = time.monotonic() - before
                assert s.banner.startswith("220") and least <= took <= most, took
                assert s.cmd("EHLO patient.test").startswith("250")
        before = time.monotonic()
        with p.smtp():
            assert time.monotonic() - before < 0.8
        with stranger(p, 3, banner=False) as s:        # goes while it waits
            s.send("")
        p.wait_log(r"lost connection after CONNECT from unknown\[198\.51\.100\.3\]")


def test_greet_pause_of_a_served_network():
    strangers()
    for table, of in (("", "198.51.100.0/25"), ("table ours { 192.0.2.0/24, 198.51.100.0/25 }\n", "<ours>")):
        with Postern(LOCAL + table + "match from %s for any action local\nlimit greet-pause 30s\n" % of) as p, stranger(p, 2, timeout=5) as s:
            assert s.banner.startswith("220")


def test_loopback_has_a_share():
    """Loopback's connections lock no stranger out, and strangers lock out nobody on this host."""
    strangers()
    with Postern(NO_PAUSE + "limit connections 20\nlimit connections-per-client 5\n") as p, contextlib.ExitStack() as stack:
        assert len(crowd(stack, lambda i: Smtp(p.port), 25)) == 20
        assert len(crowd(stack, lambda i: stranger(p, 1 + i // 5), 25)) == 20
        with stranger(p, 200) as s:
            assert s.banner.startswith("421 4.3.2"), s.banner


def test_idle_ones_make_room():
    """A full house: who has been idle the longest goes, who is in a transaction stays; two lines in the log, not one a client."""
    strangers()
    with Postern(NO_PAUSE + "limit connections 10\nlimit connections-per-client 5\n", base=ONE) as p, contextlib.ExitStack() as stack:
        busy = stack.enter_context(stranger(p, 1))
        assert busy.cmd("EHLO busy.test").startswith("250") and busy.cmd("MAIL FROM:<a@b.test>").startswith("250")
        idle = crowd(stack, lambda i: stranger(p, 2 + i // 5), 9)
        with stranger(p, 100) as s:
            assert s.banner.startswith("421 4.3.2")     # nobody has been idle for long
        p.wait_log(r"stress: \d+ of 10 connections of strangers are taken")
        time.sleep(3.2)
        with stranger(p, 100) as s:
            assert s.banner.startswith("220"), s.banner
            gone = [c for c in idle if c.is_closed(0.1)]
            assert len(gone) == 1 and gone[0] is idle[0]
            s.cmd("EHLO x.test")
            assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        assert busy.cmd("RCPT TO:<two@example.test>").startswith("250")
        stack.close()
        p.wait_log("stress is over: ")
        assert p.log().count("stress: ") == 1


def test_stress_has_short_times():
    """Under stress a command has ten seconds, whatever ran before."""
    strangers()
    with Postern(NO_PAUSE + "limit connections 4\nlimit connections-per-client 5\nlimit command-timeout 5m\n") as p, contextlib.ExitStack() as stack:
        crowd(stack, lambda i: stranger(p, 1), 4)
        p.wait_log("timeout after CONNECT from unknown", 14)


def test_rate_of_connections():
    """One client that comes too often: refused, with one line for all."""
    strangers()
    with Postern(NO_PAUSE + "limit connection-rate-per-client 10/m\n", base=ONE) as p:
        said = []
        for _ in range(60):
            with stranger(p, 7) as s:
                said.append(s.banner[:9])
        assert said.count("421 4.3.2") == 50, said
        with stranger(p, 8) as s:
            assert s.banner.startswith("220")
        p.wait_log(r"disconnect from unknown\[198.51.100.8\]")       # what was said before is written by then
        assert p.log().count("reject: CONNECT from unknown[198.51.100.7]: 421 4.3.2 <unknown[198.51.100.7]>: Client host rejected: too many") == 1


def test_refusal_does_not_wait():
    """A client over its limit that keeps sending holds nobody up."""
    strangers()
    with Postern(NO_PAUSE + "limit connections-per-client 1\n") as p, stranger(p, 5), contextlib.ExitStack() as stack:
        stop = threading.Event()

        def flood():
            while not stop.is_set():
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", p.port), 5, source_address=("198.51.100.5", 0)) as s:
                    while not stop.is_set():
                        s.sendall(b"x" * 262144)
        threads = [threading.Thread(target=flood) for _ in range(3)]
        stack.callback(lambda: (stop.set(), [t.join() for t in threads]))
        for t in threads:
            t.start()
        for n in range(5):
            with stranger(p, 20 + n, timeout=3) as s:
                assert s.cmd("EHLO x.test").startswith("250")


def test_progress():
    """NOOP for ever is no way to stay."""
    strangers()
    with Postern(NO_PAUSE + "limit progress-timeout 1s\n") as p, stranger(p) as s:
        s.cmd("EHLO x.test")
        assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        assert s.cmd("NOOP").startswith("250")
        time.sleep(1.1)
        assert s.cmd("NOOP").startswith("421 4.4.2") and s.is_closed()
        p.wait_log("progress-timeout after NOOP from ")


def at_socket(p, uid):
    """A connection to submit.sock as that user. -> (socket, the beginning of what it is told)"""
    os.seteuid(uid)
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(p.runtime + "/submit.sock")
    finally:
        os.seteuid(0)
    s.settimeout(5)
    return s, s.recv(100)[:3]


def test_local_users():
    """No user, and no number of users, locks root out of the submission socket, or one user the others."""
    need_root()
    with Postern(LOCAL + "limit connections 40\n") as p:
        held = [at_socket(p, 54321) for _ in range(20)]
        assert [code for _, code in held].count(b"220") == 8
        s, code = at_socket(p, 54322)
        assert code == b"220"
        s.close()
        held += [at_socket(p, 54330 + n) for n in range(40)]
        assert [code for _, code in held].count(b"220") == 28
        for _ in range(3):
            s, code = at_socket(p, 0)
            assert code == b"220"
            held.append((s, code))
        status, _, err = p.sendmail("-f", "a@b.test", "one@example.test", text=b"Subject: x\n\nhi\n")
        assert status == 0, err
        for s, _ in held:
            s.close()
        until(lambda: at_socket(p, 54321)[1] == b"220")


def told(s):
    """The first bytes that a client of control.sock is sent; "" if it was closed."""
    try:
        return s.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        return b""


def test_unread_answers():
    """Whoever does not read his answers has a few of them, not thousands; root asks on."""
    need_root()
    with Postern(LOCAL + "action out relay via smtp://127.0.0.1:1\nmatch from socket for any action out\n") as p:
        s, _ = at_socket(p, 54321)
        for line in (b"EHLO x", b"MAIL FROM:<a@b.test>", b"RCPT TO:<x@far.test>", b"DATA"):
            s.sendall(line + b"\r\n")
            answer = s.recv(2000)
        assert answer.startswith(b"354"), answer
        s.sendall(b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 40000 + b".\r\n")
        qid = s.recv(1000).split()[-1]
        held = []
        for _ in range(100):
            c = socket.socket(socket.AF_UNIX)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            os.seteuid(54321)
            c.connect(p.runtime + "/control.sock")
            os.seteuid(0)
            c.settimeout(5)
            with contextlib.suppress(OSError):
                c.sendall(b"text\tqueue\tcat\t" + qid + b"\n")
            held.append(c)
        kinds = [told(c) for c in held]
        assert kinds.count(b" ") == 8 and set(kinds) <= {b" ", b"!", b""}, kinds
        assert p.ctl("queue", "count")[0] == 0
        for c in held:
            c.close()

        def served():
            os.seteuid(54321)
            try:
                with socket.socket(socket.AF_UNIX) as c:
                    c.connect(p.runtime + "/control.sock")
                    c.sendall(b"text\tqueue\tcount\n")
                    return b"=0\n" in c.recv(4096)
            except OSError:
                return False
            finally:
                os.seteuid(0)
        until(served)
