"""posternctl, posternd -n, reload."""
import os
import re
import signal
import socket
import subprocess
import time

from lib import B, LOCAL, Postern, Sink, free_port, until
from lib_queue import SENT, Queue

DEAD = LOCAL + "action out relay via smtp://127.0.0.1:$sink\nmatch from local for any action out\n"


def one_waits(p):
    with p.smtp() as s:
        answer = s.mail("a@b.test", ["x@far.test", "y@far.test"], b"Subject: waits\r\n\r\nhere\r\n")
    p.wait_log("status=deferred")
    return answer.split()[-1]


def test_queue_verbs():
    with Postern(DEAD, sink=free_port()) as p:
        assert p.ctl_json("queue", "list") == [] and p.queued() == 0
        qid = one_waits(p)
        rows = p.ctl_json("queue", "list")
        assert rows and all(r["id"] == qid and r["from"] == "a@b.test" and r["state"] == "deferred" for r in rows), rows
        assert set("id from to size age state attempts next reply".split()) <= set(rows[0]), rows[0]
        count = p.ctl_json("queue", "count")[0]
        assert count["messages"] == 1 and count["recipients"] == 2, count
        status, out, _ = p.ctl("queue", "show", qid)
        assert status == 0 and "x@far.test" in out and "refused" in out, out
        status, out, _ = p.ctl("queue", "cat", qid)
        assert status == 0 and "Subject: waits" in out and "here" in out, out
        status, out, _ = p.sendmail(program="mailq")
        assert status == 0 and qid in out and re.search(r"-- \d+ Kbytes in 1 Requests?\.\n$", out), out
        assert p.ctl("queue", "retry", qid)[0] == 0 and p.ctl("queue", "retry", "all")[0] == 0
        until(lambda: len(re.findall("status=deferred", p.log())) >= 4)
        assert p.ctl("queue", "remove", qid)[0] == 0 and p.queued() == 0
        for verb in ("show", "cat", "retry", "remove"):
            assert p.ctl("queue", verb, qid)[0] == 1, verb
        assert p.ctl("queue", "retry", "all")[0] in (0, 1)


def test_usage_and_absence():
    with Postern(LOCAL) as p:
        assert p.ctl()[0] == 64 and p.ctl("nosuch")[0] == 64 and p.ctl("queue", "nosuch")[0] == 64
        assert p.ctl("status")[0] == 0 and p.ctl("stats")[0] == 0 and p.ctl_json("status") and p.ctl_json("stats")
        p.stop()
        status, _, err = p.ctl("status")
        assert status == 69 and "not running" in err, err


def test_rights():
    """Somebody else may see totals, and may not steer."""
    from lib import need_root
    need_root()
    with Postern(DEAD, sink=free_port()) as p:
        qid = one_waits(p)

        def as_nobody(*words):
            return subprocess.run([p.dir + "/ctl", "-s", p.runtime + "/control.sock", *words], capture_output=True, user="nobody",
                                  group="nogroup", extra_groups=[], check=False)
        subprocess.run(["cp", os.path.join(B, "bin/posternctl"), p.dir + "/ctl"], check=True)
        assert as_nobody("queue", "count").returncode == 0
        for words in (("mailq",), ("queue", "list")):           # none of it is his, and that is not said to be none
            out = as_nobody(*words).stdout.decode()
            assert re.search(r"^none of the mail that waits is yours\n-- \d+ Kbytes in 1 Requests\.\n\Z", out), out
        for words in (("queue", "remove", qid), ("queue", "remove", "all"), ("stop",), ("reload",), ("pause", "delivery"), ("queue", "cat", qid),
                      ("queue", "hold", "all"), ("queue", "bounce", "all", "--dry-run"), ("suspend", "domain", "x.test"), ("suspend",),
                      ("explain", "x@far.test"), ("why", qid), ("history", "id=" + qid), ("queue", "count", "domain=far.test")):
            assert as_nobody(*words).returncode == 1, words
        assert p.queued() == 1


def told(p):
    with socket.create_connection(("127.0.0.1", p.port), 5) as s:
        return s.recv(200).decode()


