"""lib_dns: a name server of one's own, NSD on a port of 127.0.0.1; one that lies, and one that never says anything.

    with Dns({"example.test": "@ MX 10 mx\\nmx A 127.0.0.9\\n"}) as dns:
        ... "resolver 127.0.0.1@%d" % dns.port ...

A zone is its text without SOA and NS, which are added. Names are completed with the zone's.
"""
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

from lib import free_port, need

HEAD = "$ORIGIN %s.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
CONF = """server:
  ip-address: %(host)s@%(port)d
  server-count: 1
  username: ""
  database: ""
  pidfile: ""
  xfrdfile: "%(dir)s/xfrd.state"
  zonelistfile: "%(dir)s/zone.list"
  zonesdir: "%(dir)s"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""


class Dns:
    def __init__(self, zones, port=None):
        """port: of 127.0.0.1, or (port, address)"""
        nsd = need("nsd")
        self.port, self.host = port if isinstance(port, tuple) else (port or free_port(), "127.0.0.1")
        self.dir = tempfile.mkdtemp(prefix="postern-dns-")
        conf = CONF % {"port": self.port, "host": self.host, "dir": self.dir}
        for name, text in zones.items():
            with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
                f.write(HEAD % name + text)
            conf += "zone:\n  name: %s\n  zonefile: %s\n" % (name, name)
        path = os.path.join(self.dir, "nsd.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(conf)
        self.log = open(os.path.join(self.dir, "log"), "w+b")
        self.process = subprocess.Popen([nsd, "-d", "-c", path], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait(next(iter(zones)))

    def wait(self, zone):
        """Asks for a zone's SOA until there is an answer."""
        question = struct.pack(">6H", 1, 0, 1, 0, 0, 0) + b"".join(bytes([len(x)]) + x.encode() for x in zone.split(".")) + b"\0\0\6\0\1"
        for _ in range(200):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(0.1)
                try:
                    s.sendto(question, (self.host, self.port))
                    answer = s.recv(512)
                    if answer[3] & 15 == 0 and answer[7] > 0:
                        return
                except OSError:
                    time.sleep(0.05)
            if self.process.poll() is not None:
                break
        self.log.seek(0)
        text = self.log.read().decode("utf-8", "replace")
        self.stop()
        raise AssertionError("nsd does not serve %s:\n%s" % (zone, text))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class RogueDns:
    """Says what it is told to: {name: [(type, record data), ...]}, or bytes for the whole packet after its id, or "wrong name"."""

    def __init__(self, answers):
        self.answers = answers
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                packet, client = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(packet), client)
            except OSError:
                return

    def answer(self, packet):
        end, labels = 12, []
        while packet[end]:
            labels.append(packet[end + 1:end + 1 + packet[end]].decode("latin-1").lower())
            end += 1 + packet[end]
        end += 5
        kind = packet[end - 3]
        told = self.answers.get(".".join(labels), [])
        if isinstance(told, bytes):
            return packet[:2] + told
        name = b"\xc0\x0c"
        if told == "wrong name":
            name, told = b"\5wrong\4test\0", [(kind, b"\0\5\2ok\4test\0")]
        records = [name + struct.pack(">HHIH", t, 1, 300, len(data)) + data for t, data in told if t == kind]
        return packet[:2] + struct.pack(">5H", 0x8580, 1, len(records), 0, 0) + packet[12:end] + b"".join(records)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class SilentDns:
    """A port where questions go in and nothing comes out."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
