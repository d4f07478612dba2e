"""Notices beyond failures: delays, success, what others' parsers make of them; lifetimes; routes after a reload."""
import base64
import email
import os
import re
import signal
import subprocess
import tempfile
import time

from lib import LOCAL, BASE, Liar, Postern, Sink, Skip, until
from test_bounce import RELAY, parts, refuse, send

LATE = RELAY.replace("lifetime 1h", "lifetime 1h, delay-notice 2s")
PLAIN = "250-liar.test\r\n250 PIPELINING\r\n"
DSN = "250-liar.test\r\n250-PIPELINING\r\n250 DSN\r\n"


def later(address):
    return "451 4.7.1 come back" if address.startswith("later") else None


def reload(p):
    n = p.log().count("configuration")
    p.process.send_signal(signal.SIGHUP)
    until(lambda: p.log().count("configuration") > n)


def test_delay():
    """One notice for all that are late, once, and it survives kill -9."""
    with Sink(rcpt=later) as sink, Postern(LATE, sink=sink.port, expect_trouble=True) as p:
        send(p, "me@example.test", ["later1@far.test", "later2@far.test"], mail_opts=" ENVID=E+2B1")
        send(p, "mute@example.test", ["later3@far.test"], rcpt_opts=" NOTIFY=FAILURE")
        send(p, "mute@example.test", ["later3@far.test"], rcpt_opts=" NOTIFY=NEVER")
        send(p, "", ["later4@far.test"])
        words, top, rcpts, original = parts(p.wait_mail("me")[0])
        assert [r["Final-Recipient"] for r in rcpts] == ["rfc822;later1@far.test", "rfc822;later2@far.test"], rcpts
        assert top["Original-Envelope-Id"] == "E+1"
        for r in rcpts:
            assert (r["Action"], r["Status"]) == ("delayed", "4.7.1"), r.items()
            assert r["Will-Retry-Until"] and "451 4.7.1 come back" in r["Diagnostic-Code"], r.items()
        assert "dns; 127.0.0.1" in [r["Remote-MTA"] for r in rcpts]         # the other one's was before it left memory
        assert "YET" in words and "greylisted" in words and "come back" in words, words
        assert original.get_content_type() == "text/rfc822-headers"
        p.kill9()
        p.start()
        time.sleep(4)
        assert p.queued() == 4
        assert len(p.mail("me")) == 1 and p.mail("mute") == [] and p.mail("postmaster") == []


def test_delay_then_failure():
    """Who was told of the delay is told of the end too; a delay of which never is told says nothing."""
    conf = LATE.replace("lifetime 1h", "lifetime 4s").replace("delay-notice 2s", "delay-notice 1s")
    with Sink(rcpt=later) as sink, Postern(conf, sink=sink.port) as p:
        send(p, "me@example.test", ["later@far.test"])
        got = [parts(text)[2][0] for text in p.wait_mail("me", 2, seconds=20)]
        assert sorted((r["Action"], r["Status"]) for r in got) == [("delayed", "4.7.1"), ("failed", "4.4.7")], got
    with Sink(rcpt=later) as sink, Postern(conf.replace("delay-notice 1s", "delay-notice never"), sink=sink.port) as p:
        send(p, "me@example.test", ["later@far.test"])
        p.wait_empty()
        assert len(p.wait_mail("me")) == 1


def test_success():
    """delivered by us; relayed to a host without DSN; nothing from us where the next one tells."""
    def polite(ehlo):
        return lambda c, n: c.polite(ehlo)
    for ehlo, actions in ((PLAIN, ["relayed", "relayed"]), (DSN, [])):
        with Liar(polite(ehlo)) as liar, Postern(RELAY, sink=liar.port) as p:
            send(p, "me@example.test", ["a@far.test", "b@other.test", "here@example.test"], rcpt_opts=" NOTIFY=SUCCESS,FAILURE")
            p.wait_mail("me")
            p.wait_empty()
            rcpts = [r for text in p.mail("me") for r in parts(text)[2]]
            assert len(p.mail("me")) == 1, p.mail("me")
            assert sorted(r["Action"] for r in rcpts) == ["delivered"] + actions, [r.items() for r in rcpts]
            assert ("NOTIFY=SUCCESS,FAILURE" in str(liar.heard)) == (ehlo == DSN)


