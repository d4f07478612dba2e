"""Notices: to whom, about whom, with what in them; and messages that crash deliver."""
import email
import email.policy
import os
import signal
import time

from lib import LOCAL, Postern, Sink, until

RELAY = LOCAL + """action out relay via smtp://127.0.0.1:$sink
match from local for any action out
destination * { retry 1s..2s, lifetime 1h }
"""
TEXT = b"From: a@b.test\r\nSubject: about\r\nMessage-ID: <m1@b.test>\r\n\r\nthe body\r\n"


def refuse(address):
    return "550 5.1.1 no such person" if address.startswith("bad") else None


def send(p, sender, rcpts, text=TEXT, mail_opts="", rcpt_opts=""):
    with p.smtp() as s:
        assert s.cmd("MAIL FROM:<%s>%s" % (sender, mail_opts)).startswith("250")
        for r in rcpts:
            assert s.cmd("RCPT TO:<%s>%s" % (r, rcpt_opts)).startswith("250")
        assert s.cmd("DATA").startswith("354")
        s.send(text + b".\r\n")
        answer = s.reply()
        assert answer.startswith("250"), answer
        return answer.split()[-1]


def parts(text):
    """-> the words, the fields of the message, those of each recipient, the returned part"""
    m = email.message_from_bytes(text, policy=email.policy.default)
    assert m.get_content_type() == "multipart/report" and not m.defects, (m.items(), m.defects)
    words, status, original = m.iter_parts()
    blocks = status.get_payload()
    return words.get_content(), blocks[0], blocks[1:], original


def test_parameters():
    with Sink(rcpt=refuse) as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "me@example.test", ["bad@far.test"], mail_opts=" RET=HDRS ENVID=QQ+2B41", rcpt_opts=" ORCPT=rfc822;o+2B41@y.test")
        words, top, rcpts, original = parts(p.wait_mail("me")[0])
        assert top["Original-Envelope-Id"] == "QQ+41", top.items()
        assert rcpts[0]["Original-Recipient"].split(";")[1] == "o+41@y.test", rcpts[0].items()
        assert original.get_content_type() == "text/rfc822-headers"
        assert "Subject: about" in original.get_content() and "the body" not in original.get_content()
        assert "no such person" in words


def test_notify():
    with Sink(rcpt=refuse) as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "quiet@example.test", ["bad@far.test"], rcpt_opts=" NOTIFY=NEVER")
        send(p, "quiet@example.test", ["bad@far.test"], rcpt_opts=" NOTIFY=SUCCESS,DELAY")
        send(p, "glad@example.test", ["someone@example.test"], rcpt_opts=" NOTIFY=SUCCESS")
        _, _, rcpts, original = parts(p.wait_mail("glad")[0])
        assert [(r["Action"], r["Status"][0]) for r in rcpts] == [("delivered", "2")], rcpts
        assert original.get_content_type() == "text/rfc822-headers"
        p.wait_empty()
        assert p.mail("quiet") == []


def test_postmaster_once():
    with Sink(rcpt=refuse) as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "", ["bad1@far.test", "bad2@far.test"])
        text = (p.wait_mail("root") if os.path.isdir(p.dir + "/mail/root") else p.wait_mail("postmaster"))[0]
        _, _, rcpts, _ = parts(text)
        assert len(rcpts) == 2 and text.startswith(b"Return-Path: <>\n"), text
        # Notices that cannot be delivered themselves are for the list of the day; they are done with, whatever happens to us until then.
        for n in (3, 5):
            send(p, "bad%d@far.test" % n, ["bad%d@far.test" % (n + 1)])
        p.wait_empty()
        p.wait_log(r"<bad5@far\.test> cannot be told; the postmaster is, with others")
        p.kill9()
        p.start()
        assert len(p.mail("postmaster")) == 1
        p.stop()
        with open(p.spool + "/doubles", encoding="utf-8") as f:
            lines = f.read().splitlines()
        assert len(lines) == 3, lines
        with open(p.spool + "/doubles", "w", encoding="utf-8") as f:
            f.write("\n".join(["told %d" % (time.time() * 1000 - 25 * 3600 * 1000)] + lines[1:]) + "\n")
        p.start()
        text = p.wait_mail("postmaster", 2)[-1].decode()
        assert "Subject: 2 senders could not be told" in text and "<bad3@far.test> (queue id" in text and "<bad5@far.test>" in text and "no such person" in text, text
        p.wait_empty()
        with open(p.spool + "/doubles", encoding="utf-8") as f:
            assert len(f.read().splitlines()) == 1
        send(p, "", ["bad7@far.test"])          # a new day has begun with it
        p.wait_empty()
        assert len(p.mail("postmaster")) == 2


