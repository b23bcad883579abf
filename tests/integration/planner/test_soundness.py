"""What PostgreSQL does beyond the words of a statement: after each event a read through pgweir, which was answered from the
cache before, equals the same read sent straight to PostgreSQL at that moment. Nothing heals by polling here.

Each scenario is a schema of its own, whose name stands for {s}. Events come from another client of pgweir.
"""
import json
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import pgwire  # noqa: E402

WRITER = "create function {s}.w(int default 0) returns bool language plpgsql as 'begin insert into {s}.t values (1); return true; end'; "
ON_ROW = "create function {s}.tg() returns trigger language plpgsql as 'begin insert into {s}.t values (1); return new; end'; "
ON_DDL = ("create function {s}.ev() returns event_trigger language plpgsql as 'begin insert into {s}.t values (1); end'; "
          "create event trigger {s}_e on ddl_command_end execute function {s}.ev(); ")
COUNT = "select count(*) from {s}.t"
REFERS = "create table {s}.a (id int primary key); create table {s}.b (id int primary key references {s}.a%s); " \
         "insert into {s}.a values (1); insert into {s}.b values (1); "

# name: setup (after "create table {s}.t (x int)"), the read, events
WRITES = {
    "truncate_cascade": (REFERS % "", "select count(*) from {s}.b", ["truncate {s}.a cascade"]),
    "cascade_of_update": (REFERS % " on update cascade", "select max(id) from {s}.b", ["update {s}.a set id = 7"]),
    "cascade_of_upsert": (REFERS % " on update cascade", "select max(id) from {s}.b",
                          ["insert into {s}.a values (1) on conflict (id) do update set id = 9"]),
    "cascade_of_merge": (REFERS % " on delete cascade", "select count(*) from {s}.b",
                         ["merge into {s}.a using (values (1)) v(i) on id = i when matched then delete"]),
    "cascade_of_cascade": (REFERS % " on delete cascade" + "create table {s}.c (id int references {s}.b on delete cascade); "
                           "insert into {s}.c values (1)", "select count(*) from {s}.c", ["delete from {s}.a"]),
    "event_trigger_comment": (ON_DDL, COUNT, ["comment on table {s}.t is 'x'", "drop event trigger {s}_e"]),
    "event_trigger_temporary": (ON_DDL, COUNT, ["create temp table x (i int)", "select 1 as i into temp y", "drop event trigger {s}_e"]),
    "event_trigger_publication": (ON_DDL, COUNT, ["create publication {s}_p", "drop event trigger {s}_e"]),
    "temporary_with_trigger": (ON_ROW, COUNT, ["create temp table x (i int)", "insert into x values (1)", "READ",
                                               "create trigger g before insert on x for each row execute function {s}.tg()",
                                               "READ", "insert into pg_temp.x values (1)"]),
    "temporary_before_another": (ON_ROW + "create table public.{s}_x (i int)", COUNT,
                                 ["create temp table {s}_x (i int)",
                                  "create trigger g before insert on {s}_x for each row execute function {s}.tg()", "READ",
                                  "insert into {s}_x values (1)"]),
    "domain_of_column": (WRITER + "create domain {s}.d as int check ({s}.w(value)); create table {s}.u (y {s}.d)", COUNT,
                         ["insert into {s}.u values (1)", "drop domain {s}.d cascade"]),
    "domain_of_cast": (WRITER + "create domain {s}.d as int check ({s}.w(value))", COUNT,
                       ["select 1::{s}.d", "drop domain {s}.d cascade"]),
    "condition_of_trigger": (WRITER + "create function {s}.n() returns trigger language plpgsql as 'begin return new; end'; "
                             "create table {s}.u (x int); create trigger g before insert on {s}.u for each row "
                             "when ({s}.w(new.x)) execute function {s}.n()", COUNT, ["insert into {s}.u values (1)"]),
    "comment_before_parenthesis": (WRITER + "create function {s}.g() returns bool language plpgsql as "
                                   "'begin return {s}.w /* here */ (1); end'", COUNT, ["select {s}.g()"]),
    "operator_in_body": (WRITER + "create function {s}.o(int, int) returns bool language sql as 'select {s}.w($1)'; "
                         "create operator #=#= (leftarg = int, rightarg = int, function = {s}.o); create function {s}.g() returns bool "
                         "language plpgsql as 'begin return 1 #=#= 2; end'", COUNT, ["select {s}.g()", "drop operator #=#= (int, int)"]),
    "comment_after_operator": ("create table {s}.u (a int, b int); create function {s}.g() returns trigger language plpgsql as $$begin "
                               "new.b := new.a *-- don't\n new.b; update {s}.t set x = 7 where 'n' <> ''; return new; end$$; create trigger g "
                               "before insert on {s}.u for each row execute function {s}.g(); insert into {s}.t values (1)",
                               "select max(x) from {s}.t", ["insert into {s}.u values (1, 2)"]),
    "view_in_body": (WRITER + "create view {s}.v as select {s}.w() as r; create function {s}.g() returns bool language plpgsql as "
                     "'begin return (select r from {s}.v); end'", COUNT, ["select {s}.g()"]),
    "aggregate_that_writes": (WRITER + "create function {s}.f(bool, int) returns bool language plpgsql immutable as 'begin return {s}.w($2); end'; "
                              "create aggregate {s}.agg(int) (sfunc = {s}.f, stype = bool)", COUNT, ["select {s}.agg(1)"]),
    "planned_search_path": ("create table public.{s}_x (i int); create table {s}.{s}_x (i int); create function {s}.g() returns text language "
                            "plpgsql immutable as $$begin return set_config('search_path', '{s}', false); end$$",
                            "select count(*) from {s}.{s}_x", ["explain select {s}.g()", "READ", "insert into {s}_x values (1)",
                                                               "reset search_path"]),
    "planned_only": (WRITER + "create function {s}.g(int) returns bool language plpgsql immutable as 'begin return {s}.w($1); end'", COUNT,
                     ["explain select {s}.g(1)"]),
    "argument_of_set_config": (WRITER, COUNT, ["select set_config('a.b', {s}.w()::text, false)"]),
    "standard_body": ("create function {s}.g() returns int language sql begin atomic insert into {s}.t values (2) returning x; end", COUNT,
                      ["select {s}.g()"]),
    "default_of_column": (WRITER + "create table {s}.u (a int, b bool default {s}.w())", COUNT, ["insert into {s}.u (a) values (1)"]),
    "rule": ("create table {s}.u (x int); create rule r as on insert to {s}.u do also insert into {s}.t values (new.x)", COUNT,
             ["insert into {s}.u values (1)"]),
    "instead_trigger": (ON_ROW + "create view {s}.v as select 1 as i; create trigger g instead of insert on {s}.v for each row "
                        "execute function {s}.tg()", COUNT, ["insert into {s}.v values (1)"]),
    "explain_analyze": ("", COUNT, ["explain analyze insert into {s}.t values (1)"]),
    "copy_of_a_query": ("", COUNT, ["copy (insert into {s}.t values (1) returning x) to stdout"]),
    "cursor": (WRITER, COUNT, ["begin", "declare c cursor for select {s}.w()", "fetch all from c", "READ", "commit"]),
    "sql_prepare": ("", COUNT, ["prepare p as insert into {s}.t values (1)", "READ", "execute p"]),
    "materialized": ("create materialized view {s}.m as select count(*) as c from {s}.t", "select c from {s}.m",
                     ["insert into {s}.t values (1)", "READ", "refresh materialized view {s}.m"]),
    "attached": ("create table {s}.p (x int) partition by range (x)", "select count(*) from {s}.p",
                 ["alter table {s}.p attach partition {s}.t for values from (0) to (10)", "READ", "insert into {s}.t values (6)", "READ",
                  "alter table {s}.p detach partition {s}.t", "READ", "insert into {s}.t values (7)"]),
    "prepared_transaction": ("create table {s}.u (x int); create view {s}.v as select x from {s}.u", "select count(*) from {s}.v",
                             ["-begin", "-create or replace view {s}.v as select x from {s}.t", "-prepare transaction '{s}'",
                              "commit prepared '{s}'", "READ", "insert into {s}.t values (1)"]),
    "search_path_computed": ("create table public.{s}_x (i int); create table {s}.{s}_x (i int)", "select count(*) from {s}.{s}_x",
                             ["select set_config('search_path', '{s}' || '', false), 1", "READ", "insert into {s}_x values (1)"]),
    "search_path_in_one_message": ("create table public.{s}_x (i int); create table {s}.{s}_x (i int)", "select count(*) from {s}.{s}_x",
                                   ["set search_path = {s}; insert into {s}_x values (1)", "reset search_path"]),
    "session_authorization": ("create role {s} superuser; create table public.{s}_x (i int); create table {s}.{s}_x (i int)",
                              "select count(*) from {s}.{s}_x", ["set session authorization {s}", "READ", "insert into {s}_x values (1)"]),
    "aggregate_that_reads": ("create function {s}.f(bigint, int) returns bigint language sql immutable as 'select count(*) from {s}.t'; "
                             "create aggregate {s}.agg(int) (sfunc = {s}.f, stype = bigint, initcond = 0)", "select {s}.agg(1)",
                             ["insert into {s}.t values (1)"]),
    "operator_that_reads": ("create function {s}.f(int, int) returns bigint language sql immutable as 'select count(*) from {s}.t'; "
                            "create operator {s}.@#@# (leftarg = int, rightarg = int, function = {s}.f)",
                            "select 1 operator({s}.@#@#) 2", ["insert into {s}.t values (1)"]),
    "enum": ("create type {s}.e as enum ('a', 'b'); create table {s}.u (x {s}.e); insert into {s}.u values ('a'), ('b')",
             "select array_agg(x order by x)::text, enum_range(null::{s}.e)::text from {s}.u",
             ["alter type {s}.e add value 'c' before 'a'", "READ", "alter type {s}.e rename value 'a' to 'z'"]),
    "name_of_a_table": ("create table {s}.o (x int); create table {s}.u (x regclass); insert into {s}.u values ('{s}.o')",
                        "select x from {s}.u", ["alter table {s}.o rename to p"]),
    "name_of_a_role": ("create role {s}_r; create table {s}.u (x regrole); insert into {s}.u values ('{s}_r')", "select x from {s}.u",
                       ["alter role {s}_r rename to {s}_q"]),
    "moved_rows": ("insert into {s}.t select generate_series(1, 3); delete from {s}.t where x < 3", "select ctid from {s}.t",
                   ["vacuum full {s}.t"]),
    "locked_row": ("insert into {s}.t values (1)", "select xmax <> '0' from {s}.t", ["begin", "select * from {s}.t for update", "commit"]),
    "reloaded": ("create table {s}.u (x bytea); insert into {s}.u values ('abc')", "select x from {s}.u",
                 ["-alter system set bytea_output = 'escape'", "-select pg_reload_conf()", "SETTLED escape", "READ",
                  "-alter system reset bytea_output", "-select pg_reload_conf()", "SETTLED hex"]),
}

