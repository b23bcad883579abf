#!/usr/bin/python3
"""Freshness from a seed: after each thing one client of pgweir was told, others read at once what a direct connection reads.

Several clients of one pgweir take turns in writes, DDL, rights, settings and transactions; each has a shadow, a connection
straight to the same PostgreSQL with the same user and settings. The same reads are played before (so that they are cached)
and after; what the client is told must be what its shadow is told. Meanwhile others read without a pause, so that replies are
under way while something is written. Nothing else writes: a difference is an answer that was not possible at that moment.

  fresh.py --mode transaction --seed 7 --seeds 3 --steps 60       a difference is found again by its seed (the noise apart)
"""
import argparse
import os
import random
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "fixture"))
import pgweir_fixture as fixture  # noqa: E402
import pgwire  # noqa: E402
from run import load_template  # noqa: E402

READS = [
    "select v from kv where k = {k}", "select k, v from kv where k < {k} order by k", "select count(*), max(k) from kv",
    "select v from public.kv where k in ({k}, 1000)", "select count(*) from other.kv", "select v from other.kv where k = {k}",
    "select name, price from item where id = {k}", "select * from item where id = {k}", "select name from item_view where id = {k}",
    "select * from item_view order by id", "select n, total from item_sum", "select made, made::text from item where id = {k}",
    "select i.name, k.v from item i join kv k on k.k = i.id where i.id = {k}", "select read_kv({k})", "select twice({k})",
    "select count(*), sum(parent_id) from child", "select p.note, c.note from parent p join child c on c.parent_id = p.id where p.id = {k}",
    "select count(*) from parent", "select count(*), min(id) from part", "select v from part where id = {k}0", "select count(*) from part_low",
    "select count(*) from audit", "select v from audited order by id", "select v from secret order by id", "select count(*) from kv_and_item",
    "select * from deep where id < {k}", "select f from mooded order by f", "select count(*) from only base", "select count(*), sum(x) from base",
    "with q as (select k from kv where k > 900) select count(*) from q", "select exists (select from kv where k = 1000)",
    "select 'happy'::mood > 'sad'::mood, interval '1 day', '2024-01-02'::timestamptz", "select x::text from base order by x",
    "select tags from item where id = {k} order by 1", "select current_user, count(*) from kv", "select relname from pg_class where relname = 'kv'",
]
WRITES = [
    "update kv set v = v || '.' where k = {k}", "insert into kv values (1000, 'n') on conflict (k) do update set v = kv.v || '!'",
    "delete from kv where k = {k}", "insert into kv values ({k}, 'back') on conflict do nothing", "update item set price = price + 1 where id = {k}",
    "update public.item set name = name || 'x' where id = {k}", "update other.kv set v = v || ',' where k = {k}",
    "insert into audited values ({k}, 'w') on conflict (id) do update set v = audited.v || '~'", "update parent set id = id + 100 where id = {k}",
    "delete from parent where id = {k}", "insert into parent values ({k}, 'again') on conflict do nothing",
    "insert into child values (500 + {k}, (select min(id) from parent), 'c') on conflict do nothing", "update part set id = id + 100 where id = {k}0",
    "insert into part values ({k}5, 'p') on conflict (id) do update set v = part.v || '+'", "delete from part_low where id > {k}0",
    "with d as (delete from kv where k = {k} returning *) insert into audited select k + 100, v from d on conflict do nothing",
    "merge into kv using (values ({k})) s(k) on kv.k = s.k when matched then update set v = 'm' || kv.v when not matched then insert values (s.k, 'n')",
    "do $$ begin update kv set v = v || 'd' where k = {k}; end $$", "select add_kv(2000 + {n}, 'f')", "explain analyze update kv set v = v || 'e' where k = {k}",
    "refresh materialized view item_sum", "insert into base values ({n})", "insert into heir values ({n})", "update only base set x = x + 1",
    "insert into mooded values ('ok')", "update kv_view set v = v || 'v' where k = {k}", "insert into deep_base values ({k}, 'd')", "truncate heir",
    "truncate parent cascade", "update secret set v = v || 's'", "insert into ruled values ({n})", "prepare w as update kv set v = v || 'p' where k = {k}; execute w; deallocate w",
    "update kv set v = 'two' where k = {k}; update item set price = 0 where id = {k}", "begin; update kv set v = v || 'b' where k = {k}; commit",
    "copy (with u as (update kv set v = v || 'c' where k = {k} returning 1) select * from u) to stdout", "select lo_creat(-1) is null; delete from kv where k = {k}",
]
DDL = [
    "create or replace view item_view as select id, name from item where id <= {k}", "alter table base add column c{n} int default {k}",
    "create or replace function read_kv(k int) returns text language sql stable as 'select v || ''{n}'' from kv where kv.k = $1'",
    "create or replace function twice(k int) returns int language sql immutable as 'select $1 * {n}'", "create index on kv (v)", "drop table if exists deep_base cascade; create table deep_base (id int, v text); create or replace view deep_view as select * from deep_base; create or replace view deep as select id, v from deep_view",
    "alter table heir no inherit base", "alter table heir inherit base", "alter table part detach partition part_high", "alter table part attach partition part_high for values from (100) to (1000)",
    "alter table kv rename to kv_old; create table kv (k int primary key, v text); insert into kv select k, v || 'r' from kv_old; drop table kv_old cascade; create or replace view kv_view as select * from kv; grant all on kv to conv_alice, conv_bob",
    "alter type mood add value if not exists 'm{n}' before 'ok'", "alter table item alter price type numeric(12,3)", "vacuum kv", "analyze item", "comment on table kv is 'c{n}'",
    "drop trigger if exists audited_audit on audited", "create or replace trigger audited_audit after insert or update or delete on audited for each row execute function audit_it()",
    "alter table secret disable row level security", "alter table secret enable row level security", "create table if not exists other.item (id int, name text, price int, made date)", "drop table if exists other.item",
    "create or replace function other.twice(k int) returns int language sql immutable as 'select 7'", "drop function if exists other.twice(int)",
]
GRANTS = ["%s select on %s %s %s" % (verb, what, prep, who) for verb, prep in (("grant", "to"), ("revoke", "from")) for what in ("item", "kv", "secret", "item_view", "other.kv")
          for who in ("conv_alice", "conv_bob", "conv_group", "public")] + \
         ["grant conv_group to conv_bob", "revoke conv_group from conv_bob", "revoke usage on schema other from public", "grant usage on schema other to public",
          "alter policy mine on secret using (owner = 'conv_bob')", "alter policy mine on secret using (owner = current_user)", "alter role conv_bob bypassrls", "alter role conv_bob nobypassrls"]
