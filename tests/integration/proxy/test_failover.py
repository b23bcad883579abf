#!/usr/bin/python3
"""An upstream of several hosts: a primary and a streaming standby, target_session_attrs, a dead host, a failover."""
import signal
import socket
import struct
import threading

import support
from support import fixture, pgwire, wait_until

ATTRS = {"rw": "read-write", "ro": "read-only", "primary": "primary", "standby": "standby", "prefer": "prefer-standby",
         "any": "any"}


def url(hosts, attrs=None):
    return "postgres://postgres@%s/postgres%s" % (",".join("127.0.0.1:%d" % port for port in hosts),
                                                  "?target_session_attrs=" + attrs if attrs else "")


class Pair(support.Case):
    """`rows` says which databases pgweir offers; ports are filled in when both servers run."""

    proxy_only = True
    more = {}

    @classmethod
    def prepare(cls):
        cls.standby = fixture.Standby(cls.cluster)

    @classmethod
    def start(cls, database=None, sections=None, **more):
        rows = {name: dict({"upstream": where}, **cls.more.get(name, cls.more.get("*", {})))
                for name, where in cls.rows().items()}
        return fixture.Pgweir(cls.cluster, {}, {"databases": rows})

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.standby.stop()

    def port_behind(self, database):
        return int(self.client(database=database).value("show port"))

    def tries(self, database, sql):
        """The value, or None while it cannot be had."""
        try:
            with self.weir.connect(database) as conn:
                return conn.value(sql)
        except (pgwire.WireError, OSError):
            return None


class Attrs(Pair):
    @classmethod
    def rows(cls):
        primary, standby = cls.cluster.port, cls.standby.port
        rows = {"a_" + name: url([primary, standby], attrs) for name, attrs in ATTRS.items()}
        rows.update({"b_" + name: url([standby, primary], attrs) for name, attrs in ATTRS.items()})
        rows["only_standby"] = url([standby], "read-write")
        rows["only_primary"] = url([primary], "standby")
        rows["prefers_alone"] = url([primary], "prefer-standby")
        rows["dead_first"] = url([fixture.free_port(), primary])
        rows["dead_both"] = url([fixture.free_port(), fixture.free_port()])
        return rows

    def test_each_word_in_both_orders(self):
        primary, standby = self.cluster.port, self.standby.port
        want = {"rw": primary, "ro": standby, "primary": primary, "standby": standby, "prefer": standby}
        for name, port in want.items():
            for order in "ab":
                self.assertEqual(self.port_behind(order + "_" + name), port, order + "_" + name)
        self.assertEqual(self.port_behind("a_any"), primary)
        self.assertEqual(self.port_behind("b_any"), standby)

    def test_prefer_standby_takes_a_primary(self):
        self.assertEqual(self.port_behind("prefers_alone"), self.cluster.port)

    def test_none_will_do(self):
        for name, why in ("only_standby", "session is read-only"), ("only_primary", "not in hot standby mode"):
            fields = self.error_of(self.bare().login("postgres", name))
            self.assert_sqlstate(fields, "08001")
            self.assertIn(why, fields["M"])
            self.assertIn("127.0.0.1:", fields["M"])

    def test_dead_hosts(self):
        self.assertEqual(self.port_behind("dead_first"), self.cluster.port)
        fields = self.error_of(self.bare().login("postgres", "dead_both"))
        self.assert_sqlstate(fields, "08001")
        self.assertEqual(fields["M"].count("127.0.0.1:"), 2, fields["M"])

    def test_a_primary_read_only_by_default(self):
        """A primary whose sessions are read-only by default is no read-write server, as for libpq."""
        self.cluster.sql("alter system set default_transaction_read_only = on")
        self.cluster.sql("select pg_reload_conf()")
        try:
            wait_until(lambda: self.cluster.sql("show default_transaction_read_only") == [["on"]], "the setting")
            self.weir.console("RECONNECT a_rw")
            self.weir.console("RECONNECT a_primary")
            self.assertEqual(self.port_behind("a_primary"), self.cluster.port)
            wait_until(lambda: self.tries("a_ro", "show port"), "a read-only session")
        finally:
            self.cluster.sql("alter system reset default_transaction_read_only")
            self.cluster.sql("select pg_reload_conf()")
            wait_until(lambda: self.cluster.sql("show default_transaction_read_only") == [["off"]], "the old setting")
            self.weir.console("RECONNECT a_ro")


class Failover(Pair):
    more = {"*": {"pool_size": 2, "outage_wait": "1m"}, "standby": {"outage_wait": "2s"}}

    @classmethod
    def rows(cls):
        both = [cls.cluster.port, cls.standby.port]
        return {"rw": url(both, "read-write"), "standby": url(both, "standby"), "prefer": url(both, "prefer-standby")}

    def test_promote(self):
        self.cluster.sql("create table t (a int)")
        self.standby.caught_up(self.cluster)
        old, new = self.cluster.port, self.standby.port
        idle, busy, reader, prefers = (self.client(database=name) for name in ("rw", "rw", "standby", "prefer"))
        self.assertEqual([int(conn.value("show port")) for conn in (idle, busy, reader, prefers)], [old, old, new, new])
        busy.send(pgwire.query("select pg_sleep(60)"))
        wait_until(lambda: self.sessions("query like '%pg_sleep(60)%' and state = 'active'"), "the query to run")
        self.cluster.halt(signal.SIGQUIT)
        self.assert_sqlstate(self.error_of(self.rest(busy)), "57P02", "57P01", "08006")
        # The idle client has lost nothing: what it asks now waits for the new primary.
        idle.send(pgwire.query("insert into t values (1)"))
        self.standby.promote()
        messages = idle.until("Z", "E")
        self.assertEqual([body for kind, body in messages if kind == "C"], [b"INSERT 0 1\0"], messages)
        self.assertEqual(int(idle.value("show port")), new)
        self.assertEqual(self.standby.sql("select count(*) from t"), [["1"]])
        # There is no standby any more: the one who insists on it is told, the one who only prefers it is served.
        self.assertEqual(prefers.value("select 1"), "1")
        self.assertEqual(int(self.client(database="prefer").value("show port")), new)
        reader.value("select 1")  # after this answer pgweir knows of the promotion
        fields = self.error_of(self.ask_until_told(reader))
        self.assert_sqlstate(fields, "08001")
        self.assertIn("not in hot standby mode", fields["M"])

    @staticmethod
    def ask_until_told(conn):
        while True:
            conn.send(pgwire.query("select 2"))
            messages = conn.until("Z", "E")
            if messages[-1][0] == "E":
                return messages


