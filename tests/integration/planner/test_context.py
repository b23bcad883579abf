"""What names and quotes mean can change inside a session and inside a transaction: writes must invalidate what they really write."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import pgwire  # noqa: E402

SETUP = """
create schema a; create schema b;
create table a.t (id int primary key, v text); create table b.t (id int primary key, v text);
insert into a.t values (1, 'old'); insert into b.t values (1, 'old');
"""


class Context(support.Case):
    proxy_only = True
    database = {"pool_size": 5}
    sections = {"cache": {"consistency": "proxy", "ttl": "1h"}}

    @classmethod
    def prepare(cls):
        cls.cluster.sql(SETUP)

    def setUp(self):
        super().setUp()
        self.writer = self.client()
        self.writer.rows("set search_path to a")
        for schema in "ab":
            self.writer.rows("update %s.t set v = 'old'" % schema)
        self.reader = self.client()
        support.wait_until(lambda: self.is_cached("b"), "b.t to be cached")
        self.assertEqual(self.read("b"), "old")

    def read(self, schema):
        return self.reader.value("select v from %s.t where id = 1" % schema)

    def hits(self):
        return json.loads(self.weir.console("SHOW CACHE \\j").splitlines()[0])["hits"]

    def is_cached(self, schema):
        before = int(self.hits())
        self.read(schema)
        return int(self.hits()) > before

    def test_set_local_in_a_transaction(self):
        w = self.writer
        w.rows("begin")
        w.rows("set local search_path to b")
        w.rows("update t set v = 'new'")
        w.rows("commit")
        self.assertEqual(self.read("b"), "new")
        self.assertEqual(w.value("select v from t"), "old")

    def test_set_in_a_transaction(self):
        w = self.writer
        for sql in ("begin", "set search_path to b", "update t set v = 'new'", "commit"):
            w.rows(sql)
        self.assertEqual(self.read("b"), "new")

    def test_set_config_in_a_transaction(self):
        w = self.writer
        for sql in ("begin", "select set_config('search_path', 'b', true)", "update t set v = 'new'", "commit"):
            w.rows(sql)
        self.assertEqual(self.read("b"), "new")

    def test_after_a_rolled_back_savepoint(self):
        w = self.writer
        for sql in ("begin", "set local search_path to b", "savepoint s", "set local search_path to a",
                    "rollback to savepoint s", "update t set v = 'new'", "commit"):
            w.rows(sql)
        self.assertEqual(self.read("b"), "new")

    def test_everything_in_one_message(self):
        self.writer.rows("begin; set local search_path to b; update t set v = 'new'; commit")
        self.assertEqual(self.read("b"), "new")

    def test_a_prepared_statement_under_another_path(self):
        w = self.writer
        self.execute(w, "update t set v = 'new'")
        self.assertEqual(self.read("b"), "old")
        w.rows("set search_path to b")
        self.execute(w, None)
        self.assertEqual(self.read("b"), "new")

    def execute(self, conn, sql):
        parse = pgwire.parse("p", sql) if sql else b""
        conn.send(parse + pgwire.bind("", "p") + pgwire.execute() + pgwire.SYNC)
        kinds = [kind for kind, _ in conn.until("Z")]
        self.assertNotIn("E", kinds)
        self.assertIn("C", kinds)

    def test_quotes_in_any_spelling(self):
        """A string that ends elsewhere hides a write, if one believes the wrong setting."""
        for value in ("false", "off", "no", "0"):
            with self.subTest(value=value):
                w = self.client()
                w.rows("update b.t set v = 'old'")
                support.wait_until(lambda: self.is_cached("b"), "b.t to be cached")
                w.rows("set standard_conforming_strings to %s" % value)
                w.rows("set escape_string_warning to off")
                w.rows("select 'x\\'; select ' ; update b.t set v = $$new$$ --'")
                self.assertEqual(self.read("b"), "new")

    def test_encodings_where_a_byte_looks_like_a_quote(self):
        for name in ("sjis", "win932", "Shift-JIS", "big5", "gbk", "gb18030", "uhc", "johab"):
            with self.subTest(name=name):
                w = self.client()
                w.rows("update b.t set v = 'old'")
                support.wait_until(lambda: self.is_cached("b"), "b.t to be cached")
                w.rows("set client_encoding to '%s'" % name)
                w.rows("update b.t set v = 'new'")
                self.assertEqual(self.read("b"), "new")
                w.finish()  # such a session keeps its server


if __name__ == "__main__":
    unittest.main()
