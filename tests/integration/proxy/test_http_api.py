#!/usr/bin/python3
"""HTTP: every metric the contract names, the API's rows against the console's, what the dashboard reads, readiness, advice reports."""
import json
import os
import re
import tempfile
import urllib.error
import urllib.request

import support
from support import fixture, pgwire, wait_until

METRICS = ("queries_total query_duration_seconds_bucket wait_duration_seconds_bucket clients servers cache_hits_total cache_misses_total "
           "cache_evictions_total cache_expirations_total cache_invalidations_total cache_memory_bytes cache_entries batch_requests_total "
           "batch_executions_total batch_merged_total batch_pipelined_total batch_joined_total batch_fallbacks_total batch_size_bucket "
           "advice memory_pool_total_bytes memory_pool_used_bytes memory_pool_fragmentation_ratio object_pool_created_total "
           "object_pool_reused_total process_cpu_seconds_total process_resident_memory_bytes process_threads process_io_read_bytes_total "
           "process_io_write_bytes_total host_cpu_seconds_total host_memory_bytes host_load1 up").split()
class Api(support.Case):
    proxy_only = True
    sections = {"metrics": {"interval": "100ms"}, "pgweir": {"workers": 2}}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table seen (k int primary key, v text)")
        cls.cluster.sql("insert into seen select i, 'v' || i from generate_series(1, 100) i")
        cls.cluster.sql("create index seen_v on seen (v)")
        cls.cluster.sql("create index seen_v_again on seen (v)")
        cls.cluster.sql("create table walked (k int, t text)")
        cls.cluster.sql("insert into walked select i, 't' || i from generate_series(1, 20000) i")
        cls.cluster.sql("create index walked_k on walked (k)")
        cls.cluster.sql("create index walked_t on walked (t)")
        cls.cluster.sql("analyze walked")

    def get(self, path, weir=None):
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % ((weir or self.weir).http_port, path), timeout=20) as answer:
            return answer.read().decode()

    def table(self, name):
        return json.loads(self.get("/api/v1/" + name))

    def metric(self, name, **labels):
        total = 0.0
        for line in self.get("/metrics").splitlines():
            found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if found and found.group(1) == "pgweir_" + name and all('%s="%s"' % item in (found.group(2) or "") for item in labels.items()):
                total += float(found.group(3))
        return total

    def test_every_metric(self):
        self.client().rows("select 1")
        text = self.get("/metrics")
        for name in METRICS:
            with self.subTest(name=name):
                self.assertRegex(text, r"(?m)^pgweir_%s[ {]" % name)

    def test_queries_by_database_and_user(self):
        before = self.metric("queries_total", database="postgres", user="postgres")
        conn = self.client()
        for _ in range(12):
            conn.rows("select now()")
        self.assertEqual(self.metric("queries_total", database="postgres", user="postgres") - before, 12)

    def test_cache_numbers_are_the_console_s(self):
        conn = self.client()
        before = self.metric("cache_hits_total")

        def hit():
            conn.rows("select v from seen where k = 3")
            return self.metric("cache_hits_total") > before
        wait_until(hit, "a cache hit in the metrics")
        self.assertGreaterEqual(self.table("cache")[0]["hits"], before + 1)
        self.assertGreater(self.metric("cache_memory_bytes"), 0)
        self.assertGreater(self.metric("memory_pool_used_bytes"), 0)

    def test_states(self):
        conn = self.client()
        conn.rows("begin")
        conn.rows("select 1")
        wait_until(lambda: self.metric("servers", database="postgres", state="active") >= 1, "the server to be counted")
        self.assertGreaterEqual(self.metric("clients", state="active"), 1)
        self.assertEqual(self.metric("up", helper="catalog"), 1)

    def test_what_the_dashboard_reads(self):
        conn = self.client()
        conn.rows("select v from seen where v = 'v9'")
        self.assertFalse(self.weir.console("ADVISE NOW").startswith("ERROR"))
        drawn = re.findall(r"drawTable\('(\w+)', .*?, \[(.*?)\]", self.get("/dashboard.js"), re.S)
        self.assertGreaterEqual({name for name, _ in drawn}, {"pools", "families", "advice", "indexes", "host"})
        for name, columns in drawn:
            with self.subTest(name=name):
                rows = self.table(name)
                self.assertTrue(rows, name)
                self.assertLessEqual(set(re.findall(r"'(\w+)'", columns)), set(rows[0]))
        for name in ("host", "gpu", "trend", "config", "stats", "batch"):
            self.assertIsInstance(self.table(name), list)

    def test_limit(self):
        conn = self.client()
        for number in range(5):
            conn.rows("select %s" % ", ".join(["1"] * (number + 1)))
        self.assertEqual(len(self.table("families?n=2")), 2)
        for bad in ("families?n=x", "families?n=0", "families?n=-1"):
            with self.assertRaises(urllib.error.HTTPError):
                self.table(bad)

    def test_advice_reports(self):
        self.client().rows("select v from seen where v = 'v9'")
        self.assertFalse(self.weir.console("ADVISE NOW").startswith("ERROR"))
        report = json.loads(self.get("/advice.json"))
        self.assertEqual((report["database"], report["source"]), ("postgres", "live"))
        self.assertGreater(report["window"]["queries"], 0)
        redundant = [item for item in report["advice"] if item["kind"] == "drop_redundant"]
        self.assertEqual(len(redundant), 1)
        self.assertIn(redundant[0]["sql"], self.get("/advice.sql"))
        self.assertIn(redundant[0]["id"], {row["id"] for row in self.table("advice")})
        self.assertIn("seen_v", self.get("/advice"))
        self.assertEqual(self.metric("advice", kind="drop_redundant"), 1)

    def test_index_use_by_family(self):
        """One EXPLAIN a second: each family's index, its calls, the same in every place that shows it. All are due again before
        the next second: none starves."""
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "index_log")
            planner = {"explain_interval": "100ms", "explain_share": "100%", "index_log": log}
            with fixture.Pgweir(self.cluster, sections={"planner": planner, "pgweir": {"workers": 2}}) as weir:
                conn = weir.connect()

                def rows():
                    for k in range(20):
                        conn.rows("select t, 'secret' from walked where k = %d" % k)
                        conn.rows("select k from walked where t = 't%d'" % k)
                    rows = {row["index"]: row for row in json.loads(self.get("/api/v1/indexes", weir))}
                    return rows if all((rows["public." + name]["uses"] or 0) >= 20 for name in ("walked_k", "walked_t")) else None
                found = wait_until(rows, "both indexes to be seen in use")["public.walked_k"]
                conn.finish()
                self.assertEqual((found["table"], found["families"], found["scan_kind"]), ("public.walked", 1, "Index Scan"))
                self.assertRegex(found["last_used"], r"^20\d\d-\d\d-\d\d ")
                console = [json.loads(line) for line in weir.console("SHOW INDEXES \\j").splitlines() if line.startswith("{")]
                self.assertGreaterEqual(next(row["uses"] for row in console if row["index"] == "public.walked_k"), found["uses"])
                self.assertIsNone(next(row["uses"] for row in console if row["index"] == "public.seen_v_again"))
                family = next(row for row in json.loads(self.get("/api/v1/families", weir)) if "where k" in row["text"])
                self.assertEqual(family["indexes"], "public.walked_k")
                self.assertRegex(self.get("/metrics", weir), r'(?m)^pgweir_index_uses_total\{.*table="public.walked",index="public.walked_k"\} \d')
            with open(log) as lines:
                text = lines.read()
            line = next(line for line in map(json.loads, text.splitlines()) if line["index"] == "public.walked_k")
            self.assertEqual((line["database"], line["scan"], line["cond"]), ("postgres", "Index Scan", "(walked.k = ?)"))
            self.assertNotIn("secret", text)

    def test_not_ready_without_a_server(self):
        port = fixture.free_port()
        with fixture.Pgweir(url="postgres://postgres@127.0.0.1:%d/" % port, sections={"auth": {"type": "trust"}}) as weir:
            self.assertEqual(self.get("/readyz", weir).strip(), "ok")
            conn = pgwire.Conn(weir.address, 30.0)
            conn.send(pgwire.startup({"user": "postgres", "database": "postgres"}))
            self.rest(conn)
            conn.drop()

            def unready():
                try:
                    self.get("/readyz", weir)
                except urllib.error.HTTPError as error:
                    return error.code == 503
                return False
            wait_until(unready, "503 of /readyz")
            self.assertEqual(self.get("/healthz", weir).strip(), "ok")


if __name__ == "__main__":
    support.main()
