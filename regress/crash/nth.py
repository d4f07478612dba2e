#!/usr/bin/python3
"""nth: the Nth system call of the queue, or of the agent, fails or is its last, for N = 1, 2, 3 ... while mail flows through all of Postern.

	nth.py [SECONDS]        without SECONDS every N of every call until a run is clean; else as many as fit, N growing by a half

The programs run from a folder of their own in which the one concerned is a script that starts it once under `strace -e inject=`. The spool
goes from run to run. In the end every message that got a 250 is there, with its queue id and its bytes (SHA-256); a second copy is
allowed only of what was relayed and not yet done when a run with a fault began: in a Maildir a second try finds the file of the first.
"""
import collections
import email
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import lib  # noqa: E402

CONF = lib.LOCAL + """action out relay via smtp://127.0.0.1:$sink
match from local for any action out
destination * { retry 1s..1s, lifetime 1h }
"""
WRAPPER = """#!/bin/sh
if mv %(dir)s/inject %(dir)s/inject.used 2>/dev/null; then
	read -r call fault <%(dir)s/inject.used
	exec strace -D -f -qq -o %(dir)s/trace -e "trace=$call" -e "inject=$call:$fault" %(real)s "$@"
fi
exec %(real)s "$@"
"""
KILL, EIO, NOSPC, MFILE = "signal=KILL", "error=EIO", "error=ENOSPC", "error=EMFILE"
QUEUE = [("pwrite64", KILL), ("pwritev", KILL), ("fdatasync", KILL), ("sendmsg", KILL), ("recvmsg", KILL), ("openat", KILL), ("rename", KILL), ("unlink", KILL),
         ("fallocate", KILL), ("fsync", KILL), ("close", KILL), ("epoll_wait", KILL), ("pread64", KILL), ("write", KILL),
         ("pwrite64", EIO), ("pwrite64", NOSPC), ("pwritev", EIO), ("pwritev", NOSPC), ("fdatasync", EIO), ("fsync", EIO), ("openat", MFILE), ("openat", NOSPC),
         ("fallocate", NOSPC), ("rename", EIO), ("unlink", EIO), ("pread64", EIO), ("recvmsg", MFILE), ("write", NOSPC)]
AGENT = [("openat", KILL), ("write", KILL), ("fdatasync", KILL), ("sync_file_range", KILL), ("fsync", KILL), ("renameat2", KILL), ("renameat", KILL),
         ("linkat", KILL), ("rename", KILL), ("link", KILL), ("unlinkat", KILL), ("unlink", KILL), ("sendmsg", KILL), ("recvmsg", KILL), ("close", KILL), ("mkdirat", KILL), ("mkdir", KILL),
         ("openat", MFILE), ("openat", NOSPC), ("write", EIO), ("write", NOSPC), ("fdatasync", EIO),
         ("sync_file_range", EIO), ("fsync", EIO), ("renameat2", EIO), ("renameat", EIO), ("linkat", NOSPC),
         ("rename", NOSPC), ("link", NOSPC), ("recvmsg", MFILE), ("mkdirat", NOSPC), ("mkdir", NOSPC)]
MOST = 600               # no call comes so often in a run
PATIENCE = 4             # seconds for a run to deliver what it has; the rest stays for the next

promised = {}            # serial -> queue id
open_, again = set(), set()  # not yet seen to have arrived; may have arrived twice
local = set()            # serials of messages to a Maildir
serials = iter(range(1, 10 ** 9))


