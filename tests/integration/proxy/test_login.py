#!/usr/bin/python3
"""Logins: trust, md5 and SCRAM upstream, with and without the right to read verifiers; refusals that say why; TLS."""
import os
import socket
import ssl
import struct
import subprocess

import support
from support import fixture, pgwire


class Logins:
    """The same for every way PostgreSQL may ask for a password."""

    proxy_only = True
    url_user, url_password = "postgres", "secret"

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create role alice login password 'wonderland'; create role bob login password 'builder';"
                        "create role closed nologin password 'x'; create role late login password 'late' valid until '2001-01-01';"
                        "create role plain login password 'plain'; create role \"Odd \"\"Name\" login password 'p:@/ %';"
                        "create role nopass login")

    @classmethod
    def start(cls, database=None, sections=None, **more):
        url = cls.cluster.url(user=cls.url_user, password=cls.url_password)
        return fixture.Pgweir(cls.cluster, database, sections, url=url)

    def test_right_passwords(self):
        for user, password in (("alice", "wonderland"), ("bob", "builder"), ("postgres", "secret"), ('Odd "Name', "p:@/ %")):
            with self.subTest(user=user):
                conn = self.client(user=user, password=password)
                self.assertEqual(conn.value("select current_user"), user)
                self.assertEqual(conn.value("select session_user"), user)

    def test_wrong_passwords(self):
        for user, password in (("alice", "builder"), ("alice", ""), ("bob", "Builder"), ("postgres", "x" * 500)):
            with self.subTest(user=user, password=password[:10]):
                fields = self.error_of(self.bare().login(user, "postgres", password))
                self.assert_sqlstate(fields, "28P01")
        self.assertEqual(self.client(user="alice", password="wonderland").value("select 1"), "1")

    def test_users_who_may_not(self):
        for user, password, codes in (("closed", "x", ("28000", "28P01")), ("late", "late", ("28P01", "28000")),
                                      ("nobody_here", "x", ("28P01", "28000")), ("nopass", "x", ("28P01",)), ("nopass", "", ("28P01",))):
            with self.subTest(user=user):
                answer = self.bare().login(user, "postgres", password)
                self.assertNotEqual(answer[-1][0], "Z", "was let in")
                self.assert_sqlstate(self.error_of(answer), *codes)

    def test_one_after_the_other(self):
        """Connections of different users are never mixed up."""
        for _ in range(5):
            for user, password in (("alice", "wonderland"), ("bob", "builder")):
                conn = self.client(user=user, password=password)
                self.assertEqual(conn.value("select current_user"), user)
                conn.finish()

    def test_changed_password(self):
        self.cluster.sql("alter role plain password 'changed'")
        self.assertEqual(self.client(user="plain", password="changed").value("select 1"), "1")
        self.assertNotEqual(self.bare().login("plain", "postgres", "plain")[-1][0], "Z")
        self.cluster.sql("alter role plain password 'plain'")
        support.wait_until(lambda: self.bare().login("plain", "postgres", "plain")[-1][0] == "Z", "the new password to be known")

    def test_many_at_once(self):
        joins = [self.in_thread(self.login_and_ask, "alice", "wonderland") for _ in range(16)]
        for join in joins:
            self.assertEqual(join(), "alice")

    def login_and_ask(self, user, password):
        with self.weir.connect(user=user, password=password) as conn:
            return conn.value("select current_user")

    def test_given_up_in_the_middle(self):
        for _ in range(5):
            conn = self.bare()
            conn.send(pgwire.startup({"user": "alice", "database": "postgres"}))
            conn.read()
            conn.drop()
        self.assertEqual(self.client(user="alice", password="wonderland").value("select 1"), "1")

    def test_nonsense_in_answer_to_the_challenge(self):
        for data in (b"p\0\0\0\4", b"p\0\0\0\5\0", b"p" + struct.pack("!I", 0x7fffffff), pgwire.msg("p", os.urandom(60)),
                     pgwire.msg("p", b"SCRAM-SHA-256\0\xff\xff\xff\xff"), pgwire.msg("p", b"SCRAM-SHA-256\0\0\0\0\7n,,n=x"),
                     pgwire.msg("p", b"NO-SUCH\0\0\0\0\4n,,n"), pgwire.query("select 1")):
            with self.subTest(data=data[:20]):
                conn = self.bare()
                conn.send(pgwire.startup({"user": "alice", "database": "postgres"}))
                conn.read()
                conn.send(data)
                self.assertNotIn("Z", [kind for kind, _ in self.rest(conn)])


class ScramWithRights(Logins, support.Case):
    auth = "scram-sha-256"


class ScramWithoutRights(Logins, support.Case):
    """The upstream user may not read pg_authid: the client's own login is relayed."""
    auth = "scram-sha-256"
    url_user, url_password = "bob", "builder"


