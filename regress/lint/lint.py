"""lint: what the lints share: the tree, and which source belongs to which program."""
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("smtpd", "lookup", "queue", "deliver", "ctl")

# Which program a folder is linked into, as the edges of common/proc/msg.h call it; the first that is a path's beginning counts.
PROGRAM = (
    ("smtpd/parent/", "PARENT"), ("smtpd/listener/", "LISTENER"), ("lookup/tables/", "LOOKUP"), ("lookup/resolver/", "RESOLVER"),
    ("queue/", "QUEUE"), ("deliver/client/", "DELIVER"), ("deliver/agent/", "AGENT"), ("ctl/", "CTL"), ("common/", "ANY"),
)
problems = []


def sources(*folders):
    """Every .c and .h below these folders, sorted by path."""
    for folder in folders:
        for where, below, names in sorted(os.walk(os.path.join(TOP, folder))):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(where, name), TOP)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def program(path):
    return next((name for begin, name in PROGRAM if path.startswith(begin)), None)


def problem(text):
    problems.append(text)


def end():
    for text in problems:
        print(text)
    sys.exit(1 if problems else 0)
