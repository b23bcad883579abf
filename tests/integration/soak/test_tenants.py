#!/usr/bin/python3
"""Two tenants, told apart by nothing but SET search_path, share four server connections: no foreign row, ever.

1,000 clients, half of each tenant. Every row carries its owner, every request its client's number, and both come back. Mixed
in: settings that differ per client, prepared statements, pipelines with errors, transactions that roll back their SET, cached
reads, COPY, cancels, and clients that vanish in the middle of a query.

PGWEIR_SOAK_STATEMENTS=1000000 is the long form (default 50,000); PGWEIR_SOAK_CLIENTS, PGWEIR_SOAK_SEED change the rest.
PGWEIR=direct proves the test: 1,000 connections of PostgreSQL's own.
"""
import asyncio
import os
import random
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "proxy"))
import support  # noqa: E402
from support import pgwire  # noqa: E402

SANITIZED = bool(os.environ.get("PGWEIR_SANITIZE"))
STATEMENTS = int(os.environ.get("PGWEIR_SOAK_STATEMENTS", "10000" if SANITIZED else "50000"))
CLIENTS = int(os.environ.get("PGWEIR_SOAK_CLIENTS", "200" if SANITIZED else "1000"))
SEED = int(os.environ.get("PGWEIR_SOAK_SEED", "1"))
TENANTS = ("red", "blue")
ACCOUNTS = 50

SCHEMA = """
create schema {t};
create table {t}.account (id int primary key, owner text not null, n int not null);
insert into {t}.account select i, '{t}', 0 from generate_series(1, %d) i;
create table {t}.counter (client int primary key, owner text not null, n int not null);
insert into {t}.counter select i, '{t}', 0 from generate_series(0, %d) i;
create table {t}.journal (client int, turn int, owner text default '{t}');
create function {t}.whoami() returns text language sql stable as $$ select '{t}'::text $$;
create view {t}.mine as select owner, count(*)::int as many from {t}.account group by owner;
""" % (ACCOUNTS, CLIENTS)


class Wrong(Exception):
    """An answer that PostgreSQL would not have given."""


class Wire(asyncio.Protocol):
    """One connection: ask() sends bytes and gives the messages up to the wanted number of ReadyForQuery."""

    def __init__(self):
        self.buffer, self.messages, self.want, self.waiter, self.transport = b"", [], 0, None, None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        buffer = self.buffer + data if self.buffer else data
        at, end = 0, len(buffer)
        while end - at >= 5:
            size = int.from_bytes(buffer[at + 1:at + 5], "big") + 1
            if end - at < size:
                break
            kind = buffer[at:at + 1]
            self.messages.append((kind, buffer[at + 5:at + size]))
            at += size
            if kind in (b"Z", b"G"):
                self.want -= 1
                if self.want == 0 and self.waiter and not self.waiter.done():
                    self.waiter.set_result(None)
        self.buffer = buffer[at:]

    def connection_lost(self, exc):
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(Wrong("connection lost: %s %s" % (exc, [
                pgwire.error_fields(body) for kind, body in self.messages if kind == b"E"])))

    def post(self, data, want):
        self.want, self.messages = want, []
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(data)

    async def ask(self, data, want=1):
        self.post(data, want)
        await asyncio.wait_for(self.waiter, 240)
        return self.messages


def rows_of(messages):
    return [[v.decode() if v is not None else None for v in pgwire.data_row(body)] for kind, body in messages if kind == b"D"]


def errors_of(messages):
    return [pgwire.error_fields(body)["C"] for kind, body in messages if kind == b"E"]


def same(got, want):
    if got != want:
        raise Wrong("got %r, wanted %r" % (got, want))


def extended(sql, values=(), name=""):
    return pgwire.parse(name, sql) + pgwire.bind("", name, values) + pgwire.execute() + pgwire.SYNC


