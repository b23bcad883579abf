"""What the proxy tests share: one PostgreSQL per module, pgweir with the settings a test asks for, small assertions.

With PGWEIR=direct the tests run against PostgreSQL itself, where they make sense: that proves the tests.
"""
import os
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "fixture"))
import pgweir_fixture as fixture  # noqa: E402
import pgwire  # noqa: E402
from pgweir_fixture import wait_until  # noqa: E402,F401

STANDIN = os.environ.get("PGWEIR") == "direct"


class Direct:
    """PostgreSQL in pgweir's place."""

    def __init__(self, cluster):
        self.cluster, self.address, self.unix, self.port = cluster, cluster.address, cluster.socket, cluster.port

    def connect(self, database="postgres", user="postgres", password=None, **more):
        return pgwire.connect(self.address, user, database, password, **more)

    def alive(self):
        return True

    def stop(self):
        return 0


class Case(unittest.TestCase):
    """One PostgreSQL for the class, one pgweir for it too; `database` and `sections` are its settings."""

    auth = "trust"
    database = {}
    sections = {}
    settings = {}

    @classmethod
    def setUpClass(cls):
        if STANDIN and getattr(cls, "proxy_only", False):
            raise unittest.SkipTest("needs pgweir")
        cls.cluster = fixture.Postgres(auth=cls.auth, settings=cls.settings)
        cls.prepare()
        cls.weir = cls.start(cls.database, cls.sections)

    @classmethod
    def prepare(cls):
        """Hook: make what the tests need before pgweir starts."""

    @classmethod
    def start(cls, database=None, sections=None, **more):
        if STANDIN:
            return Direct(cls.cluster)
        return fixture.Pgweir(cls.cluster, database, sections, **more)

    @classmethod
    def tearDownClass(cls):
        try:
            cls.weir.stop()
        finally:
            cls.cluster.stop()

    def setUp(self):
        self.open = []

    def tearDown(self):
        for conn in self.open:
            conn.drop()
        self.assertTrue(self.weir.alive(), "pgweir died")

    def client(self, **more):
        conn = self.weir.connect(**more)
        self.open.append(conn)
        return conn

    def bare(self, timeout=20.0):
        """A connection that has not said anything yet."""
        conn = pgwire.Conn(self.weir.address, timeout)
        self.open.append(conn)
        return conn

    def error_of(self, messages):
        for kind, body in messages:
            if kind == "E":
                return pgwire.error_fields(body)
        if STANDIN:  # PostgreSQL closes without a word where we promise to say why
            self.skipTest("PostgreSQL itself says nothing")
        self.fail("no ErrorResponse in %s" % ([(kind, body[:60]) for kind, body in messages[-5:]],))
        return None

    def rest(self, conn):
        """Everything until the peer closes; the messages, none of them inside another."""
        messages = []
        try:
            while True:
                messages.append(conn.read())
        except pgwire.Closed:
            return messages
        except OSError:
            return messages

    def assert_sqlstate(self, fields, *codes):
        self.assertIn(fields["C"], codes, fields)
        self.assertIn(fields["S"], ("ERROR", "FATAL", "PANIC"))
        self.assertTrue(fields["M"])

    def sessions(self, where="true"):
        """Number of server sessions of others as PostgreSQL counts them."""
        return int(self.cluster.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and "
                                    "pid <> pg_backend_pid() and " + where)[0][0])

    def in_thread(self, work, *arguments):
        """Run work in a thread; the returned function waits for it and gives its result or raises its error."""
        box = {}

        def body():
            try:
                box["result"] = work(*arguments)
            except BaseException as error:  # handed to the caller below
                box["error"] = error

        thread = threading.Thread(target=body, daemon=True)
        thread.start()

        def join(timeout=60.0):
            thread.join(timeout)
            if thread.is_alive():
                raise fixture.FixtureError("a thread did not end")
            if "error" in box:
                raise box["error"]
            return box.get("result")
        return join


def main():
    unittest.main(verbosity=2)
