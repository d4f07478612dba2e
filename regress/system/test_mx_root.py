"""Relay by MX to port 25 of hosts on 127.0.9.x: preference, the next host, policies by MX, a loop, a dead DNS. Needs root for the port."""
import re
import time

from lib import LOCAL, Postern, Sink, need_root, until
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
one MX 10 mx1
two MX 10 mx2
  MX 20 mx1
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


def later(*_):
    return "451 4.3.0 not now"


def test_policy_by_mx():
    """Times of a block for an MX: the next try, the notice of a delay, the end."""
    policy = "destination * { retry 1h..1h, lifetime 1d }\ndestination mx mx1.* { retry 1s..1s, delay-notice 3s, lifetime 7s }\n"
    with world() as dns, Sink(rcpt=later, at=("127.0.9.1", 25)), Sink(rcpt=later, at=("127.0.9.2", 25)), \
            Postern(BY_MX.replace("destination * { retry 1s..2s, lifetime 1h }\n", policy), dns=dns.port) as p:
        begun = time.monotonic()
        send(p, "x@one.far.test")
        send(p, "y@two.far.test")       # mx1 is there, but not the best
        p.wait_log(r"to=<x@one\.far\.test>.* status=deferred")
        p.wait_log(r"to=<y@two\.far\.test>.* status=deferred")
        first = p.wait_mail("author")[0]
        assert b"Action: delayed" in first and 2 < time.monotonic() - begun < 6, first
        assert b"Action: failed" in p.wait_mail("author", 2)[1] and 6 < time.monotonic() - begun < 11
        assert p.log().count("to=<x@one.far.test>") > 4 and len(re.findall("to=<y@two.far.test>.*status=deferred", p.log())) == 1
        until(lambda: p.queued() == 1)          # the last notice is still on its way, perhaps


def test_policy_by_mx_is_told():
    """`why` has the times by the MX: of mail that only waits for its host too, and after a restart."""
    with world() as dns, Postern(BY_MX + "destination mx mx2.far.test { retry 2h..3h, lifetime 5h }\n", dns=dns.port) as p:
        send(p, "x@two.far.test")
        p.wait_log(r"to=<x@two\.far\.test>.* status=deferred")
        send(p, "y@two.far.test")
        until(lambda: len(p.ctl_json("queue", "list")) == 2)

        def told():
            """what is next for both"""
            answers = [p.ctl("why", m["id"])[1] for m in p.ctl_json("queue", "list")]
            return all(re.search("if it is not delivered in (4h59m|5h)", a) for a in answers)
        until(told)
        p.stop()
        p.start()
        until(told)


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
