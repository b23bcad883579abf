#!/usr/bin/python3
"""pgweir doctor: OK, WARN or FAIL for each thing pgweir needs, and the fix that belongs to it."""
import os
import re
import subprocess
import tempfile
import unittest

import certs
import support
from support import fixture

BINARY = os.environ.get("PGWEIR", os.path.join(fixture.ROOT, "build", "pgweir"))


@unittest.skipIf(support.STANDIN, "needs pgweir")
class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.state = tempfile.TemporaryDirectory()
        cls.cluster = fixture.Postgres(auth="scram-sha-256", hba="local all all trust\n"
                                       "hostssl secure all 127.0.0.1/32 scram-sha-256\nhost secure all 127.0.0.1/32 reject\n"
                                       "host all all 127.0.0.1/32 scram-sha-256\n")
        authority = certs.Authority(os.path.join(cls.cluster.dir, "tls"), cls.cluster.owner)
        cls.ca = authority.ca
        cert, key = authority.issue("localhost")
        for name, value in (("ssl_cert_file", cert), ("ssl_key_file", key), ("ssl", "on")):
            cls.cluster.sql("alter system set %s = '%s'" % (name, value))
        cls.cluster.sql("select pg_reload_conf()")
        fixture.wait_until(lambda: cls.cluster.sql("show ssl") == [["on"]], "TLS")
        cls.cluster.sql("create role plain login password 'plain'")
        for database in ("secure", "closed"):
            cls.cluster.sql("create database " + database)
        cls.cluster.sql("revoke connect on database closed from public")
        cls.cluster.sql("create extension pg_stat_statements")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()
        cls.state.cleanup()

    def url(self, user="postgres", password="secret", database="postgres", parameters=""):
        return "postgres://%s:%s@127.0.0.1:%d/%s%s" % (user, password, self.cluster.port, database, parameters)

    def examine(self, url, status, *settings):
        """Its lines; each has a verdict, and each that is not OK a fix."""
        free = "127.0.0.1:%d" % fixture.free_port()
        argv = [BINARY, "doctor", "--upstream", url, "--listen", free, "--set", "pgweir.state_dir=" + self.state.name]
        for setting in settings:
            argv += ["--set", setting]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        *lines, counts = done.stdout.splitlines()
        for line in lines:
            self.assertRegex(line, r"^(OK  |WARN|FAIL)  \S")
            self.assertEqual("; fix: " in line, not line.startswith("OK"), line)
        found = [sum(line.startswith(word) for line in lines) for word in ("OK", "WARN", "FAIL")]
        self.assertEqual(counts, "%d OK, %d WARN, %d FAIL" % tuple(found))
        self.assertNotIn("secret", done.stdout)
        return done.stdout

    def test_a_superuser(self):
        text = self.examine(self.url(), 0)
        for line in ("OK +.*: logged in as postgres to database postgres, PostgreSQL 15", "OK +.*: TLS on the way to PostgreSQL",
                     "OK +.*: postgres may read verifiers", "OK +.*: other writers are seen by polling",
                     "WARN .*extension pg_stat_statements is not loaded.*; fix: add it to shared_preload_libraries",
                     "WARN .*extension hypopg is not.*; fix: .*CREATE EXTENSION hypopg", "OK +.*: pgweir is not running"):
            self.assertRegex(text, line)

    def test_a_role_without_rights(self):
        text = self.examine(self.url("plain", "plain"), 0)
        self.assertRegex(text, "OK +.*: logged in as plain")
        self.assertRegex(text, "WARN .*plain may not read verifiers.*; fix: GRANT SELECT ON pg_authid")
        self.assertRegex(text, "OK +.*: extension pg_stat_statements")  # it cannot know what is loaded

    def failure(self, url, *settings):
        text = self.examine(url, 3, *settings)
        return re.search("^FAIL .*$", text, re.M).group(0)

    def test_logins_that_fail(self):
        self.assertRegex(self.failure(self.url(password="wrong")), "password authentication failed.*; fix: correct user and password")
        self.assertRegex(self.failure(self.url(database="nope")), "does not exist; fix: correct the database or user")
        self.assertRegex(self.failure(self.url("plain", "plain", "closed")), "permission denied.*; fix: GRANT CONNECT")
        self.assertRegex(self.failure("postgres://u@127.0.0.1:%d/d" % fixture.free_port()), "refused.*; fix: start PostgreSQL")
        self.assertRegex(self.failure("postgres://u@nowhere.invalid/d"), "; fix: correct the host name")

    def test_tls(self):
        self.assertRegex(self.examine(self.url(database="secure"), 0), "OK +.*: TLS on the way")
        self.assertRegex(self.failure(self.url(database="secure", parameters="?sslmode=disable")), "; fix: sslmode=require")
        self.assertRegex(self.failure(self.url(parameters="?sslmode=verify-ca")), "certificate.*; fix: sslrootcert=")
        self.examine(self.url(parameters="?sslmode=verify-ca&sslrootcert=" + self.ca), 0)

    def test_limits_and_helpers(self):
        self.assertRegex(self.failure(self.url(), "databases.*.pool_size=200"), "pool_size 200 .*; fix: lower pool_size")
        text = self.examine(self.url(), 0, "redis.url=redis://127.0.0.1:%d/0" % fixture.free_port(), "cache.consistency=wal")
        self.assertRegex(text, "WARN +redis: .*refused; fix: start Redis")
        self.assertRegex(text, "WARN .*WAL follower is not part of this version.*; fix: cache.consistency: auto")

    def test_the_clients_leg(self):
        with fixture.Pgweir(self.cluster) as weir:
            argv = [BINARY, "doctor", "--upstream", self.url(), "--listen", "127.0.0.1:%d" % weir.port]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
            self.assertRegex(done.stdout, "OK +.*: logged in through pgweir at 127.0.0.1:%d" % weir.port)


if __name__ == "__main__":
    support.main()
