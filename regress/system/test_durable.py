"""What was answered and what was not: after an error of the disk and a kill nobody is left untold, and nothing goes out twice."""
import contextlib
import os
import subprocess

import lib
from lib import LOCAL, Postern, Sink, until
from test_bounce import RELAY, send


@contextlib.contextmanager
def failing(p, call, error="EIO", path=None):
    """That call of the queue that runs now fails, everywhere or on that file."""
    pid = p.children("queue")[0][0]
    only = ["-P", path] if path else []
    tracer = subprocess.Popen([lib.need("strace"), "-qq", "-f", "-p", str(pid), "-o", "/dev/null", "-e", "inject=%s:error=%s" % (call, error)] + only)
    try:
        until(lambda: "TracerPid:\t0" not in open("/proc/%d/status" % pid, encoding="ascii").read())
        yield
    finally:
        tracer.terminate()
        tracer.wait(5)


class Once:
    """A recipient is refused, and from then on no sync of the queue works."""

    def __init__(self):
        self.stack, self.postern = contextlib.ExitStack(), None

    def rcpt(self, address):
        if self.postern is not None:
            self.stack.enter_context(failing(self.postern, "fdatasync"))
            self.postern = None
        return "550 5.1.1 no such person"


def test_notice_that_was_never_answered():
    """Its sync fails, all is killed: the next start knows that nobody was told."""
    once = Once()
    with once.stack, Sink(rcpt=once.rcpt) as sink, Postern(RELAY, sink=sink.port, expect_trouble=True) as p:
        once.postern = p
        send(p, "me@example.test", ["bad@far.test"])
        p.wait_log("a notice cannot be stored")
        p.kill9()
        once.stack.close()
        p.start()
        assert len(p.wait_mail("me")) == 1
        p.wait_empty()
        assert len(p.mail("me")) == 1


def test_archive_copy_of_what_was_refused():
    """The copy is on the disk, its message could not be stored: neither is there for the next start."""
    with Postern(LOCAL + "archive to keep@example.test\n", expect_trouble=True) as p:
        big = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 5000
        with failing(p, "rename", "EIO:when=2"), p.smtp() as s:        # each is a file of its own: the copy's gets its name
            assert s.mail("a@b.test", "a@example.test", big).startswith("451 4.3.0")
        p.wait_log("cannot be stored: Input/output error")
        p.kill9()
        p.start()
        assert p.queued() == 0 and p.mail("keep") == [] and p.mail("a") == []
        assert not [name for name in os.listdir(os.path.join(p.spool, "tmp")) if name.startswith("m-")]


def segments(p):
    folder = os.path.join(p.spool, "seg")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def test_same_id_twice():
    """One place says delivered, another says pending, no byte asks for a full scan: it is delivered."""
    choosy = [True]
    with Sink(reply=lambda e: "451 4.3.0 later" if choosy[0] else "250 2.0.0 taken") as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "me@example.test", ["a@far.test"])
        p.wait_log("status=deferred")
        full = max(segments(p), key=lambda name: open(name, "rb").read().count(b"PsRc"))
        with open(full, "rb") as f:
            early = f.read()
        choosy[0] = False
        assert p.ctl("queue", "retry", "all")[0] == 0
        sink.wait(1)
        p.kill9()
        twin = os.path.join(os.path.dirname(full), "000000f0")
        with open(twin, "wb") as f:
            f.write(early)
        like = os.stat(full)
        os.chown(twin, like.st_uid, like.st_gid)
        os.unlink(os.path.join(p.spool, "index.db"))
        p.start()
        p.wait_empty()
        assert len(sink.mails) == 1


def test_copy_that_is_not_whole():
    """A later copy of a message is damaged, as one is that a power cut tore: the earlier one is delivered."""
    choosy = [True]
    with Sink(reply=lambda e: "451 4.3.0 later" if choosy[0] else "250 2.0.0 taken") as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "me@example.test", ["a@far.test"], b"Subject: x\r\n\r\nTHE-ONE\r\n")
        p.wait_log("status=deferred")
        p.kill9()
        choosy[0] = False
        full = max(segments(p), key=lambda name: open(name, "rb").read().count(b"PsRc"))
        twin = os.path.join(os.path.dirname(full), "000000f0")
        with open(full, "rb") as f, open(twin, "wb") as g:
            g.write(f.read().replace(b"THE-ONE", b"THE-TWO"))
        like = os.stat(full)
        os.chown(twin, like.st_uid, like.st_gid)
        os.unlink(os.path.join(p.spool, "index.db"))
        p.start()
        p.wait_empty()
        assert len(sink.mails) == 1 and b"THE-ONE" in sink.mails[0].content and not p.mail("postmaster")