class Client:
    def __init__(self, number, soak):
        self.number, self.soak, self.rng = number, soak, random.Random(SEED * 100003 + number)
        self.tenant = TENANTS[number % 2]
        self.text = b"%d" % number
        self.counter, self.turn, self.named = 0, 0, set()
        self.wire = None

    # ---- connecting ----------------------------------------------------------------------------
    async def connect(self):
        _, self.wire = await asyncio.get_running_loop().create_connection(Wire, *self.soak.address)
        params = {"user": "postgres", "database": "postgres", "application_name": "client %d" % self.number}
        how = self.number // 2 % 3
        if how == 0:
            params["options"] = "-c search_path=%s" % self.tenant
        self.named = set()
        messages = await self.wire.ask(pgwire.startup(params))
        self.key = next(struct.unpack("!II", body) for kind, body in messages if kind == b"K")
        if how == 1:
            await self.simple("set search_path to %s" % self.tenant)
        elif how == 2:
            await self.simple("select set_config('search_path', '%s', false)" % self.tenant)
        await self.simple("set soak.client = '%d'" % self.number)

    async def simple(self, sql):
        messages = await self.wire.ask(pgwire.query(sql))
        if errors_of(messages):
            raise Wrong("%s: %s" % (sql, errors_of(messages)))
        self.soak.statements += 1
        return rows_of(messages)

    async def cancel(self):
        reader, writer = await asyncio.open_connection(*self.soak.address)
        writer.write(struct.pack("!IIII", 16, pgwire.CANCEL_CODE, *self.key))
        await reader.read(1)
        writer.close()

    # ---- what it does, one at a time -----------------------------------------------------------
    async def read_simple(self):
        key = self.rng.randint(1, ACCOUNTS)
        same(await self.simple("select owner, id, whoami(), %d from account where id = %d" % (self.number, key)),
             [[self.tenant, str(key), self.tenant, str(self.number)]])

    async def read_cached(self):
        """The same text for everybody: nothing but the session's search_path tells the tenants apart."""
        key = self.rng.randint(1, 5)
        same(await self.simple("select owner, id from account where id = %d" % key), [[self.tenant, str(key)]])

    async def read_extended(self):
        key = self.rng.randint(1, ACCOUNTS)
        messages = await self.wire.ask(extended("select owner, id, $2::text from account where id = $1", [b"%d" % key, self.text]))
        same(rows_of(messages), [[self.tenant, str(key), str(self.number)]])
        self.soak.statements += 1

    async def read_prepared(self):
        """Names that all clients use, for statements that are not the same."""
        name = "s%d" % self.rng.randint(1, 6)
        key = self.rng.randint(1, ACCOUNTS)
        message = b""
        if name not in self.named:
            self.named.add(name)
            message = pgwire.parse(name, "select owner, id, '%s of %d' as v from account where id = $1" % (name, self.number % 40))
        message += pgwire.bind("", name, [b"%d" % key]) + pgwire.execute() + pgwire.SYNC
        same(rows_of(await self.wire.ask(message)), [[self.tenant, str(key), "%s of %d" % (name, self.number % 40)]])
        self.soak.statements += 1
        if self.rng.random() < 0.2:
            self.named.discard(name)
            await self.simple("deallocate %s" % name)

    async def settings(self):
        same(await self.simple("select current_setting('soak.client'), current_setting('search_path'), "
                               "current_setting('application_name')"),
             [[str(self.number), self.tenant, "client %d" % self.number]])
        same(await self.simple("show search_path"), [[self.tenant]])

    async def count(self):
        self.counter += 1
        same(await self.simple("update counter set n = n + 1 where client = %d returning owner, n" % self.number),
             [[self.tenant, str(self.counter)]])

    async def transaction(self):
        commit = self.rng.random() < 0.5
        await self.simple("begin")
        same(await self.simple("insert into journal (client, turn) values (%d, %d) returning owner" % (self.number, self.turn)),
             [[self.tenant]])
        same(await self.simple("update counter set n = n + 1 where client = %d returning owner, n" % self.number),
             [[self.tenant, str(self.counter + 1)]])
        same(await self.simple("select owner, many from mine"), [[self.tenant, str(ACCOUNTS)]])
        self.counter += commit
        await self.simple("commit" if commit else "rollback")
        same(await self.simple("select n from counter where client = %d" % self.number), [[str(self.counter)]])

    async def rolled_back_set(self):
        """A SET that its transaction takes back, and one that was LOCAL."""
        other = TENANTS[1 - self.number % 2]
        await self.simple("begin")
        await self.simple("set search_path to %s" % other)
        same(await self.simple("select whoami()"), [[other]])
        await self.simple("rollback")
        same(await self.simple("select whoami()"), [[self.tenant]])
        await self.simple("begin")
        await self.simple("set local search_path to %s" % other)
        same(await self.simple("select owner from account where id = 1"), [[other]])
        await self.simple("commit")
        same(await self.simple("select owner from account where id = 1"), [[self.tenant]])

    async def change_over(self):
        """To the other tenant's schema and back, outside of transactions."""
        other = TENANTS[1 - self.number % 2]
        await self.simple("set search_path to %s" % other)
        same(await self.simple("select owner, id from account where id = 3"), [[other, "3"]])
        await self.simple("set search_path to %s" % self.tenant)
        same(await self.simple("select owner, id from account where id = 3"), [[self.tenant, "3"]])

    async def everything_discarded(self):
        await self.simple("discard all")
        self.named = set()
        if self.number // 2 % 3 != 0:
            messages = await self.wire.ask(pgwire.query("select owner from account where id = 1"))
            same((errors_of(messages), rows_of(messages)), (["42P01"], []))
            await self.simple("set search_path to %s" % self.tenant)
        same(await self.simple("select owner from account where id = 1"), [[self.tenant]])
        await self.simple("set soak.client = '%d'" % self.number)
        await self.simple("set application_name = 'client %d'" % self.number)

    async def error(self):
        bad = self.rng.choice((("select 1/0", "22012"), ("select nothing_there", "42703"), ("selec", "42601"),
                               ("select 'client %d'::int" % self.number, "22P02"), ("table only_elsewhere", "42P01")))
        messages = await self.wire.ask(pgwire.query(bad[0]))
        same(errors_of(messages), [bad[1]])
        if bad[1] == "22P02":
            text = next(pgwire.error_fields(body)["M"] for kind, body in messages if kind == b"E")
            same(text, 'invalid input syntax for type integer: "client %d"' % self.number)

    async def pipeline(self):
        """Several requests in one write, an error in the middle of some."""
        many, wants, message = self.rng.randint(2, 6), [], b""
        for step in range(many):
            if self.rng.random() < 0.2:
                message += (pgwire.parse("", "select 1/$1::int") + pgwire.bind("", "", [b"0"]) + pgwire.execute()
                            + pgwire.parse("", "select 'skipped'") + pgwire.bind("", "") + pgwire.execute() + pgwire.SYNC)
                wants.append("22012")
            else:
                message += extended("select owner, $1::text, $2::text from account where id = 9", [self.text, b"%d" % step])
                wants.append([[self.tenant, str(self.number), str(step)]])
        messages, part = await self.wire.ask(message, many), []
        for kind, body in messages:
            part.append((kind, body))
            if kind == b"Z":
                want = wants.pop(0)
                same(errors_of(part) if isinstance(want, str) else rows_of(part), [want] if isinstance(want, str) else want)
                part = []
        self.soak.statements += many

    async def copy_out(self):
        messages = await self.wire.ask(pgwire.query("copy (select owner, %d from account where id < 4 order by id) to stdout"
                                                    % self.number))
        same([body for kind, body in messages if kind == b"d"], [b"%s\t%d\n" % (self.tenant.encode(), self.number)] * 3)
        self.soak.statements += 1

    async def copy_in(self):
        await self.wire.ask(pgwire.query("copy journal (client, turn) from stdin"))
        lines = b"".join(b"%d\t%d\n" % (self.number, -1 - i) for i in range(3))
        messages = await self.wire.ask(pgwire.msg("d", lines) + pgwire.COPY_DONE)
        same(errors_of(messages), [])
        self.soak.statements += 1

    async def sleep_and_cancel(self):
        length = self.rng.choice((0, 0.001, 0.004))
        self.wire.post(pgwire.query("select whoami(), %d, pg_sleep(%s)" % (self.number, length)), 1)
        await asyncio.sleep(self.rng.random() * length)
        await self.cancel()
        await asyncio.wait_for(self.wire.waiter, 240)
        messages = self.wire.messages
        if errors_of(messages):
            same(errors_of(messages), ["57014"])
            self.soak.cancelled += 1
        else:
            same(rows_of(messages), [[self.tenant, str(self.number), ""]])
        self.soak.statements += 1

    async def vanish(self):
        """Gone in the middle of a result, a transaction, or a query that still runs; back as a new connection."""
        kind = self.rng.randrange(3)
        if kind == 0:
            self.wire.post(pgwire.query("select owner, repeat('%d', 2000) from account, generate_series(1, 20)" % self.number), 1)
        elif kind == 1:
            await self.simple("begin")
            await self.simple("update counter set n = n + 1000 where client = %d" % self.number)
        else:
            self.wire.post(pgwire.query("select owner, pg_sleep(0.005) from account where id = 1"), 1)
        await asyncio.sleep(0)
        waiter, self.wire.waiter = self.wire.waiter, None
        if waiter:
            waiter.cancel()
        self.wire.transport.abort()
        await self.connect()
        same(await self.simple("select n from counter where client = %d" % self.number), [[str(self.counter)]])

    MIX = [("read_simple", 20), ("read_cached", 25), ("read_extended", 15), ("read_prepared", 15), ("settings", 6), ("count", 8),
           ("transaction", 3), ("rolled_back_set", 2), ("change_over", 2), ("everything_discarded", 0.5), ("error", 6),
           ("pipeline", 8), ("copy_out", 2), ("copy_in", 1), ("sleep_and_cancel", 1), ("vanish", 0.5)]

    async def run(self):
        work, weights = zip(*self.MIX)
        while self.soak.statements < STATEMENTS:
            self.turn += 1
            name = self.rng.choices(work, weights)[0]
            self.soak.done[name] = self.soak.done.get(name, 0) + 1
            try:
                await getattr(self, name)()
            except (Wrong, OSError, asyncio.TimeoutError) as wrong:
                raise Wrong("client %d of %s, turn %d, %s: %r" % (self.number, self.tenant, self.turn, name, wrong)) from wrong
        same(await self.simple("select owner, n from counter where client = %d" % self.number), [[self.tenant, str(self.counter)]])
        self.wire.transport.write(pgwire.TERMINATE)
        self.wire.transport.close()


