"""What strangers say goes nowhere but where it belongs: no shell, no second log line, no terminal, no relay."""
import glob
import os
import pty
import re
import subprocess
import tempfile

from lib import B, LOCAL, Postern, Sink, Smtp, free_port, strangers

CANARY = os.path.join(tempfile.gettempdir(), "postern-canary-%d" % os.getpid())
HOSTILE = ["() { :;}; touch %s" % CANARY, "${run{/bin/touch %s}}" % CANARY, ";touch %s;" % CANARY, "$(touch %s)" % CANARY, "|touch %s" % CANARY,
           "`touch %s`" % CANARY, "-froot", "--help", "%s%n%x", "../../etc/passwd", "/etc/passwd", "'; DROP TABLE msg; --"]
WORLD = LOCAL + """action out relay via smtp://127.0.0.1:$dead
match from local for domain far.test action out
destination * { retry 1s..1s, lifetime 2s }
limit errors 1000
limit greet-pause 0s
"""


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def test_canary():
    """As sender, recipient and header, through Maildir and through a bounce."""
    with Postern(WORLD, dead=free_port()) as p, p.smtp() as s:
        for text in HOSTILE:
            local = quoted(text)
            message = b"Subject: " + text.encode() + b"\r\nFrom: " + text.encode() + b"\r\n\r\n" + text.encode() + b"\r\n"
            answer = s.mail("%s@example.test" % local, "%s@example.test" % local, message)
            assert answer.startswith("250"), (text, answer)
            assert s.mail("%s@example.test" % local, "%s@far.test" % local, message).startswith("250"), text
        p.wait_empty(30)
        # each address has the mail for it and the notice of what could not be delivered
        boxes = glob.glob(os.path.join(glob.escape(p.dir), "mail", "*", "new"))
        assert len(boxes) == len(HOSTILE) and all(len(os.listdir(box)) == 2 for box in boxes), [(b, os.listdir(b)) for b in boxes]
        assert os.listdir(p.dir + "/mail") and not os.path.exists(CANARY)


def test_log_lines():
    """No command, address or reply of a server makes a line of its own in the log."""
    forged = "Nov 28 14:45:20 mx postern/smtpd[1]: NOQUEUE: reject: RCPT from x[192.0.2.1]: 550 5.7.1 forged"
    with Sink(rcpt=lambda a: "550 5.1.1 no\x1b]0;title\x07 \x0b\x85" + forged) as sink, Postern(
            LOCAL + "action out relay via smtp://127.0.0.1:$sink\nmatch from local for domain far.test action out\n", sink=sink.port) as p:
        with p.smtp() as s:
            for evil in ("\n" + forged, "\r" + forged, "\x0b" + forged, "\x1b[2J" + forged, "\x85" + forged, "\u2028" + forged):
                for verb in ("EHLO ", "MAIL FROM:<", "RCPT TO:<", "VRFY ", "NOOP "):
                    with Smtp(p.port) as c:
                        c.cmd("EHLO x.test")
                        c.send(verb + evil + ">\r\nQUIT\r\n")
                        c.is_closed()
            s.mail("a@example.test", "u@far.test", b"Message-Id: <\x1b[2J" + forged.encode() + b">\r\n\r\nx\r\n")
        p.wait_log(r"to=<u@far\.test>.* status=bounced")
        with open(p.logfile, "rb") as f:
            lines = f.read().split(b"\n")
        for line in lines:
            assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line) and not line.startswith(forged.encode()), line
            assert line == b"" or re.match(rb"... .. ..:..:.. \S+ postern/\w+\[\d+\]: ", line), line


def on_terminal(p, *words):
    """What posternctl writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([os.path.join(B, "bin/posternctl"), "-s", p.runtime + "/control.sock", *words], stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.STDOUT) as child:
        os.close(theirs)
        said = b""
        try:
            while True:
                more = os.read(ours, 65536)
                if not more:
                    break
                said += more
        except OSError:         # the other end is closed
            pass
        assert child.wait(20) == 0
    os.close(ours)
    return said


def test_terminal():
    """The bytes of a message reach a terminal as text, and a file as they are."""
    evil = b"\x1b]0;owned\x07\x1b[2J\x9b2J\x08 caf\xc3\xa9 \xc2\x9b2J\ttab"
    with Postern(WORLD.replace("lifetime 2s", "lifetime 1h"), dead=free_port()) as p, p.smtp() as s:
        qid = s.mail("a@example.test", "u@far.test", b"Subject: " + evil + b"\r\n\r\n" + evil + b"\r\n").split()[-1]
        said = on_terminal(p, "queue", "cat", qid)
        assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|(?<![\xc3])\x9b", said), said
        assert b"caf\xc3\xa9" in said and rb"\x1b]0;owned\x07" in said and b"\ttab" in said, said
        raw = subprocess.run([os.path.join(B, "bin/posternctl"), "-s", p.runtime + "/control.sock", "queue", "cat", qid], capture_output=True, check=True)
        assert raw.stdout.count(evil) == 2
        for words in (("queue", "list"), ("queue", "show", qid)):
            assert b"\x1b" not in on_terminal(p, *words)


def test_no_relay():
    """However a stranger writes it, an address of elsewhere is not relayed."""
    strangers()
    ways = ["<u%far.test@example.test>", "<far.test!u@example.test>", '<"u@far.test"@example.test>', "<@example.test:u@far.test>",
            "<@far.test:u@example.test>", "<@example.test,@far.test:u@far.test>", "<u@far.test@example.test>", "<u@example.test@far.test>",
            "<u@far.test.>", "<u@far.test >", "<u@[127.0.0.1]>", "<u@[192.0.2.1]>", "<u@[IPv6:::1]>", "<@far.test>", "<u@>", "<>", "<u>",
            "<<u@far.test>>", "<u@far.test>@example.test", "u@far.test", "<u@example.test.far.test>", "<u@ex\u0430mple.test>",
            "<=?utf-8?q?u=40far=2Etest?=@example.test>", "<u\\@far.test@example.test>", "<u@127.0.0.1>", "<u@2130706433>", "<u:far.test@example.test>",
            "<u@far.test\x00@example.test>", '<"u\\"@far.test"@example.test>', "<postmaster@far.test>", "<u@EXAMPLE.test%far.test>"]
    with Sink() as sink, Postern(WORLD.replace("$dead", "$sink").replace("from local for domain far.test", "from local for any"), sink=sink.port) as p:
        with Smtp(p.port, source=("198.51.100.9", 0)) as s:
            s.cmd("EHLO x.test")
            for path in ways:
                for utf8 in ("", " SMTPUTF8"):
                    s.cmd("RSET")
                    assert s.cmd("MAIL FROM:<a@b.test>" + utf8).startswith("250")
                    if s.cmd("RCPT TO:" + path).startswith("250") and s.cmd("DATA").startswith("354"):
                        s.send("Subject: x\r\n\r\nx\r\n.\r\n")
                        s.reply()
        p.wait_empty(20)
        assert not sink.mails, [m.rcpt_tos for m in sink.mails]
        for line in re.findall(r"^.* postern/smtp\[.*$", p.log(), re.M):
            assert " to=<" not in line, line
