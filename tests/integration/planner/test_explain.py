"""EXPLAIN CACHE of more than a hundred statements on the console, each with the verdict and the reason of explain_cache.txt."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402

SETUP = """
create table t (id int primary key, a int, b text, at timestamptz, j jsonb);
create table u (id int primary key, tid int references t on delete cascade, w int);
create table part (id int, v int) partition by range (id);
create table part1 partition of part for values from (0) to (10);
create view v as select id, a from t where id > 5;
create view v_now as select now() as n, id from t;
create view v_random as select random() as r from t;
create materialized view mv as select * from t;
create table secured (id int); alter table secured enable row level security;
create extension file_fdw; create server files foreign data wrapper file_fdw;
create foreign table remote (x text) server files options (filename '/dev/null');
create sequence s;
create function f_immutable(int) returns int language sql immutable as 'select $1 + 1';
create function f_stable(int) returns int language sql stable as 'select 1';
create function f_reads() returns bigint language sql stable as 'select count(*) from t';
create function f_lies(int) returns bigint language sql immutable as 'select count(*) from t';
create function f_volatile() returns int language sql as 'select 1';
create function f_writes() returns int language sql as 'delete from u returning 1';
create procedure proc() language sql as 'delete from u';
create type mood as enum ('sad', 'happy');
create function odd_eq(mood, int) returns bool language sql volatile as 'select true';
create operator ==== (leftarg = mood, rightarg = int, function = odd_eq);
"""


def statements():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "explain_cache.txt")
    answer = None
    with open(path, encoding="utf-8") as table:
        for line in table.read().splitlines():
            if line.endswith(":"):
                answer = line[:-1]
            elif line and not line.startswith("#"):
                yield answer, line


class Explain(support.Case):
    proxy_only = True

    @classmethod
    def prepare(cls):
        cls.cluster.sql(SETUP)

    def explain(self, what, sql):
        text = self.weir.console("EXPLAIN %s DATABASE postgres %s \\j" % (what, sql))
        return {row["item"]: row["answer"] for row in map(json.loads, filter(str.strip, text.splitlines()))}

    def setUp(self):
        super().setUp()
        self.client().rows("select 1")  # the database is in use: its catalog is read
        support.wait_until(lambda: self.explain("CACHE", "select * from t")["cacheable"] == "yes", "the catalog")

    def test_verdict_and_reason_of_each(self):
        count = 0
        for answer, sql in statements():
            with self.subTest(sql=sql):
                self.assertEqual(self.explain("CACHE", sql)["cacheable"], answer)
            count += 1
        self.assertGreaterEqual(count, 100)

    def test_what_it_depends_on(self):
        rows = self.explain("CACHE", "select v.a, u.w from v join u on u.tid = v.id where v.id = 7")
        self.assertEqual(set(rows["depends on"].split(", ")), {"public.t", "public.u", "public.v"})
        self.assertEqual(set(rows["columns read"].split("), ")),
                         {"public.t (all", "public.u (id, tid, w", "public.v (id, a)"})
        self.assertEqual(rows["calls"], "= (stable), > (stable)")

    def test_what_it_invalidates(self):
        rows = self.explain("CACHE", "delete from t where id = 7")
        self.assertEqual(set(rows["invalidates"].split(", ")), {"public.t", "public.u"})
        self.assertEqual(rows["writes only"], "public.t where id = literal 1")
        self.assertEqual(self.explain("CACHE", "call proc()")["invalidates"], "every table of the database")

    def test_batch(self):
        self.assertEqual(self.explain("BATCH", "select b from t where id = $1")["shares a connection"], "yes")
        self.assertEqual(self.explain("BATCH", "select b from t where id = $1")["reads by key"], "public.t where id = $1")
        self.assertEqual(self.explain("BATCH", "select * from t for update")["shares a connection"],
                         "no: it has a locking clause (FOR UPDATE, FOR SHARE ...)")
        self.assertEqual(self.explain("BATCH", "insert into t (id) values (1)")["shares a connection"], "no: not a plain SELECT")
        self.assertEqual(self.explain("BATCH", "select 1 /* pgweir: batch=off */")["shares a connection"],
                         "no: a hint or rule says off")

    def test_no_literal_is_shown(self):
        for sql in ("select * from t where b = 'hidden'", "prepare p as select 'hidden'", "set x.y to 'hidden'",
                    "create role r password 'hidden'", "garbage 'hidden'"):
            with self.subTest(sql=sql):
                self.assertNotIn("hidden", str(self.explain("CACHE", sql)))


if __name__ == "__main__":
    unittest.main()
