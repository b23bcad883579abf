#!/usr/bin/python3
"""Back-pressure in both directions, cancel, and the soak in which every row carries its owner's number."""
import os
import random
import threading

import support
from support import pgwire, wait_until

MB = 1024 * 1024
# A sanitizer keeps shadows and freed memory of its own: there the bound says little and the volume costs time.
SANITIZED = bool(os.environ.get("PGWEIR_SANITIZE"))
BIG = int(os.environ.get("PGWEIR_BIG_MB", "40" if SANITIZED else "200"))


class BackPressure(support.Case):
    """A result or a COPY of 200 MB passes through bounded memory."""

    proxy_only = True
    database = {"pool_size": 4}
    sections = {"cache": {"memory": "16MB"}}

    def growth(self, work):
        before = self.weir.rss_kb()
        most = [before]
        stop = threading.Event()

        def watch():
            while not stop.wait(0.02):
                most[0] = max(most[0], self.weir.rss_kb())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            work()
        finally:
            stop.set()
            watcher.join()
        return (most[0] - before) / 1024 / (10 if SANITIZED else 1)

    def test_slow_reader(self):
        conn, other = self.client(), self.client()
        rows = BIG * 10

        def read_slowly():
            conn.send(pgwire.query("select repeat('x', 100000) from generate_series(1, %d)" % rows))
            conn.read()
            # Everybody else goes on while this one does not read.
            for number in range(300):
                self.assertEqual(other.value("select %d" % number), str(number))
            seen = 0
            while True:
                kind, _ = conn.read()
                seen += kind == "D"
                if kind == "Z":
                    break
            self.assertEqual(seen, rows)
        self.assertLess(self.growth(read_slowly), 48)

    def test_copy_in(self):
        self.cluster.sql("create unlogged table if not exists poured (v text)")
        conn = self.client()
        piece = pgwire.msg("d", (b"y" * 999 + b"\n") * 64)

        def pour():
            conn.send(pgwire.query("copy poured from stdin"))
            conn.until("G")
            for _ in range(BIG * 16):
                conn.send(piece)
            conn.send(pgwire.COPY_DONE)
            self.assertEqual(conn.until("Z")[0][1], b"COPY %d\0" % (BIG * 16 * 64))
        self.assertLess(self.growth(pour), 48)
        self.cluster.sql("drop table poured")

    def test_one_large_value(self):
        """One value of 64 MB is streamed, not collected."""
        conn = self.client()

        def fetch():
            self.assertEqual(len(conn.value("select repeat('z', %d)" % (64 * MB))), 64 * MB)
        self.assertLess(self.growth(fetch), 48)

    def test_one_large_parameter(self):
        conn = self.client()

        def send():
            conn.send(pgwire.parse("", "select length($1::text)") + pgwire.bind("", "", [b"w" * (32 * MB)]) + pgwire.execute()
                      + pgwire.SYNC)
            self.assertIn(("D", b"\0\1\0\0\0\10" + b"%d" % (32 * MB)), conn.until("Z"))
        self.assertLess(self.growth(send), 96)


class Cancel(support.Case):
    database = {"pool_size": 4}

    def sleeper(self, name):
        conn = self.client()
        conn.send(pgwire.query("select pg_sleep(60) as %s" % name))
        wait_until(lambda: self.sessions("query like '%%as %s' and state = 'active'" % name), "the query to run")
        return conn

    def test_own_query(self):
        conn = self.sleeper("own")
        conn.cancel()
        self.assert_sqlstate(self.error_of(conn.until("Z")), "57014")
        self.assertEqual(conn.value("select 1"), "1")

    def test_nobody_elses_query(self):
        """Wrong keys, idle keys and finished keys cancel nothing."""
        victim = self.sleeper("victim")
        idle = self.client()
        for _ in range(20):
            idle.cancel()
        finished = self.client()
        finished.value("select 1")
        finished.cancel()
        key = victim.key
        stranger = self.client()
        for guess in ((key[0], key[1] ^ 1), (key[0] ^ 1, key[1]), (0, 0), (key[1], key[0])):
            stranger.key = guess
            stranger.cancel()
        gone = self.client()
        gone.finish()
        gone.cancel()
        self.assertEqual(self.sessions("query like '%as victim' and state = 'active'"), 1)
        victim.cancel()
        self.assert_sqlstate(self.error_of(victim.until("Z")), "57014")

    def test_waiting_for_a_server(self):
        """A request that is still in the queue can be cancelled too, or runs; it never hangs."""
        if support.STANDIN:
            self.skipTest("needs pgweir")
        holders = [self.client() for _ in range(4)]
        for conn in holders:
            conn.rows("begin")
        waiting = self.client()
        waiting.send(pgwire.query("select 'waited'"))
        waiting.cancel()
        for conn in holders:
            self.assertEqual(conn.value("select 1"), "1")
            conn.rows("commit")
        answer = waiting.until("Z")
        errors = [pgwire.error_fields(body)["C"] for kind, body in answer if kind == "E"]
        self.assertIn(errors, ([], ["57014"]))
        self.assertEqual(waiting.value("select 1"), "1")

    def test_race(self):
        """Cancels fired at will, short queries of others at full speed: only the canceller's own may fail."""
        stop, failures = threading.Event(), []

        def innocent(number):
            with self.weir.connect() as conn:
                while not stop.is_set():
                    try:
                        if conn.value("select %d" % number) != str(number):
                            failures.append("wrong answer")
                    except pgwire.WireError as error:
                        failures.append(str(error))
                        return

        threads = [threading.Thread(target=innocent, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        try:
            conn = self.client()
            for number in range(150):
                conn.send(pgwire.query("select pg_sleep(%s)" % random.choice(["0", "0.001", "0.003"])))
                conn.cancel()
                conn.until("Z")
                # A cancel that arrives late must not hit the next query for ever; it may hit this one.
                conn.simple("select 1")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])


