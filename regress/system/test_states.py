"""All sequences of commands up to length 4, against a small model of what a session may be."""
import itertools

from lib import Postern, Smtp

CONF = """limit errors 1000000
limit commands 1000000000
action nowhere discard
match from any for domain example.test action nowhere
"""
GOOD = b"Subject: x\r\n\r\nhi\r\n"
BAD = b"Subject: x\r\n\r\nbare\rcr\r\n"


class Model:
    """What the server knows: greeted, transaction open, recipients, a BDAT was taken."""

    def __init__(self, greeted=True):
        self.greeted, self.mail, self.rcpts, self.bdat = greeted, False, 0, False

    def reset(self):
        self.mail, self.rcpts, self.bdat = False, 0, False

    def helo(self):
        self.greeted = True
        self.reset()
        return "250"

    def mail_from(self):
        if not self.greeted or self.mail:
            return "503 5.5.1"
        self.mail = True
        return "250 2.1.0"

    def bad_mail(self):
        return "503 5.5.1" if not self.greeted or self.mail else "501 5.1.7"

    def rcpt(self):
        if not self.mail or self.bdat:
            return "503 5.5.1"
        self.rcpts += 1
        return "250 2.1.5"

    def bad_rcpt(self):
        return "503 5.5.1" if not self.mail or self.bdat else "550 5.7.1"

    def data(self, last="250 2.0.0"):
        """-> reply to DATA; the message follows a 354, and last is what answers it."""
        if not self.mail or self.bdat:
            return "503 5.5.1"
        if not self.rcpts:
            return "554 5.5.1"
        self.reset()
        return ("354", last)

    def bad_data(self):
        return self.data("550 5.5.2")

    def chunk(self):
        if not self.rcpts:
            return "503 5.5.1"
        self.bdat = True
        return "250 2.0.0"

    def last_chunk(self):
        if not self.rcpts:
            return "503 5.5.1"
        self.reset()
        return "250 2.0.0"

    def bad_chunk(self):
        if not self.rcpts:
            return "503 5.5.1"
        self.reset()
        return "550 5.5.2"

    def rset(self):
        self.reset()
        return "250 2.0.0"


COMMANDS = {
    b"EHLO client.test\r\n": Model.helo,
    b"MAIL FROM:<a@b.test>\r\n": Model.mail_from,
    b"MAIL FROM:nobody\r\n": Model.bad_mail,
    b"RCPT TO:<u@example.test>\r\n": Model.rcpt,
    b"RCPT TO:<u@elsewhere.test>\r\n": Model.bad_rcpt,
    b"DATA\r\n": Model.data,
    b"DaTa\r\n": Model.bad_data,
    b"BDAT %d\r\n" % len(GOOD) + GOOD: Model.chunk,
    b"BDAT %d LAST\r\n" % len(GOOD) + GOOD: Model.last_chunk,
    b"BDAT %d \r\n" % len(BAD) + BAD: Model.bad_chunk,
    b"RSET\r\n": Model.rset,
    b"VRFY nobody@elsewhere.test\r\n": lambda model: "550 5.7.1",
    b"NONSENSE\r\n": lambda model: "500 5.5.1",
}


def walk(session, model, sequence):
    for n, command in enumerate(sequence):
        want = COMMANDS[command](model)
        session.send(command)
        got = session.reply()
        go, last = want if isinstance(want, tuple) else (want, None)
        assert got.startswith(go), "%r: %r, not %r" % (sequence[:n + 1], got, go)
        if last:
            session.send((BAD if last[0] == "5" else GOOD) + b".\r\n")
            got = session.reply()
            assert got.startswith(last), "%r: %r, not %r" % (sequence[:n + 1], got, last)


OPENED = (b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<u@example.test>\r\n")


def sequences(port, length, before=()):
    """Every sequence on a kept session, each after a RSET and what is to come before it."""
    with Smtp(port) as s:
        walk(s, Model(False), [b"EHLO client.test\r\n"])
        for sequence in itertools.product(COMMANDS, repeat=length):
            walk(s, Model(), before + sequence)
            s.send("RSET\r\n")
            assert s.reply().startswith("250")


def greetings(port, length):
    """The same on fresh sessions, without EHLO."""
    for sequence in itertools.product(COMMANDS, repeat=length):
        with Smtp(port) as s:
            walk(s, Model(False), sequence)


def test_up_to_three():
    with Postern(CONF) as p:
        sequences(p.port, 1)
        sequences(p.port, 2)
        sequences(p.port, 3)
        sequences(p.port, 2, OPENED)
        greetings(p.port, 2)


def test_four():
    with Postern(CONF) as p:
        sequences(p.port, 4)
        sequences(p.port, 3, OPENED)


test_four.seconds = 240