class Tenants(support.Case):
    settings = {"max_connections": CLIENTS + 60} if support.STANDIN else {"max_connections": 60}
    database = {"pool_size": 4}

    @classmethod
    def prepare(cls):
        for tenant in TENANTS:
            cls.cluster.sql(SCHEMA.replace("{t}", tenant))

    async def everybody(self):
        gate = asyncio.Semaphore(100)  # not more than that log in at a time
        clients = [Client(number, self) for number in range(CLIENTS)]

        async def one(client):
            async with gate:
                await client.connect()
            await client.run()

        watch = asyncio.create_task(self.watch())
        tasks = [asyncio.create_task(one(client)) for client in clients]
        try:
            await asyncio.gather(*tasks)
        finally:
            watch.cancel()
            for task in tasks:
                task.cancel()
            for client in clients:
                if client.wire:
                    client.wire.transport.abort()
            await asyncio.sleep(0.1)

    async def watch(self):
        while True:
            await asyncio.sleep(0.5)
            if not support.STANDIN:
                most = await asyncio.to_thread(self.sessions, "application_name <> 'pgweir'")
                self.most = max(self.most, most)

    def test_no_foreign_row(self):
        self.address = self.weir.address
        self.statements = self.cancelled = self.most = 0
        self.done = {}
        asyncio.run(self.everybody())
        print("%d statements, %d cancelled, at most %d server sessions: %s" % (self.statements, self.cancelled, self.most, self.done))
        self.assertGreaterEqual(self.statements, STATEMENTS)
        for tenant in TENANTS:  # nothing was written into the wrong schema
            self.assertEqual(self.cluster.sql("select count(*) from %s.journal where owner <> '%s' or client %% 2 <> %d" % (
                tenant, tenant, TENANTS.index(tenant))), [["0"]])
            self.assertEqual(self.cluster.sql("select count(*) from %s.counter where client %% 2 <> %d and n <> 0" % (
                tenant, TENANTS.index(tenant))), [["0"]])
        if not support.STANDIN:
            with self.weir.connect("pgweir") as console:
                self.assertEqual(console.rows("show pins"), [])


class TenantsOff(Tenants):
    """The same without cache, coalescing and promotion."""

    sections = {"cache": {"consistency": "off"}, "batch": {"single_flight": "off", "pipeline": "off", "merge": "off",
                                                           "promote": "off"}}


if __name__ == "__main__":
    support.main()
