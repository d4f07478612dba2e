"""Many recipients: one transaction of thousands, sendmail with more than one transaction takes, and those that are refused beside others."""
import email
import email.policy

import subprocess
import threading

from lib import B, LOCAL, BASE, Postern, Sink, until

RELAY = """action out relay via smtp://127.0.0.1:$sink
match from any for any action out
"""


def arrived(sink):
    with sink.lock:
        return [r for m in sink.mails for r in m.rcpt_tos]


def test_one_transaction():
    rcpts = ["reader%d@d%d.test" % (i, i % 40) for i in range(5000)]
    with Sink() as sink, Postern(RELAY, base=BASE + "limit recipients 5000\n", sink=sink.port) as p, p.smtp() as s:
        s.cmd("EHLO client.test")
        s.send("MAIL FROM:<news@src.test>\r\n" + "".join("RCPT TO:<%s>\r\n" % r for r in rcpts) + "RCPT TO:<one.more@d0.test>\r\n" +
               "RCPT TO:<%s>\r\nDATA\r\n" % rcpts[0])
        assert s.reply().startswith("250")
        assert all(s.reply().startswith("250") for _ in rcpts)
        assert s.reply().startswith("452 4.5.3")
        assert s.reply().startswith("250"), "the same recipient again"
        assert s.reply().startswith("354")
        s.send("Subject: news\r\n\r\nhello\r\n.\r\n")
        assert s.reply().startswith("250")
        until(lambda: len(arrived(sink)) >= len(rcpts), 30)
        p.wait_empty()
        assert sorted(arrived(sink)) == sorted(rcpts)
        assert all(len(m.rcpt_tos) <= 100 for m in sink.mails)


def test_sendmail_many():
    rcpts = ["reader%d@d%d.test" % (i, i % 30) for i in range(3000)]
    text = "Bcc: " + ",\n ".join(rcpts + rcpts[:5]) + "\nSubject: news\n\nhello\n"
    with Sink() as sink, Postern(RELAY, base=BASE + "listen on socket\n", sink=sink.port) as p:
        assert p.sendmail("-t", "-i", "-f", "news@src.test", text=text.encode()) == (0, "", "")
        until(lambda: len(arrived(sink)) >= len(rcpts), 30)
        p.wait_empty()
        assert sorted(arrived(sink)) == sorted(rcpts)
        assert p.log().count(" (queue active)") == 3


def test_sendmail_some_refused():
    with Postern(LOCAL, base=BASE + "listen on socket\n") as p:
        bad = ["x%d@elsewhere.test" % i for i in range(30)]
        status, _, err = p.sendmail("-i", "-f", "me@example.test", *bad, "one@example.test", text=b"Subject: to many\n\nhi\n")
        assert status == 0 and err.count("elsewhere.test>: 5") == 30, (status, err)
        assert b"hi" in p.wait_mail("one")[0]
        report = email.message_from_bytes(p.wait_mail("me")[0], policy=email.policy.default)
        assert report.get_content_type() == "multipart/report" and report["Return-Path"] == "<>"
        words, dsn, header = report.iter_parts()
        assert all("<%s>: 5" % b in words.get_content() for b in bad)
        groups = dsn.get_payload()
        assert len(groups) == 31 and groups[1]["Final-Recipient"] == "rfc822; x0@elsewhere.test" and groups[1]["Action"] == "failed"
        assert "Subject: to many" in header.as_string()
        assert p.sendmail("-i", *bad, text=b"Subject: x\n\nhi\n")[0] == 77
        assert p.sendmail("-i", "-f", "<>", bad[0], "one@example.test", text=b"Subject: x\n\nhi\n")[0] == 0


def send_many(p, rcpts):
    with p.smtp() as s:
        s.cmd("EHLO client.test")
        s.send("MAIL FROM:<news@src.test>\r\n" + "".join("RCPT TO:<%s>\r\n" % r for r in rcpts) + "DATA\r\n")
        assert all(s.reply().startswith("250") for _ in range(len(rcpts) + 1))
        assert s.reply().startswith("354")
        s.send("Subject: news\r\n\r\nhello\r\n.\r\n")
        assert s.reply().startswith("250")


def test_killed_in_the_middle():
    """Rows of many recipients come and go in parts: whichever are there when everything is killed, nobody is forgotten."""
    rcpts = ["reader%d@d%d.test" % (i, i % 60) for i in range(6000)]
    with Sink() as sink, Postern(RELAY, base=BASE + "limit recipients 6000\n", sink=sink.port, expect_trouble=True) as p:
        for part in (0.02, 0.5, 0.98):
            with sink.lock:
                sink.mails.clear()
            send_many(p, rcpts)
            until(lambda enough=len(rcpts) * part: len(arrived(sink)) >= enough, 30)
            p.kill9()
            p.start()
            until(lambda: len(set(arrived(sink))) == len(rcpts), 30)
            p.wait_empty()
            assert len(arrived(sink)) <= len(rcpts) + 100 * 100, "only what was in flight comes twice"
            assert p.ctl_json("queue", "count")[0]["recipients"] == 0


