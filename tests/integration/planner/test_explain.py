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
create table zoned (at timetz);
alter table t add names text[];
create domain checked as int check (value > 0);
create function f_default(at timestamptz default now()) returns timestamptz language sql immutable as 'select at';
create function f_clock() returns date language plpgsql immutable as 'begin return current_date; end';
create function f_says_now() returns timestamptz language plpgsql immutable as $$ begin return 'now'; end $$;
create function f_reads_dates(t text) returns date language sql immutable as 'select t::date';
create function f_day(t timestamptz) returns date language sql immutable as $$ select (t at time zone 'UTC')::date $$;
create function count_add(bigint, int) returns bigint language sql as 'select count(*) from t';
create aggregate count_all(int) (sfunc = count_add, stype = bigint, initcond = 0);
create function reads_eq(int, int) returns bool language sql immutable as 'select exists (select from t)';
create operator =|= (leftarg = int, rightarg = int, function = reads_eq);
create type mood as enum ('sad', 'happy');
create function odd_eq(mood, int) returns bool language sql volatile as 'select true';
create operator ==== (leftarg = mood, rightarg = int, function = odd_eq);
create function good_eq(mood, int) returns bool language sql immutable as 'select $2 > 1';
create operator === (leftarg = mood, rightarg = int, function = good_eq);
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

    def test_whether_its_plans_are_looked_at(self):
        self.assertIn("never planned under another role", self.explain("CACHE", "select f_immutable(a) from t")["index log"])
        self.assertNotIn("index log", self.explain("CACHE", "select a from t where id = 1"))

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
                    "create role r password 'hidden'", "garbage 'hidden'", "set x.y to hidden", "set local \"X\".y = hidden, b",
                    "alter role r set x.y to hidden", "create function f() returns int language sql set x.y = hidden as ''"):
            with self.subTest(sql=sql):
                self.assertNotIn("hidden", str(self.explain("CACHE", sql)))


if __name__ == "__main__":
    unittest.main()
