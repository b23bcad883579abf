#!/usr/bin/python3
"""currval and lastval in transaction mode: the right number, PostgreSQL's own error, or a refusal; never a stranger's number."""
import threading

import support
from support import pgwire


class Sequences(support.Case):
    database = {"pool_size": 4}

    def setUp(self):
        super().setUp()
        self.cluster.sql("drop sequence if exists counter; create sequence counter")

    def error(self, conn, sql):
        with self.assertRaises(pgwire.WireError) as caught:
            conn.value(sql)
        return str(caught.exception)

    def test_own_value_comes_back(self):
        conn = self.client()
        value = conn.value("select nextval('counter')")
        self.assertEqual(conn.value("select currval('counter')"), value)
        self.assertEqual(conn.value("select lastval()"), value)

    def test_never_used_one_here(self):
        user, stranger = self.client(), self.client()
        user.value("select nextval('counter')")
        self.assertIn("55000", self.error(stranger, "select lastval()"))
        self.assertIn("55000", self.error(stranger, "select currval('counter')"))

    def test_discarded(self):
        conn = self.client()
        conn.value("select nextval('counter')")
        conn.simple("discard sequences")
        self.assertIn("not yet defined", self.error(conn, "select currval('counter')"))

    def test_a_stranger_came_between(self):
        """Both used the connection that was free; the first may not get the second's number."""
        first, second = self.client(), self.client()
        mine = first.value("select nextval('counter')")
        second.value("select nextval('counter')")
        if support.STANDIN:
            self.assertEqual(first.value("select currval('counter')"), mine)
            return
        self.assertIn("in one transaction", self.error(first, "select currval('counter')"))
        # From now on both stay where they used the sequence.
        mine, theirs = first.value("select nextval('counter')"), second.value("select nextval('counter')")
        self.assertEqual(first.value("select currval('counter')"), mine)
        self.assertEqual(second.value("select currval('counter')"), theirs)

    def test_many(self):
        """Wrong is only another's number; a refusal must come at most once to each."""
        wrong, refused = [], []

        def work():
            conn = self.client()
            lost = 0
            for _ in range(200):
                mine = conn.value("select nextval('counter')")
                try:
                    seen = conn.value("select currval('counter')")
                    if seen != mine:
                        wrong.append((mine, seen))
                except pgwire.WireError:
                    lost += 1
            refused.append(lost)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(refused), 3)
        self.assertLessEqual(max(refused), 1)


if __name__ == "__main__":
    support.main()
