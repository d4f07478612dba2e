"""postern-lookup alone: a listener that has gone astray."""
from lib_edge import Program

CONF = "hostname a.test\nlisten on 127.0.0.1 port 2525\ntable t { \"a\" = \"%s\" }\n" % ("x" * 1000)
QUESTION = {"kind": 2, "table": 0, "key": "a"}


def test_answers_not_fetched():
    """Who asks and does not read is thrown out; lookup lives, and hears him again on a new edge."""
    with Program("lookup", conf=CONF) as p:
        deaf = p.edge("listener")
        try:
            for n in range(400):
                deaf.send("ASK", {"generation": 1, "questions": [QUESTION] * 200}, id=n)
            raise AssertionError("80,000 answers lie there, and it goes on")
        except (BrokenPipeError, ConnectionResetError):
            pass
        for n in range(3):
            e = p.edge("listener")
            e.send("ASK", {"generation": 1, "questions": [QUESTION]}, id=n)
            name, id, answer, _ = e.receive()
            assert (name, id) == ("ANSWER", n) and answer["values"][0]["value"] == "x" * 1000
