#!/usr/bin/python3
"""pool_size, query_wait_timeout, idle and lifetime limits, max_clients, query and transaction timeouts, min_pool_size."""
import re
import threading
import urllib.request

import support
from support import pgwire, wait_until


def metric(weir, name):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % weir.http_port, timeout=20) as answer:
        text = answer.read().decode()
    return float(re.search(r"^%s(?:\{[^}]*\})? (\S+)$" % name, text, re.M).group(1))


class PoolSize(support.Case):
    proxy_only = True
    database = {"pool_size": 2, "query_wait_timeout": "1s"}

    def test_never_more_than_pool_size(self):
        """Twenty clients at work never hold more than two server sessions, and all are served."""
        stop, most, errors = threading.Event(), [0], []

        def work():
            try:
                with self.weir.connect() as conn:
                    while not stop.is_set():
                        conn.rows("select pg_sleep(0.002)")
            except (pgwire.WireError, OSError) as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for _ in range(40):
            most[0] = max(most[0], self.sessions("query = 'select pg_sleep(0.002)'"))
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertLessEqual(most[0], 2)
        self.assertGreaterEqual(most[0], 1)

    def test_wait_timeout_says_so(self):
        holders = [self.client(), self.client()]
        for conn in holders:
            conn.rows("begin")
        waiting = self.client()
        fields = self.error_of(self.ask(waiting))
        self.assert_sqlstate(fields, "53300")
        for word in "query_wait_timeout", "1 s", "pool_size 2", "SHOW":
            self.assertIn(word, fields["M"])
        self.assertGreaterEqual(metric(self.weir, "pgweir_query_wait_timeouts_total"), 1)
        for conn in holders:
            self.assertEqual(conn.value("select 1"), "1")
            conn.rows("commit")
        self.assertEqual(self.client().value("select 2"), "2")

    @staticmethod
    def ask(conn):
        conn.send(pgwire.query("select pg_backend_pid() > 0"))  # nothing that the cache could answer
        return conn.until("Z", "E")

    def test_idle_servers_of_another_worker(self):
        """Where a client's worker has no server but another worker has idle ones, the client does not starve."""
        conns = [self.client() for _ in range(12)]
        for conn in conns + conns[::-1]:
            self.assertEqual(conn.value("select 1"), "1")
        for first in range(0, 12, 2):  # two in blocks at a time, whichever workers they are on
            pair = conns[first], conns[(first + 5) % 12]
            for conn in pair:
                conn.rows("begin")
            for conn in pair:
                conn.rows("commit")
            self.assertEqual(conns[(first + 3) % 12].value("select 2"), "2")

    def waiting(self):
        return sum(row.split("|")[4].strip() == "waiting" for row in self.weir.console("SHOW CLIENTS").splitlines()
                   if row.startswith("C "))

    def test_waiters_are_served_in_order(self):
        self.cluster.sql("create sequence turn")
        holders = [self.client(), self.client()]
        for conn in holders:
            conn.rows("begin")
        waiting = [self.client() for _ in range(8)]
        for number, conn in enumerate(waiting):
            conn.send(pgwire.query("select nextval('turn')"))
            wait_until(lambda n=number: self.waiting() == n + 1, "the client to wait")
        holders[0].rows("commit")  # one connection serves them all
        turns = [int(pgwire.data_row(body)[0]) for conn in waiting for kind, body in conn.until("Z") if kind == "D"]
        self.assertEqual(turns, list(range(1, 9)))
        holders[1].rows("commit")

    def test_waiter_that_leaves_frees_its_place(self):
        holders = [self.client(), self.client()]
        for conn in holders:
            conn.rows("begin")
        for _ in range(10):
            gone = self.client()
            gone.send(pgwire.query("select 'never'"))
            gone.drop()
        for conn in holders:
            conn.rows("commit")
        self.assertEqual(self.client().value("select 3"), "3")


