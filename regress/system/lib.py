#!/usr/bin/python3
"""lib: what the system tests stand on: a Postern of one's own, clients that are polite and clients that are not, sinks.

A test file is test_NAME.py beside this one: functions test_*() that assert, each with a Postern that it makes by `with Postern(...)`.
Everything is on 127.0.0.1, below a new directory in /tmp, and gone afterwards. Run as
root the daemon uses its real accounts, otherwise the caller's. `lib.py test_NAME.py [test_function...]` runs one file;
KEEP=1 keeps the directories.
"""
import contextlib
import ctypes
import glob
import importlib.util
import json
import os
import pwd
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
B = os.path.abspath(os.environ.get("B", os.path.join(TOP, "build")))
ROOT = os.geteuid() == 0
SLOW = 4 if os.environ.get("SAN") else 1        # sanitizers take their time
# For sanitizer builds: programs that end soon do not free, and a crash signal stays one.
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=1:" + ":".join(
    "handle_%s=0" % s for s in ("segv", "sigbus", "sigfpe", "sigill", "abort")))
os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
ACCOUNT = "nobody" if ROOT else pwd.getpwuid(os.getuid()).pw_name

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
FIRST_PORT, PORTS = 10800, 4000
_marks = []


class Skip(Exception):
    """Raised by a test that lacks a tool or a right."""


def need_root():
    if not ROOT:
        raise Skip("needs root")


def need_files(n):
    """So many descriptors, for this process and what it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != hard < n:
        raise Skip("needs %d descriptors" % n)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), hard))


def need(tool):
    path = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Skip("needs " + tool)
    return path


def free_port():
    """A port that nobody has, and no other test process gets: an abstract socket of its number is held until this process ends."""
    while True:
        port = FIRST_PORT + random.randrange(PORTS)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind("\0postern-test-port-%d" % port)
        except OSError:
            mark.close()
            continue
        _marks.append(mark)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def strangers():
    """From here on this process has a network of its own, in which every address of 198.51.100.0/24 may be the source of a connection to
    127.0.0.1: those are no addresses of this host, so clients with them are strangers."""
    need_root()
    need("ip")
    if not os.path.exists("/proc/self/ns/net") or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise Skip("needs network namespaces")
    for words in ("link set lo up", "route add local 198.51.100.0/24 dev lo"):
        subprocess.run(["ip", *words.split()], check=True)


def private_file(path, place):
    """For this process and those it starts from here on, the file at path stands in that place too."""
    need_root()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0 or \
            libc.mount(path.encode(), place.encode(), None, MS_BIND, None) != 0:
        raise Skip("needs mount namespaces")


def until(what, seconds=10, every=0.02):
    """Waits until what() is true and gives its value; fails after that time."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("still not after %g s: %s" % (seconds * SLOW, getattr(what, "__doc__", None) or what))
        time.sleep(every)


# ---- the daemon ----

BASE = """hostname mx.test
domain example.test
spool "$dir/spool"
runtime "$dir/run"
log stderr level debug
listeners 2
listen on 127.0.0.1 port $port
"""
LOCAL = """action local maildir "$dir/mail/%{user}" user $account
match from any for local action local
"""


