"""What tools read in the log and in replies: the words of refusals, and what fail2ban, pflogsumm and logwatch make of them."""
import os
import re
import subprocess

from lib import LOCAL, TOP, Postern, Smtp, need, strangers, until

STRANGER = "198.51.100.9"
RULES = """table bad { 198.51.100.66 }
match from <bad> for any reject
match from any helo "evil.test" for any reject
match from any mail-from "spam@bad.test" for any reject
match from any for rcpt "closed@example.test" reject "550 5.7.1 this box is closed"
action box maildir "$dir/mail/%{user}" user $account users <users>
table users { one, two, list }
match from any for local action box
limit errors 100
limit greet-pause 0s
"""


def rcpt(s, address="one@example.test", sender="a@b.test"):
    s.cmd("RSET")
    assert s.cmd("MAIL FROM:<%s>" % sender).startswith("250")
    return s.cmd("RCPT TO:<%s>" % address)


def stranger(p, source=STRANGER, helo="client.test"):
    s = Smtp(p.port, source=(source, 0))
    assert s.cmd("EHLO " + helo).startswith("250")
    return s


def test_refusals():
    """Every refusal has its line, and says what is refused."""
    strangers()
    with Postern(RULES) as p:
        with stranger(p) as s:
            assert rcpt(s, "x@far.test") == "550 5.7.1 <x@far.test>: Relay access denied"
            assert rcpt(s, "no@example.test") == "550 5.1.1 <no@example.test>: Recipient address rejected: User unknown in local recipient table"
            assert rcpt(s, "closed@example.test") == "550 5.7.1 this box is closed"
            assert rcpt(s, sender="spam@bad.test") == "550 5.7.1 <spam@bad.test>: Sender address rejected: Access denied"
            assert rcpt(s).startswith("250") and s.cmd("RCPT TO:<one>").startswith("501 5.1.3 <one>: Recipient address rejected: ")
            assert s.cmd("RCPT TO:<PostMaster>").startswith("250")
            assert s.cmd("EHLO a b").startswith("501 5.5.2 <a b>: Helo command rejected: ")
            assert s.cmd("FOO").startswith("500 5.5.1")
            s.cmd("RSET")
            assert s.cmd("MAIL FROM:<a@b@c>").startswith("501 5.1.7 <a@b@c>: Sender address rejected: ")
            assert rcpt(s, "two@example.test").startswith("250") and s.cmd("DATA").startswith("354")
            s.send("bare\nlf\r\n.\r\n")
            assert s.reply().startswith("550 5.5.2")
        with stranger(p, helo="evil.test") as s:
            assert rcpt(s) == "550 5.7.1 <evil.test>: Helo command rejected: Access denied"
        with stranger(p, "198.51.100.66") as s:
            assert rcpt(s) == "550 5.7.1 <unknown[198.51.100.66]>: Client host rejected: Access denied"
        host = r"unknown\[198\.51\.100\.9\]"
        tail = r"; from=<a@b\.test> to=<%s> proto=ESMTP helo=<client\.test>$"
        for line in (r"RCPT from " + host + r": 550 5\.7\.1 <x@far\.test>: Relay access denied" + tail % r"x@far\.test",
                     r"RCPT from " + host + r": 550 5\.1\.1 <no@example\.test>: Recipient address rejected: User unknown in local recipient table" + tail % r"no@example\.test",
                     r"RCPT from " + host + r": 550 5\.7\.1 <closed@example\.test>: Recipient address rejected: this box is closed"
                     + tail % r"closed@example\.test", r"UNKNOWN from " + host + r": 500 5\.5\.1 ", r"EHLO from " + host + r": 501 5\.5\.2 <a b>: Helo "):
            p.wait_log(r"smtpd\[\d+\]: NOQUEUE: reject: " + line)
        p.wait_log(r"smtpd\[\d+\]: \w+: reject: END-OF-MESSAGE from " + host + r": 550 5\.5\.2 .*" + tail % r"two@example\.test")
        p.wait_log(r"smtpd\[\d+\]: lost connection after RCPT from unknown\[198\.51\.100\.66\]$")


def test_odd_names():
    """Names of the field are taken, and logged."""
    with Postern(RULES) as p, Smtp(p.port) as s:
        for name in ("host-", "-host.test", "win_box", "a-.b-.test", "[IPv6:fe80::1%eth0]", "[fe80::1]", "[192.0.2.1]", "host.test."):
            assert s.cmd("EHLO " + name).startswith("250"), name
        for name in ("", "a b", "a<b>", "a;b", "(x)", "a..b", "[]", "[a b]", "\x1b[2J", "x" * 300):
            assert s.cmd("EHLO " + name).startswith("501 5.5.2"), name
        p.wait_log(r"EHLO from localhost\[127\.0\.0\.1\]: irregular name taken: helo=<\[IPv6:fe80::1%eth0\]>$")
        assert "taken: helo=<win_box>" not in p.log()


