"""postern-resolver by itself, against a real name server: MX sets, names of clients, and a DNS that is wrong or dead."""
import os
import time

from lib import SLOW
from lib_dns import Dns, RogueDns, SilentDns
from lib_edge import Program

OK, NONE, NULL_MX, TEMPFAIL, BAD = range(5)
CONF = """hostname mx.test
domain example.test
spool "/tmp/postern-none"
runtime "/tmp/postern-none"
resolver 127.0.0.1@%d
listen on 127.0.0.1 port 10747
action out relay
match from local for any action out
"""
ZONE = """
@	MX 20 mx2
	MX 10 mx1
	MX 10 mx1b.other.test.
	A 127.0.9.9
mx1	A 127.0.9.1
	AAAA fd00::9:1
mx2	A 127.0.9.2
	A 127.0.9.3
null	MX 0 .
null2	MX 0 .
	MX 10 mx1
a-only	A 127.0.9.4
aaaa-only AAAA fd00::9:4
empty	TXT "nothing"
cname	CNAME @
hostcname MX 10 alias
alias	CNAME mx1
loop1	CNAME loop2
loop2	CNAME loop1
noaddr	MX 10 missing
	A 127.0.9.5
some	MX 10 missing
	MX 20 mx1
refused	MX 10 mx.not-served.test.
refused2 MX 10 mx.not-served.test.
	MX 20 mx1
badname	MX 10 bad\\032host
	A 127.0.9.6
badsome	MX 5 a\\010b
	MX 10 mx1
many	A 127.0.9.7
""" + "".join("big\tMX %d h%d\nh%d\tA 127.1.%d.%d\n" % (n // 100, n, n, n // 250, n % 250 + 1) for n in range(400)) \
    + "".join("fat\tMX 10 f%d\n" % n + "".join("f%d\tA 127.2.%d.%d\n" % (n, n, a + 1) for a in range(30)) for n in range(90))
REVERSE = """
1	PTR good.example.test.
2	PTR liar.example.test.
3	PTR nothing.example.test.
4	PTR evil\\010name.example.test.
	PTR \\$\\(id\\).example.test.
5	PTR a.example.test.
	PTR good.example.test.
6	PTR x.not-served.test.
"""
FORWARD = "good\tA 192.0.2.1\n\tA 192.0.2.5\nliar\tA 192.0.2.77\na\tA 192.0.2.99\nsix\tAAAA 2001:db8::6\n"
ZONES = {
    "example.test": ZONE + FORWARD,
    "other.test": "mx1b\tA 127.0.9.11\n",
    "2.0.192.in-addr.arpa": REVERSE,
    "8.b.d.0.1.0.0.2.ip6.arpa": "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0\tPTR six.example.test.\n",
}


def mx(edge, domain, literal=0):
    edge.send("MX_ASK", {"domain": domain, "literal_host": literal}, id=77)
    name, id, answer, _ = edge.receive()
    assert (name, id) == ("MX", 77)
    assert answer["status"] == OK or not answer["hosts"]
    assert answer["status"] == OK or answer["text"], "a failure without words"
    return answer


def hosts(answer):
    assert answer["status"] == OK, answer
    return [(h["preference"], h["host"], h["address"]) for h in answer["hosts"]]


def test_mx():
    with Dns(ZONES) as dns, Program("resolver", CONF % dns.port) as p:
        e = p.edge("deliver")
        answer = mx(e, "example.test")
        got = hosts(answer)
        assert sorted(got[:3]) == sorted([(10, "mx1.example.test", "fd00::9:1"), (10, "mx1.example.test", "127.0.9.1"),
                                          (10, "mx1b.other.test", "127.0.9.11")]), got
        assert sorted(got[3:]) == [(20, "mx2.example.test", "127.0.9.2"), (20, "mx2.example.test", "127.0.9.3")], got
        assert 0 < answer["ttl"] <= 300 and answer["secure"] == 0
        assert sorted(hosts(mx(e, "EXAMPLE.test"))) == sorted(got)
        assert sorted(hosts(mx(e, "cname.example.test"))) == sorted(got)
        assert [h[2] for h in hosts(mx(e, "hostcname.example.test"))] == ["fd00::9:1", "127.0.9.1"]
        assert hosts(mx(e, "a-only.example.test")) == [(0, "a-only.example.test", "127.0.9.4")]
        assert hosts(mx(e, "aaaa-only.example.test")) == [(0, "aaaa-only.example.test", "fd00::9:4")]


def test_none():
    with Dns(ZONES) as dns, Program("resolver", CONF % dns.port) as p:
        e = p.edge("deliver")
        for domain, status in (("null", NULL_MX), ("nowhere", NONE), ("empty", NONE), ("noaddr", NONE), ("loop1", TEMPFAIL),
                               ("refused", TEMPFAIL), ("badname", TEMPFAIL)):
            answer = mx(e, domain + ".example.test")
            assert answer["status"] == status, (domain, answer)
        assert "null MX" in mx(e, "null.example.test")["text"]
        # One good host of several is enough; a null MX among others is no host.
        for domain in ("some", "refused2", "badsome", "null2"):
            assert {h[1] for h in hosts(mx(e, domain + ".example.test"))} == {"mx1.example.test"}, domain


def test_truncated():
    """More records than an answer holds: for now there is no answer, which is not "no MX"; the A of the domain is left alone."""
    with Dns({"big.test": "".join("@ MX 10 h%d\n" % n for n in range(2501)) + "@ A 127.0.9.9\n"}) as dns, \
            Program("resolver", CONF % dns.port) as p:
        answer = mx(p.edge("deliver"), "big.test")
        assert answer["status"] == TEMPFAIL and "too large" in answer["text"], answer


def test_bad_names():
    with Dns(ZONES) as dns, Program("resolver", CONF % dns.port) as p:
        e = p.edge("deliver")
        for domain in ("b\u00fccher.test", "", ".", "a..b", "x" * 64 + ".test", "a b.test", "[127.0.0.1]", "x." * 150, "a\nb.test", "-"):
            answer = mx(e, domain)
            assert answer["status"] in (BAD, NONE), (domain, answer)
        assert mx(e, "b\u00fccher.test")["status"] == BAD
        assert hosts(mx(e, "a-only.example.test"))


def test_literal_host():
    with Dns(ZONES) as dns, Program("resolver", CONF % dns.port) as p:
        e = p.edge("deliver")
        assert hosts(mx(e, "example.test", 1)) == [(0, "example.test", "127.0.9.9")]
        assert [h[2] for h in hosts(mx(e, "mx1.example.test", 1))] == ["fd00::9:1", "127.0.9.1"]
        assert "127.0.0.1" in [h[2] for h in hosts(mx(e, "localhost", 1))]
        assert mx(e, "nowhere.example.test", 1)["status"] == NONE
        assert mx(e, "null.example.test", 1)["status"] == NONE


def test_large_sets():
    with Dns(ZONES) as dns, Program("resolver", CONF % dns.port) as p:
        e = p.edge("deliver")
        got = hosts(mx(e, "big.example.test"))
        assert len(got) == 100 and {h[0] for h in got} == {0}, len(got)
        got = hosts(mx(e, "fat.example.test"))
        assert len(got) == 500
        assert max(sum(h[1] == g[1] for g in got) for h in got) == 10


def test_many_at_once():
    with Dns(ZONES) as dns, Program("resolver", CONF % dns.port) as p:
        edges = [p.edge("deliver"), p.edge("listener", 0), p.edge("listener", 1)]
        for n in range(2000):
            edges[0].send("MX_ASK", {"domain": "d%d.example.test" % (n // 2), "literal_host": 0}, id=n)
        for n in range(200):
            edges[1 + n % 2].send("PTR_ASK", {"text": "192.0.2.%d" % (n % 7)}, id=n)
        edges[2].close()
        assert sorted(edges[0].receive()[1] for _ in range(2000)) == list(range(2000))
        assert sorted(edges[1].receive()[1] for _ in range(100)) == list(range(0, 200, 2))


def ptr(edge, address):
    edge.send("PTR_ASK", {"text": address}, id=5)
    name, id, answer, _ = edge.receive()
    assert (name, id) == ("PTR", 5)
    assert (answer["status"] == OK) == bool(answer["name"])
    return answer["status"], answer["name"]


def test_ptr():
    with Dns(ZONES) as dns, Program("resolver", CONF % dns.port) as p:
        e = p.edge("listener")
        assert ptr(e, "192.0.2.1") == (OK, "good.example.test")
        assert ptr(e, "::ffff:192.0.2.1") == (OK, "good.example.test")
        assert ptr(e, "192.0.2.5") == (OK, "good.example.test")
        assert ptr(e, "2001:db8::6") == (OK, "six.example.test")
        assert ptr(e, "2001:DB8:0::6") == (OK, "six.example.test")
        for last in (2, 3, 4, 99):
            assert ptr(e, "192.0.2.%d" % last) == (NONE, "")
        assert ptr(e, "192.0.2.6") == (TEMPFAIL, "")
        assert ptr(e, "127.0.0.1") == (OK, "localhost")
        for text in ("", "example.test", "1.2.3", "192.0.2.1\n"):
            assert ptr(e, text) == (BAD, "")


def wire(name):
    return b"".join(bytes([len(x)]) + x for x in name.encode("latin-1").split(b".")) + b"\0"


def test_rogue_dns():
    """Record data that no honest server sends; answers to another question; nothing at all in the answer."""
    a, mx_, ptr_ = 1, 15, 12
    good = b"\0\5" + wire("ok.test")
    answers = {
        "mx0.test": [(mx_, b"")], "mx1.test": [(mx_, b"\0")], "mx2.test": [(mx_, b"\0\5")], "mxcut.test": [(mx_, b"\0\5\4ab")],
        "mxmix.test": [(mx_, b"\0\5" + wire("a b.test")), (mx_, good)],
        "mxnl.test": [(mx_, b"\0\5" + wire("a\nb.test"))], "mxtail.test": [(mx_, good + b"xx")],
        "a3.test": [(a, b"\x7f\0\0")], "ok.test": [(a, b"\x7f\0\0\1")],
        "1.2.0.192.in-addr.arpa": [(ptr_, wire("a\r\nEvil: x.test"))], "2.2.0.192.in-addr.arpa": [(ptr_, wire("$(id).test"))],
        "3.2.0.192.in-addr.arpa": [(ptr_, b"")], "4.2.0.192.in-addr.arpa": [(ptr_, wire(";id;.test")), (ptr_, wire("yes.test"))],
        "yes.test": [(a, b"\xc0\0\2\4")], "other.test": "wrong name", "garbage.test": b"garbage",
    }
    with RogueDns(answers) as dns, Program("resolver", CONF % dns.port) as p:
        e = p.edge("deliver")
        for domain in ("mx0", "mx1", "mx2", "mxcut", "mxnl", "mxtail", "a3", "other", "garbage"):
            assert mx(e, domain + ".test")["status"] in (TEMPFAIL, NONE), domain
        assert hosts(mx(e, "mxmix.test")) == [(5, "ok.test", "127.0.0.1")]
        e = p.edge("listener")
        for last, want in ((1, ""), (2, ""), (3, ""), (4, "yes.test")):
            assert ptr(e, "192.0.2.%d" % last)[1] == want, last


def cpu(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_dead_dns():
    """A name server that is silent: temporary failures within seconds, and the processor stays cool; then it comes back."""
    with SilentDns() as dead, Program("resolver", CONF % dead.port) as p:
        e = p.edge("deliver")
        start, used = time.monotonic(), cpu(p.process.pid)
        for n in range(20):
            e.send("MX_ASK", {"domain": "d%d.example.test" % n, "literal_host": 0}, id=n)
        for n in range(20):
            assert e.receive()[2]["status"] == TEMPFAIL
        assert time.monotonic() - start < 12 * SLOW
        assert cpu(p.process.pid) - used < 2 * SLOW
        assert "127.0.0.1" in [h[2] for h in hosts(mx(e, "localhost", 1))]
        with Dns(ZONES) as dns:
            p.configure(CONF % dns.port, 2)
            assert hosts(mx(e, "a-only.example.test")) == [(0, "a-only.example.test", "127.0.9.4")]


def test_questions_of_the_dead():
    """Edges that close with questions under way, a new configuration in the middle, the parent's end: nothing breaks."""
    with SilentDns() as dead, Program("resolver", CONF % dead.port) as p:
        for n in range(5):
            e = p.edge("deliver")
            for k in range(50):
                e.send("MX_ASK", {"domain": "d%d.test" % k, "literal_host": 0}, id=k)
            p.configure(CONF % dead.port, n + 2)
            e.close()
        listener = p.edge("listener")
        assert ptr(listener, "127.0.0.1") == (OK, "localhost")
        listener.send("PTR_ASK", {"text": "192.0.2.1"})
    assert p.process.returncode == 0
