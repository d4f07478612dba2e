"""postern-agent by itself: what deliver hands it arrives in the right Maildir, once, under the account's rights alone."""
import os
import pwd
import shutil
import tempfile
import threading

from lib import ROOT, SLOW, need_root, until
from lib_edge import Program, memfd

SENT, DEFER, BOUNCE, NOT_BEFORE = range(4)
CONF = """hostname mx.test
domain example.test
spool "/tmp/postern-none"
runtime "/tmp/postern-none"
listen on 127.0.0.1 port 10748
action out relay
match from local for any action out
"""
TEXT = b"Received: by x\r\nSubject: s\r\n\r\nbody\r\n.\r\n"


class Agent(Program):
    def __init__(self, path="~/Maildir", **kw):
        self.home = tempfile.mkdtemp(prefix="postern-agent-")
        nobody = pwd.getpwnam("nobody")
        if ROOT:
            os.chown(self.home, nobody.pw_uid, nobody.pw_gid)
            kw = {"ids": (nobody.pw_uid, nobody.pw_gid), **kw}
        super().__init__("agent", CONF, **kw)
        self.deliver, fd = self.pair()
        self.parent.send("AGENT_SET", {"path": path, "home": self.home, "user": "nobody", "hostname": "mx.test", "kind": 0}, fd=fd)

    def mail(self, job, *rcpts, text=TEXT, length=None, sender="s@a.test", again=False):
        self.deliver.send("MAIL", {"job": job, "id": job, "arrival": 1700000000000, "again": int(again), "sender": sender, "length": len(text) if length is None else length,
                                   "rcpts": [{"n": 10 + n, "addr": r} for n, r in enumerate(rcpts)]}, fd=memfd(text))

    def result(self):
        """-> job, [(n, outcome, code, dsn, text)]"""
        name, _, values, _ = self.deliver.receive()
        assert name == "MAIL_RESULT"
        return values["job"], [(r["n"], r["outcome"], r["code"], r["dsn"], r["text"]) for r in values["results"]]

    def files(self, folder):
        """{name: content}"""
        path = os.path.join(self.home, folder)
        found = {}
        for name in os.listdir(path) if os.path.isdir(path) else []:
            with open(os.path.join(path, name), "rb") as f:
                found[name] = f.read()
        return found

    def __exit__(self, *a):
        super().__exit__(*a)
        shutil.rmtree(self.home, ignore_errors=True)


def test_one():
    with Agent() as a:
        a.mail(1, "u@example.test")
        assert a.result() == (1, [(10, SENT, 250, "2.0.0", "delivered to maildir")])
        (name, text), = a.files("Maildir/new").items()
        assert text == b"Return-Path: <s@a.test>\nDelivered-To: u@example.test\n" + TEXT.replace(b"\r\n", b"\n")
        assert name.endswith(".mx.test,S=%d" % len(text))
        assert os.listdir(os.path.join(a.home, "Maildir/tmp")) == []
        assert os.stat(os.path.join(a.home, "Maildir")).st_mode & 0o7777 == 0o700
        assert os.stat(os.path.join(a.home, "Maildir/new", name)).st_mode & 0o7777 == 0o600


def test_second_try():
    """What an earlier try brought to its end is found wherever the reader has put it; an unfinished one is replaced."""
    with Agent() as a:
        a.mail(1, "u@example.test", "v@example.test")
        assert len(a.result()[1]) == 2
        before = sorted(a.files("Maildir/new"))
        assert len(before) == 2 and before[0].startswith("1700000000.Q") and "R10.mx.test,S=" in before[0], before
        box = os.path.join(a.home, "Maildir")
        os.rename(os.path.join(box, "new", before[1]), os.path.join(box, "cur", before[1] + ":2,RS"))
        tmp = os.path.join(box, "tmp", before[0].partition(",")[0])
        with open(tmp, "wb") as f:
            f.write(b"half a messa")
        os.chmod(tmp, 0o400)
        a.mail(1, "u@example.test", "v@example.test", again=True)
        assert [r[1] for r in a.result()[1]] == [SENT, SENT]
        assert sorted(a.files("Maildir/new")) == before[:1]
        assert sorted(a.files("Maildir/cur")) == [before[1] + ":2,RS"] and a.files("Maildir/tmp") == {}
        a.mail(1, "u@example.test", text=TEXT.replace(b"body", b"BODY"), again=True)          # not the same message
        assert a.result()[1][0][1] == SENT
        assert len(a.files("Maildir/new")) == 2


def test_many():
    with Agent() as a:
        for job in range(200):
            a.mail(job, "u@example.test", text=TEXT + b"%d\r\n" % job)
        assert [a.result()[0] for _ in range(200)] == list(range(200))
        got = a.files("Maildir/new")
        assert len(got) == 200 and a.files("Maildir/tmp") == {}
        assert sorted(int(t.split()[-1]) for t in got.values()) == list(range(200))


def test_many_recipients():
    """More than one batch for one message, each into a mailbox of its own: one answer with all results in order."""
    with Agent(path="~/%{domain}/%{user}") as a:
        a.mail(5, *["U%d+tag@Example.TEST" % n for n in range(100)])
        job, results = a.result()
        assert job == 5 and [r[0] for r in results] == list(range(10, 110)) and all(r[1] == SENT for r in results)
        for n in range(100):
            assert len(a.files("example.test/u%d/new" % n)) == 1


