#!/usr/bin/python3
"""PostgreSQL restarts under load: only what it was executing is lost, and each such client hears of it at once."""
import signal
import threading

import support
from support import fixture, pgwire, wait_until


class UnderLoad(support.Case):
    proxy_only = True
    database = {"pool_size": 8, "outage_wait": "1m", "query_wait_timeout": "2m"}
    settings = {"synchronous_commit": "on"}  # what was answered must survive a crash
    clients = 40
    how = signal.SIGINT  # a fast shutdown: what pg_ctl restart does

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table done (client int, n int, primary key (client, n))")

    def setUp(self):
        super().setUp()
        self.stop = threading.Event()
        self.counts, self.told, self.wrong = [0] * self.clients, [], []

    def work(self, number):
        """Each client writes 1, 2, 3, ...; it knows which of them must be in the table and which may be."""
        sure, unsure, n = [], [], 0
        conn = self.weir.connect(timeout=90)
        try:
            while not self.stop.is_set():
                n += 1
                conn.send(pgwire.query("insert into done select %d, %d from pg_sleep(0.001)" % (number, n)))
                messages = []
                try:
                    while not messages or messages[-1][0] != "Z":
                        messages.append(conn.read())
                    if any(kind == "C" for kind, _ in messages):
                        sure.append(n)
                        self.counts[number] += 1
                        continue
                    unsure.append(n)
                except pgwire.Closed:
                    unsure.append(n)
                errors = [pgwire.error_fields(body) for kind, body in messages if kind == "E"]
                if not errors:
                    self.wrong.append((number, n, "ended without a word", messages))
                self.told += errors[:1]
                conn.drop()
                conn = self.weir.connect(timeout=90)
        except (pgwire.WireError, OSError) as error:
            self.wrong.append((number, n, repr(error)))
        finally:
            conn.drop()
        return sure, unsure

    def read(self, number):
        """Readers may be run again elsewhere by pgweir; what they get is their own answer, or an error."""
        conn, n = self.weir.connect(timeout=90), 0
        try:
            while not self.stop.is_set():
                n += 1
                conn.send(pgwire.query("select %d, %d, count(*) from done where client = %d" % (number, n, number)))
                messages = []
                try:
                    while not messages or messages[-1][0] != "Z":
                        messages.append(conn.read())
                except pgwire.Closed:
                    pass
                rows = [pgwire.data_row(body)[:2] for kind, body in messages if kind == "D"]
                errors = [pgwire.error_fields(body) for kind, body in messages if kind == "E"]
                if rows != [[b"%d" % number, b"%d" % n]] and not errors:
                    self.wrong.append((number, n, messages))
                self.told += errors[:1]
                if messages and messages[-1][0] == "Z":
                    continue
                conn.drop()
                conn = self.weir.connect(timeout=90)
        except (pgwire.WireError, OSError) as error:
            self.wrong.append((number, n, repr(error)))
        finally:
            conn.drop()

    def test_restart(self):
        joins = [self.in_thread(self.work, number) for number in range(self.clients)]
        readers = [self.in_thread(self.read, number) for number in range(8)]
        wait_until(lambda: min(self.counts) >= 3, "every client to be at work", 60)
        active = "state = 'active' and query like 'insert into done%'"
        for _ in range(3):
            before = list(self.counts)
            self.cluster.halt(self.how)
            self.cluster.start()
            wait_until(lambda was=before: self.wrong or all(now > then + 2 for now, then in zip(self.counts, was)),
                       "every client to go on", 90)
        self.stop.set()
        known = [join(120) for join in joins]
        for join in readers:
            join(120)
        self.assertEqual(self.wrong, [])
        wait_until(lambda: self.sessions(active) == 0, "the last statements to end")
        for number, (sure, unsure) in enumerate(known):
            there = {int(row[0]) for row in self.cluster.sql("select n from done where client = %d" % number)}
            self.assertTrue(there >= set(sure), "client %d: an answer was given for a row that is not there" % number)
            self.assertTrue(there <= set(sure) | set(unsure), "client %d: something ran that nobody asked for" % number)
        # Only what was in flight: never more clients at a time than there were server connections. (Readers that share a
        # connection are run again, so they count no more than the others.)
        self.assertLessEqual(len(self.told), 3 * 8, self.told[-3:])
        for fields in self.told:
            self.assert_sqlstate(fields, "57P01", "57P02", "08006")


class Crash(UnderLoad):
    how = signal.SIGQUIT


class LongOutage(support.Case):
    """A server that stays away: clients wait for outage_wait, then are told, the next ones too; and it comes back."""

    proxy_only = True
    database = {"outage_wait": "2s", "query_wait_timeout": "1m"}

    def test_told_and_served_again(self):
        first, second = self.client(), self.client()
        self.assertEqual(first.value("select 1"), "1")
        self.cluster.halt(signal.SIGQUIT)
        for conn in first, second:
            conn.send(pgwire.query("select 2"))
        for conn in first, second:
            fields = self.error_of(self.rest(conn))
            self.assert_sqlstate(fields, "08001")
            self.assertIn("could not connect", fields["M"])
        later = self.bare()
        answer = later.login("postgres", "postgres")
        if answer[-1][0] == "Z":
            later.send(pgwire.query("select 3"))
            answer = later.until("Z", "E")
        self.assert_sqlstate(self.error_of(answer), "08001")
        self.cluster.start()

        def works():
            try:
                with self.weir.connect() as conn:
                    return conn.value("select 4") == "4"
            except (pgwire.WireError, OSError):
                return False
        wait_until(works, "the pool to serve again")


if __name__ == "__main__":
    support.main()
