#!/usr/bin/python3
"""Where a user's secret comes from: auth.query, the server's pg_authid, the user list; always what is true now."""
import hashlib
import os
import struct

import support
from support import fixture, pgwire

EVIL = """create schema evil; grant usage on schema evil to public;
create table evil.pg_shadow(usename name, passwd text); create table evil.pg_authid(rolname name, rolpassword text, rolcanlogin bool, rolvaliduntil timestamptz);
create table evil.pg_roles(rolname name, rolcanlogin bool, rolvaliduntil timestamptz);
insert into evil.pg_shadow values ('victim', 'md5' || md5('evilvictim')); insert into evil.pg_authid values ('victim', 'md5' || md5('evilvictim'), true, null);
create function evil.always(name, name) returns bool language sql as 'select true';
create function evil.always(name, text) returns bool language sql as 'select true';
create operator evil.= (leftarg = name, rightarg = name, function = evil.always);
create operator evil.= (leftarg = name, rightarg = text, function = evil.always);
grant select on all tables in schema evil to public;
alter role postgres set search_path = evil, pg_catalog, public;
alter database postgres set search_path = evil, pg_catalog, public"""


class Case(support.Case):
    proxy_only = True
    auth = "scram-sha-256"

    def end_of(self, user, password, database="postgres"):
        """'Z', or the SQLSTATE of the refusal."""
        conn = self.bare()
        kind, body = conn.login(user, database, password)[-1]
        conn.drop()
        return kind if kind == "Z" else pgwire.error_fields(body)["C"]

    def sql(self, text):
        self.cluster.sql(text)


class Truth:
    """What must be true however the secret is found."""

    def test_right_and_wrong(self):
        self.assertEqual(self.end_of("ann", "one"), "Z")
        self.assertEqual(self.end_of("ann", "two"), "28P01")
        self.assertEqual(self.end_of("nobody_here", "one"), "28P01")

    def test_changed_password_counts_at_once(self):
        for number in range(5):
            self.sql("alter role ann password 'new%d'" % number)
            self.assertEqual(self.end_of("ann", "new%d" % number), "Z")
            self.assertEqual(self.end_of("ann", "new%d" % (number - 1)), "28P01")
        self.sql("alter role ann password 'one'")

    def test_nologin_counts_at_once(self):
        self.assertEqual(self.end_of("ann", "one"), "Z")
        self.sql("alter role ann nologin")
        try:
            self.assertIn(self.end_of("ann", "one"), ("28000", "28P01"))
        finally:
            self.sql("alter role ann login")
        self.assertEqual(self.end_of("ann", "one"), "Z")

    def test_valid_until_counts_at_once(self):
        self.assertEqual(self.end_of("ann", "one"), "Z")
        try:
            for moment, end in (("2001-01-01", "28P01"), ("infinity", "Z"), ("-infinity", "28P01"), ("2999-01-01", "Z")):
                self.sql("alter role ann valid until '%s'" % moment)
                self.assertEqual(self.end_of("ann", "one"), end, moment)
        finally:
            self.sql("alter role ann valid until 'infinity'")

    def test_dropped_role(self):
        self.sql("create role brief login password 'b'; grant select on ok to brief")
        self.assertEqual(self.end_of("brief", "b"), "Z")
        self.sql("drop owned by brief; drop role brief")
        self.assertIn(self.end_of("brief", "b"), ("28P01", "28000"))

    def test_search_path_is_ours(self):
        """Objects that the upstream user's or the database's search_path puts first are not looked at."""
        self.assertEqual(self.end_of("victim", "real"), "Z")
        self.assertEqual(self.end_of("victim", "evil"), "28P01")

    def test_many_users_at_once(self):
        joins = [self.in_thread(self.end_of, "u%d" % (i % 50), "p%d" % (i % 50)) for i in range(100)]
        joins += [self.in_thread(self.end_of, b"\xff\xfe%d" % i, "x") for i in range(5)]  # no names in UTF-8
        ends = [join() for join in joins]
        self.assertEqual(ends[:100], ["Z"] * 100)
        self.assertNotIn("Z", ends[100:])


