"""psycopg 3 with its defaults: automatic preparation after five executions, pipelines, COPY, cancel, notify."""
import os
import threading
import time

import psycopg
from psycopg import errors


def not_pinned():
    """In transaction mode nothing so far has tied the session to a server connection."""
    if os.environ.get("PGWEIR_POOL_MODE") == "transaction":
        with psycopg.connect(dbname="pgweir", autocommit=True) as console:
            pins = console.execute("show pins", prepare=False).fetchall()
            assert pins == [], pins


def expect(error, work):
    try:
        work()
    except error as caught:
        return caught
    raise AssertionError("expected " + error.__name__)


def main():
    with psycopg.connect(autocommit=True) as conn:
        conn.execute("drop table if exists d3")
        conn.execute("create table d3 (id int primary key, v text, j jsonb, a int[], ts timestamptz)")
        for i in range(20):  # past the threshold of automatic preparation
            conn.execute("insert into d3 values (%s, %s, %s, %s, now())", (i, "v%d" % i, '{"i": %d}' % i, [i, i + 1]))
        for i in range(20):
            assert conn.execute("select v, a from d3 where id = %s", (i,)).fetchone() == ("v%d" % i, [i, i + 1])
        cur = conn.cursor(binary=True)
        for i in range(10):
            assert cur.execute("select id, v, ts from d3 where id = %s", (i,)).fetchone()[:2] == (i, "v%d" % i)
        # A prepared statement that must change with its table.
        for _ in range(8):
            conn.execute("select * from d3 where id = %s", (1,)).fetchone()
        conn.execute("alter table d3 add column extra int default 7")
        try:
            row = conn.execute("select * from d3 where id = %s", (1,)).fetchone()
            assert row[-1] == 7
        except errors.FeatureNotSupported:  # what PostgreSQL says to a stale prepared statement
            pass
        caught = expect(errors.UniqueViolation, lambda: conn.execute("insert into d3 values (1)"))
        assert caught.diag.constraint_name == "d3_pkey", caught.diag.constraint_name
        expect(errors.DivisionByZero, lambda: conn.execute("select 1/%s::int", (0,)))
        expect(errors.SyntaxError, lambda: conn.execute("selec"))

        # Far more statements than the hundred it keeps prepared: the oldest are deallocated, in SQL.
        for turn in range(7):
            for i in range(150):
                assert conn.execute("select %%s::int + %d" % i, (turn,)).fetchone()[0] == turn + i
        assert conn.execute("select count(*) from d3").fetchone()[0] == 20
        not_pinned()

        with conn.transaction():
            conn.execute("update d3 set v = 'tx' where id = 1")
            with conn.transaction() as inner:
                conn.execute("update d3 set v = 'inner' where id = 1")
                raise psycopg.Rollback(inner)
        assert conn.execute("select v from d3 where id = 1").fetchone()[0] == "tx"

        def failing():
            with conn.transaction():
                conn.execute("delete from d3")
                conn.execute("select nope")
        expect(errors.UndefinedColumn, failing)
        assert conn.execute("select count(*) from d3").fetchone()[0] == 20

        with conn.pipeline() as pipeline:
            results = [conn.execute("select %s::int * 2", (i,)) for i in range(50)]
            pipeline.sync()
            assert [r.fetchone()[0] for r in results] == [i * 2 for i in range(50)]
        try:
            with conn.pipeline():
                conn.execute("select 1")
                conn.execute("select 1/0")
                conn.execute("select 2")
        except (errors.DivisionByZero, errors.PipelineAborted):
            pass
        assert conn.execute("select 5").fetchone()[0] == 5

        cur = conn.cursor()
        cur.executemany("insert into d3 (id, v) values (%s, %s)", [(i, "many") for i in range(100, 400)])
        with cur.copy("copy d3 (id, v) from stdin") as copy:
            for i in range(1000, 3000):
                copy.write_row((i, "copied %d" % i))
        with cur.copy("copy (select id, v from d3 where id >= 1000 order by id) to stdout") as copy:
            rows = list(copy.rows())
        assert len(rows) == 2000 and rows[5] == ("1005", "copied 1005")

        def broken_copy():
            with cur.copy("copy d3 (id) from stdin") as copy:
                copy.write_row(("not a number",))
        expect(errors.InvalidTextRepresentation, broken_copy)

        with conn.transaction():  # large objects: psycopg 3 has no functions of its own for them
            oid = conn.execute("select lo_from_bytea(0, %s)", (b"large object" * 1000,)).fetchone()[0]
            fd = conn.execute("select lo_open(%s, 393216)", (oid,)).fetchone()[0]
            assert conn.execute("select loread(%s, 12)", (fd,)).fetchone()[0] == b"large object"
            assert conn.execute("select lo_lseek(%s, 6, 0)", (fd,)).fetchone()[0] == 6
            conn.execute("select lowrite(%s, %s)", (fd, b"OBJECT"))
            conn.execute("select lo_close(%s)", (fd,))
        assert conn.execute("select lo_get(%s, 0, 12)", (oid,)).fetchone()[0] == b"large OBJECT"
        conn.execute("select lo_unlink(%s)", (oid,))
        with conn.pipeline():  # deallocations in a pipeline
            results = [conn.execute("select %%s::text || '%d'" % i, ("p",), prepare=True) for i in range(120)]
            assert [r.fetchone()[0] for r in results] == ["p%d" % i for i in range(120)]
        not_pinned()

        with conn.transaction(), conn.cursor(name="server_side") as named:
            named.execute("select id from d3 order by id")
            assert [r[0] for r in named.fetchmany(3)] == [0, 1, 2]
            assert len(named.fetchall()) == 20 + 300 + 2000 - 3

        notices = []
        conn.add_notice_handler(lambda diag: notices.append(diag.message_primary))
        conn.execute("do $$ begin raise notice 'noticed'; end $$")
        assert notices == ["noticed"], notices

        timer = threading.Timer(0.3, conn.cancel)
        timer.start()
        expect(errors.QueryCanceled, lambda: conn.execute("select pg_sleep(30)"))
        assert conn.execute("select 'after cancel'").fetchone()[0] == "after cancel"

        conn.execute("listen d3_channel")
        with psycopg.connect(autocommit=True) as other:
            other.execute("notify d3_channel, 'payload'")
        deadline = time.monotonic() + 20
        got = None
        for note in conn.notifies():
            got = note.payload
            break
        assert got == "payload" and time.monotonic() < deadline
        conn.execute("set timezone = 'Asia/Tokyo'")
        assert conn.execute("show timezone").fetchone()[0] == "Asia/Tokyo"
        assert conn.info.timezone.key == "Asia/Tokyo"

    with psycopg.connect() as conn:  # transactions by default
        conn.execute("insert into d3 (id, v) values (9999, 'implicit')")
        conn.rollback()
        assert conn.execute("select count(*) from d3 where id = 9999").fetchone()[0] == 0
        conn.commit()
    threads = [threading.Thread(target=many, args=(n, [])) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(DONE) == 20, DONE


DONE = []


def many(number, _):
    with psycopg.connect(autocommit=True) as conn:
        for i in range(50):
            row = conn.execute("select %s::int, v from d3 where id = %s", (number, i % 20)).fetchone()
            assert row[0] == number
    DONE.append(number)


main()
