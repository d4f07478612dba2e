"""The spool on a small file system of its own: full, out of inodes, held by few."""
import contextlib
import os
import subprocess
import time
import lib
from lib import Postern, Sink, until

CONF = """action out relay via smtp://127.0.0.1:$sink
action none discard
match from any for domain "none.test" action none
match from any for any action out
limit message-size 20M
destination * { retry 1s..1s, lifetime 1h, concurrency 20 }
"""


@contextlib.contextmanager
def small_spool(sink, options):
    """A Postern whose spool is a tmpfs with those options."""
    lib.need_root()
    with Postern(CONF, sink=sink.port, start=False) as p:
        os.mkdir(p.spool)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", p.spool], check=False).returncode != 0:
            raise lib.Skip("needs the right to mount")
        try:
            p.start()
            yield p
        finally:
            p.end()
            subprocess.run(["umount", "-l", p.spool], check=True)


def text(serial, size):
    return b"Subject: n\r\nX-Serial: %d\r\n\r\n" % serial + (b"%070d\r\n" % serial) * (size // 72)


def send_until_full(p, size, most):
    """-> how many were taken before the first 452, which comes at once"""
    for n in range(most):
        with p.smtp() as s:
            begun = time.monotonic()
            answer = s.mail("", "x%d@far.test" % (n % 5), text(n, size))
            if not answer.startswith("250"):
                assert answer.startswith("452 4.3.1"), answer
                assert time.monotonic() - begun < 2 * lib.SLOW
                return n
    raise AssertionError("never full after %d messages" % most)


def fill(path):
    """Not one byte is left, or no inode."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as f:
        for piece in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while f.write(bytes(piece)) == piece:
                    pass


def taken_again(p):
    """new mail is taken again"""
    with p.smtp() as s:
        return s.cmd("MAIL FROM:<>").startswith("250")


def refuse(envelope):
    return "451 4.3.0 not now"


def drains(options, size, most):
    open_ = []
    with Sink(reply=lambda e: "250 2.0.0 taken" if open_ else refuse(e)) as sink, small_spool(sink, options) as p:
        n = send_until_full(p, size, most)
        assert n >= 3, n
        until(lambda: not taken_again(p), 2, 0.1)
        fill(os.path.join(p.spool, "filler"))
        assert os.statvfs(p.spool).f_bavail == 0 or "nr_inodes" in options
        open_.append(True)
        p.wait_empty(60)        # an index that found the disk full is made again by the next run of the queue, 10 s later
        assert sorted(int(e.content.split(b"X-Serial: ")[1].split()[0]) for e in sink.mails) == list(range(n))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(p.spool, "filler"))
        until(lambda: taken_again(p), 10, 0.2)
        with p.smtp() as s:
            assert s.mail("", "x@far.test", text(n, size)).startswith("250")
        p.wait_empty(10)


def test_disk_full():
    drains("size=24m", 40000, 2000)


def test_disk_full_of_large_ones():
    drains("size=24m", 300000, 2000)


def test_out_of_inodes():
    drains("size=64m,nr_inodes=60", 100000, 600)


def test_few_do_not_hold_the_space():
    """A hundred times one deferred message and 24 that are done: as much as three of these file systems hold, were segments not emptied."""
    open_ = []
    with Sink(reply=lambda e: "250 2.0.0 taken" if open_ else refuse(e)) as sink, small_spool(sink, "size=24m") as p:
        for n in range(40):
            with p.smtp() as s:
                for serial in range(n * 25, n * 25 + 25):
                    to = "x@far.test" if serial % 25 == 7 else "x@none.test"

                    def taken():
                        """there is room"""
                        return s.mail("", to, text(serial, 60000)).startswith("250")
                    until(taken, 15, 0.1)
        assert len(os.listdir(os.path.join(p.spool, "seg"))) <= 16
        open_.append(True)
        p.wait_empty(20)
        assert sorted(int(e.content.split(b"X-Serial: ")[1].split()[0]) for e in sink.mails) == list(range(7, 1000, 25))
        assert all(lib.body_of(e.content) == text(int(e.content.split(b"X-Serial: ")[1].split()[0]), 60000) for e in sink.mails)


for case in (test_disk_full, test_disk_full_of_large_ones, test_out_of_inodes, test_few_do_not_hold_the_space):
    case.seconds = 120
