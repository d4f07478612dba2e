"""Relay by MX to port 25 of hosts on 127.0.9.x: preference, the next host, a loop, a dead DNS. Needs root for the port."""
from lib import LOCAL, Postern, Sink, need_root
from lib_dns import Dns, SilentDns

BY_MX = LOCAL + """resolver 127.0.0.1@$dns
action out relay
match from local for any action out
destination * { retry 1s..2s, lifetime 1h }
"""
ZONE = """
@ MX 10 mx1
  MX 20 mx2
mx1 A 127.0.9.1
mx2 A 127.0.9.2
nomx A 127.0.9.2
self MX 5 mx.test.
alias CNAME @
dual MX 10 both
both A 127.0.9.2
     AAAA ::9:9
"""


def world():
    need_root()
    return Dns({"far.test": ZONE, "mx.test": "@ A 127.0.9.9\n"})


def send(p, rcpt, sender="author@example.test"):
    with p.smtp() as s:
        answer = s.mail(sender, rcpt, b"Subject: by mx\r\n\r\nhi\r\n")
        assert answer.startswith("250"), answer


def test_preference():
    with world() as dns, Sink(at=("127.0.9.1", 25)) as first, Sink(at=("127.0.9.2", 25)) as second, Postern(BY_MX, dns=dns.port) as p:
        send(p, "x@far.test")
        first.wait(1)
        send(p, "y@alias.far.test")
        first.wait(2)
        send(p, "z@nomx.far.test")
        second.wait(1)
        p.wait_log(r"to=<x@far\.test>, relay=mx1\.far\.test\[127\.0\.9\.1\]:25, ")


def test_next_mx():
    """The first host refuses connections, or has an IPv6 address that cannot be reached; the second one takes it at once."""
    with world() as dns, Sink(at=("127.0.9.2", 25)) as second, Postern(BY_MX, dns=dns.port) as p:
        send(p, "x@far.test")
        second.wait(1, 5)
        send(p, "y@dual.far.test")
        second.wait(2, 5)


def test_loop():
    """An MX that is ourselves."""
    with world() as dns, Postern(BY_MX, dns=dns.port) as p:
        send(p, "x@self.far.test")
        p.wait_log(r"to=<x@self\.far\.test>.*dsn=5\.4\.6, status=bounced")
        p.wait_mail("author", 1)


def test_dead_dns():
    """Many destinations wait for a name server that says nothing; one that needs none goes on."""
    need_root()
    smart = "action out relay\naction smart relay via smtp://127.0.0.1:$sink\nmatch from local for domain other.test action smart\n"
    with SilentDns() as dns, Sink() as sink, Postern(BY_MX.replace("action out relay\n", smart), dns=dns.port, sink=sink.port) as p:
        for n in range(50):
            send(p, "x@far%d.test" % n)
        send(p, "y@other.test")
        sink.wait(1)
        p.wait_log(r"to=<x@far\d+\.test>.*dsn=4\.4\.3, status=deferred", 40)
        assert p.queued() == 50


test_dead_dns.seconds = 120
