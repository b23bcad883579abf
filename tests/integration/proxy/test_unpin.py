#!/usr/bin/python3
"""A pin lasts until what it was for is undone, and no longer: one server connection, and a second client that needs it."""
import json

import support
from support import pgwire


class Unpin(support.Case):
    proxy_only = True
    database = {"pool_size": 1, "query_wait_timeout": "60s"}

    @classmethod
    def prepare(cls):
        cls.cluster.sql("create table plain (k int primary key, v text); insert into plain values (1, 'one');"
                        "create function harmless(int) returns int language sql as 'select $1 + 1';"
                        "create function maker() returns void language plpgsql as "
                        "$$ begin create temp table made_by_function (a int); end $$")

    def pins(self):
        return [json.loads(line)["reason"] for line in self.weir.console("SHOW PINS \\j").splitlines() if line.strip()]

    def assert_pinned(self, *words):
        reasons = self.pins()
        self.assertEqual(len(reasons), 1, reasons)
        for word in words:
            self.assertIn(word, reasons[0])

    def assert_free(self):
        """Nobody is pinned: another client gets the only connection, and finds nothing on it."""
        self.assertEqual(self.pins(), [])
        other = self.client()
        self.assertEqual(other.rows("select name from pg_prepared_statements where name not like 'pgweir%'"), [])
        self.assertEqual(other.rows("select * from pg_listening_channels()"), [])
        self.assertEqual(other.rows("select name from pg_cursors where is_holdable"), [])
        self.assertEqual(other.value("select count(*) from pg_locks where locktype = 'advisory'"), "0")
        self.assertEqual(other.value("select count(*) from pg_class where relnamespace = pg_my_temp_schema()"), "0")
        other.finish()

    def error(self, conn, sql, state):
        with self.assertRaises(pgwire.WireError) as caught:
            conn.rows(sql)
        self.assertIn(state, str(caught.exception))

    def extended(self, conn, *messages):
        conn.send(b"".join(messages) + pgwire.msg("S"))
        return [kind for kind, _ in conn.until("Z")]

    def wait_known(self, sql):
        """Until pgweir has read what the functions of this text may do: unknown ones pin for good."""
        def known():
            conn = self.client()
            conn.simple(sql)
            reasons = self.pins()
            conn.finish()
            support.wait_until(lambda: self.pins() == [], "the end of that session")
            return not any("function" in reason for reason in reasons)
        support.wait_until(known, "the catalog")

    def undone(self, make, *steps, reason):
        conn = self.client()
        conn.simple(make)
        self.assert_pinned(reason)
        for step in steps:
            conn.simple(step)
        self.assert_free()
        conn.value("select 1")
        conn.finish()

    # ---- PREPARE

    def test_prepare(self):
        self.undone("prepare a as select 1", "execute a", "deallocate a", reason="PREPARE")
        self.undone("prepare a as select 1", "deallocate all", reason="PREPARE")
        self.wait_known("select harmless(1)")
        self.undone("prepare a as select harmless(k) from plain", "execute a", "deallocate a", reason="PREPARE")
        self.undone("prepare a as update plain set v = v where k = $1", "execute a(1)", "begin", "deallocate a",
                    "rollback", reason="PREPARE")
        self.undone("prepare \"A b\" as select 1", "deallocate prepare \"A b\"", reason="PREPARE")

    def test_last_one(self):
        conn = self.client()
        for name in "abc":
            conn.simple("prepare %s as select 1" % name)
        conn.simple("deallocate b")
        conn.simple("deallocate a")
        self.assert_pinned("PREPARE")
        self.assertEqual(conn.value("execute c"), "1")
        self.error(conn, "deallocate nobody", "26000")
        self.assert_pinned("PREPARE")
        conn.simple("deallocate c")
        self.assert_free()
        self.error(conn, "execute c", "26000")
        self.assert_free()

    def test_not_transactional(self):
        conn = self.client()
        conn.simple("begin")
        conn.simple("prepare a as select 1")
        conn.simple("rollback")
        self.assert_pinned("PREPARE")
        self.assertEqual(conn.value("execute a"), "1")
        conn.simple("begin")
        conn.simple("deallocate a")
        self.assert_pinned("PREPARE")  # the transaction holds the connection: it is asked at its end
        conn.simple("rollback")
        self.assert_free()

    def test_refused(self):
        conn = self.client()
        self.error(conn, "execute nobody", "26000")
        self.assert_free()
        self.error(conn, "prepare a as select * from nowhere", "42P01")
        self.assert_free()
        conn.simple("begin")
        self.error(conn, "select 1/0", "22012")
        self.error(conn, "prepare a as select 1", "25P02")
        conn.simple("rollback")
        self.assert_free()

    def test_by_the_protocol(self):
        conn = self.client()
        kinds = self.extended(conn, pgwire.parse("", "prepare a as select 1"), pgwire.bind("", ""), pgwire.execute())
        self.assertEqual(kinds, ["1", "2", "C", "Z"])
        self.assert_pinned("PREPARE")
        kinds = self.extended(conn, pgwire.parse("", "deallocate a"), pgwire.bind("", ""), pgwire.execute())
        self.assertEqual(kinds, ["1", "2", "C", "Z"])
        self.assert_free()
        # The unnamed statement is still what it was.
        self.error_of_last = self.extended(conn, pgwire.bind("", ""), pgwire.execute())
        self.assertEqual(self.error_of_last, ["2", "E", "Z"])  # DEALLOCATE of what is gone
        # Close of the protocol deallocates what SQL has prepared.
        conn.simple("prepare a as select 1")
        self.assertEqual(self.extended(conn, pgwire.close("S", "a")), ["3", "Z"])
        self.assert_free()

    def test_unnamed_statement_stays(self):
        """... also where the session stays pinned and the server has it."""
        conn = self.client()
        conn.simple("prepare keep as select 1")
        conn.simple("prepare a as select 1")
        self.extended(conn, pgwire.parse("", "select 'unnamed'"))
        self.extended(conn, pgwire.close("S", "a"))  # asks
        self.assert_pinned("PREPARE")
        self.assertEqual(self.extended(conn, pgwire.bind("", ""), pgwire.execute()), ["2", "D", "C", "Z"])

    def test_both_protocols(self):
        """What the protocol prepared works before, meanwhile and after, under the same names."""
        conn, other = self.client(), self.client()
        run = [pgwire.bind("", "mine", ["5"]), pgwire.execute()]
        self.extended(conn, pgwire.parse("mine", "select $1::int + 1"), *run)
        conn.simple("prepare a as select 1")
        self.assert_pinned("PREPARE")
        self.assertEqual(self.extended(conn, *run), ["2", "D", "C", "Z"])
        self.extended(conn, pgwire.parse("more", "select 'more'"))
        conn.simple("deallocate a")
        self.assertEqual(self.pins(), [])
        other.value("select 1")
        self.assertEqual(self.extended(conn, *run), ["2", "D", "C", "Z"])
        self.assertEqual(self.extended(conn, pgwire.bind("", "more"), pgwire.execute()), ["2", "D", "C", "Z"])
        self.assertEqual(self.extended(other, pgwire.bind("", "mine", ["5"])), ["E", "Z"])
        self.assertEqual(self.extended(conn, pgwire.parse("mine", "select 2")), ["E", "Z"])
        # SQL deallocates one of the protocol's while the names are the server's own.
        conn.simple("prepare b as select 1")
        conn.simple("deallocate more")
        conn.simple("deallocate b")
        self.assertEqual(self.pins(), [])
        self.assertEqual(self.extended(conn, pgwire.bind("", "more")), ["E", "Z"])
        self.assertEqual(self.extended(conn, *run), ["2", "D", "C", "Z"])

    def test_only_looked_at(self):
        """Who looks at pg_prepared_statements sees its own names, and does not keep the connection for that."""
        conn = self.client()
        self.extended(conn, pgwire.parse("mine", "select 1"))
        self.assertEqual(conn.value("select name from pg_prepared_statements"), "mine")
        self.assert_free()
        self.assertEqual(self.extended(conn, pgwire.bind("", "mine"), pgwire.execute()), ["2", "D", "C", "Z"])

    def test_what_execute_leaves_behind(self):
        """PREPARE of something whose execution leaves state: its pin outlives the statement."""
        conn = self.client()
        conn.simple("prepare a as select pg_advisory_lock(7)")
        conn.simple("execute a")
        conn.simple("deallocate a")
        self.assert_pinned("advisory lock")
        conn.simple("select pg_advisory_unlock(7)")
        self.assert_free()
        conn.simple("prepare a as select set_config('my.own', 'x', false)")
        conn.simple("execute a")
        conn.simple("deallocate a")
        self.assertEqual(len(self.pins()), 1)
        self.assertEqual(conn.value("show my.own"), "x")
        conn.simple("discard all")
        self.assert_free()

    def test_function_changed_meanwhile(self):
        """What PREPARE was believed to do is not believed after the catalog has changed."""
        conn = self.client()
        conn.simple("create function changing() returns int language sql as 'select 1'")
        self.wait_known("select changing()")
        conn.simple("prepare a as select changing()")
        conn.simple("create or replace function changing() returns int language sql as "
                    "$$ select set_config('my.hidden', 'y', false); select 2 $$")
        self.assertEqual(conn.value("execute a"), "2")
        conn.simple("deallocate a")
        self.assert_pinned("function")
        self.assertEqual(conn.value("show my.hidden"), "y")
        conn.simple("drop function changing()")
        conn.simple("discard all")
        self.assert_free()

    def test_sequence_is_not_forgotten(self):
        conn = self.client()
        conn.simple("create sequence counter")
        conn.simple("prepare a as select 1")
        value = conn.value("select nextval('counter')")
        conn.simple("deallocate a")
        self.assertEqual(conn.value("select currval('counter')"), value)
        conn.simple("drop sequence counter")
        conn.simple("discard all")
        self.assert_free()

    # ---- the other reasons

    def test_temporary_tables(self):
        self.undone("create temp table t (a int)", "insert into t values (1)", "drop table t", reason="temporary")
        self.undone("create temp view w as select 1", "drop view w", reason="temporary")
        self.undone("create temp sequence q", "drop sequence q", reason="temporary")
        self.undone("select 1 as a into temp t", "discard temp", reason="temporary")
        self.undone("create temp table t (a int)", "begin", "drop table t", "commit", reason="temporary")
        self.undone("create function pg_temp.f() returns int language sql as 'select 1'", "drop function pg_temp.f()", reason="temporary")
        self.undone("create type pg_temp.kind as enum ('a')", "drop type pg_temp.kind", reason="temporary")

    def test_one_table_is_left(self):
        conn = self.client()
        conn.simple("create temp table t (a int)")
        conn.simple("create temp table u (a int)")
        conn.simple("drop table t")
        self.assert_pinned("temporary")
        conn.simple("begin")
        conn.simple("drop table u")
        conn.simple("rollback")
        self.assert_pinned("temporary")
        self.assertEqual(conn.rows("select * from u"), [])
        conn.simple("drop table u")
        self.assert_free()

    def test_on_commit_drop(self):
        for end in ("commit", "rollback"):
            conn = self.client()
            conn.simple("begin")
            conn.simple("create temp table t on commit drop as select 1")
            self.assert_pinned("temporary")
            conn.simple(end)
            self.assert_free()
        conn.simple("begin; create temp table t (a int) on commit drop; commit")
        self.assert_free()
        self.error(conn, "create temp table t (a int); select 1/0", "22012")
        self.assert_free()

    def test_search_path_leads_to_temp(self):
        conn = self.client()
        conn.simple("set search_path = pg_temp, public")
        conn.simple("create table hidden (a int)")
        self.assert_pinned("temporary")
        conn.simple("drop table hidden")
        self.assert_free()

    def test_function_makes_table(self):
        self.wait_known("select harmless(1)")
        conn = self.client()
        conn.simple("select maker()")
        self.assert_pinned("temporary")
        self.assertEqual(conn.rows("select * from made_by_function"), [])
        conn.simple("drop table made_by_function")
        self.assert_free()

    def test_listen(self):
        self.undone("listen channel", "unlisten channel", reason="LISTEN")
        self.undone("listen channel", "unlisten *", reason="LISTEN")
        conn = self.client()
        conn.simple("listen one")
        conn.simple("listen two")
        conn.simple("unlisten one")
        self.assert_pinned("LISTEN")
        conn.simple("begin")
        conn.simple("unlisten two")
        conn.simple("rollback")
        self.assert_pinned("LISTEN")
        self.cluster.sql("notify two, 'heard'")
        self.assertIn(b"heard", [body for kind, body in conn.until("A") if kind == "A"][0])
        conn.simple("unlisten two")
        self.assert_free()
        conn.simple("begin")
        conn.simple("listen three")
        conn.simple("rollback")
        self.assert_free()

    def test_advisory_locks(self):
        self.undone("select pg_advisory_lock(1)", "select pg_advisory_unlock(1)", reason="advisory")
        self.undone("select pg_advisory_lock_shared(1, 2)", "select pg_advisory_unlock_shared(1, 2)", reason="advisory")
        self.undone("select pg_advisory_lock(k) from plain", "select pg_advisory_unlock_all()", reason="advisory")
        conn = self.client()
        conn.simple("select pg_advisory_lock(1)")
        conn.simple("select pg_advisory_lock(1)")
        conn.simple("select pg_advisory_unlock(1)")
        self.assert_pinned("advisory")  # twice taken, once given back
        conn.simple("select pg_advisory_unlock(1)")
        self.assert_free()

    def test_lock_that_was_not_given(self):
        direct = self.cluster.connect()
        direct.value("select pg_advisory_lock(5)")
        conn = self.client()
        self.assertEqual(conn.value("select pg_try_advisory_lock(5)"), "f")
        self.assertEqual(self.pins(), [])
        direct.finish()
        support.wait_until(lambda: conn.value("select pg_try_advisory_lock(5)") == "t", "the lock")
        self.assert_pinned("advisory")
        conn.simple("select pg_advisory_unlock_all()")
        self.assert_free()

    def test_cursor_with_hold(self):
        self.undone("declare c cursor with hold for select 1", "fetch c", "close c", reason="WITH HOLD")
        self.undone("declare c cursor with hold for select 1", "close all", reason="WITH HOLD")
        conn = self.client()
        conn.simple("begin")
        conn.simple("declare c cursor with hold for select 1")
        conn.simple("rollback")
        self.assert_free()

    def test_several_reasons(self):
        conn = self.client()
        conn.simple("create temp table t (a int)")
        conn.simple("listen channel")
        conn.simple("prepare a as select 1")
        conn.simple("deallocate a")
        conn.simple("drop table t")
        self.assert_pinned("LISTEN")
        conn.simple("unlisten *")
        self.assert_free()

    def test_reset_query_of_a_pool(self):
        """What a driver's pool sends between two users of a connection: asyncpg's, with its statements still prepared."""
        reset = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"
        for options in (None, "-c work_mem=1MB"):
            conn = self.client(options={"options": options} if options else None)
            self.extended(conn, pgwire.parse("mine", "select 1"))
            conn.simple(reset)
            self.assert_free()
            conn.simple("listen channel")
            conn.simple("select pg_advisory_lock(3)")
            conn.simple("declare c cursor with hold for select 1")
            self.assertEqual([kind for kind, _ in conn.simple(reset)][-1], "Z")
            self.assert_free()
            self.assertEqual(self.extended(conn, pgwire.bind("", "mine"), pgwire.execute()), ["2", "D", "C", "Z"])
            conn.simple("prepare a as select 1")
            conn.simple("deallocate all; reset all")
            self.assert_free()
            conn.finish()

    def test_for_good(self):
        """What cannot be asked about keeps the pin, and is the reason shown."""
        conn = self.client()
        conn.simple("prepare a as select 1")
        conn.simple("load 'plpgsql'")
        self.assert_pinned("LOAD")
        conn.simple("deallocate a")
        self.assert_pinned("LOAD")
        conn.simple("discard all")
        self.assert_free()

    def test_pipelined_discard_all(self):
        """Behind DISCARD ALL in the same request: that pin stays."""
        conn = self.client()
        conn.simple("listen before")
        steps = []
        for sql in ("discard all", "listen after"):
            steps += [pgwire.parse("", sql), pgwire.bind("", ""), pgwire.execute()]
        self.extended(conn, *steps)
        self.assert_pinned("LISTEN")
        self.cluster.sql("notify after, 'heard'")
        self.assertIn(b"heard", [body for kind, body in conn.until("A") if kind == "A"][0])
        conn.simple("unlisten *")
        self.assert_free()

    # ---- while it is asked

    def test_hostile_surroundings(self):
        """The question is asked under the session's own settings; whatever they are, nothing wrong comes of it."""
        conn = self.client()
        conn.simple("create schema trap; create function trap.always(bigint, bigint) returns boolean language sql "
                    "as 'select true'")
        conn.simple("create operator trap.= (leftarg = bigint, rightarg = bigint, function = trap.always)")
        conn.simple("set search_path = trap, pg_catalog")
        conn.simple("set client_min_messages = debug5")
        conn.simple("set default_transaction_isolation = serializable")
        conn.simple("set default_transaction_read_only = on")
        conn.simple("set standard_conforming_strings = off")
        conn.simple("prepare a as select 1")
        conn.simple("prepare b as select 1")
        conn.simple("deallocate a")
        self.assert_pinned("PREPARE")
        conn.simple("deallocate b")
        self.assert_free()
        conn.simple("discard all")
        conn.simple("drop schema trap cascade")

    def test_question_cannot_be_answered(self):
        """A role that may not look stays pinned; its requests go on."""
        self.cluster.sql("revoke select on pg_prepared_statements from public; create role blind login")
        try:
            conn = self.client(user="blind")
            conn.simple("prepare a as select 1")
            conn.simple("deallocate a")
            self.assert_pinned("PREPARE")
            self.assertEqual(conn.value("select 1"), "1")
            conn.simple("discard all")
            self.assertEqual(self.pins(), [])
            conn.finish()
        finally:
            self.cluster.sql("grant select on pg_prepared_statements to public; drop role blind")

    def test_pipelined_behind_it(self):
        """The next request was sent before the answer to this one came."""
        conn = self.client()
        conn.simple("prepare a as select 1")
        conn.send(pgwire.query("deallocate a") + pgwire.query("select 2") + pgwire.query("prepare a as select 3")
                  + pgwire.query("execute a"))
        seen = []
        for _ in range(4):
            seen.append([kind for kind, _ in conn.until("Z")])
        self.assertEqual(seen, [["C", "Z"], ["T", "D", "C", "Z"], ["C", "Z"], ["T", "D", "C", "Z"]])
        self.assert_pinned("PREPARE")
        conn.simple("deallocate a")
        self.assert_free()

    def test_gone_while_asking(self):
        for _ in range(20):
            conn = self.client()
            conn.simple("prepare a as select 1")
            conn.send(pgwire.query("deallocate a"))
            conn.drop()
        support.wait_until(lambda: self.pins() == [], "no pins")
        self.assert_free()

    def test_a_name_that_nobody_has(self):
        conn = self.client()
        self.assertIn("E", self.extended(conn, pgwire.bind("", "nobody"), pgwire.execute()))
        self.assert_free()
        self.assertIn("E", self.extended(conn, pgwire.parse("", "select pg_advisory_lock(11)"), pgwire.bind("", ""),
                                         pgwire.execute(), pgwire.bind("", "nobody"), pgwire.execute()))
        self.assertEqual(len(self.pins()), 1)  # that one was run, and the lock stays


if __name__ == "__main__":
    support.main()