class SessionMode(support.Case):
    proxy_only = True
    database = {"pool_mode": "session", "pool_size": 2, "query_wait_timeout": "1s"}

    def test_a_client_keeps_its_server(self):
        first, second = self.client(), self.client()
        pids = first.value("select pg_backend_pid()"), second.value("select pg_backend_pid()")
        self.assertNotEqual(*pids)
        for _ in range(3):
            self.assertEqual((first.value("select pg_backend_pid()"), second.value("select pg_backend_pid()")), pids)
        with self.assertRaises(pgwire.WireError):
            self.client().value("select 1")
        first.finish()
        self.assertEqual(self.client().value("select 1"), "1")

    def test_state_ends_with_the_session(self):
        conn = self.client()
        conn.rows("create temp table t (a int); set work_mem = '3MB'; prepare p as select 1; listen x")
        conn.finish()
        for _ in range(3):
            other = self.client()
            self.assertEqual(other.value("show work_mem"), "4MB")
            self.assertEqual(other.value("select count(*) from pg_prepared_statements"), "0")
            wait_until(lambda: other.value("select count(*) from pg_class where relname = 't'") == "0",
                       "the temporary table to go with its session")
            other.finish()


class StatementMode(support.Case):
    proxy_only = True
    database = {"pool_mode": "statement", "pool_size": 2}

    def test_transaction_blocks_are_refused(self):
        conn = self.client()
        self.assertEqual(conn.value("select 1"), "1")
        conn.send(pgwire.query("begin"))
        fields = self.error_of(conn.until("E"))
        self.assertTrue(fields["C"])
        self.assertEqual(self.client().value("select 2"), "2")
        wait_until(lambda: self.sessions("state like 'idle in%'") == 0, "the transaction to be gone")


class Times(support.Case):
    proxy_only = True
    database = {"pool_size": 3, "server_idle_timeout": "1s", "idle_transaction_timeout": "1s", "query_timeout": "2s"}

    def test_idle_servers_are_closed(self):
        clients = [self.client() for _ in range(3)]
        joins = [self.in_thread(conn.rows, "select pg_sleep(0.2)") for conn in clients]
        for join in joins:
            join()
        wait_until(lambda: self.sessions("query like '%pg_sleep(0.2)%'") == 0, "idle server connections to be closed", 20)
        self.assertEqual(clients[0].value("select 1"), "1")

    def test_idle_in_transaction(self):
        conn, other = self.client(), self.client()
        conn.rows("begin")
        fields = self.error_of(self.rest(conn))
        self.assert_sqlstate(fields, "25P03", "57P05")
        self.assertEqual(other.value("select 1"), "1")
        self.assertEqual(self.sessions("state like 'idle in%'"), 0)

    def test_query_timeout(self):
        conn, other = self.client(), self.client()
        conn.send(pgwire.query("select pg_sleep(60) as too_long"))
        fields = self.error_of(conn.until("E", "Z"))
        self.assert_sqlstate(fields, "57014")
        self.assertIn("query_timeout", fields["M"])
        self.assertGreaterEqual(metric(self.weir, "pgweir_query_timeouts_total"), 1)
        self.assertEqual(other.value("select 1"), "1")
        wait_until(lambda: self.sessions("query like '%too_long' and state = 'active'") == 0, "the query to be stopped")


class TimersAtRest(support.Case):
    """The idle limits are for idle clients: a query that runs longer, or a transaction without a limit, is none."""

    proxy_only = True
    database = {"client_idle_timeout": "1s"}

    def test_a_long_query_is_not_idle(self):
        conn = self.client()
        self.assertEqual(conn.value("select 1"), "1")
        self.assertEqual(conn.value("select 2 from pg_sleep(2.5)"), "2")

    def test_a_transaction_has_a_limit_of_its_own(self):
        conn = self.client()
        conn.rows("begin")
        conn.sock.settimeout(2.5)
        with self.assertRaises(pgwire.WireError) as silence:
            conn.read()
        self.assertNotIsInstance(silence.exception, pgwire.Closed)
        self.assertEqual(conn.value("select 3"), "3")
        conn.rows("commit")

    def test_reload_reaches_those_who_are_idle_already(self):
        conn = self.client(database="template1")
        conn.rows("begin")
        self.assertIn("OK", self.weir.console('SET databases.*.idle_transaction_timeout = 1s'))
        fields = self.error_of(self.rest(conn))
        self.weir.console('SET databases.*.idle_transaction_timeout = 0')
        self.assert_sqlstate(fields, "25P03")

    def test_errors_name_the_limit(self):
        conn = self.client()
        fields = self.error_of(self.rest(conn))
        self.assertIn("client_idle_timeout", fields["M"])
        self.assertIn("1 s", fields["M"])
        self.assertGreaterEqual(metric(self.weir, "pgweir_client_idle_timeouts_total"), 1)


