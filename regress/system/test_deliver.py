"""postern-deliver by itself: jobs in, results out, against servers that lie, close, postpone, and agents that do."""
import contextlib
import os
import random
import socket
import threading
import time

from lib import LOCAL, SLOW, Liar, Postern, body_of, until
from lib_edge import Program, crc32c, first_of, memfd

SENT, DEFER, BOUNCE, NOT_BEFORE = range(4)
OK, NONE, NULL_MX, TEMPFAIL, BAD = range(5)
EIGHT, DOT, UTF8HDR, NO_EOL = 1, 4, 8, 16
MIME8 = 1
BASE = """hostname mx.test
domain example.test
spool "/tmp/postern-none"
runtime "/tmp/postern-none"
listen on 127.0.0.1 port 10690
destination * { retry 1s..2s, concurrency 4 }
"""
TEXT = b"Subject: x\r\n\r\n.dot\r\nbody\r\n"
PIPE = "250-liar.test\r\n250 PIPELINING\r\n"
NO_PIPE = "250 liar.test\r\n"
CHUNKS = "250-liar.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"


def server(heard=None, ehlo=PIPE, answers=None, mails=None):
    """A script for Liar that knows BDAT; an answer "close" closes, "!x" says x and closes."""
    answers = answers or {}

    def read(c, n):
        while len(c.rest) < n:
            more = c.sock.recv(65536)
            if not more:
                raise EOFError
            c.rest += more
        data, c.rest = c.rest[:n], c.rest[n:]
        return data

    def script(c, n):
        def say(verb, default, line=""):
            reply = answers.get(verb, default)
            reply = reply(line, n) if callable(reply) else reply
            if reply == "close":
                raise EOFError
            c.say(reply.lstrip("!"))
            if reply.startswith("!"):
                raise EOFError
            return reply
        say("banner", "220 liar.test ESMTP\r\n")
        while True:
            line = c.line()
            if heard is not None:
                heard.append((n, line))
            verb = line.split(" ")[0].split(":")[0].upper()
            if verb == "BDAT":
                data = read(c, int(line.split()[1]))
                if mails is not None:
                    mails.append(data)
                say(".", "250 2.0.0 taken\r\n", line)
                continue
            if verb == "QUIT":
                return
            reply = say(verb, {"EHLO": ehlo, "DATA": "354 go on\r\n"}.get(verb, "250 ok\r\n"), line)
            if verb == "DATA" and reply.startswith("3"):
                data = read(c, 3)
                while data != b".\r\n" and b"\r\n.\r\n" not in data[-5:]:
                    end = c.rest.find(b"\r\n.\r\n")
                    data += read(c, end + 5 if end != -1 else max(1, len(c.rest) - 4))
                if mails is not None:
                    mails.append(data)
                say(".", "250 2.0.0 taken\r\n", line)
    return script


class Deliver(Program):
    def __init__(self, conf):
        super().__init__("deliver", BASE + conf)
        self.queue, self.resolver = self.edge("queue"), self.edge("resolver")
        self.parent.send("START")
        assert self.parent.receive()[0] == "READY"
        assert self.queue.receive()[0] == "JOBS_TOLD"
        self.number, self.segment = 0, 0
        self.results = {}

    def new_segment(self, text):
        self.segment += 1
        self.queue.send("SEG", {"segment": self.segment}, fd=memfd(b"junk" + text + b"junk", seal=False))
        return self.segment

    def job(self, rcpts=("x@far.test",), text=TEXT, action=0, **more):
        self.number += 1
        rcpts = [r if isinstance(r, dict) else {"addr": r} for r in rcpts]
        now = int(time.time() * 1000)
        job = {"job": self.number, "id": 1000 + self.number, "generation": 1, "action": action, "domain": "far.test",
               "sender": "from@src.test", "body": 3, "arrival": now, "handed": now, "attempt": 1,
               "segment": self.new_segment(text), "offset": 4, "length": len(text), "crc": crc32c(text),
               "rcpts": [{"n": 10 + i, **r} for i, r in enumerate(rcpts)], **more}
        self.queue.send("JOB", job)
        return self.number

    def result(self, number=None, ack=True):
        """Of that job (or the next): (outcomes, dsns, texts, the whole)"""
        while number is None or number not in self.results:
            name, _, p, _ = self.queue.receive()
            assert name == "JOB_RESULT", name
            assert p["job"] not in self.results, "told twice: %r" % p
            self.results[p["job"]] = p
            if ack:
                self.queue.send("JOB_ACK", {"job": p["job"]})
            if number is None:
                number = p["job"]
        p = self.results[number]
        assert [r["n"] for r in p["results"]] == list(range(10, 10 + len(p["results"])))
        return [r["outcome"] for r in p["results"]], [r["dsn"] for r in p["results"]], [r["text"] for r in p["results"]], p


