"""Delivery to Maildirs: the bytes, the names, the trace fields; and the sendmail command."""
import os
import re
import signal
import stat
import time

from lib import ACCOUNT, LOCAL, ROOT, Postern, body_of

TEXT = b"".join([
    b"Subject: all kinds of bytes\r\nX-Folded: a\r\n\tb\r\n  c\r\n\r\n.leading dot\r\n..two\r\n \r\n",
    bytes(b for b in range(1, 256) if b not in b"\r\n"), b"\r\n", b"x" * 998, b"\r\n", b"y" * 5000, b"\r\n\r\n\r\n",
])


def test_byte_for_byte():
    with Postern(LOCAL) as p, p.smtp() as s:
        assert s.cmd("MAIL FROM:<a@b.test> BODY=8BITMIME").startswith("250")
        assert s.cmd("RCPT TO:<one@example.test>").startswith("250")
        assert s.cmd("DATA").startswith("354")
        s.send(re.sub(rb"(?m)^\.", b"..", TEXT) + b".\r\n")
        assert s.reply().startswith("250 2.0.0 queued as ")
        got = p.wait_mail("one")[0]
        assert body_of(got) == TEXT.replace(b"\r\n", b"\n"), got
        assert got.startswith(b"Return-Path: <a@b.test>\n"), got[:200]
        assert b"\nDelivered-To: one@example.test\n" in got[:300] and b"\nReceived: from client.test" in got[:400], got[:400]


