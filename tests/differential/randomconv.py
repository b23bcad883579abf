"""Conversations made from a seed: pipelines, names, portals, errors, transactions, settings and cache hazards, mixed.

Deterministic on PostgreSQL by construction: connections take turns, each writes only keys of its own, and no
statement waits for another's lock. The same seed gives the same script, so a difference is found again by its seed.
"""
import random

import conv

NAMES = ["-", "-", "s1", "s2", "s3", "a name"]
PORTALS = ["-", "-", "-", "p1", "p2"]
SETTINGS = ["TimeZone = 'Asia/Tokyo'", "TimeZone = 'UTC'", "DateStyle = 'German'", "DateStyle = 'ISO'", "search_path = other, public",
            "search_path = public", "bytea_output = 'escape'", "extra_float_digits = 0", "my.own = 'x'", "IntervalStyle = 'iso_8601'"]
SHOWN = ["TimeZone", "DateStyle", "search_path", "bytea_output", "extra_float_digits", "IntervalStyle", "application_name"]


class Maker:
    def __init__(self, seed, blocks=True):
        self.rng = random.Random(seed)
        self.blocks = blocks
        self.out = []

    def say(self, who, verb, rest=""):
        self.out.append(conv.Command(len(self.out) + 1, who, verb, rest))

    def pick(self, *choices):
        return self.rng.choice(choices)

    def key(self):
        return self.rng.randrange(1, 12)

    def own(self, who):
        """A key only this connection writes."""
        return {"a": 1000, "b": 2000, "c": 3000}[who] + self.rng.randrange(5)

    def read(self):
        k = self.key()
        return self.pick(
            "select v from kv where k = %d" % k, "select k, v from kv where k = %d" % k, "select count(*) from kv",
            "select v from public.kv where k = %d" % k, "select * from kv where k < %d order by k" % k,
            "select name, price from item where id = %d" % k, "select made from item where id = %d" % k,
            "select sum(k) from kv where k >= 1000", "select v from kv where k >= 1000 order by k",
            "select i.name, k.v from item i join kv k on k.k = i.id where i.id = %d" % k, "select read_kv(%d)" % k,
            "select count(*) from child where parent_id = %d" % k, "select 1", "select %d, 'text', null" % k,
            "select 1.1::float8, '\\xff'::bytea, interval '1 day'", "show " + self.pick(*SHOWN), "select name from item_view where id = %d" % k,
            "select k from kv order by k limit %d" % k, "/* c */ select v from kv where k = %d -- end" % k,
            "select exists(select 1 from kv where k = %d)" % self.pick(1000, 2000, 3000))

    def write(self, who):
        k = self.own(who)
        return self.pick(
            "insert into kv values (%d, 'i%d') on conflict (k) do update set v = excluded.v" % (k, self.rng.randrange(9)),
            "update kv set v = v || '.' where k = %d" % k, "delete from kv where k = %d" % k,
            "update kv set v = 'u%d' where k = %d returning k, v" % (self.rng.randrange(9), k),
            "with d as (delete from kv where k = %d returning k) select count(*) from d" % k,
            "insert into kv values (%d, 'x')" % k, "do $$ begin update kv set v = 'do' where k = %d; end $$" % k,
            "merge into kv using (values (%d)) s(k) on kv.k = s.k when matched then update set v = 'm' "
            "when not matched then insert values (s.k, 'n')" % k)

    def wrong(self):
        return self.pick("select 1/0", "selec", "select nope", "select * from nope", "select 'x'::int", "insert into kv values ('y')",
                         "select v from kv where k = 1/0", "execute nope", "fetch from nope")

    def statement(self, who):
        roll = self.rng.random()
        if roll < 0.55:
            return self.read()
        if roll < 0.78:
            return self.write(who)
        if roll < 0.88:
            return self.wrong()
        if roll < 0.94 and self.blocks:
            return self.pick("set " + self.pick(*SETTINGS), "reset " + self.pick("TimeZone", "DateStyle", "search_path", "all"))
        return self.pick("", ";", "select 1; select 2", "-- nothing")

    def transaction(self):
        return self.pick("begin", "begin", "commit", "commit", "rollback", "savepoint sp", "rollback to sp", "release sp",
                         "begin isolation level repeatable read", "begin read only", "start transaction")

    def parameterized(self):
        return self.pick(("select v from kv where k = $1", [str(self.key())]), ("select $1::int + $2::int", ["1", "2"]),
                         ("select v from kv where k = $1 or k = $2 order by k", [str(self.key()), str(self.key())]),
                         ("select name from item where id = $1 and price > $2", [str(self.key()), "0"]),
                         ("select $1::text", [self.pick("x", "NULL", "big:3000")]), ("select 1/$1::int", [self.pick("0", "1")]),
                         ("select count(*) from kv where k > $1", [self.pick("5", "999", "bad")]))

    def cycle(self, who):
        """Some messages of the extended protocol, in an order that mostly makes sense."""
        for _ in range(self.rng.randrange(1, 5)):
            name, portal = self.pick(*NAMES), self.pick(*PORTALS)
            roll = self.rng.random()
            sql, values = self.parameterized() if self.rng.random() < 0.5 else (self.statement(who), [])
            if roll < 0.7:
                self.say(who, "P", "%s %s" % (name.replace(" ", "_"), sql))
            if self.rng.random() < 0.2:
                self.say(who, "D", "S " + name.replace(" ", "_"))
            if self.rng.random() < 0.92:
                formats = self.pick("", "", "out=1 ", "out=0 ")
                self.say(who, "B", "%s %s %s%s" % (portal, name.replace(" ", "_"), formats, " ".join(values)))
            if self.rng.random() < 0.5:
                self.say(who, "D", "P " + portal)
            if self.rng.random() < 0.92:
                self.say(who, "E", "%s %d" % (portal, self.pick(0, 0, 0, 0, 1, 3)))
            if self.rng.random() < 0.12:
                self.say(who, "C", "%s %s" % (self.pick("S", "P"), name.replace(" ", "_")))
            if self.rng.random() < 0.1:
                self.say(who, "H+")
            if self.rng.random() < 0.3:
                self.say(who, "S+")
        self.say(who, "S")

    def turn(self, who):
        roll = self.rng.random()
        if roll < 0.30:
            self.say(who, "Q", self.statement(who))
        elif roll < 0.45:
            sql, values = self.parameterized()
            self.say(who, "X", "%s%s <- %s" % (self.pick("", "out=1 "), sql, " ".join(values)))
        elif roll < 0.70:
            self.cycle(who)
        elif roll < 0.80:
            for _ in range(self.rng.randrange(2, 7)):
                self.say(who, self.pick("Q+", "X+"), self.statement(who))
            self.say(who, "settle")
        elif roll < 0.93 and self.blocks:
            self.say(who, self.pick("Q", "Q", "X"), self.transaction())
        elif roll < 0.95:
            self.say(who, "split", self.pick("0", "0", "1", "5", "13"))
        else:
            sql = self.read()
            for other in "abc":
                self.say(other, "Q", sql)
            self.say(who, "Q", self.statement(who))
            for other in "abc":
                self.say(other, "Q", sql)

    def make(self, turns):
        for _ in range(turns):
            self.turn(self.pick("a", "b", "c"))
        return self.out


def script(seed, turns=60, blocks=True):
    commands = Maker(seed, blocks).make(turns)
    statements = sum(c.verb.rstrip("+") in ("Q", "X", "P", "E") for c in commands)
    modes = ("session", "transaction", "statement")
    return conv.Script("random_%d" % seed, commands, modes, [], statements, 1)
