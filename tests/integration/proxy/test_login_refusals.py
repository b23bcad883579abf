#!/usr/bin/python3
"""Every way to be refused, row by row of proxy/session/refusals.def: which leg, for whom, and the next step, to the client and in the log."""
import os
import re
import socket
import struct

import certs
import support
from support import fixture, pgwire

TABLE = os.path.join(fixture.ROOT, "proxy", "session", "refusals.def")
RULES = """hostssl all      certified  all        cert
host    all      refused    all        reject
host    all      clear      all        password
host    all      nobody,ann,boss,other,postgres  all  scram-sha-256
"""
LOG_ONLY = {"TLS_HANDSHAKE", "TLS_OFF"}  # who began with a handshake cannot read our words


def rows():
    """name -> (leg, status, next or None)"""
    with open(TABLE) as table:
        text = re.sub(r"/\*.*?\*/", "", table.read(), flags=re.S)
    found = {}
    for name, leg, status, rest in re.findall(r"REFUSAL\((\w+),\s*(\w+),\s*(\w+),\s*(.*?)\)\s*(?=REFUSAL|$)", text, re.S):
        found[name] = (leg, status, None if rest.strip() == "NULL" else "".join(re.findall(r'"([^"]*)"', rest)))
    return found


def states():
    with open(os.path.join(fixture.ROOT, "proxy", "base", "status.def")) as table:
        return dict(re.findall(r'PW_STATUS\((\w+), "(\w+)"', table.read()))


