"""Selections, and what is done to what they mean."""
import contextlib
import glob
import os
import re
import threading

from lib import LOCAL, TOP, Postern, Sink, free_port, until

DEAD = LOCAL + "action out relay via smtp://127.0.0.1:$sink\nmatch from local for any action out\n"


def put(p, sender, rcpts, text=b"hi", more=b"X-Y: z\r\n"):
    with p.smtp() as s:
        answer = s.mail(sender, rcpts, b"Subject: s\r\n" + more + b"\r\n" + text + b"\r\n")
    assert answer.startswith("250"), answer
    return answer.split()[-1]


def three(p):
    """Three deferred messages for five recipients at three domains."""
    ids = [put(p, "a@one.test", ["x@far.test", "y@near.test"]), put(p, "b@two.test", ["z@Far.test"], b"x" * 5000),
           put(p, "", ["u@third.test", "v@far.test"])]
    # Its next hop is down: what comes later is not tried while that rests, unless it is told to.
    until(lambda: p.ctl("queue", "retry", "all")[0] == 0 and count(p, "state=deferred") == (3, 5), every=0.5)
    return ids


def count(p, *words):
    row = p.ctl_json("queue", "count", *words)[0]
    return row["messages"], row["recipients"]


def test_selectors():
    with Postern(DEAD, sink=free_port()) as p:
        a, b, c = three(p)
        for words, want in ((["domain=far.test"], (3, 3)), (["domain=FAR.test", "from=a@one.test"], (1, 1)), (["from=<>"], (1, 2)),
                            (["from=A@one.test"], (1, 2)), (["to=y@near.test"], (1, 1)), (["to=y@NEAR.test", "domain=far.test"], (0, 0)),
                            (["id=" + b], (1, 1)), ([c, "domain=third.test"], (1, 1)), (["age<1h"], (3, 5)), (["age>1h"], (0, 0)),
                            (["size>4K"], (1, 1)), (["size<4K"], (2, 4)), (["state=held"], (0, 0)), (["reason~REFUSED"], (3, 5)),
                            (["reason~nothing"], (0, 0)), (["tag=x"], (0, 0)), (["all"], (3, 5)), ([a, "id=" + b], (2, 3)),
                            ([a, b, c, a], (3, 5)), ([a, c, "domain=far.test"], (2, 2)), (["from=<a@one.test>"], (1, 2)),
                            (["to=<y@near.test>"], (1, 1))):
            assert count(p, *words) == want, (words, count(p, *words))
        assert {r["id"] for r in p.ctl_json("queue", "list", "domain=far.test")} == {a, b, c}
        rows = p.ctl_json("queue", "list", "domain=near.test")
        assert [r["to"] for r in rows] == [["y@near.test"]], rows
        assert p.ctl_json("queue", "list", "domain=x.test") == []
        for words in (["from"], ["age>x"], ["state=odd"], ["colour=red"], ["id=!"]):
            assert p.ctl("queue", "list", *words)[0] == 64, words
        for words in (["reason~"], ["tag="], ["to="], ["domain="], ["from=a", "from=b"], ["age>1s", "age>2s"]):
            assert p.ctl("queue", "hold", *words)[0] == 64, words
        assert p.ctl("queue", "remove")[0] == 64
        by = {r["domain"]: r["recipients"] for r in p.ctl_json("queue", "summary", "by", "domain")}
        assert by == {"far.test": 3, "near.test": 1, "third.test": 1}, by
        assert p.ctl_json("queue", "summary", "by", "age")[0] == {"age": "under 5 minutes", "recipients": 5}
        assert p.ctl_json("queue", "summary", "by", "host")[0]["recipients"] == 5
        by = p.ctl_json("queue", "summary", "by", "reason", "domain=far.test")
        assert by[0]["recipients"] == 3 and "refused" in by[0]["reason"], by
        assert p.ctl("queue", "summary")[0] == 0 and p.ctl("queue", "summary", "by", "colour")[0] == 64


