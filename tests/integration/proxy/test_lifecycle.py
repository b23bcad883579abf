#!/usr/bin/python3
"""Start, reload, drain, end: configuration errors with file:line:column, exit statuses, sockets, signals."""
import os
import re
import signal
import socket
import subprocess
import unittest

import support
from support import fixture, pgwire, wait_until


class Lifecycle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if support.STANDIN:
            raise unittest.SkipTest("needs pgweir")
        cls.cluster = fixture.Postgres()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()

    def pgweir(self, *arguments, **env):
        binary = os.environ.get("PGWEIR", os.path.join(fixture.ROOT, "build", "pgweir"))
        return subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60, env=dict(os.environ, **env))

    # ---- command line -------------------------------------------------------------------------------
    def test_help_and_version(self):
        for word in ("--help", "--version"):
            done = self.pgweir(word)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("pgweir", done.stdout)

    def test_usage_errors(self):
        for arguments in (("--nonsense",), ("nonsense",), ("serve", "--listen"), ("serve", "--set", "novalue"), ("check",)):
            with self.subTest(arguments=arguments):
                done = self.pgweir(*arguments)
                self.assertIn(done.returncode, (1, 2), done.stdout)
                self.assertTrue(done.stderr)

    def test_every_setting_is_listed(self):
        text = self.pgweir("config", "--defaults").stdout
        for section in ("pgweir", "databases", "auth", "tls", "cache", "batch", "planner", "advisor", "metrics"):
            self.assertIn(section, text)

    def test_defaults_are_a_valid_configuration(self):
        with fixture.Server() as scratch:
            path = scratch.write("d.yaml", self.pgweir("config", "--defaults").stdout)
            self.assertEqual(self.pgweir("check", "-c", path).stderr, "")

    # ---- configuration ------------------------------------------------------------------------------
    def check(self, text):
        with fixture.Server() as scratch:
            path = scratch.write("c.yaml", text)
            done = self.pgweir("check", "-c", path)
            return done.returncode, (done.stdout + done.stderr).replace(path, "FILE")

    def test_good_configuration(self):
        status, said = self.check("databases:\n  '*': {upstream: 'postgres://u@127.0.0.1:5432/'}\n")
        self.assertEqual(status, 0, said)

    def test_wrong_configurations(self):
        for text, where in (("databases:\n  '*': {upstream: 'postgres://h/', pool_siz: 5}\n", "FILE:2:"),
                            ("pgweir:\n  worker: 3\n", "FILE:2:3"), ("pgweir:\n  workers: many\n", "FILE:2:"),
                            ("cache:\n  ttl: 5 parsecs\n", "FILE:2:"), ("cache: {consistency: sometimes}\n", "FILE:1:"),
                            ("batch:\n  max: -1\n", "FILE:2:"), ("nonsense:\n  a: 1\n", "FILE:1:1"),
                            ("pgweir: [1, 2\n", "FILE:"), ("databases:\n  a: {pool_mode: often, upstream: 'postgres://h/'}\n", "FILE:2:"),
                            ("databases:\n  a: {upstream: 'mysql://h/'}\n", "FILE:2:"), ("auth:\n  type: magic\n", "FILE:2:")):
            with self.subTest(text=text):
                status, said = self.check(text)
                self.assertEqual(status, 1, said)
                self.assertIn(where, said)

    def test_every_error_is_told(self):
        status, said = self.check("pgweir:\n  worker: 3\ncache:\n  tttl: 5s\nbatch:\n  max: x\n")
        self.assertEqual(status, 1)
        self.assertEqual(sorted(re.findall(r"FILE:(\d+)", said)), ["2", "4", "6"], said)

    def test_suggestion(self):
        _, said = self.check("cache:\n  consistancy: off\n")
        self.assertIn("consistency", said)

    def test_missing_file(self):
        done = self.pgweir("serve", "-c", "nowhere.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere.yaml", done.stderr)

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.pgweir("serve", "--upstream", self.cluster.url(), "--listen", "127.0.0.1:%d" % port,
                               "--admin", "127.0.0.1:%d" % fixture.free_port(), "--http", "127.0.0.1:%d" % fixture.free_port())
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("pgweir.listen: cannot listen on 127.0.0.1:%d" % port, done.stderr)

    def test_upstream_alone_is_enough(self):
        port = fixture.free_port()
        weir = fixture.Pgweir(config="", url="unused", wait=False, arguments=(
            "--upstream", self.cluster.url(), "--listen", "127.0.0.1:%d" % port, "--admin", "127.0.0.1:%d" % fixture.free_port(),
            "--http", "127.0.0.1:%d" % fixture.free_port(), "--set", "cache.consistency=off"))
        with weir:
            weir.port = port
            weir.wait_ready()
            with weir.connect() as conn:
                self.assertEqual(conn.value("select 1"), "1")

    def test_precedence(self):
        """The command line wins over the environment, which wins over the file."""
        with fixture.Pgweir(self.cluster, sections={"pgweir": {"max_clients": 11}}) as weir:
            self.assertRegex(weir.console("SHOW CONFIG"), r"max_clients\D+11\b")
        os.environ["PGWEIR_PGWEIR_MAX_CLIENTS"] = "12"
        try:
            with fixture.Pgweir(self.cluster, sections={"pgweir": {"max_clients": 11}}) as weir:
                self.assertRegex(weir.console("SHOW CONFIG"), r"max_clients\D+12\b")
            with fixture.Pgweir(self.cluster, sections={"pgweir": {"max_clients": 11}},
                                arguments=("--set", "pgweir.max_clients=13")) as weir:
                self.assertRegex(weir.console("SHOW CONFIG"), r"max_clients\D+13\b")
        finally:
            del os.environ["PGWEIR_PGWEIR_MAX_CLIENTS"]

    def test_the_state_directory_is_made_before_it_is_used(self):
        with fixture.Server() as scratch:
            path = os.path.join(scratch.dir, "not", "there", "yet")
            with fixture.Pgweir(self.cluster, sections={"pgweir": {"state_dir": path}}) as weir:
                weir.console("SHOW VERSION")
                self.assertNotIn("not_remembered", weir.log())
                self.assertTrue(os.path.exists(os.path.join(path, "advisor.sqlite")), weir.log())
                self.assertTrue(os.path.exists(os.path.join(path, "admin.sock")), weir.log())
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o750)

    def test_systemd_is_told(self):
        """Type=notify: READY=1, RELOADING=1 and READY=1 again, STOPPING=1."""
        with fixture.Server() as scratch, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            path = os.path.join(scratch.dir, "notify")
            told.bind(path)
            told.settimeout(30)
            os.environ["NOTIFY_SOCKET"] = path
            try:
                weir = fixture.Pgweir(self.cluster)
            finally:
                del os.environ["NOTIFY_SOCKET"]
            with weir:
                self.assertIn("READY=1", told.recv(1000).decode().split("\n"))
                weir.process.send_signal(signal.SIGHUP)
                self.assertIn("RELOADING=1", told.recv(1000).decode().split("\n"))
                self.assertIn("READY=1", told.recv(1000).decode().split("\n"))
                weir.process.send_signal(signal.SIGTERM)
                self.assertIn("STOPPING=1", told.recv(1000).decode().split("\n"))

    # ---- signals ----------------------------------------------------------------------------------
    def test_drain_lets_transactions_finish(self):
        with fixture.Pgweir(self.cluster) as weir:
            busy, idle = weir.connect(), weir.connect()
            idle.value("select 1")
            busy.rows("begin")
            weir.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not fixture.accepts(weir.port), "the listener to close")
            self.assertEqual(busy.value("select 5"), "5")
            busy.rows("commit")
            self.assertEqual(weir.process.wait(30), 0)
            for conn in (busy, idle):
                conn.drop()

    def test_second_term_ends_at_once(self):
        with fixture.Pgweir(self.cluster) as weir:
            busy = weir.connect()
            busy.rows("begin")
            weir.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not fixture.accepts(weir.port), "the listener to close")
            weir.process.send_signal(signal.SIGTERM)
            self.assertEqual(weir.process.wait(30), 0)
            busy.drop()

    def test_second_term_with_requests_under_way(self):
        """A read whose server is closed is sent to another one; not when there will be none, and nobody is left to ask."""
        self.cluster.sql("create table if not exists held (k int primary key, v int); insert into held values (1, 1) on conflict do nothing")
        with fixture.Server() as scratch, fixture.Pgweir(self.cluster, {"pool_size": 2}, {"cache": {"consistency": "off"}}) as weir:
            script = scratch.write("read.sql", "select v from held where k = 1;\n")
            bench = ["pgbench", "-n", "-M", "extended", "-c", "8", "-f", script, "-h", "127.0.0.1", "-p", str(weir.port), "-U", "postgres"]
            subprocess.run(bench + ["-t", "50", "postgres"], capture_output=True, check=True)
            with self.cluster.connect() as locker:
                locker.rows("begin")
                locker.rows("lock table held")
                load = subprocess.Popen(bench + ["-t", "50", "postgres"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                try:
                    wait_until(lambda: self.cluster.sql("select 1 from pg_stat_activity where wait_event_type = 'Lock'"), "a request to wait for the lock")
                    weir.process.send_signal(signal.SIGTERM)
                    wait_until(lambda: not fixture.accepts(weir.port), "the listener to close")
                    weir.process.send_signal(signal.SIGTERM)
                    self.assertEqual(weir.process.wait(30), 0, weir.log()[-2000:])
                finally:
                    load.kill()
                    load.wait()

    def test_drain_has_an_end(self):
        with fixture.Pgweir(self.cluster, sections={"pgweir": {"shutdown_timeout": "1s"}}) as weir:
            busy = weir.connect()
            busy.rows("begin")
            weir.process.send_signal(signal.SIGTERM)
            self.assertEqual(weir.process.wait(30), 0)
            busy.drop()

    def test_interrupt_is_a_drain_too(self):
        with fixture.Pgweir(self.cluster) as weir:
            weir.process.send_signal(signal.SIGINT)
            self.assertEqual(weir.process.wait(30), 0)

    def rewrite(self, weir, old, new):
        with open(weir.config_path) as config:
            text = config.read()
        self.assertIn(old, text)
        with open(weir.config_path, "w") as config:
            config.write(text.replace(old, new))

    def test_reload(self):
        with fixture.Pgweir(self.cluster, {"pool_size": 7}) as weir:
            conn = weir.connect()
            conn.rows("begin")
            self.rewrite(weir, "pool_size: 7", "pool_size: 8")
            weir.process.send_signal(signal.SIGHUP)
            wait_until(lambda: re.search(r"pool_size\D+8\b", weir.console("SHOW CONFIG") + weir.console("SHOW DATABASES"))
                       or re.search(r"\b8\b", weir.console("SHOW DATABASES")), "the new pool_size")
            self.assertEqual(conn.value("select 1"), "1")
            conn.rows("commit")

    def test_reload_with_an_error_changes_nothing(self):
        with fixture.Pgweir(self.cluster, {"pool_size": 7}) as weir:
            self.rewrite(weir, "pool_size: 7", "pool_size: seven")
            weir.process.send_signal(signal.SIGHUP)
            wait_until(lambda: "seven" in weir.log() or "pool_size" in weir.log(), "the error in the log")
            with weir.connect() as conn:
                self.assertEqual(conn.value("select 1"), "1")

    def test_log_reopen(self):
        with fixture.Server() as scratch:
            path = os.path.join(scratch.dir, "weir.log")
            with fixture.Pgweir(self.cluster, sections={"pgweir": {"log_file": path}}) as weir:
                wait_until(lambda: os.path.exists(path), "the log file")
                os.rename(path, path + ".1")
                weir.process.send_signal(signal.SIGUSR1)
                wait_until(lambda: os.path.exists(path), "the new log file")

    # ---- sockets ------------------------------------------------------------------------------------
    def test_unix_socket(self):
        with fixture.Pgweir(self.cluster) as weir:
            wait_until(lambda: os.path.exists(weir.unix), "the unix socket")
            with pgwire.connect(weir.unix, "postgres", "postgres") as conn:
                self.assertEqual(conn.value("select 6"), "6")
            done = subprocess.run(["psql", "-X", "-At", "-h", weir.dir, "-p", str(weir.port), "-U", "postgres", "postgres",
                                   "-c", "select 'by psql'"], capture_output=True, text=True)
            self.assertEqual(done.stdout.strip(), "by psql", done.stderr)

    def test_many_workers_share_the_clients(self):
        with fixture.Pgweir(self.cluster, {"pool_size": 4}, {"pgweir": {"workers": 4}}) as weir:
            clients = [weir.connect() for _ in range(40)]
            for number, conn in enumerate(clients):
                self.assertEqual(conn.value("select %d" % number), str(number))
            for conn in clients:
                conn.drop()

    def test_any_database_and_user(self):
        self.cluster.sql("create database another")
        self.cluster.sql("create role somebody login")
        with fixture.Pgweir(self.cluster) as weir:
            with weir.connect("another", "somebody") as conn:
                self.assertEqual(conn.rows("select current_database(), current_user"), [[b"another", b"somebody"]])
            for database, user, code in (("nowhere", "postgres", "3D000"), ("postgres", "nobody_here", "28000")):
                conn = pgwire.Conn(weir.address)
                answer = conn.login(user, database)
                if answer[-1][0] == "Z":
                    answer = conn.simple("select 1")
                fields = next(pgwire.error_fields(body) for kind, body in answer if kind == "E")
                self.assertEqual(fields["C"], code)
                conn.drop()


if __name__ == "__main__":
    support.main()