class OpenRequest(support.Case):
    """A request without its Sync keeps a server connection: that is idle in a transaction, by another name."""

    proxy_only = True
    database = {"idle_transaction_timeout": "1s", "query_timeout": "1500ms", "pool_size": 1}

    def test_it_ends(self):
        conn = self.client()
        conn.send(pgwire.parse("", "select 1") + pgwire.FLUSH)
        conn.until("1")
        self.assert_sqlstate(self.error_of(self.rest(conn)), "25P03")
        self.assertEqual(self.client().value("select 1"), "1")

    def test_not_while_it_goes_on(self):
        conn = self.client()
        for _ in range(6):
            conn.send(pgwire.parse("", "select 1 from pg_sleep(0.4)") + pgwire.bind("", "") + pgwire.execute() + pgwire.FLUSH)
            conn.until("C")
        conn.send(pgwire.SYNC)
        conn.until("Z")


class Reserve(support.Case):
    proxy_only = True
    database = {"pool_size": 2, "reserve_pool_size": 1, "reserve_pool_timeout": "1s", "query_wait_timeout": "30s"}

    def test_for_those_who_have_waited_long(self):
        holders = [self.client() for _ in range(2)]
        for conn in holders:
            conn.rows("begin")
        self.assertEqual(self.sessions("query = 'begin'"), 2)
        third, fourth = self.client(), self.client()
        third.rows("begin")  # waits, and then gets the reserve's connection
        self.assertEqual(self.sessions("query = 'begin'"), 3)
        fourth.send(pgwire.query("begin"))  # the reserve has one only
        fourth.sock.settimeout(3)
        with self.assertRaises(pgwire.WireError) as silence:
            fourth.read()
        self.assertNotIsInstance(silence.exception, pgwire.Closed)
        self.assertEqual(self.sessions("query = 'begin'"), 3)
        for conn in holders + [third]:
            conn.rows("commit")
        fourth.sock.settimeout(20)
        fourth.until("Z")
        fourth.rows("commit")
        wait_until(lambda: self.sessions("datname = 'postgres' and application_name <> 'pgweir'") <= 2, "the reserve's connection to be closed", 20)
        self.assertEqual(fourth.value("select 1"), "1")


class OneUse(support.Case):
    """server_lifetime 0, as PgBouncer's: a connection is closed after one use."""

    proxy_only = True
    database = {"pool_size": 2, "server_lifetime": "0"}

    def test_never_the_same_twice(self):
        conn = self.client()
        pids = [conn.value("select pg_backend_pid()") for _ in range(5)]
        self.assertEqual(len(set(pids)), 5, pids)

    def test_a_transaction_is_one_use(self):
        conn = self.client()
        conn.rows("begin")
        pids = {conn.value("select pg_backend_pid()") for _ in range(3)}
        conn.rows("commit")
        self.assertEqual(len(pids), 1)

    def test_many_at_once(self):
        """Also where requests could share a connection: none that served one serves another."""
        conns = [self.client() for _ in range(20)]
        for _ in range(3):
            for conn in conns:
                conn.send(pgwire.query("select 1 where pg_backend_pid() > 0"))
            for conn in conns:
                self.assertEqual([k for k, _ in conn.until("Z") if k in "DE"], ["D"])

    def test_an_unused_one_stays(self):
        """Kept by min_pool_size it waits for its one use."""
        weir = support.fixture.Pgweir(self.cluster, {"server_lifetime": "0", "min_pool_size": 2, "pool_size": 2})
        try:
            with weir.connect("template1") as conn:
                conn.value("select 1")
                pooled = "select pid from pg_stat_activity where datname = 'template1' and application_name <> 'pgweir' order by 1"
                pids = wait_until(lambda: len(self.cluster.sql(pooled)) == 2 and self.cluster.sql(pooled),
                                  "two waiting connections")
                for _ in range(40):
                    self.assertEqual(self.cluster.sql(pooled), pids)
                self.assertIn([conn.value("select pg_backend_pid()")], pids)
        finally:
            weir.stop()