def test_many_ids():
    with Postern(DEAD, sink=free_port()) as p:
        assert p.ctl("pause", "delivery")[0] == 0
        ids = [put(p, "a@one.test", ["x@far.test", "y@near.test"]) for _ in range(40)]
        assert p.ctl_json("queue", "hold", *ids[1:]) == [{"messages": 39, "recipients": 78, "under_way": 0, "replaced": 0}]
        assert {r["id"] for r in p.ctl_json("queue", "list", "state=held")} == set(ids[1:])
        assert {r["id"] for r in p.ctl_json("queue", "list", *ids[:30])} == set(ids[:30])


def test_nothing_fits():
    """Its exit status; in JSON nothing is a line less, but for a count."""
    with Postern(DEAD, sink=free_port()) as p:
        assert p.ctl("queue", "list")[:2] == (0, "the queue is empty\n") and p.ctl("-j", "queue", "list")[:2] == (0, "")
        put(p, "a@one.test", ["x@far.test"])
        p.wait_log("status=deferred")
        assert p.ctl("queue", "list", "all")[0] == 0
        for words in (["list", "to=n@x.test"], ["list", "0000000000000"], ["summary", "to=n@x.test"], ["hold", "to=n@x.test"],
                      ["remove", "0000000000000"], ["retry", "to=n@x.test"], ["bounce", "0000000000000", "0000000000001"]):
            assert p.ctl("queue", *words)[0] == 1, words
            assert p.ctl("-j", "queue", *words)[:2] == (1, ""), words
        assert p.ctl("-j", "queue", "count", "to=n@x.test")[:2] == (1, '{"messages": 0, "recipients": 0}\n')


def test_cat_parts():
    with Postern(DEAD, sink=free_port()) as p:
        a = put(p, "a@one.test", ["x@far.test"], b"one\r\n\r\ntwo")
        p.wait_log("status=deferred")
        headers, body = (p.ctl("queue", "cat", a, part)[1] for part in ("headers", "body"))
        assert headers.startswith("Received:") and headers.endswith("X-Y: z\n\n") and "one" not in headers, headers
        assert body == "one\n\ntwo\n", body
        assert p.ctl("queue", "cat", a)[1] == headers + body
        assert "x@far.test" in p.ctl("queue", "cat", a, "envelope")[1]
        assert p.ctl("queue", "cat", a, "feet")[0] == 64


def test_hold_release_remove():
    with Sink() as sink, Postern(DEAD, sink=sink.port) as p:
        assert p.ctl("pause", "delivery")[0] == 0
        a = put(p, "a@one.test", ["x@far.test", "y@near.test"])
        put(p, "b@two.test", ["z@far.test"])
        status, out, _ = p.ctl("queue", "hold", "domain=far.test", "--dry-run")
        assert status == 0 and "2 messages, 2 recipients" in out and count(p, "state=held") == (0, 0), out
        assert p.ctl_json("queue", "hold", "domain=far.test", "--dry-run") == [{"dry_run": True, "messages": 2, "recipients": 2}]
        assert p.ctl_json("queue", "hold", "domain=far.test")[0]["recipients"] == 2
        assert count(p, "state=held") == (2, 2) and p.ctl_json("queue", "list", "to=z@far.test")[0]["state"] == "held"
        p.kill9()
        p.start()
        assert p.ctl("resume", "delivery")[0] == 0      # which a kill does not do
        sink.wait(1)
        until(lambda: count(p, "all") == (2, 2) == count(p, "state=held"))      # its rows may be older than its marks
        assert p.ctl("queue", "retry", "all")[0] == 1 and p.ctl("queue", "retry", "state=held")[0] == 1
        assert p.ctl("queue", "remove", "domain=far.test", "from=b@two.test")[0] == 0
        assert p.ctl("queue", "release", "state=held")[0] == 0
        p.wait_empty()
        assert sorted(m.rcpt[0] if hasattr(m, "rcpt") else "" for m in sink.mails) and len(sink.mails) == 2
        assert p.ctl("queue", "release", a)[0] == 1


def marks(letters):
    """The bytes of these marks in a record, as queue/spool/mark_code.c has them."""
    with open(os.path.join(TOP, "queue/spool/mark_code.c"), encoding="utf-8") as f:
        code = {name: int(byte, 16) for byte, name in re.findall(r"{ (0x\w\w), MARK_(\w+) }", f.read())}
    return bytes(code[{"p": "PENDING", "h": "HELD", "d": "DELIVERED"}[c]] for c in letters)