def message(serial):
    r = random.Random(serial)
    size = 200000 if serial % 5 == 3 else r.choice((100, 4000, 20000))
    text = r.randbytes(size // 2).hex()
    lines = "\r\n".join(text[i:i + 70] for i in range(0, len(text), 70))
    return ("Subject: number %d\r\nX-Serial: %d\r\n\r\n%s\r\n" % (serial, serial, lines)).encode()


def digest(text):
    return hashlib.sha256(text).hexdigest()


class Place:
    """The folder of the programs."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-nth-")
        os.chmod(self.dir, 0o755)
        os.mkdir(os.path.join(self.dir, "bin"))
        self.real = os.path.join(lib.B, "bin")
        for name in os.listdir(self.real):
            (shutil.copy if name == "posternd" else os.symlink)(os.path.join(self.real, name), os.path.join(self.dir, "bin", name))

    def wrap(self, program, on):
        path = os.path.join(self.dir, "bin", program)
        os.unlink(path)
        if on:
            with open(path, "w", encoding="ascii") as f:
                f.write(WRAPPER % {"dir": self.dir, "real": os.path.join(self.real, program)})
            os.chmod(path, 0o755)
        else:
            os.symlink(os.path.join(self.real, program), path)

    def inject(self, call, fault, n):
        for name in ("inject", "inject.used", "trace"):
            if os.path.exists(os.path.join(self.dir, name)):
                os.unlink(os.path.join(self.dir, name))
        with open(os.path.join(self.dir, "inject"), "w", encoding="ascii") as f:
            f.write("%s %s:when=%d\n" % (call, fault, n))

    def struck(self):
        """The fault came."""
        try:
            with open(os.path.join(self.dir, "trace"), encoding="utf-8", errors="replace") as f:
                text = f.read()
        except FileNotFoundError:
            return False
        assert "cannot" not in text.lower() or "INJECTED" in text or "killed" in text, text[-500:]
        return "INJECTED" in text or "killed by SIGKILL" in text


def send(p):
    """Six messages; a lost connection is no reason to stop."""
    for i in range(6):
        serial = next(serials)
        open_.add(serial)
        if i % 2 == 0:
            local.add(serial)
        try:
            with lib.Smtp(p.port, timeout=10) as s:
                s.cmd("EHLO sender.test")
                answer = s.mail("from@example.test" if i == 4 else "", "%s%d@%s" % ("x" if i % 2 else "box", serial % 3,
                                "far.test" if i % 2 else "example.test"), message(serial))
        except (OSError, EOFError, IndexError):
            continue
        assert answer[0] in "24", "a 5xx for an error of ours: %s" % answer
        if answer.startswith("250"):
            promised[serial] = re.search(r"queued as (\w+)", answer)[1]
        else:
            time.sleep(0.02)


seen_files, found, came_at = set(), collections.defaultdict(list), {}


def look(p, sink):
    """Notes what arrived since; also looks at the bytes."""
    new = []
    for n in range(3):
        box = os.path.join(p.dir, "mail", "box%d" % n, "new")
        for name in os.listdir(box) if os.path.isdir(box) else ():
            if (n, name) not in seen_files:
                seen_files.add((n, name))
                with open(os.path.join(box, name), "rb") as f:
                    new.append(f.read().replace(b"\n", b"\r\n"))
    with sink.lock:
        new += [e.content for e in sink.mails]
        sink.mails.clear()
    for content in new:
        serial = int(re.search(rb"^X-Serial: (\d+)", content, re.M)[1])
        assert digest(lib.body_of(content)) == digest(message(serial)), "message %d is changed" % serial
        found[serial].append(re.search(r"\bid (\w+)", email.message_from_bytes(content)["Received"])[1])
        came_at[serial] = time.monotonic()
        open_.discard(serial)


def run(p, place, sink, call, fault, n):
    """-> the fault came"""
    before = set(open_)
    place.inject(call, fault, n)
    p.start()
    send(p)
    end = time.monotonic() + PATIENCE * lib.SLOW
    while open_ & set(promised) and time.monotonic() < end:
        look(p, sink)
        time.sleep(0.01)
    mine = {s for s in promised if s in open_ or s not in before and s > last_serial[0]}
    # A stop at once does not wait for what is being delivered, or was just now and is not marked yet.
    again.update(open_ & set(promised), (s for s in found if time.monotonic() - came_at[s] < 1 * lib.SLOW))
    p.stop()
    look(p, sink)
    last_serial[0] = max(open_ | set(promised) | {0})
    came = place.struck()
    if came:
        again.update(before | mine)
    for s in [s for s in open_ if s not in promised]:       # no 250: it may surface later or not at all
        surface.add(s)
        open_.discard(s)
    return came


last_serial, surface = [0], set()


def campaign(p, place, sink, program, faults, seconds):
    """-> how many runs, how many of them with a fault"""
    over, runs, struck, n, more, begun = set(), 0, 0, 1, 1, time.monotonic()
    place.wrap(program, True)
    while n < MOST and len(over) < len(faults):
        for fault in faults:
            if fault in over or seconds and time.monotonic() - begun > seconds:
                continue
            came = run(p, place, sink, *fault, n)
            runs, struck = runs + 1, struck + came
            if not came:
                over.add(fault)
        if seconds:
            if time.monotonic() - begun > seconds:
                break
            n, more = n + more, more + (more + 1) // 2
        else:
            n += 1
    place.wrap(program, False)
    return runs, struck


def account():
    lost = sorted(set(promised) - set(found))
    wrong = sorted(s for s in promised if set(found[s]) != {promised[s]})
    twice = sorted(s for s in found if len(found[s]) > 1)
    print("%d got a 250, %d arrived, %d twice" % (len(promised), len(found), len(twice)))
    assert not lost, "lost: %s" % [(s, promised[s]) for s in lost[:20]]
    assert not wrong, "under another id: %s" % [(s, promised[s], found[s]) for s in wrong[:20]]
    assert not set(twice) & local, "twice in a Maildir: %s" % sorted(set(twice) & local)[:20]
    assert set(twice) <= again | surface, "twice without a reason: %s" % [s for s in twice if s not in again | surface][:20]
    assert max(map(len, found.values())) <= 3, "again and again: %s" % max(map(len, found.values()))


def main():
    seconds = float(sys.argv[1]) / 2 if len(sys.argv) > 1 else 0
    if subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("strace cannot be used here: nothing fails")
        return
    place = Place()
    try:
        with lib.Sink() as sink, lib.Postern(CONF, sink=sink.port, expect_trouble=True, start=False) as p:
            p.bin = os.path.join(place.dir, "bin")
            for program, faults in (("postern-queue", QUEUE), ("postern-agent", AGENT)):
                runs, struck = campaign(p, place, sink, program, faults, seconds)
                print("%s: %d runs, %d with a fault" % (program, runs, struck))
                assert struck > 0, "no fault came"
            p.start()
            p.wait_empty(60)
            look(p, sink)
            account()
            assert p.stop() == 0
    finally:
        shutil.rmtree(place.dir)


main()