class ScramUnnamed(Logins, support.Case):
    """The URL names no user at all."""
    auth = "scram-sha-256"

    @classmethod
    def start(cls, database=None, sections=None, **more):
        return fixture.Pgweir(cls.cluster, url="postgres://127.0.0.1:%d/" % cls.cluster.port)


class Md5(Logins, support.Case):
    auth = "md5"


class Md5WithoutRights(Logins, support.Case):
    auth = "md5"
    url_user, url_password = "bob", "builder"


class Trust(support.Case):
    def test_anybody_that_exists(self):
        self.cluster.sql("create role carol login")
        self.assertEqual(self.client(user="carol").value("select current_user"), "carol")
        answer = self.bare().login("nobody_here", "postgres")
        self.assert_sqlstate(self.error_of(answer), "28000")


class UserFile(support.Case):
    """A userlist in PgBouncer's format instead of the server's verifiers."""
    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        path = cls.cluster.write("users.txt", '"postgres" "hello"\n"dave" "md5%s"\n' % (
            __import__("hashlib").md5(b"topsecretdave").hexdigest()))
        os.chmod(path, 0o644)
        cls.cluster.sql("create role dave login")
        return fixture.Pgweir(cls.cluster, database, {"auth": {"type": "md5", "file": path}})

    def test_file_decides(self):
        self.assertEqual(self.client(password="hello").value("select 1"), "1")
        self.assertEqual(self.client(user="dave", password="topsecret").value("select current_user"), "dave")
        for user, password in (("postgres", "wrong"), ("dave", "hello"), ("erin", "hello")):
            self.assert_sqlstate(self.error_of(self.bare().login(user, "postgres", password)), "28P01", "28000")


class Strangers(support.Case):
    """Names tried in vain take nobody's place: there is room for ten thousand users of a worker, and these are no users."""
    proxy_only = True
    auth = "scram-sha-256"

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.cluster.sql("create role alice login password 'wonderland'")
        return fixture.Pgweir(cls.cluster, database, {"pgweir": {"workers": 1}})

    def try_names(self, first, count):
        for number in range(first, first + count):
            conn = pgwire.Conn(self.weir.address)
            database = "nowhere%d" % number if number % 10 == 0 else "postgres"
            conn.send(pgwire.startup({"user": "stranger%d" % number, "database": database}))
            if number % 100 == 0:
                conn.read()
            conn.drop()

    def test_new_users_still_get_in(self):
        self.try_names(0, 10500)

        def gets_in():
            return self.bare().login("alice", "postgres", "wonderland")[-1][0] == "Z"
        support.wait_until(gets_in, "the strangers to be forgotten", 15)
        for command in ("USERS", "POOLS", "DATABASES", "STATS"):
            answer = self.weir.console("SHOW %s" % command)
            self.assertNotIn("stranger", answer)
            self.assertNotIn("nowhere", answer)
        self.assertIn("alice", self.weir.console("SHOW USERS"))


class Tls(support.Case):
    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        key, cert = os.path.join(cls.cluster.dir, "k.pem"), os.path.join(cls.cluster.dir, "c.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                        "-subj", "/CN=localhost"], check=True, capture_output=True)
        return fixture.Pgweir(cls.cluster, database, {"tls": {"client_mode": "allow", "cert": cert, "key": key}})

    def wrapped(self):
        conn = self.bare()
        conn.send(struct.pack("!II", 8, pgwire.SSL_CODE))
        self.assertEqual(conn.sock.recv(1), b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        conn.sock = context.wrap_socket(conn.sock)
        self.open.append(conn)
        return conn

    def test_encrypted_session(self):
        conn = self.wrapped()
        self.assertEqual(conn.login("postgres", "postgres")[-1][0], "Z")
        self.assertEqual(conn.value("select 'encrypted'"), "encrypted")
        self.assertEqual(len(conn.value("select repeat('x', 3000000)")), 3000000)

    def test_plain_is_allowed(self):
        self.assertEqual(self.client().value("select 1"), "1")

    def test_bytes_before_the_handshake(self):
        conn = self.bare()
        conn.send(struct.pack("!II", 8, pgwire.SSL_CODE) + pgwire.startup({"user": "postgres", "database": "postgres"}))
        data = b""
        try:
            while True:
                more = conn.sock.recv(4096)
                if not more:
                    break
                data += more
        except (ConnectionError, socket.timeout):
            pass
        self.assertNotIn(b"R\0\0\0\10", data)

    def test_broken_handshake(self):
        for data in (b"\x16\x03\x01\x00\x05hello", os.urandom(300), b""):
            conn = self.bare()
            conn.send(struct.pack("!II", 8, pgwire.SSL_CODE))
            conn.sock.recv(1)
            conn.send(data)
            conn.drop()
        self.assertEqual(self.client().value("select 1"), "1")


if __name__ == "__main__":
    support.main()
