"""load: what the benchmarks of large queues share: a sink that answers at the speed of its lines, clients that write ahead, a daemon, figures.

Used by newsletter and waiting. Everything is on 127.0.0.1, below a directory in /tmp, bounded in count and time, and gone afterwards.
The sink is a process of its own, so that it does not share Python's lock with the clients.
"""
import asyncio
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import lib  # noqa: E402

BASE = """hostname bench.test
spool "$dir/spool"
runtime "$dir/run"
log file "$dir/log"
listeners 2
listen on 127.0.0.1 port $port
limit recipients 50000
"""


TIMES = 200000


def windows(times, seconds):
    """In how many messages did each window of so many seconds see that begins with a message: the least and the most; None: too short."""
    counts, j = [], 0
    for i, begin in enumerate(times):
        while j < len(times) and times[j] < begin + seconds:
            j += 1
        if j == len(times):
            break
        counts.append(j - i)
    return (min(counts), max(counts)) if counts else None


class Server(asyncio.Protocol):
    """One connection of the sink. shared: counters, see Sink."""

    def __init__(self, shared):
        self.shared, self.rest, self.data, self.rcpts, self.tail = shared, b"", False, [], b""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data):
        out = []
        data = self.rest + data
        while data:
            if self.data:
                end = data.find(b"\r\n.\r\n")
                if end == -1:
                    self.rest = data[-4:]
                    break
                data, self.data, self.rest = data[end + 5:], False, b""
                self.took(out)
                continue
            lines, data = self.commands(data, out)
            self.rest = data
            if not self.data:
                break
        if out:
            self.transport.write(b"".join(out))

    def commands(self, data, out):
        """Answers whole lines up to DATA. -> (lines, what is left)"""
        lines = data.split(b"\r\n")
        refuse = self.shared.refuse.value
        for i, line in enumerate(lines[:-1]):
            if line.startswith(b"RCPT TO:<"):
                if refuse and not line.endswith(b"@new.test>"):
                    self.shared.refused.value += 1
                    out.append(b"450 4.2.1 not now\r\n")
                else:
                    self.rcpts.append(line[9:line.find(b">")])
                    out.append(b"250 ok\r\n")
            elif line == b"DATA":
                if self.rcpts:
                    out.append(b"354 go on\r\n")
                    self.data = True
                    return lines, b"\r\n" + b"\r\n".join(lines[i + 1:])
                out.append(b"554 no recipients\r\n")
            elif line.startswith(b"EHLO"):
                out.append(b"250-sink.test\r\n250-8BITMIME\r\n250 PIPELINING\r\n")
            elif line == b"QUIT":
                out.append(b"221 bye\r\n")
                self.transport.write(b"".join(out))
                self.transport.close()
                return lines, b""
            else:
                out.append(b"250 ok\r\n")
        return lines, lines[-1]

    def took(self, out):
        s = self.shared
        if s.messages.value < TIMES:
            s.times[s.messages.value] = time.monotonic()
        s.messages.value += 1
        s.recipients.value += len(self.rcpts)
        s.seen.update(self.rcpts)
        s.distinct.value = len(s.seen)
        s.rcpts_max.value = max(s.rcpts_max.value, len(self.rcpts))
        self.rcpts = []
        out.append(b"250 taken\r\n")


class Sink:
    """counters of what it took; refuse=1: every recipient but those at new.test gets 450."""

    def __init__(self, refuse=False):
        for name in ("messages", "recipients", "distinct", "refused", "rcpts_max", "refuse"):
            setattr(self, name, multiprocessing.Value("q", 0, lock=False))
        self.refuse.value = refuse
        self.times = multiprocessing.Array("d", TIMES, lock=False)      # of the first messages
        self.port = lib.free_port()
        self.process = multiprocessing.Process(target=self.serve, daemon=True)

    def serve(self):
        self.seen = set()

        async def main():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: Server(self), "127.0.0.1", self.port, backlog=1000)
            await server.serve_forever()
        asyncio.run(main())

    def __enter__(self):
        self.process.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join()


def answers(sock, want, got):
    """Counts final reply lines until there are that many. got: [those that began with 2 or 3, others]"""
    rest = b""
    while sum(got) < want:
        data = sock.recv(262144)
        if not data:
            raise EOFError("closed after %d of %d replies" % (sum(got), want))
        lines = (rest + data).split(b"\r\n")
        rest = lines.pop()
        for line in lines:
            if line[3:4] != b"-":
                good = line[:1] in b"23"
                got[not good] += 1
                if not good and got[1] < 5:
                    print("refused:", line.decode("ascii", "replace"))