class Refusals(support.Case):
    proxy_only = True
    auth = "scram-sha-256"

    @classmethod
    def setUpClass(cls):
        cls.rows, cls.states, cls.weirs, cls.covered = rows(), states(), {}, set()
        cls.cluster = fixture.Postgres(auth="scram-sha-256")
        for name in ("ann", "clear", "certified", "refused", "boss", "other"):
            cls.cluster.sql("create role %s login password 'secret'" % name)
        for name in ("one", "two"):
            cls.cluster.sql("create database " + name)
        authority = certs.Authority(os.path.join(cls.cluster.dir, "certs"))
        cert, key = authority.issue("localhost")
        cls.tls = {"client_mode": "allow", "cert": cert, "key": key, "ca": authority.ca}
        rules = cls.cluster.write("rules.conf", RULES)
        url = cls.cluster.url()
        cls.weir = cls.start_one("rules", url=url, sections={
            "tls": cls.tls, "auth": {"hba_file": rules, "admin_users": ["boss"], "login_timeout": "3s"}, "pgweir": {"admin_auth": "off"},
            "databases": {"one": {"upstream": url, "max_clients": 1}}})
        cls.start_one("required", url=url, sections={"tls": {**cls.tls, "client_mode": "require"}})
        with open(cls.weirs["required"].config_path) as config:
            text = config.read()
        with open(cls.weirs["required"].config_path, "w") as config:
            config.write(text.replace('"*":', "known:"))
        cls.weirs["required"].console("RELOAD")
        cls.start_one("nowhere", url="postgres://127.0.0.1:%d/" % fixture.free_port(), sections={"auth": {"type": "trust"}})
        cls.hole = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
        cls.start_one("silent", url="postgres://127.0.0.1:%d/" % cls.hole.getsockname()[1],
                      sections={"auth": {"type": "trust", "login_timeout": "2s"}})
        cls.start_one("blind", url=url, sections={"auth": {"type": "scram-sha-256", "query": "select nothing_there where $1 = ''"}})
        users = cls.cluster.write("users.txt", '"ann" "other secret"\n"boss" "secret"\n')
        cls.start_one("listed", url=url, sections={"auth": {"type": "scram-sha-256", "file": users}})

    @classmethod
    def start_one(cls, name, **more):
        cls.weirs[name] = fixture.Pgweir(**more)
        return cls.weirs[name]

    @classmethod
    def tearDownClass(cls):
        for weir in list(cls.weirs.values()):
            weir.stop()
        cls.hole.close()
        cls.cluster.stop()

    # ---- a refused login

    def connect(self, weir="rules"):
        conn = pgwire.Conn(self.weirs[weir].address)
        self.open.append(conn)
        return conn

    def refused(self, conn, user="ann", database="postgres", password="secret", **more):
        return self.error_of(conn.login(user, database, password, **more))

    def sent(self, data, weir="rules"):
        conn = self.connect(weir)
        conn.send(data)
        return self.error_of(self.rest(conn))

    def check(self, name, fields, weir="rules", user="ann", database="postgres", sqlstate=None):
        """The client's error and the log's line say all that there is to say."""
        leg, status, next_step = self.rows[name]
        line = self.log_line(name, weir, user)
        where = "client_to_pgweir" if leg == "CLIENT" else "pgweir_to_server"
        self.assertIn("leg=" + where, line)
        self.assertRegex(line, r'next="[^"]{20,}')
        self.covered.add(name)
        if user:
            self.assertIn("user=" + user, line)
        if name in LOG_ONLY:
            self.assertIsNone(fields)
            return
        self.assertEqual((fields["S"], fields["V"]), ("FATAL", "FATAL"))
        self.assertEqual(fields["C"], sqlstate or self.states[status], fields)
        self.assertIn("from client to pgweir" if leg == "CLIENT" else "from pgweir to the server", fields["D"])
        self.assertEqual(fields["H"], next_step) if next_step else self.assertGreater(len(fields["H"]), 20)
        self.assertTrue(fields["M"])
        if user:
            self.assertIn('user "%s"' % user, fields["D"])
            self.assertIn('database "%s"' % database, fields["D"])
        return fields

    def log_line(self, name, weir, user):
        def find():
            lines = [line for line in self.weirs[weir].log().splitlines() if "kind=%s " % name in line and (not user or "user=%s " % user in line)]
            return lines[-1] if lines else None
        return support.wait_until(find, "the log to say %s for %s" % (name, user), 5)

    # ---- the start-up packet

    def test_packet(self):
        self.check("PACKET", self.sent(b"GET / HTTP/1.1\r\n\r\n"), user=None)
        self.check("PACKET", self.sent(struct.pack("!II", 10, 196608) + b"xy"), user=None)

    def test_version(self):
        self.check("VERSION", self.sent(pgwire.startup({"user": "ann"}, 2 << 16)), user=None)

    def test_no_user(self):
        self.check("NO_USER", self.sent(pgwire.startup({"database": "postgres"})), user=None)

    def test_parameter(self):
        self.check("PARAMETER", self.refused(self.connect(), options={"x" * 300: "1"}))

    def test_replication(self):
        self.check("REPLICATION", self.refused(self.connect(), options={"replication": "database"}))

    def test_no_database(self):
        conn = self.connect("required")
        self.assertTrue(certs.ask_for_tls(conn, certs.context()))
        self.check("NO_DATABASE", self.refused(conn, database="unknown"), "required", database="unknown")

    def test_disabled(self):
        self.weir.connect("two", "ann", "secret").drop()  # known from now on
        self.weir.console("DISABLE two")
        self.check("DISABLED", self.refused(self.connect(), database="two"), database="two")
        self.weir.console("ENABLE two")

    def test_max_clients(self):
        with self.weir.connect("one", "ann", "secret"):
            self.check("MAX_CLIENTS", self.refused(self.connect(), database="one"), database="one")

    # ---- TLS

    def test_tls_required(self):
        self.check("TLS_REQUIRED", self.refused(self.connect("required"), database="known"), "required", database="known")

    def test_tls_injected(self):
        conn = self.connect()
        conn.send(struct.pack("!II", 8, pgwire.SSL_CODE) + b"\x16\x03\x01")
        self.check("TLS_INJECTED", self.error_of(self.rest(conn)), user=None)

    def test_tls_handshake(self):
        conn = self.connect()
        conn.send(struct.pack("!II", 8, pgwire.SSL_CODE))
        self.assertEqual(conn.sock.recv(1), b"S")
        conn.send(b"no handshake at all, but long enough to be looked at")
        self.check("TLS_HANDSHAKE", None, user=None)

    def test_tls_off(self):
        conn = self.connect("nowhere")
        with self.assertRaises(OSError):
            certs.start_directly(conn, certs.context())
        self.check("TLS_OFF", None, "nowhere", user=None)

    # ---- who is it?

    def test_no_rule(self):
        self.check("NO_RULE", self.refused(self.connect(), "stranger"), user="stranger")

    def test_rule_rejects(self):
        self.check("RULE_REJECTS", self.refused(self.connect(), "refused"), user="refused")
        self.assertIn("line 2", self.log_line("RULE_REJECTS", "rules", "refused"))

    def test_rule_cleartext(self):
        self.check("RULE_CLEARTEXT", self.refused(self.connect(), "clear"), user="clear")

    def test_certificate(self):
        conn = self.connect()
        self.assertTrue(certs.ask_for_tls(conn, certs.context()))
        self.check("CERTIFICATE", self.refused(conn, "certified"), user="certified")

    def test_password(self):
        """One text for whoever it is; the log knows more."""
        said = []
        for weir, user, reason in (("rules", "ann", "wrong password"), ("rules", "nobody", "there is no such role"), ("listed", "other", "not in auth.file"),
                                   ("listed", "boss", "wrong password")):
            fields = self.check("PASSWORD", self.refused(self.connect(weir), user, password="wrong"), weir, user)
            said.append([fields[key].replace(user, "USER") for key in "MDHC"])
            self.assertIn(reason, self.log_line("PASSWORD", weir, user))
        self.assertEqual([words for words in said if words != said[0]], [], "what is said tells who exists")

    def test_answer(self):
        conn = self.connect()
        conn.send(pgwire.startup({"user": "ann", "database": "postgres"}))
        conn.read()
        conn.send(pgwire.query("select 1"))
        self.check("ANSWER", self.error_of(self.rest(conn)))

    def test_console(self):
        self.check("CONSOLE", self.refused(self.connect(), "other", "pgweir"), user="other", database="pgweir")

    def test_client_timeout(self):
        conn = self.connect()
        conn.send(pgwire.startup({"user": "ann", "database": "postgres"}))
        self.check("CLIENT_TIMEOUT", self.error_of(self.rest(conn)))

    # ---- the server's part

    def test_no_verifier(self):
        self.check("NO_VERIFIER", self.refused(self.connect("blind")), "blind")

    def test_server_connect(self):
        fields = self.check("SERVER_CONNECT", self.refused(self.connect("nowhere")), "nowhere")
        self.assertIn("Start the server", fields["H"])
        self.assertIn("127.0.0.1:", fields["M"])

    def test_server_login(self):
        """The server's own SQLSTATE and words, and what to do about each."""
        fields = self.check("SERVER_LOGIN", self.refused(self.connect(), database="missing"), database="missing", sqlstate="3D000")
        self.assertEqual(fields["M"], 'database "missing" does not exist')
        self.assertIn("Create the database", fields["H"])
        fields = self.check("SERVER_LOGIN", self.refused(self.connect("listed"), password="other secret"), "listed", sqlstate="28P01")
        self.assertIn("the server did not accept it", fields["H"])
        self.cluster.sql("alter role boss connection limit 0")
        try:
            fields = self.refused(self.connect(), "boss")
            self.assertEqual(fields["C"], "53300", fields)
            self.assertIn("role's limit", fields["H"])
        finally:
            self.cluster.sql("alter role boss connection limit -1")

    def test_server_timeout(self):
        self.check("SERVER_TIMEOUT", self.refused(self.connect("silent")), "silent")

    def test_zz_every_row_was_tried(self):
        self.assertEqual(set(self.rows) - self.covered, set())


if __name__ == "__main__":
    support.main()
