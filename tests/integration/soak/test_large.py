#!/usr/bin/python3
"""One value of up to 1 GB, streamed in bounded memory in both directions, by every way the protocol has.

PGWEIR_LARGE_MB=1000 is the long form (default 64). What is asserted is the whole resident memory of pgweir, not its growth.
"""
import hashlib
import os
import struct
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import pgwire  # noqa: E402

MB = 1024 * 1024
SANITIZED = bool(os.environ.get("PGWEIR_SANITIZE"))
LARGE = int(os.environ.get("PGWEIR_LARGE_MB", "16" if SANITIZED else "64")) * MB
RSS_MAX_MB = 64
PIECE = b"0123456789abcdef" * 4096


class Large(support.Case):
    proxy_only = True
    database = {"pool_size": 4}
    sections = {"cache": {"memory": "16MB"}}
    settings = {"shared_buffers": "128MB"}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create unlogged table large (id int primary key, v text); alter table large alter v set storage external")

    def bounded(self, work):
        most, stop = [self.weir.rss_kb()], threading.Event()

        def watch():
            while not stop.wait(0.02):
                most[0] = max(most[0], self.weir.rss_kb())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            work()
        finally:
            stop.set()
            watcher.join()
        print("%s: %d MB, pgweir at most %d MB" % (self.id().rsplit(".", 1)[1], LARGE // MB, most[0] // 1024), flush=True)
        if not SANITIZED:  # a sanitizer keeps shadows and freed memory of its own
            self.assertLess(most[0] / 1024, RSS_MAX_MB)

    # ---- raw reading and writing: the test itself holds no such value either
    @staticmethod
    def head(conn):
        while len(conn.inbox) < 5:
            conn._fill(5)
        kind, size = bytes(conn.inbox[:1]), struct.unpack("!I", conn.inbox[1:5])[0] - 4
        del conn.inbox[:5]
        return kind, size

    @classmethod
    def body(cls, conn, size, digest=None):
        left = size
        while left:
            if not conn.inbox:
                conn.inbox += conn.sock.recv(min(left, MB))
                if not conn.inbox:
                    raise AssertionError("closed in the middle")
            part = bytes(conn.inbox[:left])
            del conn.inbox[:len(part)]
            left -= len(part)
            if digest:
                digest.update(part)

    def read_value(self, conn):
        """The digest of the one value of the reply."""
        digest, seen = hashlib.sha256(), 0
        while True:
            kind, size = self.head(conn)
            if kind == b"D":
                self.body(conn, 6)
                self.body(conn, size - 6, digest)
                seen += size - 6
            elif kind == b"E":
                self.fail("an error while %d bytes had come" % seen)
            else:
                self.body(conn, size)
                if kind == b"Z":
                    self.assertEqual(seen, LARGE)
                    return digest.hexdigest()

    def pour(self, conn):
        for _ in range(LARGE // len(PIECE)):
            conn.sock.sendall(PIECE)

    @staticmethod
    def digest_of_pieces(first=b""):
        digest = hashlib.sha256(first)
        for _ in range(LARGE // len(PIECE)):
            digest.update(PIECE)
        return digest.hexdigest()

    def stored(self, number):
        return self.cluster.sql("select encode(sha256(convert_to(v, 'UTF8')), 'hex') from large where id = %d" % number)[0][0]

    # ---- towards the client
    def test_result_simple(self):
        conn = self.client(timeout=900)

        def work():
            conn.send(pgwire.query("select repeat('z', %d)" % LARGE))
            self.assertEqual(self.read_value(conn), hashlib.sha256(b"z" * LARGE).hexdigest())
        self.bounded(work)
        self.assertEqual(conn.value("select 1"), "1")

    def test_result_binary_in_a_transaction(self):
        conn = self.client(timeout=900)
        conn.simple("begin")

        def work():
            conn.send(pgwire.parse("", "select repeat('y', %d)::bytea" % LARGE) + pgwire.bind("", "", [], [], [1]) + pgwire.execute()
                      + pgwire.SYNC)
            self.assertEqual(self.read_value(conn), hashlib.sha256(b"y" * LARGE).hexdigest())
        self.bounded(work)
        conn.simple("commit")

    def test_copy_out(self):
        conn = self.client(timeout=900)

        def work():
            conn.send(pgwire.query("copy (select repeat('c', %d)) to stdout" % LARGE))
            digest, seen = hashlib.sha256(), 0
            while True:
                kind, size = self.head(conn)
                self.body(conn, size, digest if kind == b"d" else None)
                seen += size if kind == b"d" else 0
                if kind == b"Z":
                    break
            self.assertEqual((seen, digest.hexdigest()), (LARGE + 1, hashlib.sha256(b"c" * LARGE + b"\n").hexdigest()))
        self.bounded(work)

    # ---- towards the server
    def test_parameter_unnamed(self):
        self.parameter(1, "")

    def test_parameter_named(self):
        self.parameter(2, "keeper")

    def parameter(self, number, name):
        conn = self.client(timeout=900)

        def work():
            conn.send(pgwire.parse(name, "insert into large values ($1, $2)"))
            values = struct.pack("!HHI", 0, 2, len(str(number))) + str(number).encode() + struct.pack("!I", LARGE)
            names = b"\0" + name.encode() + b"\0"
            tail = struct.pack("!H", 0)
            conn.sock.sendall(b"B" + struct.pack("!I", 4 + len(names) + len(values) + LARGE + len(tail)) + names + values)
            self.pour(conn)
            conn.sock.sendall(tail + pgwire.execute() + pgwire.SYNC)
            answer = conn.until("Z")
            self.assertEqual([body for kind, body in answer if kind == "C"], [b"INSERT 0 1\0"], answer)
        self.bounded(work)
        self.assertEqual(self.stored(number), self.digest_of_pieces())
        self.cluster.sql("delete from large where id = %d" % number)

    def test_query_text(self):
        """A literal of that length in a simple query: 1 GB of it is more than PostgreSQL takes, so half."""
        conn, half = self.client(timeout=900), LARGE // 2 // len(PIECE)

        def work():
            start, end = b"insert into large values (3, '", b"')\0"
            conn.sock.sendall(b"Q" + struct.pack("!I", 4 + len(start) + half * len(PIECE) + len(end)) + start)
            for _ in range(half):
                conn.sock.sendall(PIECE)
            conn.sock.sendall(end)
            answer = conn.until("Z")
            self.assertEqual([body for kind, body in answer if kind == "C"], [b"INSERT 0 1\0"], answer)
        self.bounded(work)
        self.cluster.sql("delete from large where id = 3")

    def test_copy_in(self):
        conn = self.client(timeout=900)

        def work():
            conn.send(pgwire.query("copy large from stdin"))
            conn.until("G")
            conn.sock.sendall(b"d" + struct.pack("!I", 4 + 2 + LARGE + 1) + b"4\t")
            self.pour(conn)
            conn.sock.sendall(b"\n")
            conn.send(pgwire.COPY_DONE)
            answer = conn.until("Z")
            self.assertEqual([body for kind, body in answer if kind == "C"], [b"COPY 1\0"], answer)
        self.bounded(work)
        self.assertEqual(self.stored(4), self.digest_of_pieces())
        self.cluster.sql("delete from large where id = 4")


class LargeSession(Large):
    database = {"pool_mode": "session", "pool_size": 10}


if __name__ == "__main__":
    support.main()
