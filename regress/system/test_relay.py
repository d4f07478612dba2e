"""Mail that leaves: by smarthost, with what the other side has and says; retries, bounces."""
import email
import email.policy
import os
import re
import shutil
import subprocess

from lib import LOCAL, ROOT, Liar, Postern, Sink, Skip, body_of, free_port

RELAY = LOCAL + """action out relay via smtp://127.0.0.1:$sink
match from local for any action out
destination * { retry 1s..2s, lifetime 1h }
"""
TEXT = b"From: a@b.test\r\nSubject: relayed\r\nMessage-ID: <m1@b.test>\r\n\r\n.dot\r\nbody \xc3\xa9\r\n"


def send(p, rcpts, text=TEXT, sender="a@b.test"):
    with p.smtp() as s:
        answer = s.mail(sender, rcpts, text)
        assert answer.startswith("250"), answer
        return answer.split()[-1]


def test_smarthost():
    with Sink() as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, ["x@far.test", "y@far.test", "z@other.test"])
        got = sink.wait(1)
        p.wait_empty()
        assert sorted(r for m in got for r in m.rcpt_tos) == ["x@far.test", "y@far.test", "z@other.test"]
        assert all(m.mail_from == "a@b.test" and body_of(m.content) == TEXT for m in got), got[0].content
        p.wait_log(r"postern/smtp\[\d+\]: \w+: to=<x@far\.test>, relay=.*, delay=.*, dsn=2\.\d+\.\d+, status=sent \(250")


def test_many():
    with Sink() as sink, Postern(RELAY, sink=sink.port) as p:
        with p.smtp() as s:
            for n in range(300):
                assert s.mail("a@b.test", "r%d@far.test" % n, TEXT).startswith("250")
        sink.wait(300, 30)
        assert sorted(m.rcpt_tos[0] for m in sink.mails) == sorted("r%d@far.test" % n for n in range(300))


def test_large():
    with Sink() as sink, Postern(RELAY, sink=sink.port) as p:
        text = TEXT + b"".join(b"%06d .................................................\r\n" % n for n in range(60000))
        send(p, "x@far.test", text)
        assert body_of(sink.wait(1, 30)[0].content) == text


def test_smtp_sink():
    """Postfix's own sink, if it is on this machine (as a program, or in a root of its own)."""
    peers = os.environ.get("PEERS", os.path.expanduser("~/.cache/mail-peers")) + "/postfix"
    port = free_port()
    if shutil.which("smtp-sink"):
        argv = [shutil.which("smtp-sink")]
    elif ROOT and os.path.exists(peers + "/usr/sbin/smtp-sink"):
        argv = ["chroot", peers, "/usr/sbin/smtp-sink", "-u", "nobody"]
    else:
        raise Skip("needs smtp-sink")
    with subprocess.Popen(argv + ["-c", "127.0.0.1:%d" % port, "100"], stdout=subprocess.PIPE) as sink, Postern(RELAY, sink=port) as p:
        try:
            with p.smtp() as s:
                for n in range(100):
                    assert s.mail("a@b.test", "r%d@far.test" % n, TEXT).startswith("250")
            p.wait_empty()
        finally:
            sink.terminate()
        assert re.findall(rb"\d+", sink.stdout.read())[-1] == b"100"


def test_dsn_parameters():
    def script(c, _):
        c.polite("250-liar.test\r\n250-DSN\r\n250-8BITMIME\r\n250 PIPELINING\r\n")
    with Liar(script) as liar, Postern(RELAY, sink=liar.port) as p, p.smtp() as s:
        assert s.cmd("MAIL FROM:<a@b.test> RET=HDRS ENVID=x+2By BODY=8BITMIME").startswith("250")
        assert s.cmd("RCPT TO:<x@far.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;orig@b.test").startswith("250")
        assert s.cmd("DATA").startswith("354")
        s.send(TEXT.replace(b"\r\n.dot", b"\r\n..dot") + b".\r\n")
        assert s.reply().startswith("250")
        p.wait_empty()
        mail = next(line for line in liar.heard if line.startswith(b"MAIL"))
        rcpt = next(line for line in liar.heard if line.startswith(b"RCPT"))
        assert b"RET=HDRS" in mail and b"ENVID=x+2By" in mail and b"BODY=8BITMIME" in mail, mail
        assert b"ORCPT=rfc822;orig@b.test" in rcpt and b"FAILURE" in rcpt and b"DELAY" in rcpt, rcpt


