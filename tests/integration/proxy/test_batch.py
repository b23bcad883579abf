#!/usr/bin/python3
"""Coalescing: who shares an execution or a connection with whom, and that each client still gets its own answer.

Requests meet for certain in two ways: while another client holds the only server connection, or while pgweir is stopped
(SIGSTOP), so that all of them lie there in its next turn."""
import json
import signal
import urllib.request

import support
from support import pgwire, wait_until


class Base(support.Case):
    proxy_only = True
    sections = {"cache": {"consistency": "off"}, "pgweir": {"workers": 1}}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table thing (k int primary key, v text)")
        cls.cluster.sql("insert into thing select i, 'v' || i from generate_series(1, 100) i")
        cls.cluster.sql("create schema other; create table other.thing (k int primary key, v text)")
        cls.cluster.sql("insert into other.thing values (1, 'other')")

    def count(self, name, weir=None):
        url = "http://127.0.0.1:%d/metrics" % (weir or self.weir).http_port
        with urllib.request.urlopen(url, timeout=20) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("pgweir_batch_%s_total " % name):
                    return float(line.split()[-1])
        return self.fail("no such counter: " + name)

    def warm(self, sql, *conns):
        """Until pgweir knows the tables, and that the statement is fast."""
        for conn in conns or [self.client()]:
            for _ in range(4):
                conn.simple(sql)

    def queue(self, requests):
        """Each request of its own client, all waiting for the only connection; then it is free. The answers."""
        holder = self.client()
        conns = [conn for conn, _ in requests]
        holder.simple("begin")
        for conn, sql in requests:
            conn.send(pgwire.query(sql))
        wait_until(lambda: self.waiting() == len(requests), "all requests to wait")
        holder.simple("commit")
        return [conn.until("Z") for conn in conns]

    def waiting(self):
        rows = [json.loads(line) for line in self.weir.console("SHOW POOLS \\j").splitlines() if line.startswith("{")]
        return sum(int(row["cl_waiting"]) for row in rows)

    @staticmethod
    def rows(answer):
        return [pgwire.data_row(body) for kind, body in answer if kind == "D"]


class OneConnection(Base):
    database = {"pool_size": 1}

    def test_single_flight(self):
        sql = "select v from thing where k = 7 or v = 'nothing'"
        conns = [self.client() for _ in range(6)]
        self.warm(sql, *conns)
        before, executions = self.count("joined"), self.count("executions")
        for answer in self.queue([(conn, sql) for conn in conns]):
            self.assertEqual(self.rows(answer), [[b"v7"]])
        self.assertEqual(self.count("joined") - before, 5)
        self.assertEqual(self.count("executions") - executions, 1)

    def test_an_error_is_everybody_s_own(self):
        """Who joined a request that fails runs by himself, and gets the server's own words."""
        sql = "select 1 / (k - 7) from thing where k < 9"
        conns = [self.client() for _ in range(4)]
        self.warm(sql, *conns)
        for answer in self.queue([(conn, sql) for conn in conns]):
            self.assertEqual(pgwire.error_fields(dict(answer)["E"])["C"], "22012")
        self.assertEqual(self.client().value("select 1"), "1")

    def test_never_with_other_settings(self):
        sql = "select v from thing where k = 1"
        mine, yours = self.client(), self.client()
        yours.simple("set search_path = other")
        self.warm(sql, mine, yours)
        before = self.count("joined")
        answers = self.queue([(mine, sql), (yours, sql), (self.client(), sql)])
        self.assertEqual([self.rows(answer) for answer in answers], [[[b"v1"]], [[b"other"]], [[b"v1"]]])
        self.assertEqual(self.count("joined") - before, 1)

    def test_pipeline(self):
        """Different reads leave in one write; an error in the middle is its client's alone."""
        conns = [self.client() for _ in range(6)]
        sql = "select v, 10 / (k - 3) from thing where k = %d and v <> 'x'"
        self.warm(sql % 50, *conns)
        before = self.count("pipelined")
        answers = self.queue([(conn, sql % k) for k, conn in enumerate(conns, 1)])
        for k, answer in enumerate(answers, 1):
            if k == 3:
                self.assertEqual(pgwire.error_fields(dict(answer)["E"])["C"], "22012")
            else:
                self.assertEqual(self.rows(answer)[0][0], b"v%d" % k)
        self.assertGreaterEqual(self.count("pipelined") - before, 4)

    def test_not_what_writes(self):
        sql = "update thing set v = 'v' || k where k = 9"
        conns = [self.client() for _ in range(4)]
        self.warm(sql, *conns)
        before = self.count("pipelined") + self.count("joined")
        for answer in self.queue([(conn, sql) for conn in conns]):
            self.assertEqual(dict(answer)["C"], b"UPDATE 1\0")
        self.assertEqual(self.count("pipelined") + self.count("joined"), before)

    def test_not_when_a_hint_says_so(self):
        sql = "/* pgweir: batch=off */ select v from thing where k = 8"
        conns = [self.client() for _ in range(4)]
        self.warm(sql, *conns)
        before = self.count("pipelined") + self.count("joined")
        for answer in self.queue([(conn, sql) for conn in conns]):
            self.assertEqual(self.rows(answer), [[b"v8"]])
        self.assertEqual(self.count("pipelined") + self.count("joined"), before)


