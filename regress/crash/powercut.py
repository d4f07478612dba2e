#!/usr/bin/python3
"""powercut: the writes and syncs of a run are logged; the disk as it could be after a power cut at any moment of it is started from.

	powercut.py [SECONDS]        without SECONDS many cuts, else as many as fit

What a sync covered is on that disk. Of the later writes none, all or some are, each cut into pieces of 512 bytes of which any may be missing;
names (files made, renamed, unlinked) come back in their order, up to some point behind the last sync of their folder. Two runs are cut:
the spool alone (unit/test_spool_crash: every message that was answered is found with its bytes and marks that it may have, also after
compaction), and the queue below a whole Postern, with its index: every message that got a 250 is delivered, and what was delivered more than
two seconds before the cut is not delivered again, however often the queue starts.
"""
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import lib  # noqa: E402

PIECE, SEG_HEAD = 512, 64
HEAD = struct.Struct("<ciQIQ")         # of an event, see writelog.c
YOUNG_MS = 2000                         # marks and names are on the disk by then, with room for a slow machine
SPOOL_CUTS, QUEUE_CUTS = 4000, 400
SHIM = os.path.join(lib.B, "crash/writelog.so")


def events(path):
    """(kind, fd, offset, bytes, ms) of a log; a last event that is cut off is none."""
    with open(path, "rb") as f:
        log = f.read()
    at = 0
    while at + HEAD.size <= len(log):
        kind, fd, off, n, ms = HEAD.unpack_from(log, at)
        at += HEAD.size
        if at + n > len(log):
            return
        yield kind.decode(), fd, off, log[at:at + n], ms
        at += n