def test_bounce_lifetime():
    """Mail without a sender is given up sooner."""
    conf = RELAY + "bounces { lifetime 2s, retry 1s..1s }\n"
    with Sink(rcpt=later) as sink, Postern(conf, sink=sink.port) as p:
        send(p, "", ["later@far.test"])
        send(p, "me@example.test", ["later@far.test"])
        _, _, rcpts, _ = parts(p.wait_mail("postmaster", seconds=15)[0])
        assert rcpts[0]["Status"] == "4.4.7"
        assert p.queued() == 1 and p.mail("me") == []


def test_bulk_lifetime():
    """A newsletter is given up sooner than a letter to the same domain that only quotes one."""
    conf = LATE + "bulk { lifetime 3s, retry 1s..1s, delay-notice never }\n"
    with Sink(rcpt=later) as sink, Postern(conf, sink=sink.port, expect_trouble=True) as p:
        letter = send(p, "you@example.test", ["later@far.test"], text=b"Subject: fwd\r\n\r\nPrecedence: bulk\r\nList-Id: <a.test>\r\n\r\nx\r\n")
        news = send(p, "me@example.test", ["later@far.test"], text=b"Subject: news\r\npreceDENCE:\r\n\tBulk\r\n\r\nx\r\n")
        _, _, rcpts, original = parts(p.wait_mail("me", seconds=15)[0])
        assert rcpts[0]["Status"] == "4.4.7" and "Subject: news" in str(original)
        p.wait_log(news + ": from=<me@example.test>, to=<later@far.test>, status=expired, returned to sender")
        assert p.queued() == 1 and letter + ": from=<you@example.test>, to=<later@far.test>, status=expired" not in p.log()
        _, _, rcpts, _ = parts(p.wait_mail("you")[0])
        assert rcpts[0]["Action"] == "delayed" and len(p.mail("me")) == 1
        p.write_conf(BASE + LATE)
        reload(p)
        news = send(p, "them@example.test", ["later@far.test"], text=b"Subject: news\r\nList-ID: <a.test>\r\n\r\nx\r\n")
        assert parts(p.wait_mail("them")[0])[2][0]["Action"] == "delayed"       # no statement: as other mail
        p.kill9()
        p.write_conf(BASE + conf)
        p.start()
        until(lambda: len(p.mail("them")) == 2, 15)
        assert p.queued() == 1 and p.ctl_json("queue", "show", letter)[0]["class"] == "normal"


def test_reload():
    """What waits goes where the new configuration says: by the action's name, and by the rules when that is gone."""
    with Sink(rcpt=later) as old, Sink() as new, Postern(RELAY, sink=old.port, new=new.port) as p:
        send(p, "me@example.test", ["later@far.test"])
        p.wait_log("status=deferred")
        p.write_conf(BASE + RELAY.replace("$sink", "$new"))
        reload(p)
        assert new.wait()[0].rcpt_tos == ["later@far.test"]
        p.write_conf(BASE + RELAY)
        reload(p)
        send(p, "me@example.test", ["later@far.test", "later@else.test"])
        until(lambda: p.log().count("status=deferred") >= 3)
        p.write_conf(BASE + RELAY.replace("action out", "action other").replace("for any action other", """for domain else.test reject "550 5.7.1 not there"
match from local for any action other""").replace("$sink", "$new"))
        reload(p)
        new.wait(2)
        assert [m.rcpt_tos for m in new.mails] == [["later@far.test"]] * 2
        _, _, rcpts, _ = parts(p.wait_mail("me")[0])
        assert [(r["Final-Recipient"], r["Status"]) for r in rcpts] == [("rfc822;later@else.test", "5.7.1")]
        p.wait_empty()