def test_marks_later_than_rows():
    """A kill between the mark and the index's commit: what the mark says holds, and is shown as soon as the message was looked at."""
    with Postern(DEAD, sink=free_port()) as p:
        put(p, "a@one.test", ["x@far.test", "y@far.test", "z@far.test"])
        until(lambda: count(p, "state=deferred") == (1, 3))
        assert p.stop() == 0
        for path in glob.glob(p.spool + "/seg/*"):
            with open(path, "r+b") as f:
                data = f.read()
                at = data.find(b"PsRc")
                if data[at + 44:at + 47] == marks("ppp"):
                    f.seek(at + 44)
                    f.write(marks("hdp"))
        p.start()
        assert p.ctl("queue", "retry", "all")[0] == 0
        until(lambda: count(p, "all") == (1, 2) and count(p, "state=held") == (1, 1))
        assert [m["to"] for m in p.ctl_json("queue", "list", "state=held")] == [["x@far.test"]]
@contextlib.contextmanager
def under_way():
    """A message whose delivery waits until that is set, and is put off then."""
    go = threading.Event()

    def slow(_):
        go.wait(20)
        return "450 4.7.1 slow down"
    with Sink(slow) as sink, Postern(DEAD, sink=sink.port) as p:
        a = put(p, "one@example.test", ["x@far.test"])
        until(lambda: "a delivery is under way" in p.ctl("why", a)[1])
        try:
            yield p, a, go
        finally:
            go.set()


def test_pending_deeds():
    """What is done to a recipient whose delivery is under way: it is told, the later command wins, and release undoes a hold."""
    with under_way() as (p, a, go):
        assert "when it returns" in p.ctl("queue", "hold", a)[1]
        assert "held when the delivery under way returns" in p.ctl("queue", "show", a)[1]
        assert "held when that returns" in p.ctl("why", a)[1]
        assert p.ctl_json("queue", "show", a)[0]["recipients"][0]["pending"] == "hold"
        assert p.ctl_json("queue", "release", a) == [{"messages": 1, "recipients": 1, "under_way": 0, "replaced": 0}]
        assert p.ctl("queue", "release", a)[0] == 1
        assert p.ctl_json("queue", "show", a)[0]["recipients"][0]["pending"] is None
        go.set()
        until(lambda: count(p, "state=deferred") == (1, 1))


def test_later_deed_wins():
    with under_way() as (p, a, go):
        assert p.ctl("queue", "remove", a)[0] == 0 and p.ctl("queue", "release", a)[0] == 1
        status, out, _ = p.ctl("queue", "hold", a)
        assert status == 0 and "1 delivery under way" in out and "for 1 recipient this replaces" in out, out
        assert p.ctl_json("queue", "hold", a)[0]["replaced"] == 0
        assert p.ctl_json("queue", "bounce", a)[0]["replaced"] == 1 and p.ctl_json("queue", "hold", a)[0]["replaced"] == 1
        go.set()
        until(lambda: count(p, "state=held") == (1, 1))


def test_bounce_and_expire():
    with Postern(DEAD, sink=free_port()) as p:
        put(p, "one@example.test", ["x@far.test", "y@near.test"])
        until(lambda: count(p, "state=deferred") == (1, 2))
        assert p.ctl("queue", "bounce", "domain=far.test")[0] == 0
        first = p.wait_mail("one")[0]
        assert b"x@far.test" in first and b"returned by the administrator" in first and b"y@near.test" not in first.split(b"X-Y")[0], first
        assert count(p, "all") == (1, 1)
        assert p.ctl("queue", "expire", "all")[0] == 0
        assert any(b"y@near.test" in m for m in p.wait_mail("one", 2))
        p.wait_empty()
        put(p, "", ["x@far.test"])
        assert p.ctl("queue", "expire", "all")[0] == 0
        p.wait_empty()
        assert ["returned to the sender" in r["reply"] for r in p.ctl_json("history") if r["result"] == "expired" and
                "given up by the administrator" in r["reply"]] == [True, False]