def test_defer_and_retry():
    turns = []

    def later(_):
        turns.append(1)
        return "451 4.7.1 come back later\r\n" if len(turns) < 3 else "250 ok\r\n"

    def script(c, _):
        c.polite(answers={"RCPT": later})
    with Liar(script) as liar, Postern(RELAY, sink=liar.port) as p:
        send(p, "x@far.test")
        p.wait_log(r"to=<x@far\.test>.* status=deferred \(.*come back later")
        p.wait_log(r"to=<x@far\.test>.* status=sent", 20)
        p.wait_empty()


def test_nobody_there():
    """A refused connection is a deferral, and the mail goes when the host is back."""
    with Sink() as sink:
        port = sink.port
    with Postern(RELAY, sink=port) as p:
        send(p, "x@far.test")
        p.wait_log(r"to=<x@far\.test>.* status=deferred \(.*[Cc]onnection refused")
        assert p.queued() == 1
        assert p.ctl_json("queue", "list")[0]["to"], p.ctl("queue", "list")


def test_bounce():
    with Sink(rcpt=lambda a: "550 5.1.1 no such person" if a.startswith("bad") else None) as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, ["bad1@far.test", "good@far.test", "bad2@far.test"], sender="author@example.test")
        text = p.wait_mail("author")[0]
        m = email.message_from_bytes(text, policy=email.policy.default)
        assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status", m["content-type"]
        assert not m.defects and text.startswith(b"Return-Path: <>\n"), m.defects
        assert "author@example.test" in m["To"] and m["Auto-Submitted"].startswith("auto-"), m.items()
        human, status, original = m.iter_parts()
        assert "no such person" in human.get_content() and "bad1@far.test" in human.get_content(), human.get_content()
        assert status.get_content_type() == "message/delivery-status"
        blocks = status.get_payload()
        assert "mx.test" in blocks[0]["Reporting-MTA"], blocks[0].items()
        rcpts = {b["Final-Recipient"].split(";")[1].strip(): b for b in blocks[1:]}
        assert set(rcpts) == {"bad1@far.test", "bad2@far.test"}, rcpts
        assert all(b["Action"] == "failed" and b["Status"] == "5.1.1" and "550" in b["Diagnostic-Code"] for b in rcpts.values())
        assert original.get_content_type() in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers")
        assert "relayed" in original.as_string()
        p.wait_empty()
        assert len(p.mail("author")) == 1 and [m.rcpt_tos for m in sink.mails] == [["good@far.test"]]


def test_no_bounce_of_a_bounce():
    with Sink(rcpt=lambda a: "550 5.1.1 no such person") as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "bad@far.test", sender="")
        p.wait_log(r"to=<bad@far\.test>.* status=bounced")
        p.wait_empty()


def test_helo_fallback():
    def script(c, _):
        c.polite(answers={"EHLO": "502 no\r\n"})
    with Liar(script) as liar, Postern(RELAY, sink=liar.port) as p:
        send(p, "x@far.test", TEXT.replace(b"\xc3\xa9", b"e"))
        p.wait_empty()
        assert any(line.startswith(b"HELO mx.test") for line in liar.heard), liar.heard


def test_lies():
    """Whatever a server says, the mail stays or goes, and the daemon lives."""
    lies = ["550-\r\n550\r\n", "5\r\n", "\r\n", "250-a\r\n550 b\r\n", "999 what\r\n", "250-" + "x" * 100000 + "\r\n250 x\r\n",
            "250-x\r\n" * 5000 + "250 x\r\n", "\0\0\0\r\n", "250 a\r\n250 b\r\n250 c\r\n", "354 no\r\n", "-1 x\r\n"]
    for verb in ("banner", "EHLO", "MAIL", "RCPT", "DATA", "."):
        def script(c, n, verb=verb):
            c.polite(answers={verb: lies[n % len(lies)]})
        with Liar(script) as liar, Postern(RELAY, sink=liar.port) as p:
            for n in range(6):
                send(p, "x%d@far.test" % n, sender="")
            p.wait_log(r"status=(deferred|bounced|sent)", 20)
            assert p.ctl("status")[0] == 0


