#!/usr/bin/python3
"""PostgreSQL restarts under load: only what was in flight is lost, whoever lost something hears of it while the server is
still down, everybody else goes on when it is back. And waiting is first come, first served.

PGWEIR_RESTARTS=50 is the long form (default 4).
"""
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import pgwire, wait_until  # noqa: E402

RESTARTS = int(os.environ.get("PGWEIR_RESTARTS", "4"))
GONE = ("57P01", "57P02", "57P03", "08006", "08P01", "08001", "08004")


class Restart(support.Case):
    proxy_only = True
    settings = {"synchronous_commit": "on"}  # the fixture's default may lose what it has acknowledged
    database = {"pool_size": 8}
    writers, idlers, sleepers = 40, 40, 4

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table ledger (id int primary key, n int not null)")
        cls.cluster.sql("insert into ledger select i, 0 from generate_series(0, %d) i" % cls.writers)

    def write(self, number):
        """Adds one at a time; remembers what was acknowledged and what is in doubt."""
        conn = None
        while not self.stop.is_set():
            try:
                conn = conn or self.weir.connect(timeout=120)
                if number % 2:
                    conn.rows("begin")
                    conn.rows("update ledger set n = n + 1 where id = %d" % number)
                    self.doubtful[number] = True
                    conn.rows("commit")
                else:
                    self.doubtful[number] = True
                    conn.rows("update ledger set n = n + 1 where id = %d" % number)
                self.acknowledged[number] += 1
                self.doubtful[number] = False
            except (pgwire.WireError, OSError) as lost:
                with self.lock:
                    self.losses.append("%d: %s" % (number, lost))
                    self.in_doubt[number] += self.doubtful[number]
                    self.doubtful[number] = False
                if conn:
                    conn.drop()
                conn = None

    def test_under_load(self):
        self.stop, self.lock = threading.Event(), threading.Lock()
        self.losses = []
        self.acknowledged, self.in_doubt, self.doubtful = ([0] * self.writers for _ in range(3))
        idle = [self.client(timeout=120) for _ in range(self.idlers)]
        for number, conn in enumerate(idle):
            conn.simple("set application_name = 'idle %d'" % number)
            conn.send(pgwire.parse("kept", "select %d" % number) + pgwire.SYNC)
            conn.until("Z")
        threads = [threading.Thread(target=self.write, args=(number,), daemon=True) for number in range(self.writers)]
        for thread in threads:
            thread.start()
        worst = 0
        try:
            for turn in range(RESTARTS):
                before = sum(self.acknowledged)
                wait_until(lambda: sum(self.acknowledged) > before + 100, "the load to run")
                asleep = [self.client(timeout=60) for _ in range(self.sleepers)]
                for conn in asleep:
                    conn.send(pgwire.query("select pg_sleep(600) as turn%d" % turn))
                wait_until(lambda: self.sessions("query like '%%as turn%d' and state = 'active'" % turn) == self.sleepers,
                           "the long queries to run", 60)
                lost_before = len(self.losses)
                self.cluster.halt(signal.SIGINT if turn % 2 else signal.SIGQUIT)
                # The server is down: those who lost their query hear of it now.
                for conn in asleep:
                    self.assert_sqlstate(self.error_of(self.rest(conn)), *GONE)
                self.cluster.start()
                after = sum(self.acknowledged)
                wait_until(lambda: sum(self.acknowledged) > after + 100, "the load to go on", 60)
                worst = max(worst, len(self.losses) - lost_before)
                # Nobody who was idle has noticed anything, settings and prepared statements included.
                for number, conn in enumerate(idle):
                    self.assertEqual(conn.value("show application_name"), "idle %d" % number)
                    conn.send(pgwire.bind("", "kept", []) + pgwire.execute() + pgwire.SYNC)
                    self.assertEqual([pgwire.data_row(b) for k, b in conn.until("Z") if k == "D"], [[b"%d" % number]])
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(120)
        print("%d restarts, %d writes, at most %d of %d writers lost something in one: %s" % (
            RESTARTS, sum(self.acknowledged), worst, self.writers, sorted(set(loss.split(": ", 1)[1] for loss in self.losses))[:6]))
        # In flight were at most as many as there are server connections.
        self.assertLessEqual(worst, 8)
        for number, n in self.cluster.sql("select id, n from ledger where id < %d order by id" % self.writers):
            number, n = int(number), int(n)
            self.assertGreaterEqual(n, self.acknowledged[number], "an acknowledged write of %d is gone" % number)
            self.assertLessEqual(n, self.acknowledged[number] + self.in_doubt[number], "a write of %d was repeated" % number)


class Order(support.Case):
    """One server connection, one worker: requests are run in the order in which they came."""

    proxy_only = True
    database = {"pool_size": 1}
    sections = {"pgweir": {"workers": 1}}

    def test_first_come_first_served(self):
        self.cluster.sql("create sequence turn")
        for _ in range(5):
            self.cluster.sql("select setval('turn', 1, false)")
            holder = self.client()
            holder.simple("begin")
            waiting = [self.client() for _ in range(40)]
            for number, conn in enumerate(waiting):
                sql = "select nextval('turn')"
                if number % 4 == 1:  # whatever it is: nobody overtakes
                    conn.send(pgwire.parse("", sql) + pgwire.bind("", "") + pgwire.execute() + pgwire.SYNC)
                elif number % 4 == 2:
                    conn.send(pgwire.query("begin") + pgwire.query(sql) + pgwire.query("commit"))
                else:
                    conn.send(pgwire.query(sql))
                wait_until(lambda: self.waiting() == number + 1, "the request to be queued")
            holder.simple("commit")
            turns = []
            for number, conn in enumerate(waiting):
                rows = []
                while not rows:
                    rows = [pgwire.data_row(b)[0].decode() for k, b in conn.until("Z") if k == "D"]
                turns += rows
                if number % 4 == 2:
                    conn.until("Z")
            self.assertEqual(turns, [str(n) for n in range(1, 41)])
            for conn in waiting:
                conn.finish()

    def waiting(self):
        with self.weir.connect("pgweir") as console:
            console.send(pgwire.query("show pools"))
            messages = console.until("Z")
            names = [column[0] for kind, body in messages if kind == "T" for column in pgwire.row_description(body)]
            at = names.index("cl_waiting")
            return sum(int(pgwire.data_row(body)[at]) for kind, body in messages if kind == "D")


if __name__ == "__main__":
    support.main()
