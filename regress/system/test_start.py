"""posternd as it is started at a terminal: it is ready when the command ends, or the command says why not and fails."""
import contextlib
import os
import signal
import socket
import subprocess
import time

from lib import BASE, LOCAL, SLOW, Postern, free_port, need, need_root, until

FILE_LOG = BASE.replace("log stderr level debug", 'log file "$dir/log" level debug')


class Daemon(Postern):
    """posternd without -d: command() runs it, what is left of it ends with the test."""

    def __init__(self, conf=LOCAL, base=FILE_LOG, **values):
        super().__init__(conf, base, start=False, **values)

    def command(self, *prefix, **kw):
        """-> status, what was said, seconds"""
        begin = time.monotonic()
        r = subprocess.run([*prefix, os.path.join(self.bin, "posternd"), "-f", self.conf], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=30 * SLOW, check=False, cwd="/", **kw)
        return r.returncode, r.stderr.decode("utf-8", "replace"), time.monotonic() - begin

    def pid(self):
        with open(os.path.join(self.runtime, "posternd.lock"), encoding="ascii") as f:
            return int(f.read())

    def end(self, keep=False):
        with contextlib.suppress(OSError, ValueError):
            pid = self.pid()
            os.kill(pid, signal.SIGINT)
            until(lambda: not os.path.exists("/proc/%d" % pid), 15)
        super().end(keep)


def refused(daemon, code, *words, prefix=()):
    """It fails soon, with that status and these words, and nothing of it is left."""
    status, said, seconds = daemon.command(*prefix)
    assert status == code and all(w in said for w in words), (status, said)
    assert seconds < 8 * SLOW, (seconds, said)


def test_ready():
    """When the command ends everything answers; nobody keeps its standard error (or communicate() would hang)."""
    with Daemon() as d:
        status, said, _ = d.command()
        assert status == 0 and said == "", said
        with d.smtp() as s:
            assert s.mail("a@b.test", "one@example.test", b"Subject: x\r\n\r\nhi\r\n").startswith("250")
        assert d.ctl("status")[0] == 0
        d.wait_mail("one")


def test_port_taken():
    with socket.create_server(("127.0.0.1", 0)) as other:
        with Daemon() as d:
            d.values["port"] = other.getsockname()[1]
            d.write_conf(FILE_LOG + LOCAL)
            refused(d, 69, "127.0.0.1:%d" % d.values["port"], "Address already in use", "another server")
            assert "Address already in use" in d.log()


def test_another_runs():
    with Postern() as p, Daemon() as d:
        text = (FILE_LOG + LOCAL).replace("$port", str(free_port()))
        d.write_conf(text.replace('"$dir/run"', '"%s"' % p.runtime))
        refused(d, 75, "another posternd", p.runtime)
        d.write_conf(text.replace('"$dir/spool"', '"%s"' % p.spool))
        refused(d, 75, "another posternd", p.spool)
        assert p.ctl("status")[0] == 0


def test_no_log():
    with Daemon(base=BASE.replace("log stderr level debug", 'log file "$dir/none/log"')) as d:
        refused(d, 73, d.dir + "/none/log", "No such file")


def test_no_directory():
    with Daemon(base=FILE_LOG.replace("$dir/spool", "$dir/postern.conf/spool")) as d:
        refused(d, 73, "postern.conf", "Not a directory")


def test_no_account():
    need_root()
    need("unshare")
    with Daemon() as d:
        passwd = os.path.join(d.dir, "passwd")
        with open("/etc/passwd", encoding="utf-8") as old, open(passwd, "w", encoding="utf-8") as new:
            new.writelines(line for line in old if not line.startswith("_posternq:"))
        refused(d, 67, "_posternq", prefix=("unshare", "-m", "sh", "-c", 'mount --bind %s /etc/passwd && exec "$@"' % passwd, "sh"))


def test_program_cannot_start():
    """A program that always ends: its own words, then the status; not a daemon that tries for ever."""
    with Daemon(expect_trouble=True) as d:
        d.replace("lookup", "#!/bin/sh\necho no legs to stand on >&2\nexit 66\n")
        refused(d, 66, "no legs to stand on", "postern-lookup exited with 66")


def inherited(pid, wanted):
    with contextlib.suppress(OSError):
        links = [os.readlink("/proc/%d/fd/%s" % (pid, n)) for n in os.listdir("/proc/%d/fd" % pid)]
        assert not any(wanted in link for link in links), (pid, links)


def test_descriptors():
    """What was open in whoever started it is open nowhere."""
    with Daemon() as d:
        canary = os.path.join(d.dir, "canary")
        with open(canary, "w", encoding="ascii") as f:
            for n in range(30, 46):
                os.dup2(f.fileno(), n)
            try:
                status, said, _ = d.command(pass_fds=range(30, 46))
            finally:
                for n in range(30, 46):
                    os.close(n)
        assert status == 0, said
        with d.smtp() as s:
            s.mail("a@b.test", "one@example.test", b"Subject: x\r\n\r\nhi\r\n")
        parent = d.pid()
        with open("/proc/%d/task/%d/children" % (parent, parent), encoding="ascii") as f:
            family = [parent] + [int(pid) for pid in f.read().split()]
        assert len(family) > 6, family
        for pid in family:
            inherited(pid, canary)


