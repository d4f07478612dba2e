"""What others may have put where Postern opens something: links, devices, FIFOs, files and directories of their own."""
import contextlib
import os
import random
import shutil
import stat
import subprocess
import threading
import time

from lib import ACCOUNT, B, BASE, LOCAL, Postern, need, need_root
from test_start import Daemon, refused

VICTIM = b"root:x:0:0\n"


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def plant(kind, path, victim):
    """That kind of thing at path; links are to the victim."""
    remove(path)
    if kind == "link":
        os.symlink(victim, path)
    elif kind == "hard link":
        os.link(victim, path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    elif kind == "directory":
        os.mkdir(path)


def a_victim(d):
    path = os.path.join(d.dir, "victim")
    with open(path, "wb") as f:
        f.write(VICTIM)
    os.chmod(path, 0o600)
    return path


def unharmed(path):
    info = os.stat(path)
    with open(path, "rb") as f:
        return f.read() == VICTIM and info.st_uid == os.geteuid() and info.st_mode & 0o7777 == 0o600


def test_tables():
    """A table that others can change is an error of -n and of a reload that says what is wrong; its owner may be named."""
    need_root()
    with Postern(LOCAL) as p:
        path = os.path.join(p.dir, "boxes")
        victim = a_victim(p)
        conf = BASE + LOCAL.replace("match", 'table boxes file "%s"\nmatch from any for rcpt <boxes> action local\nmatch' % path)

        def check(text=conf):
            p.write_conf(text)
            r = subprocess.run([os.path.join(B, "bin/posternd"), "-n", "-f", p.conf], capture_output=True, text=True, check=False)
            return r.returncode, r.stdout + r.stderr

        for kind, words in (("link", "is a link"), ("fifo", "is no file"), ("device", "is no file"), ("directory", "is no file"), ("none", "No such file")):
            plant(kind, path, victim)
            code, said = check()
            assert code == 78 and words in said and path in said, (kind, code, said)
        remove(path)
        with open(path, "w", encoding="ascii") as f:
            f.write("one@example.test\n")
        assert check()[0] == 0
        os.chmod(path, 0o666)
        code, said = check()
        assert code == 78 and "chmod o-w" in said, said
        os.chmod(path, 0o644)
        shutil.chown(path, ACCOUNT)
        code, said = check()
        assert code == 78 and "belongs to uid" in said, said
        assert p.ctl("reload")[0] != 0
        assert check(conf.replace('boxes"\n', 'boxes" owner %s\n' % ACCOUNT))[0] == 0
        assert p.ctl("reload")[0] == 0


def test_directories():
    """A directory that is there is taken as it is or refused, never given away."""
    need_root()
    with Daemon() as d:
        other = os.path.join(d.dir, "other")
        os.mkdir(other, 0o700)
        with open(os.path.join(other, "mine"), "wb"):
            pass
        os.symlink(other, d.spool)
        refused(d, 73, d.spool, "is a link")
        os.unlink(d.spool)
        os.rename(other, d.spool)
        refused(d, 77, d.spool, "belongs to uid 0")
        shutil.chown(d.spool, ACCOUNT)
        refused(d, 77, d.spool, "belongs to uid")
        info = os.stat(d.spool)
        assert info.st_uid != 0 and info.st_mode & 0o7777 == 0o700, "its owner or mode was changed"
        shutil.rmtree(d.spool)
        shutil.rmtree(d.runtime)
        os.mkdir(d.runtime)
        os.chmod(d.runtime, 0o777)
        refused(d, 77, d.runtime, "others may write")
        assert os.stat(d.runtime).st_mode & 0o777 == 0o777
        os.chmod(d.runtime, 0o755)
        os.mkdir(d.spool)               # a mount point that was just made
        assert d.command()[0] == 0


def test_files():
    """Whatever stands at the log or a lock, nothing is written elsewhere, and the reason is told."""
    need_root()
    with Daemon(expect_trouble=True) as d:
        victim = a_victim(d)
        for name in ("log", "run/posternd.lock", "spool/lock"):
            path = os.path.join(d.dir, name)
            for kind, words in (("link", "link"), ("hard link", "link"), ("fifo", "is no file"), ("device", "is no file")):
                if name == "spool/lock" and kind == "hard link":
                    continue            # its owner has no file that he may not write to
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if name == "spool/lock":
                    shutil.chown(d.spool, "_posternq")
                plant(kind, path, victim)
                if name == "spool/lock" and kind != "link":
                    shutil.chown(path, "_posternq")
                status, said, _ = d.command()
                assert status != 0 and words in said, (name, kind, status, said)
                assert unharmed(victim), (name, kind)
            remove(path)


def test_swapped():
    """The same while all of them change all the time: it starts or says why not, and harms nobody."""
    need_root()
    need("unshare")
    with Daemon(expect_trouble=True) as d:
        victim = a_victim(d)
        paths = [os.path.join(d.dir, name) for name in ("log", "run/posternd.lock", "spool/lock", "spool")]
        done = threading.Event()

        def swap():
            dice = random.Random(4711)
            while not done.is_set():
                with contextlib.suppress(OSError):
                    plant(dice.choice(("link", "hard link", "fifo", "device", "none", "none")), dice.choice(paths), victim)
                time.sleep(0.002)

        swapper = threading.Thread(target=swap)
        swapper.start()
        try:
            for _ in range(4):          # all that it started ends with the command
                d.command("unshare", "-p", "-f")
                assert unharmed(victim)
        finally:
            done.set()
            swapper.join()
            for path in paths:
                with contextlib.suppress(OSError):
                    remove(path)
        assert unharmed(victim)