def test_deferred_and_removed():
    """Some of many recipients are put off: their rows alone change; what the counts say is what there is."""
    rcpts = ["reader%d@d%d.test" % (i, i % 30) for i in range(3000)]

    def refuse(address):
        return "450 4.2.1 not now" if address.endswith("@d7.test") else None
    with Sink(rcpt=refuse) as sink, Postern(RELAY + "destination * { retry 2s..2s }\n", base=BASE + "limit recipients 3000\n", sink=sink.port) as p:
        send_many(p, rcpts)

        def deferred():
            c = p.ctl_json("queue", "count")[0]
            return c["deferred"] == c["recipients"] == 100
        until(deferred, 30)
        assert p.stop() == 0
        p.start()
        assert deferred()
        sink._rcpt = None
        p.wait_empty(30)
        assert sorted(arrived(sink)) == sorted(rcpts)


def test_retry_all():
    """What waits, in memory or on disk, of many recipients or of one, is tried once more each, and what is not due is not left out."""
    rcpts = ["reader%d@d%d.test" % (i, i % 30) for i in range(3000)]
    asked = []

    def refuse(address):
        asked.append(address)
        return "450 4.2.1 not now"
    with Sink(rcpt=refuse) as sink, Postern(RELAY + "destination * { retry 1h..1h }\n", base=BASE + "limit recipients 3000\n", sink=sink.port) as p:
        send_many(p, rcpts)
        with p.smtp() as s:
            for i in range(5):
                assert s.mail("a@src.test", "one%d@d1.test" % i, b"Subject: x\r\n\r\nx\r\n").startswith("250")

        def deferred():
            return p.ctl_json("queue", "count")[0]["deferred"] == 3005
        for times in (1, 2):
            until(lambda want=times: len(asked) >= 3005 * want, 30)
            until(deferred)
            assert sorted(asked) == sorted((rcpts + ["one%d@d1.test" % i for i in range(5)]) * times)
            assert p.ctl_json("queue", "retry", "all")[0] == {"messages": 6, "recipients": 3005, "under_way": 0, "replaced": 0}
        until(lambda: len(asked) >= 3005 * 3, 30)
        many = max(p.ctl_json("queue", "list"), key=lambda m: len(m["to"]))
        assert sorted(many["to"]) == sorted(rcpts) and list(many) == ["id", "from", "to", "size", "age", "state", "attempts", "next", "reply"]
        assert sorted(p.ctl_json("queue", "list", "domain=d7.test")[0]["to"]) == sorted(rcpts[7::30])
        shown = p.ctl_json("queue", "show", many["id"])[0]
        assert sorted(shown["to"]) == sorted(rcpts) == sorted(r["to"] for r in shown["recipients"])
        assert sorted(r["to"] for r in p.ctl_json("why", many["id"]) if "next" in r) == sorted(rcpts)
        for words in (("queue", "list"), ("queue", "show", many["id"]), ("mailq",)):
            assert p.ctl(*words)[1].count("reader") == 3000, words
        shown = [p.ctl_json("queue", "show", m["id"])[0] for m in p.ctl_json("queue", "list")]
        assert all(m["attempts"] >= 2 and m["state"] in ("active", "deferred") for m in shown), shown


def test_act_on_many():
    """What is done to some of many recipients is done to those, a part at a time, by several at once, and by one that goes away."""
    rcpts = ["reader%d@d%d.test" % (i, i % 30) for i in range(4000)]
    with Sink(rcpt=lambda address: "450 4.2.1 not now") as sink, \
            Postern(RELAY + "destination * { retry 1h..1h }\n", base=BASE + "limit recipients 4000\n", sink=sink.port) as p:
        def count(*words):
            return p.ctl_json("queue", "count", *words)[0]["recipients"]
        send_many(p, rcpts)
        until(lambda: p.ctl_json("queue", "count")[0]["deferred"] == 4000, 30)
        assert p.stop() == 0
        p.start()
        some = len(rcpts[7::30])
        assert p.ctl_json("queue", "hold", "domain=d7.test")[0] == {"messages": 1, "recipients": some, "under_way": 0, "replaced": 0}
        assert count("state=held") == count("domain=d7.test") == some
        assert p.ctl_json("queue", "release", "state=held")[0]["recipients"] == some and count("state=held") == 0
        until(lambda: p.ctl_json("queue", "count")[0]["deferred"] == 4000)

        def again(*words):
            for _ in range(3):
                p.ctl("queue", *words)
        threads = [threading.Thread(target=again, args=w) for w in (("hold", "all"), ("release", "all"), ("retry", "domain=d3.test"),
                                                                    ("hold", "domain=d4.test"))]
        for t in threads:
            t.start()
        for _ in range(10):
            gone = subprocess.Popen([B + "/bin/posternctl", "-s", p.runtime + "/control.sock", "queue", "hold", "all"], stdout=subprocess.PIPE)
            gone.stdout.readline()
            gone.kill()
            gone.communicate()
        for t in threads:
            t.join()
        assert p.ctl_json("queue", "remove", "domain=d9.test")[0]["recipients"] == some
        assert p.ctl_json("queue", "remove", "all")[0]["recipients"] >= 4000 - some, "those under way are not gone yet"
        p.wait_empty()
        assert all(child["restarts"] == 0 for child in p.ctl_json("status")[0]["processes"])


def test_list_of_more_than_are_picked():
    """A selection of more recipients than are gathered first is listed whole all the same."""
    with Postern(RELAY, base=BASE + "limit recipients 4500\n", sink=1) as p:
        assert p.ctl("pause", "delivery")[0] == 0
        for n in range(5):
            send_many(p, ["reader%d.%d@one.test" % (n, i) for i in range(4500)])
        listed = p.ctl_json("queue", "list", "domain=one.test")
        assert sorted(len(m["to"]) for m in listed) == 5 * [4500], [len(m["to"]) for m in listed]