class Soak(support.Case):
    """Every row carries its owner's number: a reply that goes to the wrong client is seen at once."""

    database = {"pool_size": 4}
    clients, turns = 48, 120

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table owned (owner int, n int, v text, primary key (owner, n));"
                        "insert into owned select o, n, o || ':' || n from generate_series(1, 100) o, generate_series(1, 20) n;"
                        "create table shared (k int primary key, v int); insert into shared select i, 0 from generate_series(1, 10) i")

    def one(self, number):
        rng = random.Random(number)
        mine = str(number).encode()
        with self.weir.connect() as conn:
            conn.send(pgwire.parse("mine", "select owner, n, v from owned where owner = $1 and n = $2") + pgwire.SYNC)
            conn.until("Z")
            for turn in range(self.turns):
                kind, n = rng.randrange(8), rng.randrange(1, 21)
                if kind == 0:
                    rows = conn.rows("select owner, n, v from owned where owner = %d and n = %d" % (number, n))
                    self.same(rows, [[mine, b"%d" % n, mine + b":%d" % n]])
                elif kind == 1:
                    conn.send(pgwire.bind("", "mine", [mine, b"%d" % n]) + pgwire.execute() + pgwire.SYNC)
                    rows = [pgwire.data_row(body) for what, body in conn.until("Z") if what == "D"]
                    self.same(rows, [[mine, b"%d" % n, mine + b":%d" % n]])
                elif kind == 2:
                    many = rng.randrange(2, 8)
                    for _ in range(many):
                        conn.send(pgwire.parse("", "select $1::int, $2::text") + pgwire.bind("", "", [mine, b"t%d" % turn])
                                  + pgwire.execute() + pgwire.SYNC)
                    for _ in range(many):
                        rows = [pgwire.data_row(body) for what, body in conn.until("Z") if what == "D"]
                        self.same(rows, [[mine, b"t%d" % turn]])
                elif kind == 3:
                    conn.rows("begin")
                    conn.rows("create temp table own (a int) on commit drop")
                    conn.rows("insert into own values (%d)" % number)
                    self.same(conn.rows("select a from own"), [[mine]])
                    conn.rows("commit")
                elif kind == 4:
                    fields = pgwire.error_fields(conn.simple("select '%d of %d'::int" % (number, turn))[0][1])
                    self.same(fields["M"], 'invalid input syntax for type integer: "%d of %d"' % (number, turn))
                elif kind == 5:
                    self.same(len(conn.rows("select n from owned where owner = %d" % number)), 20)
                elif kind == 6:
                    key = rng.randrange(1, 11)
                    before = int(conn.value("select v from shared where k = %d" % key))
                    written = int(conn.value("update shared set v = v + 1 where k = %d returning v" % key))
                    after = int(conn.value("select v from shared where k = %d" % key))
                    if not before < written <= after:
                        raise AssertionError("a read went back in time: %d, wrote %d, then %d" % (before, written, after))
                else:
                    self.same(conn.rows("select %d, %d" % (number, turn)), [[mine, b"%d" % turn]])
        return number

    @staticmethod
    def same(got, want):
        if got != want:
            raise AssertionError("got %r, wanted %r" % (got, want))

    def test_nobody_reads_anothers_rows(self):
        joins = [self.in_thread(self.one, number) for number in range(1, self.clients + 1)]
        for number, join in enumerate(joins, 1):
            self.assertEqual(join(240), number)


class SoakSession(Soak):
    database = {"pool_mode": "session", "pool_size": 60}


class SoakOff(Soak):
    sections = {"cache": {"consistency": "off"}, "batch": {"single_flight": "off", "pipeline": "off", "merge": "off",
                                                           "promote": "off"}}


if __name__ == "__main__":
    support.main()
