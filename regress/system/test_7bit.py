"""8-bit mail to servers that do not offer 8BITMIME or SMTPUTF8: what arrives means the same, and nothing comes back for it."""
import email
import email.policy

from lib import LOCAL, Liar, Postern

TO_LIAR = LOCAL + """action out relay via smtp://127.0.0.1:$liar
match from local for domain far.test action out
destination * { $policy }
"""
SEVEN, SIZED, CHUNKS = ("250-liar.test\r\n250 PIPELINING\r\n", "250-liar.test\r\n250-SIZE 0\r\n250 PIPELINING\r\n",
                        "250-liar.test\r\n250-CHUNKING\r\n250 PIPELINING\r\n")
TEXT = "Gr\u00fc\u00dfe, = und \u20ac\r\n.\r\n..dot \r\n" + "x" * 900 + "\u00e4" * 20 + "\r\nend\r\n"
ATTACHMENT = bytes(b for b in range(1, 256) if b not in (10, 13)) + b"\r\n"
MIXED = (b"From: J\xc3\xb6rg <me@example.test>\r\nSubject: \xe2\x82\xac and more\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=bb\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
         b"--bb\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + TEXT.encode() +
         b"\r\n--bb\r\nContent-Type: application/x; name=\"\xc3\xa4.bin\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + ATTACHMENT +
         b"\r\n--bb\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n\r\n" + TEXT.encode() + b"\r\n--bb--\r\n")
SIGNED = (b"From: me@example.test\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=ss\r\n\r\n"
          b"--ss\r\n\r\nsigned \xc3\xa4\r\n--ss\r\n\r\nsignature\r\n--ss--\r\n")


def sink(ehlo, got):
    """A script: takes mail by DATA or BDAT and keeps (MAIL command, message)."""
    def script(c, n):
        c.say("220 liar.test ESMTP\r\n")
        mail = ""
        while True:
            line = c.line()
            verb = line.split(" ")[0].split(":")[0].upper()
            mail = line if verb == "MAIL" else mail
            if verb == "BDAT":
                want = int(line.split()[1])
                while len(c.rest) < want:
                    c.rest += c.sock.recv(65536)
                got.append((mail, c.rest[:want]))
                c.rest = c.rest[want:]
            c.say({"EHLO": ehlo, "DATA": "354 go on\r\n"}.get(verb, "250 ok\r\n"))
            if verb == "DATA":
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    if not c.rest:
                        c.rest = c.sock.recv(65536)
                    data, c.rest = data + c.rest[:1], c.rest[1:]
                got.append((mail, data[:-3].replace(b"\r\n..", b"\r\n.")))
                c.say("250 taken\r\n")
            if verb == "QUIT":
                return
    return script


def relayed(messages, ehlo=SEVEN, policy="8bit convert", sender="me@example.test", n=None):
    """What arrives at a server with those extensions: [(MAIL command, message)], and the log."""
    got = []
    with Liar(sink(ehlo, got)) as liar, Postern(TO_LIAR, liar=liar.port, policy=policy) as p:
        with p.smtp() as s:
            for text in messages:
                assert s.mail(sender, "x@far.test", text).startswith("250")
        p.wait_empty()
        return got, p.log()


def test_converted():
    """SIZE= is what is sent; by BDAT too; each part is what it was."""
    for ehlo in (SIZED, CHUNKS):
        bare, got = sorted(relayed([MIXED, b"Subject: cron\r\n\r\n" + TEXT.encode()], ehlo)[0], key=lambda m: b"boundary=" in m[1])
        for mail, data in (got, bare):
            assert data.isascii() and max(map(len, data.split(b"\r\n"))) <= 998, data
            assert "SMTPUTF8" not in mail and "BODY" not in mail and (ehlo is CHUNKS or "SIZE=%d" % len(data) in mail), (mail, len(data))
        m = email.message_from_bytes(got[1], policy=email.policy.default)
        text, attached, inner = m.iter_parts()
        assert m["subject"] == "\u20ac and more" and m["from"].addresses[0].display_name == "J\u00f6rg", m.items()
        assert m["content-transfer-encoding"] == "7bit" and text.get_payload(decode=True).decode() == TEXT[:-2] + "\r\n"
        assert attached.get_filename() == "\u00e4.bin" and attached.get_payload(decode=True) == ATTACHMENT
        assert inner.get_payload(0).get_payload(decode=True).decode() == TEXT
        cron = email.message_from_bytes(bare[1], policy=email.policy.default)
        assert cron.get_content_charset() == "utf-8" and cron.get_payload(decode=True).decode() == TEXT


def test_policies():
    """pass: byte for byte, without a parameter; bounce: it comes back; what is signed is not altered, and said to pass."""
    (got,), _ = relayed([MIXED], policy="8bit pass")
    assert got[1].endswith(MIXED) and "BODY" not in got[0]
    (got,), log = relayed([SIGNED])
    assert got[1].endswith(SIGNED) and "8-bit bytes" in log
    got, log = relayed([MIXED], policy="8bit bounce")
    assert got == [] and "dsn=5.6.3, status=bounced" in log, log[-2000:]


def test_utf8_header():
    """UTF-8 in fields, with an ASCII envelope, is no reason for a bounce where SMTPUTF8 is missing."""
    text = "From: J\u00f6rg <me@example.test>\r\nSubject: \u20ac\r\n\r\nx\r\n".encode()
    got = []
    with Liar(sink("250-liar.test\r\n250 8BITMIME\r\n", got)) as liar, Postern(TO_LIAR, liar=liar.port, policy="8bit convert") as p:
        with p.smtp() as s:
            for line in ("MAIL FROM:<me@example.test> SMTPUTF8 BODY=8BITMIME", "RCPT TO:<x@far.test>"):
                assert s.cmd(line).startswith("250")
            s.cmd("DATA")
            s.send(text + b".\r\n")
            assert s.reply().startswith("250")
        p.wait_empty()
    assert got[0][0].split()[-1] == "BODY=8BITMIME" and got[0][1].endswith(text), got


def test_notice():
    """A notice of ours never goes raw, whatever it returns."""
    got = []
    with Liar(sink(SEVEN, got)) as liar, \
            Postern(TO_LIAR + "match from local for domain bad.test action bad\naction bad relay via smtp://127.0.0.1:$other\n", liar=liar.port,
                    other=0, policy="8bit pass", start=False) as p:
        with Liar(lambda c, n: c.polite(answers={"RCPT": "550 5.1.1 n\u00f6\r\n"})) as other:
            with open(p.conf, encoding="utf-8") as f:
                text = f.read()
            p.write_conf(text.replace("127.0.0.1:0", "127.0.0.1:%d" % other.port))
            p.start()
            with p.smtp() as s:
                assert s.mail("me@far.test", "x@bad.test", SIGNED).startswith("250")
                assert s.mail("me@far.test", "x@bad.test", MIXED).startswith("250")
            p.wait_empty()
    assert len(got) == 2
    for mail, data in got:
        assert "<>" in mail and data.isascii(), data
        assert [part.get_content_type() for part in email.message_from_bytes(data).get_payload()] == \
            ["text/plain", "message/delivery-status", "message/rfc822"]
