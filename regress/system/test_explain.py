"""posternctl explain: the whole way of a mail before there is one, by a name server of our own."""
import os
import signal
import subprocess
import time

from lib import B, BASE, LOCAL, Postern, Sink, free_port, until
from lib_dns import Dns

ZONES = {
    "far.test": "@ MX 20 mx2\n MX 10 mx1\nmx1 A 203.0.113.1\nmx2 A 203.0.113.2\n AAAA 2001:db8::2\nnull MX 0 .\nbare A 203.0.113.9\n",
    "hub.test": "@ MX 10 dead\n MX 20 good\ndead A 127.0.7.1\ngood A 127.0.0.1\n",
}
CONF = """resolver 127.0.0.1@$dns
destination * { retry 10m..2h, lifetime 3d, rate 5000/h, recipients-per-message 50 }
destination .far.test { lifetime 2d }
destination far.test { concurrency 7 }
destination mx *.far.test { rate 120/m burst 5, messages-per-connection 9, delay-notice 1h }
destination mx mx1.far.test { recipients-per-message 3 }
action out relay
action hub relay via smtp://hub.test:$sink
match from local for domain hubbed.test action hub
match from local for any action out
"""


def postern(dns, conf="", sink=1):
    return Postern(LOCAL + conf + CONF, dns=dns.port, sink=sink)


def explain(p, *words):
    rows = p.ctl_json("explain", *words)
    assert len(rows) == 1, rows
    return rows[0]


def test_hosts_and_limits():
    """Each value with the block it is from, `mx` blocks too."""
    with Dns(ZONES) as dns, postern(dns) as p:
        row = explain(p, "x@Far.test")
        assert [(h["preference"], h["host"], h["address"], h["port"]) for h in row["mx"]] == [
            (10, "mx1.far.test", "203.0.113.1", 25), (20, "mx2.far.test", "2001:db8::2", 25), (20, "mx2.far.test", "203.0.113.2", 25)], row
        assert all(h["rests"] == 0 and h["why"] == "" for h in row["mx"]) and row["dns"] == "", row
        assert row["accepted"] and row["action"] == "out" and row["account"] == "" and row["delivery"] == "running" and row["rule"] > 0, row
        want = {"concurrency": 7, "rate": 7200, "burst": 5, "messages_per_connection": 9, "recipients_per_message": 3, "retry_min": 600,
                "retry_max": 7200, "lifetime": 3 * 86400, "delay_notice": 3600, "tls": "none", "source": "chosen by the system",
                "sources": []}
        assert {k: row[k] for k in want} == want, row
        assert row["blocks"] == {"concurrency": "far.test", "rate": "mx *.far.test", "messages_per_connection": "mx *.far.test",
                                 "recipients_per_message": "mx mx1.far.test", "retry": "*", "lifetime": "*",
                                 "delay_notice": "mx *.far.test"}, row["blocks"]
        row = explain(p, "x@bare.far.test")
        assert [(h["host"], h["address"]) for h in row["mx"]] == [("bare.far.test", "203.0.113.9")], row
        assert row["lifetime"] == 2 * 86400 and row["recipients_per_message"] == 50 and row["blocks"]["lifetime"] == ".far.test", row
        out = p.ctl("explain", "x@far.test")[1].splitlines()
        for line in ("mx           10 mx1.far.test [203.0.113.1]:25", "             20 mx2.far.test [2001:db8::2]:25",
                     "source       chosen by the system", "tls          none: this version has no TLS",
                     "limits       7 connections at once (destination far.test)",
                     "             2 messages a second, 5 at once (destination mx *.far.test)", "             given up after 3d (destination *)",
                     "             the sender is told of a delay after 1h (destination mx *.far.test)"):
            assert line in out, (line, out)


def test_trouble_with_the_dns():
    with Dns(ZONES) as dns, postern(dns) as p:
        for domain, words in (("null.far.test", "null MX"), ("nowhere.far.test", "name service for nowhere.far.test: ")):
            row = explain(p, "x@" + domain)
            assert words in row["dns"] and row["mx"] == [] and row["source"] == "chosen by the system", row
        assert "trouble      name service for nowhere.far.test: " in p.ctl("explain", "x@nowhere.far.test")[1]
        row = explain(p, "x@[203.0.113.7]")
        assert [h["address"] for h in row["mx"]] == ["203.0.113.7"] and row["goes"] == "the host [203.0.113.7]", row
        dns.stop()
        assert len(explain(p, "x@far.test")["dns"]) > 0


def test_local_and_refused():
    with Dns(ZONES) as dns, postern(dns) as p:
        row = explain(p, "joe@example.test")
        assert row["action"] == "local" and row["mx"] == [] and row["source"] == "none" and row["dns"] == "", row
        out = p.ctl("explain", "joe@example.test")[1]
        assert "given up after" in out and "connections" not in out and "source" not in out, out
        row = explain(p, "x@far.test", "client=192.0.2.9")
        assert not row["accepted"] and row["code"] == 550, row