def test_international():
    """A report to an ASCII address passes a host without SMTPUTF8 and without 8BITMIME."""
    with Sink(rcpt=refuse) as far, Liar(lambda c, n: c.polite(PLAIN)) as home, Postern("""
action back relay via smtp://127.0.0.1:$home
match from any for domain home.test action back
""" + RELAY, sink=far.port, home=home.port) as p:
        with p.smtp() as s:
            assert s.cmd("MAIL FROM:<me@home.test> SMTPUTF8 BODY=8BITMIME").startswith("250")
            assert s.cmd("RCPT TO:<badé@far.test> ORCPT=utf-8;o\\x{E9}@far.test").startswith("250")
            assert s.cmd("DATA").startswith("354")
            s.send("Subject: é\r\nMessage-ID: <é@x>\r\n\r\nx\r\n.\r\n")
            assert s.reply().startswith("250")
        p.wait_empty()
        text = "\n".join(line.decode("utf-8") for line in home.heard)
        assert "MAIL FROM:<>\r" in text and "RCPT TO:<me@home.test>" in text, text
        coded = re.search(r"message/global-delivery-status[^\n]*\n(?:[^\r].*\n)*\r\n([A-Za-z0-9+/=\r\n]+)", text)
        status = base64.b64decode(coded[1]).decode("utf-8")
        assert "Original-Recipient: utf-8;oé@far.test" in status and "Final-Recipient: utf-8;badé@far.test" in status, status
        assert text.isascii() and "SMTPUTF8" not in text, text


REASONS = {"bad": "550 5.1.1 no such person", "full": "552 5.2.2 mailbox full", "spam": "554 5.7.1 Service unavailable; Client host blocked using zen"}


def bounces():
    """A failure of each kind, one that expired, one of our own making, and a delay: the raw notices."""
    def answer(address):
        return later(address) or next((v for k, v in REASONS.items() if address.startswith(k)), None)
    conf = LATE.replace("lifetime 1h", "lifetime 5s") + "match from local for domain nowhere.test reject\n"
    with Sink(rcpt=answer) as sink, Postern(conf, sink=sink.port) as p:
        for name in (*REASONS, "later"):
            send(p, "me@example.test", [name + "@far.test"])
        p.wait_mail("me", 5, seconds=30)
        return {(r["Final-Recipient"].split(";")[1].split("@")[0], r["Action"]): text for text in p.mail("me") for r in parts(text)[2]}


def test_parsers():
    """Debian's flufl.bounce and Sisimai understand the reports."""
    made = bounces()
    assert sorted(made) == [("bad", "failed"), ("full", "failed"), ("later", "delayed"), ("later", "failed"), ("spam", "failed")], made.keys()
    for (name, action), text in made.items():
        for part in email.message_from_bytes(text).walk():
            assert not part.defects, (name, part.defects)
    check_flufl(made)
    check_sisimai(made)


def check_flufl(made):
    try:
        from flufl.bounce import all_failures
    except ImportError as e:
        raise Skip("needs python3-flufl.bounce") from e
    for (name, action), text in made.items():
        temporary, permanent = all_failures(email.message_from_bytes(text))
        address = {("%s@far.test" % name).encode()}
        assert (temporary, permanent) == ((set(), address) if action == "failed" else (address, set())), (name, action, temporary, permanent)


def check_sisimai(made):
    if not os.path.exists("/usr/share/perl5/Sisimai.pm"):
        raise Skip("needs libsisimai-perl")
    reasons = {"bad": "userunknown", "full": "mailboxfull", "spam": "blocked", "later": "blocked"}
    program = 'my $v = Sisimai->make($ARGV[0]); print join(",", map { $_->recipient->address . " " . $_->reason . " " . $_->deliverystatus } @$v)'
    for (name, action), text in made.items():
        if action != "failed":
            continue
        with tempfile.NamedTemporaryFile(suffix=".eml") as f:
            f.write(b"From MAILER-DAEMON Sat Nov 21 22:36:50 2026\n" + text)
            f.flush()
            said = subprocess.run(["perl", "-MSisimai", "-e", program, f.name], capture_output=True, text=True, timeout=60, check=False)
        assert said.stdout.startswith("%s@far.test %s " % (name, reasons[name])), (name, said.stdout, said.stderr)