class File:
    def __init__(self):
        self.safe = bytearray()
        self.loose = []         # (offset, bytes), or (size, None): not synced

    @staticmethod
    def apply(content, off, data):
        if data is None:
            content.extend(bytes(max(0, off - len(content))))
            return
        content.extend(bytes(max(0, off - len(content))))
        content[off:off + len(data)] = data

    def sync(self, upto):
        for op in self.loose[:upto]:
            if op[1] is None and len(op) == 3:
                del self.safe[op[0]:]
            self.apply(self.safe, op[0], op[1])
        del self.loose[:upto]

    def after_cut(self, how, rnd):
        content = bytearray(self.safe)
        for op in self.loose:
            off, data = op[:2]
            if how == "none" or how == "some" and rnd.random() < 0.3:
                continue
            if len(op) == 3:
                del content[off:]
            if how == "some" and data is not None and rnd.random() < 0.6:
                at = 0          # torn: in pieces of the disk's blocks
                while at < len(data):
                    end = min(len(data), (off + at) // PIECE * PIECE + PIECE - off)
                    if rnd.random() < 0.5:
                        self.apply(content, off + at, data[at:end])
                    at = end
            else:
                self.apply(content, off, data)
        return content


class Disk:
    """All files below one folder, named by relative paths; others are not followed."""

    def __init__(self):
        self.names = {}         # as they are now
        self.safe_names = {}
        self.loose_names = []   # operations since: (path, File or None)
        self.fds, self.dirs, self.syncs = {}, {}, {}
        self.log = b""          # what the test says in a file of its own is never lost
        self.promised = []
        self.now = 0            # ms

    def rename_to(self, path, file):
        if file is None:
            self.names.pop(path, None)
        else:
            self.names[path] = file
        self.loose_names.append((path, file))

    def open(self, fd, path, flags):
        self.fds.pop(fd, None)
        self.dirs.pop(fd, None)
        path = self.relative(path)
        if flags & os.O_DIRECTORY:
            self.dirs[fd] = path
        elif path == "../log":
            self.fds[fd] = "log"
        elif not path.startswith(("/", "..")):
            if path not in self.names and flags & os.O_CREAT:
                self.rename_to(path, File())
            if path in self.names:
                self.fds[fd] = self.names[path]

    top = ""

    def relative(self, path):
        """SQLite names its files from the root, which is the spool itself for a queue that has it for its root."""
        if self.top and path.startswith(self.top):
            return path[len(self.top):]
        return path[1:] if path.startswith("/index.db") else path

    def event(self, kind, fd, off, data, ms):
        self.now = ms
        file = self.fds.get(fd)
        if kind in "OT":
            self.open(fd, data.decode(), off)
            if kind == "T" and fd in self.fds:
                self.fds[fd].loose.append((0, None, "cut"))
        elif kind == "C":
            self.fds.pop(fd, None)
            self.dirs.pop(fd, None)
        elif kind == "P":
            self.promised += re.findall(rb"queued as (\w+)", data)
        elif kind == "R":
            a, b = data.decode().split("\0")
            a, b = self.relative(a), self.relative(b)
            if a in self.names:
                moved = self.names[a]
                early = b.startswith("seg/") and any(op[0] < SEG_HEAD and op[1] for op in moved.loose)
                assert not early, "%s has its name before its header is on the disk" % b
                self.rename_to(a, None)
                self.rename_to(b, moved)
                # one operation: both names or none
                self.loose_names[-2:] = [(a, None, b, moved)]
        elif kind == "U":
            path = data.decode()
            path = self.relative(path)
            if path in self.names:
                self.rename_to(path, None)
        elif kind == "Y":
            for each in self.names.values():
                each.sync(len(each.loose))
            self.sync_names(len(self.loose_names))
        elif fd in self.dirs:
            if kind == "B":
                self.syncs[fd] = len(self.loose_names)
            elif kind == "S":
                self.sync_names(self.syncs.pop(fd))
        elif file == "log":
            self.log += data
        elif file is not None:
            self.file_event(file, kind, fd, off, data)

    def file_event(self, file, kind, fd, off, data):
        if kind == "W":
            file.loose.append((off, data))
        elif kind == "F":
            file.loose.append((off, None))
        elif kind == "L":
            file.loose.append((off, None, "cut"))
        elif kind == "B":
            self.syncs[fd] = len(file.loose)
        elif kind == "S":
            file.sync(self.syncs.pop(fd))

    def sync_names(self, upto):
        for op in self.loose_names[:upto]:
            self.apply_name(self.safe_names, op)
        del self.loose_names[:upto]
        # a second sync that is under way counts from the new beginning
        for fd in self.syncs:
            if fd in self.dirs:
                self.syncs[fd] -= upto

    @staticmethod
    def apply_name(names, op):
        for path, file in (op[:2], op[2:]) if len(op) == 4 else (op,):
            if file is None:
                names.pop(path, None)
            else:
                names[path] = file

    def after_cut(self, folder, how, rnd):
        """Builds it in that folder."""
        names = dict(self.safe_names)
        n = {"none": 0, "all": len(self.loose_names), "some": rnd.randint(0, len(self.loose_names))}[how]
        for op in self.loose_names[:n]:
            self.apply_name(names, op)
        for sub in ("seg", "tmp", "quarantine"):
            os.makedirs(os.path.join(folder, sub))
        for path, file in names.items():
            content = file.after_cut(how, rnd)
            with open(os.path.join(folder, path), "wb") as f:
                # long runs of zeros need not be written
                f.write(content.rstrip(b"\0"))
                f.truncate(len(content))


def cuts(log, n, begun, seconds, disk, try_one):
    """Calls try_one(disk, how) at n moments, all kinds in turn; fewer if time is short. -> how many"""
    all_events = list(events(log))
    usable = [i for i, e in enumerate(all_events) if e[0] not in "OC"]
    rnd = random.Random(os.environ.get("SEED", "1"))
    chosen = sorted(rnd.sample(usable, min(n, len(usable))) if n < len(usable) else usable * (n // len(usable)))
    done, at = 0, 0
    for i, e in enumerate(all_events):
        disk.event(*e)
        while at < len(chosen) and chosen[at] == i:
            share = seconds and (time.monotonic() - begun) / seconds > at / len(chosen)
            at += 1
            if not share or done == 0:
                try_one(disk, ("none", "some", "some", "all")[done % 4], rnd)
                done += 1
    return done


# ---- the spool alone ----

def spool(seconds):
    test = os.path.join(lib.B, "unit/test_spool_crash")
    where = tempfile.mkdtemp(prefix="postern-cut-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    begun = time.monotonic()
    try:
        os.mkdir(os.path.join(where, "spool"))
        subprocess.run([test, "run", "spool"], cwd=where, check=True, env={**os.environ, "LD_PRELOAD": SHIM, "WRITELOG": where + "/writes"})

        def one(disk, how, rnd):
            trial = os.path.join(where, "trial")
            shutil.rmtree(trial, ignore_errors=True)
            disk.after_cut(os.path.join(trial, "spool"), how, rnd)
            with open(os.path.join(trial, "log"), "wb") as f:
                f.write(disk.log)
            for again in (1, 2):        # what a start made of it is good for the next
                r = subprocess.run([test, "check", "spool", "cut"], cwd=trial, stdout=subprocess.PIPE, check=False, timeout=60)
                if r.returncode != 0:
                    shutil.copytree(where, "/tmp/powercut-failed", dirs_exist_ok=True)
                assert r.returncode == 0, "start %d after the cut (%s): status %d\n%s" % (again, how, r.returncode, r.stdout.decode())
        return cuts(os.path.join(where, "writes"), SPOOL_CUTS if not seconds else 1000, begun, seconds, Disk(), one)
    finally:
        shutil.rmtree(where)


# ---- the queue below a whole Postern ----

CONF = lib.LOCAL + """action out relay via smtp://127.0.0.1:$sink
match from local for any action out
destination * { retry 1s..1s, lifetime 1h }
"""
WRAPPER = """#!/bin/sh
LD_PRELOAD=%s WRITELOG=%s exec %s "$@"
"""


def message(serial):
    r = random.Random(serial)
    text = r.randbytes(100000 if serial % 6 == 5 else 50000 if serial % 6 == 2 else 500 * (serial % 7)).hex()
    return ("Subject: number %d\r\nX-Serial: %d\r\n\r\n" % (serial, serial) +
            "\r\n".join(text[i:i + 70] for i in range(0, len(text), 70)) + "\r\n").encode()


def ids_of(mails):
    """queue id -> serial of what a sink got; looks at the bytes"""
    found = {}
    for content in mails:
        serial = int(re.search(rb"^X-Serial: (\d+)", content, re.M)[1])
        assert lib.body_of(content) == message(serial), "message %d is changed" % serial
        found[re.search(rb"\bid (\w+)", content)[1]] = serial
    return found


def programs(where, log):
    """A folder of programs whose queue writes that log."""
    real, folder = os.path.join(lib.B, "bin"), os.path.join(where, "bin")
    os.mkdir(folder)
    for name in os.listdir(real):
        if name == "posternd":
            shutil.copy(os.path.join(real, name), folder)
        elif name != "postern-queue":
            os.symlink(os.path.join(real, name), os.path.join(folder, name))
    with open(os.path.join(folder, "postern-queue"), "w", encoding="ascii") as f:
        f.write(WRAPPER % (SHIM, log, os.path.join(real, "postern-queue")))
    os.chmod(os.path.join(folder, "postern-queue"), 0o755)
    return folder


def record(where, sink, n):
    """A run with n messages, of which the sink takes only some, over a few seconds. -> the log, the spool's path, the ids that were delivered"""
    log = os.path.join(where, "writes")
    with lib.Postern(CONF, sink=sink.port, start=False) as p:
        p.bin = programs(where, log)
        p.start()
        with p.smtp() as s:
            for serial in range(n):
                assert s.mail("", "box@far.test" if serial % 8 else ["a@far.test", "b@far.test"], message(serial)).startswith("250")
                time.sleep(0.1)
        time.sleep(1.5)         # a retry, a mark's sync
        assert p.stop() == 0
        return log, p.spool, ids_of(e.content for e in sink.mails)


def own(folder, like):
    for base, _, names in os.walk(folder):
        for path in [base] + [os.path.join(base, n) for n in names]:
            os.chown(path, like.st_uid, like.st_gid)


class Taker:
    """Answers for the sink, and knows when it took what first."""

    def __init__(self):
        self.choosy, self.when = True, {}

    def reply(self, envelope):
        if self.choosy and b"X-Serial: 1" in envelope.content:
            return "451 4.3.0 later"
        for qid in ids_of([envelope.content]):
            self.when.setdefault(qid, time.monotonic() * 1000)
        return "250 2.0.0 taken"


def drained(p, promised):
    """Nothing waits but what is held for its damage; that is none that was answered."""
    def done():
        left = p.ctl_json("queue", "list")
        assert not {row["id"] for row in left if row.get("state") == "held"} & set(promised), left
        return all(row.get("state") == "held" for row in left)
    lib.until(done, 20, 0.05)


def queue(seconds):
    where, begun, taker = tempfile.mkdtemp(prefix="postern-cut-"), time.monotonic(), Taker()
    os.chmod(where, 0o755)
    try:
        with lib.Sink(reply=taker.reply) as sink:
            log, top, gone = record(where, sink, 30)
            disk = Disk()
            disk.top = top + "/"
            taker.choosy = False
            first = dict(taker.when)

            def one(disk, how, rnd):
                sink.mails.clear()
                with lib.Postern(CONF, sink=sink.port, start=False, expect_trouble=True) as p:
                    p.start()
                    p.stop()    # it makes the folder, with its owner
                    like = os.stat(os.path.join(p.spool, "seg"))
                    for name in os.listdir(p.spool):
                        path = os.path.join(p.spool, name)
                        (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)
                    disk.after_cut(p.spool, how, rnd)
                    own(p.spool, like)
                    for again in (1, 2):
                        p.start()
                        drained(p, disk.promised)
                        found = ids_of(e.content for e in sink.mails)
                        old = [i for i in found if first.get(i, disk.now) < disk.now - YOUNG_MS]
                        assert not old, "start %d after a cut (%s): sent again: %s" % (again, how, old)
                        p.kill9()
                    lost = [i for i in disk.promised if i not in found and i not in gone]
                    assert not lost, "lost after a cut (%s): %s of %d" % (how, lost, len(disk.promised))
            done = cuts(log, QUEUE_CUTS if not seconds else 100, begun, seconds, disk, one)
            assert "index.db" in disk.names, "the index is not in the log"
            assert disk.promised and len(set(disk.promised)) == 30, "%d promises are in the log" % len(set(disk.promised))
            return done
    finally:
        shutil.rmtree(where)


def main():
    if os.environ.get("SAN"):   # two libraries that must both come first
        print("skipped crash/powercut: the sanitizers' library and the one that logs writes do not go together")
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0
    print("the spool alone: %d cuts" % spool(seconds / 2))
    print("the queue: %d cuts" % queue(seconds / 2))


main()