def via(*servers):
    return ", ".join("smtp://127.0.0.1:%d" % (s if isinstance(s, int) else s.port) for s in servers)


def closed_port(sock):
    sock.bind(("127.0.0.1", 0))
    return sock.getsockname()[1]


def relay(*servers):
    return "action a relay via %s\nmatch from any for any action a\n" % via(*servers)


def test_plain():
    mails = []
    with Liar(server(mails=mails)) as s, Deliver(relay(s)) as p:
        o, d, t, r = p.result(p.job(["x@far.test", "y@far.test"]))
        assert (o, d, t) == ([SENT, SENT], ["2.0.0"] * 2, ["2.0.0 taken"] * 2), (o, d, t)
        assert r["results"][0]["relay"] == "127.0.0.1[127.0.0.1]:%d" % s.port, r
        assert mails == [TEXT.replace(b"\r\n.dot", b"\r\n..dot") + b".\r\n"]
        p.result(p.job(text=b""))
        assert mails[1] == b".\r\n"
        p.result(p.job(text=b"no end"))
        assert mails[2] == b"no end\r\n.\r\n" and s.connections == 1


def test_bdat():
    mails = []
    with Liar(server(mails=mails, ehlo=CHUNKS)) as s, Deliver(relay(s)) as p:
        big = TEXT * 20000
        for text in (TEXT, b"", b"no end", big, TEXT):
            assert p.result(p.job(text=text))[0] == [SENT]
        assert mails == [TEXT, b"", b"no end", big, TEXT] and s.connections == 1


def test_large_and_slow():
    mails = []
    with Liar(server(mails=mails)) as s, Deliver(relay(s)) as p:
        big = b".0123456789\r\n" * 200000
        assert p.result(p.job(text=big))[0] == [SENT]
        assert mails[0] == big.replace(b".0", b"..0") + b".\r\n"


def test_unfit_bytes():
    """Nothing bare ever leaves."""
    mails = []
    with Liar(server(mails=mails)) as s, Deliver(relay(s)) as p:
        for text in (b"a\nb\r\n", b"a\r\n.\nMAIL FROM:<x>\r\n", b"\0\r\n", b"a\r", TEXT * 9000 + b"x\n.\r\n"):
            o, d, _, _ = p.result(p.job(text=text))
            assert (o, d) == ([BOUNCE], ["5.6.0"]), (o, d)
        assert p.result(p.job(length=1000))[0:2] == ([DEFER], ["4.3.0"])       # shorter than the queue says
        assert mails == []
        assert p.result(p.job())[0] == [SENT]


# What the first of two servers does at a stage, and what becomes of the mail.
DEEDS = {
    "close": "close", "421": "!421 4.3.2 closing\r\n", "450": "450 4.2.1 later\r\n", "550": "550 5.1.1 never\r\n",
    "garbage": "what?\r\n", "half": "!25", "differs": "250-a\r\n550 b\r\n", "wrong": "334 no\r\n", "421kept": "421 4.3.2 x\r\n",
}
SETUP = {deed: (SENT, 2) for deed in DEEDS}
MIDDLE = {**SETUP, "450": (DEFER, 1), "550": (BOUNCE, 1)}
GO_ON = {**MIDDLE, "wrong": (SENT, 1)}          # any 3xx
END = {"close": (DEFER, 1), "421": (SENT, 2), "450": (DEFER, 1), "550": (BOUNCE, 1), "garbage": (DEFER, 1), "half": (DEFER, 1),
       "differs": (DEFER, 1), "wrong": (DEFER, 1), "421kept": (SENT, 2)}
STAGES = {"banner": SETUP, "EHLO": SETUP, "MAIL": MIDDLE, "RCPT": MIDDLE, "DATA": GO_ON, ".": END}


def test_every_deed_at_every_stage():
    for ehlo in (PIPE, NO_PIPE, CHUNKS):
        cases, conf, servers = [], "", []
        with Liar(server()) as good:
            for stage, table in STAGES.items():
                if stage == "DATA" and ehlo == CHUNKS:
                    continue
                for deed, want in table.items():
                    servers.append(Liar(server(ehlo=ehlo, answers={stage: DEEDS[deed]})))
                    conf += "action a%d relay via %s\n" % (len(cases), via(servers[-1], good))
                    cases.append((stage, deed, *want))
            with Deliver(conf + "match from any for any action a0\n") as p:
                for n in range(len(cases)):
                    p.job(action=n)
                for n, (stage, deed, outcome, which) in enumerate(cases):
                    o, d, t, r = p.result(n + 1)
                    assert o == [outcome], (stage, deed, ehlo, o, d, t)
                    assert r["results"][-1]["relay"].endswith(":%d" % (servers[n] if which == 1 else good).port), (stage, deed, ehlo, r)
                    assert d[0][0] == "245"[outcome], (stage, deed, d)


