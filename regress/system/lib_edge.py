"""lib_edge: one program of Postern alone, with the test as its parent and as its peers.

The messages, their numbers and their fields are read from common/proc/msg.h; the encoding is written down here once more, so that a
test of a program is also a test of the wire. A payload is a dict, a list in it a list of dicts.

    with Program("resolver", conf="hostname a.b\\n...") as p:
        e = p.edge("deliver")
        e.send("MX_ASK", {"domain": "example.org", "literal_host": 0}, id=7)
        name, id, payload, fd = e.receive()
"""
import array
import functools
import os
import re
import select
import socket
import struct
import subprocess

from lib import B, SLOW, TOP

INTEGERS = {"u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q", "i64": "<q"}
HEADER = struct.Struct("<HHII")
FLAG_FD = 1


def read_table():
    with open(os.path.join(TOP, "common/proc/msg.h"), encoding="utf-8") as f:
        text = f.read().replace("\\\n", " ")
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    payloads, edges, messages = {}, {}, []
    for name, fields in re.findall(r"^#define\s+P_(\w+)\(F, L\)(.*)$", text, re.M):
        payloads[name] = re.findall(r"\b([FL])\((\w+), (\w+)\)", fields)
    for edge, rows in re.findall(r"^#define\s+(\w+_TO_\w+)\(M\)(.*)$", text, re.M):
        edges[edge] = re.findall(r"\bM\((\w+),\s*(\w+)\s*,\s*([01])\)", rows)
    for edge in re.findall(r"E\((\w+)\)", re.search(r"^#define\s+MSG_EDGES\(E\)(.*)$", text, re.M)[1]):
        messages += edges[edge]
    programs = re.findall(r"PROG_(\w+)", re.search(r"enum prog \{(.*?)\}", text, re.S)[1])
    return payloads, messages, [p.lower() for p in programs]


PAYLOADS, MESSAGES, PROGRAMS = read_table()
NUMBER = {name: n for n, (name, _, _) in enumerate(MESSAGES)}


def encode(payload, values):
    out = b""
    for kind, what, name in PAYLOADS[payload]:
        value = values.get(name, [] if kind == "L" else "" if what in ("str", "blob") else 0)
        if kind == "L":
            out += struct.pack("<I", len(value)) + b"".join(encode(what, v) for v in value)
        elif what in INTEGERS:
            out += struct.pack(INTEGERS[what], value)
        else:
            value = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            out += struct.pack("<I", len(value)) + value + (b"\0" if what == "str" else b"")
    return out


def decode(payload, data):
    """-> (values, rest of data)"""
    values = {}
    for kind, what, name in PAYLOADS[payload]:
        if kind == "F" and what in INTEGERS:
            size = struct.calcsize(INTEGERS[what])
            (values[name],), data = struct.unpack(INTEGERS[what], data[:size]), data[size:]
            continue
        (n,), data = struct.unpack("<I", data[:4]), data[4:]
        if kind == "L":
            values[name] = []
            for _ in range(n):
                element, data = decode(what, data)
                values[name].append(element)
        elif what == "str":
            assert data[n] == 0
            values[name], data = data[:n].decode("utf-8", "surrogateescape"), data[n + 1:]
        else:
            values[name], data = data[:n], data[n:]
    return values, data


def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = crc_table()


@functools.lru_cache(maxsize=4)
def crc32c(data):
    """The checksum of a message, as the queue gives it with a job."""
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def memfd(content, seal=True):
    """A sealed memory file, as messages and configurations travel."""
    import fcntl
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view):]
    if seal:
        fcntl.fcntl(fd, 1033, 0xf)         # F_ADD_SEALS: seal, shrink, grow, write
    return fd


class Edge:
    def __init__(self, sock):
        self.sock, self.rest, self.fds = sock, b"", []
        sock.settimeout(60 * SLOW)

    def send(self, name, values=None, id=0, fd=-1):
        payload = encode(MESSAGES[NUMBER[name]][1], values or {})
        self.raw(HEADER.pack(NUMBER[name], FLAG_FD if fd != -1 else 0, len(payload), id) + payload, fd)

    def raw(self, data, fd=-1):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd != -1 else []
        n = self.sock.sendmsg([data], control)
        if n < len(data):  # even an empty send fails once the peer is gone
            self.sock.sendall(data[n:])
        if fd != -1:
            os.close(fd)

    def fill(self, n):
        while len(self.rest) < n:
            more, control, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(64))
            for level, kind, data in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    got = array.array("i")
                    got.frombytes(data[:len(data) - len(data) % got.itemsize])
                    self.fds += got
            if not more:
                raise EOFError("the program closed the edge")
            self.rest += more

    def receive(self):
        """-> (name, id, values, descriptor or -1)"""
        self.fill(HEADER.size)
        number, flags, length, id = HEADER.unpack(self.rest[:HEADER.size])
        self.fill(HEADER.size + length)
        data, self.rest = self.rest[HEADER.size:HEADER.size + length], self.rest[HEADER.size + length:]
        name, payload, _ = MESSAGES[number]
        values, left = decode(payload, data)
        assert left == b"", (name, left)
        return name, id, values, self.fds.pop(0) if flags & FLAG_FD else -1

    def is_closed(self):
        try:
            self.fill(1)
            return False
        except (EOFError, ConnectionResetError):
            return True

    def close(self):
        self.sock.close()


def first_of(*edges):
    """The first of them that has something to be received, which is waited for."""
    ready = [e for e in edges if e.rest]
    if not ready:
        heard = select.select([e.sock for e in edges], [], [], 60 * SLOW)[0]
        ready = [e for e in edges if e.sock in heard]
    return ready[0]


class Program:
    """postern-NAME, started as posternd would; ids: uid and gid to drop to, as root."""

    def __init__(self, name, conf=None, ids=("-", "-"), directory="/"):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.parent = Edge(ours)
        fd = theirs.fileno()
        # Descriptor 3 is the edge to the parent, whatever number it has here.
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", 'exec "$0" "$@" 3<&%d' % fd + (" %d<&-" % fd if fd != 3 else ""),
             os.path.join(B, "bin/postern-" + name), *[str(i) for i in ids], directory],
            stdin=subprocess.DEVNULL, pass_fds=[fd], env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
        theirs.close()
        if conf is not None:
            self.configure(conf)

    def configure(self, text, generation=1):
        self.parent.send("CONF", {"generation": generation}, fd=memfd(text.encode()))

    def pair(self):
        """A new socketpair: -> (an Edge for us, a descriptor for the program)"""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        theirs.setblocking(False)
        return Edge(ours), theirs.detach()

    def edge(self, peer, instance=0):
        edge, fd = self.pair()
        self.parent.send("EDGE", {"peer": PROGRAMS.index(peer), "instance": instance}, fd=fd)
        return edge

    def wait(self, seconds=10):
        return self.process.wait(seconds * SLOW)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.parent.close()
        try:
            self.process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