def test_reroute():
    with Sink() as sink, Postern(DEAD, sink=free_port()) as p:
        put(p, "a@one.test", ["x@far.test"])
        until(lambda: count(p, "state=deferred") == (1, 1))
        text = open(p.conf, encoding="utf-8").read()
        p.write_conf(text.replace("match from local", "action new relay via smtp://127.0.0.1:%d\nmatch from local for domain far.test "
                                  "action new\nmatch from local" % sink.port))
        assert p.ctl("reload")[0] == 0
        assert p.ctl("queue", "reroute", "domain=far.test")[0] == 0
        sink.wait(1)
        p.wait_empty()


def test_reply_has_the_code():
    """Everywhere, after a restart as well; and the notice does not say it twice."""
    with Sink(lambda _: "450 4.7.1 slow down") as sink, Postern(DEAD, sink=sink.port) as p:
        a = put(p, "one@example.test", ["x@far.test"])
        for _ in range(2):
            until(lambda: count(p, "reason~450 4.7.1 slow") == (1, 1))
            replies = [p.ctl_json("queue", "list")[0], *p.ctl_json("queue", "show", a), *p.ctl_json("queue", "show", a)[0]["recipients"],
                       *p.ctl_json("why", a), p.ctl_json("history", a)[0]]
            assert {r["reply"] for r in replies} == {"450 4.7.1 slow down"}, replies
            assert p.ctl_json("queue", "summary", "by", "reason") == [{"reason": "450 4.7.1 slow down", "recipients": 1}]
            for words in (["queue", "list"], ["queue", "show", a], ["why", a], ["history"], ["queue", "summary", "by", "reason"]):
                assert re.search(r"[ (]450 4\.7\.1 slow down", p.ctl(*words)[1]), words
            assert "(450 4.7.1 slow down)" in p.sendmail(program="mailq")[1]
            p.stop()
            p.start()
        assert p.ctl("queue", "retry", a)[0] == 0
        until(lambda: p.ctl_json("queue", "list")[0]["attempts"] == 2 and p.ctl_json("queue", "list")[0]["state"] == "deferred")
        assert p.ctl_json("queue", "list")[0]["reply"] == "450 4.7.1 slow down"
        assert p.ctl("queue", "expire", a)[0] == 0
        notice = p.wait_mail("one")[0]
        assert b"Diagnostic-Code: smtp; 450 4.7.1 slow down" in notice and b"450 450" not in notice, notice
    with Postern(DEAD, sink=free_port()) as p:
        put(p, "a@one.test", ["x@far.test"])
        until(lambda: p.ctl_json("queue", "list")[0]["reply"].startswith("4.4.1 "))


def test_summary_without_addresses():
    def full(address):
        return "450 4.2.2 <%s>: mailbox full (%s)" % (address.upper(), address)
    with Sink(rcpt=full) as sink, Postern(DEAD, sink=sink.port) as p:
        put(p, "one@example.test", ["x@far.test", "y@near.test"])
        until(lambda: count(p, "state=deferred", "reason~mailbox full") == (1, 2))
        assert p.ctl_json("queue", "summary", "by", "reason") == [{"reason": "450 4.2.2 <>: mailbox full (<>)", "recipients": 2}]


def test_retry_all_and_held():
    with Postern(DEAD, sink=free_port()) as p:
        three(p)
        assert p.ctl("queue", "hold", "domain=near.test")[0] == 0
        dry, real = p.ctl("queue", "retry", "all", "--dry-run")[1], p.ctl("queue", "retry", "all")[1]
        assert "selected: 3 messages, 4 recipients" in dry and "selected: 3 messages, 4 recipients" in real, (dry, real)
        assert "3 messages, 4 recipients tried again" in real, real
        assert p.ctl("queue", "hold", "all")[0] == 0
        assert p.ctl("queue", "retry", "all", "--dry-run")[0] == p.ctl("queue", "retry", "all")[0] == 1