test_lies.seconds = 180


def test_connection_reuse():
    with Sink() as sink, Postern(RELAY, sink=sink.port) as p:
        counted = []
        with Liar(lambda c, n: (counted.append(n), c.polite())) as liar:
            p.write_conf(open(p.conf, encoding="utf-8").read().replace("127.0.0.1:%d" % sink.port, "127.0.0.1:%d" % liar.port))
            assert p.ctl("reload")[0] == 0
            with p.smtp() as s:
                for n in range(40):
                    assert s.mail("a@b.test", "r%d@far.test" % n, TEXT).startswith("250")
            p.wait_empty()
            assert len(counted) < 25, counted


def test_one_connection_for_many_domains():
    """What no block tells apart goes over the same connections, and what times alone tell apart too."""
    with Sink() as sink, Postern(RELAY, sink=sink.port) as p:
        counted = []
        with Liar(lambda c, n: (counted.append(n), c.polite())) as liar:
            p.write_conf(open(p.conf, encoding="utf-8").read().replace("127.0.0.1:%d" % sink.port, "127.0.0.1:%d" % liar.port) +
                         "destination d1.test { lifetime 2h }\ndestination .test { concurrency 2, delay-notice 1h }\n")
            assert p.ctl("reload")[0] == 0
            send(p, ["r@d%d.test" % n for n in range(60)])
            p.wait_empty()
            assert len(counted) <= 2, counted


def test_host_that_never_takes_mail():
    """521 or 556 at RCPT, and no other host to ask: it comes back, in the server's own words; what waits behind it goes."""
    replies = {"r521": "521 5.3.2 this host takes no mail\r\n", "r556": "556 nor does this domain\r\n"}

    def rcpt(line):
        return replies.get(line.partition("<")[2].partition("@")[0], "250 ok\r\n")

    def script(c, _):
        c.polite(answers={"RCPT": rcpt})
    with Liar(script) as liar, Postern(RELAY.replace("destination * {", "destination * { concurrency 1,"), sink=liar.port) as p:
        with p.smtp() as s:
            for to in ("r521@far.test", "a@far.test", "r556@far.test", "b@far.test", "c@far.test"):
                assert s.mail("me@example.test", to, TEXT).startswith("250")
        notices = b"".join(p.wait_mail("me", 2))
        assert b"Diagnostic-Code: smtp; 521 5.3.2 this host takes no mail\r\n" in notices.replace(b"\n", b"\r\n"), notices
        assert b"Diagnostic-Code: smtp; 556 nor does this domain\r\n" in notices.replace(b"\n", b"\r\n"), notices
        assert b"Status: 5.3.2" in notices and b"Status: 5.1.10" in notices, notices
        p.wait_empty()
        for to in "abc":
            p.wait_log(r"to=<%s@far\.test>.* status=sent" % to, 1)
            assert not [line for line in p.log().splitlines() if "to=<%s@far.test>" % to in line and "status=deferred" in line]


def test_replies_before_their_commands():
    """A server, or somebody on the way, that answers what was not asked yet is not believed."""
    whole = b"250 mail ok\r\n250 rcpt ok\r\n354 go\r\n250 2.0.0 stored\r\n"
    for lead in (b"220 x\r\n250 x\r\n" + whole, b"220 x\r\n250 x\r\n2"):
        def script(c, _, lead=lead):
            c.say(lead)
            c.data()
        with Liar(script) as liar, Postern(RELAY, sink=liar.port) as p:
            send(p, ["u@far.test"])
            p.wait_log(r"to=<u@far\.test>.* status=deferred .*sent a reply before its command")
            assert "status=sent" not in p.log()

    def late_ones(c, _):
        c.say(b"220 x\r\n")
        for answer in (b"250 x\r\n", whole):
            c.line()
            c.say(answer)
        c.data()
    with Liar(late_ones) as liar, Postern(RELAY, sink=liar.port) as p:
        send(p, ["u@far.test"])
        p.wait_log(r"to=<u@far\.test>.* status=deferred .*sent a reply before its command")
        assert "status=sent" not in p.log()