class Lifetime(support.Case):
    proxy_only = True
    database = {"pool_size": 1, "server_lifetime": "1s"}

    def test_servers_are_replaced(self):
        conn = self.client()
        first = conn.value("select pg_backend_pid()")
        wait_until(lambda: conn.value("select pg_backend_pid()") != first, "a new server connection", 20, 0.1)


class ClientIdle(support.Case):
    proxy_only = True
    database = {"client_idle_timeout": "1s"}

    def test_idle_client_is_ended(self):
        conn = self.client()
        conn.value("select 1")
        self.assert_sqlstate(self.error_of(self.rest(conn)), "57P05", "08006")


class MaxClients(support.Case):
    proxy_only = True
    sections = {"pgweir": {"max_clients": 5}}

    def test_one_too_many(self):
        clients = [self.client() for _ in range(5)]
        conn = self.bare()
        fields = self.error_of(conn.login("postgres", "postgres"))
        self.assert_sqlstate(fields, "53300")
        clients[0].finish()
        wait_until(self.can_connect, "a place to be free")

    def can_connect(self):
        try:
            self.client()
            return True
        except pgwire.WireError:
            return False


class DatabaseMaxClients(support.Case):
    proxy_only = True
    database = {"max_clients": 3}

    def test_one_too_many(self):
        for _ in range(3):
            self.client()
        self.assert_sqlstate(self.error_of(self.bare().login("postgres", "postgres")), "53300")


class UserMaxClients(support.Case):
    """Limits per user: in one database, and in all together."""

    proxy_only = True
    database = {"max_user_clients": 2}
    sections = {"pgweir": {"max_user_clients": 3}}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create role other login superuser")

    def refusal(self, database, user):
        answer = self.bare().login(user, database)
        return self.error_of(answer) if answer[-1][0] == "E" else None

    def test_each_limit(self):
        first = [self.client() for _ in range(2)]
        fields = self.refusal("postgres", "postgres")
        self.assert_sqlstate(fields, "53300")
        self.assertIn("databases.max_user_clients is 2", fields["M"])
        self.client(database="template1")
        fields = self.refusal("template1", "postgres")
        self.assertIn("pgweir.max_user_clients is 3", fields["M"])
        for _ in range(2):
            self.client(user="other")  # another user has places of its own
        first[0].finish()
        wait_until(lambda: self.refusal("template1", "postgres") is None, "a place to be free")
        self.assertGreaterEqual(metric(self.weir, "pgweir_clients_refused_total"), 2)


class LoginTimeout(support.Case):
    proxy_only = True
    sections = {"auth": {"login_timeout": "1s"}}
    database = {"pool_size": 1, "query_wait_timeout": "1m"}

    def test_a_silent_client(self):
        for conn in self.bare(), self.bare():
            fields = self.error_of(self.rest(conn))
            self.assert_sqlstate(fields, "57014")
            self.assertIn("auth.login_timeout", fields["M"])
            self.assertIn("client did not answer", fields["M"])

    def test_no_server_for_the_login(self):
        """A login whose settings the server has to see waits for a connection; the error says that this was the reason."""
        holder = self.client()
        holder.rows("begin")
        answer = self.bare().login("postgres", "postgres", options={"DateStyle": "German"})
        fields = self.error_of(answer)
        self.assert_sqlstate(fields, "57014")
        self.assertIn("no server connection", fields["M"])
        self.assertGreaterEqual(metric(self.weir, "pgweir_login_timeouts_total"), 1)


class MinPool(support.Case):
    proxy_only = True
    database = {"pool_size": 5, "min_pool_size": 3}

    def test_kept_open(self):
        self.client().value("select 1")
        wait_until(lambda: self.sessions("datname = 'postgres'") >= 3, "min_pool_size servers")


if __name__ == "__main__":
    support.main()
