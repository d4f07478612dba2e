"""Clients that use much and bring nothing: memory stays flat, others are served, and the programs live."""
import contextlib
import os
import random
import socket
import threading
import time

from lib import LOCAL, SLOW, Postern, Smtp, need_files, need_root, until

WIDE = LOCAL + "limit message-size 1M\nlimit greet-pause 0s\n"


def memory(p, program):
    """KiB that the programs of that name have in memory, the largest."""
    most = 0
    for pid, _ in p.children(program):
        with contextlib.suppress(OSError), open("/proc/%d/status" % pid, encoding="utf-8") as f:
            most = max([most] + [int(line.split()[1]) for line in f if line.startswith("VmRSS:")])
    return most


def flat(p, before, what, most=16 * 1024):
    """Not under a sanitizer: it keeps freed memory for a while."""
    for program in before if SLOW == 1 else ():
        grown = memory(p, program) - before[program]
        assert grown < most, "%s: %s grew by %d KiB" % (what, program, grown)


def begin(s):
    for line in ("EHLO x.test", "MAIL FROM:<a@b.test>", "RCPT TO:<one@example.test>"):
        assert s.cmd(line).startswith("250")


def pour(s, block, most):
    """Sends block again and again until the server closes or that many bytes went. -> bytes"""
    n = 0
    s.sock.setblocking(False)
    try:
        while n < most:
            try:
                n += s.sock.send(block)
            except BlockingIOError:
                time.sleep(0.001)
            with contextlib.suppress(BlockingIOError):
                if s.sock.recv(65536) == b"":
                    break
    except OSError:
        pass
    return n


def test_memory():
    """BDAT 1 for ever, a gigabyte without a line end, in a command and in data, and blank lines: bounded, and closed at some point."""
    with Postern(WIDE + "limit commands 1000\n") as p:
        with p.smtp() as s:
            assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        before = {program: memory(p, program) for program in ("listener", "queue")}
        with Smtp(p.port) as s:
            begin(s)
            assert pour(s, b"BDAT 1\r\nx" * 5000, 9 << 20) < 9 << 20
        flat(p, before, "BDAT 1")
        with Smtp(p.port) as s:
            assert pour(s, b"x" * (1 << 18), 1 << 30) < 16 << 20
        flat(p, before, "a command line")
        with Smtp(p.port) as s:
            begin(s)
            assert s.cmd("DATA").startswith("354")
            assert pour(s, b"x" * (1 << 18), 1 << 30) < 128 << 20
        flat(p, before, "a line of data")
        with Smtp(p.port) as s:
            assert pour(s, b"\r\n" * 1000, 4 << 20) < 4 << 20
        with Smtp(p.port) as s:
            begin(s)
            assert s.cmd("DATA").startswith("354")
            s.send(b"\r\n" * 100000 + b".\r\n")
            assert s.reply().startswith("250")
        flat(p, before, "blank lines")
        with p.smtp() as s:
            assert s.mail("a@b.test", "two@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")


def flood(path, stop, counts):
    """As nobody: rubbish at a local socket, until told to stop."""
    rng = random.Random(1)
    held = []
    lengths = (b"\0\0\0\0", b"\0\0\0\1", b"\xff\xff\0\0", b"\xff\xff\xff\xff")
    while not stop.is_set():
        with contextlib.suppress(OSError):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(0.2)
            s.connect(path)
            counts.append(1)
            kind = rng.randrange(5)
            if kind == 0:
                s.sendall(rng.randbytes(rng.choice((1, 100, 70000))))
            elif kind == 1:
                s.sendall(rng.choice(lengths) + rng.randbytes(20))
            elif kind == 2:
                s.sendall(rng.choice((b"text\tqueue\tli", b"MAIL FROM:<a@b", b"EHLO x\r\nMAIL FR", b"json\t\t\t\n", b"text\tqueue\tlist\n")))
            elif kind == 3:
                fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(30)]
                try:
                    socket.send_fds(s, [b"x"], fds)
                finally:
                    for fd in fds:
                        os.close(fd)
            held.append(s)
        if len(held) > 300:
            held.pop(0).close()
    for s in held:
        s.close()


def test_sockets():
    """Ten thousand connections of rubbish by a local user at both sockets, and mail from the network goes on."""
    need_root()
    need_files(4096)
    with Postern(WIDE) as p:
        stop, counts = threading.Event(), []
        os.seteuid(65534)       # of the process: every thread is nobody
        try:
            threads = [threading.Thread(target=flood, args=(p.runtime + name, stop, counts)) for name in ("/control.sock", "/submit.sock")]
            for t in threads:
                t.start()
            sent, end = 0, time.monotonic() + 20
            while len(counts) < 10000 and time.monotonic() < end:
                with p.smtp(timeout=5) as s:
                    assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
                    sent += 1
        finally:
            stop.set()
            for t in threads:
                t.join()
            os.seteuid(0)
        assert sent > 5 and len(counts) > 1000, (sent, len(counts))
        until(lambda: p.ctl("status")[0] == 0)
        assert p.sendmail("-f", "a@b.test", "two@example.test", text=b"Subject: x\n\nhi\n")[0] == 0
        p.wait_mail("one", sent, 30)
        assert memory(p, "listener") < 64 * 1024 and memory(p, "queue") < 64 * 1024
        assert " restarts" not in p.log() and "was ended by" not in p.log()


def test_slow_clients():
    """Thousands that drip a byte now and then beside one that means it."""
    need_files(8192)
    with Postern(WIDE + "limit connections 6000\n") as p, contextlib.ExitStack() as stack:
        slow = []
        for _ in range(5000):
            s = stack.enter_context(socket.create_connection(("127.0.0.1", p.port), 10))
            slow.append(s)
        before = time.monotonic()
        for n in range(20):
            for s in slow[n::20]:
                s.send(b"N")
            with p.smtp(timeout=5) as s:
                assert s.mail("a@b.test", "one@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        assert time.monotonic() - before < 30
        p.wait_mail("one", 20)
        assert memory(p, "listener") < 5000 * 30 + 32 * 1024


def reset(s):
    s.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()


def test_reset_with_an_answer_pending():
    """A client that is gone while lookup, the name of its host or the queue is waited for leaves nothing behind."""
    with Postern(WIDE + "table users { one }\nmatch from any mail-from <users> for domain other.test action local\n") as p:
        for lines in (b"", b"RCPT TO:<one@example.test>\r\n", b"RCPT TO:<one@example.test>\r\nRCPT TO:<x@other.test>\r\n",
                      b"RCPT TO:<one@example.test>\r\nDATA\r\n", b"RCPT TO:<one@example.test>\r\nBDAT 6 LAST\r\nx: y\r\n"):
            for _ in range(60):
                s = Smtp(p.port, banner=False)
                s.send(b"EHLO x.test\r\nMAIL FROM:<a@b.test>\r\n" + lines if s.reply() else b"")
                reset(s)
        with p.smtp() as s:
            assert s.mail("a@b.test", "two@example.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        p.wait_mail("two")
        until(lambda: p.queued() == 0)