def test_sizes():
    with Sink(rcpt=refuse) as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "small@example.test", ["bad@far.test"], TEXT + b"x" * 70 + b"\r\n")
        send(p, "big@example.test", ["bad@far.test"], TEXT + (b"x" * 70 + b"\r\n") * 100000)
        assert parts(p.wait_mail("small")[0])[3].get_content_type() == "message/rfc822"
        text = p.wait_mail("big")[0]
        assert len(text) < 20000 and parts(text)[3].get_content_type() == "text/rfc822-headers"


def test_bytes():
    """What is returned is what came, whatever it is."""
    odd = b"Subject: \xff\xfe 8-bit\r\nX-Long: " + b"w" * 900 + b"\r\n\r\n--=_\r\n\x01\x7f\x80\r\n"
    with Sink(rcpt=refuse) as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "me@example.test", ["bad@far.test"], odd, mail_opts=" BODY=8BITMIME")
        text = p.wait_mail("me")[0]
        assert odd.replace(b"\r\n", b"\n") in text
        assert b"Content-Transfer-Encoding: 8bit\n" in text


def test_utf8():
    with Sink(rcpt=refuse) as sink, Postern(RELAY, sink=sink.port) as p:
        with p.smtp() as s:
            assert s.cmd("MAIL FROM:<me@example.test> SMTPUTF8").startswith("250")
            assert s.cmd("RCPT TO:<badé@far.test>").startswith("250")
            assert s.cmd("DATA").startswith("354")
            s.send("Subject: é\r\n\r\nx\r\n.\r\n")
            assert s.reply().startswith("250")
        text = p.wait_mail("me")[0].decode("utf-8")
        assert "message/global-delivery-status" in text and "Final-Recipient: utf-8;badé@far.test" in text, text


def test_expiry():
    conf = RELAY.replace("lifetime 1h", "lifetime 3s")
    with Sink(rcpt=lambda a: "451 4.7.1 come back") as sink, Postern(conf, sink=sink.port) as p:
        send(p, "me@example.test", ["later@far.test"])
        words, _, rcpts, _ = parts(p.wait_mail("me", seconds=20)[0])
        assert rcpts[0]["Action"] == "failed" and "4.7.1 come back" in rcpts[0]["Diagnostic-Code"], rcpts[0].items()
        assert "time" in words
        p.wait_log(r"status=expired, returned to sender")


def test_one_notice():
    """Recipients that fail at different times within one pass are told of together."""
    with Sink(rcpt=refuse) as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "me@example.test", ["bad%d@far%d.test" % (n, n % 7) for n in range(50)])
        text = p.wait_mail("me")
        p.wait_empty()
        assert sorted(r["Final-Recipient"] for r in parts(text[0])[2]) == sorted("rfc822;bad%d@far%d.test" % (n, n % 7) for n in range(50))
        assert len(p.mail("me")) == 1


def deliver(p):
    return next(proc["pid"] for proc in p.ctl_json("status")[0]["processes"] if proc["name"] == "postern-deliver")


def test_killer():
    """A message that is in flight, alone, each time that deliver crashes is held; the others go on."""
    def slow(address):
        if address.startswith("killer"):
            time.sleep(1.5)
        return None
    conf = RELAY.replace("lifetime 1h", "lifetime 1h, concurrency 5")
    with Sink(rcpt=slow) as sink, Postern(conf, sink=sink.port, expect_trouble=True) as p:
        qid = send(p, "me@example.test", ["killer@far.test"])
        for _ in range(5):
            until(lambda: p.ctl_json("status")[0]["in_flight"] == 1, 30)
            os.kill(deliver(p), signal.SIGSEGV)
            until(lambda: p.ctl_json("status")[0]["in_flight"] == 0, 30)
        p.wait_log(qid + ".*held")
        assert p.ctl_json("queue", "list")[0]["state"] == "held"
        send(p, "me@example.test", ["other@example.test"])
        p.wait_mail("other")
        assert p.ctl("queue", "retry", qid)[0] == 0
        until(lambda: p.queued() == 0, 30)


def test_many_in_one_notice():
    """It lists a thousand, says how many more there are, and all of them are settled."""
    n = 2300
    with Sink(rcpt=refuse) as sink, Postern("limit recipients 5000\n" + RELAY, sink=sink.port) as p:
        send(p, "me@example.test", ["bad%d@far.test" % i for i in range(n)])
        words, _, rcpts, _ = parts(p.wait_mail("me", 1, 30)[0])
        assert len(rcpts) == 1000 and "and %d more recipients" % (n - 1000) in words, (len(rcpts), words[-300:])
        p.wait_empty(20)
