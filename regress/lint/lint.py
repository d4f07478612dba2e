"""lint: what the lints share: the tree, and which source belongs to which program."""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("smtpd", "lookup", "queue", "deliver", "ctl")
problems = []


def sources(*folders):
    for folder in folders:
        for name in sorted(os.listdir(os.path.join(TOP, folder))):
            if name.endswith((".c", ".h")):
                yield folder + "/" + name


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def program(path):
    """The program that a source is linked into, as the edges of common/msg.h call it."""
    folder, name = path.split("/")
    if folder == "smtpd":
        return "PARENT" if re.match(r"posternd|parent|priv", name) else "LISTENER"
    if folder == "lookup":
        return "RESOLVER" if re.match(r"resolver|dns|mx", name) else "LOOKUP"
    if folder == "deliver":
        return "AGENT" if re.match(r"agent|maildir|expand", name) else "DELIVER"
    return {"queue": "QUEUE", "common": "ANY", "ctl": "CTL"}[folder]


def problem(text):
    problems.append(text)


def end():
    for text in problems:
        print(text)
    sys.exit(1 if problems else 0)
