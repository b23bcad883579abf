"""asyncpg with its defaults: named prepared statements for everything, binary results, its own pool, COPY, cancel."""
import asyncio
import io

import asyncpg


async def asyncpg_again():
    """A second connection right behind a DEALLOCATE ALL of the first."""
    conn = await asyncpg.connect()
    try:
        return await conn.fetchval("select $1::int + 3", 4)
    finally:
        await conn.close()


async def main():
    conn = await asyncpg.connect()
    await conn.execute("drop table if exists da; create table da (id int primary key, v text, a int[], ts timestamptz)")
    await conn.executemany("insert into da values ($1, $2, $3, now())", [(i, "v%d" % i, [i]) for i in range(100)])
    for i in range(30):
        row = await conn.fetchrow("select id, v, a from da where id = $1", i)
        assert (row["id"], row["v"], row["a"]) == (i, "v%d" % i, [i])
    statement = await conn.prepare("select v from da where id = $1")
    for i in range(10):
        assert await statement.fetchval(i) == "v%d" % i
    try:
        await conn.execute("insert into da values (1)")
        raise AssertionError("no error")
    except asyncpg.UniqueViolationError as caught:
        assert caught.constraint_name == "da_pkey"
    async with conn.transaction():
        await conn.execute("update da set v = 'tx' where id = 1")
        try:
            async with conn.transaction():
                await conn.execute("update da set v = 'inner' where id = 1")
                raise ValueError
        except ValueError:
            pass
        seen = [row["id"] async for row in conn.cursor("select id from da order by id")]
        assert seen == list(range(100))
    assert await conn.fetchval("select v from da where id = 1") == "tx"
    async with conn.transaction(isolation="serializable", readonly=True):
        assert await conn.fetchval("show transaction_isolation") == "serializable"
    await conn.copy_records_to_table("da", records=[(i, "copied", [1], None) for i in range(1000, 3000)])
    assert await conn.fetchval("select count(*) from da") == 2100
    try:
        await conn.fetchval("select pg_sleep(30)", timeout=0.3)  # asyncpg cancels
        raise AssertionError("not cancelled")
    except asyncio.TimeoutError:
        pass
    assert await conn.fetchval("select 6") == 6
    out = io.BytesIO()
    assert await conn.copy_from_query("select id, v from da where id >= $1 order by id", 2990, output=out, format="csv") == "COPY 10"
    assert out.getvalue().startswith(b"2990,copied\n")
    async with conn.transaction():
        oid = await conn.fetchval("select lo_from_bytea(0, $1)", b"large object" * 1000)
        fd = await conn.fetchval("select lo_open($1, 262144)", oid)
        assert await conn.fetchval("select loread($1, 5)", fd) == b"large"
    assert await conn.fetchval("select lo_unlink($1)", oid) == 1
    await conn.execute("deallocate all")
    assert await asyncpg_again() == 7
    got = asyncio.Queue()
    await conn.add_listener("da_channel", lambda *args: got.put_nowait(args[3]))
    other = await asyncpg.connect()
    await other.execute("notify da_channel, 'payload'")
    assert await asyncio.wait_for(got.get(), 20) == "payload"
    await other.execute("alter table da add column extra int default 3")
    row = await conn.fetchrow("select * from da where id = 2")
    assert row["extra"] == 3
    await other.close()
    await conn.close()
    pool = await asyncpg.create_pool(min_size=10, max_size=20)

    async def work(number):
        for i in range(20):
            async with pool.acquire() as mine:
                assert await mine.fetchval("select $1::int + id from da where id = $2", number, i) == number + i

    await asyncio.gather(*[work(n) for n in range(40)])
    await pool.close()


asyncio.run(main())