def test_wrong_reply_is_named():
    """The reason names the step that was answered, not the one after."""
    for ehlo in (PIPE, NO_PIPE):
        for verb, step in (("MAIL", "MAIL FROM command"), ("RCPT", "RCPT TO command"), (".", "end of DATA command")):
            with Liar(server(ehlo=ehlo, answers={verb: "334 odd\r\n"})) as s, Deliver(relay(s)) as p:
                o, d, t, _ = p.result(p.job())
                assert (o, d) == ([DEFER], ["4.5.0"]) and "(334) while sending " + step in t[0], (verb, ehlo, d, t)


def test_each_recipient_has_its_own_host():
    """The first server takes one recipient and sends two on: one the second server takes, one nobody does."""
    def first(line, n):
        return "441 4.4.1 does not answer\r\n" if "<x@" not in line else "250 ok\r\n"

    def second(line, n):
        return "450 4.2.1 later\r\n" if "<z@" in line else "250 ok\r\n"
    with Liar(server(answers={"RCPT": first})) as one, Liar(server(answers={"RCPT": second})) as two, Deliver(relay(one, two)) as p:
        o, _, t, r = p.result(p.job(["x@far.test", "y@far.test", "z@far.test"]))
        assert o == [SENT, SENT, DEFER], (o, t)
        assert [x["relay"] for x in r["results"]] == ["127.0.0.1[127.0.0.1]:%d" % s.port for s in (one, two, two)], r


def test_silence_is_not_forever():
    """Not waited for here (minutes), but it does not disturb others."""
    with Liar(lambda c, n: time.sleep(5)) as mute, Liar(server()) as good, \
            Deliver("action a relay via %s\naction b relay via %s\nmatch from any for any action a\n" % (via(mute), via(good))) as p:
        p.job()
        assert p.result(p.job(action=1))[0] == [SENT]
        assert p.result(1)[0] == [DEFER]


def test_all_hosts_down():
    """What finds it out is a real attempt with its reason; all others, first ones too, wait for the end of the rest."""
    with socket.socket() as bound, Deliver(relay(closed_port(bound))) as p:
        o, d, t, _ = p.result(p.job())
        assert (o, d) == ([DEFER], ["4.4.1"]) and "onnection refused" in t[0], (o, d, t)
        for attempt in (1, 2):
            o, _, _, r = p.result(p.job(attempt=attempt))
            assert o == [NOT_BEFORE] and 0 < r["rest_ms"] <= 1000, r
        time.sleep(1.1)
        assert p.result(p.job(attempt=2))[0] == [DEFER]


def test_rcpt_answers():
    def rcpt(line, n):
        return "550 5.1.1 %s\r\n" % line[9:] if "bad" in line else "450 4.2.0 busy\r\n" if "busy" in line else "250 ok\r\n"
    for ehlo in (PIPE, NO_PIPE, CHUNKS):
        mails = []
        with Liar(server(answers={"RCPT": rcpt}, ehlo=ehlo, mails=mails)) as s, Deliver(relay(s)) as p:
            o, _, t, _ = p.result(p.job(["bad1@far.test", "a@far.test", "busy@far.test", "b@far.test"]))
            assert o == [BOUNCE, SENT, DEFER, SENT] and "bad1" in t[0], (o, t)
            assert p.result(p.job(["bad1@far.test", "bad2@far.test"]))[0] == [BOUNCE, BOUNCE]
            assert p.result(p.job())[0] == [SENT]
            assert s.connections <= 3, s.connections
            if ehlo == PIPE:
                assert mails[1] in (b".\r\n", mails[0])


def never(code):
    """A server that will never take mail for some, and says so at RCPT."""
    return lambda line, n: code + "\r\n" if "never" in line else "250 ok\r\n"


def test_never_there():
    """521 and 556 at RCPT: where there is no next host a bounce with those words, whatever is said to DATA; other mail goes on there."""
    refused = ("554 5.5.1 no valid recipients\r\n", "354 go on\r\n", "close")
    for code, dsn in (("521 host off", "5.3.2"), ("556 5.1.10 null MX", "5.1.10")):
        for ehlo, nobody in [(PIPE, how) for how in refused] + [(NO_PIPE, refused[0]), (CHUNKS, refused[0])]:
            heard, now = [], {}

            def rcpt(line, n, code=code, now=now):
                now[n] = now.get(n, False) or "never" not in line
                return never(code)(line, n)

            def data(_, n, nobody=nobody, now=now):
                return "354 go on\r\n" if now.pop(n) else nobody
            with Liar(server(heard, ehlo=ehlo, answers={"RCPT": rcpt, "DATA": data})) as s, Deliver(relay(s)) as p:
                jobs = [p.job(["never%d@far.test" % n] if n % 2 else ["a%d@far.test" % n, "never%d@far.test" % n]) for n in range(20)]
                for n, j in enumerate(jobs):
                    o, d, t, r = p.result(j)
                    assert o == ([BOUNCE] if n % 2 else [SENT, BOUNCE]), (code, ehlo, nobody, n, o, d, t)
                    assert (d[-1], t[-1], r["results"][-1]["code"]) == (dsn, code[4:], int(code[:3])), r
                assert s.connections <= 4 or ehlo == PIPE, s.connections