def test_socket_client():
    """A client that is no host has an address that tools can read, and its uid."""
    with Postern(RULES) as p:
        p.sendmail("-f", "a@b.test", "one@example.test", "no@example.test", text=b"Subject: x\n\nhi\n")
        p.wait_mail("one")
        uid = os.getuid()
        p.wait_log(r"connect from localhost\[127\.0\.0\.1\] uid=%d$" % uid)
        p.wait_log(r"\w+: client=localhost\[127\.0\.0\.1\], uid=%d$" % uid)
        p.wait_log(r"NOQUEUE: reject: RCPT from localhost\[127\.0\.0\.1\]: 550 5\.1\.1 <no@example\.test>: .* proto=local helo=<.*> uid=%d$" % uid)


def events(p):
    """Something of every kind, by a stranger; the log then goes to the tools."""
    with stranger(p) as s:
        for _ in range(3):
            rcpt(s, "x@far.test")
            rcpt(s, "no@example.test")
        s.cmd("RSET")
        assert s.mail("a@b.test", "one@example.test", b"Subject: x\r\n\r\nhi\r\n").startswith("250")
        s.cmd("FOO")
    with Smtp(p.port, source=(STRANGER, 0), banner=False) as s:
        s.send("EHLO early.test\r\n")
        assert s.is_closed()
    with stranger(p, helo="evil.test") as s:
        rcpt(s)
        s.cmd("QUIT")
    with stranger(p) as s:
        while not s.cmd("MAIL FROM:nonsense").startswith("421"):
            pass
    p.sendmail("-f", "a@b.test", "one@example.test", text=b"Subject: x\n\nhi\n")
    p.wait_mail("one", 2)
    until(lambda: p.log().count("status=sent") == 2 and p.log().count(": removed") == 2)


def test_tools():
    fail2ban, pflogsumm, logwatch = need("fail2ban-regex"), need("pflogsumm"), need("logwatch")
    strangers()
    with Postern(RULES.replace("errors 100", "errors 10").replace("0s", "1s")) as p:
        events(p)
        path = p.logfile
        # fail2ban: our filter, which is Debian's for Postfix with our name
        filters = os.path.join(p.dir, "filter.d")
        subprocess.run(["cp", "-r", "/etc/fail2ban/filter.d", filters], check=True)
        subprocess.run(["cp", os.path.join(TOP, "etc/fail2ban/filter.d/postern.conf"), filters], check=True)
        for mode, least in (("more", 8), ("aggressive", 10)):
            r = subprocess.run([fail2ban, "-v", path, os.path.join(filters, "postern.conf[mode=%s]" % mode)], capture_output=True, text=True,
                               check=False)
            found = re.findall(r"^\|\s+(\d+\.[\d.]+)  ", r.stdout, re.M)
            assert len(found) >= least and set(found) <= {STRANGER, "127.0.0.1"}, (mode, r.stdout[-2500:], r.stderr)
        # pflogsumm
        r = subprocess.run([pflogsumm, "--syslog-name=postern", path], capture_output=True, text=True, check=False)
        assert r.returncode == 0 and not r.stderr, r.stderr
        for pattern in (r"^\s+2\s+delivered", r"Relay access denied", r"Recipient address rejected: User unknown"):
            assert re.search(pattern, r.stdout, re.M), (pattern, r.stdout)
        # logwatch
        script = "/usr/share/logwatch/scripts/services/postfix"
        with open(path, encoding="utf-8") as f:
            r = subprocess.run(["perl", script, "--syslog_name", r"postern/[-a-zA-Z\d]+", "--detail", "10"], stdin=f, capture_output=True, text=True,
                               check=False, env={**os.environ, "LOGWATCH_DETAIL_LEVEL": "10"})
        assert logwatch and r.returncode == 0 and not r.stderr, r.stderr
        told, _, unmatched = r.stdout.partition("Unmatched Entries")
        for pattern in (r"^\s+\d+\s+5xx Reject relay denied", r"^\s+\d+\s+5xx Reject unknown user", r"^\s+2\s+Delivered"):
            assert re.search(pattern, told, re.M), (pattern, r.stdout)
        assert "RCPT" not in unmatched and "connect" not in unmatched, unmatched
