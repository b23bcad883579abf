#!/usr/bin/python3
"""TLS at login: from the first byte (PostgreSQL 17), bytes that come too early, and new certificates by RELOAD on both legs."""
import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading

import certs
import support
from support import fixture, pgwire


def login_over(conn):
    return conn.login("postgres", "postgres")[-1][0]


class Direct(support.Case):
    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        authority = certs.Authority(os.path.join(cls.cluster.dir, "certs"))
        cls.ca, cls.identity = authority.ca, authority.issue("localhost")
        return fixture.Pgweir(cls.cluster, database, {"tls": {"client_mode": "allow", "cert": cls.identity[0], "key": cls.identity[1]}})

    def test_direct(self):
        conn = self.bare()
        certs.start_directly(conn, certs.context(self.ca))
        self.assertEqual(conn.sock.selected_alpn_protocol(), "postgresql")
        self.assertEqual(login_over(conn), "Z")
        self.assertEqual(conn.value("select 'direct'"), "direct")
        self.assertEqual(len(conn.value("select repeat('x', 2000000)")), 2000000)

    def test_direct_in_small_pieces(self):
        """The handshake's bytes may come one by one: the first alone says what it is."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certs.context().wrap_bio(incoming, outgoing)
        conn = self.bare()

        def step(action):
            while True:
                try:
                    result, done = action(), True
                except ssl.SSLWantReadError:
                    result, done = None, False
                for byte in outgoing.read():
                    conn.send(bytes([byte]))
                if done:
                    return result
                incoming.write(conn.sock.recv(65536))
        step(tls.do_handshake)
        step(lambda: tls.write(pgwire.startup({"user": "postgres", "database": "postgres"})))
        self.assertEqual(step(lambda: tls.read(1)), b"R")

    def test_alpn_is_demanded(self):
        """Without it a browser could be led here (PostgreSQL refuses as well)."""
        for names in ((), ("http/1.1",)):
            conn = self.bare()
            with self.assertRaises((OSError, pgwire.WireError)):
                certs.start_directly(conn, certs.context(alpn=names))
                conn.login("postgres", "postgres")
        self.assertIn("kind=TLS_HANDSHAKE", self.weir.log())

    def test_asked_for_tls_needs_no_alpn(self):
        for names in ((), ("postgresql",)):
            conn = self.bare()
            self.assertTrue(certs.ask_for_tls(conn, certs.context(self.ca, alpn=names)))
            self.assertEqual(login_over(conn), "Z")

    def test_tls_inside_tls(self):
        conn = self.bare()
        certs.start_directly(conn, certs.context())
        conn.send(struct.pack("!II", 8, pgwire.SSL_CODE))
        self.assert_sqlstate(self.error_of(self.rest(conn)), "08P01", "0A000")

    def test_bytes_before_the_handshake(self):
        """CVE-2021-23214: what came in clear before the handshake is never taken as if it had been encrypted."""
        hello = pgwire.startup({"user": "postgres", "database": "postgres"})
        for more in (hello, b"\x16", b"\0", hello * 100):
            conn = self.bare()
            conn.send(struct.pack("!II", 8, pgwire.SSL_CODE) + more)
            data = b""
            try:
                while piece := conn.sock.recv(65536):
                    data += piece
            except ConnectionError:
                pass
            self.assertNotIn(b"R\0\0\0\x08\0\0\0\0", data)
            self.assertIn(b"received unencrypted data after SSL request", data)
        self.assertIn("kind=TLS_INJECTED", self.weir.log())

    def test_none_on_unix_sockets(self):
        conn = pgwire.Conn(self.weir.unix)
        self.open.append(conn)
        self.assertFalse(certs.ask_for_tls(conn, certs.context()))
        self.assertEqual(login_over(conn), "Z")
        conn = pgwire.Conn(self.weir.unix)
        self.open.append(conn)
        with self.assertRaises(OSError):
            certs.start_directly(conn, certs.context())


class Binding(support.Case):
    """SCRAM-SHA-256-PLUS: each leg's login is bound to its own TLS channel (libpq's channel_binding=require)."""
    proxy_only = True
    auth = "scram-sha-256"

    @classmethod
    def prepare(cls):
        cls.authority = certs.Authority(os.path.join(cls.cluster.dir, "certs"), cls.cluster.owner)
        cls.server = cls.authority.issue("localhost")
        for name, value in (("ssl_cert_file", cls.server[0]), ("ssl_key_file", cls.server[1]), ("ssl", "on")):
            cls.cluster.sql("alter system set %s = '%s'" % (name, value))
        with open(cls.cluster.data + "/pg_hba.conf", "w") as hba:
            hba.write("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        cls.cluster.sql("select pg_reload_conf()")

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.identity = cls.authority.issue("localhost", file="ours")
        return fixture.Pgweir(url=cls.cluster.url() + "?sslmode=require", database=database,
                              sections={"tls": {"client_mode": "allow", "cert": cls.identity[0], "key": cls.identity[1]}})

    def psql(self, **options):
        text = " ".join("%s=%s" % item for item in dict(
            host="127.0.0.1", port=self.weir.port, user="postgres", dbname="postgres", password=self.cluster.password,
            **options).items())
        return subprocess.run([fixture.PG_BIN + "/psql", "-XAtc", "select ssl from pg_stat_ssl where pid = pg_backend_pid()", text],
                              capture_output=True, text=True)

    def test_required(self):
        done = self.psql(channel_binding="require", sslmode="require")
        self.assertEqual((done.stdout, done.returncode), ("t\n", 0), done.stderr)

    def test_not_bound(self):
        self.assertEqual(self.psql(channel_binding="disable", sslmode="require").stdout, "t\n")
        self.assertEqual(self.psql(sslmode="disable").stdout, "t\n")
        self.assertIn("channel binding", self.psql(channel_binding="require", sslmode="disable").stderr)

    def test_somebody_between_us_and_the_server(self):
        """With sslmode=require nobody looks at the server's certificate, but the login is bound to it: who stands between with a
        certificate of his own can pass all bytes on, and is found out."""
        for identity, trusted in ((self.authority.issue("localhost", file="between"), False), (self.server, True)):
            with Between(self.cluster.address, identity) as between, fixture.Pgweir(
                    url="postgres://postgres:%s@127.0.0.1:%d/?sslmode=require" % (self.cluster.password, between.port),
                    database={"outage_wait": "0"}, sections={"auth": {"type": "trust"}}) as weir:
                with pgwire.Conn(weir.address, 20) as conn:
                    answer = conn.login("postgres", "postgres")[-1]
                self.assertGreater(between.passed, 0)
                if trusted:  # the same certificate (and key): nobody can tell
                    self.assertEqual(answer[0], "Z")
                else:
                    self.assertIn("channel binding", pgwire.error_fields(answer[1])["M"])


class Between:
    """Ends TLS with a certificate of its own and passes all bytes on to PostgreSQL, over another TLS."""

    def __init__(self, address, identity):
        self.address, self.passed = address, 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*identity)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = [self.listener]

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *unused):
        for each in self.open:
            each.close()

    def accept(self):
        try:
            while True:
                plain = self.listener.accept()[0]
                if plain.recv(8, socket.MSG_WAITALL) != struct.pack("!II", 8, pgwire.SSL_CODE):
                    plain.close()  # a CancelRequest, perhaps
                    continue
                plain.sendall(b"S")
                theirs = pgwire.Conn(self.address)
                certs.ask_for_tls(theirs, certs.context())
                ours = self.tls.wrap_socket(plain, server_side=True)
                self.open += [ours, theirs.sock]
                for one, other in ((ours, theirs.sock), (theirs.sock, ours)):
                    threading.Thread(target=self.pump, args=(one, other), daemon=True).start()
        except OSError:
            pass

    def pump(self, one, other):
        try:
            while data := one.recv(65536):
                self.passed += len(data)
                other.sendall(data)
        except OSError:
            pass
        other.close()


class Off(support.Case):
    proxy_only = True

    def test_direct_where_tls_is_off(self):
        conn = self.bare()
        with self.assertRaises(OSError):
            certs.start_directly(conn, certs.context())
        self.assertIn("kind=TLS_OFF", self.weir.log())
        self.assertEqual(self.client().value("select 1"), "1")


class ReloadClientLeg(support.Case):
    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.authority = certs.Authority(os.path.join(cls.cluster.dir, "certs"))
        cls.first, cls.second = (cls.authority.issue("localhost", subject="/CN=localhost/O=" + name, file=name) for name in ("first", "second"))
        cls.cert, cls.key = cls.authority.path("in-use.crt"), cls.authority.path("in-use.key")
        cls.use(cls.first)
        return fixture.Pgweir(cls.cluster, database, {"tls": {"client_mode": "require", "cert": cls.cert, "key": cls.key}})

    @classmethod
    def use(cls, identity):
        for source, target in zip(identity, (cls.cert, cls.key)):
            shutil.copy(source, target)

    def organization(self):
        conn = self.bare()
        self.assertTrue(certs.ask_for_tls(conn, certs.context(self.authority.ca)))
        self.assertEqual(login_over(conn), "Z")
        subject = dict(pair[0] for pair in conn.sock.getpeercert()["subject"])
        return conn, subject["organizationName"]

    def test_reload(self):
        try:
            old, name = self.organization()
            self.assertEqual(name, "first")
            self.use(self.second)
            self.assertEqual(self.organization()[1], "first", "only a RELOAD reads it")
            self.weir.console("RELOAD")
            self.assertEqual(self.organization()[1], "second")
            self.assertEqual(old.value("select 1"), "1", "open connections go on")
            shutil.copy(self.first[1], self.key)  # a key that does not fit
            answer = self.weir.console("RELOAD")
            self.assertIn("ERROR", answer)
            self.assertIn("in-use.key", answer)
            self.assertEqual(self.organization()[1], "second")
        finally:
            self.use(self.first)
            self.weir.console("RELOAD")

    def test_bad_certificate_changes_nothing_else(self):
        with open(self.weir.config_path) as config:
            text = config.read()
        try:
            with open(self.weir.config_path, "w") as config:
                config.write(text + "batch:\n  max: 7\n")
            with open(self.cert, "w") as broken:
                broken.write("no certificate\n")
            self.assertIn("ERROR", self.weir.console("RELOAD"))
            self.assertNotIn("batch.max=7", self.weir.console("SHOW CONFIG").replace(" ", "").replace("|", "="))
            self.assertIn("reload_refused", self.weir.log())
        finally:
            with open(self.weir.config_path, "w") as config:
                config.write(text)
            self.use(self.first)
            self.weir.console("RELOAD")


class ReloadServerLeg(support.Case):
    """sslmode=verify-ca towards PostgreSQL: the CA file is replaced together with the server's certificate."""
    proxy_only = True

    @classmethod
    def setUpClass(cls):
        cls.cluster = fixture.Postgres()
        owner, directory = cls.cluster.owner, os.path.join(cls.cluster.dir, "certs")
        cls.old, cls.new = (certs.Authority(os.path.join(directory, name), owner, name) for name in ("old", "new"))
        cls.trusted = os.path.join(directory, "trusted.pem")
        shutil.copy(cls.old.ca, cls.trusted)
        cls.serve(cls.old)
        url = cls.cluster.url() + "?sslmode=verify-ca&sslrootcert=" + cls.trusted
        cls.weir = fixture.Pgweir(url=url, database={"outage_wait": "0"})

    @classmethod
    def serve(cls, authority):
        cert, key = authority.issue("localhost")
        for name, value in (("ssl_cert_file", cert), ("ssl_key_file", key), ("ssl", "on")):
            cls.cluster.sql("alter system set %s = '%s'" % (name, value))
        cls.cluster.sql("select pg_reload_conf()")

        def is_served():
            conn = pgwire.Conn(cls.cluster.address)
            try:
                return certs.ask_for_tls(conn, certs.context(authority.ca))
            except ssl.SSLError:
                return False
            finally:
                conn.drop()
        support.wait_until(is_served, "PostgreSQL to show its new certificate")

    def encrypted(self):
        return self.client().value("select ssl from pg_stat_ssl where pid = pg_backend_pid()")

    def test_reload(self):
        self.assertEqual(self.encrypted(), "t")
        self.serve(self.new)
        self.weir.console("RECONNECT")
        fields = self.error_of(self.asked(self.bare()))
        self.assertIn("certificate", fields["M"])
        self.assertIn("pgweir could not connect to the server at 127.0.0.1:", fields["M"])
        self.assertIn("sslrootcert", fields["H"])
        shutil.copy(self.new.ca, self.trusted)
        self.weir.console("RELOAD")
        support.wait_until(lambda: self.asked(self.bare())[-1][0] == "Z", "pgweir to trust the new authority")
        self.assertEqual(self.encrypted(), "t")

    def asked(self, conn):
        """A login and a question: the messages until ReadyForQuery or an error."""
        answer = conn.login("postgres", "postgres")
        if answer[-1][0] == "Z":
            conn.send(pgwire.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()"))
            answer = conn.until("Z", "E")
        return answer


if __name__ == "__main__":
    support.main()