# As role {s}, who may log in and use the schema; "T" is read.
RIGHTS = {
    "revoked": ("grant select on {s}.t to {s}", ["revoke select on {s}.t from {s}"]),
    "of_a_column": ("grant select (x) on {s}.t to {s}", ["revoke select (x) on {s}.t from {s}"]),
    "of_a_schema": ("grant select on {s}.t to {s}", ["revoke usage on schema {s} from {s}"]),
    "of_a_group": ("create role {s}_g; grant {s}_g to {s}; grant select on {s}.t to {s}_g", ["revoke {s}_g from {s}"]),
    "by_execute": ("grant select on {s}.t to {s}", ["do $$ begin execute 'revoke select on {s}.t from {s}'; end $$"]),
    "prepared": ("grant select on {s}.t to {s}", ["-begin", "-revoke select on {s}.t from {s}", "-prepare transaction '{s}'",
                                                  "commit prepared '{s}'"]),
    "dropped_owned": ("grant select on {s}.t to {s}", ["drop owned by {s}"]),
    "row_security": ("grant select on {s}.t to {s}", ["alter table {s}.t enable row level security"]),
    "superuser": ("alter role {s} superuser", ["alter role {s} nosuperuser"]),
    # The sessions there are keep the path of their login.
    "path_of_the_login": ("grant all on {s}.t to {s}; create schema {s}_o authorization {s}; create table {s}_o.t (x int)",
                          ["alter role {s} set search_path = {s}_o", "READ", "insert into {s}_o.t values (3)", "READ",
                           "insert into {s}.t values (4)"]),
}

