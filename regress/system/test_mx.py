"""Mail that finds its way by the DNS: the hosts of a domain in order; domains that take none; a DNS that is away.

Nothing here listens at port 25, so the MX set is that of a smarthost, whose port the configuration gives.
"""
import tempfile

from lib import LOCAL, Postern, Sink, body_of, need_root, private_file
from lib_dns import Dns, SilentDns

ZONES = {
    "hub.test": "@ MX 10 dead\n MX 20 good\n A 127.0.7.9\ndead A 127.0.7.1\ngood A 127.0.7.2\n A 127.0.0.1\nnull MX 0 .\n",
}
CONF = """resolver 127.0.0.1@$dns
action out relay via smtp://hub.test:$sink
action direct relay
match from local for domain far.test action out
match from local for any action direct
destination * { retry 1s..2s, lifetime 1h }
"""
TEXT = b"From: a@b.test\r\nSubject: by MX\r\n\r\nbody\r\n"


def send(p, rcpt):
    with p.smtp() as s:
        answer = s.mail("a@b.test", [rcpt], TEXT)
        assert answer.startswith("250"), answer


def test_next_host():
    """The first host refuses the connection, the second has an address that does, and one that takes the mail."""
    with Dns(ZONES) as dns, Sink() as sink, Postern(LOCAL + CONF, dns=dns.port, sink=sink.port) as p:
        send(p, "x@far.test")
        got = sink.wait(1)
        assert body_of(got[0].content) == TEXT
        p.wait_log(r"to=<x@far\.test>, relay=good\.hub\.test\[127\.0\.0\.1\]:%d, .*status=sent" % sink.port)


def test_resolv_conf_changes():
    """A resolv.conf that is empty at the start and filled later, or points elsewhere, is noticed without a reload."""
    need_root()
    with tempfile.NamedTemporaryFile() as resolv, Sink() as sink:
        private_file(resolv.name, "/etc/resolv.conf")
        with Dns(ZONES, port=(53, "127.0.53.4")) as dns, Postern(LOCAL + CONF.replace("resolver 127.0.0.1@$dns\n", ""), sink=sink.port) as p:
            p.wait_log(r"/etc/resolv\.conf names no name server")
            resolv.write(b"nameserver 127.0.53.4\n")
            resolv.flush()
            p.wait_log(r"/etc/resolv\.conf changed")
            send(p, "x@far.test")
            sink.wait(1)
            assert dns.port == 53


def test_no_such_domain():
    """A null MX bounces (5.1.10), and so does a domain that is not there; the sender's mailbox has the reason."""
    with Dns(ZONES) as dns, Postern(LOCAL + CONF, dns=dns.port, sink=1) as p:
        with p.smtp() as s:
            for rcpt in ("x@null.hub.test", "y@nowhere.hub.test"):
                assert s.mail("joe@example.test", [rcpt], TEXT).startswith("250")
        bounces = b"".join(p.wait_mail("joe", 2))
        assert b"5.1.10" in bounces and b"5.1.2" in bounces, bounces
        p.wait_empty()


def test_dns_away():
    """Mail is taken and waits; what needs no DNS goes on."""
    with SilentDns() as dead, Postern(LOCAL + CONF, dns=dead.port, sink=1) as p:
        send(p, "x@far.test")
        with p.smtp() as s:
            assert s.mail("a@b.test", ["joe@example.test"], TEXT).startswith("250")
        p.wait_mail("joe")
        p.wait_log(r"to=<x@far\.test>.*dsn=4\.4\.3, status=deferred", 20)
        assert p.queued() == 1
