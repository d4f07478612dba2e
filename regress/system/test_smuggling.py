"""Only CRLF.CRLF ends a message. Whatever else looks like an end is refused with one reply, and what follows never runs."""
from lib import LOCAL, Postern, strangers

ENDS = [b"\n.\n", b"\n\n.\r\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\0\n.\n"]
INNER = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<victim@example.test>\r\nDATA\r\nx: y\r\n\r\ninner\r\n.\r\n"


def attempt(p, end, pieces):
    with p.smtp() as s:
        assert s.cmd("MAIL FROM:<a@b.test>").startswith("250")
        assert s.cmd("RCPT TO:<victim@example.test>").startswith("250")
        assert s.cmd("DATA").startswith("354")
        text = b"Subject: outer\r\n\r\nouter" + end + INNER[:-3].replace(b".\r\n", b"") + b"\r\n.\r\nNOOP\r\n"
        for i in range(0, len(text), pieces):
            s.send(text[i:i + pieces])
        first, second = s.reply(), s.reply()
        assert first.startswith("550 5."), (end, first)
        assert second.startswith("250 2.0.0"), (end, second)
        s.send("QUIT\r\n")
        assert s.reply().startswith("221")


def test_whole():
    with Postern(LOCAL) as p:
        for end in ENDS:
            attempt(p, end, 1 << 20)
        assert p.mail("victim") == []


def test_byte_by_byte():
    with Postern(LOCAL) as p:
        for end in ENDS:
            attempt(p, end, 1)
        assert p.mail("victim") == []


def test_loopback():
    """A program of this host may write bare LF; a stranger may not. A dot alone that a bare LF bounds is refused from either."""
    with Postern(LOCAL) as p:
        with p.smtp() as s:
            assert s.mail("a@b.test", "one@example.test", b"Subject: x\n\none\n..two\n.three\r\nend").startswith("250")
        assert p.wait_mail("one")[0].endswith(b"Subject: x\n\none\n..two\n.three\nend\n"), p.mail("one")
        p.wait_log(r": mended: bare line ends made CRLF$")
        with p.smtp() as s:
            assert s.mail("a@b.test", "one@example.test", b"Subject: x\r\n\r\na\rb\r\n").startswith("550 5.5.2")
        for end in (b"\n.\n", b"\r\n.\n", b"\n.\r\n"):
            attempt(p, end, 1 << 20)


def test_stranger():
    strangers()
    with Postern(LOCAL) as p, p.smtp(source=("198.51.100.9", 0)) as s:
        assert s.mail("a@b.test", "one@example.test", b"Subject: x\r\n\r\na\nb\r\n").startswith("550 5.5.2")
        assert s.mail("a@b.test", "one@example.test", b"To: one\r\n\r\na\r\n").startswith("250")
        assert b"To: one\n" in p.wait_mail("one")[0]


def test_normalise():
    """With `normalise` bare line ends become CRLF, and still do not end the message."""
    with Postern("", start=False) as p:
        base = open(p.conf, encoding="utf-8").read().replace("port %d" % p.port, "port %d normalise" % p.port)
        p.write_conf(base + LOCAL)
        p.start()
        with p.smtp() as s:
            assert s.mail("a@b.test", "one@example.test", b"Subject: x\r\n\r\none\n.\ntwo\rthree\r\n").startswith("250")
        assert p.wait_mail("one")[0].endswith(b"Subject: x\n\none\n.\ntwo\nthree\n"), p.mail("one")
