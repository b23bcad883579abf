"""Query families through pgweir: counters that survive a restart, errors by SQLSTATE, the slow query log; no literal anywhere."""
import json
import os
import shutil
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import fixture, pgwire, wait_until  # noqa: E402

SECRET = "s3cr3tword"
# Every way a client's literal can come along; each is slow enough to be logged.
SLOW = ("select pg_sleep(0.03), '%s'", "select pg_sleep(0.03) /* %s */", "select pg_sleep(0.03), $$%s$$, E'%s', U&'%s', B'101'",
        "prepare p_%d as select '%s', pg_sleep(0.03)", "execute p_%d", "set x.y to '%s'", "select pg_sleep(0.03) where '%s' = '%s' limit 1",
        "do $$ begin perform pg_sleep(0.03), '%s'; end $$", "explain analyze select pg_sleep(0.03), '%s'",
        "select pg_sleep(0.03); select '%s'", "insert into t values (77, '%s') returning pg_sleep(0.03)",
        "copy (select pg_sleep(0.03), '%s') to stdout", "alter role postgres password '%s'", "comment on table t is '%s'",
        "select 'it''s %s', pg_sleep(0.03) -- %s", "select pg_sleep(0.03), '%s' from no_such_table", "garbage '%s'",
        "create table if not exists made (a text default '%s')", "select pg_sleep(0.03), '%s' order by '%s'::text",
        "declare c cursor for select '%s'", "notify c, '%s'", "select interval '1' day, date '2020-01-01', '%s', pg_sleep(0.03)")


class Families(support.Case):
    proxy_only = True
    sections = {"planner": {"slow_query": "20ms", "index_log": "/nonexistent"}}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table t (id int primary key, b text)")

    @staticmethod
    def rows(weir, command="SHOW FAMILIES 1000"):
        return [json.loads(line) for line in weir.console(command + " \\j").splitlines() if line.strip()]

    def family(self, weir, text):
        found = [row for row in self.rows(weir) if row["text"].startswith(text)]
        return found[0] if found else None

    def test_no_literal_in_families_and_the_slow_log(self):
        conn = self.client()
        for number, sql in enumerate(SLOW):
            conn.simple(sql.replace("p_%d", "p_x").replace("%s", SECRET))
        conn.send(pgwire.parse("", "select $1::text, pg_sleep(0.03)") + pgwire.bind("", "", (SECRET,)) + pgwire.execute() + pgwire.SYNC)
        conn.until("Z")
        wait_until(lambda: self.weir.log().count("event=slow_query") >= 10, "slow queries in the log")
        shown = json.dumps(self.rows(self.weir)) + self.weir.console("SHOW CACHE REASONS")
        with urllib.request.urlopen("http://127.0.0.1:%d/api/v1/families" % self.weir.http_port, timeout=20) as answer:
            shown += answer.read().decode()
        self.assertIn("pg_sleep", shown)
        self.assertNotIn(SECRET, shown)
        self.assertNotIn(SECRET, self.weir.log())
        line = next(line for line in self.weir.log().splitlines() if "event=slow_query" in line)
        for part in ("family=", "database=postgres", "user=postgres", " ms=", "server_ms=", "wait_ms=", "rows=", 'text="'):
            self.assertIn(part, line)

    def test_a_fast_query_is_not_logged(self):
        self.client().rows("select id as only_fast from t")
        self.client().rows("select pg_sleep(0.05) as surely_slow")
        wait_until(lambda: "surely_slow" in self.weir.log(), "the slow one")
        self.assertNotIn("only_fast", self.weir.log())

    def test_errors_by_sqlstate(self):
        conn = self.client()
        for value in (0, 0, 1):
            conn.simple("select 10 / %d as quotient_of" % value)
        conn.simple("select 'x'::int as quotient_of")
        row = wait_until(lambda: self.family(self.weir, "select $1 / $2"), "the family")
        self.assertEqual((row["calls"], row["errors"], row["sqlstates"]), (3, 2, "22012: 2"))

    def test_counters_survive_a_restart(self):
        state = tempfile.mkdtemp(prefix="pgweir-state-")
        try:
            for run in (1, 2, 3):
                with fixture.Pgweir(self.cluster, sections={"pgweir": {"state_dir": state}}) as weir:
                    if run > 1:  # before anybody came
                        row = self.family(weir, "select b, $1 as kept")
                        self.assertEqual((row["calls"], row["rows"], row["database"]), (10 * (run - 1), 0, "postgres"))
                        self.assertEqual(row["sqlstates"], "22P02: %d" % (run - 1))
                        self.assertGreater(row["p99_ms"], 0)
                    conn = weir.connect()
                    for number in range(9):
                        conn.rows("select b, %d as kept from t where id = '99%d'" % (number, number))
                    conn.simple("select b, 1 as kept from t where id = '%s'" % SECRET)
                    conn.finish()
            for name in os.listdir(state):
                with open(os.path.join(state, name), "rb") if os.path.isfile(os.path.join(state, name)) else open(os.devnull, "rb") as f:
                    self.assertNotIn(SECRET.encode(), f.read(), name)
        finally:
            shutil.rmtree(state, ignore_errors=True)


class IndexUses(support.Case):
    """SHOW INDEXES: what the sampled plans say, next to the server's own counter without our EXPLAINs, also after a restart."""

    proxy_only = True

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table big as select n as id, n % 100 as grp from generate_series(1, 20000) n; "
                        "alter table big add primary key (id); create index big_grp on big (grp); analyze big")

    @staticmethod
    def index(weir, name):
        rows = [json.loads(line) for line in weir.console("SHOW INDEXES \\j").splitlines() if line.startswith("{")]
        found = [row for row in rows if row["index"].endswith(name)]
        return found[0] if found else None

    def test_uses_are_kept(self):
        state = tempfile.mkdtemp(prefix="pgweir-state-")
        try:
            with fixture.Pgweir(self.cluster, sections={"pgweir": {"state_dir": state}, "cache": {"consistency": "off"}}) as weir:
                conn, asked = weir.connect(), [0]

                def ask():
                    asked[0] += 1
                    conn.rows("select grp from big where id = %d" % asked[0])
                    return self.index(weir, "big_pkey")["uses"]
                wait_until(ask, "a sampled plan")  # of a statement that came after the catalog was read
                row = wait_until(lambda: (lambda r: r["uses"] == r["idx_scan"] == asked[0] and r)(self.index(weir, "big_pkey")),
                                 "as many uses and scans as there were queries")
                self.assertEqual(row["scan_kind"], "Index Scan")
                self.assertIsNone(self.index(weir, "big_grp")["uses"])
                conn.finish()
            with fixture.Pgweir(self.cluster, sections={"pgweir": {"state_dir": state}}) as weir:
                conn = weir.connect()  # SHOW INDEXES speaks of databases that somebody uses
                row = wait_until(lambda: self.index(weir, "big_pkey"), "the index")
                conn.finish()
                self.assertEqual((row["uses"], row["idx_scan"], row["scan_kind"]), (asked[0], asked[0], "Index Scan"))
                self.assertIsNone(self.index(weir, "big_grp")["uses"])
        finally:
            shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
