"""While the catalog is being read, nobody is pinned for a function that only the catalog knows; and nobody waits for it too long."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import fixture, pgwire  # noqa: E402

SETUP = """
create table t (id int primary key, v text); insert into t values (1, 'one'), (2, 'two');
create view looks as select id, v from t;
create function own(int) returns text stable language sql as 'select v from t where id = $1';
create role limited login; grant select on t to limited;
"""
FOREVER = {"planner": {"catalog_wait": "1h"}}
OWN, BUILTIN = "select own(2)", "select num_nonnulls(1, null, 3), parse_ident('a.b')"
TWO = [[b"2", b"{a,b}"]]


class Pending(support.Case):
    proxy_only = True
    database = {"pool_size": 1}
    sections = FOREVER

    @classmethod
    def setUpClass(cls):
        cls.cluster = fixture.Postgres()
        cls.cluster.sql(SETUP)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()

    def weir_with(self, sections=None, **more):
        self.weir = self.start(self.database, sections or self.sections, **more)
        self.addCleanup(self.weir.stop)
        return self.weir

    def pins(self):
        with self.weir.connect(database="pgweir") as console:
            return [row[3].decode() for row in console.rows("show pins")]

    def explain(self):
        return self.weir.console("EXPLAIN CACHE DATABASE postgres select 1 from t")

    def lock(self):
        """Somebody who keeps the catalog from being read: the text of a view takes a lock on its tables."""
        holder = self.cluster.connect()
        self.addCleanup(holder.drop)
        holder.rows("begin")
        holder.rows("lock table t in access exclusive mode")
        return holder

    def is_locked_out(self):
        return self.sessions("wait_event_type = 'Lock' and query like '%pg_get_viewdef%'") > 0

    def test_the_first_statements_of_a_database(self):
        self.weir_with()
        for sql, want in ((OWN, [[b"two"]]), (BUILTIN, TWO)):
            first, second = self.client(), self.client()
            self.assertEqual(first.rows(sql), want)
            self.assertEqual(second.rows(sql), want)  # on the only connection: it is free
        self.assertEqual(self.pins(), [])

    def test_a_prepared_statement_is_the_first(self):
        self.weir_with()
        conn = self.client()
        conn.send(pgwire.parse("p", "select own($1)", (23,)) + pgwire.bind("", "p", (b"1",)) + pgwire.execute() + pgwire.msg("S"))
        self.assertEqual([pgwire.data_row(body) for kind, body in conn.until("Z") if kind == "D"], [[b"one"]])
        self.assertEqual(self.pins(), [])

    def test_after_ddl(self):
        self.weir_with()
        maker, user = self.client(), self.client()
        for i in range(5):
            maker.rows("create or replace function made(int) returns int stable language sql as 'select $1 + %d'" % i)
            self.assertEqual(user.value("select made(1)"), str(i + 1))
            self.assertEqual(maker.value("select made(1)"), str(i + 1))
        self.assertEqual(self.pins(), [])

    def test_many_sessions_at_once(self):
        self.weir_with()
        conns = [self.client() for _ in range(20)]
        for i, conn in enumerate(conns):
            conn.send(pgwire.query("select own(%d), %d" % (1 + i % 2, i)) * 3)
        for i, conn in enumerate(conns):
            for _ in range(3):
                rows = [pgwire.data_row(body) for kind, body in conn.until("Z") if kind == "D"]
                self.assertEqual(rows, [[(b"one", b"two")[i % 2], b"%d" % i]])
        self.assertEqual(self.pins(), [])

    def test_the_catalog_comes_after_all(self):
        holder = self.lock()
        self.weir_with()
        conn = self.client()
        conn.send(pgwire.query(BUILTIN))
        fixture.wait_until(self.is_locked_out, "the catalog to be waited for")
        holder.rows("rollback")
        self.assertEqual([pgwire.data_row(body) for kind, body in conn.until("Z") if kind == "D"], TWO)
        self.assertEqual(self.pins(), [])

    def test_the_catalog_takes_too_long(self):
        holder = self.lock()
        self.weir_with({"planner": {"catalog_wait": "50ms"}})
        conn = self.client()
        self.assertEqual(conn.rows(BUILTIN), TWO)  # answered while the lock is held
        self.assertEqual(self.pins(), ["a function that may leave session state was called"])
        self.assertIn("the catalog is being read", self.explain())
        holder.rows("rollback")
        conn.finish()
        other = self.client()
        fixture.wait_until(lambda: "the catalog is being read" not in self.explain(), "the catalog")
        self.assertEqual(other.rows(BUILTIN), TWO)
        self.assertEqual(self.pins(), [])

    def test_a_client_that_goes_while_it_waits(self):
        holder = self.lock()
        self.weir_with()
        conn, other = self.client(), self.client()
        for c in (conn, other):
            c.send(pgwire.query(BUILTIN))
        fixture.wait_until(self.is_locked_out, "the catalog to be waited for")
        conn.drop()
        self.assertEqual(self.client().rows("select id from (values (1)) as v (id)"), [[b"1"]])  # others do not wait
        holder.rows("rollback")
        self.assertEqual(len([1 for kind, _ in other.until("Z") if kind == "D"]), 1)

    def test_an_end_while_somebody_waits(self):
        self.lock()
        self.weir_with()
        conn = self.client()
        conn.send(pgwire.query(BUILTIN))
        fixture.wait_until(self.is_locked_out, "the catalog to be waited for")

    def test_ddl_of_the_own_transaction(self):
        """Its locks may be what the catalog waits for."""
        self.weir_with()
        conn = self.client()
        self.assertEqual(conn.rows(OWN), [[b"two"]])
        conn.rows("begin")
        conn.rows("alter table t add column more int")
        fixture.wait_until(self.is_locked_out, "the catalog to be waited for")
        self.assertEqual(conn.rows(BUILTIN), TWO)
        conn.rows("rollback")

    def test_a_catalog_that_cannot_be_read(self):
        self.cluster.sql("revoke select on pg_catalog.pg_policy from public")
        self.addCleanup(self.cluster.sql, "grant select on pg_catalog.pg_policy to public")
        self.weir_with(url=self.cluster.url(user="limited"))
        conn = self.client(user="limited")
        self.assertEqual(conn.rows(OWN), [[b"two"]])
        self.assertIn("permission denied", self.weir.log())

    def test_gives_way_to_a_lock(self):
        """Reading the catalog opens the relations of views. It never waits so long for a lock that PostgreSQL could find a
        deadlock and make somebody's DDL the victim; and it is read when the lock is gone."""
        weir = self.weir_with()
        reads = "datname = 'postgres' and application_name = 'pgweir' and state <> 'idle'"
        waits = lambda: self.cluster.sql("select 1 from pg_stat_activity where wait_event_type = 'Lock' and " + reads)
        with weir.connect() as conn, self.cluster.connect() as holder:
            conn.rows(OWN)
            holder.rows("begin")
            holder.rows("lock table t in access exclusive mode")
            conn.rows("create table if not exists news (k int)")
            for _ in range(2):
                support.wait_until(waits, "the catalog to wait for the lock")
                support.wait_until(lambda: not waits(), "it to give way", 20)
            holder.rows("commit")
            self.assertEqual(conn.rows(OWN), [[b"two"]])
            self.assertEqual(self.pins(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
