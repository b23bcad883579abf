#!/usr/bin/python3
"""The console on both fronts, /metrics through promtool, health and the JSON API, EXPLAIN CACHE, CACHE FLUSH, PAUSE."""
import fcntl
import json
import os
import pty
import re
import select
import socket
import subprocess
import tempfile
import termios
import unittest
import urllib.error
import urllib.request

import support
from support import pgwire, wait_until

SHOWS = ("HELP VERSION CONFIG DATABASES USERS POOLS CLIENTS SERVERS STATS LISTS MEM STATE CACHE BATCH FAMILIES INDEXES ADVICE MEMORY "
         "OBJECTS HOST GPU TREND PINS PLANS REDIS WAL").split() + ["CACHE ENTRIES", "CACHE REASONS"]


class Console(support.Case):
    proxy_only = True
    database = {"pool_size": 5}

    def setUp(self):
        super().setUp()
        self.cluster.sql("create table if not exists watched (k int primary key, v text); truncate watched;"
                         "insert into watched select i, 'v' || i from generate_series(1, 20) i; analyze watched")
        conn = self.client()
        for number in range(30):
            conn.rows("select v from watched where k = %d" % (number % 5 + 1))

    def psql(self, command, database="pgweir"):
        return subprocess.run(["psql", "-X", "-At", "-h", "127.0.0.1", "-p", str(self.weir.port), "-U", "postgres", database,
                               "-c", command], capture_output=True, text=True, timeout=30)

    # ---- line front -------------------------------------------------------------------------------
    def test_every_show(self):
        for what in SHOWS:
            with self.subTest(what=what):
                answer = self.weir.console("SHOW " + what)
                self.assertFalse(answer.startswith("ERROR"), answer[:200])

    def test_answers_end_with_an_empty_line(self):
        answer = self.weir.console("show version;")
        self.assertTrue(answer.replace("\r", "").endswith("\n\n"), repr(answer[-40:]))

    def test_json(self):
        for what in ("POOLS", "CACHE", "BATCH", "CLIENTS", "STATS"):
            with self.subTest(what=what):
                rows = [json.loads(line) for line in self.weir.console("SHOW %s \\j" % what).splitlines() if line.strip()]
                self.assertTrue(all(isinstance(row, dict) for row in rows))
                self.assertTrue(rows)

    def test_errors_are_one_line(self):
        for command in ("NONSENSE", "SHOW NONSENSE", "SET x", "KILL_CLIENT abc", "CACHE FLUSH TABLE", "x" * 5000):
            with self.subTest(command=command[:20]):
                answer = self.weir.console(command).replace("\r", "")
                self.assertTrue(answer.startswith("ERROR: "), answer[:100])
                self.assertEqual(answer.strip().count("\n"), 0)

    def test_lines_in_pieces_and_together(self):
        with socket.create_connection(("127.0.0.1", self.weir.admin_port), 20) as line:
            for byte in b"SHOW VERSION\r\n":
                line.sendall(bytes([byte]))
            line.sendall(b"SHOW VERSION\nshow state\nQUIT\n")
            data = b""
            while True:
                more = line.recv(65536)
                if not more:
                    break
                data += more
        self.assertGreaterEqual(data.count(b"pgweir> "), 3)

    def test_endless_line(self):
        with socket.create_connection(("127.0.0.1", self.weir.admin_port), 20) as line:
            try:
                for _ in range(200):
                    line.sendall(b"x" * 65536)
            except OSError:
                pass
        self.assertFalse(self.weir.console("SHOW VERSION").startswith("ERROR"))

    # ---- psql front ---------------------------------------------------------------------------------
    def test_psql(self):
        for what in SHOWS:
            with self.subTest(what=what):
                done = self.psql("SHOW " + what)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_pgbouncer_is_an_alias(self):
        self.assertEqual(self.psql("SHOW VERSION", "pgbouncer").returncode, 0)

    def test_psql_error(self):
        done = self.psql("SHOW NONSENSE")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ERROR", done.stderr)

    def test_extended_protocol(self):
        conn = self.client(database="pgweir")
        conn.send(pgwire.parse("", "SHOW POOLS") + pgwire.bind("", "") + pgwire.describe("P", "") + pgwire.execute() + pgwire.SYNC)
        kinds = [kind for kind, _ in conn.until("Z")]
        self.assertEqual(kinds[:3], ["1", "2", "T"])
        self.assertEqual(kinds[-2:], ["C", "Z"])

    # ---- what the numbers say ------------------------------------------------------------------------
    def rows(self, command):
        return [json.loads(line) for line in self.weir.console(command + " \\j").splitlines() if line.startswith("{")]

    def test_pools_and_clients(self):
        pools = self.rows("SHOW POOLS")
        self.assertTrue(any(row.get("database") == "postgres" for row in pools), pools)
        clients = self.rows("SHOW CLIENTS")
        self.assertGreaterEqual(len(clients), len(self.open))

    def test_cache_answers(self):
        """The same read again and again is answered from memory, and the numbers say so."""
        conn = self.client()
        before = float(self.rows("SHOW CACHE")[0]["hits"])

        def hit():
            conn.rows("select v from watched where k = 7")
            return float(self.rows("SHOW CACHE")[0]["hits"]) > before
        wait_until(hit, "a cache hit")

    def test_explain_cache(self):
        yes = self.weir.console("EXPLAIN CACHE select v from watched where k = 1")
        no = self.weir.console("EXPLAIN CACHE select random()")
        self.assertFalse(yes.startswith("ERROR"), yes)
        self.assertFalse(no.startswith("ERROR"), no)
        self.assertNotEqual(yes, no)

    def test_cache_flush(self):
        for command in ("CACHE FLUSH", "CACHE FLUSH DATABASE postgres", "CACHE FLUSH TABLE watched"):
            self.assertFalse(self.weir.console(command).startswith("ERROR"), command)

    def test_kill_client(self):
        victim = self.client(options={"application_name": "to be killed"})
        row = next(row for row in self.rows("SHOW CLIENTS") if row.get("application_name") == "to be killed")
        number = row.get("id") or row.get("ptr")
        self.assertFalse(self.weir.console("KILL_CLIENT %s" % number).startswith("ERROR"))
        self.assert_sqlstate(self.error_of(self.rest(victim)), "57P01")

    def test_pause_and_resume(self):
        conn = self.client()
        self.assertFalse(self.weir.console("PAUSE postgres").startswith("ERROR"))
        conn.send(pgwire.query("select now()"))
        self.assertEqual(self.sessions("state = 'active' and query = 'select now()'"), 0)
        self.assertFalse(self.weir.console("RESUME postgres").startswith("ERROR"))
        self.assertEqual(conn.until("Z")[0][0], "T")

    def test_reconnect(self):
        conn = self.client()
        first = conn.value("select pg_backend_pid()")
        self.assertFalse(self.weir.console("RECONNECT postgres").startswith("ERROR"))
        wait_until(lambda: conn.value("select pg_backend_pid()") != first, "a new server connection")

    def test_set(self):
        self.assertFalse(self.weir.console("SET batch.max = 77").startswith("ERROR"))
        self.assertRegex(self.weir.console("SHOW CONFIG"), r"batch\.max\D+77\b")
        self.assertTrue(self.weir.console("SET batch.max = lots").startswith("ERROR"))

    # ---- HTTP -------------------------------------------------------------------------------------
    def get(self, path, method="GET"):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.weir.http_port, path), method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()

    def test_metrics(self):
        _, text = self.get("/metrics")
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        for name in ("pgweir_queries_total", "pgweir_query_duration_seconds_bucket", "pgweir_clients", "pgweir_servers",
                     "pgweir_cache_hits_total", "pgweir_cache_misses_total", "pgweir_cache_memory_bytes", "pgweir_cache_entries",
                     "pgweir_batch_requests_total", "pgweir_batch_executions_total", "pgweir_memory_pool_total_bytes",
                     "pgweir_process_cpu_seconds_total", "pgweir_process_resident_memory_bytes", "pgweir_host_load1", "pgweir_up"):
            self.assertIn("\n" + name, text, name)

    def test_health(self):
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.get("/readyz")[0], 200)

    def test_api(self):
        for name in "stats pools cache batch families indexes advice host gpu trend config".split():
            with self.subTest(name=name):
                json.loads(self.get("/api/v1/" + name)[1])

    def test_advice(self):
        self.assertIn("advice", json.loads(self.get("/advice.json")[1]))
        self.assertEqual(self.get("/advice")[0], 200)
        self.assertEqual(self.get("/advice.sql")[0], 200)

    def test_dashboard(self):
        status, text = self.get("/")
        self.assertEqual(status, 200)
        self.assertIn("<html", text.lower())
        self.assertNotIn("https://", text.replace("https://www.w3.org", ""))

    def test_methods_and_paths(self):
        self.assertEqual(self.get("/healthz", "HEAD")[0], 200)
        for path, method, code in (("/nowhere", "GET", 404), ("/metrics", "POST", 405), ("/../etc/passwd", "GET", 404),
                                   ("/api/v1/nothing", "GET", 404)):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                self.get(path, method)
            self.assertIn(caught.exception.code, (code, 400, 404, 405))

    def test_http_nonsense(self):
        for data in (os.urandom(300), b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"x" * 100000 + b" HTTP/1.1\r\n\r\n", b"GET"):
            with socket.create_connection(("127.0.0.1", self.weir.http_port), 20) as conn:
                try:
                    conn.sendall(data)
                except OSError:
                    pass
        self.assertEqual(self.get("/healthz")[0], 200)


