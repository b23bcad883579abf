#!/usr/bin/python3
"""Trouble on the server's side: killed sessions, a restart, no server at all; each client hears of its own only."""
import signal

import support
from support import pgwire, wait_until


class ServerTrouble(support.Case):
    database = {"pool_size": 4}

    def kill_backends(self, where):
        self.cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and " + where)

    def test_killed_in_the_middle_of_a_result(self):
        victim, other = self.client(), self.client()
        other.rows("begin")
        victim.send(pgwire.query("select repeat('x', 1000) as big from generate_series(1, 100000)"))
        victim.until("D")
        self.kill_backends("query like '%as big%'")
        fields = self.error_of(self.rest(victim))
        self.assert_sqlstate(fields, "57P01", "08006", "57P02")
        self.assertEqual(other.value("select 1"), "1")
        other.rows("commit")
        self.assertEqual(self.client().value("select 2"), "2")

    def test_killed_while_waiting(self):
        victim, other = self.client(), self.client()
        victim.send(pgwire.query("select pg_sleep(60) as asleep"))
        wait_until(lambda: self.sessions("query like '%as asleep%' and state = 'active'"), "the query to run")
        self.kill_backends("query like '%as asleep%'")
        self.assert_sqlstate(self.error_of(self.rest(victim)), "57P01", "08006")
        self.assertEqual(other.value("select 1"), "1")

    def test_killed_in_a_transaction(self):
        victim = self.client()
        victim.rows("begin")
        pid = victim.value("select pg_backend_pid()")
        self.kill_backends("pid = " + pid)
        messages = []
        try:
            victim.send(pgwire.query("select 1"))
            messages = self.rest(victim)
        except OSError:
            pass
        if messages:
            self.assert_sqlstate(self.error_of(messages), "57P01", "08006")

    def test_killed_while_idle(self):
        """An idle server connection that dies is nobody's loss."""
        if support.STANDIN:
            self.skipTest("needs pgweir")
        conn = self.client()
        for _ in range(5):
            self.assertEqual(conn.value("select 1"), "1")
            self.kill_backends("backend_type = 'client backend' and state = 'idle'")
            wait_until(lambda: not self.sessions("state = 'idle' and query like 'select 1%'"), "idle servers to be gone")
            self.wait_noticed()
        self.assertEqual(conn.value("select 2"), "2")

    def wait_noticed(self):
        """PostgreSQL's farewell has arrived when a fresh client can work again."""
        def works():
            try:
                with self.weir.connect() as conn:
                    return conn.value("select 3") == "3"
            except (pgwire.WireError, OSError):
                return False
        wait_until(works, "the pool to recover")

    def test_restart(self):
        if support.STANDIN:
            self.skipTest("needs pgweir")
        idle, busy = self.client(), self.client()
        busy.send(pgwire.query("select pg_sleep(60)"))
        wait_until(lambda: self.sessions("query like '%pg_sleep(60)%' and state = 'active'"), "the query to run")
        self.cluster.halt(signal.SIGQUIT)
        self.assert_sqlstate(self.error_of(self.rest(busy)), "57P01", "57P02", "08006")
        # Without a server: an error or a wait, never silence for ever, and pgweir lives.
        self.cluster.start()
        self.wait_noticed()

        def idle_works():
            try:
                return idle.value("select 4") == "4"
            except (pgwire.WireError, OSError):
                return True  # ended with a clear error is right too
        wait_until(idle_works, "the idle client to know where it is")

    def test_connection_reset_of_all(self):
        """Many clients, every backend killed: all get an answer, and new ones work."""
        clients = [self.client() for _ in range(8)]
        for conn in clients:
            conn.send(pgwire.query("select pg_sleep(60) as everyone"))
        wait_until(lambda: self.sessions("query like '%as everyone%' and state = 'active'") >= (8 if support.STANDIN else 4),
                   "the queries to run")
        def all_gone():
            self.kill_backends("query like '%as everyone%'")
            return all(self.heard(conn) for conn in clients)
        wait_until(all_gone, "every client to hear of it")
        self.wait_noticed()

    def heard(self, conn):
        conn.sock.setblocking(False)
        try:
            return bool(conn.inbox) or conn.sock.recv(65536, 2) is not None
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            conn.sock.settimeout(20)


class NoServer(support.Case):
    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        url = "postgres://postgres@127.0.0.1:%d/" % support.fixture.free_port()
        return support.fixture.Pgweir(cls.cluster, {"query_wait_timeout": "2s"}, url=url)

    def test_nobody_there(self):
        conn = self.bare()
        try:
            answer = conn.login("postgres", "postgres")
            if answer[-1][0] == "Z":
                answer = conn.simple("select 1")
        except pgwire.Closed:
            self.fail("closed without a word")
        self.assert_sqlstate(self.error_of(answer), "08001", "08006", "08004", "57P03", "53300", "08000")


if __name__ == "__main__":
    support.main()
