#!/usr/bin/python3
"""`pgweir advise` as a DBA uses it: every source and format, weights, what is skipped and what the exit status says, history over
restarts of the server and resets of its statistics, several databases and schemas."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

import support
from support import fixture

BINARY = os.environ.get("PGWEIR", os.path.join(fixture.ROOT, "build", "pgweir"))


@unittest.skipIf(support.STANDIN, "needs pgweir")
class Advise(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = fixture.Postgres(settings={"shared_preload_libraries": "pg_stat_statements"})
        cls.cluster.sql("create database \"Second db\"")
        for database, rows in (("postgres", 40000), ("Second db", 20000)):
            for statement in ("create extension hypopg", "create extension pg_stat_statements", "create schema \"S one\"",
                              "create table \"S one\".t (k int primary key, a int, b int, v text)",
                              "insert into \"S one\".t select i, i, i %% 900, 'v' || i from generate_series(1, %d) i" % rows, "vacuum analyze"):
                cls.cluster.sql(statement, database)
        cls.dir = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()
        cls.cluster.stop()

    def file(self, name, text=None):
        path = os.path.join(self.dir.name, name)
        if text is not None:
            with open(path, "w") as out:
                out.write(text)
        return path

    def advise(self, *arguments, database="postgres", status=0):
        url = self.cluster.url(database.replace(" ", "%20"))
        done = subprocess.run([BINARY, "advise", "--upstream", url] + list(arguments), capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr[-2000:] + done.stdout[-2000:])
        return done.stdout

    def workload(self):
        return self.file("w.sql", "-- weight: 900\nselect * from \"S one\".t where a = 7;\nselect * from \"S one\".t where b = 7;\n")

    def test_weights_decide_under_a_budget(self):
        for heavy, light in (("a", "b"), ("b", "a")):
            path = self.file("weights.sql", "-- weight: 1000\nselect v from \"S one\".t where %s = 7 and v <> 'x';\n"
                                            "select v from \"S one\".t where %s = 7 and v <> 'x';\n" % (heavy, light))
            report = json.loads(self.advise("--workload", path, "--budget", "950kB", "--format", "json"))
            created = [item["sql"] for item in report["advice"] if item["kind"] == "create"]
            self.assertTrue(any("(%s" % heavy in sql for sql in created), (heavy, created))

    def test_formats(self):
        path, out = self.workload(), self.file("report")
        text = self.advise("--workload", path)
        report = json.loads(self.advise("--workload", path, "--format", "json"))
        sql = self.advise("--workload", path, "--format", "sql")
        self.advise("--workload", path, "--format", "html", "-o", out)
        with open(out) as page:
            html = page.read()
        create = next(item for item in report["advice"] if item["kind"] == "create" and "(a)" in item["sql"])
        self.assertEqual(create["queries"][0]["calls"], 900)
        self.assertLess(create["queries"][0]["cost_after"], create["queries"][0]["cost_before"])
        for shown in (text, sql):
            self.assertIn(create["sql"], shown)
        self.assertIn(create["id"], html)
        self.assertIn("<svg", html)
        self.assertNotRegex(html, "(?i)<script|https?://")
        for caveat in ("CONCURRENTLY", "outside a transaction", "lock_timeout", "undo"):
            self.assertIn(caveat, sql)
        # the script runs as it is, and what it built is then no advice any more
        done = subprocess.run(["psql", "-h", self.cluster.dir, "-p", str(self.cluster.port), "-U", "postgres", "-X", "-q", "postgres"],
                              input=sql, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        again = json.loads(self.advise("--workload", path, "--format", "json"))
        self.assertFalse([item for item in again["advice"] if item["kind"] == "create"])
        for item in report["advice"]:
            if item["kind"] == "create":
                self.cluster.sql(item["undo_sql"])

    def test_what_cannot_be_used_is_said_with_its_line(self):
        path = self.file("bad.sql", "select 1;\n\nselect from where 'secret';\nselect * from no_such_table;\n"
                                    "drop table x;\nselect * from \"S one\".t where a = 8;\n")
        text = self.advise("--workload", path, status=1)
        for line in (3, 4, 5):
            self.assertIn("line %d" % line, text)
        self.assertNotIn("secret", text)
        self.assertIn("no such table", text)
        self.assertIn("(a)", text)  # and the rest is advised on

    def test_exit_status(self):
        self.advise("--workload", self.file("absent.sql"), status=2)
        self.advise("--format", "pdf", status=2)
        unreached = subprocess.run([BINARY, "advise", "--upstream", "postgres://x@127.0.0.1:%d/x" % fixture.free_port()],
                                   capture_output=True, text=True, timeout=60)
        self.assertEqual(unreached.returncode, 3)
        self.assertNotIn("Nothing to change", unreached.stdout)
        helped = subprocess.run([BINARY, "advise", "--help"], capture_output=True, text=True, timeout=60)
        self.assertEqual((helped.returncode, helped.stderr), (0, ""))
        self.assertIn("--budget", helped.stdout)
        self.advise("--workload", self.workload(), "--no-hypopg", status=1)  # partial: our own model stands in

    def test_pg_stat_statements_of_another_database(self):
        self.cluster.sql("select pg_stat_statements_reset()", "Second db")
        for k in range(5):
            self.cluster.sql("select * from \"S one\".t where b = %d" % k, "Second db")
        report = json.loads(self.advise("--pg-stat-statements", "--format", "json", database="Second db"))
        self.assertEqual((report["database"], report["source"]), ("Second db", "pg_stat_statements"))
        self.assertTrue([item for item in report["advice"] if item["kind"] == "create" and "(b)" in item["sql"]])

    def test_unused_for_survives_resets_and_restarts(self):
        self.cluster.sql("create table idle (k int, v int)")
        self.cluster.sql("insert into idle select i, i from generate_series(1, 60000) i")
        self.cluster.sql("create index idle_v on idle (v)")
        state = tempfile.mkdtemp(dir=self.dir.name)

        def window():
            report = json.loads(self.advise("--format", "json", "--state-dir", state, "--min-index-size", "1kB"))
            found = [item for item in report["advice"] if item["object"] == "public.idle_v"]
            self.assertEqual(len(found), 1, report)
            return found[0]["evidence"]["window_seconds"]
        first = window()
        self.cluster.sql("select pg_stat_reset()")
        after_reset = window()
        self.assertGreater(after_reset, 0)
        self.cluster.halt(signal.SIGINT)  # as an operator restarts it
        self.cluster.start()
        self.assertGreaterEqual(window(), after_reset)
        self.assertGreaterEqual(first, 0)
        self.cluster.sql("drop table idle")


if __name__ == "__main__":
    support.main()
