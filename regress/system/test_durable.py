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
