#!/usr/bin/python3
"""chaos: mail flows while processes are killed, the administrator acts, the configuration is read anew and the disk is slow.

	chaos.py [SECONDS]        by `make soak` with the sanitizers; short in `make check`

What is sent and how it is accounted for is kill9.py's: every 250 is delivered, returned or queued, and in the end nothing is queued; a
second copy only of what was being delivered when something was killed.
"""
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kill9  # noqa: E402
import lib  # noqa: E402

SLOW_MS = 30
PROGRAMS = ("listener", "lookup", "resolver", "queue", "deliver", "agent")
kills = []


def kill_one(p):
    """one process of a program, whichever"""
    found = [c for c in p.children() if c[1] in PROGRAMS]
    if found:
        wanted = random.choice(sorted({name for _, name in found}))
        kills.append(time.time())
        try:
            os.kill(random.choice([pid for pid, name in found if name == wanted]), signal.SIGKILL)
        except ProcessLookupError:
            kills.pop()


def kill_all(p):
    kills.append(time.time())
    p.kill9()
    p.start()


def act(*words):
    def do(p):
        p.ctl(*words)       # what it says is of no interest here: the queue may just be gone
    return do


def for_a_while(begin, end):
    """Each pair is undone again, or at the latest in the end."""
    def do(p):
        p.ctl(*begin)
        time.sleep(random.uniform(0.1, 1))
        p.ctl(*end)
    return do


DEEDS = 6 * [kill_one] + [
    kill_all, act("reload"), act("queue", "retry", "all"), act("queue", "list"), act("status"),
    for_a_while(("pause", "delivery"), ("resume", "delivery")),
    for_a_while(("queue", "hold", "domain=far.test"), ("queue", "release", "all")),
    for_a_while(("suspend", "domain", "far.test"), ("resume", "domain", "far.test")),
]


def slow_disk(p):
    """Where the preloaded library is, and no other has to come first."""
    shim = os.path.join(lib.B, "crash/slowdisk.so")
    if os.path.exists(shim) and not os.environ.get("SAN"):
        p.replace("queue", '#!/bin/sh\nLD_PRELOAD=%s SLOWDISK_MS=%d exec %s "$@"\n' %
                  (shim, SLOW_MS, os.path.join(lib.B, "bin/postern-queue")))


def end(p):
    """All that was stopped goes on, however the queue's last start went."""
    lib.until(lambda: p.is_up(), 30)
    for words in (("resume", "delivery"), ("resume", "domain", "far.test"), ("queue", "release", "all"), ("queue", "retry", "all")):
        p.ctl(*words)
    p.wait_empty(240)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1800
    seed = int(os.environ.get("SEED", random.randrange(10 ** 6)))
    random.seed(seed)
    print("SEED=%d" % seed)
    kill9.AGE *= 2 * lib.SLOW
    times, stop = [], threading.Event()

    def taken(envelope):
        times.append((time.time(), envelope.content))
        return "250 2.0.0 taken"
    with lib.Sink(reply=taken) as sink, lib.Postern(kill9.CONF, sink=sink.port, expect_trouble=True, start=False) as p:
        slow_disk(p)
        p.start()
        numbers = iter(range(1, 10 ** 9))
        threads = [threading.Thread(target=kill9.sender, args=(p.port, numbers, stop), daemon=True) for _ in range(kill9.SENDERS // 2)]
        for t in threads:
            t.start()
        until = time.monotonic() + seconds
        deeds = 0
        try:
            while time.monotonic() < until:
                random.choice(DEEDS)(p)
                deeds += 1
                time.sleep(random.uniform(0.1, 2))
        finally:
            stop.set()
        for t in threads:
            t.join()
        end(p)
        print("%d deeds, %d of them kills" % (deeds, len(kills)))
        kill9.account(kill9.arrived(p, sink, times), kills)
        assert p.stop() == 0
        kill9.check_index(p)
        said = p.log()
        assert "AddressSanitizer" not in said and "runtime error:" not in said and "fatal:" not in said, "a process ended itself: see the log"


main()
