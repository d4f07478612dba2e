"""The server's side of SMTP: replies, order, parameters, limits."""
import re

from lib import LOCAL, Postern, Smtp, SLOW, until

OPEN = LOCAL + "limit message-size 1M\nlimit errors 10\nlimit recipients 5\nlimit hops 30\n"


def codes(session, lines):
    """Sends each line and checks the beginning of its reply."""
    for line, want in lines:
        got = session.cmd(line)
        assert got.startswith(want), "%r: %r, not %r" % (line, got, want)


def test_replies():
    with Postern(OPEN) as p, Smtp(p.port) as s:
        assert re.match(r"220 mx\.test ESMTP Postern", s.banner), s.banner
        codes(s, [
            ("MAIL FROM:<a@b.test>", "503 5.5.1"), ("RCPT TO:<a@b.test>", "503 5.5.1"), ("DATA", "503 5.5.1"),
            ("EHLO", "501 5.5.2"), ("HELO client.test", "250 mx.test"), ("NOOP", "250 2.0.0"), ("RSET", "250 2.0.0"),
        ])
    with Postern(OPEN) as p, p.smtp() as s:
        codes(s, [
            ("MAIL FROM:<a@b.test>", "250 2.1.0"), ("MAIL FROM:<a@b.test>", "503 5.5.1"), ("DATA", "5"),
            ("RCPT TO:<user@example.test>", "250 2.1.5"), ("RCPT TO:<user@elsewhere.test>", "550 5.7.1"), ("RSET", "250 2.0.0"),
            ("RCPT TO:<user@example.test>", "503 5.5.1"), ("VRFY user@example.test", "25"), ("EXPN list", "502"),
            ("HELP", "214"), ("QUIT", "221 2.0.0"),
        ])
        assert s.is_closed()


def test_ehlo_keywords():
    with Postern(OPEN) as p, Smtp(p.port) as s:
        said = [line[4:].split(" ")[0].upper() for line in s.cmd("EHLO client.test").split("\n")[1:]]
        for keyword in "PIPELINING SIZE 8BITMIME SMTPUTF8 CHUNKING ENHANCEDSTATUSCODES DSN LIMITS".split():
            assert keyword in said, (keyword, said)
        assert "STARTTLS" not in said and "AUTH" not in said, said


def test_addresses():
    with Postern(OPEN.replace("errors 10", "errors 100")) as p, p.smtp() as s:
        for path in ("<>", "<a@b.test>", '<"a b"@b.test>', "<a@[192.0.2.1]>", "<a@[IPv6:2001:db8::1]>", "<@r.test,@s.test:a@b.test>", "<.a..b.@b.test>", "<%s@b.test>" % ("x" * 247)):
            codes(s, [("MAIL FROM:" + path, "250 2.1.0"), ("RSET", "250")])
        for path in ("a@b.test", "<a@b@c.test>", "<a b@c.test>", "<a@b.test", "<a@>", "<a@[1.2.3]>", "<a@b..test>", "<%s@b.test>" % ("x" * 248), "<a@[IPv6:1:2:3:4:5:6:7::]>"):
            codes(s, [("MAIL FROM:" + path, "501 5.1.7")])
        codes(s, [("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<>", "501 5.1.3"), ("RCPT TO:<Postmaster>", "250 2.1.5"),
                  ("RCPT TO:<u>", "250 2.1.5"), ("RCPT TO:<u@>", "501 5.1.3"), ("RCPT TO:u", "501 5.1.3"),
                  ("RCPT TO:<user+tag@example.test>", "250"), ('RCPT TO:<"us er"@example.test>', "250"),
                  ("RCPT TO:<u\u00e9@example.test>", "553 5.6.7"), ("RCPT TO:<postmaster@mx.test>", "250")])


