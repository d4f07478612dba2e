"""Relay by MX: a name server of our own, hosts on 127.0.9.x port 25. Needs root for the port."""
from lib import LOCAL, Postern, Sink, need_root
from lib_dns import Dns, SilentDns

BY_MX = LOCAL + """resolver 127.0.0.1@$dns
action out relay
match from local for any action out
destination * { retry 1s..2s, lifetime 1h }
"""
TEXT = b"Subject: by mx\r\n\r\nhi\r\n"
ZONE = """
@ MX 10 mx1
  MX 20 mx2
mx1 A 127.0.9.1
mx2 A 127.0.9.2
null MX 0 .
nomx A 127.0.9.2
self MX 5 mx.test.
alias CNAME @
v6first MX 10 dual
dual A 127.0.9.2
     AAAA ::1
"""


class SinkOn(Sink):
    """A sink at port 25 of an address."""

    def __init__(self, host, **kw):
        from aiosmtpd.controller import Controller
        need_root()
        import threading
        self.mails, self._reply, self._rcpt, self.lock = [], kw.get("reply"), kw.get("rcpt"), threading.Lock()
        self.controller = Controller(self, hostname=host, port=25, enable_SMTPUTF8=True)
        self.controller.start()


def send(p, rcpt, sender="author@example.test"):
    with p.smtp() as s:
        answer = s.mail(sender, rcpt, TEXT)
        assert answer.startswith("250"), answer


def world():
    need_root()
    return Dns({"far.test": ZONE})


def test_preference():
    with world() as dns, SinkOn("127.0.9.1") as first, SinkOn("127.0.9.2") as second, Postern(BY_MX, dns=dns.port) as p:
        send(p, "x@far.test")
        first.wait(1)
        send(p, "y@alias.far.test")
        first.wait(2)
        send(p, "z@nomx.far.test")
        second.wait(1)
        send(p, "lit@[127.0.9.2]")
        second.wait(2)
        p.wait_log(r"to=<x@far\.test>, relay=mx1\.far\.test\[127\.0\.9\.1\]:25, ")


def test_next_mx():
    """The first host refuses connections; the second one takes it at once."""
    with world() as dns, SinkOn("127.0.9.2") as second, Postern(BY_MX, dns=dns.port) as p:
        send(p, "x@far.test")
        assert second.wait(1, 5)
        send(p, "y@v6first.far.test")
        assert second.wait(2, 5)


def test_no_way():
    """Null MX, no such domain, MX that is ourselves: a bounce each, with the right code."""
    with world() as dns, Postern(BY_MX, dns=dns.port) as p:
        for rcpt, dsn in (("x@null.far.test", "5.1.10"), ("x@nothere.far.test", "5.1.2"), ("x@self.far.test", "5.4.6")):
            send(p, rcpt)
            p.wait_log(r"to=<%s>.*dsn=%s, status=bounced" % (rcpt.replace(".", r"\."), dsn.replace(".", r"\.")))
        assert len(p.wait_mail("author", 3)) == 3


def test_dead_dns():
    """Mail is taken and waits; another destination goes on."""
    need_root()
    with SilentDns() as dns, Sink() as sink, Postern(BY_MX.replace("action out relay\n", """action out relay
action smart relay via smtp://127.0.0.1:$sink
match from local for domain other.test action smart
"""), dns=dns.port, sink=sink.port) as p:
        for n in range(50):
            send(p, "x@far%d.test" % n)
        send(p, "y@other.test")
        sink.wait(1)
        p.wait_log(r"to=<x@far\d+\.test>.*dsn=4\.4\.3, status=deferred", 40)
        assert p.queued() == 50


test_dead_dns.seconds = 120