def test_rests():
    """A host that was tried in vain rests, with its reason; the one that took the mail does not."""
    with Dns(ZONES) as dns, Sink() as sink, postern(dns, sink=sink.port) as p:
        with p.smtp() as s:
            assert s.mail("a@b.test", "x@hubbed.test", b"Subject: s\r\n\r\nhi\r\n").startswith("250")
        sink.wait(1)
        dead, good = explain(p, "y@hubbed.test")["mx"]
        assert (dead["preference"], dead["host"], dead["port"]) == (10, "dead.hub.test", sink.port), dead
        assert 0 < dead["rests"] <= 10 and "Connection refused" in dead["why"], dead
        assert good["rests"] == 0 and good["why"] == "" and "rests_by_source" not in good, good
        assert "rests for " in p.ctl("explain", "y@hubbed.test")[1]
        assert p.ctl("queue", "retry", "all")[0] in (0, 1)       # ends every rest
        assert explain(p, "y@hubbed.test")["mx"][0]["rests"] == 0


def test_sources():
    """A pool with its members; a host that rests by one source may be tried by another."""
    conf = "source a address 127.0.0.2\nsource b address 127.0.0.3\nsource gone address 192.0.2.77\nsource six address ::1\n" \
        "pool p { a, b weight 3, gone, six }\ndestination hub.test { pool p }\n"
    port = free_port()
    with Dns(ZONES) as dns, postern(dns, conf, port) as p:
        assert p.ctl("suspend", "source", "b")[0] == 0
        row = explain(p, "y@hubbed.test")
        assert row["source"] == "pool p" and row["sources"] == [
            {"name": "a", "weight": 1, "state": "usable"}, {"name": "b", "weight": 3, "state": "suspended"},
            {"name": "gone", "weight": 1, "state": "not here"}, {"name": "six", "weight": 1, "state": "unfit"}], row
        with p.smtp() as s:
            assert s.mail("a@b.test", "x@hubbed.test", b"Subject: s\r\n\r\nhi\r\n").startswith("250")
        p.wait_log("status=deferred")
        host = explain(p, "y@hubbed.test")["mx"][0]
        assert host["rests"] > 0 and [(r["source"], r["rests"] > 0) for r in host["rests_by_source"]] == [("a", True)], host
        assert p.ctl("resume", "source", "b")[0] == 0
        host = explain(p, "y@hubbed.test")["mx"][0]
        assert host["rests"] == 0 and host["why"] == "" and [r["source"] for r in host["rests_by_source"]] == ["a"], host
        out = p.ctl("explain", "y@hubbed.test")[1]
        assert "   by source a rests for " in out and "   b, weight 3\n" in out and "   gone, weight 1: not on this host\n" in out, out
        assert explain(p, "y@far.test")["source"] == "chosen by the system"


def test_included_rule():
    """The rule that decides is named with the file that it stands in, its line and its text."""
    with Postern(LOCAL, start=False) as p:
        included = os.path.join(p.dir, "more.conf")
        with open(included, "w", encoding="utf-8") as f:
            f.write("# of the other file\n\nmatch from any for domain inside.test \\\n  reject \"550 5.7.1 not here\"\n")
        p.write_conf(BASE + 'include "more.conf"\n' + LOCAL)
        p.start()
        row = explain(p, "x@inside.test")
        assert not row["accepted"] and (row["file"], row["rule"]) == (included, 3), row
        assert row["text"] == 'match from any for domain inside.test reject "550 5.7.1 not here"', row
        out = p.ctl("explain", "x@inside.test")[1]
        assert "line 3 of " + included in out and "for domain inside.test" in out, out


def test_deliver_is_silent():
    """An answer comes all the same, and says so; a client that went away meanwhile does no harm."""
    with Dns(ZONES) as dns, postern(dns) as p:
        (pid, _), = p.children("deliver")
        os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        with subprocess.Popen([os.path.join(B, "bin/posternctl"), "-s", p.runtime + "/control.sock", "explain", "x@far.test"],
                              stdout=subprocess.DEVNULL) as gone:
            time.sleep(1)
            gone.kill()
        try:
            row = explain(p, "x@far.test")
        finally:
            os.kill(pid, signal.SIGCONT)
        assert row["accepted"] and "not answered" in row["dns"] and row["mx"] == [] and row["source"] == "not known", row
        assert 7 < time.monotonic() - begun < 20
        assert explain(p, "x@far.test")["dns"] == "" and p.ctl("status")[0] == 0      # what was asked then is no answer now


def test_deliver_begins_again():
    with Dns(ZONES) as dns, Postern(LOCAL + CONF, dns=dns.port, sink=1, expect_trouble=True) as p:
        (pid, _), = p.children("deliver")
        os.kill(pid, signal.SIGKILL)
        until(lambda: len(explain(p, "x@far.test")["mx"]) == 3)