def test_suspend():
    with Sink() as sink, Postern(DEAD, sink=sink.port) as p:
        assert p.ctl("suspend", "domain", "far.test")[0] == 0 and p.ctl("suspend", "domain", "FAR.test")[0] == 1
        assert p.ctl("suspend", "domain", "not a domain")[0] == 64 and p.ctl("suspend", "source")[0] == 64
        assert p.ctl_json("suspend") == [{"suspended": "far.test"}]
        put(p, "a@one.test", ["x@Far.test", "y@near.test"])
        sink.wait(1)
        until(lambda: count(p, "state=deferred") == (1, 1))
        assert p.ctl("queue", "retry", "all")[0] == 0
        assert p.stop() == 0
        p.start()
        put(p, "a@one.test", ["y@far.test"])
        until(lambda: count(p, "state=deferred") == (2, 2))
        assert len(sink.mails) == 1
        assert p.ctl("resume", "domain", "far.test")[0] == 0 and p.ctl("resume", "domain", "far.test")[0] == 1
        sink.wait(3)
        p.wait_empty()
        assert p.ctl_json("suspend") == [] and p.ctl("resume", "domain", "x.test")[0] == 1


def test_history_and_why():
    with Sink() as sink, Postern(DEAD + "limit history 1h\n", sink=sink.port) as p:
        with p.smtp() as s:
            a = s.mail("a@one.test", ["x@far.test", "u@example.test"], b"Message-ID: <m1@x>\r\n\r\nhi\r\n").split()[-1]
        sink.wait(1)
        p.wait_empty()
        rows = p.ctl_json("history", "id=" + a)
        assert sorted(r["to"] for r in rows) == ["u@example.test", "x@far.test"] and {r["result"] for r in rows} == {"sent"}, rows
        assert rows[0]["from"] == "a@one.test" and rows[0]["attempt"] == 1 and any(r["code"] == 250 for r in rows), rows
        for words, n in ((["to=X@far.test"], 1), (["to=<x@far.test>"], 1), (["from=<a@one.test>"], 2), (["from=<>"], 0), (["from=a@one.test"], 2), (["message-id=<m1@x>"], 2), (["message-id=m1@x"], 2),
                         (["to=x@far.test", "message-id=no"], 0), (["domain=far.test", "id=" + a], 1)):
            assert len(p.ctl_json("history", *words)) == n, words
        assert p.ctl("history", "to=nobody@x.test")[0] == 1 and all(
            p.ctl("history", *words)[0] == 64 for words in (["odd=1"], ["to="], ["to=a", "to=b"], [a, "id=" + a]))
        status, out, _ = p.ctl("why", a)
        assert status == 0 and "not in the queue any more" in out and "<x@far.test> by " in out, out
        p.stop()
        p.start()
        assert len(p.ctl_json("history", a)) == 2
        assert p.ctl("why", "0000000000000")[0] == 1 and p.ctl("why", "x!")[0] == 64


def test_why_waiting():
    with Postern(DEAD, sink=free_port()) as p:
        a = put(p, "a@one.test", ["x@far.test"])
        until(lambda: count(p, "state=deferred") == (1, 1))
        status, out, _ = p.ctl("why", a)
        assert status == 0 and "refused" in out and re.search(r"attempt 2 is in [0-9ms]+; it goes back to the sender", out), out
        rows = p.ctl_json("why", a)
        assert rows[0]["result"] == "deferred" and rows[-1]["state"] == "deferred" and "attempt 2" in rows[-1]["next"], rows
        assert p.ctl("queue", "hold", a)[0] == 0 and "queue release " + a in p.ctl("why", a)[1]
        assert p.ctl("queue", "remove", a)[0] == 0
        assert [r["result"] for r in p.ctl_json("history", a)] == ["deferred", "removed"]