class OneTurn(Base):
    """Requests of one turn go together to a few connections, though each could have one of its own."""
    database = {"pool_size": 8, "min_pool_size": 8}

    def one_turn(self, conns, sql):
        self.weir.process.send_signal(signal.SIGSTOP)
        try:
            for k, conn in enumerate(conns, 1):
                conn.send(pgwire.query(sql % k))
        finally:
            self.weir.process.send_signal(signal.SIGCONT)
        for k, conn in enumerate(conns, 1):
            self.assertEqual(self.rows(conn.until("Z")), [[b"v%d" % k]])

    def test_together(self):
        sql = "select v from thing where k = %d"
        conns = [self.client() for _ in range(6)]
        self.warm(sql % 50, *conns)
        wait_until(lambda: self.sessions("usename = 'postgres' and application_name <> 'pgweir'") >= 8, "the pool to be full")

        def some_went_together():
            before = self.count("pipelined")
            self.one_turn(conns, sql)
            self.warm(sql % 50)  # one by one: as fast as it can be
            return self.count("pipelined") > before
        wait_until(some_went_together, "a turn with several requests", 60)

    def test_one_by_one(self):
        conns = [self.client() for _ in range(6)]
        self.warm("select v from thing where k = 50", *conns)
        before = self.count("pipelined")
        for conn in conns * 5:
            conn.simple("select v from thing where k = 50")
        self.assertEqual(self.count("pipelined"), before)


class Observing(Base):
    """Counted as if, and each is executed by itself."""
    database = {"pool_size": 1}
    sections = dict(Base.sections, pgweir={"workers": 1, "mode": "observe"})

    def test_single_flight(self):
        sql = "select v from thing where k = 7 or v = 'nothing'"
        conns = [self.client() for _ in range(4)]
        self.warm(sql, *conns)
        before, executions = self.count("joined"), self.count("executions")
        for answer in self.queue([(conn, sql) for conn in conns]):
            self.assertEqual(self.rows(answer), [[b"v7"]])
        self.assertEqual(self.count("joined") - before, 3)
        self.assertEqual(self.count("executions") - executions, 4)

    def test_pipeline_and_promotion(self):
        conns = [self.client() for _ in range(4)]
        wait_until(lambda: self.warm("select v from thing where k = 50", *conns) or self.count("promoted") > 0, "a promotion")
        pipelined, promoted = self.count("pipelined"), self.count("promoted")
        answers = self.queue([(conn, "select v from thing where k = %d" % k) for k, conn in enumerate(conns, 1)])
        self.assertEqual([self.rows(answer) for answer in answers], [[[b"v%d" % k]] for k in range(1, 5)])
        self.assertGreaterEqual(self.count("pipelined") - pipelined, 3)
        self.assertEqual(self.count("promoted") - promoted, 4)


class Off(Base):
    database = {"pool_size": 1}
    sections = dict(Base.sections, batch={"single_flight": "off", "pipeline": "off"})

    def test_nothing_is_shared(self):
        sql = "select v from thing where k = 7"
        conns = [self.client() for _ in range(4)]
        self.warm(sql, *conns)
        for answer in self.queue([(conn, sql) for conn in conns]):
            self.assertEqual(self.rows(answer), [[b"v7"]])
        self.assertEqual((self.count("joined"), self.count("pipelined")), (0, 0))


if __name__ == "__main__":
    support.main()