def test_parameters():
    with Postern(OPEN.replace("errors 10", "errors 100")) as p, p.smtp() as s:
        for parameter, want in (("SIZE=1000", "250"), ("SIZE=2000000", "552 5.3.4"), ("SIZE=x", "501 5.5.4"), ("SIZE=", "501 5.5.4"),
                                ("BODY=8BITMIME", "250"), ("BODY=9BIT", "501 5.5.4"), ("SMTPUTF8", "250"), ("RET=HDRS", "250"),
                                ("RET=ALL", "501 5.5.4"), ("ENVID=a+2Bb", "250"), ("ENVID=+00", "501 5.5.4"), ("NOSUCH=1", "555 5.5.4")):
            codes(s, [("MAIL FROM:<a@b.test> " + parameter, want), ("RSET", "250")])
        codes(s, [("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<u@example.test> NOTIFY=SUCCESS,DELAY", "250"),
                  ("RCPT TO:<u@example.test> NOTIFY=NEVER,DELAY", "501 5.5.4"), ("RCPT TO:<u@example.test> ORCPT=rfc822;u@x", "250"),
                  ("RCPT TO:<u@example.test> ORCPT=rfc822;a+0D+0AX", "501 5.5.4"), ("RCPT TO:<u@example.test> FOO", "555 5.5.4")])


def test_pipelining():
    with Postern(OPEN) as p, p.smtp() as s:
        s.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<one@example.test>\r\nRCPT TO:<x@elsewhere.test>\r\nRCPT TO:<two@example.test>\r\nDATA\r\n")
        assert [r[:3] for r in s.replies(5)] == ["250", "250", "550", "250", "354"]
        s.send("Subject: x\r\n\r\nhi\r\n.\r\nMAIL FROM:<c@b.test>\r\nRCPT TO:<one@example.test>\r\nRSET\r\nNOOP\r\nQUIT\r\n")
        assert [r[:3] for r in s.replies(6)] == ["250", "250", "250", "250", "250", "221"]
        p.wait_mail("one")
        p.wait_mail("two")


def test_replies_in_order():
    """A line that no verb can be read from is answered behind the recipients in front of it."""
    bad = {"500 5.5.2": ("NOOP " + "x" * 5000, "NOOP \0", "NOOP\rNOOP"), "500 5.5.1": ("FOO",), "503 5.5.1": ("MAIL FROM:<a@b.test>",)}
    with Postern(OPEN) as p:
        for want, lines in bad.items():
            for line in lines:
                with p.smtp() as s:
                    s.send("MAIL FROM:<a@b.test>\r\nRCPT TO:<u@example.test>\r\nRCPT TO:<u@elsewhere.test>\r\n%s\r\nRSET\r\n" % line)
                    got = [r[:9] for r in s.replies(5)]
                    assert got == ["250 2.1.0", "250 2.1.5", "550 5.7.1", want, "250 2.0.0"], (line[:20], got)


def test_vrfy():
    with Postern(OPEN) as p, p.smtp() as s:
        codes(s, [("VRFY u@example.test", "250 2.1.5 <u@example.test>"), ("VRFY <u>", "250 2.1.5 <u@example.test>"),
                  ('VRFY "a b"@example.test', '250 2.1.5 <"a b"@example.test>'), ("VRFY u\u00e9@example.test SMTPUTF8", "252 2.0.0"),
                  ("VRFY", "501 5.5.4"), ("VRFY u@@example.test", "501 5.1.3"), ("VRFY u@elsewhere.test", "550")])


def test_shutdown():
    """Whoever comes while the last sessions end is told so; these go on to their end, others hear of it."""
    with Postern(OPEN) as p, p.smtp() as s, p.smtp() as idle:
        codes(s, [("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<one@example.test>", "250"), ("DATA", "354")])
        p.process.terminate()
        assert idle.reply().startswith("421 4.3.2") and idle.is_closed()
        with Smtp(p.port) as late:
            assert late.banner.startswith("421 4.3.2"), late.banner
            assert late.is_closed()
        assert p.ctl("reload")[0] == 1
        s.send("x: y\r\n\r\nhi\r\n.\r\n")
        assert s.reply().startswith("250 2.0.0") and s.is_closed()
        assert p.process.wait(20) == 0
        p.start()       # deliver was ending too: what it did not take any more goes out now
        until(lambda: len(p.mail("one")) == 1)