def transactions(port, envelopes, text, path=None):
    """Sends them on one connection, each written in one piece. -> (replies that took it, that did not)"""
    sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    sock.connect(path or ("127.0.0.1", port))
    total = [0, 0]
    with sock:
        answers(sock, 1, [0, 0])
        sock.sendall(b"EHLO bench.test\r\n")
        answers(sock, 1, [0, 0])
        for rcpts in envelopes:
            got = [0, 0]
            reader = threading.Thread(target=answers, args=(sock, len(rcpts) + 2, got))
            reader.start()
            sock.sendall(b"MAIL FROM:<news@src.test>\r\n" + b"".join(b"RCPT TO:<%s>\r\n" % r for r in rcpts) + b"DATA\r\n")
            reader.join()
            sock.sendall(text + b"\r\n.\r\n")
            answers(sock, 1, last := [0, 0])
            total = [total[0] + last[0], total[1] + last[1] + got[1]]
    return total


def parallel(port, envelopes, text, connections):
    """The same over several connections at once."""
    result, threads = [], []
    for i in range(connections):
        threads.append(threading.Thread(target=lambda part: result.append(transactions(port, part, text)), args=(envelopes[i::connections],)))
        threads[-1].start()
    for t in threads:
        t.join()
    return [sum(r[0] for r in result), sum(r[1] for r in result)]


def letters(port, rcpts, text, batch=100):
    """A message for each of them, by BDAT, a batch in one piece."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        answers(sock, 1, [0, 0])
        sock.sendall(b"EHLO bench.test\r\n")
        answers(sock, 1, [0, 0])
        for i in range(0, len(rcpts), batch):
            part = rcpts[i:i + batch]
            sock.sendall(b"".join(b"MAIL FROM:<news@src.test>\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n%s" % (r, len(text), text) for r in part))
            answers(sock, 3 * len(part), got := [0, 0])
            assert got[1] == 0, got


class Probe:
    """Meanwhile somebody writes a letter now and then: how long does it take until its 250? Its recipient is none of the others."""

    def __init__(self, port):
        self.port, self.here, there = port, *multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=self.run, args=(there,), daemon=True)

    def run(self, pipe):
        waits = []
        with lib.Smtp(self.port) as s:
            s.cmd("EHLO bench.test")
            while not pipe.poll(0.03):
                begun = time.monotonic()
                assert s.mail("a@src.test", "probe@probe.test", b"Subject: x\r\n\r\nx\r\n").startswith("250")
                waits.append(time.monotonic() - begun)
        pipe.send(sorted(waits))

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.here.send(None)
        self.waits = self.here.recv()
        self.process.join()
        print("a letter meanwhile: %d of them, 250 after %.0f ms (median), %.0f ms (longest)" % (
              len(self.waits), 1000 * self.waits[len(self.waits) // 2], 1000 * self.waits[-1]))


def held(p):
    """How long the steps of the queue's loop held the others up at most, lately."""
    stats = p.ctl_json("stats")[0]
    return "held up at most: " + ", ".join("%s %.1f ms" % (name[5:], us / 1000) for name, us in stats.items() if name.startswith("held_"))


def status_of(pid, field):
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


class Watch:
    """Memory and processor time of the programs."""

    def __init__(self, postern):
        self.pids = {name: pid for pid, name in postern.children()}

    def line(self, names=("queue", "listener", "lookup", "deliver")):
        parts = []
        for name in names:
            if name in self.pids:
                with open("/proc/%d/stat" % self.pids[name], encoding="utf-8") as f:
                    stat = f.read().rpartition(")")[2].split()
                cpu = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
                parts.append("%s %d MiB (at most %d), cpu %.1f s" % (name, status_of(self.pids[name], "VmRSS") // 1024,
                             status_of(self.pids[name], "VmHWM") // 1024, cpu))
        return "; ".join(parts)

    def peak(self, name="queue"):
        return status_of(self.pids[name], "VmHWM") / 1024


def sendmail(postern, arguments, text):
    return subprocess.run([os.path.join(lib.B, "bin/sendmail"), *arguments], input=text, env={**os.environ, "POSTERN_RUNTIME": postern.runtime},
                          capture_output=True, check=False, timeout=300)