def test_large():
    with Postern(LOCAL) as p, p.smtp() as s:
        line = bytes(range(33, 127)) * 2 + b"\r\n"
        text = b"Subject: large\r\n\r\n" + line * (8 * 1024 * 1024 // len(line))
        assert s.mail("a@b.test", ["one@example.test", "two@example.test"], text).startswith("250")
        for user in ("one", "two"):
            assert body_of(p.wait_mail(user, seconds=20)[0]) == text.replace(b"\r\n", b"\n")


def test_empty_and_odd():
    with Postern(LOCAL) as p, p.smtp() as s:
        for n, text in enumerate((b"\r\n", b"no header, no line end of a header\r\n", b":\r\n", b"a: b\r\n", b"\r\n\r\n\r\n")):
            assert s.mail("a@b.test", "odd%d@example.test" % n, text).startswith("250")
            assert body_of(p.wait_mail("odd%d" % n)[0]) == text.replace(b"\r\n", b"\n"), text


def test_names():
    """Recipients cannot leave their place: /, dots and the rest are written %XX."""
    with Postern(LOCAL) as p, p.smtp() as s:
        names = ["Upper", "plus+tag", '"../../escape"', '"..."', "a%b", "a/b", '"with space"', '"$(id)"', "-froot", "postmaster"]
        for name in names:
            assert s.mail("a@b.test", name + "@example.test", b"x: y\r\n\r\n" + name.encode() + b"\r\n").startswith("250"), name
        p.wait_empty()
        box = os.path.join(p.dir, "mail")
        found = sorted(os.listdir(box))
        assert "upper" in found and "plus" in found and "postmaster" in found, found
        assert all(not f.startswith(".") and "/" not in f for f in found) and len(found) == len(names), found
        assert sorted(os.listdir(p.dir)) == sorted(["log", "mail", "postern.conf", "run", "spool"]), os.listdir(p.dir)


def test_owner_and_modes():
    with Postern(LOCAL) as p, p.smtp() as s:
        assert s.mail("", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        p.wait_mail("one")
        box = os.path.join(p.dir, "mail/one")
        assert sorted(os.listdir(box)) == ["cur", "new", "tmp"]
        name = os.listdir(box + "/new")[0]
        info = os.stat(os.path.join(box, "new", name))
        assert stat.S_IMODE(info.st_mode) == 0o600 and stat.S_IMODE(os.stat(box).st_mode) == 0o700
        if ROOT:
            import pwd
            assert info.st_uid == pwd.getpwnam(ACCOUNT).pw_uid
        assert os.listdir(box + "/tmp") == []
        assert p.mail("one")[0].startswith(b"Return-Path: <>\n")


def test_agent_killed():
    """What it had in hand is given to another one, what waited was not tried: all is there soon, once, and nothing was deferred."""
    with Postern(LOCAL, expect_trouble=True) as p, p.smtp() as s:
        assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\nfirst\r\n").startswith("250")
        p.wait_mail("one")
        pid = p.children("agent")[0][0]
        os.kill(pid, signal.SIGSTOP)
        for n in range(300):
            assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\n%d\r\n" % n).startswith("250")
        os.kill(pid, signal.SIGKILL)
        p.wait_empty(20)
        got = sorted(body_of(m) for m in p.mail("one"))
        assert got == sorted([b"x: y\n\nfirst\n"] + [b"x: y\n\n%d\n" % n for n in range(300)]), len(got)
        assert "deferred" not in p.log()


def test_sendmail():
    with Postern(LOCAL) as p:
        text = b"To: one@example.test,\n two@example.test (comment)\nBcc: three@example.test\nSubject: hi\n\n.\n..dots\nend"
        assert p.sendmail("-t", "-i", "-f", "me@example.test", text=text)[0] == 0
        for user in ("one", "two", "three"):
            got = p.wait_mail(user)[0]
            assert b"Bcc" not in got and b"\nMessage-ID: <" in got and b"\nDate: " in got and b"\nFrom: " in got, got
            assert got.endswith(b"\n\n.\n..dots\nend\n") and got.startswith(b"Return-Path: <me@example.test>\n")
        assert p.sendmail("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "four@example.test", text=b"Subject: cron\n\nx\n.\ny\n")[0] == 0
        assert p.wait_mail("four")[0].endswith(b"\n\nx\n.\ny\n")
        assert p.sendmail("nobody@elsewhere.test", text=b"x: y\n\n")[0] == 77
        assert p.sendmail("-t", text=b"x: y\n\n")[0] == 64
        assert p.sendmail(program="newaliases")[0] == 0
        assert p.sendmail("-f", "<>", "five@example.test", text=b"x: y\n\nhi\n")[0] == 0
        assert p.wait_mail("five")[0].startswith(b"Return-Path: <>\n")
        status, out, err = p.sendmail(program="mailq")
        assert status == 0 and out == "Mail queue is empty\n", (status, out, err)
        status, _, err = p.sendmail("one@example.test", text=b"x: y\n\n", env={"POSTERN_RUNTIME": "/nonexistent"})
        assert status == 75 and "not running" in err


def test_utf8():
    with Postern(LOCAL) as p, p.smtp() as s:
        assert s.cmd("MAIL FROM:<j\u00f6rg@b.test> SMTPUTF8").startswith("250")
        assert s.cmd("RCPT TO:<j\u00f6rg@example.test>").startswith("250")
        assert s.cmd("DATA").startswith("354")
        s.send("Subject: gr\u00fc\u00dfe\r\n\r\nhi\r\n.\r\n")
        assert s.reply().startswith("250")
        got = p.wait_mail("j\u00f6rg")[0].decode()
        assert got.startswith("Return-Path: <j\u00f6rg@b.test>\n") and "Subject: gr\u00fc\u00dfe\n" in got and "UTF8SMTP" in got, got


def test_stopped_agents():
    """Who stops the agents that run as him has two of them at most: they cannot take the places of all others' agents."""
    with Postern(LOCAL, expect_trouble=True) as p, p.smtp() as s:
        stopped = set()
        for n in range(1, 4):
            assert s.mail("", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
            p.wait_mail("one", n, 15)
            fresh = [pid for pid, _ in p.children("agent") if pid not in stopped]
            assert len(fresh) == 1, fresh
            os.kill(fresh[0], signal.SIGSTOP)
            stopped.update(fresh)
            p.wait_empty()
            time.sleep(3)        # deliver lets it go, and asks for another with the next message
        assert len(p.children("agent")) <= 2, p.children("agent")