def test_never_at_the_first():
    """The next host takes what the first never will; or has the last word; or cannot be asked, so that it is not the end."""
    with Liar(server(answers={"RCPT": never("521 off")})) as first, Liar(server()) as good, socket.socket() as bound, \
            Liar(server(answers={"RCPT": never("521 5.3.2 off too")})) as same, \
            Liar(server(answers={"banner": "!450 4.3.2 not now\r\n"})) as busy:
        conf = "".join("action %s relay via %s\n" % (name, via(first, last)) for name, last in
                       (("a", good), ("b", same), ("c", closed_port(bound)), ("d", busy)))
        with Deliver(conf + "match from any for any action a\n") as p:
            for action, want in enumerate(((SENT, "2.0.0"), (BOUNCE, "5.3.2"), (DEFER, "4.4.1"), (DEFER, "4.3.2"))):
                jobs = [p.job(["never@far.test"], action=action), p.job(["a@far.test"], action=action)]
                o, d, t, _ = p.result(jobs[0])
                assert (o[0], d[0]) == want and (want[0] != BOUNCE or t == ["5.3.2 off too"]), (action, o, d, t)
                assert p.result(jobs[1])[0] == [SENT], action


def test_never_for_a_crowd():
    """The recipients behind the first hundred are asked too."""
    with Liar(server(answers={"RCPT": "521 off\r\n"})) as s, Deliver(relay(s)) as p:
        assert p.result(p.job(["r%d@far.test" % n for n in range(250)]))[0] == [BOUNCE] * 250
        assert s.connections == 1


def test_nobody_accepted_and_dot_taken():
    with Liar(server(answers={"RCPT": "550 no\r\n"})) as s, Deliver(relay(s)) as p:
        for _ in range(3):
            assert p.result(p.job())[0] == [BOUNCE]
        time.sleep(0.3)
        assert p.result(p.job())[0] == [BOUNCE] and s.connections <= 3


def test_too_many_recipients():
    """452 4.5.3: the rest follows at once."""
    count = {}

    def rcpt(line, n):
        count[0] = count.get(0, 0) + 1
        return "250 ok\r\n" if count[0] <= 3 else "452 4.5.3 too many\r\n"

    def end(line, n):
        count[0] = 0
        return "250 2.0.0 taken\r\n"
    for ehlo in (PIPE, NO_PIPE, CHUNKS):
        mails = []
        count.clear()
        with Liar(server(answers={"RCPT": rcpt, ".": end}, ehlo=ehlo, mails=mails)) as s, Deliver(relay(s)) as p:
            assert p.result(p.job(["r%d@far.test" % n for n in range(8)]))[0] == [SENT] * 8
            assert len(mails) == 3 and s.connections == 1
    with Liar(server(answers={"RCPT": "452 4.5.3 no\r\n"})) as s, Deliver(relay(s)) as p:
        assert p.result(p.job(["a@far.test", "b@far.test"]))[0] == [DEFER] * 2


def test_many_recipients():
    heard = []
    with Liar(server(heard)) as s, Deliver(relay(s)) as p:
        assert p.result(p.job(["r%d@far.test" % n for n in range(250)]))[0] == [SENT] * 250
        assert s.connections == 1
        assert len([1 for _, line in heard if line.startswith("RCPT")]) == 250
        assert len([1 for _, line in heard if line.startswith("MAIL")]) == 3


def test_prefetch_and_reuse():
    """Many jobs, few connections, each once; the next MAIL comes with the final dot."""
    heard, mails = [], []
    with Liar(server(heard, mails=mails)) as s, Deliver(relay(s)) as p:
        jobs = [p.job(["r%d@far.test" % n], b"n: %d\r\n\r\n" % n) for n in range(200)]
        assert all(p.result(j)[0] == [SENT] for j in jobs)
        assert sorted(mails) == sorted(b"n: %d\r\n\r\n.\r\n" % n for n in range(200))
        assert s.connections <= 4
        assert sorted(line for _, line in heard if line[:4] == "RCPT") == sorted("RCPT TO:<r%d@far.test>" % n for n in range(200))