def test_hostile_addresses():
    with Agent(path="~/in/%{user}") as a:
        rcpts = ["\"../../../../tmp/canary\"@x.test", "\"..\"@x.test", "\".\"@x.test", ";id;@x.test", "\"$(touch canary)\"@x.test",
                 "|id@x.test", "-froot@x.test", "\"%s%n\"@x.test", "\"%{domain}\"@x.test", "\"a\\\"b\"@x.test"]
        a.mail(1, *rcpts)
        assert all(r[1] == SENT for r in a.result()[1])
        assert os.listdir(a.home) == ["in"]
        assert len(os.listdir(os.path.join(a.home, "in"))) == len(rcpts)
        assert not os.path.exists("/tmp/canary")


def test_loop():
    with Agent() as a:
        a.mail(1, "u@example.test", "v@example.test", text=b"Delivered-To: U@example.test\r\n" + TEXT)
        assert [r[:4] for r in a.result()[1]] == [(10, BOUNCE, 554, "5.4.6"), (11, SENT, 250, "2.0.0")]


def test_local_trouble():
    """Whatever is wrong with the mailbox: a temporary failure that names it."""
    with Agent() as a:
        with open(os.path.join(a.home, "Maildir"), "wb"):
            pass
        a.mail(1, "u@example.test")
        (_, outcome, code, dsn, text), = a.result()[1]
        assert (outcome, code, dsn) == (DEFER, 450, "4.2.1") and a.home in text, text
        os.unlink(os.path.join(a.home, "Maildir"))
        a.mail(2, "u@example.test", length=5000)
        (_, outcome, code, dsn, text), = a.result()[1]
        assert (outcome, code, dsn) == (DEFER, 451, "4.3.0"), text
        a.mail(3, "u@example.test")
        assert a.result()[1][0][1] == SENT
    with Agent(path="/proc/nowhere/x") as a:
        a.mail(1, "u@example.test")
        assert a.result()[1][0][1] == DEFER


def test_no_rights():
    need_root()
    with Agent() as a:
        os.mkdir(os.path.join(a.home, "Maildir"), 0o700)           # root's
        a.mail(1, "u@example.test")
        (_, outcome, _, dsn, text), = a.result()[1]
        assert (outcome, dsn) == (DEFER, "4.2.1") and "Permission denied" in text, text


def test_full_disk():
    """A file system of 64 KiB: mailbox full, nothing left behind, and what fits still arrives."""
    need_root()
    with Agent() as a:
        box = os.path.join(a.home, "Maildir")
        os.mkdir(box)
        if os.system("mount -t tmpfs -o size=64k,mode=777 none " + box):
            from lib import Skip
            raise Skip("cannot mount")
        try:
            a.mail(1, "u@example.test", text=b"a: b\r\n\r\n" + b"x" * 100000)
            a.mail(2, "u@example.test")
            results = [a.result()[1][0] for _ in range(2)]
            assert results[0][1:4] == (DEFER, 452, "4.2.2") and "mailbox full" in results[0][4], results
            assert results[1][1] == SENT, results
            assert a.files("Maildir/tmp") == {} and len(a.files("Maildir/new")) == 1
        finally:
            os.system("umount " + box)


def test_swapped_links():
    """The owner swaps his directories for links while mail comes in: nothing ends up elsewhere, nobody dies."""
    with Agent() as a:
        outside, box = os.path.join(a.home, "outside"), os.path.join(a.home, "Maildir")
        os.mkdir(outside)
        if ROOT:
            shutil.chown(outside, "nobody")
        a.mail(0, "u@example.test")
        a.result()
        stop = threading.Event()

        def swap():
            while not stop.is_set():
                for name in ("tmp", "new"):
                    try:
                        os.rename(os.path.join(box, name), os.path.join(box, name + "-away"))
                        os.symlink(outside, os.path.join(box, name))
                        os.unlink(os.path.join(box, name))
                        os.rename(os.path.join(box, name + "-away"), os.path.join(box, name))
                    except OSError:                # the agent made it anew in between
                        shutil.rmtree(os.path.join(box, name + "-away"), ignore_errors=True)
        thread = threading.Thread(target=swap)
        thread.start()
        for job in range(1, 400):
            a.mail(job, "u@example.test")
            assert a.result()[1][0][1] in (SENT, DEFER)
        stop.set()
        thread.join()
        assert os.listdir(outside) == []


def test_broken_peers():
    """A frame that deliver would not send, the end of deliver, the end of the parent: the agent ends and leaves nothing."""
    with Agent() as a:
        a.deliver.raw(b"\xff" * 64)
        assert a.deliver.is_closed()
        assert a.wait() == 0
    with Agent() as a:
        a.mail(1, "u@example.test")
        a.result()
        a.deliver.close()
        assert a.wait() == 0
        assert a.files("Maildir/tmp") == {}
    with Agent() as a:
        a.mail(1, "u@example.test")
        a.result()
        a.parent.close()
        assert a.wait() == 0


def test_descriptors():
    """0, 1, 2, the two edges and the loop's own; none for messages that are done."""
    with Agent() as a:
        for job in range(50):
            a.mail(job, "u@example.test")
            a.result()

        def few():
            """few descriptors"""
            links = [os.readlink("/proc/%d/fd/%s" % (a.process.pid, n)) for n in os.listdir("/proc/%d/fd" % a.process.pid)]
            return sum("memfd" in x or a.home in x for x in links) == 0 and sum("socket:" in x for x in links) <= 2
        until(few, 3 * SLOW)
