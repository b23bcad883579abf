#!/usr/bin/python3
"""auth.hba_file: the same rules in PostgreSQL and in pgweir ask the same clients for the same, and let the same ones in."""
import os
import struct

import certs
import support
from support import fixture, pgwire

RULES = """# pgweir itself comes over the local socket
local   sameuser        alice                                   scram-sha-256
local   all             dora                                    md5
local   all             all                                     trust
hostssl all             carla           all                     cert
hostnossl all           carla           all                     reject
host    "all"           all             all                     reject
host    app,"other db"  alice, bob      127.0.0.2/32            trust
host    app             alice           127.0.0.0 255.255.255.252  scram-sha-256
host    all             dora            127.0.0.1/32            md5
hostssl all             erin            127.0.0.1/32            password
hostnossl postgres      erin            127.0.0.1/32            password
host    sameuser        fred            0.0.0.0/0               trust
host    all \\
        gina            127.0.0.1/32    reject
host    all             gina            127.0.0.0/8             trust
host    replication     all             all                     reject
"""

USERS = {"alice": "wonderland", "bob": "builder", "carla": "c", "dora": "explorer", "erin": "clear", "fred": "f", "gina": "g"}


class Case(support.Case):
    proxy_only = True

    @classmethod
    def make_cluster(cls):
        """A PostgreSQL with our rules and TLS; pgweir comes over the local socket as postgres."""
        cluster = fixture.Postgres(auth="trust")
        cls.authority = certs.Authority(os.path.join(cluster.dir, "certs"), cluster.owner)
        cls.server = cls.authority.issue("localhost")
        cls.carla = cls.authority.issue("carla")
        cls.mallory = cls.authority.issue("mallory")
        for name, password in USERS.items():
            cluster.sql("set password_encryption = '%s'; create role %s login password '%s'" % (
                "md5" if name in ("bob", "dora") else "scram-sha-256", name, password))
        for database in ("app", "alice", "fred", '"other db"', '"all"'):
            cluster.sql("create database " + database)
        return cluster

    @classmethod
    def url(cls):
        return "postgres://postgres@%s:%d/" % (cls.cluster.dir.replace("/", "%2F"), cls.cluster.port)


def outcome(address, user, database, password, source=None, tls=None):
    """(what was asked for, how it ended): what a client can see of a login."""
    conn = pgwire.Conn(address, 20, source)
    try:
        if tls and not certs.ask_for_tls(conn, tls):
            return ("no tls",)
        answer = conn.login(user, database, password)
    except (pgwire.WireError, OSError) as error:
        return (str(error),)
    finally:
        conn.drop()
    asked = [struct.unpack("!I", body[:4])[0] for kind, body in answer if kind == "R"]
    kind, body = answer[-1]
    return tuple(asked), kind if kind == "Z" else pgwire.error_fields(body)["C"]