def test_pause():
    with Sink() as sink, Postern(DEAD, sink=sink.port) as p:
        assert p.ctl("pause", "delivery")[0] == 0
        with p.smtp() as s:
            assert s.mail("a@b.test", "x@far.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        assert p.queued() == 1 and not sink.mails
        assert p.ctl("resume", "delivery")[0] == 0
        sink.wait(1)
        assert p.ctl("pause", "listeners")[0] == 0
        until(lambda: told(p).startswith("421 4.3.2"))
        assert p.ctl("resume", "listeners")[0] == 0
        until(lambda: told(p).startswith("220"))
        with p.smtp() as s:
            assert s.mail("a@b.test", "x@far.test", b"x: y\r\n\r\nhi\r\n").startswith("250")


def paused(q):
    """What status says of delivery and of the listeners, and what the parent was told of these at the start."""
    s = q.ctl_json("status")[0]
    return s["delivery"], s["listeners"], [v["value"] for name, v in q.said if name == "PAUSE_LISTENERS"]


def test_pause_survives_a_kill():
    with Queue() as q:
        assert paused(q) == ("running", "running", [0])
        assert q.ctl("pause") == (0, "delivery: paused\nlisteners: paused\n", "")
        q.kill9()
        q.start()
        assert paused(q) == ("paused", "paused", [1])
        assert "delivery   paused," in q.ctl("status")[1]
        q.put(["x@far.test"])
        q.no_job()
        assert q.ctl("resume", "delivery")[0] == 0
        q.result(q.job(), SENT)
        q.kill9()
        q.start()
        assert paused(q) == ("running", "paused", [1])


def test_pause_for_a_time():
    with Queue() as q:
        for bad in (("pause", "delivery", "--for"), ("pause", "delivery", "--for", "soon"), ("pause", "--for", "0s"), ("pause", "mail"),
                    ("resume", "mail")):
            status, _, err = q.ctl(*bad)
            assert status == 64 and err, bad
        assert q.ctl("pause", "delivery")[0] == 0
        status, out, _ = q.ctl("pause", "delivery", "--for", "2h")      # another end takes the place of none
        assert status == 0 and re.fullmatch(r"delivery: paused until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(for 2h\)\n", out), out
        assert abs(q.ctl_json("status")[0]["delivery_until"] - time.time() - 7200) < 10
        q.put(["x@far.test"])
        assert q.ctl("pause", "--for", "700ms", "delivery")[0] == 0
        q.no_job(0.3)
        q.result(q.job(), SENT)                         # by itself
        assert paused(q) == ("running", "running", [0])
        q.ctl("pause", "delivery", "--for", "2s")
        q.put(["y@far.test"])
        q.kill9()
        time.sleep(0.5)
        q.start()
        assert paused(q)[0] == "paused"
        q.result(q.job(), SENT)
        q.ctl("pause", "delivery", "--for", "300ms")
        q.kill9()
        time.sleep(0.5)
        q.start()                                       # it ended meanwhile
        until(lambda: paused(q)[0] == "running")


def test_pause_by_a_wrong_clock():
    """After a restart with a clock that is years behind, no more is left of a pause than was given."""
    with Queue() as q:
        q.ctl("pause", "delivery", "--for", "2s")
        q.kill9()
        with open(os.path.join(q.dir, "suspended"), encoding="utf-8") as f:
            line = f.read()
        with open(os.path.join(q.dir, "suspended"), "w", encoding="utf-8") as f:
            f.write(re.sub(r"until (\d+)", lambda m: "until %d" % (int(m[1]) + 10 ** 11), line))
        q.start()
        assert 0 < q.ctl_json("status")[0]["delivery_until"] - time.time() < 5
        until(lambda: paused(q)[0] == "running")


def test_reload():
    with Postern(LOCAL) as p:
        with p.smtp() as s:
            assert s.mail("a@b.test", "x@new.test", b"x: y\r\n\r\nhi\r\n").startswith("550 5.7.1")
        text = open(p.conf, encoding="utf-8").read()
        p.write_conf(text + "match from any for domain new.test action local\n")
        assert p.ctl("reload")[0] == 0

        def new_rule():
            with p.smtp() as s:
                return s.mail("a@b.test", "x@new.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        until(new_rule)
        p.write_conf(text + "match nonsense\n")
        status, out, err = p.ctl("reload")
        assert status == 1 and "postern.conf:" in out + err, (status, out, err)
        assert "\\x0a" not in p.log() + out + err and "reload refused" in p.log(), p.log()[-500:]
        assert new_rule()
        p.write_conf(text)
        os.kill(p.process.pid, signal.SIGHUP)
        until(lambda: not new_rule())


def test_check():
    with Postern(LOCAL, start=False) as p:
        def check(*args):
            r = subprocess.run([os.path.join(B, "bin/posternd"), "-n", "-f", p.conf, *args], capture_output=True, check=False)
            return r.returncode, (r.stdout + r.stderr).decode()
        assert check()[0] == 0
        text = open(p.conf, encoding="utf-8").read()
        p.write_conf(text + "listen on nowhere port\naction x maildir\nmatch for any action local\n")
        status, said = check()
        lines = len(text.splitlines())
        assert status == 78 and said.count("postern.conf:") >= 2, said
        assert "postern.conf:%d:" % (lines + 1) in said and "postern.conf:%d:" % (lines + 3) in said, said
        p.write_conf(text + "pki x cert \"/a\" key \"/b\"\n")
        status, said = check()
        assert status == 78 and "not available yet" in said, said
        p.write_conf(text + "match from any for any action local\n")
        assert check()[0] == 0
        p.write_conf(text + "limit message-size $size\n")
        assert check()[0] == 78 and check("-D", "size=5M")[0] == 0


def test_stop():
    with Postern(LOCAL) as p:
        assert p.ctl("stop")[0] == 0
        assert p.process.wait(20) == 0
    with Postern(LOCAL) as p:
        os.kill(p.process.pid, signal.SIGTERM)
        assert p.process.wait(20) == 0


def test_second_one():
    """Two daemons do not share a runtime directory or a spool."""
    with Postern(LOCAL) as p:
        r = subprocess.run([os.path.join(B, "bin/posternd"), "-d", "-f", p.conf], capture_output=True, timeout=60, check=False)
        assert r.returncode != 0 and b"another" in r.stderr, r
        assert p.ctl("status")[0] == 0
