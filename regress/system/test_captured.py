"""A program that somebody has taken over: what it may say to the parent does no more harm than its place gives it.

In place of the program a script is started that hands its edge to the parent over to the test.
"""
import array
import os
import pwd
import socket
import time

from lib import BASE, LOCAL, SLOW, Postern, need_root, until
from lib_edge import HEADER, NUMBER, Edge

TAKEN = """#!/usr/bin/python3
import array, socket, time
s = socket.socket(socket.AF_UNIX)
s.connect("%s")
s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [3]))])
__import__("os").close(3)
time.sleep(600)
"""
PROGRAMS = ("resolver", "lookup", "queue", "deliver", "listener")


class Taken(Edge):
    def wait_closed(self):
        """What comes is thrown away until the parent closes it."""
        self.sock.settimeout(10 * SLOW)
        while not self.is_closed():
            self.rest = b""
        for fd in self.fds:
            os.close(fd)
        self.close()


class Captured(Postern):
    """With that program in the test's hands: .edge is its edge to the parent."""

    def __init__(self, program, conf=LOCAL):
        super().__init__(conf, BASE.replace("listeners 2", "listeners 1"), start=False, expect_trouble=True)
        self.replace(program, TAKEN % os.path.join(self.dir, "taken"))
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(os.path.join(self.dir, "taken"))
        self.door.listen(10)
        self.door.settimeout(20 * SLOW)
        self.start()

    def is_up(self):
        """the edge of the taken program"""
        if not hasattr(self, "edge"):
            self.edge = self.again()
        return self.process.poll() is None

    def again(self):
        """The edge of the one that was started last."""
        s, _ = self.door.accept()
        _, control, _, _ = s.recvmsg(1, socket.CMSG_SPACE(4))
        s.close()
        fds = array.array("i")
        fds.frombytes(control[0][2])
        return Taken(socket.socket(fileno=fds[0]))

    def end(self, keep=False):
        if self.process is not None and self.process.poll() is None:
            self.kill9()                    # the script would not end by itself
        super().end(keep)

    def lives(self):
        time.sleep(0.3)
        assert self.process.poll() is None, "posternd ended: " + self.log()[-1500:]


def told(edge, name, seconds=5):
    """What is said until that message comes. -> its payload; the descriptors are closed."""
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        got, id, values, fd = edge.receive()
        if fd != -1 and got != name:
            os.close(fd)
        if got == name:
            return id, values, fd
    raise AssertionError("no " + name)


def frame(name, payload=b"", id=1, flags=0, length=None):
    return HEADER.pack(NUMBER[name] if isinstance(name, str) else name, flags, len(payload) if length is None else length, id) + payload


BAD = {"resolver": (b"\xff" * 64, frame("READY", b"x")), "lookup": (frame("READY", length=1 << 30), frame(9999)),
       "queue": (frame("RELOAD", b"x"), frame("AGENT_ASK")), "deliver": (frame("CONF"), frame("AGENT_ASK", b"\0" * 7)),
       "listener": (frame("READY", flags=1), frame("TX_COMMIT"))}


def test_bad_frames():
    """What is not a frame that this program may send ends its connection, and the program, which is started again."""
    for program in PROGRAMS:
        with Captured(program) as p:
            p.edge.send("READY")
            p.wait_log("ready: ")
            for text in BAD[program]:
                p.edge.raw(text)
                p.edge.wait_closed()
                p.edge = p.again()
            assert p.process.poll() is None, p.log()[-1500:]


def test_requests_of_others():
    """RELOAD, STOP and AGENT_ASK are heard from those alone whose they are."""
    ask = b"\1\0\0\0\0\0\4\0\0\0root\0"
    for program, name, payload in (("resolver", "RELOAD", b""), ("lookup", "AGENT_ASK", ask), ("queue", "AGENT_ASK", ask),
                                   ("deliver", "STOP", b""), ("listener", "AGENT_ASK", ask)):
        with Captured(program) as p:
            p.edge.raw(frame(name, payload))
            p.edge.wait_closed()
            p.lives()
            assert "stopping" not in p.log() and "reloaded" not in p.log() and not p.children("agent")


def test_reload_flood():
    """300 in one write are one reload, and each is answered; a program that reads nothing does not fill the parent with descriptors."""
    with Captured("queue") as p:
        p.edge.send("READY")
        p.edge.raw(b"".join(frame("RELOAD", id=n) for n in range(300)))
        assert [told(p.edge, "RELOADED")[0] for _ in range(300)] == list(range(300))
        p.wait_log("configuration reloaded")
        assert p.log().count("configuration reloaded") == 1
        before = len(os.listdir("/proc/%d/fd" % p.process.pid))
        for _ in range(40):
            p.edge.raw(b"".join(frame("RELOAD", id=n) for n in range(300)))
        p.lives()
        assert len(os.listdir("/proc/%d/fd" % p.process.pid)) < before + 50


def test_agents():
    """As root or as one of ours nothing is started; of one account two agents at most, whatever is asked for."""
    need_root()
    with Captured("deliver", "action local maildir\naction boxes maildir \"/nowhere\" user $account\nmatch from any for local action local\n"
                  "match from any for domain x.test action boxes\n") as p:
        p.edge.send("READY")
        for name in ("root", "ROOT", "toor", "_posternq", "_POSTERNL", "daemon", "no-such", "a" * 300, "../root", ""):
            p.edge.send("AGENT_ASK", {"generation": 1, "action": 0, "account": name}, id=7)
            id, answer, _ = told(p.edge, "NO_AGENT")
            assert id == 7 and answer["never"] == (name in ("root", "ROOT", "_posternq", "_POSTERNL", "daemon")), (name, answer)
        assert not p.children("agent")
        p.edge.send("AGENT_ASK", {"generation": 1, "action": 99, "account": "root"}, id=8)
        assert told(p.edge, "NO_AGENT")[0] == 8
        most = 0
        for n in range(20):
            for k in range(15):
                p.edge.send("AGENT_ASK", {"generation": 1, "action": 1, "account": "root"}, id=100 + n * 15 + k)
            agents = p.children("agent")
            most = max(most, len(agents))
        p.lives()

        def two():
            """some agent, and two at most"""
            return 1 <= len(p.children("agent")) <= 2
        until(two)
        assert most <= 3, most              # one may be on its way between fork and exec, or to its end
        for pid, _ in p.children("agent"):
            with open("/proc/%d/status" % pid, encoding="utf-8") as f:
                uids = next(line for line in f if line.startswith("Uid:")).split()[1:]
            assert set(uids) <= {str(pwd.getpwnam("nobody").pw_uid), "0"}, uids
        assert "was ended by signal 9" not in p.log()