TEXTS = "create table {s}.u (b text, a text[]); insert into {s}.u values ('now', '{{now}}'); "
FUNCTION = "create function {s}.f(%s) returns timestamptz language %s immutable as '%s'"
# name: setup, a read that answers something else each time
MOMENTS = {
    "array_column": (TEXTS, "select a::timestamptz[] from {s}.u"),
    "array_function": (TEXTS, "select string_to_array(b, ',')::timestamptz[] from {s}.u"),
    "array_operator": (TEXTS, "select (a || a)::timestamptz[] from {s}.u"),
    "range": (TEXTS, "select ('[' || b || ',)')::tstzrange from {s}.u"),
    "case": (TEXTS, "select (case when true then b end)::timestamptz from {s}.u"),
    "escapes": ("", "select E'\\x6eow'::timestamptz, U&'\\006eow'::timestamptz, $q$ now $q$::timestamptz"),
    "array_literal": ("", "select '{{now}}'::timestamptz[]"),
    "function_style": ("", "select timestamptz('NOW')"),
    "put_together": ("", "select ('no' || 'w')::timestamptz"),
    "default_of_argument": (FUNCTION % ("a int default 1, b timestamptz default clock_timestamp()", "sql", "select b"), "select {s}.f()"),
    "keyword_in_body": (FUNCTION % ("", "plpgsql", "begin return current_timestamp; end"), "select {s}.f()"),
    "literal_in_body": (FUNCTION % ("", "plpgsql", "begin return ''now''; end"), "select {s}.f()"),
    "cast_in_body": (TEXTS + FUNCTION % ("t text", "sql", "select t::timestamptz"), "select {s}.f(b) from {s}.u"),
    "result_of_body": (TEXTS + FUNCTION % ("t text", "plpgsql", "begin return t; end"), "select {s}.f(b) from {s}.u"),
    "record_of_json": ("create type {s}.y as (a timestamptz)",
                       "select json_populate_record(null::{s}.y, '{{\"a\": \"n\\u006fw\"}}')"),
}

