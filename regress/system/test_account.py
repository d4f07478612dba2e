"""Whose mail is delivered as whom: root's and postmaster's, Postern's own accounts', those of the system; and what an agent is given."""
import os
import pwd
import re
import subprocess

from lib import B, BASE, LOCAL, Postern, need_root, until

ACCOUNTS = """action local maildir
match from any for local action local
"""
WITH_BOX = """action boxes maildir "$dir/mail/%{user}" user $account
match from any for domain boxes.test action boxes
"""
LETTER = b"Subject: x\r\n\r\nhi\r\n"


def test_unknown():
    """No mail as root or as an account of ours, and none for accounts of the system that no rule names."""
    need_root()
    with Postern(ACCOUNTS) as p, p.smtp() as s:
        assert s.cmd("MAIL FROM:<a@b.test>").startswith("250")
        for name in ("_posternq", "_POSTERND+x", "_postern", "daemon", "www-data", "nobody", "no-such-account"):
            answer = s.cmd("RCPT TO:<%s@example.test>" % name)
            assert answer.startswith("550 5.1.1"), (name, answer)
    with Postern("limit first-uid 1\n" + ACCOUNTS) as p, p.smtp() as s:
        s.cmd("MAIL FROM:<a@b.test>")
        assert s.cmd("RCPT TO:<www-data@example.test>").startswith("250")
        assert s.cmd("RCPT TO:<nobody@example.test>").startswith("550 5.1.1")


def test_named():
    """A rule that names the address has its mail delivered as that account, whatever its uid and shell."""
    need_root()
    rules = 'action web maildir "$dir/web/%{user}"\nmatch from any for rcpt "Www-Data@example.test" action web\nmatch from any for rcpt root2@example.test action web\n'
    with Postern(rules + ACCOUNTS) as p:
        web = os.path.join(p.dir, "web")
        os.mkdir(web)
        os.chmod(web, 0o777)
        with p.smtp() as s:
            assert s.mail("a@b.test", "www-data+x@example.test", LETTER).startswith("250")
            assert s.cmd("MAIL FROM:<a@b.test>").startswith("250")
            for name in ("www-data@mx.test", "daemon@example.test", "root2@example.test"):
                assert s.cmd("RCPT TO:<%s>" % name).startswith("550 5.1.1"), name
        new = os.path.join(web, "www-data", "new")
        until(lambda: os.path.isdir(new) and os.listdir(new))
        assert os.stat(os.path.join(new, os.listdir(new)[0])).st_uid == pwd.getpwnam("www-data").pw_uid
        p.wait_empty()


def test_held():
    """Nobody is named for root and postmaster: taken, held, said; and delivered when somebody is named and it is released."""
    need_root()
    with Postern(ACCOUNTS + WITH_BOX) as p:
        p.wait_log("ready: ")
        with p.smtp() as s:
            for name in ("root", "ROOT@mx.test", "root+x@example.test", "Postmaster"):
                assert s.mail("a@b.test", name, LETTER).startswith("250"), name

        def held():
            """four held"""
            return p.ctl_json("status")[0]["held"] == 4
        until(held)
        assert p.children("agent") == []
        assert "postmaster NOBODY" in p.ctl("status")[1] and p.ctl_json("status")[0]["postmaster"] == "held"
        row = p.ctl_json("explain", "postmaster@example.test")[0]
        assert row["accepted"] and row["held"], row
        assert "held" in p.ctl("explain", "root@example.test")[1]
        p.stop()
        p.start()                           # a mark on the disk says so
        until(held)
        p.write_conf(BASE + "postmaster chief@boxes.test\n" + ACCOUNTS + WITH_BOX)
        assert p.ctl("reload")[0] == 0
        assert "postmaster" not in p.ctl("status")[1]
        assert p.ctl("queue", "release", "all")[0] == 0
        texts = p.wait_mail("chief", 4)
        assert all(b"Delivered-To: chief@boxes.test" in t for t in texts)
        with p.smtp() as s:
            assert s.mail("a@b.test", ["root", "postmaster"], LETTER).startswith("250")
        p.wait_mail("chief", 5)
        row = p.ctl_json("explain", "Postmaster")[0]
        assert row["becomes"] == "chief@boxes.test" and row["action"] == "boxes", row
        p.wait_empty()
        assert len(p.mail("chief")) == 5    # both names mean one recipient


def test_bounce_to_postmaster():
    """What nobody can be told of goes where the postmaster's mail goes."""
    with Postern("postmaster chief@boxes.test\n" + WITH_BOX +
                 "action out relay via smtp://127.0.0.1:1\nmatch from any for any action out\ndestination * { lifetime 1s, retry 1s..1s }\n") as p:
        with p.smtp() as s:
            assert s.mail("", "x@far.test", LETTER).startswith("250")
        text = p.wait_mail("chief", seconds=30)[0]
        assert b"x@far.test" in text and b"Delivered-To: chief@boxes.test" in text, text


def test_agent_environment():
    need_root()
    with Postern(LOCAL, start=False, expect_trouble=True, env={"CANARY": "sings", "LD_LIBRARY_PATH": "/none"}) as p:
        seen = os.path.join(p.dir, "environment")
        p.replace("agent", "#!/bin/sh\ntr '\\0' '\\n' </proc/$$/environ >%s.new\nls -l /proc/$$/fd >>%s.new\nmv %s.new %s\n" % (seen, seen, seen, seen))
        p.start()
        with p.smtp() as s:
            assert s.mail("a@b.test", "one@example.test", LETTER).startswith("250")
        until(lambda: os.path.exists(seen))
        with open(seen, encoding="utf-8") as f:
            lines = f.read().splitlines()
        names = {line.split("=")[0] for line in lines if re.match(r"[A-Z_]+=", line)}
        assert names - {"TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS"} == {"HOME", "USER", "LOGNAME", "SHELL", "PATH"}, lines
        assert "USER=nobody" in lines, lines


def test_configuration():
    """`user` names no account of ours and not root; -n says that root's mail would be held."""
    need_root()
    with Postern(start=False) as p:
        def check(text):
            p.write_conf(BASE + text)
            r = subprocess.run([os.path.join(B, "bin/posternd"), "-n", "-f", p.conf], capture_output=True, text=True, check=False)
            return r.returncode, r.stderr
        for name in ("root", "_posternq", "_POSTERN"):
            status, said = check('action in maildir "/x" user %s\nmatch from any for local action in\n' % name)
            assert status == 78 and ":8:29: " in said and name in said, said
        status, said = check(ACCOUNTS)
        assert status == 0 and "warning" in said and "postmaster ADDRESS" in said, said
        status, said = check("postmaster admin@far.test\naction out relay\nmatch from socket for any action out\n" + ACCOUNTS)
        assert status == 0 and "postmaster" not in said, said
        status, said = check("postmaster @\n" + ACCOUNTS)
        assert status == 78 and "not an address" in said, said