def test_classes():
    """What kind of mail it is, and how long that is tried: in memory, and when it has to be read back."""
    with Postern(DEAD + "bulk { lifetime 3h }\n", sink=free_port()) as p:
        ids = {"normal": put(p, "a@one.test", ["x@far.test"]), "bounce": put(p, "", ["x@far.test"]),
               "bulk": put(p, "a@one.test", ["x@far.test"], more=b"List-Unsubscribe:\r\n <mailto:off@one.test>\r\n")}
        ends = {"normal": r"goes back to the sender if it is not delivered in 5d\n", "bounce": r"is given up if it is not delivered in 2d\n",
                "bulk": r"goes back to the sender if it is not delivered in (3h|2h59m)\n"}
        p.ctl("queue", "retry", "all")       # its next hop is down: what comes later is not tried while that rests
        for _ in range(2):
            for name, a in ids.items():
                assert p.ctl_json("queue", "show", a)[0]["class"] == name
                assert re.search(r"^class +%s$" % name, p.ctl("queue", "show", a)[1], re.M)
                until(lambda a=a, end=ends[name]: re.search(end, p.ctl("why", a)[1]))       # when the attempt that was told to begin is over
            p.stop()
            p.start()


def test_explain():
    with Postern(DEAD, sink=free_port()) as p:
        row = p.ctl_json("explain", "x@far.test")[0]
        assert row["accepted"] and row["action"] == "out" and "smarthost 127.0.0.1" in row["goes"] and row["rule"] > 0, row
        assert p.ctl_json("explain", "<x@far.test>", "from=<a@b.test>") == [row]
        assert p.ctl_json("explain", "x@example.test")[0]["action"] == "local"
        row = p.ctl_json("explain", "x@far.test", "client=192.0.2.9", "from=<>")[0]
        assert not row["accepted"] and row["code"] == 550, row
        status, out, _ = p.ctl("explain", "x@far.test")
        assert status == 0 and "line %d of" % p.ctl_json("explain", "x@far.test")[0]["rule"] in out and "given up after 5d" in out, out
        assert p.ctl("suspend", "domain", "far.test")[0] == 0
        assert p.ctl_json("explain", "x@FAR.test")[0]["delivery"] == "suspended"
        for words in (["no address"], ["x@far.test", "client=x"], ["x@far.test", "odd"], []):
            assert p.ctl("explain", *words)[0] == 64, words


def test_reason_before_it_was_tried():
    """While a next hop rests its mail is put off without a try, and each recipient can say why."""
    with Postern(DEAD, sink=free_port()) as p:
        put(p, "a@one.test", ["x@far.test"])
        p.wait_log("status=deferred")
        put(p, "a@one.test", ["y@far.test"])                    # comes back from deliver
        until(lambda: count(p, "state=deferred") == (2, 2))
        late = put(p, "a@one.test", ["z@far.test", "w@far.test"])       # does not even go there
        until(lambda: count(p, "state=deferred") == (3, 4))
        row = p.ctl_json("queue", "list", "id=" + late)[0]
        assert row["attempts"] == 0 and "Connection refused" in row["reply"], row
        assert count(p, "reason~connection refused") == (3, 4)
        by = p.ctl_json("queue", "summary", "by", "reason")
        assert len(by) == 1 and by[0]["recipients"] == 4, by
        assert p.ctl("queue", "show", late)[1].count("Connection refused") == 2
        assert p.ctl_json("why", late)[-1]["reply"].endswith("Connection refused")
        assert p.log().count("status=deferred") == 1


def test_retry_breaks_the_rest():
    port = free_port()
    with Postern(DEAD, sink=port) as p:
        put(p, "a@one.test", ["x@far.test"])
        p.wait_log("status=deferred")
        put(p, "a@one.test", ["y@far.test"])    # its next hop rests by now: not tried, but the reason is known
        until(lambda: all("refused" in r["reply"] for r in p.ctl_json("queue", "list")) and p.queued() == 2)
        put(p, "a@one.test", ["z@far.test"])    # nor this one, which the queue keeps back itself
        until(lambda: all("refused" in r["reply"] for r in p.ctl_json("queue", "list")) and p.queued() == 3)
        for row in p.ctl_json("queue", "list"):
            out = p.ctl("why", row["id"])[1]
            assert re.search("tried %d times?, last reply: 4.4.1 .*refused: attempt %d" % (row["attempts"], row["attempts"] + 1), out), out
        assert p.ctl_json("queue", "summary", "by", "host") == [{"host": "127.0.0.1", "recipients": 3}]
        with Sink(at=("127.0.0.1", port)) as sink:
            assert p.ctl("queue", "retry", "all")[0] == 0
            sink.wait(3)
