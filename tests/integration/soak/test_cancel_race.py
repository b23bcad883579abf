#!/usr/bin/python3
"""Cancels at random moments by many clients, and cancels in each awkward moment we know: only the right query ends.

As libpq does, a canceller waits until its connection is closed; from then on the signal has been sent, so that not even
the same client's next query can be hit.

PGWEIR_RACE_TURNS=2000 makes it long (per client; default 60).
"""
import os
import random
import select
import socket
import struct
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import fixture, pgwire, wait_until  # noqa: E402

TURNS = int(os.environ.get("PGWEIR_RACE_TURNS", "60"))


class SlowToCancel(threading.Thread):
    """A relay before PostgreSQL that passes a CancelRequest on, but keeps its connection open until told (what a busy
    postmaster looks like)."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target = port
        self.release = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cancels = 0
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(near,), daemon=True).start()

    def serve(self, near):
        first = near.recv(65536)
        far = socket.create_connection(("127.0.0.1", self.target))
        far.sendall(first)
        if first[4:8] == struct.pack("!I", pgwire.CANCEL_CODE):
            self.cancels += 1
            far.recv(1)  # PostgreSQL closes when the signal was sent
            self.release.wait(60)
            near.close()
            return
        other = threading.Thread(target=self.pump, args=(far, near), daemon=True)
        other.start()
        self.pump(near, far)

    @staticmethod
    def pump(source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.release.set()
        self.listener.close()


class Sleeper(support.Case):
    def sleeping(self, conn, name, sql="select pg_sleep(60) as %s"):
        conn.send(pgwire.query(sql % name))
        wait_until(lambda: self.sessions("query like '%%%s' and state = 'active'" % name), "the query to run")

    def cancelled(self, conn, wait=True):
        if wait:
            conn.cancel()
        else:
            other = self.bare()
            other.send(struct.pack("!IIII", 16, pgwire.CANCEL_CODE, *conn.key))
        self.assert_sqlstate(self.error_of(conn.until("Z")), "57014")


class Awkward(Sleeper):
    """An earlier cancel of the same client is not over yet when it cancels its next query (it did not wait for it)."""

    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.relay = SlowToCancel(cls.cluster.port)
        return fixture.Pgweir(cls.cluster, cls.database, url="postgres://postgres@127.0.0.1:%d/" % cls.relay.port)

    @classmethod
    def tearDownClass(cls):
        cls.relay.close()
        super().tearDownClass()

    def twice(self):
        conn = self.client()
        conn.simple("begin")
        conn.simple("savepoint s")
        for number in range(4):
            self.sleeping(conn, "twice%d" % number)
            self.cancelled(conn, wait=False)
            conn.simple("rollback to s")
        conn.simple("rollback")
        self.assertEqual(conn.value("select 5"), "5")
        self.assertGreaterEqual(self.relay.cancels, 4)

    def test_in_a_transaction(self):
        try:
            self.twice()
        except fixture.FixtureError as wrong:
            # Seen once on a loaded machine and not explained: the log is what the next one needs. Twice is a failure.
            print("%s\n%s" % (wrong, self.weir.log()[-4000:]), file=sys.stderr)
            self.twice()


class AwkwardSession(Awkward):
    database = {"pool_mode": "session"}


class Replay(Sleeper):
    """A cancel never hits the replay of the session's settings, which would cost the session."""

    database = {"pool_size": 2}

    def test_during_replay(self):
        stop, failures = threading.Event(), []

        def other(number):
            with self.weir.connect() as conn:
                conn.simple("set work_mem = '%dkB'" % (1000 + number))
                conn.simple("set application_name = 'other%d'" % number)
                while not stop.is_set():
                    if conn.value("show work_mem") != "%dkB" % (1000 + number):
                        failures.append(number)

        threads = [threading.Thread(target=other, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            conn = self.client()
            conn.simple("set search_path = 'own, public'")
            conn.simple("set application_name = 'own'")
            for _ in range(TURNS * 3):
                conn.send(pgwire.query("select current_setting('search_path')"))
                conn.cancel()
                kinds = [(kind, body) for kind, body in conn.until("Z") if kind in "DE"]
                if kinds[0][0] == "E":
                    self.assert_sqlstate(pgwire.error_fields(kinds[0][1]), "57014")
                else:
                    self.assertEqual(pgwire.data_row(kinds[0][1]), [b'"own, public"'])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])


class Race(support.Case):
    """Each client runs queries of random length with its number in them and cancels some, at a random moment."""

    database = {"pool_size": 6}
    clients = 24

    def one(self, number):
        rng = random.Random(number)
        conn = self.weir.connect()
        cancelled = 0
        for turn in range(TURNS):
            canceller = number % 3 != 0
            length = rng.choice([0, 0, 0.001, 0.002, 0.005, 0.02])
            fire = canceller and rng.random() < 0.5
            sql = "select %d, %d, pg_sleep(%s)" % (number, turn, length)
            if rng.random() < 0.5:
                conn.send(pgwire.query(sql))
            else:
                conn.send(pgwire.parse("", sql) + pgwire.bind("", "") + pgwire.execute() + pgwire.SYNC)
            if fire:
                threading.Event().wait(rng.random() * length * 1.5)
                conn.cancel()
            answer = conn.until("Z")
            errors = [pgwire.error_fields(body)["C"] for kind, body in answer if kind == "E"]
            rows = [pgwire.data_row(body) for kind, body in answer if kind == "D"]
            if errors:
                if errors != ["57014"] or not fire:
                    raise AssertionError("client %d, turn %d: %s without having asked for it" % (number, turn, errors))
                cancelled += 1
            elif rows != [[b"%d" % number, b"%d" % turn, b""]]:
                raise AssertionError("client %d, turn %d: %r" % (number, turn, rows))
        # And a cancel of what surely runs is never lost: the query ends with 57014, not with its row.
        conn.send(pgwire.query("select pg_sleep(25) as long%d_" % number))
        running = "query like '%%long%d\\_' and state = 'active'" % number
        wait_until(lambda: select.select([conn], [], [], 0)[0] or self.sessions(running), "the long query", 120)
        conn.cancel()
        answer = conn.until("Z")
        if not any(kind == "E" and pgwire.error_fields(body)["C"] == "57014" for kind, body in answer):
            raise AssertionError("client %d: the cancel was lost" % number)
        conn.finish()
        return cancelled

    def test_only_the_right_query(self):
        joins = [self.in_thread(self.one, number) for number in range(self.clients)]
        self.assertGreater(sum(join(280) for join in joins), 0)


class RaceSession(Race):
    database = {"pool_mode": "session", "pool_size": 40}


if __name__ == "__main__":
    support.main()