TEXT, VARCHAR, TEXT_ARRAY = 25, 1043, 1009
NOW_ARRAY = struct.pack("!iiiiii", 1, 0, TEXT, 1, 1, 3) + b"now"
# sql, value, its type and format
BOUND = [("select $1::timestamptz", b"now", 0, 0), ("select $1::timestamptz", b"now", TEXT, 1),
         ("select cast($1 as timestamptz)", b" Now ", VARCHAR, 1), ("select $1::timestamptz[]", NOW_ARRAY, TEXT_ARRAY, 1)]


class Soundness(support.Case):
    proxy_only = True
    sections = {"pgweir": {"workers": 2}, "cache": {"consistency": "proxy", "poll_interval": "1d", "ttl": "1h"}}
    settings = {"max_prepared_transactions": 10}

    @staticmethod
    def told(conn, sql):
        """What a client is told, as far as it is the same on any connection."""
        return [(kind, body) for kind, body in conn.simple(sql) if kind in "TDCE"]

    def settled(self):
        """The catalog was read again: what follows is planned with it, and may be cached."""
        support.wait_until(lambda: "system catalog" in self.explained(), "the catalog")

    def make(self, name, setup, extra=""):
        writer = self.client()
        for sql in ("create schema %s" % name, "create table %s.t (x int)" % name, extra.format(s=name), setup.format(s=name)):
            self.assertEqual([m for m in writer.simple(sql) if m[0] == "E"], [], sql)
        self.settled()
        return writer

    def event(self, writer, event):
        if event == "READ":
            self.settled()  # what changed the catalog is behind: from here on the answer may be cached again
        elif event.startswith("SETTLED"):
            support.wait_until(lambda: self.cluster.sql("show bytea_output")[0][0] == event[8:], "the server to reload")
            support.wait_until(lambda: self.direct.value("show bytea_output") == event[8:], "the session to reload")
            self.weir.console("RECONNECT")
        else:
            self.assertEqual([pgwire.error_fields(m[1]) for m in writer.simple(event) if m[0] == "E"], [], event)

    def play(self, name, setup, read, events, user="postgres", extra=""):
        writer = self.make(name, setup, extra)
        reader = self.client(user=user)
        self.direct = self.cluster.connect(user=user)
        self.open.append(self.direct)
        read = read.format(s=name)
        for event in ["READ"] + events:
            event = event.format(s=name)
            self.event(writer, event.lstrip("-"))
            if event.startswith("-"):
                continue
            for _ in range(3 if event == "READ" else 1):
                self.assertEqual(self.told(reader, read), self.told(self.direct, read), "after " + event)
        for conn in (writer, reader, self.direct):
            conn.drop()

    def test_writes(self):
        for name, (setup, read, events) in WRITES.items():
            with self.subTest(name):
                self.play(name, setup, read, events)

    def test_rights(self):
        for name, (setup, events) in RIGHTS.items():
            with self.subTest(name):
                self.play(name, setup, "select * from t" if "path" in name else "select * from {s}.t", events, user=name,
                          extra="create role {s} login; grant usage on schema {s} to {s}; insert into {s}.t values (5)")

    def test_moments(self):
        for name, (setup, read) in MOMENTS.items():
            with self.subTest(name):
                self.make("m_" + name, setup)
                conn = self.client()
                answers = [self.told(conn, read.format(s="m_" + name)) for _ in range(3)]
                self.assertNotIn("E", [kind for kind, _ in answers[0]], answers[0])
                self.assertEqual(len({str(a) for a in answers}), 3, answers[0])

    def test_moments_as_parameters(self):
        conn = self.client()
        for sql, value, oid, form in BOUND:
            with self.subTest(sql=sql, form=form):
                answers = set()
                for _ in range(3):
                    conn.send(pgwire.parse("", sql, [oid]) + pgwire.bind("", "", [value], [form]) + pgwire.execute() + pgwire.SYNC)
                    answers.add(str([body for kind, body in conn.until("Z") if kind in "DE"]))
                self.assertEqual(len(answers), 3, answers)

    def test_serializable_is_read_on_the_server(self):
        self.make("isolation", "")
        conn, before = self.client(), self.hits()
        for level in ("read committed", "SERIALIZABLE"):
            conn.rows("set default_transaction_isolation = '%s'" % level)
            for _ in range(3):
                conn.rows("select x from isolation.t")
            self.assertEqual(self.hits(), before + 2, level)

    def hits(self):
        return int(self.weir.console("SHOW CACHE \\j").split('"hits":')[1].split(",")[0].strip(' "'))

    def explained(self):
        return self.weir.console("EXPLAIN CACHE DATABASE postgres select oid from pg_class")

    def test_a_catalog_that_could_not_be_read(self):
        """What is dropped while the catalog is read fails the reading. It is tried again."""
        writer = self.make("torn", "create view {s}.v as select x from {s}.t")
        saved = "create table torn.saved as select * from pg_class where oid = 'torn.t'::regclass"
        for sql in (saved, "delete from pg_class where oid in (select oid from torn.saved)"):
            self.cluster.sql(sql)
        try:
            writer.simple("create table torn.another (x int)")
            support.wait_until(lambda: "could not be read" in self.explained(), "the failure")
        finally:
            self.cluster.sql("insert into pg_class select * from torn.saved")
        self.settled()
        self.assertEqual(writer.rows("select x from torn.v"), [])

    def end(self, writer):
        """An operator ends the session; who only closes it is not noticed before the answer comes."""
        rows = [json.loads(line) for line in self.weir.console("SHOW CLIENTS \\j").splitlines() if line.startswith("{")]
        row = next(row for row in rows if row["application_name"] == "leaving")
        self.weir.console("KILL_CLIENT %s" % row["id"])
        writer.drop()

    def leave(self, writer, sql, expected):
        """The writer's connection ends while the server is at work; others read meanwhile."""
        reader = self.client()
        self.assertNotEqual(reader.value("select max(x) from gone.t"), expected)
        writer.send(pgwire.query(sql))
        busy = "select count(*) from pg_stat_activity where state = 'active' and wait_event = 'PgSleep'"
        support.wait_until(lambda: self.cluster.sql(busy) == [["1"]], "the server to be at work")
        self.end(writer)
        support.wait_until(lambda: reader.value("select max(x) from gone.t") and
                           self.cluster.sql("select max(x) from gone.t") == [[expected]], "the commit")
        self.assertEqual(reader.value("select max(x) from gone.t"), expected)

    def test_writers_that_leave(self):
        writer = self.make("gone", "create function {s}.slow() returns trigger language plpgsql as "
                           "'begin perform pg_sleep(0.5); return null; end'; "
                           "create table {s}.late (x int); create constraint trigger g after insert on {s}.late "
                           "deferrable initially deferred for each row execute function {s}.slow()")
        writer.rows("insert into gone.t values (1)")
        writer = self.client(options={"application_name": "leaving"})
        self.leave(writer, "update gone.t set x = 2 where pg_sleep(0.5) is not null", "2")
        writer = self.client(options={"application_name": "leaving"})
        writer.rows("begin; insert into gone.late values (1); update gone.t set x = 3")
        self.leave(writer, "commit", "3")

    def test_a_database_of_the_same_name(self):
        admin = self.client()
        for value in "12":
            admin.rows("create database again")
            conn = self.client(database="again")
            conn.rows("create table t (x int)")
            conn.rows("insert into t values (%s)" % value)
            support.wait_until(lambda: "system catalog" in self.weir.console("EXPLAIN CACHE DATABASE again select oid from pg_class"),
                               "the catalog")
            for _ in range(3):
                self.assertEqual(conn.value("select x from t"), value)
            conn.drop()
            admin.rows("drop database again with (force)")