class Postern:
    """One daemon. conf: statements after BASE; $dir, $port, $account are filled in, and what else is given by name."""

    def __init__(self, conf=LOCAL, base=BASE, start=True, expect_trouble=False, env=None, **values):
        self.dir = tempfile.mkdtemp(prefix="postern-")
        os.chmod(self.dir, 0o755)
        self.port = free_port()
        self.bin = os.path.join(B, "bin")       # where posternd and its helpers are taken from
        self.values = dict(dir=self.dir, port=self.port, account=ACCOUNT, **values)
        self.conf = os.path.join(self.dir, "postern.conf")
        self.runtime = os.path.join(self.dir, "run")
        self.spool = os.path.join(self.dir, "spool")
        self.logfile = os.path.join(self.dir, "log")
        self.expect_trouble = expect_trouble
        self.env = env or {}
        self.process = None
        os.mkdir(os.path.join(self.dir, "mail"))
        if ROOT:
            shutil.chown(os.path.join(self.dir, "mail"), ACCOUNT)
        self.write_conf(base + conf)
        if start:
            try:
                self.start()
            except BaseException:
                self.end(keep=True)
                raise

    def write_conf(self, text):
        for name, value in self.values.items():
            text = text.replace("$" + name, str(value))
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write(text)

    def replace(self, program, script):
        """In place of postern-PROGRAM this script is started; before start()."""
        ours = os.path.join(self.dir, "bin")
        if self.bin != ours:
            os.mkdir(ours)
            for name in os.listdir(self.bin):
                (shutil.copy if name == "posternd" else os.symlink)(os.path.join(self.bin, name), os.path.join(ours, name))
            self.bin = ours
        path = os.path.join(ours, "postern-" + program)
        os.unlink(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(script)
        os.chmod(path, 0o755)

    # life

    def start(self):
        with open(self.logfile, "ab") as log:
            env = {**os.environ, **self.env}
            self.process = subprocess.Popen([os.path.join(self.bin, "posternd"), "-d", "-f", self.conf], cwd="/", env=env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        until(self.is_up, 15)
        return self

    def is_up(self):
        """the banner and the control socket"""
        if self.process.poll() is not None:
            raise AssertionError("posternd ended with %s:\n%s" % (self.process.returncode, self.log()[-2000:]))
        try:
            with Smtp(self.port, timeout=2) as s:
                if not s.banner.startswith("220"):
                    return False
            return self.ctl("status")[0] == 0
        except OSError:
            return False

    def stop(self, sig=signal.SIGINT, seconds=20):
        """Asks it to end. -> its exit status"""
        self.process.send_signal(sig)
        try:
            return self.process.wait(seconds * SLOW)
        finally:
            self.kill9()

    def kill9(self):
        """SIGKILL for all of it at once, as a power cut would."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        until(lambda: not self.family(), 5)

    def family(self):
        """pids of all processes of this daemon that live: those of the session that it began."""
        found = []
        for stat in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError), open(stat, encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
                if fields[0] != "Z" and int(fields[3]) == self.process.pid:
                    found.append(int(stat.split("/")[2]))
        return found

    def children(self, name=None):
        """(pid, program) of the parent's children; program as in postern-NAME."""
        found = []
        for pid in self.family():
            with contextlib.suppress(OSError):
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                program = re.match(r"(?:\S*/)?postern(?:-|: )(\w+)", line)
                if pid != self.process.pid and program and name in (None, program[1]):
                    found.append((pid, program[1]))
        return found

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.end(keep=kind is not None and kind is not Skip)
        if kind is None and not self.expect_trouble:
            self.no_trouble()

    def end(self, keep=False):
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
        self.text = self.log()
        if keep:
            sys.stdout.write("        the log, %s:\n" % self.logfile)
            sys.stdout.write("".join("        | %s\n" % line for line in self.text.splitlines()[-25:]))
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def no_trouble(self):
        """What must not be in a log of ours, whatever the test was about."""
        found = re.search(r"^.*(AddressSanitizer|runtime error:|fatal:|was ended by signal|sandbox forbids|exited with [^0]).*$", self.text, re.M)
        if found:
            raise AssertionError("in the log: " + found[0])

    # what it says

    def log(self):
        with open(self.logfile, encoding="utf-8", errors="replace") if os.path.exists(self.logfile) else contextlib.nullcontext() as f:
            return f.read() if f else getattr(self, "text", "")

    def wait_log(self, pattern, seconds=10):
        def found():
            return re.search(pattern, self.log(), re.M)
        found.__doc__ = "log line " + pattern
        return until(found, seconds)

    def ctl(self, *words):
        """posternctl. -> (status, standard output, standard error)"""
        r = subprocess.run([os.path.join(B, "bin/posternctl"), "-s", os.path.join(self.runtime, "control.sock"), *words],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=30 * SLOW, check=False)
        return r.returncode, r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace")

    def ctl_json(self, *words):
        status, out, err = self.ctl("-j", *words)
        assert status in (0, 1), (status, err)
        return [json.loads(line) for line in out.splitlines()]

    def queued(self):
        """messages in the queue"""
        return self.ctl_json("queue", "count")[0]["messages"]

    def wait_empty(self, seconds=15):
        def empty():
            """the queue is empty"""
            return self.queued() == 0
        until(empty, seconds, 0.05)

    def sendmail(self, *args, text=b"", program="sendmail", env=None):
        r = subprocess.run([os.path.join(B, "bin", program), *args], input=text, capture_output=True, timeout=30 * SLOW, check=False,
                           env={**os.environ, "POSTERN_RUNTIME": self.runtime, **(env or {})})
        return r.returncode, r.stdout.decode("utf-8", "replace"), r.stderr.decode("utf-8", "replace")

    # mailboxes

    def mail(self, user):
        """The messages in new/ of that mailbox, oldest first."""
        found = []
        for path in glob.glob(os.path.join(glob.escape(self.dir), "mail", user, "new", "*")):
            with open(path, "rb") as f:
                found.append((os.stat(path).st_mtime_ns, f.read()))
        return [text for _, text in sorted(found)]

    def wait_mail(self, user, n=1, seconds=10):
        def there():
            return len(self.mail(user)) >= n
        there.__doc__ = "%d messages for %s" % (n, user)
        until(there, seconds)
        return self.mail(user)

    def smtp(self, ehlo="client.test", **kw):
        s = Smtp(self.port, **kw)
        if ehlo:
            assert s.cmd("EHLO " + ehlo).startswith("250")
        return s


def body_of(delivered):
    """What the sender sent, of a delivered file: without the trace fields in front (one of each)."""
    rest = delivered
    for name in (b"Return-Path:", b"Delivered-To:", b"Received:"):
        if rest[:len(name)].lower() == name.lower():
            rest = rest[len(re.match(rb"[^\n]*\n(?:[ \t][^\n]*\n)*", rest)[0]):]
    return rest


# ---- clients ----

class Smtp:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, port, timeout=20, banner=True, source=None):
        """source: (address, 0) of a stranger, see strangers()"""
        self.sock = socket.create_connection(("127.0.0.1", port), timeout * SLOW, source_address=source)
        self.rest = b""
        self.banner = self.reply() if banner else ""

    def send(self, data):
        self.sock.sendall(data.encode("utf-8") if isinstance(data, str) else data)

    def line(self):
        while b"\n" not in self.rest:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError("closed; left: %r" % self.rest)
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")

    def reply(self):
        """One whole reply, its lines joined by a line end."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def replies(self, n):
        return [self.reply() for _ in range(n)]

    def cmd(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def mail(self, sender, rcpts, data):
        """A transaction; data is sent as it is, dots and final dot added. -> the last reply"""
        first = self.cmd("MAIL FROM:<%s>" % sender)
        if not first.startswith("250"):
            return first
        answers = [self.cmd("RCPT TO:<%s>" % r) for r in ([rcpts] if isinstance(rcpts, str) else rcpts)]
        if not any(a.startswith("250") for a in answers):
            self.cmd("RSET")
            return answers[0]
        go = self.cmd("DATA")
        if not go.startswith("354"):
            return go
        self.send(re.sub(rb"(?m)^\.", b"..", data) + (b"" if data.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.reply()

    def is_closed(self, seconds=5):
        """Whether the server closes within that time; what it says before is thrown away."""
        self.sock.settimeout(seconds * SLOW)
        try:
            while self.sock.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- sinks ----

class Sink:
    """aiosmtpd: takes mail and keeps it. reply: a function (envelope) -> reply to the final dot; rcpt: (address) -> reply or None; at:
    (host, port) in place of a free port."""

    def __init__(self, reply=None, rcpt=None, smtputf8=True, at=None, **kw):
        try:
            from aiosmtpd.controller import Controller
        except ImportError as e:
            raise Skip("needs python3-aiosmtpd") from e
        self.mails, self._reply, self._rcpt, self.lock = [], reply, rcpt, threading.Lock()
        host, self.port = at or ("127.0.0.1", free_port())
        self.controller = Controller(self, hostname=host, port=self.port, enable_SMTPUTF8=smtputf8,
                                     data_size_limit=64 * 1024 * 1024, **kw)
        self.controller.start()

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = self._rcpt(address) if self._rcpt else None
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.append(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        answer = self._reply(envelope) if self._reply else "250 2.0.0 taken"
        if answer.startswith("250"):
            with self.lock:
                self.mails.append(envelope)
        return answer

    def wait(self, n=1, seconds=15):
        def there():
            return len(self.mails) >= n
        there.__doc__ = "%d messages at the sink" % n
        until(there, seconds)
        return self.mails

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.controller.stop()


class Liar:
    """A server that does what its script says. The script gets (connection, n-th connection); it runs in a thread of its own."""

    def __init__(self, script):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.script, self.connections, self.heard = self.listener.getsockname()[1], script, 0, []
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock, self.connections), daemon=True).start()

    def serve(self, sock, n):
        sock.settimeout(60)
        with sock, contextlib.suppress(OSError, EOFError):
            self.script(LiarConnection(self, sock), n)

    def close(self):
        """Not before its thread has ended: that could take connections of whoever gets the descriptor's number next."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class LiarConnection:
    def __init__(self, liar, sock):
        self.liar, self.sock, self.rest = liar, sock, b""

    def say(self, text):
        self.sock.sendall(text.encode("utf-8") if isinstance(text, str) else text)

    def line(self):
        while b"\n" not in self.rest:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        self.liar.heard.append(line)
        return line.decode("utf-8", "replace").rstrip("\r")

    def data(self):
        """The message up to the final dot."""
        lines = []
        while True:
            line = self.line()
            if line == ".":
                return lines
            lines.append(line)

    def polite(self, ehlo="250-liar.test\r\n250 PIPELINING\r\n", answers=None):
        """An ordinary server but for answers: {verb: reply}; a reply may be a function of the line."""
        answers = answers or {}
        self.say(answers.get("banner", "220 liar.test ESMTP\r\n"))
        while True:
            line = self.line()
            verb = line.split(" ")[0].split(":")[0].upper()
            reply = answers.get(verb, {"EHLO": ehlo, "HELO": "250 liar.test\r\n", "DATA": "354 go on\r\n", "QUIT": "221 bye\r\n"}.get(verb, "250 ok\r\n"))
            reply = reply(line) if callable(reply) else reply
            self.say(reply)
            if verb == "QUIT":
                return
            if verb == "DATA" and reply.startswith("354"):
                self.data()
                final = answers.get(".", "250 taken\r\n")
                self.say(final(line) if callable(final) else final)


# ---- running a file ----

def late(signum, frame):
    raise AssertionError("took too long")


def run_case(name, function):
    signal.signal(signal.SIGALRM, late)
    signal.alarm(getattr(function, "seconds", 60) * SLOW)
    try:
        function()
        print("ok      " + name)
        return True
    except Skip as why:
        print("skipped " + name + ": %s" % why)
        return True
    except Exception:                      # a test may fail in any way it likes
        print("not ok  " + name)
        print("".join("        %s\n" % line for line in traceback.format_exc().splitlines()[-14:]), end="")
        return False
    finally:
        signal.alarm(0)
        sys.stdout.flush()


def run_file(path, wanted):
    sys.modules["lib"] = sys.modules[__name__]
    sys.path.insert(0, HERE)
    spec = importlib.util.spec_from_file_location("test", os.path.join(HERE, os.path.basename(path)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stem = os.path.splitext(os.path.basename(path))[0]
    cases = [(n, f) for n, f in vars(module).items() if n.startswith("test_") and callable(f) and (not wanted or n in wanted)]
    return all([run_case("system/%s.%s" % (stem[5:], n[5:]), f) for n, f in cases])


if __name__ == "__main__":
    sys.exit(0 if run_file(sys.argv[1], sys.argv[2:]) else 1)