def prepare(cluster):
    cluster.sql("create role ann login password 'one'; create role victim login password 'real'; create table ok(); "
                + ";".join("create role u%d login password 'p%d'" % (i, i) for i in range(50)))
    cluster.sql(EVIL)


class Upstream(Truth, Case):
    @classmethod
    def prepare(cls):
        prepare(cls.cluster)


class UpstreamWithoutRights(Truth, Case):
    """Relayed: the server itself knows what is true."""

    @classmethod
    def prepare(cls):
        prepare(cls.cluster)

    @classmethod
    def start(cls, database=None, sections=None, **more):
        return fixture.Pgweir(cls.cluster, {"pool_size": 1, **(database or {})}, url=cls.cluster.url(user="u1", password="p1"))


class AuthQuery(Truth, Case):
    query = "select usename, passwd from pg_shadow where usename = $1"

    @classmethod
    def prepare(cls):
        prepare(cls.cluster)
        cls.sql_before()

    @classmethod
    def sql_before(cls):
        """Hook."""

    @classmethod
    def start(cls, database=None, sections=None, **more):
        return fixture.Pgweir(cls.cluster, database, {"auth": {"type": "scram-sha-256", "query": cls.query}}, url=cls.url())

    @classmethod
    def url(cls):
        return cls.cluster.url()


class AuthQueryByFunction(AuthQuery):
    """As PgBouncer's manual has it: a plain role that may only call a function."""
    query = "select * from public.lookup($1)"

    @classmethod
    def sql_before(cls):
        cls.cluster.sql("create function public.lookup(who text, out usename text, out passwd text) returns setof record language sql security definer "
                        "set search_path = pg_catalog as $$ select usename, passwd from pg_catalog.pg_shadow where usename = who $$; "
                        "create role asker login password 'ask'; revoke all on function public.lookup(text) from public; "
                        "grant execute on function public.lookup(text) to asker")

    @classmethod
    def url(cls):
        return cls.cluster.url(user="asker", password="ask")


class AuthQueryFails(Case):
    """What cannot be looked up is the server leg's failure, not a wrong password."""

    @classmethod
    def start(cls, database=None, sections=None, **more):
        return fixture.Pgweir(cls.cluster, database, {"auth": {"type": "scram-sha-256", "query": "select no_such_column where $1 = ''"}})

    def test_said_so(self):
        fields = self.error_of(self.bare().login("postgres", "postgres", "secret"))
        self.assert_sqlstate(fields, "08001")
        self.assertIn("from pgweir to the server", fields["D"])
        self.assertNotIn("no_such_column", str(fields), "the server's words are for the log")
        self.assertIn("no_such_column", self.weir.log())


class TrustingServer(Case):
    """The server asks for nothing: a role that may not log in any more is still found out at once."""
    auth = "trust"

    def test_nologin(self):
        self.sql("create role tim login")
        for _ in range(3):
            self.assertEqual(self.end_of("tim", None), "Z")
        self.sql("alter role tim nologin")
        for _ in range(3):
            self.assertEqual(self.end_of("tim", None), "28000")
        self.sql("alter role tim login valid until '2001-01-01'")  # which is about passwords only
        self.assertEqual(self.end_of("tim", None), "Z")