class Replication(support.Case):
    """SQL may be said on a replication connection too; nobody looks into it."""

    proxy_only = True
    database = {"pool_mode": "session"}
    sections = Soundness.sections
    settings = {"wal_level": "logical"}

    def test_what_it_writes_is_seen(self):
        plain = self.client()
        plain.rows("create table kept (x int)")
        walsender = self.client(options={"replication": "database"})
        for sql, count in (("insert into kept values (1)", "1"), ("begin", "1"), ("delete from kept", "1"), ("commit", "0")):
            support.wait_until(lambda: "system catalog" in self.weir.console(
                "EXPLAIN CACHE DATABASE postgres select oid from pg_class"), "the catalog")
            before = [plain.value("select count(*) from kept") for _ in range(3)]
            self.assertEqual(len(set(before)), 1)
            walsender.simple(sql)
            self.assertEqual(plain.value("select count(*) from kept"), count, sql)


class TwoNames(support.Case):
    """Two entries of the configuration lead to one database: what is written by one name is written by the other."""

    proxy_only = True
    NAMES = ("one", "two")

    @classmethod
    def start(cls, database=None, sections=None, **more):
        upstreams = ("postgres://postgres@%s:%d/postgres" % (host, cls.cluster.port) for host in ("127.0.0.1", "localhost"))
        return super().start({}, {"pgweir": {"workers": 2}, "cache": Soundness.sections["cache"],
                                  "databases": {name: {"upstream": url} for name, url in zip(cls.NAMES, upstreams)}}, **more)

    def settled(self):
        for name in self.NAMES:
            support.wait_until(lambda: "system catalog" in self.weir.console(
                "EXPLAIN CACHE DATABASE %s select oid from pg_class" % name), "the catalog of " + name)

    def test_writes_of_one_name_are_seen_by_the_other(self):
        one, two, third = (self.client(database=name) for name in ("one", "two", "two"))
        one.rows("create table kept (x int)")
        one.rows("create view shown as select count(*) as n from kept where x < 10")
        for sql, after in (("insert into kept values (1)", "1"), ("update kept set x = 20", "0"), ("truncate kept", "0"),
                           ("insert into kept values (30)", "0"), ("create or replace view shown as select count(*) as n from kept", "1"),
                           ("insert into kept values (31)", "2"), ("begin", "2"), ("delete from kept", "2"), ("commit", "0")):
            self.settled()
            before = two.value("select n from shown")
            self.assertEqual(third.value("select n from shown"), before)
            one.rows(sql)
            self.assertEqual((two.value("select n from shown"), third.value("select n from shown")), (after, after), sql)


if __name__ == "__main__":
    unittest.main()
