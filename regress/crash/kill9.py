#!/usr/bin/python3
"""kill9: SIGKILL for all of Postern while mail flows, again and again; then every 250 is accounted for.

	kill9.py ROUNDS MESSAGES        MESSAGES: about how many a round is begun with

Some clients send to a Maildir, some through the relay, small and large, and some break off. A message that got its 250 must
arrive with its bytes; one that was broken off must not; a second copy is allowed only for what was being delivered when the kill came.
"""
import collections
import os
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import lib  # noqa: E402

CONF = lib.LOCAL + """action out relay via smtp://127.0.0.1:$sink
match from local for any action out
destination * { retry 1s..2s, lifetime 1h, concurrency 20 }
"""
SENDERS = 8
AGE = 2.0                # seconds: a copy of what was delivered longer before a kill is one too many

promised, broken_off, begun = set(), set(), set()
lock = threading.Lock()


def message(serial):
    """The text of a message, the same each time it is asked for."""
    r = random.Random(serial)
    size = r.choice((100, 1000, 4000, 4000, 20000, 300000))
    text = r.randbytes(size).hex()[:size]
    lines = "\r\n".join(text[i:i + 70] for i in range(0, size, 70))
    return ("Subject: number %d\r\nX-Serial: %d\r\n\r\n%s\r\n.\r\nend\r\n" % (serial, serial, lines)).encode()


def address(serial):
    return ("box%d@example.test" if serial % 2 else "x%d@far.test") % (serial % 10)


def one(session, serial):
    """Sends one message, or, one time in twenty, its half."""
    for line in ("MAIL FROM:<>", "RCPT TO:<%s>" % address(serial), "DATA"):
        if session.cmd(line)[0] not in "23":
            raise EOFError
    text = re.sub(rb"(?m)^\.", b"..", message(serial))
    if serial % 20 == 7:
        session.send(text[:len(text) // 2])
        with lock:
            broken_off.add(serial)
        raise EOFError
    session.send(text + b".\r\n")
    if session.reply().startswith("250"):
        with lock:
            promised.add(serial)


def sender(port, numbers, stop):
    while not stop.is_set():
        try:
            with lib.Smtp(port, timeout=10) as session:
                session.cmd("EHLO sender.test")
                while not stop.is_set():
                    with lock:
                        serial = next(numbers)
                        begun.add(serial)
                    one(session, serial)
        except (OSError, EOFError, IndexError):
            if stop.wait(0.01):
                return
        except StopIteration:
            return


def a_round(p, numbers, seconds):
    stop = threading.Event()
    threads = [threading.Thread(target=sender, args=(p.port, numbers, stop)) for _ in range(SENDERS)]
    for t in threads:
        t.start()
    time.sleep(seconds)
    killed = time.time()
    p.kill9()
    stop.set()
    for t in threads:
        t.join()
    return killed


def check_index(p):
    """SQLite's own opinion, of a copy."""
    with tempfile.TemporaryDirectory() as where:
        for name in ("index.db", "index.db-wal"):
            if os.path.exists(os.path.join(p.spool, name)):
                shutil.copy(os.path.join(p.spool, name), where)
        if os.path.exists(os.path.join(where, "index.db")):
            db = sqlite3.connect(os.path.join(where, "index.db"))
            verdict = db.execute("PRAGMA integrity_check").fetchone()
            db.close()
            assert verdict == ("ok",), verdict


def arrived(p, sink, times):
    """serial -> when its copies came; also looks at their bytes."""
    found = collections.defaultdict(list)
    copies = [(t, content) for t, content in times]
    for n in range(10):
        box = os.path.join(p.dir, "mail", "box%d" % n, "new")
        for name in os.listdir(box) if os.path.isdir(box) else ():
            with open(os.path.join(box, name), "rb") as f:
                copies.append((os.stat(f.fileno()).st_mtime, f.read().replace(b"\n", b"\r\n")))
    for when, content in copies:
        serial = int(re.search(rb"^X-Serial: (\d+)", content, re.M)[1])
        text = lib.body_of(content)
        assert text == message(serial), "message %d is changed: %r..." % (serial, text[:200])
        found[serial].append(when)
    return found


def account(found, kills):
    lost = sorted(promised - set(found))
    ghosts = sorted(broken_off & set(found))
    strangers = sorted(set(found) - begun)
    twice = [s for s, times in found.items() if len(times) > 1]
    unexplained = []
    for s in twice:
        first = sorted(found[s])[:-1]
        if any(not any(-0.5 <= k - t <= AGE for k in kills) for t in first):
            unexplained.append(s)
    print("%d got a 250, %d arrived, %d twice, %d broken off" % (len(promised), len(found), len(twice), len(broken_off)))
    assert not lost, "lost: %s" % lost[:20]
    assert not ghosts, "broken off, and yet there: %s" % ghosts[:20]
    assert not strangers, "never sent: %s" % strangers[:20]
    assert not unexplained, "delivered again long after: %s" % unexplained[:20]


def main():
    rounds, size = int(sys.argv[1]), int(sys.argv[2])
    times, kills = [], []

    def taken(envelope):
        times.append((time.time(), envelope.content))
        return "250 2.0.0 taken"
    with lib.Sink(reply=taken) as sink, lib.Postern(CONF, sink=sink.port, expect_trouble=True) as p:
        numbers = iter(range(1, 10 ** 9))
        for n in range(rounds):
            kills.append(a_round(p, numbers, random.uniform(0.3, max(0.5, size / 400))))
            check_index(p)
            p.start()
        p.wait_empty(120)
        account(arrived(p, sink, times), kills)
        assert p.stop() == 0
        check_index(p)


if __name__ == "__main__":
    main()