def test_one_message_per_connection():
    """A server that closes after every message, with or without a word: what was prefetched is sent anew, and once."""
    for ending in ("!250 2.0.0 taken\r\n", "!250 2.0.0 taken\r\n421 4.7.0 enough\r\n"):
        for ehlo in (PIPE, NO_PIPE, CHUNKS):
            mails = []
            with Liar(server(mails=mails, ehlo=ehlo, answers={".": ending})) as s, Deliver(relay(s)) as p:
                jobs = [p.job(text=b"n: %d\r\n\r\n" % n) for n in range(30)]
                outcomes = [p.result(j)[:3] for j in jobs]
                assert all(o[0] == [SENT] for o in outcomes), (ending, ehlo, outcomes)
                assert len(mails) == len(set(mails)) == 30


def test_limit_of_messages():
    """421 in place of the third MAIL of a connection: no rest, no deferral."""
    count = {}

    def mail(line, n):
        count[n] = count.get(n, 0) + 1
        return "!421 4.7.0 enough\r\n" if count[n] == 3 else "250 ok\r\n"
    with Liar(server(answers={"MAIL": mail})) as s, Deliver(relay(s)) as p:
        jobs = [p.job() for n in range(40)]
        assert all(p.result(j)[0] == [SENT] for j in jobs)
        assert s.connections >= 20


def test_limit_of_connections():
    """A host that takes two connections and refuses more: the two serve all."""
    def banner(line, n):
        return "220 hi\r\n" if n <= 2 else "!421 4.7.0 too many connections\r\n"

    def end(line, n):
        time.sleep(0.02)
        return "250 2.0.0 taken\r\n"
    with Liar(server(answers={"banner": banner, ".": end})) as s, Deliver(relay(s)) as p:
        jobs = [p.job() for n in range(60)]
        outcomes = [p.result(j)[0] for j in jobs]
        assert outcomes.count([SENT]) == 60, outcomes
        assert s.connections <= 8, s.connections


def test_lost_after_dot():
    n = []

    def end(line, _):
        n.append(1)
        return "close" if len(n) == 1 else "250 2.0.0 taken\r\n"
    with Liar(server(answers={".": end})) as s, Liar(server()) as other, Deliver(relay(s, other)) as p:
        o, d, t, _ = p.result(p.job())
        assert (o, d) == ([DEFER], ["4.4.2"]) and "more than once" in t[0], (o, d, t)
        assert other.connections == 0


def test_early_final_reply():
    """The server says 5xx or 4xx in the middle of the message and closes, or goes on reading."""
    def script(text, closing):
        def serve(c, n):
            c.say("220 x\r\n")
            for reply in (PIPE, "250 ok\r\n", "250 ok\r\n", "354 go\r\n"):
                c.line()
                c.say(reply)
            c.sock.recv(1000)
            c.say(text)
            if closing:
                c.sock.close()
            else:
                time.sleep(3)
        return serve
    big = TEXT * 400000
    for text, outcome in (("552 5.3.4 too big\r\n", BOUNCE), ("451 4.3.0 no\r\n", DEFER), ("250 2.0.0 ok?\r\n", DEFER)):
        with Liar(script(text, False)) as s, Deliver(relay(s)) as p:
            o, d, t, _ = p.result(p.job(text=big))
            assert o == [outcome], (text, o, d, t)


def test_parameters():
    heard = []
    ehlo = "250-liar.test\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 PIPELINING\r\n"
    with Liar(server(heard, ehlo=ehlo)) as s, Deliver(relay(s)) as p:
        p.result(p.job([{"addr": "x@far.test", "notify": 6, "orcpt": "rfc822;o=x@b.test"}, {"addr": "y@far.test", "notify": 1}],
                       ret=2, envid="a+b", flags=EIGHT | UTF8HDR, body=MIME8, smtputf8=1))
        assert [line for _, line in heard[1:4]] == [
            "MAIL FROM:<from@src.test> SIZE=%d BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb" % len(TEXT),
            "RCPT TO:<x@far.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+3Dx@b.test", "RCPT TO:<y@far.test> NOTIFY=NEVER"], heard
        assert p.result(p.job(text=b"x" * 998 + b"\r\n" + b"y\r\n"))[:2] == ([BOUNCE], ["5.3.4"])
    with Liar(server()) as s, Deliver(relay(s)) as p:
        assert p.result(p.job(flags=EIGHT, body=MIME8))[0] == [SENT]      # made 7-bit: test_7bit has it in full
        assert p.result(p.job(flags=EIGHT))[0] == [SENT]
        assert p.result(p.job(["\u00fc@far.test", "x@far.test"]))[:2] == ([BOUNCE, SENT], ["5.6.7", "2.0.0"])
        assert p.result(p.job(["x@far.test>\r\nRSET\r\n"]))[0] == [BOUNCE]


