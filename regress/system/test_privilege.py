"""What the processes may do, as /proc shows it. As root: the real accounts."""
import os
import pwd
import re
import subprocess

from lib import LOCAL, SLOW, Postern, Sink, need_root

ACCOUNTS = {"listener": "_postern", "lookup": "_posternl", "resolver": "_posternr", "queue": "_posternq", "deliver": "_posternd"}
PROCESSES = {"listener": "1", "lookup": "1", "deliver": "1", "queue": "512", "resolver": "512"}
RELAY = LOCAL + "action out relay via smtp://127.0.0.1:$sink\nmatch from local for any action out\n"


def status(pid):
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def limits(pid):
    with open("/proc/%d/limits" % pid, encoding="utf-8") as f:
        return {m[1]: m[2] for m in re.finditer(r"^Max (.*?) {2,}\S+ +(\S+)", f.read(), re.M)}


def check_process(p, pid, program):
    s = status(pid)
    assert s["NoNewPrivs"] == "1", (program, "new privileges")
    assert s["Seccomp"] == ("0" if SLOW > 1 else "2"), (program, s["Seccomp"])
    for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(s[caps], 16) == 0, (program, caps, s[caps])
    uid = pwd.getpwnam(ACCOUNTS[program]).pw_uid
    assert s["Uid"].split() == [str(uid)] * 4 and uid != 0, (program, s["Uid"])
    gid = pwd.getpwnam(ACCOUNTS[program]).pw_gid
    assert s["Gid"].split() == [str(gid)] * 4 and s["Groups"].split() in ([], [str(gid)]), (program, s["Gid"], s["Groups"])
    held = limits(pid)
    assert held["processes"] == PROCESSES[program] and held["core file size"] == "0", (program, held)
    if program in ("listener", "deliver", "resolver") and SLOW == 1:
        assert held["address space"] != "unlimited", (program, held)
    root = os.readlink("/proc/%d/root" % pid)
    if program in ("listener", "deliver", "resolver"):
        assert root != "/" and os.listdir("/proc/%d/root" % pid) == [], (program, root)
        info = os.stat("/proc/%d/root" % pid)
        assert info.st_uid == 0 and not info.st_mode & 0o022, (program, oct(info.st_mode))
    if program == "queue":
        assert root == p.spool, root


def check_fds(p, pid, program):
    """Every descriptor is of a kind that this program has a use for; the log is the parent's alone."""
    may = [r"/dev/null", r"socket:\[\d+\]", r"anon_inode:\[event(poll|fd)\]", r"pipe:\[\d+\]"]
    may += {"queue": [re.escape(p.spool) + r"(/.*)?", r"/.*"], "listener": [r"/memfd:.*"], "lookup": [r"/memfd:.*", r"/etc/.*"],
            "resolver": [r"/dev/urandom", r"/etc/(resolv\.conf|hosts)"], "deliver": [re.escape(p.spool) + r"/.*", r"/.*segment.*|/.*seg.*", r"/memfd:.*"]}[program]
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            target = os.readlink("/proc/%d/fd/%s" % (pid, fd))
        except FileNotFoundError:
            continue
        target = target.replace(" (deleted)", "")
        assert any(re.fullmatch(m, target) for m in may), (program, fd, target)
        if target.startswith(p.spool) and program == "deliver":
            with open("/proc/%d/fdinfo/%s" % (pid, fd), encoding="utf-8") as f:
                flags = int(re.search(r"flags:\s+(\d+)", f.read())[1], 8)
            assert flags & 3 == os.O_RDONLY, "deliver may write to the spool"


def test_children():
    need_root()
    with Sink() as sink, Postern(RELAY, sink=sink.port) as p, p.smtp() as s:
        assert s.mail("a@b.test", "x@far.test", b"x: y\r\n\r\nhi\r\n").startswith("250")
        sink.wait(1)
        children = p.children()
        assert {name for _, name in children} >= set(ACCOUNTS), children
        for pid, program in children:
            if program in ACCOUNTS:
                check_process(p, pid, program)
                check_fds(p, pid, program)


def test_agent():
    need_root()
    with Postern(LOCAL) as p:
        p.mail("x")
        box = os.path.join(p.dir, "mail/one/tmp")
        os.makedirs(box)
        for part in ("new", "cur"):
            os.mkdir(os.path.join(p.dir, "mail/one", part))
        subprocess.run(["chown", "-R", "nobody", os.path.join(p.dir, "mail/one")], check=True)
        seen = []
        with p.smtp() as s:
            for n in range(50):
                assert s.mail("", "u%d@example.test" % n, b"x: y\r\n\r\n" + b"z" * 1000 + b"\r\n").startswith("250")
                for pid, program in p.children("agent"):
                    try:
                        seen.append(status(pid))
                    except FileNotFoundError:
                        pass
        p.wait_empty()
        # An agent is root between exec and its first act; after that never again.
        settled = [a for a in seen if a.get("NoNewPrivs") == "1"]
        assert settled, "no agent was seen"
        for a in settled:
            if a["State"].startswith("Z"):
                continue
            assert a["Uid"].split() == [str(pwd.getpwnam("nobody").pw_uid)] * 4 and int(a["CapEff"], 16) == 0, a


def test_parent_reads_nothing():
    """The parent has no client's socket, and its spool is closed to others."""
    need_root()
    with Postern(LOCAL) as p, p.smtp() as s:
        port = s.sock.getsockname()[1]
        inode = next(line.split()[9] for line in open("/proc/net/tcp", encoding="utf-8")
                     if line.split()[1].endswith(":%04X" % p.port) and line.split()[2].endswith(":%04X" % port))
        mine = [os.readlink("/proc/%d/fd/%s" % (p.process.pid, fd)) for fd in os.listdir("/proc/%d/fd" % p.process.pid)
                if os.path.islink("/proc/%d/fd/%s" % (p.process.pid, fd))]
        assert "socket:[%s]" % inode not in mine
        assert os.stat(p.spool).st_mode & 0o777 == 0o711
        r = subprocess.run(["find", p.spool, "-mindepth", "1", "-perm", "/077", "!", "-name", "offline"], capture_output=True, text=True, check=False)
        readable = [f for f in r.stdout.split() if os.path.isfile(f) and os.stat(f).st_mode & 0o044]
        assert not readable, readable


def test_dump_and_trace():
    """A process of another account cannot be read: it is not dumpable."""
    need_root()
    with Postern(LOCAL) as p:
        for pid, program in p.children():
            account = ACCOUNTS.get(program)
            if account:
                r = subprocess.run(["cat", "/proc/%d/environ" % pid], user=account, group=account, extra_groups=[], capture_output=True, check=False)
                assert r.returncode != 0, (program, "can be read by its own account")