SETTINGS = ["set TimeZone = 'Asia/Tokyo'", "set TimeZone = 'UTC'", "set DateStyle = 'German'", "set DateStyle = 'ISO'", "set search_path = other, public", "set search_path = public", "set IntervalStyle = 'iso_8601'",
            "set extra_float_digits = 0", "set my.own = 'x'", "reset all", "reset search_path", "discard all", "select set_config('search_path', 'other, public', false)", "select set_config('search_path', 'oth' || 'er', false), 1",
            "set role conv_alice", "set role conv_bob", "reset role", "set session authorization conv_alice", "reset session authorization", "create temp table kv (k int, v text)", "insert into pg_temp.kv values (1, 'mine')",
            "drop table if exists pg_temp.kv", "set default_transaction_isolation = 'serializable'", "set client_encoding = 'LATIN1'", "set standard_conforming_strings = off", "set standard_conforming_strings = on",
            "create temp view item as select 1 as id, 'x'::text as name, 1 as price, timestamptz '2001-01-01' as made", "drop view if exists pg_temp.item"]
WRONG = ["select 1/0", "selec", "insert into kv values (1, 'dup')", "select * from nope", "update kv set v = v || 'z' where k = 1/0"]
EXTRA = """
create table base (x int); create table heir () inherits (base); insert into base values (1); insert into heir values (2);
create table mooded (f mood); insert into mooded values ('sad'), ('happy');
create table deep_base (id int, v text); create view deep_view as select * from deep_base; create view deep as select id, v from deep_view;
create view kv_view as select * from kv; create view kv_and_item as select k.k from kv k join item i on i.id = k.k;
create table ruled (x int); create rule r as on insert to ruled do also insert into base values (new.x + 1);
create function twice(k int) returns int language sql immutable as 'select $1 * 2';
grant select on parent, child, audited, base, mooded, deep, item_view, audit, part, part_low to conv_alice, conv_bob;
grant create, usage on schema public to conv_alice, conv_bob;
"""
USERS = ["postgres", "postgres", "conv_alice", "conv_bob"]


