"""Hostile SQL of every known shape while a bystander works: nobody dies, and the bystander is answered all the time.

No assertion on a time: the bystander must finish as many queries during the attack as it was asked to, and the attack must go on
meanwhile; the figures are printed.
"""
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402


def attacks():
    items = ",".join(str(i) for i in range(10000))
    yield "deep parentheses", "select " + "(" * 5000 + "1" + ")" * 5000
    yield "just below the limit of nesting", "select " + "(" * 199 + "1" + ")" * 199
    yield "operator chain", "select 1" + "+1" * 10000
    yield "operator run", "select 1 " + "+" * 20000 + " 1"
    yield "NOT chain", "select " + "not " * 7000 + "true"
    yield "AND chain", "select 1 where " + "1 = 1 and " * 3000 + "true"
    yield "UNION chain", "select 1" + " union select 1" * 2000
    yield "UNION ALL chain", "select 1" + " union all select 1" * 1500
    yield "nested subselects", "select * from " + "(select * from " * 60 + "t" + ") q" * 60
    yield "nested comments", "/*" * 8000 + "*/" * 8000 + "select 1"
    yield "comment bomb", "select 1 " + "/* */" * 6000
    yield "open comments", "/*" * 16000
    yield "10,000 items in IN", "select count(*) from t where id in (%s)" % items
    yield "10,000 different IN", "select count(*) from t where id in (%s)" % items.replace("7", "8")
    yield "10,000 rows of VALUES", "select count(*) from (values %s) v" % ",".join("(%d)" % i for i in range(10000))
    yield "1 MB of literal", "select length('%s')" % ("x" * 1000000)
    yield "1 MB of text", "select 1" + " , 1" * 250000
    yield "1 MB of blanks", "select 1" + " " * 1000000
    yield "casts", "select 1" + "::int" * 6000
    yield "array bounds", "select a" + "[1]" * 8000 + " from t"
    yield "CASE nest", "select " + "case when true then " * 1000 + "1" + " end" * 1000
    yield "join chain", "select 1 from t" + " cross join t" * 1000
    yield "dollar quotes", "select " + "$a$$b$" * 5000
    yield "many statements", "select 1;" * 3000
    yield "garbage", "\x7f\\" * 10000


class Hostile(support.Case):
    proxy_only = True
    database = {"pool_size": 8}
    settings = {"statement_timeout": "3s"}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table t (id int primary key, a int[]); insert into t select i from generate_series(1, 100) i")

    def test_bystander(self):
        stop, slow, done = threading.Event(), [0.0], [0]

        def bystander():
            conn = self.weir.connect()
            number = 0
            while not stop.is_set() or done[0] < 100:
                number += 1
                begun = time.monotonic()
                # every tenth has a new shape: it needs the analysis thread itself
                sql = "select %d as q%s" % (number, number if number % 10 == 0 else "")
                value = conn.value(sql)
                slow[0] = max(slow[0], time.monotonic() - begun)
                if value != str(number):
                    raise AssertionError("%s answered %s" % (sql, value))
                done[0] += 1
            conn.finish()

        failed = []

        def run():
            try:
                bystander()
            except BaseException as error:  # told in the main thread
                failed.append(error)

        watcher = threading.Thread(target=run)
        watcher.start()
        try:
            for name, sql in attacks():
                for text in (sql, sql.upper()):
                    before = done[0]
                    conn = self.client()
                    kinds = [kind for kind, _ in conn.simple(text.encode("latin-1", "replace"))]
                    self.assertEqual(kinds[-1], "Z", name)  # answered, whatever the answer
                    conn.finish()
                    support.wait_until(lambda: done[0] > before or failed, "the bystander during: " + name)
                    self.assertFalse(failed, name)
        finally:
            stop.set()
            watcher.join(60)
        self.assertFalse(failed)
        print("bystander: %d queries, slowest %.0f ms" % (done[0], slow[0] * 1e3))
        self.assertTrue(self.weir.alive())


if __name__ == "__main__":
    unittest.main()