def test_segment_that_cannot_be_opened():
    """Its rows stay, and it is taken in as soon as it can be: also what the index did not know yet."""
    choosy = [True]
    with Sink(reply=lambda e: "451 4.3.0 later" if choosy[0] else "250 2.0.0 taken") as sink, Postern(RELAY, sink=sink.port) as p:
        send(p, "me@example.test", ["a@far.test"])
        p.wait_log("status=deferred")
        assert p.ctl("queue", "hold", "all")[0] == 0 and p.queued() == 1
        p.kill9()
        for name in segments(p):
            os.chmod(name, 0)
        p.start()
        p.wait_log("cannot read seg/.*: Permission denied")
        assert p.queued() == 1
        assert p.ctl("queue", "release", "all")[0] in (0, 1)
        assert p.queued() == 1
        choosy[0] = False
        for name in segments(p):
            os.chmod(name, 0o600)
        p.wait_log("can be read now")
        until(lambda: p.children("queue") and p.ctl("status")[0] == 0)
        p.ctl("queue", "release", "all")
        sink.wait(1)
        p.wait_empty()
        assert len(sink.mails) == 1


def flip(p, mark):
    """One bit of the one message on the disk that has these bytes."""
    for name in segments(p):
        with open(name, "r+b") as f:
            at = f.read().find(mark)
            if at != -1:
                f.seek(at)
                f.write(bytes([mark[0] ^ 1]))
                return
    raise AssertionError("no %r on the disk" % mark)


def test_damaged_on_the_disk():
    """Small and large, to a server and to a mailbox, found by the running queue and by its start: nothing wrong arrives."""
    conf = "action local maildir \"$dir/mail/%{user}\" user $account\nmatch from any for domain example.test action local\n" + \
        RELAY.replace(LOCAL, "")
    far = b"Subject: x\r\n\r\n" + (b"w" * 70 + b"\r\n") * 3000 + b"THE-LARGE-ONE\r\n"
    with Sink() as sink, Postern(conf, sink=sink.port) as p:
        assert p.ctl("pause", "delivery")[0] == 0
        ids = [send(p, "me@example.test", ["a@far.test"], b"Subject: x\r\n\r\nTHE-SMALL-ONE\r\n"),
               send(p, "me@example.test", ["b@far.test"], far),
               send(p, "me@example.test", ["box@example.test"], b"Subject: x\r\n\r\nTHE-LOCAL-ONE\r\n"),
               send(p, "me@example.test", ["box@example.test"], b"Subject: x\r\n\r\nTHE-LAST-ONE\r\n")]
        for mark in (b"THE-SMALL-ONE", b"THE-LARGE-ONE", b"THE-LOCAL-ONE"):
            flip(p, mark)
        assert p.ctl("resume", "delivery")[0] == 0
        assert len(p.wait_mail("postmaster", 3)) == 3
        until(lambda: len(p.mail("box")) == 1)
        until(lambda: p.queued() == 3 and p.ctl_json("queue", "count")[0]["held"] == 3)
        assert len(os.listdir(os.path.join(p.spool, "quarantine"))) == 3
        assert not sink.mails and b"THE-LAST-ONE" in p.mail("box")[0]
        for qid in ids[:3]:
            assert qid in "".join(m.decode() for m in p.mail("postmaster"))
            p.wait_log(qid + ".*4.3.0.*damaged")


def test_last_one_damaged():
    """Behind it there is nothing, so it might be torn; but it was answered, and somebody is told."""
    with Sink() as sink, Postern(RELAY, sink=sink.port) as p:
        assert p.ctl("pause", "delivery")[0] == 0
        qid = send(p, "me@example.test", ["a@far.test"], b"Subject: x\r\n\r\nTHE-ONE\r\n")
        p.kill9()
        flip(p, b"THE-ONE")
        os.unlink(os.path.join(p.spool, "index.db"))
        p.start()
        p.ctl("resume", "delivery")
        assert qid in p.wait_mail("postmaster")[0].decode()
        assert os.listdir(os.path.join(p.spool, "quarantine")) and not sink.mails and p.queued() == 1
