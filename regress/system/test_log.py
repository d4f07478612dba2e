"""The log's target, as logrotate and a restarted syslog change it under a posternd that runs."""
import os
import re
import signal
import socket

from lib import BASE, LOCAL, Postern, need, need_root, until
from test_start import FILE_LOG, Daemon

IN_DEV = """cd "$0" && for i in null zero random urandom full tty; do : >$i && mount --bind /dev/$i $i || exit 1; done
mkdir fd shm && mount --bind "$0" /dev && exec "$@"
"""


def said(path, pattern):
    with open(path, encoding="utf-8") as f:
        return re.search(pattern, f.read(), re.M)


def moved_away(d, how):
    """The log is moved away, and how() makes the lines go to a new one."""
    old = d.logfile + ".1"
    os.rename(d.logfile, old)
    how()
    until(lambda: os.path.exists(d.logfile), 10)
    with d.smtp() as s:
        s.cmd("VRFY x" + how.__name__)
    until(lambda: said(d.logfile, r"postern/smtpd\[\d+\]: (dis)?connect"), 10)


def test_file_moved_away():
    with Daemon() as d:
        assert d.command()[0] == 0

        def by_signal():
            os.kill(d.pid(), signal.SIGUSR1)

        def by_reload():
            assert d.ctl("reload")[0] == 0

        def by_refused_reload():
            d.write_conf(FILE_LOG + LOCAL + "nonsense\nlisten nowhere\n")
            assert d.ctl("reload")[0] != 0

        moved_away(d, by_signal)
        moved_away(d, by_reload)
        moved_away(d, by_refused_reload)
        errors = re.findall(r"^.* error: .*$", d.log(), re.M)
        assert len(errors) == 3 and "reload refused" in errors[0] and all(re.search(r"postern\.conf:\d+:\d+: ", e) for e in errors[1:]), errors
        assert "\\x0a" not in d.log()


class Syslog:
    def __init__(self, path):
        self.path, self.text = path, ""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.sock.settimeout(0.1)

    def wait(self, pattern, seconds=15):
        def found():
            try:
                while True:
                    self.text += self.sock.recv(65536).decode("utf-8", "replace") + "\n"
            except socket.timeout:
                return re.search(pattern, self.text, re.M)
        found.__doc__ = "syslog line " + pattern
        return until(found, seconds)

    def close(self):
        self.sock.close()
        os.unlink(self.path)


def test_syslog_comes_and_goes():
    """It is not there at the start, then is, then is restarted: nothing that was said in between is lost."""
    need_root()
    need("unshare")
    with Daemon(base=BASE.replace("log stderr level debug", "log syslog")) as d:
        dev = os.path.join(d.dir, "dev")
        os.mkdir(dev)
        status, words, _ = d.command("unshare", "-m", "sh", "-c", IN_DEV, dev)
        assert status == 0, words
        first = Syslog(os.path.join(dev, "log"))
        first.wait(r"^<22>... .. ..:..:.. postern/master\[\d+\]: Postern \S+ starts as mx\.test")
        first.wait(r"^<20>... .. ..:..:.. postern/master\[\d+\]: warning: cannot open the log \(/dev/log\)")
        first.wait(r"^<22>.* postern/master\[\d+\]: ready: ")
        first.close()
        with d.smtp() as s:
            assert s.mail("a@b.test", "one@example.test", b"Subject: x\r\n\r\nhi\r\n").startswith("250")
        d.wait_mail("one")
        second = Syslog(os.path.join(dev, "log"))
        second.wait(r"^<22>.* postern/cleanup\[\d+\]: \S+: message-id=")
        second.wait(r"^<22>.* postern/local\[\d+\]: \S+: to=<one@example\.test>")
        second.close()


def test_captured_child():
    """What a program has of the log is a pipe: it can add lines of its own, it cannot touch what is there."""
    need_root()
    with Postern(LOCAL) as p:
        for pid, program in p.children():
            for fd in (1, 2):
                target = os.readlink("/proc/%d/fd/%d" % (pid, fd))
                assert target == "/dev/null" if fd == 1 else target.startswith("pipe:["), (program, fd, target)


def test_last_words():
    """What a dying program says, and what the C library says for it, is in the log, with its name and pid, before its end is."""
    need_root()
    with Postern(LOCAL, expect_trouble=True) as p:
        pid = dict((program, pid) for pid, program in p.children())["lookup"]
        with open("/proc/%d/fd/2" % pid, "wb") as f:
            f.write(b"free(): invalid pointer\n")
        os.kill(pid, signal.SIGSYS)
        p.wait_log(r"postern/lookup\[%d\]: error: free\(\): invalid pointer\n(.*\n)*?"
                   r".* postern/master\[\d+\]: error: postern-lookup\[%d\] tried a system call that its sandbox forbids" % (pid, pid))
