"""psycopg2 with its defaults: simple protocol, transactions, COPY, named cursors, large objects, cancel, notify."""
import io
import os
import select
import threading

import psycopg2
import psycopg2.extensions


def main():
    conn = psycopg2.connect("")
    cur = conn.cursor()
    cur.execute("drop table if exists d2")
    cur.execute("create table d2 (id int primary key, v text)")
    cur.executemany("insert into d2 values (%s, %s)", [(i, "v%d" % i) for i in range(50)])
    conn.commit()
    for i in range(20):
        cur.execute("select v from d2 where id = %s", (i,))
        assert cur.fetchone()[0] == "v%d" % i
    conn.commit()
    try:
        cur.execute("insert into d2 values (1, 'again')")
        raise AssertionError("no error")
    except psycopg2.IntegrityError as caught:
        assert caught.pgcode == "23505" and caught.diag.constraint_name == "d2_pkey"
    conn.rollback()
    cur.copy_from(io.StringIO("".join("%d\tcopied\n" % i for i in range(100, 2100))), "d2")
    out = io.StringIO()
    cur.copy_to(out, "d2")
    assert out.getvalue().count("\n") == 2050
    conn.commit()
    named = conn.cursor("named")
    named.itersize = 100
    named.execute("select id from d2 order by id")
    assert sum(1 for _ in named) == 2050
    conn.commit()
    big = conn.lobject(0, "wb")
    big.write(b"large object" * 1000)
    oid = big.oid
    big.close()
    conn.commit()
    assert conn.lobject(oid, "rb").read() == b"large object" * 1000
    conn.commit()
    if os.environ.get("PGWEIR_POOL_MODE") == "transaction":  # nothing so far, large objects included, pins the session
        console = psycopg2.connect(dbname="pgweir")
        console.autocommit = True
        pins = console.cursor()
        pins.execute("show pins")
        pins = pins.fetchall()
        assert pins == [], pins
        console.close()
    timer = threading.Timer(0.3, conn.cancel)
    timer.start()
    try:
        cur.execute("select pg_sleep(30)")
        raise AssertionError("not cancelled")
    except psycopg2.extensions.QueryCanceledError:
        conn.rollback()
    conn.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
    cur.execute("listen d2_channel")
    other = psycopg2.connect("")
    other.autocommit = True
    other.cursor().execute("notify d2_channel, 'payload'")
    while not conn.notifies:
        assert select.select([conn], [], [], 20)[0], "no notification"
        conn.poll()
    assert conn.notifies[0].payload == "payload"
    conn.autocommit = False
    conn.set_session(isolation_level="SERIALIZABLE", readonly=True)
    cur.execute("show transaction_isolation")
    assert cur.fetchone()[0] == "serializable"
    conn.rollback()
    tx = conn.xid(1, "gtrid", "bqual")
    assert tx
    conn.close()


main()