class UserList(Case):
    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.sql_now("create role dave login password 'dave1'; create role eve login password 'eve1'; create role wide login password 'pa\"ss'")
        verifier = cls.cluster.sql("select rolpassword from pg_authid where rolname = 'eve'")[0][0]
        cls.lines = '"dave" "dave1"\n"eve" "%s"\n"wide" "pa""ss"\n"none" ""\n' % verifier
        cls.users = cls.cluster.write("users.txt", cls.lines)
        return fixture.Pgweir(cls.cluster, database, {"auth": {"type": "scram-sha-256", "file": cls.users}})

    @classmethod
    def sql_now(cls, text):
        cls.cluster.sql(text)

    def reads(self):
        return self.weir.log().count("event=userlist_read")

    def test_secrets_open_the_server_too(self):
        """A password in clear and a verifier: the client by SCRAM, and the server leg by what was learnt."""
        for user, password in (("dave", "dave1"), ("eve", "eve1"), ("wide", 'pa"ss')):
            self.assertEqual(self.client(user=user, password=password).value("select current_user"), user)
            self.assertEqual(self.end_of(user, "no"), "28P01")
        for user in ("none", "postgres"):
            self.assertEqual(self.end_of(user, "secret"), "28P01")

    def test_new_salt(self):
        """The same password set again has another salt: keys made for the old one are made anew, not given to the server."""
        conn = self.client(user="dave", password="dave1")
        for _ in range(3):
            self.assertEqual(conn.value("select current_user"), "dave")
            self.sql("alter role dave password 'dave1'")
            self.weir.console("RECONNECT")
        self.assertEqual(conn.value("select current_user"), "dave")

    def test_read_only_when_changed(self):
        try:
            self.assertEqual(self.end_of("dave", "dave1"), "Z")
            support.wait_until(lambda: self.still_reading() is False, "the list to be settled")
            before = self.reads()
            for _ in range(20):
                self.assertEqual(self.end_of("dave", "dave1"), "Z")
            self.assertEqual(self.reads(), before)
            for number in range(2, 6):  # each of the same length, and each counts at once
                self.write(self.lines.replace("dave1", "dave%d" % number))
                self.sql("alter role dave password 'dave%d'" % number)
                self.assertEqual(self.end_of("dave", "dave%d" % number), "Z")
                self.assertEqual(self.end_of("dave", "dave%d" % (number - 1)), "28P01")
            self.write(self.lines.replace("dave1", "dave6"), by_rename=True)
            self.sql("alter role dave password 'dave6'")
            self.assertEqual(self.end_of("dave", "dave6"), "Z")
            self.write('"dave" "dave7\n')
            self.assertEqual(self.end_of("dave", "dave6"), "Z", "a broken list is not taken")
            self.assertIn("userlist_refused", self.weir.log())
            self.assertIn("users.txt:1", self.weir.console("RELOAD"))
            os.unlink(self.users)
            self.assertEqual(self.end_of("dave", "dave6"), "Z")
        finally:
            self.write(self.lines)
            self.sql("alter role dave password 'dave1'")
        self.assertEqual(self.end_of("dave", "dave1"), "Z")

    def still_reading(self):
        before = self.reads()
        self.assertEqual(self.end_of("dave", "dave1"), "Z")
        return self.reads() != before

    def write(self, text, by_rename=False):
        stamp = os.stat(self.users) if os.path.exists(self.users) else None
        name = self.users + ".new" if by_rename else self.users
        with open(name, "w") as out:
            out.write(text)
        if stamp:  # the time alone must not decide
            os.utime(name, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        if by_rename:
            os.rename(name, self.users)


class Md5List(Case):
    auth = "md5"

    @classmethod
    def start(cls, database=None, sections=None, **more):
        cls.cluster.sql("create role dave login password 'topsecret'; create role eve login password 'clear'")
        users = cls.cluster.write("users.txt", '"dave" "md5%s"\n"eve" "clear"\n' % hashlib.md5(b"topsecretdave").hexdigest())
        return fixture.Pgweir(cls.cluster, database, {"auth": {"type": "md5", "file": users}})

    def test_both(self):
        for user, password in (("dave", "topsecret"), ("eve", "clear")):
            conn = self.bare()
            answer = conn.login(user, "postgres", password)
            self.assertEqual(struct.unpack("!I", answer[0][1][:4])[0], 5, "not asked for md5")
            self.assertEqual(conn.value("select current_user"), user)


if __name__ == "__main__":
    support.main()
