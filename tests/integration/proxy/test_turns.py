#!/usr/bin/python3
"""Sessions that take turns on one server connection see what each would see alone: random steps, played straight to
PostgreSQL and through pgweir, and every message must be equal. A failure names its seed."""
import os
import random
import struct

import support
from support import pgwire

SYNC = pgwire.msg("S")
SESSIONS, STEPS = 5, 80
SEEDS = range(1, int(os.environ.get("PGWEIR_TURNS", "6")) + 1)


def simple(*texts):
    return [pgwire.query(text) for text in texts]


def extended(sql, *values, name=""):
    return [pgwire.parse(name, sql) + pgwire.bind("", name, [v.encode() for v in values]) + pgwire.describe("P", "") +
            pgwire.execute() + SYNC]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


SETTINGS = (
    ("timezone", ["Asia/Tokyo", "UTC", "Europe/Berlin", "-3"]), ("datestyle", ["German", "SQL, DMY", "ISO, MDY"]),
    ("intervalstyle", ["iso_8601", "postgres"]), ("search_path", ["a, public", "b, public", '"$user", public', ""]),
    ("bytea_output", ["escape", "hex"]), ("extra_float_digits", ["0", "1"]), ("my.own", ["x", "it''s", ""]),
    ("client_encoding", ["LATIN1", "UTF8"]), ("standard_conforming_strings", ["off", "on"]), ("work_mem", ["7MB", "8MB"]),
    ("application_name", ["one", "two", "three"]), ("role", ["one", "two", "none"]), ("statement_timeout", ["0", "60s"]),
    ("default_transaction_isolation", ["serializable", "read committed", "repeatable read"]),
    ("default_transaction_read_only", ["on", "off"]), ("default_transaction_deferrable", ["on", "off"]),
    ("lc_messages", ["C"]), ("row_security", ["on"]), ("escape_string_warning", ["off", "on"]), ("xmloption", ["document"]))

LOOKS = ["select v from t", "select timestamptz '2024-07-01 12:00:00+00', interval '1 day 02:00', date '2024-02-29'",
         "select 'a\\b', '\\xde41'::bytea, 0.1::float8 + 0.2", "select chr(252)", "select current_user, session_user",
         "select current_schemas(false)", "show transaction_isolation", "show transaction_read_only", "select 1 / 0",
         "select v from no_such_table", "selec", "",
         "select name, setting, unit from pg_settings where name !~ '^(pg_|port$|unix|log_)' order by name", "select application_name from pg_stat_activity where pid = pg_backend_pid()",
         "insert into log values (current_user, current_schema()) returning *", "update log set who = who where false",
         "values (1, current_setting('my.own', true))", "vacuum log"]

# What keeps a session on its connection until it is undone, which each of these does: the next one needs the connection.
KEEPS = [["listen ch", "select pg_listening_channels()", "unlisten *"],
         ["create temp table mine (a int)", "insert into mine values (1) returning a", "table mine", "drop table mine"],
         ["begin", "create temp table mine on commit drop as select 1 as a", "table mine", "commit", "table mine"],
         ["set search_path to pg_temp, public", "create table mine (a int)", "table mine", "drop table mine", "reset search_path"],
         ["select 1 as a into temp mine", "table mine", "drop table mine"],
         ["prepare p(int) as select v, $1 from t", "execute p(7)", "select name, statement from pg_prepared_statements",
          "deallocate p", "execute p(7)", "deallocate all"],
         ["select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = 'advisory'", "select pg_advisory_unlock(7)"],
         ["select pg_advisory_lock(7), pg_advisory_lock(8)", "select pg_advisory_unlock_all()"],
         ["begin", "declare c cursor with hold for select v from t", "commit", "fetch c", "select name from pg_cursors", "close c"],
         ["begin", "set timezone to 'UTC'", "savepoint s", "set timezone to 'Asia/Tokyo'", "rollback to s", "show timezone",
          "commit", "show timezone", "discard all"],
         ["begin", "set local role one", "select current_user", "savepoint s", "set role two", "release s", "select current_user",
          "rollback", "select current_user", "discard all"],
         ["begin; set timezone to 'UTC'; commit", "show timezone", "discard all"],
         ["set timezone to 'UTC'; select 1 / 0", "show timezone", "discard all"],
         ["begin", "selec", "set timezone to 'UTC'", "commit", "show timezone"],
         ["begin", "set my.own to 'in'", "rollback", "select current_setting('my.own', true)"],
         ["begin", "set my.own to 'in'", "prepare transaction 'p'", "select current_setting('my.own', true)",
          "rollback prepared 'p'"],
         ["begin", "set my.own to 'in'", "commit; begin", "rollback", "select current_setting('my.own', true)"],
         ["begin", "set my.own to 'in'", "rollback; begin", "commit", "select current_setting('my.own', true)",
          "discard all"],
         ["begin", "set my.own to 'in'", "rollback; begin; commit", "select current_setting('my.own', true)", "discard all"],
         ["begin", "set my.own to 'in'", "savepoint s", "set my.own to 'deep'", "rollback to s; commit",
          "select current_setting('my.own', true)", "discard all"],
         ["begin", "set local my.own to 'in'", "commit and chain", "select current_setting('my.own', true)", "commit"],
         ["begin", "set local search_path to a", "commit and chain", "select v from t", "commit", "select v from t"],
         ["begin", "set my.own to 'in'", "rollback and chain", "select current_setting('my.own', true)", "commit",
          "select current_setting('my.own', true)", "discard all"],
         ["begin", "set my.own to 'in'", "commit and chain", "set my.own to 'out'", "rollback", "select current_setting('my.own', true)"],
         ["begin", "reset all", "commit", "show timezone", "discard all"], ["select set_my_own('deep')",
          "select current_setting('my.own', true)", "discard all"]]


