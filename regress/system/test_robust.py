"""A process of Postern dies, or its files do: no mail is lost and the rest goes on."""
import os
import signal
import threading
import time

from lib import LOCAL, Postern, Sink, Smtp, need, until

FLOW = LOCAL + """action out relay via smtp://127.0.0.1:$sink
match from local for any action out
destination * { retry 1s..2s, lifetime 1h }
"""


class Flow:
    """Mail that keeps coming: every 250 is remembered."""

    def __init__(self, port):
        self.port, self.stop, self.promised, self.n = port, threading.Event(), [], 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            try:
                with Smtp(self.port, timeout=10) as s:
                    s.cmd("EHLO flow.test")
                    while not self.stop.is_set():
                        self.n += 1
                        rcpt = "r%d@%s" % (self.n, "far.test" if self.n % 2 else "example.test")
                        if s.mail("", rcpt, b"x: y\r\n\r\n" + rcpt.encode() + b"\r\n").startswith("250"):
                            self.promised.append(rcpt)
                        time.sleep(0.002)
            except (OSError, EOFError):
                time.sleep(0.05)

    def end(self):
        self.stop.set()
        self.thread.join()
        return self.promised


def account(p, sink, promised):
    p.wait_empty(40)
    at_sink = {m.rcpt_tos[0] for m in sink.mails}
    for rcpt in promised:
        user, domain = rcpt.split("@")
        assert rcpt in at_sink if domain == "far.test" else p.mail(user), "lost: " + rcpt


def kill_one(program):
    with Sink() as sink, Postern(FLOW, sink=sink.port, expect_trouble=True) as p:
        flow = Flow(p.port)
        try:
            for _ in range(2):
                until(lambda n=len(flow.promised): len(flow.promised) > n + 30, 20)
                pid = p.children(program)[0][0]
                os.kill(pid, signal.SIGKILL)
                until(lambda gone=pid: p.children(program) and gone not in [c[0] for c in p.children(program)], 15)
            until(lambda n=len(flow.promised): len(flow.promised) > n + 30, 20)
        finally:
            promised = flow.end()
        account(p, sink, promised)
        assert p.ctl("status")[0] == 0


def test_kill_listener():
    kill_one("listener")


def test_kill_lookup():
    kill_one("lookup")


def test_kill_resolver():
    kill_one("resolver")


def test_kill_queue():
    kill_one("queue")


def test_kill_deliver():
    kill_one("deliver")


def test_kill_agents():
    with Sink() as sink, Postern(FLOW, sink=sink.port, expect_trouble=True) as p:
        flow = Flow(p.port)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for pid, _ in p.children("agent"):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        account(p, sink, flow.end())


def test_kill_parent():
    """Without the parent all the others end; the next start finds everything."""
    with Sink() as sink, Postern(FLOW, sink=sink.port, expect_trouble=True) as p:
        flow = Flow(p.port)
        until(lambda: len(flow.promised) > 50)
        os.kill(p.process.pid, signal.SIGKILL)
        p.process.wait(5)
        until(lambda: not p.family(), 10)
        p.start()
        account(p, sink, flow.end())


def waiting(p, n=30):
    with p.smtp() as s:
        for i in range(n):
            assert s.mail("", "r%d@far.test" % i, b"x: y\r\n\r\nhi\r\n").startswith("250")
    until(lambda: p.queued() == n)


def spoil(p, how):
    for name in os.listdir(p.spool):
        if name.startswith("index.db"):
            path = os.path.join(p.spool, name)
            if how == "delete":
                os.unlink(path)
            else:
                with open(path, "r+b") as f:
                    f.write(os.urandom(min(8192, os.path.getsize(path))))


def index_spoilt(how, running):
    with Sink() as sink:
        port = sink.port
    with Postern(FLOW, sink=port, expect_trouble=True) as p:
        waiting(p)
        if running:
            spoil(p, how)
            time.sleep(1)
            with p.smtp() as s:
                answer = s.mail("", "late@far.test", b"x: y\r\n\r\nhi\r\n")
            late = answer.startswith("250")
            assert late or answer.startswith("4"), answer
            p.kill9()
        else:
            p.stop()
            spoil(p, how)
            late = False
        p.start()
        until(lambda: p.queued() == 30 + late)
        with Sink(at=("127.0.0.1", port)) as sink:
            p.ctl("queue", "retry", "all")
            p.wait_empty(30)
            want = {"r%d@far.test" % i for i in range(30)} | ({"late@far.test"} if late else set())
            assert {m.rcpt_tos[0] for m in sink.mails} == want, want ^ {m.rcpt_tos[0] for m in sink.mails}


def test_index_deleted():
    index_spoilt("delete", False)


def test_index_corrupt():
    index_spoilt("corrupt", False)


def test_index_deleted_running():
    index_spoilt("delete", True)


def test_index_corrupt_running():
    index_spoilt("corrupt", True)


def test_marks_without_index():
    """What was delivered is not delivered again when the index is made anew."""
    with Sink() as sink, Postern(FLOW, sink=sink.port) as p:
        with p.smtp() as s:
            for i in range(20):
                assert s.mail("", "r%d@far.test" % i, b"x: y\r\n\r\nhi\r\n").startswith("250")
        p.wait_empty()
        p.kill9()
        spoil(p, "delete")
        p.start()
        time.sleep(2)
        assert len(sink.mails) == 20 and p.queued() == 0


def test_sync_before_250():
    """strace: between the last write of a message and its 250 there is an fdatasync of the queue."""
    import re
    import subprocess
    strace = need("strace")
    with Postern(LOCAL) as p:
        queue, listeners = p.children("queue")[0][0], [pid for pid, _ in p.children("listener")]
        out = os.path.join(p.dir, "trace")
        args = [strace, "-f", "-tt", "-s", "40", "-e", "trace=fsync,fdatasync,pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg", "-o", out]
        for pid in [queue] + listeners:
            args += ["-p", str(pid)]
        tracer = subprocess.Popen(args, stderr=subprocess.PIPE)
        try:
            assert b"attached" in tracer.stderr.readline()
            time.sleep(0.5)
            with p.smtp() as s:
                for n in range(5):
                    assert s.mail("", "one@example.test", b"Subject: s%d\r\n\r\nhi\r\n" % n).startswith("250")
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)
            tracer.stderr.close()
        lines = open(out, encoding="utf-8", errors="replace").read().splitlines()
        answers = [i for i, line in enumerate(lines) if re.search(r'send(to|msg)\(\d+, "250 2\.0\.0 queued as', line)]
        assert len(answers) == 5, "\n".join(lines[-50:])
        before = 0
        for i in answers:
            synced = [line for line in lines[before:i] if re.search(r"(fdatasync|fsync).*= 0$", line)]
            assert synced, "no sync before:\n" + "\n".join(lines[before:i + 1])
            before = i + 1