def test_idle_connection_is_kept_and_given_up():
    heard = []
    with Liar(server(heard)) as s, Deliver(relay(s)) as p:
        p.result(p.job())
        time.sleep(0.5)
        p.result(p.job())
        assert s.connections == 1
        time.sleep(4)
        p.result(p.job())
        assert s.connections == 2


def test_server_closes_idle_connection():
    def script(c, n):
        threading.Timer(0.5, lambda: c.sock.fileno() != -1 and c.sock.shutdown(2)).start()
        server()(c, n)
    with Liar(script) as s, Deliver(relay(s)) as p:
        p.result(p.job())
        time.sleep(0.8)
        assert p.result(p.job())[0] == [SENT] and s.connections == 2


def test_two_hops():
    """To another Postern, which offers CHUNKING and all the rest: byte for byte."""
    rnd, texts = random.Random(4), []
    with Postern(LOCAL.replace("for local", "for any")) as b, \
            Postern("action out relay via smtp://127.0.0.1:$sink\nmatch from local for any action out\n", sink=b.port) as a:
        with a.smtp() as s:
            for n in range(100):
                lines = [rnd.choice([b".", b"..", b"", b".x", b"abc", b"\xc3\xa9", b"y" * 900]) for _ in range(rnd.choice([1, 50, 3000]))]
                texts.append(b"\r\n".join([b"Subject: %d" % n, b""] + lines) + b"\r\n")
                assert s.mail("a@src.test", "u%d@dst.test" % n, texts[n]).startswith("250")
        a.wait_empty(30)
        for n in range(100):
            assert [body_of(body_of(m)) for m in b.wait_mail("u%d" % n)] == [texts[n].replace(b"\r\n", b"\n")], n


# ---- routes ----

def by_mx():
    return Deliver("action a relay\nmatch from any for any action a\n")


def mx(p, status, hosts=(), text="", ttl=60):
    name, id, ask, _ = p.resolver.receive()
    assert name == "MX_ASK"
    p.resolver.send("MX", {"status": status, "text": text, "ttl": ttl,
                           "hosts": [{"preference": a, "host": b, "address": c} for a, b, c in hosts]}, id=id)
    return ask


def test_mx_failures():
    with by_mx() as p:
        cases = [(NULL_MX, (), BOUNCE, "5.1.10"), (NONE, (), BOUNCE, "5.1.2"), (TEMPFAIL, (), DEFER, "4.4.3"), (BAD, (), DEFER, "4.4.3"),
                 (OK, (), BOUNCE, "5.4.4"), (OK, [(5, "a.test", "0.0.0.0")], BOUNCE, "5.4.4"),
                 (OK, [(5, "mx.test", "192.0.2.1"), (9, "b.test", "192.0.2.2")], BOUNCE, "5.4.6"),
                 (OK, [(5, "mx.test", ""), (9, "b.test", "192.0.2.2")], BOUNCE, "5.4.6")]
        for n, (status, hosts, outcome, dsn) in enumerate(cases):
            j = p.job(domain="D%d.test" % n)
            assert mx(p, status, hosts, "why")["domain"] == "d%d.test" % n
            o, d, _, r = p.result(j)
            assert (o, d) == ([outcome], [dsn]), (n, o, d)
            assert r["results"][0]["code"] == 0, "no server said so"


def test_mx_questions():
    """One question for many jobs; asked again of a new resolver; literals ask nothing."""
    with Liar(server()) as s, by_mx() as p:
        jobs = [p.job() for _ in range(5)]
        assert p.resolver.receive()[2] == {"domain": "far.test", "literal_host": 0}
        time.sleep(0.3)
        p.resolver.close()
        p.resolver = p.edge("resolver")
        mx(p, TEMPFAIL)
        assert all(p.result(j)[0] == [DEFER] for j in jobs)
        o, d, t, _ = p.result(p.job(domain="[127.0.0.1]"))
        assert o == [DEFER] and "127.0.0.1]:25" in t[0], t
        assert p.result(p.job(domain="[IPv6:::]"))[:2] == ([BOUNCE], ["5.1.3"])
        assert p.result(p.job(domain=""))[0] == [BOUNCE]
        p.resolver.send("MX", {}, id=77)                # an answer to nothing
        assert s.connections == 0 and p.process.poll() is None


def test_own_literals():
    """Mail to a literal of an address at which we listen, or of an interface of ours, comes back at once."""
    with Deliver("listen on 127.0.3.4\nlisten on ::\n.local-address 192.0.2.7 2001:db8::7\naction a relay\nmatch from any for any action a\n") as p:
        for domain in ("[127.0.3.4]", "[192.0.2.7]", "[IPv6:2001:db8::7]", "[IPv6:::1]", "[IPV6:2001:DB8:0::7]"):
            o, d, t, _ = p.result(p.job(domain=domain))
            assert (o, d) == ([BOUNCE], ["5.4.6"]) and "loops back" in t[0], (domain, o, d, t)


