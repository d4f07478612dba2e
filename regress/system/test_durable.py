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