@unittest.skipIf(support.STANDIN, "needs pgweir")
class Terminal(support.Case):
    """pgweir console as a person sees it: completion, Ctrl-C, history."""

    def setUp(self):
        super().setUp()
        self.state = tempfile.TemporaryDirectory()
        argv = [self.weir.binary, "console", "127.0.0.1:%d" % self.weir.admin_port, "--set",
                "pgweir.state_dir=" + os.path.join(self.state.name, "new")]
        self.screen, inner = pty.openpty()
        self.process = subprocess.Popen(argv, stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
                                        env=dict(os.environ, TERM="xterm"),
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(inner)
        self.seen = ""
        self.until(r"QUIT ends.*pgweir> ")

    def tearDown(self):
        self.process.kill()
        self.process.wait()
        os.close(self.screen)
        self.state.cleanup()
        super().tearDown()

    def until(self, pattern):
        """Read until what is seen since the last call matches."""
        def more():
            if not re.search(pattern, self.seen, re.S) and select.select([self.screen], [], [], 0.1)[0]:
                self.seen += os.read(self.screen, 65536).decode()
            return re.search(pattern, self.seen, re.S)
        try:
            wait_until(more, "/%s/ on the screen" % pattern)
        except support.fixture.FixtureError:
            self.fail("/%s/ is not in %r" % (pattern, self.seen))
        self.seen = ""

    def type(self, text):
        os.write(self.screen, text.encode())

    def test_completion(self):
        self.type("show cac\t")
        self.until("CACHE ")  # one word that three commands share
        self.type("ent\t")
        self.until("ENTRIES ")
        self.type("3\n")
        self.until(r"ttl_left_s.*rows\).*pgweir> ")

    def test_interrupt_and_history(self):
        self.type("no command at all")
        self.until("at all")
        self.type("\x03")
        self.until("pgweir> ")
        self.type("show version\n")
        self.until(r"pgweir \d.*pgweir> ")
        self.type("auth somebody secret\n")
        self.until("ERROR: wrong.*pgweir> ")
        self.process.kill()
        self.process.wait()
        with open(os.path.join(self.state.name, "new", "console_history")) as history:
            kept = history.read()
        self.assertIn("version", kept)
        self.assertNotIn("secret", kept)


if __name__ == "__main__":
    support.main()