class Pair:
    """A client of pgweir and its shadow."""

    def __init__(self, weir, cluster, user, database):
        self.user = user
        self.client = weir.connect(database, user, timeout=60.0)
        self.shadow = cluster.connect(database, user, timeout=60.0)
        self.has_temporary = False  # then what it writes may be its own, and its shadow knows nothing of it

    def both(self, work):
        return work(self.client), work(self.shadow)

    def drop(self):
        self.client.drop()
        self.shadow.drop()


def told(messages):
    """What matters of an answer: rows, tags, descriptions, and what an error says."""
    out = []
    for kind, body in messages:
        if kind == "T":
            out.append((kind, [column[:1] + column[2:] for column in pgwire.row_description(body)]))  # temporary tables: other oids
        elif kind in "DC":
            out.append((kind, body))
        elif kind == "E":
            fields = pgwire.error_fields(body)
            out.append((kind, fields["C"], fields["M"]))
    return out


def ask(conn, sql, way):
    """A read in one of the ways of asking."""
    if way == "simple":
        return told(conn.simple(sql))
    formats = [1] if way == "binary" else []
    name = "" if way != "named" else "n%d" % (hash(sql) & 0xffff)
    conn.send((pgwire.close("S", name) if name else b"") + pgwire.parse(name, sql) + pgwire.bind("", name, (), (), formats)
              + pgwire.describe("P", "") + pgwire.execute() + pgwire.SYNC)
    return told(conn.until("Z"))


class Noise(threading.Thread):
    """Reads all the time, so that replies are on their way while others write."""

    def __init__(self, weir, database, seed):
        super().__init__(daemon=True)
        self.rng, self.going, self.reads = random.Random(seed), True, 0
        self.conn = weir.connect(database, "postgres", timeout=60.0)

    def run(self):
        try:
            while self.going:
                self.conn.simple(self.rng.choice(READS).format(k=self.rng.randrange(1, 9)))
                self.reads += 1
        except (pgwire.WireError, OSError):
            pass  # its statement or connection ended with the database
        self.conn.drop()


class Play:
    def __init__(self, seed, weir, cluster, database):
        self.rng = random.Random(seed)
        self.weir, self.database, self.serial, self.compared = weir, database, 0, 0
        self.pairs = [Pair(weir, cluster, user, database) for user in USERS]
        self.log = []

    def text(self, sql):
        self.serial += 1
        return sql.replace("{k}", str(self.rng.randrange(1, 9))).replace("{n}", str(self.serial))

    def compare(self, pair, sql, when):
        way = self.rng.choice(["simple", "simple", "extended", "binary", "named"])
        got, want = pair.both(lambda conn: ask(conn, sql, way))
        self.compared += 1
        if got != want:
            raise AssertionError("%s by %s (%s) %s\n  pgweir: %s\n  direct: %s\n  after:\n    %s" % (
                sql, pair.user, way, when, got, want, "\n    ".join(self.log[-25:])))

    def say(self, pair, sql, also_shadow=False, ends=True):
        self.log.append("%d %s: %s" % (self.pairs.index(pair), pair.user, sql))
        for conn in [pair.client] + ([pair.shadow] if also_shadow else []):
            conn.simple(sql)
            if ends and conn.status != "I":
                conn.simple("rollback")

    def settle(self):
        """Planned anew after DDL, so that replies are kept again. It changes what is tested, not what is right."""
        def answer():
            return self.weir.console("EXPLAIN CACHE DATABASE %s select oid from pg_class" % self.database)
        try:
            fixture.wait_until(lambda: "system catalog" in answer(), "the catalog")
        except fixture.FixtureError as late:
            raise AssertionError("%s\n%s\n%s" % (late, answer(), self.weir.log()[-1500:])) from late

    def block(self, pair):
        """A transaction: others see nothing of it before its end, all of it after."""
        begin = self.rng.choice(["begin", "begin", "start transaction", "begin isolation level serializable"])
        steps = [begin]
        for _ in range(self.rng.randrange(1, 5)):
            steps.append(self.rng.choice(["savepoint a", "rollback to a", "release a", *WRITES, *WRITES[:12], "select count(*) from kv",
                                          *WRONG[:2], "set local search_path = other"]))
        steps = [self.text(s) for s in steps if not s.startswith(("begin;", "refresh", "truncate"))]
        steps.append(self.rng.choice(["commit", "commit", "commit", "rollback"]))
        reads = self.reads()
        others = [p for p in self.pairs if p is not pair]
        for step in steps:
            self.say(pair, step, ends=step in ("commit", "rollback"))
            other = self.rng.choice(others)
            self.compare(other, self.rng.choice(reads), "in a block of another")
        return reads

    def reads(self):
        return [self.text(self.rng.choice(READS)) for _ in range(3)]

    def set(self, pair):
        sql = self.rng.choice(SETTINGS)
        if " temp" in sql and pair is self.pairs[0]:
            return  # who changes tables sees them
        pair.has_temporary |= " temp" in sql
        pair.has_temporary &= "discard all" not in sql
        self.say(pair, sql, also_shadow=True)

    def step(self):
        pair = self.rng.choice(self.pairs)
        writer = self.rng.choice([p for p in self.pairs if not p.has_temporary])
        reads = self.reads()
        for sql in reads:
            for _ in range(2):
                for other in self.pairs[:2] + [pair]:
                    self.compare(other, sql, "before")
        roll = self.rng.random()
        if roll < 0.40:
            self.say(writer, self.text(self.rng.choice(WRITES)))
        elif roll < 0.55:
            reads += self.block(writer)
        elif roll < 0.68:
            self.say(self.pairs[0], self.text(self.rng.choice(DDL)))
        elif roll < 0.78:
            self.say(self.pairs[0], self.rng.choice(GRANTS))
        elif roll < 0.96:
            self.set(pair)
        else:
            self.say(writer, self.text(self.rng.choice(WRONG)))
        for sql in reads:
            for other in self.rng.sample(self.pairs, 3):
                self.compare(other, sql, "after")
        if roll >= 0.55 and self.rng.random() < 0.8:
            self.settle()

    def end(self):
        for pair in self.pairs:
            pair.drop()