def test_limits():
    with Postern(OPEN) as p:
        with p.smtp() as s:
            codes(s, [("MAIL FROM:<a@b.test>", "250")] + [("RCPT TO:<u%d@example.test>" % n, "250") for n in range(5)])
            codes(s, [("RCPT TO:<u6@example.test>", "452 4.5.3"), ("DATA", "354")])
            s.send(b"x: y\r\n\r\n" + b"z" * 70 + b"\r\n" + (b"z" * 70 + b"\r\n") * 20000 + b".\r\n")
            assert s.reply().startswith("552 5.3.4")
            hops = b"".join(b"Received: from x by y; Sat, 21 Nov 2026 00:00:00 +0000\r\n" for _ in range(31))
            assert s.mail("a@b.test", "u@example.test", hops + b"\r\nx\r\n").startswith("554 5.4.6")
            assert s.mail("a@b.test", "u@example.test", b"x: y\r\n\r\nnul \0\r\n").startswith("550 5.6.0")
        with Smtp(p.port) as s:
            assert s.cmd("x" * 5000).startswith("500 5.5.2")
            last = ""
            for _ in range(12):
                last = s.cmd("FOO")
                if last.startswith("421"):
                    break
            assert last.startswith("421 4.7.0") and s.is_closed()
        for verb in ("GET / HTTP/1.0", "POST / HTTP/1.1", "CONNECT x:25"):
            with Smtp(p.port) as s:
                assert s.cmd(verb).startswith("521 5.5.1") and s.is_closed()


def test_error_reset():
    """After every error, every command again: no 354 without MAIL and an accepted RCPT of this transaction."""
    with Postern(OPEN.replace("errors 10", "errors 1000")) as p, p.smtp() as s:
        spoil = ["NOOP", "VRFY x", "HELP", "FOO", "RCPT TO:bad", "MAIL FROM:<a@b.test>", "EHLO", "BDAT x y"]
        for first in spoil[:-1]:
            codes(s, [("RSET", "250"), ("DATA", "503")])
            s.cmd(first)
            assert not s.cmd("DATA").startswith("354"), first
        codes(s, [("RSET", "250"), ("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<u@elsewhere.test>", "550"), ("DATA", "554 5.5.1"),
                  ("RCPT TO:<u@example.test>", "250"), ("NOOP", "250"), ("VRFY x", "25"), ("HELP", "214"), ("DATA", "354")])
        s.send("x: y\r\n\r\nbare\rcr\r\n.\r\n")
        assert s.reply().startswith("550 5.5.2")
        codes(s, [("DATA", "503"), ("RCPT TO:<u@example.test>", "503"), ("MAIL FROM:<a@b.test>", "250")])


def test_bdat():
    with Postern(OPEN.replace("errors 10", "errors 100")) as p, p.smtp() as s:
        text = b"Subject: chunks\r\n\r\n.\r\nnot the end\r\n..two\r\n"
        codes(s, [("MAIL FROM:<a@b.test> BODY=8BITMIME", "250"), ("RCPT TO:<one@example.test>", "250")])
        s.send(b"BDAT 10\r\n" + text[:10] + b"BDAT 0\r\nBDAT %d LAST\r\n" % len(text[10:]) + text[10:])
        assert [r[:9] for r in s.replies(3)] == ["250 2.0.0"] * 3
        assert p.wait_mail("one")[0].endswith(text.replace(b"\r\n", b"\n"))
        codes(s, [("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<one@example.test>", "250")])
        s.send(b"BDAT 5\r\nx: y\r")
        assert s.reply().startswith("250")
        codes(s, [("DATA", "503 5.5.1"), ("RSET", "250")])
        s.send(b"BDAT 4\r\nabcd")
        assert s.reply().startswith("503 5.5.1")
        codes(s, [("NOOP", "250"), ("BDAT -1", "501 5.5.4")])
        assert s.is_closed()


def test_early_talk():
    with Postern(OPEN) as p:
        with p.smtp() as s:
            codes(s, [("MAIL FROM:<a@b.test>", "250"), ("RCPT TO:<one@example.test>", "250")])
            s.send("DATA\r\nSubject: early\r\n\r\n.\r\n")
            first = s.reply()
            assert first.startswith("554 5.5.0"), first
            assert s.is_closed()
        assert p.mail("one") == []


def test_many_clients():
    with Postern(OPEN) as p:
        clients = [Smtp(p.port) for _ in range(200)]
        with p.smtp(timeout=1) as s:
            assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        for c in clients:
            c.close()
    assert SLOW