class Steps:
    """A source of steps: each is a list of requests, sent one after the other by one session."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = 0

    def pick(self, *choices):
        return self.random.choice(choices)

    def change(self, local=False):
        name, values = self.random.choice(SETTINGS)
        value = self.random.choice(values)
        scope = "local " if local else self.pick("", "session ")
        if name == "role" and value == "none":
            return "set %srole none" % scope
        return self.pick("set %s%s to %s" % (scope, name, quoted(value)) if name != "search_path" and name != "datestyle" else
                         "select set_config('%s', %s, %s)" % (name, quoted(value), "true" if local else "false"),
                         "select set_config('%s', %s, %s)" % (name, quoted(value), "true" if local else "false"))

    def undo(self):
        return self.pick("reset " + self.random.choice(SETTINGS)[0], "reset all", "set timezone to default", "discard all",
                         "reset role", "set session characteristics as transaction isolation level read committed")

    def block(self):
        inner = [self.pick(self.change(), self.change(True), self.random.choice(LOOKS[:6])) for _ in range(self.random.randint(0, 3))]
        return simple(self.pick("begin", "begin read only", "start transaction isolation level serializable"), *inner,
                      self.random.choice(LOOKS[:5]), self.pick("commit", "rollback"))

    def prepared(self):
        self.names += 1
        name = "s%d" % self.names
        return extended("select v || $1::text from t", "!", name=name) + [
            pgwire.bind("", name, [b"?"]) + pgwire.execute() + SYNC, pgwire.close("S", name) + SYNC]

    def next(self):
        roll = self.random.random()
        if roll < 0.3:
            return simple(self.change())
        if roll < 0.36:
            return extended(self.change())
        if roll < 0.44:
            return simple(self.undo())
        if roll < 0.54:
            return self.block()
        if roll < 0.6:
            return self.prepared()
        if roll < 0.66:
            return simple(*self.random.choice(KEEPS))
        look = self.random.choice(LOOKS)
        return extended(look) if roll < 0.8 and look else simple(look)


class Turns(support.Case):
    proxy_only = True
    database = {"pool_size": 1, "query_wait_timeout": "20s"}
    sections = {"pgweir": {"workers": 1}}
    settings = {"max_prepared_transactions": 2}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create schema a; create schema b; create table a.t as select 'in a' as v;"
                        "create table b.t as select 'in b' as v; create table public.t as select 'in public' as v;"
                        "create table log (who text, path text); create role app login; create role one; create role two;"
                        "grant one, two to app; grant all on all tables in schema public to public;"
                        "grant usage on schema a to one, app; grant usage on schema b to two, app;"
                        "grant select on a.t to one, app; grant select on b.t to two, app;"
                        "create function set_my_own(text) returns text language sql as "
                        "$$ select set_config('my.own', $1, false) $$;"
                        "alter role app set my.own to 'the role''s'")

    @staticmethod
    def plain(kind, body):
        """A message without what two runs may differ in: numbers of tables made meanwhile."""
        if kind in "EN":
            return sorted(pgwire.error_fields(body).items())
        if kind != "T":
            return body
        columns, at = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            end = body.index(b"\0", at) + 1
            table, rest = struct.unpack("!I", body[end:end + 4])[0], body[end + 4:end + 18]
            columns.append((body[at:end], table > 0, rest))
            at = end + 18
        return columns

    def play(self, conn, requests):
        said = []
        for request in requests:
            conn.send(request)
            said += [(kind, self.plain(kind, body)) for kind, body in conn.until("Z")]
        return said

    def turns(self, seed):
        steps = Steps(seed)
        pairs = []
        for number in range(SESSIONS):
            options = [{}, {"timezone": "Asia/Tokyo"}, {"application_name": "app", "datestyle": "German"},
                       {"options": "-c search_path=b -c work_mem=6MB"}, {"client_encoding": "LATIN1"}][number % 5]
            direct = pgwire.connect(self.cluster.address, "app", "postgres", options=options)
            self.open.append(direct)
            pairs.append((direct, self.client(user="app", options=options)))
        history = []
        for number in range(STEPS):
            who, step = steps.random.randrange(SESSIONS), steps.next()
            direct, proxied = pairs[who]
            history.append("%d: %r" % (who, step))
            straight = self.play(direct, step)
            try:
                got = self.play(proxied, step)
            except pgwire.WireError as wrong:
                self.fail("seed %d, step %d: %s\n%s\n%s" % (seed, number, wrong, self.weir.console("SHOW PINS"), "\n".join(history[-40:])))
            self.assertEqual(got, straight, "seed %d, step %d\n%s" % (seed, number, "\n".join(h for h in history if h[0] == str(who))))
        for direct, proxied in pairs:
            direct.finish()
            proxied.finish()

    def test_each_that_keeps(self):
        looks = simple("select v from t", "select current_user, current_setting('my.own', true), current_setting('timezone')")
        direct = pgwire.connect(self.cluster.address, "app", "postgres")
        self.open.append(direct)
        proxied, other = self.client(user="app"), self.client(user="app")
        for number, texts in enumerate(KEEPS):
            with self.subTest(number):
                for requests in simple(*texts), looks:
                    self.assertEqual(self.play(proxied, requests), self.play(direct, requests))
                    other.simple("set my.own to 'not yours'; set timezone to 'Asia/Kolkata'")
                    self.assertIn(("D", b"\0\1\0\0\0\tin public"), other.simple("select v from t"))

    def test_turns(self):
        for seed in SEEDS:
            self.turns(seed)


if __name__ == "__main__":
    support.main()
