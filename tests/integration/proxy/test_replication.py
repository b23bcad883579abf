#!/usr/bin/python3
"""Replication connections in session mode: PostgreSQL's own clients through pgweir, on a server connection of their own."""
import os
import re
import signal
import subprocess
import time

import support
from support import fixture, pgwire, wait_until

PG_BIN = fixture.PG_BIN


class Replication(support.Case):
    proxy_only = True
    database = {"pool_mode": "session", "pool_size": 3, "query_wait_timeout": "5s"}

    def run_tool(self, *argv, password="secret"):
        env = dict(os.environ, PGPASSWORD=password, PGCONNECT_TIMEOUT="20")
        done = subprocess.run([PG_BIN + "/" + argv[0]] + list(argv[1:]), env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def where(self):
        return ["-h", "127.0.0.1", "-p", str(self.weir.port), "-U", "postgres"]

    def replicator(self, kind="database", **more):
        conn = self.bare()
        answer = conn.login("postgres", "postgres", options=dict({"replication": kind}, **more),
                            password=self.cluster.password)
        self.assertEqual(answer[-1][0], "Z", answer[-1])
        return conn

    def test_identify_system(self):
        for kind in ("database", "true", "on", "1"):
            conn = self.replicator(kind)
            row = conn.rows("IDENTIFY_SYSTEM")[0]
            self.assertEqual(row[0].decode(), self.cluster.sql("select system_identifier from pg_control_system()")[0][0])
            self.assertEqual(row[3], b"postgres" if kind == "database" else None)
            self.assertTrue(conn.params["server_version"].startswith("15"))
            conn.finish()
        wait_until(lambda: self.walsenders() == 0, "walsenders to end with their clients")

    def walsenders(self, where="true"):
        return int(self.cluster.sql("select count(*) from pg_stat_activity where backend_type = 'walsender' and " + where)[0][0])

    def test_startup_parameters_arrive(self):
        conn = self.replicator("database", application_name="it is me", options="-c work_mem=3MB", DateStyle="German")
        self.assertEqual(conn.rows("show work_mem"), [[b"3MB"]])
        self.assertEqual(conn.params["DateStyle"], "German, DMY")
        self.assertEqual(conn.params["application_name"], "it is me")
        self.assertEqual(self.walsenders("application_name = 'it is me'"), 1)

    def test_an_ordinary_client_gets_no_walsender(self):
        """The server connection of a replication client is nobody else's, neither while it lives nor afterwards."""
        conn = self.replicator()
        conn.rows("IDENTIFY_SYSTEM")
        plain = self.client(password=self.cluster.password)
        self.assertEqual(plain.value("select backend_type from pg_stat_activity where pid = pg_backend_pid()"),
                         "client backend")
        conn.finish()
        for _ in range(4):
            with self.weir.connect(password=self.cluster.password) as other:
                self.assertEqual(other.value("select backend_type from pg_stat_activity where pid = pg_backend_pid()"),
                                 "client backend")

    def test_replication_off_is_an_ordinary_session(self):
        for kind in "false", "off", "0", "no":
            conn = self.replicator(kind)
            self.assertEqual(conn.value("select backend_type from pg_stat_activity where pid = pg_backend_pid()"),
                             "client backend")
            conn.finish()

    def test_bad_value_is_the_servers_to_refuse(self):
        answer = self.bare().login("postgres", "postgres", options={"replication": "perhaps"},
                                   password=self.cluster.password)
        self.assertIn("replication", self.error_of(answer)["M"])

    def test_pg_basebackup(self):
        target = os.path.join(self.weir.dir, "copy")
        self.run_tool("pg_basebackup", "-D", target, "-X", "stream", "-c", "fast", *self.where())
        self.assertTrue(os.path.exists(target + "/backup_manifest"))
        self.run_tool("pg_verifybackup", target)

    def test_pg_receivewal(self):
        """COPY BOTH, physical: the segment that arrives is the server's, byte for byte."""
        target = os.path.join(self.weir.dir, "wal")
        os.mkdir(target)
        env = dict(os.environ, PGPASSWORD=self.cluster.password)
        tool = subprocess.Popen([PG_BIN + "/pg_receivewal", "-D", target, "-s", "1"] + self.where(), env=env,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.walsenders("application_name = 'pg_receivewal'"), "the stream to begin")
            self.cluster.sql("create table wal_%d as select generate_series(1, 20000)" % os.getpid())
            self.cluster.sql("select pg_switch_wal()")
            whole = wait_until(lambda: [name for name in os.listdir(target) if re.fullmatch("[0-9A-F]{24}", name)],
                               "a whole segment")[0]
            with open(os.path.join(target, whole), "rb") as got, \
                    open(os.path.join(self.cluster.data, "pg_wal", whole), "rb") as want:
                self.assertTrue(got.read() == want.read(), "the segments differ")
        finally:
            tool.send_signal(signal.SIGINT)
            tool.wait(30)
        self.assertEqual(tool.returncode, 0)
        wait_until(lambda: self.walsenders("application_name = 'pg_receivewal'") == 0, "the walsender to end")

    def test_pg_recvlogical(self):
        """COPY BOTH, logical: the client's feedback reaches the server too."""
        slot = "slot_%d" % os.getpid()
        tool = [PG_BIN + "/pg_recvlogical"] + self.where() + ["-d", "postgres", "-S", slot]
        env = dict(os.environ, PGPASSWORD=self.cluster.password)
        self.run_tool("pg_recvlogical", *self.where(), "-d", "postgres", "-S", slot, "--create-slot", "-P", "test_decoding")
        self.cluster.sql("create table dec (a int)")
        receiver = subprocess.Popen(tool + ["--start", "-f", "-", "-s", "1", "-F", "1"], env=env, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)  # it complains of its own interrupt
        try:
            self.cluster.sql("insert into dec values (4711)")
            text = b""
            while b"4711" not in text:
                piece = os.read(receiver.stdout.fileno(), 4096)
                self.assertTrue(piece, text)
                text += piece
            lsn = self.cluster.sql("select pg_current_wal_lsn()")[0][0]
            wait_until(lambda: self.cluster.sql("select confirmed_flush_lsn >= '%s' from pg_replication_slots where slot_name = '%s'"
                                                % (lsn, slot)) == [["t"]], "the feedback to arrive")
        finally:
            receiver.send_signal(signal.SIGINT)
            receiver.wait(30)
            receiver.stdout.close()
        self.run_tool("pg_recvlogical", *self.where(), "-d", "postgres", "-S", slot, "--drop-slot")

    def test_the_servers_farewell(self):
        conn = self.replicator("true")
        lsn = conn.rows("IDENTIFY_SYSTEM")[0][2].decode()
        conn.send(pgwire.query("START_REPLICATION PHYSICAL %s" % lsn))
        conn.until("W")
        self.cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'")
        self.assert_sqlstate(self.error_of(self.rest(conn)), "57P01")

    def test_shown_and_dropped(self):
        conn = self.replicator("true", application_name="shown")
        pins = self.weir.console("SHOW PINS")
        self.assertIn("replication", pins)
        for command in "SHOW CLIENTS", "SHOW SERVERS":
            self.assertIn("physical", self.weir.console(command))
        lsn = conn.rows("IDENTIFY_SYSTEM")[0][2].decode()
        conn.send(pgwire.query("START_REPLICATION PHYSICAL %s" % lsn))
        conn.until("W")
        self.assertEqual(self.walsenders("application_name = 'shown'"), 1)
        conn.drop()
        wait_until(lambda: self.walsenders("application_name = 'shown'") == 0, "the walsender to end")

    def test_cancel(self):
        conn = self.replicator("database")
        conn.send(pgwire.query("select pg_sleep(60)"))
        wait_until(lambda: self.walsenders("query like '%pg_sleep(60)%' and state = 'active'"), "the query to run")
        conn.cancel()
        self.assert_sqlstate(self.error_of(conn.until("Z")), "57014")
        self.assertEqual(conn.rows("select 1"), [[b"1"]])

    def test_waits_for_a_place(self):
        """pool_size counts them, and one too many waits for its place."""
        held = [self.replicator() for _ in range(3)]
        waiting = self.bare()
        join = self.in_thread(waiting.login, "postgres", "postgres", self.cluster.password, {"replication": "database"})
        wait_until(lambda: self.walsenders() == 3, "three walsenders")
        time.sleep(0.3)
        self.assertEqual(self.walsenders(), 3)
        held[0].finish()
        self.assertEqual(join()[-1][0], "Z")
        self.assertTrue(waiting.rows("IDENTIFY_SYSTEM"))


class Scram(Replication):
    """The client's password is checked by pgweir, and the server connection logs in with its keys."""

    auth = "scram-sha-256"


class Relayed(Replication):
    """pgweir may not read verifiers: the client's login is the server connection's own."""

    auth = "scram-sha-256"

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.cluster.sql("create role nobody login password 'x'")
        return fixture.Pgweir(cls.cluster, cls.database, cls.sections, url=cls.cluster.url(user="nobody", password="x"))


class TransactionMode(support.Case):
    proxy_only = True

    def test_refused_with_the_next_step(self):
        fields = self.error_of(self.bare().login("postgres", "postgres", options={"replication": "database"}))
        self.assert_sqlstate(fields, "0A000")
        self.assertIn("pool_mode", fields["M"])


class Draining(support.Case):
    proxy_only = True
    database = {"pool_mode": "session"}

    def test_a_stream_does_not_hold_up_the_end(self):
        conn = self.bare()
        conn.login("postgres", "postgres", options={"replication": "true"})
        lsn = conn.rows("IDENTIFY_SYSTEM")[0][2].decode()
        conn.send(pgwire.query("START_REPLICATION PHYSICAL %s" % lsn))
        conn.until("W")
        weir = self.weir
        weir.process.send_signal(signal.SIGTERM)
        self.assert_sqlstate(self.error_of(self.rest(conn)), "57P01")
        weir.process.wait(20)
        self.assertEqual(weir.process.returncode, 0)
        type(self).weir = self.start(self.database, self.sections)


if __name__ == "__main__":
    support.main()