def play(seed, weir, cluster, steps, noisy):
    database = "fresh_%d" % seed
    cluster.sql("create database %s template conv_template" % database)
    cluster.sql(EXTRA, database)
    noise = [Noise(weir, database, seed * 10 + i) for i in range(noisy)]
    game = Play(seed, weir, cluster, database)
    try:
        for thread in noise:
            thread.start()
        for _ in range(steps):
            game.step()
        return game.compared, None
    except (AssertionError, pgwire.WireError, fixture.FixtureError, OSError) as wrong:
        about = "" if isinstance(wrong, AssertionError) else weir.console("SHOW CLIENTS") + weir.console("SHOW SERVERS")
        return game.compared, "%s\n  last:\n    %s\n%s" % (wrong, "\n    ".join(game.log[-5:]), about)
    finally:
        for thread in noise:
            thread.going = False
        for thread in noise:
            thread.join(60.0)
        game.end()
        for reset in ("revoke conv_group from conv_bob", "alter role conv_bob nobypassrls"):
            cluster.sql(reset)
        cluster.sql("drop database %s with (force)" % database)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", default="transaction", choices=["session", "transaction"])
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--noise", type=int, default=2, help="clients that read all the time")
    parser.add_argument("--pool-size", type=int, default=12)
    options = parser.parse_args()
    failed = []
    sections = {"pgweir": {"workers": 2}, "cache": {"consistency": "proxy", "poll_interval": "1d", "ttl": "1h"}}
    with fixture.Postgres(settings={"max_connections": 200, "shared_buffers": "32MB"}) as cluster:
        load_template(cluster)
        with fixture.Pgweir(cluster, {"pool_mode": options.mode, "pool_size": options.pool_size}, sections) as weir:
            for seed in range(options.seed, options.seed + options.seeds):
                compared, wrong = play(seed, weir, cluster, options.steps, options.noise)
                print("%s seed %d: %d reads compared" % ("not ok" if wrong else "ok", seed, compared), flush=True)
                if wrong:
                    failed.append(seed)
                    print(wrong, flush=True)
            print(weir.console("SHOW CACHE"), flush=True)
    print("mode %s: %s" % (options.mode, "all fresh" if not failed else "differences with seeds %s" % failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
