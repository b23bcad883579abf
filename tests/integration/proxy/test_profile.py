#!/usr/bin/python3
"""PROFILE START/STOP and GET /profile under a real load: every figure against what the load did, or against the server's own."""
import json
import os
import threading
import urllib.error
import urllib.request

import support
from support import fixture, wait_until

KCACHE = "/usr/share/postgresql/15/extension/pg_stat_kcache.control"
HEAVY = "select count(*), clock_timestamp() from big where md5(v || k) like '%secretvalue%'"
SORT = "select k from (select k, v from big order by md5(v), k offset 39999) s"
LOOKUP = "select v from big where tag = %d"
CACHED = "select v from small where k = 3"
CALL = "select twice(k) from small where k = %d"


def prepare(cluster):
    cluster.sql("create extension pg_stat_statements")
    cluster.sql("create extension if not exists hypopg")
    cluster.sql("create table big (k int primary key, v text, tag int)")
    cluster.sql("insert into big select i, repeat('x', 60) || i, i % 20000 from generate_series(1, 40000) i")
    cluster.sql("create table small (k int primary key, v text)")
    cluster.sql("insert into small select i, 'v' || i from generate_series(1, 1000) i")
    cluster.sql("create table log (k int, v text)")
    cluster.sql("create function twice(a int) returns int language plpgsql as 'begin return a * 2; end'")
    cluster.sql("vacuum analyze")


