#!/usr/bin/python3
"""conf/quickstart's demonstration: what it prints and leaves behind, and how it fails."""
import os
import re
import subprocess
import sys
import unittest

import support
from support import fixture

DEMO = os.path.join(fixture.HERE, "demo.py")
QUICKSTART = os.path.join(fixture.ROOT, "conf", "quickstart")


def run(*argv):
    return subprocess.run(list(argv), capture_output=True, text=True, timeout=300)


def demo(*arguments):
    return run(sys.executable, DEMO, "--once", *arguments)


class Arguments(unittest.TestCase):
    """Wrong arguments are refused before anything is installed or built."""

    def refused(self, *arguments):
        done = run(QUICKSTART, *arguments)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertNotIn("==>", done.stdout)
        return done.stderr

    def test_wrong_arguments(self):
        self.assertIn("unknown argument --bogus", self.refused("--bogus"))
        self.assertIn("--upstream needs", self.refused("--upstream"))
        self.assertIn("--upstream needs", self.refused("--upstream", "mysql://host/"))
        for seconds in ("0", "abc", "-1", ""):
            self.assertIn("--seconds needs", self.refused("--seconds", seconds))


@unittest.skipIf(support.STANDIN, "needs pgweir")
class Deploy(unittest.TestCase):
    def test_the_image_has_every_library(self):
        """conf/deploy/Dockerfile installs the package of each library that the program is linked with."""
        with open(os.path.join(fixture.ROOT, "conf", "deploy", "Dockerfile")) as dockerfile:
            image = dockerfile.read().split("FROM ")[-1].split()
        program = os.environ.get("PGWEIR", os.path.join(fixture.ROOT, "build", "pgweir"))
        linked = re.findall(r"=> (/\S+)", run("ldd", program).stdout)
        needed = re.findall(r"NEEDED +(\S+)", run("objdump", "-p", program).stdout)
        self.assertIn("libpq.so.5", needed)
        for path in linked:
            if os.path.basename(path) not in needed:
                continue  # a library's own: its package brings it
            package = run("dpkg", "-S", os.path.realpath(path)).stdout.split(":")[0]
            if package not in ("libc6", ""):
                self.assertIn(package, image, path)


@unittest.skipIf(support.STANDIN, "needs pgweir")
class Upstream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = fixture.Postgres(auth="scram-sha-256", password="p%/w:d@")
        cls.cluster.sql("create database mine")
        cls.url = cls.cluster.url("mine", password="p%25%2Fw%3Ad%40")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.stop()

    def schemas(self):
        return [row[0] for row in self.cluster.sql("select nspname from pg_namespace where nspname !~ '^(pg_|information)'", "mine")]

    def test_without_demo_nothing_is_sent(self):
        done = demo("--upstream", self.url)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"OK +\*: logged in as postgres to database mine")
        self.assertNotIn("pgweir is running", done.stdout)
        self.assertEqual(self.schemas(), ["public"])

    def test_demo_leaves_nothing_behind(self):
        done = demo("--upstream", self.url, "--demo", "--seconds", "1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for line in (r"pooled   16 clients on [1-8] server connections", r"batched  \d+ requests needed \d+ executions",
                     r"cached   [1-9]\d* of \d+ cacheable reads", r"advised  \d+ pieces of advice",
                     r"create +CREATE INDEX CONCURRENTLY \S+ ON pgweir_shop.orders \(customer_id\)"):
            self.assertRegex(done.stdout, line)
        self.assertFalse(re.search("\x1b", done.stdout), "escape codes in a pipe")
        self.assertEqual(self.schemas(), ["public"])

    def test_a_schema_of_the_user_is_left_alone(self):
        self.cluster.sql("create schema pgweir_shop create table customer ()", "mine")
        try:
            done = demo("--upstream", self.url, "--demo", "--seconds", "1")
            self.assertEqual(done.returncode, 1)
            self.assertIn("the schema pgweir_shop is there already", done.stderr)
            self.assertEqual(self.cluster.sql("select count(*) from pg_tables where schemaname = 'pgweir_shop'", "mine"), [["1"]])
        finally:
            self.cluster.sql("drop schema pgweir_shop cascade", "mine")

    def test_a_server_that_is_not_there(self):
        done = demo("--upstream", "postgres://postgres@127.0.0.1:%d/mine" % fixture.free_port())
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, "FAIL .*; fix: start PostgreSQL")
        self.assertIn("quickstart: failed at: What pgweir doctor says", done.stderr)
        self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    support.main()
