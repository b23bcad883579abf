#!/usr/bin/python3
"""Settings that are replayed cost no round trip, and a request is executed with them or not at all."""
import json
import os
import signal
import socket
import struct

import support
from relay import Relay
from support import fixture, pgwire, wait_until

SYNC = pgwire.msg("S")


def extended(sql, *values):
    return (pgwire.parse("", sql) + pgwire.bind("", "", [v.encode() for v in values]) + pgwire.describe("P", "") +
            pgwire.execute())


class OneConnection(support.Case):
    """Two sessions take turns on the only server connection, so that each turn replays."""

    proxy_only = True
    database = {"pool_size": 1, "query_wait_timeout": "30s"}
    sections = {"pgweir": {"workers": 1}, "cache": {"consistency": "off"}}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create schema a; create schema b; create table a.t as select 'in a' as v;"
                        "create table b.t as select 'in b' as v; create table log (who text, what text);"
                        "create role app login; create role one; create role two; create role gone; grant one, two, gone to app;"
                        "grant all on log to public; grant usage on schema a to one; grant usage on schema b to two;"
                        "grant select on a.t to one; grant select on b.t to two")

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.relay = Relay(cls.cluster.address, b"user\0app\0")
        return support.fixture.Pgweir(cls.cluster, database, sections,
                                      url="postgres://postgres@127.0.0.1:%d/postgres" % cls.relay.port)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.relay.close()

    def logged(self, what):
        return self.cluster.sql("select who from public.log where what = '%s'" % what)

    def reported(self, messages):
        return [body for kind, body in messages if kind == "S"]