def test_smarthost_names():
    with Liar(server()) as s, Deliver("action a relay via smtp://one.test:%d, smtp://[two.test]:%d\nmatch from any for any action a\n"
                                      % (s.port, s.port)) as p:
        j = p.job()
        assert mx(p, NONE) == {"domain": "one.test", "literal_host": 0}
        assert mx(p, OK, [(0, "two.test", "127.0.0.1")]) == {"domain": "two.test", "literal_host": 1}
        o, _, _, r = p.result(j)
        assert o == [SENT] and r["results"][0]["relay"].startswith("two.test[127.0.0.1]"), r
    with Deliver("action a relay via smtp://one.test\nmatch from any for any action a\n") as p:
        j = p.job()
        mx(p, NONE)
        assert p.result(j)[:2] == ([DEFER], ["4.4.4"])      # the administrator's mistake is not the sender's


def test_other_generation():
    with Liar(server()) as s, Deliver(relay(s)) as p:
        assert p.result(p.job(generation=2))[0] == [NOT_BEFORE]
        assert p.result(p.job(action=7))[0] == [NOT_BEFORE]
        p.configure(BASE + relay(s), 2)
        assert p.result(p.job(generation=2))[0] == [SENT]


# ---- the queue's edge ----

def test_new_queue():
    gate = threading.Event()

    def end(line, n):
        if n > 1:
            gate.wait(20)
        return "250 2.0.0 taken\r\n"
    with Liar(server(answers={".": end})) as s, Deliver(relay(s)) as p:
        p.result(p.job(), ack=False)
        time.sleep(4)                                   # the kept connection is given up
        p.job(["a@far.test", "b@far.test"])
        until(lambda: s.connections == 2)
        p.queue.close()
        time.sleep(0.3)
        p.results.clear()
        p.queue = p.edge("queue")
        said = [p.queue.receive() for _ in range(4)]
        assert [(m[0], m[2].get("job"), m[2].get("id")) for m in said] == [
            ("JOB_HELD", 1, 1001), ("JOB_HELD", 2, 1002), ("JOBS_TOLD", None, None), ("JOB_RESULT", 1, 1001)], said
        assert [r["n"] for r in said[1][2]["rcpts"]] == [10, 11]
        p.queue.send("JOB_ACK", {"job": 1})
        gate.set()
        assert p.result(2)[0] == [SENT, SENT]
        p.queue.close()
        time.sleep(0.3)
        p.queue = p.edge("queue")
        assert p.queue.receive()[0] == "JOBS_TOLD"
        p.segment += 100
        p.results.clear()
        assert p.result(p.job())[0] == [SENT]


def test_queue_says_nonsense():
    with Liar(server()) as s, Deliver(relay(s)) as p:
        p.queue.send("JOB_ACK", {"job": 99})
        p.queue.send("SEG_GONE", {"segment": 99})
        assert p.result(p.job(segment=99))[:2] == ([DEFER], ["4.3.0"])
        p.job(rcpts=[])
        assert p.result(p.job())[0] == [SENT]


def test_segment_goes_in_midst():
    """The descriptor stays until the job is done."""
    gate = threading.Event()

    def data(line, n):
        gate.wait(10)
        return "354 go\r\n"
    mails = []
    with Liar(server(answers={"DATA": data}, mails=mails)) as s, Deliver(relay(s)) as p:
        j = p.job()
        until(lambda: s.connections)
        p.queue.send("SEG_GONE", {"segment": p.segment})
        time.sleep(0.2)
        gate.set()
        assert p.result(j)[0] == [SENT] and len(mails) == 1


def test_drain():
    gate = threading.Event()

    def end(line, n):
        gate.wait(10)
        return "250 2.0.0 taken\r\n"
    with Liar(server(answers={".": end})) as s, Deliver(relay(s)) as p:
        jobs = [p.job() for _ in range(12)]
        until(lambda: s.connections == 2)  # the first ones, as long as nothing was taken
        time.sleep(0.2)
        p.parent.send("DRAIN")
        time.sleep(0.2)
        gate.set()
        outcomes = [p.result(j)[0][0] for j in jobs]
        assert set(outcomes) == {SENT, NOT_BEFORE}, outcomes
        assert p.wait(10) == 0


# ---- agents ----

MAILDIR = "action m maildir\nmatch from any for any action m\n"


class Agents:
    """Plays the parent, and the agent that it hands out."""

    def __init__(self, p):
        self.p = p

    def asked(self):
        name, id, ask, _ = self.p.parent.receive()
        assert name == "AGENT_ASK", name
        return id, ask

    def start(self):
        id, ask = self.asked()
        edge, fd = self.p.pair()
        self.p.parent.send("AGENT", id=id, fd=fd)
        return ask["account"], edge

    def refuse(self, never=0):
        id, ask = self.asked()
        self.p.parent.send("NO_AGENT", {"never": never, "text": "no such account"}, id=id)
        return ask["account"]