class SameAsPostgres(Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.make_cluster()
        for name, value in (("ssl_cert_file", cls.server[0]), ("ssl_key_file", cls.server[1]), ("ssl_ca_file", cls.authority.ca), ("ssl", "on")):
            cls.cluster.sql("alter system set %s = '%s'" % (name, value))
        with open(cls.cluster.data + "/pg_hba.conf", "w") as out:
            out.write(RULES)
        cls.cluster.sql("select pg_reload_conf()")
        rules = cls.cluster.write("rules.conf", RULES)
        support.wait_until(lambda: outcome(cls.cluster.address, "gina", "postgres", "g")[1:] == ("28000",), "PostgreSQL to have the rules")
        support.wait_until(lambda: outcome(cls.cluster.address, "gina", "postgres", "g", tls=certs.context()) != ("no tls",), "TLS")
        cls.weir = fixture.Pgweir(url=cls.url(), sections={
            "auth": {"hba_file": rules}, "tls": {"client_mode": "allow", "cert": cls.server[0], "key": cls.server[1], "ca": cls.authority.ca}})

    def test_every_client(self):
        """Each user, database, address, encryption and password: the direct login says what is right."""
        tls = {"plain": None, "tls": certs.context(), "carla": certs.context(identity=self.carla), "mallory": certs.context(identity=self.mallory)}
        seen = {}
        for user in list(USERS) + ["nobody"]:
            for database in ("app", "postgres", user, "other db", "all"):
                for source in ("127.0.0.1", "127.0.0.2", "127.0.0.4"):
                    for kind, made in tls.items():
                        if kind in ("carla", "mallory") and user != "carla":
                            continue
                        for password in (USERS.get(user, "x"), "wrong") if source == "127.0.0.1" else (USERS.get(user, "x"),):
                            client = (user, database, password, (source, 0), made)
                            want = outcome(self.cluster.address, *client)
                            got = outcome(self.weir.address, *client)
                            seen[want] = seen.get(want, 0) + 1
                            # the database is PostgreSQL's to miss: pgweir says so before or after asking for a password
                            self.assertEqual(got, want, (user, database, source, kind, password))
        asked = {code for (codes, *_) in seen if isinstance(codes, tuple) for code in codes}
        self.assertTrue({3, 5, 10, 0} <= asked, "the table does not try every method: %s" % seen)
        self.assertTrue({end for (_, *rest) in seen for end in rest} >= {"Z", "28000", "28P01"}, seen)

    def test_local_socket(self):
        for user, database, password in (("alice", "alice", "wonderland"), ("alice", "alice", "x"), ("alice", "app", "wonderland"),
                                         ("dora", "app", "explorer"), ("dora", "app", "x"), ("carla", "app", "c"), ("postgres", "app", "")):
            with self.subTest(user=user, database=database):
                self.assertEqual(outcome(self.weir.unix, user, database, password), outcome(self.cluster.socket, user, database, password))

    def test_words_of_the_refusal(self):
        """PostgreSQL's words, and which leg it was."""
        for user, words in (("gina", "pg_hba.conf rejects connection for host \"127.0.0.1\", user \"gina\", database \"postgres\", no encryption"),
                            ("alice", "no pg_hba.conf entry for host \"127.0.0.1\", user \"alice\", database \"postgres\", no encryption")):
            direct, ours = (self.error_of(self.refused(address, user)) for address in (self.cluster.address, self.weir.address))
            self.assertEqual(direct["M"], words)
            self.assertEqual(ours["M"], words + " (pgweir's auth.hba_file)")
            self.assertEqual((ours["S"], ours["C"]), ("FATAL", "28000"))
            self.assertIn("from client to pgweir", ours["D"])
            self.assertIn("auth.hba_file", ours["H"])
        self.assertIn("line 14", self.weir.log())

    def refused(self, address, user):
        conn = pgwire.Conn(address)
        self.open.append(conn)
        return conn.login(user, "postgres", "x")

    def test_state_says_how_many(self):
        self.assertIn("15 rules", self.weir.console("SHOW STATE"))


class Reload(Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.make_cluster()
        cls.rules = cls.cluster.write("rules.conf", "host all alice all trust\n")
        cls.weir = fixture.Pgweir(url=cls.url(), sections={"auth": {"hba_file": cls.rules}})

    def write(self, text):
        with open(self.rules, "w") as out:
            out.write(text)
        return self.weir.console("RELOAD")

    def try_login(self, user):
        return outcome(self.weir.address, user, "postgres", USERS[user])

    def test_reload(self):
        try:
            self.assertEqual(self.try_login("alice"), ((0,), "Z"))
            self.assertEqual(self.try_login("bob"), ((), "28000"))
            old = self.client(user="alice")
            with open(self.rules, "w") as out:
                out.write("host all bob all trust\n")
            self.assertEqual(self.try_login("bob"), ((), "28000"), "taken before anybody said RELOAD")
            self.weir.console("SET batch.max = 999")
            self.assertEqual(self.try_login("bob"), ((), "28000"), "a SET is no RELOAD")
            self.weir.console("RELOAD")
            self.assertEqual(self.try_login("bob"), ((0,), "Z"))
            self.assertEqual(self.try_login("alice"), ((), "28000"))
            self.assertEqual(old.value("select 1"), "1", "who is in stays in")
            answer = self.write("host all alice all trust\nhost all bob everywhere trust\n")
            self.assertIn("rules.conf:2", answer)
            self.assertEqual(self.try_login("bob"), ((0,), "Z"), "a bad file changes nothing")
            self.assertIn("tls.ca", self.write("hostssl all all all cert\n"))
            self.write("host all alice all scram-sha-256\n")
            self.assertEqual(self.try_login("alice"), ((10, 11, 12, 0), "Z"))
        finally:
            self.write("host all alice all trust\n")

    def test_start_refuses_bad_rules(self):
        bad = self.cluster.write("bad.conf", "host all all 10.0.0.0/99 trust\n")
        weir = fixture.Pgweir(url=self.url(), sections={"auth": {"hba_file": bad}}, wait=False, check=False)
        try:
            self.assertEqual(weir.process.wait(20), 1)
            self.assertIn("bad.conf:1", weir.log())
        finally:
            weir.stop()


class OverTheServer(support.Case):
    """The upstream user may not read verifiers: the login is relayed, but never with less than the rule asks for."""
    proxy_only = True
    auth = "scram-sha-256"

    @classmethod
    def setUpClass(cls):
        cls.cluster = fixture.Postgres(auth="scram-sha-256", hba="local all all trust\nhost all soft 127.0.0.1/32 trust\n"
                                       "host all clear 127.0.0.1/32 password\nhost all all 127.0.0.1/32 scram-sha-256\n")
        cls.cluster.sql("create role bob login password 'builder'; create role soft login password 'soft'; create role clear login password 'clear'")
        rules = cls.cluster.write("rules.conf", "host all all all scram-sha-256\n")
        cls.weir = fixture.Pgweir(url=cls.cluster.url(user="bob", password="builder"), sections={"auth": {"hba_file": rules}})

    def test_relayed_with_proof(self):
        self.assertEqual(outcome(self.weir.address, "bob", "postgres", "builder"), ((10, 11, 12, 0), "Z"))
        self.assertEqual(outcome(self.weir.address, "bob", "postgres", "wrong")[1], "28P01")

    def test_less_is_not_enough(self):
        for user in ("soft", "clear"):
            for _ in range(2):
                asked, end = outcome(self.weir.address, user, "postgres", user)
                self.assertEqual((asked, end), ((), "08001"), user)
        self.assertIn("leg=pgweir_to_server kind=NO_VERIFIER", self.weir.log())


ROLE_RULES = """local   all  all                       trust
host    all  +staff                    all  scram-sha-256
host    all  erin,+"quoted plus"       all  reject
host    all  "+staff"                  all  reject
host    all  "odd, one"                all  reject
host    app  +"odd, one"               all  reject
host    all  +nobodys,+nowhere,+guests all  trust
host    all  +chain                    all  reject
"""


class Roles(Case):
    """+role: members, direct or through others, as PostgreSQL itself counts them at that moment."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = fixture.Postgres(auth="trust", hba=ROLE_RULES)
        cls.cluster.sql("create role staff; create role leads role staff; create role nobodys; create role guests; create role chain;"
                        "create role nologin nologin")
        for name, password in USERS.items():
            cls.cluster.sql("create role %s login password '%s'" % (name, password))
        cls.cluster.sql("create role boss superuser login; create role \"+staff\" login; create role \"odd, one\" login")
        cls.cluster.sql("create database app")
        cls.cluster.sql("grant staff to alice; create role managers in role staff; create role heads in role managers; "
                        "grant heads to bob; grant leads to carla; grant guests to dora")
        deep = ["chain"] + ["link%d" % i for i in range(40)]
        for above, below in zip(deep, deep[1:]):
            cls.cluster.sql("create role %s in role %s" % (below, above))
        cls.cluster.sql("grant link39 to fred")
        rules = cls.cluster.write("rules.conf", ROLE_RULES)
        cls.weir = fixture.Pgweir(url=cls.url(), sections={"auth": {"hba_file": rules}})

    def assert_same(self, user, database="postgres", password="x"):
        direct = outcome(self.cluster.address, user, database, password)
        weir = outcome(self.weir.address, user, database, password)
        self.assertEqual((weir[0], weir[1]), (direct[0], direct[1]), user)
        return weir

    def test_members(self):
        self.assertEqual(self.assert_same("alice", password="wonderland")[1], "Z")  # herself
        self.assertEqual(self.assert_same("bob", password="builder")[1], "Z")       # through managers and heads
        self.assertEqual(self.assert_same("bob", password="wrong")[1], "28P01")
        self.assertEqual(self.assert_same("dora"), ((0,), "Z"))
        for user in ("carla",   # leads' members are not staff's: the other way round
                     "gina",    # of nothing
                     "boss",    # a superuser is no member by being one
                     "fred",    # forty steps away
                     "erin", "+staff", "odd, one", "nobody at all", "x" * 70):
            self.assertEqual(self.assert_same(user)[1], "28000", user)

    def test_changes_count_at_once(self):
        self.assertEqual(self.assert_same("gina")[1], "28000")
        self.cluster.sql("grant guests to gina")
        try:
            self.assertEqual(self.assert_same("gina")[1], "Z")
        finally:
            self.cluster.sql("revoke guests from gina")
        self.assertEqual(self.assert_same("gina")[1], "28000")

    def test_server_cannot_be_asked(self):
        """Not knowing is no reason to let the next rule decide."""
        rules = self.cluster.write("lenient.conf", "host all +staff all reject\nhost all all all trust\n")
        weir = fixture.Pgweir(url="postgres://postgres@%s:%d/" % (self.cluster.dir.replace("/", "%2F"), 1),
                              sections={"auth": {"hba_file": rules}})
        try:
            self.assertEqual(outcome(weir.address, "gina", "postgres", "x"), ((), "28000"))
            self.assertIn("members of its +role could not be looked up", weir.log())
        finally:
            weir.stop()


if __name__ == "__main__":
    support.main()