class RoundTrips(OneConnection):
    def two(self, *settings):
        """Two sessions with settings of their own; the second one's are on the server."""
        conns = []
        for setting in settings:
            conn = self.client(user="app")
            conn.simple(setting)
            conns.append(conn)
        return conns

    def same_trip(self, conn, request, marker):
        self.relay.hold(marker)
        conn.send(request)
        messages = conn.until("Z")
        sent = self.relay.released()
        self.assertIsNotNone(sent)
        self.assertIn(b"set_config", sent, "nothing was replayed: the test is wrong")
        return messages

    def test_every_kind_of_request(self):
        requests = {
            "a simple read": pgwire.query("select v /* %s */ from t"),
            "an extended read": extended("select v /* %s */ from t") + SYNC,
            "begin": pgwire.query("begin /* %s */"),
            "a write": pgwire.query("insert into public.log select v, '%s' from t returning who"),
            "an extended write": extended("insert into public.log select v, '%s' from t returning who") + SYNC,
            "several statements": pgwire.query("insert into public.log values ('x', '%s'); select v from t"),
            "what is not run in a block": pgwire.query("vacuum public.log /* %s */"),
            "a statement with an error": pgwire.query("select 1 / 0 /* %s */, v from t"),
        }
        one, two = self.two("set search_path to a", "set search_path to b")
        turn = [(one, b"in a"), (two, b"in b")]
        for number, (name, request) in enumerate(requests.items()):
            conn, mine = turn[number % 2]
            marker = b"marker%d" % number
            body = request.replace(b"%s", marker)
            extra = len(marker) - 2  # the length of the message that holds it
            at = body.index(b"P" if "extended" in name else b"Q")
            size = int.from_bytes(body[at + 1:at + 5], "big") + extra
            body = body[:at + 1] + size.to_bytes(4, "big") + body[at + 5:]
            with self.subTest(name):
                messages = self.same_trip(conn, body, marker)
                rows = [pgwire.data_row(b)[0] for kind, b in messages if kind == "D"]
                self.assertEqual(rows, [] if name in ("begin", "what is not run in a block", "a statement with an error")
                                 else [mine])
                self.assertEqual(messages[-1], ("Z", b"T" if name == "begin" else b"I"))
                if name == "begin":
                    conn.simple("commit")

    def test_reset_of_what_others_set(self):
        plain, other = self.two("select 1", "set search_path to b; set timezone to 'Asia/Tokyo'; set my.own to 'x'")
        self.relay.hold(b"current_setting")
        values = plain.rows("select current_setting('timezone') <> 'Asia/Tokyo', current_setting('my.own', true), "
                            "current_setting('search_path')")
        self.assertIsNotNone(self.relay.released())
        self.assertEqual(values, [[b"t", b"", b'"$user", public']])
        self.assertEqual(other.value("show timezone"), "Asia/Tokyo")

    def test_flush_before_sync(self):
        one, two = self.two("set search_path to a", "set search_path to b")
        self.relay.hold(b"select v /* flushed */")
        one.send(pgwire.parse("", "select v /* flushed */ from t") + pgwire.describe("S", "") + pgwire.msg("H"))
        self.assertEqual([kind for kind, _ in one.until("T")], ["1", "t", "T"])
        self.assertIsNotNone(self.relay.released())
        one.send(pgwire.bind("", "") + pgwire.execute() + SYNC)
        self.assertIn(("D", b"\0\1\0\0\0\4in a"), one.until("Z"))
        self.assertEqual(two.value("select v from t"), "in b")

    def test_copy(self):
        one, two = self.two("set search_path to a, public", "set search_path to b, public")
        self.relay.hold(b"copy log")
        one.send(pgwire.query("copy log from stdin"))
        self.assertEqual([kind for kind, _ in one.until("G")], ["G"])
        self.assertIsNotNone(self.relay.released())
        one.send(pgwire.msg("d", b"me\tcopied\n") + pgwire.msg("c"))
        one.until("Z")
        self.assertEqual(self.logged("copied"), [["me"]])
        self.assertEqual(two.value("select v from t"), "in b")

    def test_nothing_of_ours_is_left(self):
        for request, state in (pgwire.bind("", "") + pgwire.execute(), "26000"), (pgwire.execute(), "34000"), \
                (pgwire.describe("P", ""), "34000"), (pgwire.describe("S", ""), "26000"):
            one, two = self.two("set search_path to a", "set search_path to b")
            one.send(request + SYNC)
            self.assert_sqlstate(self.error_of(one.until("Z")), state)
            one.finish()  # what is not understood pins
            self.assertEqual(two.value("select v from t"), "in b")
            two.finish()

    def test_reports(self):
        """ParameterStatus: of what the session itself changes, nothing of what others did, nothing twice."""
        one, two = self.two("set timezone to 'Asia/Tokyo'", "set timezone to 'Europe/Berlin'")
        for _ in range(3):
            for conn in one, two:
                self.assertEqual(self.reported(conn.simple("select 1")), [])
        self.assertEqual(self.reported(one.simple("set timezone to 'Europe/Paris'")), [b"TimeZone\0Europe/Paris\0"])
        self.assertEqual(self.reported(two.simple("select 1")), [])
        # back to what the other one has: PostgreSQL has nothing to report to pgweir, its client has to be told
        self.assertEqual(self.reported(one.simple("set timezone to 'Europe/Berlin'")), [b"TimeZone\0Europe/Berlin\0"])
        self.assertEqual(self.reported(two.simple("set datestyle to 'SQL, DMY'")), [b"DateStyle\0SQL, DMY\0"])
        self.assertEqual(self.reported(one.simple("select 1")), [])
        self.assertEqual(self.reported(two.simple("reset datestyle")), [b"DateStyle\0ISO, MDY\0"])
        one.simple("begin")
        self.assertEqual(self.reported(one.simple("set local timezone to 'Asia/Tokyo'")), [b"TimeZone\0Asia/Tokyo\0"])
        self.assertEqual(self.reported(one.simple("rollback")), [b"TimeZone\0Europe/Berlin\0"])

    def test_values_in_another_encoding(self):
        one, two = self.two("set client_encoding to 'LATIN1'", "set client_encoding to 'UTF8'")
        one.send(pgwire.msg("Q", b"set my.name to 'caf\xe9'\0"))
        one.until("Z")
        for _ in range(2):
            self.assertEqual(two.value("select current_setting('my.name', true)") or "", "")
            self.assertEqual(one.rows("select current_setting('my.name')"), [[b"caf\xe9"]])
        one.simple("set client_encoding to 'UTF8'")  # from now on those bytes are no text: the session keeps its server
        self.assertEqual(one.rows("select current_setting('my.name')"), [["caf\u00e9".encode()]])
        one.finish()
        self.assertEqual(two.value("select current_setting('my.name', true)") or "", "")