def answer(edge, mail, outcome=SENT, dsn="2.0.0", text="delivered to maildir", rcpts=None):
    edge.send("MAIL_RESULT", {"job": mail["job"], "results": [
        {"n": r["n"], "outcome": outcome, "dsn": dsn, "text": text} for r in (rcpts if rcpts is not None else mail["rcpts"])]})


def test_agent():
    with Deliver(MAILDIR) as p:
        agents = Agents(p)
        j = p.job(["Anna+tag@far.test", "ben@far.test", "anna@far.test"])
        started = dict(agents.start() for _ in range(2))
        assert set(started) == {"anna", "ben"}
        for account, edge in started.items():
            name, _, mail, fd = edge.receive()
            assert name == "MAIL" and mail["length"] == len(TEXT) and mail["sender"] == "from@src.test"
            assert [r["n"] for r in mail["rcpts"]] == ([10, 12] if account == "anna" else [11])
            assert os.pread(fd, 1000, 0) == TEXT
            try:
                os.pwrite(fd, b"x", 0)
                raise AssertionError("it can be written")
            except PermissionError:
                pass
            os.close(fd)
            answer(edge, mail)
        o, d, t, r = p.result(j)
        assert o == [SENT] * 3 and t[0] == "delivered to maildir" and {x["relay"] for x in r["results"]} == {"maildir"}
        time.sleep(0.5)
        p.job(["ben@far.test"])                             # the same agent
        mail = started["ben"].receive()[2]
        answer(started["ben"], mail, BOUNCE, "5.2.2", "full\r\nof it")
        assert p.result(2)[:3] == ([BOUNCE], ["5.2.2"], ["full??of it"])
        assert started["ben"].is_closed()                   # idle


def test_no_agent():
    """For now, or never."""
    with Deliver(MAILDIR) as p:
        agents = Agents(p)
        j = p.job(["gone@far.test", "root@far.test"])
        assert [agents.refuse(), agents.refuse(never=1)] == ["gone", "root"]
        o, d, t, _ = p.result(j)
        assert (o, d, t) == ([DEFER, BOUNCE], ["4.3.0", "5.1.1"], ["no such account"] * 2)


def test_hostile_agents():
    lies = [lambda e, m: answer(e, {**m, "job": m["job"] + 1}), lambda e, m: answer(e, m, rcpts=[{"n": 99}]),
            lambda e, m: answer(e, m, rcpts=[]), lambda e, m: e.close(), lambda e, m: e.raw(b"\0" * 1000),
            lambda e, m: e.raw(b"\xff" * 1000), lambda e, m: e.send("MAIL", {"job": 1}, fd=os.open("/dev/null", os.O_RDONLY)),
            lambda e, m: e.send("JOB_RESULT", {"job": 1}), lambda e, m: answer(e, m, NOT_BEFORE), lambda e, m: answer(e, m, 77, "9.9.9")]
    with Deliver(MAILDIR) as p:
        agents = Agents(p)
        for n, lie in enumerate(lies):
            j = p.job(["user%d@far.test" % n])
            while first_of(p.queue, p.parent) is p.parent:  # what a lost agent had in hand is tried once more, by another
                _, edge = agents.start()
                _, _, mail, fd = edge.receive()
                os.close(fd)
                with contextlib.suppress(OSError):
                    lie(edge, mail)
            o, d, _, _ = p.result(j)
            assert (o, d) == ([DEFER], ["4.3.0"]), (n, o, d)
        j = p.job(["a@far.test"])                           # told twice, and too much
        _, edge = agents.start()
        mail = edge.receive()[2]
        with contextlib.suppress(OSError):
            answer(edge, mail, rcpts=mail["rcpts"] * 3)
        assert p.result(j)[0] == [SENT] and edge.is_closed()
        assert p.process.poll() is None


def test_many_agents():
    """No more than fifty at a time; every mail arrives."""
    with Deliver(MAILDIR) as p:
        agents, threads = Agents(p), []
        jobs = [p.job(["user%d@far.test" % n]) for n in range(120)]

        def serve(edge):
            try:
                while True:
                    _, _, mail, fd = edge.receive()
                    os.close(fd)
                    time.sleep(0.05)
                    answer(edge, mail)
            except (OSError, EOFError):
                pass
        for _ in range(120):
            _, edge = agents.start()
            threads.append(threading.Thread(target=serve, args=(edge,), daemon=True))
            threads[-1].start()
        assert all(p.result(j)[0] == [SENT] for j in jobs)


test_every_deed_at_every_stage.seconds = 120
test_new_queue.seconds = 60 * SLOW
