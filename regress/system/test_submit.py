"""What programs of this host write: mended and completed, where a stranger's mail would be refused; and how sendmail is called."""
import os
import socket
import subprocess

from lib import B, BASE, LOCAL, Postern

TEXT = b"Subject: x\n\nhi\n"


def one(p, user="one"):
    return p.wait_mail(user)[0]


def test_completed():
    """Addresses without a domain get the configuration's, by sendmail and from loopback; so does the Message-ID."""
    with Postern(LOCAL) as p:
        assert p.sendmail("-t", text=b"From: root\nTo: one, Two <two@example.test> (x)\nCc: three\n\nhi\n") == (0, "", "")
        got = one(p)
        for line in (b"From: root@example.test\n", b"To: one@example.test, Two <two@example.test> (x)\n", b"Cc: three@example.test\n", b"@example.test>\n"):
            assert line in got, (line, got)
        p.wait_log(": mended: addresses completed with the domain")
        with p.smtp() as s:
            assert s.mail("a@b.test", "four@example.test", b"To: four\r\nReply-To: <x>\r\nX-To: y\r\n\r\nTo: z\r\n").startswith("250")
        assert b"To: four@example.test\nReply-To: <x@example.test>\nX-To: y\n\nTo: z\n" in one(p, "four")


def test_domain_wins():
    """The daemon's domain, not that of /etc/mailname, nor its hostname."""
    with Postern(LOCAL, base=BASE.replace("domain example.test", "domain wins.test")) as p:
        assert p.sendmail("one", text=TEXT)[0] == 0
        got = one(p)
        assert b"Message-ID: <" in got and got.split(b"Message-ID: ")[1].split(b"\n")[0].endswith(b"@wins.test>"), got
        assert b"@wins.test" in got.split(b"From: ")[1].split(b"\n")[0], got


def test_mended():
    """NUL, long lines, lines of mailbox programs, all kinds of line ends: taken, and told in the log."""
    long_line = b"word " * 400 + b"\n" + b"x" * 2500 + b"\n"
    with Postern(LOCAL) as p:
        assert p.sendmail("one", text=b">From a b\nFrom c d\nSub\0ject: n\0ul\n\n\0a\0\n" + long_line) == (0, "", "")
        got = one(p)
        assert b"\0" not in got and b"Subject: nul\n" in got and b"From c d" not in got, got
        body = got.split(b"\n\n", 1)[1]
        assert max(map(len, body.split(b"\n"))) <= 998 and body.replace(b"\n", b"") == b"a" + long_line.replace(b"\n", b""), body
        p.wait_log(r": mended: .*long lines broken")
        with socket.socket(socket.AF_UNIX) as s:                # and a program that speaks to the socket itself
            s.connect(os.path.join(p.runtime, "submit.sock"))
            assert s.recv(4096).startswith(b"220 ")
            s.sendall(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<two@example.test>\r\nDATA\r\n")
            answer = b""
            while b"\n354 " not in answer:
                answer += s.recv(4096)
            s.sendall(b"From x\r\nTo: two\nA: b\0\r\n\r\n" + b"y" * 70000 + b"\rz\r\n.\r\n")
            assert s.recv(4096).startswith(b"250 2.0.0")
        got = one(p, "two")
        assert b"To: two@example.test\nA: b\n\ny" in got and b"\nz\n" in got and max(map(len, got.split(b"\n"))) <= 998
        p.wait_log(r": mended: bare line ends made CRLF, NUL bytes dropped, long lines broken, ")


def test_closed_descriptors():
    """Warnings went into the SMTP session, and the mail was lost."""
    with Postern(LOCAL) as p:
        env = {**os.environ, "POSTERN_RUNTIME": p.runtime}
        for n, closing in enumerate(("2>&-", ">&-", ">&- 2>&-")):
            r = subprocess.run(["/bin/sh", "-c", "exec %s/bin/sendmail -Q -y -i u%d@example.test %s" % (B, n, closing)], input=TEXT,
                               env=env, check=False)
            assert r.returncode == 0, (closing, r)
            assert one(p, "u%d" % n).endswith(b"\n\nhi\n"), closing
        r = subprocess.run(["/bin/sh", "-c", "exec %s/bin/sendmail -Q three@example.test <&- >&- 2>&-" % B], env=env, check=False)
        assert r.returncode == 0 and one(p, "three").count(b"\n\n") == 1, r


def test_command_line():
    """Options behind recipients also under POSIXLY_CORRECT; -q is silent when nothing waits, and knows parts of a queue."""
    with Postern(LOCAL) as p:
        assert p.sendmail("one@example.test", "-i", "-f", "me@far.test", text=b"Subject: x\n\n.\n", env={"POSIXLY_CORRECT": "1"}) == (0, "", "")
        assert one(p).startswith(b"Return-Path: <me@far.test>\n")
        p.wait_empty()
        for option in ("-q", "-q30m", "-Rhdrs", "-qI0SZRDYW00042J", "-qRx@y.test", "-qSx@y.test"):
            status, out, err = p.sendmail(*([option] if option[1] == "q" else ["-q", option]))
            assert (status, out) == (0, "") and (err == "" or "no such message" in err), (option, status, out, err)
        assert p.sendmail("-qGx")[0] == 64