class Return(Pair):
    """A host that was down is used again when it is back; in the URL's order."""

    more = {"any": {"pool_size": 1}}

    @classmethod
    def rows(cls):
        return {"any": url([cls.cluster.port, cls.standby.port])}

    def test_back_to_the_first(self):
        self.assertEqual(self.port_behind("any"), self.cluster.port)
        self.cluster.halt(signal.SIGQUIT)
        wait_until(lambda: self.tries("any", "show port") == str(self.standby.port), "the second host to serve")
        self.cluster.start()

        def is_back():
            self.weir.console("RECONNECT any")
            return self.tries("any", "show port") == str(self.cluster.port)
        wait_until(is_back, "the first host to be used again", 40, 0.2)


class Silent(support.Case):
    """A host that takes connections and never says a word costs connect_timeout, then the next one is tried."""

    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.silent = socket.create_server(("127.0.0.1", 0), backlog=64)
        where = url([cls.silent.getsockname()[1], cls.cluster.port], "any") + "&connect_timeout=2"
        return fixture.Pgweir(cls.cluster, url=where)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.silent.close()

    def test_the_next_host_serves(self):
        for _ in range(3):
            conn = self.client()
            self.assertEqual(int(conn.value("show port")), self.cluster.port)
            self.weir.console("RECONNECT")


class OldServer(threading.Thread):
    """A server from before PostgreSQL 14: it does not report what it is. (Such a server cannot run here.)"""

    def __init__(self, standby):
        super().__init__(daemon=True)
        self.standby, self.asked = standby, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        try:
            while True:
                threading.Thread(target=self.serve, args=[self.listener.accept()[0]], daemon=True).start()
        except OSError:
            pass

    def serve(self, peer):
        stream = peer.makefile("rwb")

        def say(data):
            stream.write(data)
            stream.flush()
        size, code = struct.unpack("!II", stream.read(8))
        if code == pgwire.SSL_CODE:
            say(b"N")
            size, code = struct.unpack("!II", stream.read(8))
        stream.read(size - 8)
        ready = pgwire.msg("Z", b"I")
        say(pgwire.msg("R", struct.pack("!I", 0)) + pgwire.msg("S", b"server_version\0" + b"13.9\0") +
            pgwire.msg("K", struct.pack("!II", 1, 2)) + ready)
        while True:
            head = stream.read(5)
            if len(head) < 5 or head[:1] == b"X":
                peer.close()
                return
            text = stream.read(struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] != b"Q":  # settings: BEGIN, COMMIT
                tag = pgwire.msg("C", b"BEGIN\0")
                say({b"P": pgwire.msg("1"), b"B": pgwire.msg("2"), b"E": tag, b"C": pgwire.msg("3"), b"S": ready}[head[:1]])
                continue
            self.asked.append(text)
            values = (b"t" if self.standby else b"f",) * 2 if b"pg_is_in_recovery" in text else (str(self.port).encode(),)
            row = struct.pack("!H", len(values)) + b"".join(struct.pack("!I", len(v)) + v for v in values)
            columns = b"".join(b"c\0" + struct.pack("!IHIhih", 0, 0, 25, -1, -1, 0) for _ in values)
            say(pgwire.msg("T", struct.pack("!H", len(values)) + columns) + pgwire.msg("D", row) +
                pgwire.msg("C", b"SELECT 1\0") + ready)


class OldServers(support.Case):
    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.primary, cls.standby = OldServer(False), OldServer(True)
        ports = [cls.standby.port, cls.primary.port]
        rows = {name: {"upstream": url(ports, ATTRS[name])} for name in ("rw", "standby", "any")}
        return fixture.Pgweir(cls.cluster, {}, {"databases": rows, "auth": {"type": "trust"}})

    def test_they_are_asked(self):
        for name, server in ("rw", self.primary), ("standby", self.standby), ("any", self.standby):
            with self.weir.connect(name) as conn:
                self.assertEqual(conn.value("show port"), str(server.port), name)
        self.assertTrue(any(b"pg_is_in_recovery" in text for text in self.standby.asked))


class Addresses(support.Case):
    """A name with several addresses, of which the server listens on one."""

    proxy_only = True

    @classmethod
    def start(cls, database=None, sections=None, **more):
        found = {item[4][0] for item in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}
        if len(found) < 2:
            cls.cluster.stop()
            raise support.unittest.SkipTest("localhost has one address here")
        return fixture.Pgweir(cls.cluster, url="postgres://postgres@localhost:%d/" % cls.cluster.port)

    def test_all_are_tried(self):
        self.assertEqual(self.client().value("select 1"), "1")


if __name__ == "__main__":
    support.main()
