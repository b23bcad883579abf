#!/usr/bin/python3
"""What is parsed again and again is prepared once per server connection, and answers as a direct connection's does,
whatever others do to the tables meanwhile. (The differential suite has the rest: conv/promoted.conv.)"""
import urllib.request

import support
from support import fixture, pgwire

TIMES = 8  # more than PROMOTE_AFTER


class Promote(support.Case):
    database = {"pool_size": 1}
    sections = {"cache": {"consistency": "off"}}

    def setUp(self):
        super().setUp()
        with self.weir.connect() as conn:  # so that pgweir knows of it; what follows is done behind its back
            conn.simple("drop table if exists thing cascade; create table thing (k int primary key, v text);"
                        "insert into thing select i, 'v' || i from generate_series(1, 100) i")
        self.direct = self.cluster.connect()

    def tearDown(self):
        self.direct.drop()
        super().tearDown()

    def metric(self, name):
        url = "http://127.0.0.1:%d/metrics" % self.weir.http_port
        with urllib.request.urlopen(url, timeout=20) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[-1])
        return self.fail("no " + name)

    def promoted(self):
        return 0 if support.STANDIN else self.metric("pgweir_batch_promoted_total")

    @staticmethod
    def request(sql, *values):
        return (pgwire.parse("", sql) + pgwire.bind("", "", [v.encode() for v in values]) + pgwire.describe("P", "") +
                pgwire.execute() + pgwire.msg("S"))

    def ask(self, conn, sql, *values):
        conn.send(self.request(sql, *values))
        return conn.until("Z")

    def same(self, sql, *values):
        """One request straight and through pgweir: the same messages, every field of an error included."""
        got, straight = self.ask(self.conn, sql, *values), self.ask(self.direct, sql, *values)
        self.assertEqual([self.plain(m) for m in got], [self.plain(m) for m in straight])
        return got

    @staticmethod
    def plain(message):
        kind, body = message
        return (kind, pgwire.error_fields(body) if kind in "EN" else body)

    def make_hot(self, sql, *values):
        """Until it is promoted: pgweir first has to know the tables as they are now, and how fast the statement is."""
        self.conn = self.conn or self.client()
        before = self.promoted()
        for _ in range(TIMES):
            self.same(sql, *values)
        if not support.STANDIN:
            support.wait_until(lambda: self.same(sql, *values) and self.promoted() > before, "promotion of " + sql, 60)

    conn = None

    def run(self, result=None):
        self.conn = None
        return super().run(result)

    def test_parsed_once(self):
        self.make_hot("select v from thing where k = $1", "7")
        count = self.promoted()
        for k in range(1, 50):
            self.same("select v from thing where k = $1", str(k))
        if not support.STANDIN:
            self.assertGreater(self.promoted(), count)

    def test_another_type_from_elsewhere(self):
        sql = "select * from thing where k = $1"
        self.make_hot(sql, "7")
        self.cluster.sql("alter table thing add column more int default 5")
        self.same(sql, "7")
        self.cluster.sql("alter table thing alter column v type varchar(20)")
        self.same(sql, "7")
        self.make_hot(sql, "8")  # and so again

    def test_names_that_go(self):
        sql = "select v from thing where k = $1"
        self.make_hot(sql, "7")
        self.cluster.sql("alter table thing rename column v to w")
        self.same(sql, "7")
        self.same(sql, "7")
        self.cluster.sql("alter table thing rename column w to v")
        self.make_hot(sql, "7")
        self.cluster.sql("drop table thing")
        self.same(sql, "7")
        self.same(sql, "7")

    def test_rights_that_go(self):
        sql = "select v from thing where k = $1"
        self.cluster.sql("drop role if exists guest; create role guest login; grant select on thing to guest")
        self.direct.drop()
        self.direct = self.cluster.connect(user="guest")
        self.conn = self.client(user="guest")
        self.make_hot(sql, "7")
        self.cluster.sql("revoke select on thing from guest")
        self.same(sql, "7")
        self.cluster.sql("drop table thing; drop role guest")

    def test_values_of_another_type(self):
        sql = "select v from thing where k = $1"
        self.make_hot(sql, "7")
        for value in ("x", "7", "99999999999", "8"):
            self.same(sql, value)

    def test_a_quoted_constant_keeps_its_moment(self):
        """'now' is what it is when it is parsed: such a text is parsed every time."""
        self.conn = self.client()
        before = self.promoted()
        for sql in ("select v from thing where k = $1 and now() >= timestamptz 'now'",
                    "select v, 'thing'::regclass from thing where k = $1", "select v, $$a$$ from thing where k = $1"):
            for _ in range(TIMES):
                self.same(sql, "7")
        self.assertEqual(self.promoted(), before)

    def test_several_at_once(self):
        """Pipelined on one connection: who comes behind a request that is sent twice gets its own answer."""
        sql = "select * from thing where k = $1"
        self.make_hot(sql, "7")
        clients = [self.client() for _ in range(6)]
        for number in range(12):
            self.cluster.sql("alter table thing add column c%d int default %d" % (number, number))
            for k, conn in enumerate(clients, 1):
                conn.send(self.request(sql, str(k)))
            for k, conn in enumerate(clients, 1):
                got = conn.until("Z")
                self.assertEqual([self.plain(m) for m in got], [self.plain(m) for m in self.ask(self.direct, sql, str(k))])


class Simple(Promote):
    """The same for simple queries: the values become literals of the text."""

    @staticmethod
    def request(sql, *values):
        for number, value in enumerate(values, 1):
            sql = sql.replace("$%d" % number, value if value.isdigit() else "'%s'" % value)
        return pgwire.query(sql)

    def test_a_quoted_constant_keeps_its_moment(self):
        self.conn = self.client()
        before = self.promoted()
        for sql in ("select v from thing where k = $1 and now() >= timestamptz 'now'",
                    "select v, 'thing'::regclass from thing where k = $1", "select v from thing where k = $1 + 0"):
            for _ in range(TIMES):
                self.same(sql, "7")
        self.assertEqual(self.promoted(), before)

    def test_a_generic_plan(self):
        """PostgreSQL plans it once for all values: far more often than five times the prepared one is used again."""
        self.make_hot("select v from thing where k = $1", "7")
        if support.STANDIN:
            return
        prepared = self.metric("pgweir_prepares_sent_total")
        for k in range(1, 60):
            self.same("select v from thing where k = $1", str(k))
        self.assertLessEqual(self.metric("pgweir_prepares_sent_total"), prepared + 1)


class Off(support.Case):
    """Switched off, or only watching: never."""
    database = {"pool_size": 1}
    sections = {"cache": {"consistency": "off"}, "batch": {"promote": "off"}}

    def test_never(self):
        conn = self.client()
        for _ in range(20):
            conn.send(pgwire.parse("", "select $1::int") + pgwire.bind("", "", [b"1"]) + pgwire.execute() + pgwire.msg("S"))
            conn.until("Z")
        if not support.STANDIN:
            url = "http://127.0.0.1:%d/metrics" % self.weir.http_port
            text = urllib.request.urlopen(url, timeout=20).read().decode()
            self.assertIn("\npgweir_batch_promoted_total 0\n", text)


if __name__ == "__main__":
    support.main()