def table_file(d, text):
    path = os.path.join(d.dir, "table")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def table_checks(path):
    """uses of a table and what is said of its entries: (rule, entries, errors, warnings), each as line: words"""
    return (("match from <t> for any reject", "# nets\n10.0.0.0/8\nfoo\n10.1.2.3/24 x\n2001:db8::/33: y\n10.0.0.300\n",
             {3: "is not a network", 6: "is not a network"}, {4: "has bits set"}),
            ("match from any mail-from <t> for any reject", "example.org\n.example.org\n@a.example\nu@a.example\n<>\n*\n*.example.org\n*@a.example\nu@\nbob\n10.0.0.0/8\n",
             {7: "is a glob", 8: "is a glob", 9: "has no domain", 11: "is no domain"}, {10: "not a user"}),
            ("match from any for domain <t> reject", "a.example\n.b.example\n*\nu@a.example\n*.c.example\n\"open\n",
             {4: "is an address", 5: "is a glob", 6: "makes no sense"}, {}),
            ('action b maildir "%s" user nobody users <t>\nmatch from any for local action b' % path, "bob\nbob+x\nu@a.example\n@b.example\nu@\n", {5: "has no domain"}, {}))


def test_tables():
    """Each entry is looked at as the table is used, in the file or in the configuration; all errors at once, by file and line."""
    with Daemon() as d:
        def check(text):
            d.write_conf(BASE + text)
            r = subprocess.run([os.path.join(d.bin, "posternd"), "-n", "-f", d.conf], capture_output=True, text=True, check=False)
            return r.returncode, r.stderr
        for rule, entries, errors, warnings in table_checks(d.dir):
            path = table_file(d, entries)
            status, said = check('table t file "%s"\n%s\n' % (path, rule) + LOCAL)
            lines = [line for line in said.splitlines() if path + ":" in line]
            assert status == 78 and len(lines) == len(errors) + len(warnings), said
            for expected, prefix in ((errors, ""), (warnings, "warning: ")):
                for n, words in expected.items():
                    assert any(line.startswith("%s%s:%d:" % (prefix, path, n)) and words in line for line in lines), (n, words, said)
        status, said = check("table t { 10.0.0.0/8,\n foo\n 10.1.2.3/24 }\nmatch from <t> for any reject\nmatch from any mail-from <t> for any action none\n" + LOCAL)
        assert status == 78 and ":12:" in said, said
        status, said = check("table t { 10.0.0.0/8,\n foo/1\n 10.1.2.3/24 }\nmatch from <t> for any reject\n" + LOCAL)
        assert status == 78 and ':9:2: "foo/1" in the table <t> is not a network' in said and "10:2: " in said, said
        to = "table to { other.test }\nmatch from socket for domain <to> action local\narchive to keep@%s.test\n"
        assert check(LOCAL + to % "other")[0] == 0
        status, said = check(LOCAL + to % "nowhere")
        assert status == 78 and "nobody takes what is archived to <keep@nowhere.test>" in said, said


def test_table_at_reload():
    """A table that cannot be read, or means nothing, refuses the reload; what was read before goes on."""
    with Daemon() as d:
        path = table_file(d, "bad.test\n")
        d.write_conf(FILE_LOG + 'table t file "%s"\nmatch from any mail-from <t> for any reject "550 5.7.1 listed"\n' % path + LOCAL)
        assert d.command()[0] == 0

        def answer(sender):
            with d.smtp() as s:
                s.cmd("EHLO x")
                s.cmd("MAIL FROM:<%s>" % sender)
                return s.cmd("RCPT TO:<one@example.test>")
        assert "listed" in answer("x@bad.test") and answer("x@good.test").startswith("250")
        table_file(d, "bad.test\n*@worse.test\n")
        status, *said = d.ctl("reload")
        out = "".join(said)
        assert status == 1 and path + ":2:1: " in out and "is a glob" in out and "\\x" not in out, out
        os.unlink(path)
        status, *said = d.ctl("reload")
        out = "".join(said)
        assert status == 1 and "No such file" in out, out
        assert "listed" in answer("x@bad.test") and answer("x@good.test").startswith("250")
        table_file(d, ".worse.test\n")
        assert d.ctl("reload")[0] == 0
        assert answer("x@bad.test").startswith("250") and "listed" in answer("x@y.worse.test")


def test_check():
    """What cannot work is refused with its place; what may be a mistake is a warning."""
    with Daemon() as d:
        def check(text, base=BASE):
            d.write_conf(base + text)
            r = subprocess.run([os.path.join(d.bin, "posternd"), "-n", "-f", d.conf], capture_output=True, text=True, check=False)
            return r.returncode, r.stderr
        for text, words in (('table t file "/none/t"\n' + LOCAL + "match from <t> for any reject\n", (":8:7: ", "/none/t", "No such file")),
                            ("archive to a@elsewhere.test\n" + LOCAL, (":8:1: ", "nobody takes", "a@elsewhere.test")),
                            ("action a discard\n", ("no rule",)), ("lisen on all\n" + LOCAL, (":8:1: ", "is it listen?")),
                            (LOCAL + "match form any for any reject\n", ("is it from?",))):
            status, said = check(text)
            assert status == 78 and all(w in said for w in words), said
        rules = LOCAL + "match from socket for domain example.test reject\nmatch from 10.1.0.0/16 for any reject\nmatch from 10.1.2.3 for local reject\n"
        for text, words in (("source s address 203.0.113.77\npool p { s }\n" + LOCAL, ("warning", "source \"s\"", "not on this host")),
                            ("unused = 7\n" + LOCAL, (":8:10: ", "\"unused\" is never used")),
                            (rules, (":10:1: this rule is never reached: the one in line 9", ":12:1: this rule is never reached"))):
            status, said = check(text)
            assert status == 0 and all(w in said for w in words), said
            assert ":11:" not in said, said
        status, said = check(LOCAL, BASE.replace("listen on 127.0.0.1 port $port\n", ""))
        assert status == 0 and "nothing listens" in said, said
