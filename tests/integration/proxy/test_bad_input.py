#!/usr/bin/python3
"""Bad input from clients: a clear PostgreSQL error or a closed connection, and nobody else notices."""
import os
import socket
import struct

import support
from support import pgwire


class BadInput(support.Case):
    database = {"pool_size": 4, "query_wait_timeout": "5s"}
    sections = {"auth": {"login_timeout": "2s"}}

    def setUp(self):
        super().setUp()
        self.witness = self.client()
        self.witness.rows("begin")
        self.witness.rows("create temp table if not exists seen (a int)")
        self.witness.rows("insert into seen values (42)")

    def tearDown(self):
        # The witness is in a transaction with state of its own; a fresh client can work too.
        self.assertEqual(self.witness.value("select a from seen"), "42")
        self.witness.rows("rollback")
        self.assertEqual(self.client().value("select 7"), "7")
        super().tearDown()

    def send_before_login(self, data):
        conn = self.bare()
        conn.send(data)
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self.rest_raw(conn)

    @staticmethod
    def rest_raw(conn):
        data = b""
        try:
            while True:
                more = conn.sock.recv(65536)
                if not more:
                    return data
                data += more
        except ConnectionError:
            return data

    def send_after_login(self, data, *codes):
        """Send bytes on a logged-in connection; it must end with an error of one of these codes."""
        conn = self.client()
        conn.send(data)
        fields = self.error_of(self.rest(conn))
        self.assert_sqlstate(fields, *codes)
        return fields

    # ---- before login ---------------------------------------------------------------------------
    def test_garbage_before_login(self):
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 100, b"\xff" * 100, os.urandom(500), b"\x16\x03\x01\x02\x00",
                     b"\0\0\0\4", b"\0\0\0\7abc", b"\0\0\0\10\0\0\0\0", b"Q\0\0\0\15select 1\0"):
            with self.subTest(data=data[:20]):
                answer = self.send_before_login(data)
                self.assertTrue(answer == b"" or answer[:1] in b"ER", answer[:50])
                self.assertNotIn(b"R\0\0\0\10\0\0\0\0", answer)

    def test_lengths_before_login(self):
        for size in (0, 1, 7, 10001, 0x7fffffff, 0x80000000, 0xffffffff):
            with self.subTest(size=size):
                answer = self.send_before_login(struct.pack("!II", size, pgwire.PROTOCOL_3_0) + b"user\0x\0\0")
                self.assertNotIn(b"R\0\0\0\10\0\0\0\0", answer)

    def test_old_and_new_protocols(self):
        for version in (262144, 0x00050000):
            with self.subTest(version=version):
                conn = self.bare()
                conn.send(pgwire.startup({"user": "postgres", "database": "postgres"}, version))
                self.assert_sqlstate(self.error_of(self.rest(conn)), "0A000", "08P01")

    def test_minor_version_is_negotiated(self):
        conn = self.bare()
        answer = conn.login("postgres", "postgres", version=(3 << 16) | 99)
        self.assertEqual(answer[-1][0], "Z")
        kind, body = next(message for message in answer if message[0] == "v")
        self.assertEqual(struct.unpack_from("!I", body)[0] & 0xffff0000, 0 if body[0] == 0 and body[1] == 0 else 0x30000)
        self.assertEqual(conn.value("select 1"), "1")

    def test_unknown_protocol_option_is_negotiated(self):
        conn = self.bare()
        answer = conn.login("postgres", "postgres", options={"_pq_.wanted": "1"})
        body = next(body for kind, body in answer if kind == "v")
        self.assertIn(b"_pq_.wanted\0", body)
        self.assertEqual(conn.value("select 1"), "1")

    def test_no_user(self):
        conn = self.bare()
        conn.send(pgwire.startup({"database": "postgres"}))
        self.assert_sqlstate(self.error_of(self.rest(conn)), "28000", "08P01")

    def test_startup_without_terminator(self):
        body = struct.pack("!I", pgwire.PROTOCOL_3_0) + b"user\0postgres\0database\0postgres"
        answer = self.send_before_login(struct.pack("!I", len(body) + 4) + body)
        self.assertNotIn(b"R\0\0\0\10\0\0\0\0", answer)

    def test_ssl_and_gss_are_answered(self):
        conn = self.bare()
        for code in (pgwire.GSS_CODE, pgwire.SSL_CODE):
            conn.send(struct.pack("!II", 8, code))
            self.assertIn(conn.sock.recv(10), (b"N",) if not support.STANDIN else (b"N", b"G"))
            if support.STANDIN:
                return
        self.assertEqual(conn.login("postgres", "postgres")[-1][0], "Z")

    def test_bytes_behind_ssl_request(self):
        conn = self.bare()
        conn.send(struct.pack("!II", 8, pgwire.SSL_CODE) + pgwire.startup({"user": "postgres", "database": "postgres"}))
        answer = self.rest_raw(conn)
        self.assertNotIn(b"R\0\0\0\10\0\0\0\0", answer)

    def test_login_in_pieces(self):
        conn = self.bare()
        for byte in pgwire.startup({"user": "postgres", "database": "postgres", "application_name": "slow"}):
            conn.send(bytes([byte]))
        self.assertEqual(conn.until("Z", "E")[-1][0], "Z")

    def test_stalled_login_is_ended(self):
        if support.STANDIN:
            self.skipTest("authentication_timeout is a minute")
        conn = self.bare(timeout=15)
        conn.send(pgwire.startup({"user": "postgres", "database": "postgres"})[:10])
        messages = self.rest(conn)
        self.assertTrue(all(kind == "E" for kind, _ in messages))

    # ---- after login ----------------------------------------------------------------------------
    def test_unknown_type(self):
        for kind in "yYz?\0":
            with self.subTest(kind=kind):
                self.send_after_login(pgwire.msg(kind, b"abc"), "08P01")

    def test_impossible_lengths(self):
        for size in (0, 1, 3, 0x80000000, 0xffffffff, 0x7fffffff):
            with self.subTest(size=size):
                self.send_after_login(b"Q" + struct.pack("!I", size) + b"select 1\0", "08P01", "54000", "53200", "22023")

    def test_small_messages_that_are_too_long(self):
        """Message kinds that are never long have a limit of their own."""
        for kind in "SHXc":
            with self.subTest(kind=kind):
                self.send_after_login(kind.encode() + struct.pack("!I", 0x20000000), "08P01", "54000", "53200")

    def test_malformed_bodies(self):
        for data in (pgwire.msg("Q", b"select 1"), pgwire.msg("P", b"name"), pgwire.msg("P", b"\0select 1\0\0"),
                     pgwire.msg("P", b"\0select 1\0\0\5\0\0"), pgwire.msg("B", b"\0\0\0"), pgwire.msg("B", b"\0\0\0\0\0\1\0\0\0\377a\0\0"),
                     pgwire.msg("B", b"\0\0\377\377\0\0\0\0"), pgwire.msg("D", b"X\0"), pgwire.msg("D", b"S"), pgwire.msg("C", b"Q\0"),
                     pgwire.msg("E", b"\0"), pgwire.msg("E", b"nothing"), pgwire.msg("B", b"\0\0\0\0\0\0\0\0extra"),
                     pgwire.msg("F", b"\0\0"), pgwire.msg("D", b"")):
            with self.subTest(data=data):
                conn = self.client()
                conn.send(data + pgwire.SYNC)
                messages = []
                try:
                    while not messages or messages[-1][0] != "Z":
                        messages.append(conn.read())
                except pgwire.Closed:
                    pass
                self.assert_sqlstate(self.error_of(messages), "08P01", "26000", "34000", "42601", "42883")

    def test_password_after_login(self):
        self.send_after_login(pgwire.msg("p", b"secret\0"), "08P01")

    def test_stray_copy_data_is_ignored(self):
        conn = self.client()
        conn.send(pgwire.msg("d", b"stray") + pgwire.COPY_DONE + pgwire.msg("f", b"x\0"))
        self.assertEqual(conn.value("select 5"), "5")

    # ---- clients that stop in the middle ----------------------------------------------------------
    def test_stalled_in_a_message(self):
        stalled = [self.client() for _ in range(12)]
        for conn in stalled:
            conn.send(pgwire.query("select 1")[:7])
        self.assertEqual(self.client().value("select 8"), "8")
        for conn in stalled:
            conn.send(pgwire.query("select 1")[7:])
            self.assertEqual(conn.until("Z")[-1][0], "Z")

    def test_vanished_in_a_message(self):
        for cut in (1, 4, 5, 8):
            conn = self.client()
            conn.send(pgwire.query("select 1")[:cut])
            conn.drop()

    def test_vanished_before_the_answer(self):
        for _ in range(8):
            conn = self.client()
            conn.send(pgwire.query("select pg_sleep(0.05)"))
            conn.drop()

    def test_vanished_in_a_transaction(self):
        self.cluster.sql("create table if not exists held (a int)")
        conn = self.client()
        conn.rows("begin")
        conn.rows("lock table held")
        conn.rows("insert into held values (1)")
        conn.drop()
        self.assertEqual(self.client().value("select count(*) from held"), "0")

    def test_vanished_in_copy(self):
        self.cluster.sql("create table if not exists copied (a int)")
        conn = self.client()
        conn.send(pgwire.query("copy copied from stdin"))
        conn.until("G")
        conn.send(pgwire.msg("d", b"1\n"))
        conn.drop()
        support.wait_until(lambda: self.sessions("query like 'copy copied%' and state = 'active'") == 0, "the COPY to end")
        self.assertEqual(self.client().value("select count(*) from copied"), "0")

    def test_vanished_in_a_large_result(self):
        for _ in range(6):
            conn = self.client()
            conn.send(pgwire.query("select repeat('x', 1000) from generate_series(1, 50000)"))
            conn.read()
            conn.drop()

    def test_half_closed(self):
        conn = self.client()
        conn.send(pgwire.query("select 3"))
        conn.sock.shutdown(socket.SHUT_WR)
        self.rest(conn)

    def test_random_bytes_after_login(self):
        for seed in range(30):
            conn = self.client()
            conn.send(os.urandom(200 + seed))
            conn.drop()

    def test_cancel_of_nobody(self):
        for data in (struct.pack("!IIII", 16, pgwire.CANCEL_CODE, 1, 2), struct.pack("!II", 8, pgwire.CANCEL_CODE),
                     struct.pack("!IIII", 16, pgwire.CANCEL_CODE, 0xffffffff, 0xffffffff),
                     struct.pack("!III", 12, pgwire.CANCEL_CODE, 5), struct.pack("!II", 5000, pgwire.CANCEL_CODE) + b"x" * 4992):
            self.assertIn(self.send_before_login(data)[:1], (b"", b"E"))


if __name__ == "__main__":
    support.main()