class Refused(OneConnection):
    """What the session had set cannot be set any more: a clear error, and nothing was executed under another role."""

    def refuse(self, break_it, request, repair, setting="set role gone"):
        conn, other, third = self.client(user="app"), self.client(user="app"), self.client(user="app")
        conn.simple(setting)
        other.simple("set role two")
        self.cluster.sql(break_it)
        try:
            conn.send(request)
            fields = self.error_of(self.rest(conn))
        finally:
            self.cluster.sql(repair)
        self.assertEqual(fields["S"], "FATAL")
        self.assertIn("settings could not be restored", fields["M"])
        self.assertEqual(other.value("select current_user"), "two")
        self.assertEqual(third.value("select current_user"), "app")

    def test_membership_revoked(self):
        for number, request in enumerate((
                pgwire.query("select current_user"),
                extended("select current_user") + SYNC,
                pgwire.query("begin"),
                pgwire.query("insert into log values (current_user, 'revoked')"),
                extended("insert into log values (current_user, 'revoked')") + SYNC,
                extended("insert into log values (current_user, 'revoked')") + SYNC +
                extended("insert into log values (current_user, 'revoked')") + SYNC,
                pgwire.query("rollback; insert into log values (current_user, 'revoked')"),
                pgwire.query("commit") + pgwire.query("insert into log values (current_user, 'revoked')"),
                pgwire.query("vacuum log"))):
            with self.subTest(number):
                self.refuse("revoke gone from app", request, "grant gone to app")
        self.assertEqual(self.logged("revoked"), [])

    def test_role_dropped(self):
        self.refuse("drop role gone", pgwire.query("insert into log values (current_user, 'dropped')"),
                    "create role gone; grant gone to app")
        self.assertEqual(self.logged("dropped"), [])

    def clients(self):
        rows = [json.loads(line) for line in self.weir.console("SHOW CLIENTS \\j").splitlines() if line.startswith("{")]
        return sum(row["user"] == "app" for row in rows)

    def test_nobody_waits_any_more(self):
        """The client is gone when its settings are refused. A reset is not always told from an end of what the client has to
        say, after which the answer is still owed: so it is tried a few times."""
        for _ in range(5):
            conn, other = self.client(user="app"), self.client(user="app")
            conn.simple("set role gone")
            other.simple("set role two")
            backend = int(other.value("select pg_backend_pid()"))
            self.cluster.sql("revoke gone from app")
            try:
                os.kill(backend, signal.SIGSTOP)
                conn.send(extended("select current_user") + SYNC)
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                conn.drop()
                try:
                    wait_until(lambda: self.clients() == 1, "pgweir to notice that the client is gone", 1)
                except fixture.FixtureError:
                    pass
            finally:
                os.kill(backend, signal.SIGCONT)
                self.cluster.sql("grant gone to app")
            self.assertEqual(other.value("select current_user"), "two")
            other.finish()

    def test_those_behind_run_elsewhere(self):
        """Reads of others with the same settings were sent behind it: their own turn decides, not its failure."""
        conns = [self.client(user="app") for _ in range(8)]
        for conn in conns:
            conn.simple("set role gone")
        for _ in range(20):
            for conn in conns:
                conn.simple("select current_user")
        self.client(user="app").simple("set role two")
        self.cluster.sql("revoke gone from app")
        try:
            for conn in conns:
                conn.send(pgwire.query("select current_user"))
            for conn in conns:
                messages = self.rest(conn)
                self.assertEqual([b for kind, b in messages if kind == "D"], [])
                self.assertEqual(self.error_of(messages)["S"], "FATAL")
        finally:
            self.cluster.sql("grant gone to app")


if __name__ == "__main__":
    support.main()