class Base(support.Case):
    proxy_only = True
    database = {"pool_size": 2}
    # One worker: two would hand the two connections to each other by closing and opening them, and what an ended backend
    # used is not known any more.
    sections = {"pgweir": {"workers": 1}, "metrics": {"interval": "100ms"}, "auth": {"type": "trust", "admin_users": ["postgres"]}}

    @classmethod
    def prepare(cls):
        prepare(cls.cluster)

    def setUp(self):
        super().setUp()
        self.weir.console("PROFILE STOP json")  # left by a test that failed; else an error, which is right

    def get(self, path, weir=None):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % ((weir or self.weir).http_port, path), timeout=60) as answer:
            return answer.headers["content-type"], answer.read().decode()

    def status_of(self, path, weir=None):
        try:
            self.get(path, weir)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def command(self, text, weir=None):
        """Over psql's protocol: rows of text."""
        with (weir or self.weir).connect(database="pgweir") as conn:
            return conn.rows(text)

    def load(self):
        """What the profile must say: calls by family."""
        conns = [self.client() for _ in range(6)]

        def work(conn, n):
            for _ in range(3):
                conn.rows(HEAVY)
            conn.rows("insert into log values (%d, 'secretvalue')" % n)
        threads = [threading.Thread(target=work, args=(conn, n)) for n, conn in enumerate(conns)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self.weir.connect() as conn:
            conn.rows("begin")
            conn.rows("set local work_mem = '64kB'")
            conn.rows(SORT)
            conn.rows("commit")
        for n in range(40):
            conns[0].rows(LOOKUP % n)
            conns[1].rows(CALL % n)
        for _ in range(50):
            conns[2].rows(CACHED)

    def profile(self, until=None):
        self.client().rows(HEAVY)  # before: not counted
        started = self.weir.console("PROFILE START")
        self.assertFalse(started.startswith("ERROR"), started)
        self.load()
        if until:
            wait_until(until, "the server to publish its counters")
        samples = lambda: float(next(line.split()[1] for line in self.get("/metrics")[1].splitlines()
                                     if line.startswith("pgweir_process_cpu_seconds_total")))
        self.assertGreater(samples(), 0)
        rows = self.command("PROFILE STOP json")
        return json.loads("\n".join(row[0].decode() for row in rows))

    @staticmethod
    def family(profile, part):
        found = [f for f in profile["families"] if part in f["text"]]
        assert len(found) == 1, (part, [f["text"] for f in profile["families"]])
        return found[0]

    @staticmethod
    def reading(profile, group, name):
        found = [r for r in profile["readings"] if (r["group"], r["name"]) == (group, name)]
        return found[0]["mean"] if found else None


class Profile(Base):
    settings = {"shared_preload_libraries": "pg_stat_statements", "track_io_timing": "on"}

    def test_counts_what_the_load_did(self):
        temporary = "select temp_files from pg_stat_database where datname = 'postgres'"
        before = int(self.cluster.sql(temporary)[0][0])
        p = self.profile(until=lambda: int(self.cluster.sql(temporary)[0][0]) > before)
        heavy, sort = self.family(p, "md5(v || k)"), self.family(p, "order by md5")
        self.assertEqual((heavy["calls"], heavy["rows"], heavy["database"]), (18, 18, "postgres"))
        self.assertEqual(heavy["server_calls"], 18)
        self.assertEqual(self.family(p, "insert into log")["calls"], 6)
        self.assertEqual(self.family(p, "twice(k)")["calls"], 40)
        cached = self.family(p, "select v from small")
        self.assertEqual(cached["calls"], 50)
        self.assertGreater(cached["cache_hits"], 0)
        # the hottest comes first; its CPU is the larger part of what the backends used
        self.assertIs(p["families"][0], heavy)
        self.assertGreater(heavy["server_cpu_s"], 0)
        total = self.reading(p, "server postgres", "client backends' CPU")
        self.assertLessEqual(sum(f["server_cpu_s"] or 0 for f in p["families"]), total * 1.001)
        self.assertGreater(heavy["server_cpu_s"], total / 2)
        self.assertIn("share", heavy["cpu_from"])
        # six clients on two connections: somebody waited
        self.assertGreater(heavy["wait_ms"], 0)
        self.assertGreater(heavy["server_ms"], 0)
        self.assertGreater(heavy["blocks_hit"], 18 * 100)
        self.assertGreater(heavy["bytes"], 0)
        self.assertIsNotNone(heavy["io_ms"])
        self.assertGreater(sort["temp_bytes"], 2 ** 20)
        self.assertGreaterEqual(self.reading(p, "server postgres", "temporary files"), 1)
        self.assertGreaterEqual(self.reading(p, "server postgres", "temporary bytes"), 2 ** 20)
        self.assertGreater(self.family(p, "insert into log")["wal_bytes"], 0)
        for f in p["families"]:
            self.assertLessEqual(f["wait_ms"] + f["server_ms"], f["total_ms"] + 0.001 * f["calls"], f)
        requests = self.reading(p, "proxy", "requests answered")
        self.assertEqual(requests, sum(f["calls"] for f in p["families"]) + self.unplanned(p))

    def unplanned(self, p):
        """Requests of the load that are of no family: BEGIN, SET, COMMIT."""
        return 3 - sum(f["calls"] for f in p["families"] if f["text"].lower().startswith(("begin", "set", "commit")))

    def test_processes_and_machines(self):
        p = self.profile()
        servers = {int(row["remote_pid"]) for row in map(json.loads, (line for line in self.weir.console("SHOW SERVERS \\j").splitlines()
                                                                      if line.startswith("{")))}
        clients = [b for b in p["backends"] if b["kind"] == "client backend" and b["cpu_s"] > 0.05]
        self.assertTrue(clients, (p["backends"], p["notes"]))
        self.assertLessEqual({b["pid"] for b in clients}, servers)
        self.assertTrue(all(b["memory_bytes"] > 2 ** 18 for b in clients), clients)
        self.assertTrue(any(b["kind"] == "checkpointer" for b in p["backends"]))
        self.assertGreater(self.reading(p, "host", "processors used"), 0)
        self.assertGreater(self.reading(p, "host", "memory used"), 2 ** 20)
        self.assertGreater(self.reading(p, "proxy", "memory of the proxy"), 2 ** 20)
        self.assertGreaterEqual(self.reading(p, "proxy", "CPU of thread worker-0"), 0)
        self.assertGreaterEqual(self.reading(p, "proxy", "time in the proxy per request"), 0)
        self.assertGreater(self.reading(p, "proxy", "bytes to clients"), 1000)
        curve = next(c for c in p["curves"] if c["name"] == "requests")
        self.assertEqual(len(curve["v"]), len(curve["seconds"]))
        self.assertGreater(max(curve["v"]), 0)
        self.assertTrue(0 <= curve["seconds"][0] <= curve["seconds"][-1] <= p["seconds"] + 1, curve)

    def test_every_advisor_recommends(self):
        p = self.profile()
        advice = {item["kind"]: item for item in p["advice"][0]["advice"]}
        self.assertIn("(tag)", advice["create"]["sql"])
        self.assertIn(self.family(p, "tag = ")["family"], {q["family"] for q in advice["create"]["queries"]})
        self.assertIn("twice", advice["function"]["sql"])
        self.assertTrue(any("ADVISE JIT" in note for note in p["notes"]))
        self.assertIn(advice["create"]["id"], self.weir.console("SHOW ADVICE"))

    def test_the_same_profile_in_every_format(self):
        p = self.profile()
        kind, html = self.get("/profile")
        self.assertEqual(kind, "text/html; charset=utf-8")
        self.assertEqual(json.loads(self.get("/profile?format=json")[1]), p)
        kind, text = self.get("/profile?format=text")
        self.assertEqual(kind, "text/plain; charset=utf-8")
        for report in (html, text, json.dumps(p), self.weir.console("SHOW PROFILE html")):
            for f in p["families"][:3]:
                self.assertIn(f["family"], report)
            self.assertIn("(tag)", report)
            self.assertNotIn("secretvalue", report)
        self.assertGreater(html.count("<path"), 3)
        self.assertNotRegex(html, "(?i)<script|https?://")
        self.assertEqual(self.status_of("/profile?format=pdf"), 400)

    def test_order_of_commands(self):
        with fixture.Pgweir(self.cluster, sections=self.sections) as weir:
            self.assertTrue(weir.console("PROFILE STOP").startswith("ERROR"))
            self.assertTrue(weir.console("SHOW PROFILE").startswith("ERROR"))
            self.assertEqual(self.status_of("/profile", weir), 404)
            self.assertFalse(weir.console("PROFILE START").startswith("ERROR"))
            self.assertIn("running since", weir.console("SHOW STATE"))
            self.assertTrue(weir.console("PROFILE START").startswith("ERROR"))
            self.assertTrue(weir.console("PROFILE STOP pdf").startswith("ERROR"))
            self.assertIn("Profile from", weir.console("PROFILE STOP"))  # of nothing: no database was used
            self.assertTrue(weir.console("PROFILE STOP").startswith("ERROR"))
            self.assertEqual(self.status_of("/profile", weir), 200)
            self.assertIn("PROFILE START", weir.console("SHOW HELP"))
            with weir.connect() as conn:
                conn.rows("select 1")
            self.assertFalse(weir.console("PROFILE START").startswith("ERROR"))
        # and it stops cleanly while a profile runs

    def test_stops_while_the_report_is_written(self):
        with fixture.Pgweir(self.cluster, sections=self.sections) as weir:
            with weir.connect() as conn:
                conn.rows(HEAVY)
                weir.console("PROFILE START")
                conn.rows(HEAVY)
            asking = self.in_thread(self.quietly, weir, "PROFILE STOP")
            wait_until(lambda: "running since" not in self.quietly(weir, "SHOW STATE"), "the profile to be stopped")
            weir.halt()
            asking()

    @staticmethod
    def quietly(weir, command):
        try:
            return weir.console(command)
        except (fixture.FixtureError, OSError):
            return ""


class Bare(Base):
    """Without pg_stat_statements: what is not known is null and said, the rest is there."""

    @classmethod
    def prepare(cls):
        prepare(cls.cluster)
        cls.cluster.sql("drop extension pg_stat_statements")

    def test_says_what_is_not_known(self):
        p = self.profile()
        heavy = self.family(p, "md5(v || k)")
        self.assertEqual(heavy["calls"], 18)
        self.assertIsNone(heavy["blocks_hit"])
        self.assertIsNone(heavy["temp_bytes"])
        self.assertGreater(heavy["server_cpu_s"], 0)
        self.assertTrue(any("pg_stat_statements" in note for note in p["notes"]))
        self.assertIn("?", self.get("/profile?format=text")[1])

    def test_a_server_that_is_gone(self):
        with fixture.Postgres() as other, fixture.Pgweir(other, sections=self.sections) as weir:
            with weir.connect() as conn:
                conn.rows("select 1")
            self.assertFalse(weir.console("PROFILE START").startswith("ERROR"))
            other.halt()
            p = json.loads("\n".join(row[0].decode() for row in self.command("PROFILE STOP json", weir)))
            self.assertTrue(any("could not be read" in note for note in p["notes"]), p["notes"])
            self.assertTrue(p["readings"])


class Kcache(Base):
    """With pg_stat_kcache the CPU of a family is the kernel's own figure."""
    settings = {"shared_preload_libraries": "pg_stat_statements,pg_stat_kcache"}

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(KCACHE):
            raise support.unittest.SkipTest("pg_stat_kcache is not installed")
        super().setUpClass()

    @classmethod
    def prepare(cls):
        prepare(cls.cluster)
        cls.cluster.sql("create extension pg_stat_kcache")

    def test_cpu_is_the_kernel_s(self):
        p = self.profile()
        heavy = self.family(p, "md5(v || k)")
        self.assertEqual(heavy["cpu_from"], "pg_stat_kcache")
        theirs = float(self.cluster.sql("select sum(exec_user_time + exec_system_time) from pg_stat_kcache() k join pg_stat_statements s "
                                        "using (queryid) where query like '%md5(v || k)%'")[0][0])
        self.assertGreater(heavy["server_cpu_s"], 0)
        self.assertLessEqual(heavy["server_cpu_s"], theirs)  # one more ran before the profile
        self.assertIsNotNone(heavy["disk_read_bytes"])


if __name__ == "__main__":
    support.main()
