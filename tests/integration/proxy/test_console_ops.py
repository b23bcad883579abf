#!/usr/bin/python3
"""The console as an operator uses it: PgBouncer's columns, numbers after a known workload, PAUSE, KILL, DISABLE, SHUTDOWN, advice."""
import json
import socket
import subprocess

import support
from support import fixture, pgwire, wait_until

SOCKET = ("type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed "
          "ptr link remote_pid tls application_name prepared_statements id")
COUNTERS = "server_assignment_count xact_count query_count"
TOTALS = " ".join("total_" + name for name in (COUNTERS + " received sent xact_time query_time wait_time client_parse_count "
                                               "server_parse_count bind_count client_login_count").split())
AVERAGES = " ".join("avg_" + name for name in (COUNTERS + " recv sent xact_time query_time wait_time client_parse_count "
                                               "server_parse_count bind_count client_login_count").split())
PLAIN = "database " + COUNTERS + " bytes_received bytes_sent xact_time query_time wait_time "
# As in PgBouncer 1.25: exporters find columns by name and by place.
PGBOUNCER = {
    "STATS": "database " + TOTALS + " " + AVERAGES,
    "STATS_TOTALS": PLAIN + "client_parse_count server_parse_count bind_count client_login_count",
    "STATS_AVERAGES": PLAIN + "avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count",
    "TOTALS": "name value",
    "POOLS": "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel "
             "sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts",
    "CLIENTS": SOCKET,
    "SERVERS": SOCKET,
    "DATABASES": "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode "
                 "load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused "
                 "disabled",
    "USERS": "name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections "
             "current_client_connections",
    "LISTS": "list items",
    "CONFIG": "key value default changeable",
    "MEM": "name size used free memtotal",
    "STATE": "key value",
    "VERSION": "version",
}
OURS = {
    "CACHE": "entries memory_used memory_total hits misses hit_rate evictions expirations invalidations fills stale_fills_refused "
             "redis_hits",
    "BATCH": "requests executions single_flight_joined pipelined merged merged_statements fallbacks avg_batch max_batch",
    "FAMILIES": "family calls rows mean_ms p50_ms p95_ms p99_ms cache_hits merged tables indexes text",
    "INDEXES": "table index families uses last_used scan_kind idx_scan",
    "ADVICE": "id kind table object benefit_pct size confidence sql",
    "MEMORY": "total used available fragmentation allocations",
    "OBJECTS": "name created reused in_use efficiency",
}


class Ops(support.Case):
    proxy_only = True
    database = {"pool_size": 5, "idle_transaction_timeout": 0}
    sections = {"pgweir": {"workers": 2, "shutdown_timeout": "5s"}}

    def setUp(self):
        super().setUp()
        self.cluster.sql("create extension if not exists hypopg;"
                         "create table if not exists kept (k int primary key, v text); truncate kept;"
                         "insert into kept select i, 'v' || i from generate_series(1, 500) i; analyze kept")

    def tearDown(self):
        self.weir.console("RESUME")
        self.weir.console("ENABLE postgres")
        super().tearDown()

    def rows(self, command, weir=None):
        answer = (weir or self.weir).console(command + " \\j")
        self.assertFalse(answer.startswith("ERROR"), answer)
        return [json.loads(line) for line in answer.splitlines() if line.startswith("{")]

    def pool(self):
        return next(row for row in self.rows("SHOW POOLS") if row["database"] == "postgres")

    def ok(self, command):
        self.assertEqual(self.weir.console(command).replace("\r", "").strip(), "OK", command)

    # ---- columns ------------------------------------------------------------------------------------
    def test_columns(self):
        conn = self.client(database="pgweir")
        for what, names in list(PGBOUNCER.items()) + list(OURS.items()):
            with self.subTest(what=what):
                conn.send(pgwire.query("SHOW " + what))
                description = next(body for kind, body in conn.until("Z") if kind == "T")
                columns = self.columns(description)
                self.assertEqual(columns[:len(names.split())], names.split())

    @staticmethod
    def columns(description):
        names, rest = [], description[2:]
        while rest:
            name, rest = rest.split(b"\0", 1)
            names.append(name.decode())
            rest = rest[18:]
        return names

    # ---- numbers ------------------------------------------------------------------------------------
    def test_families_count_calls_and_rows(self):
        conn = self.client()
        for number in range(40):
            conn.rows("select /* counted */ v, k, 'family one' from kept where k between 1 and %d" % (number % 3 + 1))
        family = next(row for row in self.rows("SHOW FAMILIES 1000") if "v, k," in row["text"])
        self.assertEqual(family["calls"], 40)
        self.assertEqual(family["rows"], sum(number % 3 + 1 for number in range(40)))
        self.assertEqual(family["tables"], "public.kept")
        self.assertNotIn("family one", family["text"])
        self.assertGreaterEqual(family["p99_ms"], family["p50_ms"])

    def test_stats_count_queries(self):
        conn = self.client()
        total = lambda: next(row for row in self.rows("SHOW STATS") if row["database"] == "postgres")["total_query_count"]
        before = total()
        for _ in range(25):
            conn.rows("select now()")
        self.assertEqual(total() - before, 25)

    def test_received_is_from_clients_and_sent_to_them(self):
        conn = self.client()
        row = lambda: next(row for row in self.rows("SHOW STATS_TOTALS") if row["database"] == "postgres")
        before = row()
        for _ in range(10):
            conn.rows("select repeat('x', 10000), clock_timestamp()")
        after = row()
        self.assertGreater(after["bytes_sent"] - before["bytes_sent"], 100000)
        self.assertLess(after["bytes_received"] - before["bytes_received"], 10000)

    def test_pools_are_in_order(self):
        for name in ("zoo", "ant"):
            self.cluster.sql("create database " + name)
            self.client(database=name).rows("select 1")
        for show, key in (("POOLS", "database"), ("DATABASES", "name"), ("STATS", "database")):
            names = [row[key] for row in self.rows("SHOW " + show)]
            self.assertLess(names.index("ant"), names.index("zoo"))
            self.assertEqual(names, sorted(set(names)))

    def test_pools_count_clients_and_servers(self):
        first, second = self.client(), self.client()
        first.rows("begin")
        second.rows("select 1")
        pool = self.pool()
        self.assertGreaterEqual(pool["cl_active"], 2)
        self.assertGreaterEqual(pool["sv_active"], 1)
        servers = self.rows("SHOW SERVERS")
        active = [row for row in servers if row["state"] == "active" and row["link"]]
        linked = {row["ptr"]: row for row in self.rows("SHOW CLIENTS")}
        self.assertTrue(any(linked[row["link"]]["transaction"] == "open" for row in active), servers)
        pids = {int(pid) for pid, in self.cluster.sql("select pid from pg_stat_activity")}
        self.assertTrue(all(row["remote_pid"] in pids for row in servers))

    def test_pins_say_why(self):
        conn = self.client()
        conn.rows("create temp table pinned_by (a int)")
        self.assertIn("temporary", " ".join(row["reason"] for row in self.rows("SHOW PINS")))

    def test_reasons_name_an_example(self):
        conn = self.client()
        for _ in range(3):
            conn.rows("select v, random() from kept where k = 1")
        rows = [row for row in self.rows("SHOW CACHE REASONS") if "volatile" in row["reason"]]
        self.assertEqual(len(rows), 1)
        self.assertRegex(rows[0]["example"], r"random\(\)|nextval")  # of another test of this class

    def test_flush_says_how_many(self):
        conn = self.client()

        def cached():
            conn.rows("select v from kept where k = 11")
            return self.rows("SHOW CACHE")[0]["entries"]
        wait_until(cached, "an entry in the cache")
        self.assertGreaterEqual(self.rows("CACHE FLUSH TABLE public.kept")[0]["dropped"], 1)
        self.assertTrue(self.weir.console("CACHE FLUSH TABLE no.such").startswith("ERROR"))

    def test_state_says_which_consistency(self):
        state = {row["key"]: row["value"] for row in self.rows("SHOW STATE")}
        self.assertEqual(state["consistency.configured"], "auto")
        self.assertIn(state["consistency.in_force"], ("wal", "poll"))
        self.assertTrue(state["consistency.why"])

    # ---- operations ---------------------------------------------------------------------------------
    def test_pause_waits_for_transactions(self):
        conn = self.client()
        conn.rows("begin")
        conn.rows("select 1")
        paused = self.in_thread(self.weir.console, "PAUSE postgres")
        wait_until(lambda: self.pool()["paused"], "the pause to begin")
        self.assertEqual(self.pool()["sv_active"], 1)
        conn.rows("commit")
        self.assertEqual(paused().strip(), "OK")
        self.assertEqual(self.pool()["sv_active"] + self.pool()["sv_idle"], 0)
        conn.send(pgwire.query("select 'held'"))
        wait_until(lambda: self.pool()["cl_waiting"] == 1, "the request to wait")
        self.ok("RESUME postgres")
        self.assertEqual([kind for kind, _ in conn.until("Z")], ["T", "D", "C", "Z"])

    def test_resume_ends_a_waiting_pause(self):
        conn = self.client()
        conn.rows("begin")
        conn.rows("select 1")
        paused = self.in_thread(self.weir.console, "PAUSE")
        wait_until(lambda: self.pool()["paused"], "the pause to begin")
        self.ok("RESUME")
        self.assertEqual(paused().strip(), "OK")
        conn.rows("commit")

    def test_new_databases_are_paused_too(self):
        self.cluster.sql("drop database if exists late")
        self.cluster.sql("create database late")
        self.ok("PAUSE")
        join = self.in_thread(lambda: self.client(database="late").value("select current_database()"))
        wait_until(lambda: any(row["database"] == "late" for row in self.rows("SHOW CLIENTS")), "the client to be there")
        self.assertEqual(self.cluster.sql("select count(*) from pg_stat_activity where datname = 'late' and "
                                          "application_name <> 'pgweir'"), [["0"]])
        self.ok("RESUME")
        self.assertEqual(join(), "late")

    def test_kill_closes_and_pauses(self):
        idle, busy = self.client(), self.client()
        idle.rows("select 1")
        busy.send(pgwire.query("select pg_sleep(60)"))
        wait_until(lambda: self.sessions("query like '%pg_sleep(60)%' and state = 'active'"), "the query to run")
        self.ok("KILL postgres")
        for conn in (idle, busy):
            self.assert_sqlstate(self.error_of(self.rest(conn)), "57P01")
        self.assertEqual(self.pool()["cl_active"], 0)
        self.ok("RESUME postgres")
        self.assertEqual(self.client().value("select 5"), "5")

    def test_disable_refuses_new_clients_only(self):
        conn = self.client()
        self.ok("DISABLE postgres")
        late = self.bare()
        late.send(pgwire.startup({"user": "postgres", "database": "postgres"}))
        self.assert_sqlstate(self.error_of(self.rest(late)), "3D000")
        self.assertEqual(conn.value("select 1"), "1")
        self.ok("ENABLE postgres")
        self.assertEqual(self.client().value("select 1"), "1")

    def test_mistakes_are_refused(self):
        for command in ("KILL", "PAUSE a b", "DISABLE", "KILL_CLIENT", "KILL_CLIENT 18446744073709551615", "SET a = b", "SET batch.max 5",
                        "APPLY", "APPLY nothing", "UNDO nothing", "SHUTDOWN NOW", "SHOW FAMILIES 0", "SHOW FAMILIES many",
                        "SHOW CACHE ENTRIES -1", "CACHE FLUSH FAMILY xyz", "CACHE FLUSH EVERYTHING", "EXPLAIN CACHE",
                        "SHOW ADVICE nothing", "RELOAD now"):
            with self.subTest(command=command):
                answer = self.weir.console(command).replace("\r", "")
                self.assertTrue(answer.startswith("ERROR: "), answer)
                self.assertEqual(answer.strip().count("\n"), 0)

    def test_observing_counts_and_serves_nothing(self):
        with fixture.Pgweir(self.cluster, sections={"pgweir": {"mode": "observe"}}) as weir:
            row = lambda show: json.loads(weir.console("SHOW %s \\j" % show).splitlines()[0])
            with weir.connect() as conn:
                for number in range(20):
                    self.cluster.sql("update kept set v = 'now %d' where k = 1" % number)
                    self.assertEqual(conn.value("select v from kept where k = 1"), "now %d" % number)
                wait_until(lambda: conn.rows("select v from kept where k = 2") and row("CACHE")["hits"] > 0, "a hit to be counted")
            self.assertTrue(row("CACHE")["effect"].startswith("observing"))
            self.assertTrue(row("BATCH")["effect"].startswith("observing"))
            self.assertEqual(row("BATCH")["max_batch"], 1)
        self.assertEqual(self.rows("SHOW BATCH")[0]["effect"], "coalescing")

    def test_the_line_console_asks_for_a_password(self):
        with fixture.Server() as scratch:
            users = scratch.write("users", '"boss" "secret"\n"watcher" "secret"\n"nobody" "secret"\n')
            sections = {"auth": {"type": "trust", "file": users, "admin_users": ["boss"], "stats_users": ["watcher"]},
                        "pgweir": {"admin_auth": True}}
            with fixture.Pgweir(self.cluster, sections=sections) as weir:
                def talk(*lines):
                    with socket.create_connection(("127.0.0.1", weir.admin_port), 20) as line:
                        line.sendall("".join(text + "\n" for text in lines + ("QUIT",)).encode())
                        heard = b""
                        while more := line.recv(65536):
                            heard += more
                    return [answer.split("\n")[0] for answer in heard.decode().split("pgweir> ")[1:]]
                self.assertEqual(talk("SHOW VERSION")[0], "ERROR: log in first: AUTH user password")
                for user, password in (("boss", "wrong"), ("nobody", "secret"), ("stranger", "")):
                    self.assertEqual(talk("AUTH %s '%s'" % (user, password), "SHOW VERSION")[:2],
                                     ["ERROR: wrong user or password", "ERROR: log in first: AUTH user password"])
                self.assertEqual(talk("auth boss secret", "SHOW VERSION", "RELOAD")[:3], ["OK", "version", "OK"])
                self.assertEqual(talk("auth watcher secret", "SHOW VERSION", "RELOAD")[:3],
                                 ["OK", "version", "ERROR: permission denied: RELOAD is for admin users"])

    def test_wait_close_waits_for_what_reconnect_gave_up(self):
        self.ok("WAIT_CLOSE")
        conn = self.client()
        conn.rows("begin")
        old = conn.value("select pg_backend_pid()")
        self.ok("RECONNECT postgres")
        wait = self.in_thread(self.weir.console, "WAIT_CLOSE postgres")
        wait_until(lambda: any(row["close_needed"] for row in self.rows("SHOW SERVERS")), "the connection to be marked")
        self.assertEqual(conn.value("select pg_backend_pid()"), old)
        conn.rows("commit")
        self.assertTrue(wait().startswith("OK"))
        self.assertFalse([row for row in self.rows("SHOW SERVERS") if str(row["remote_pid"]) == old])

    def test_lists_count_the_databases_that_are_shown(self):
        config = {"upstream": self.cluster.url("postgres")}
        with fixture.Pgweir(self.cluster, sections={"databases": {"named": config}}) as weir:
            weir.connect().rows("select 1")
            rows = lambda show: [json.loads(line) for line in weir.console("SHOW %s \\j" % show).splitlines() if line.startswith("{")]
            count = next(row["items"] for row in rows("LISTS") if row["list"] == "databases")
            self.assertEqual([row["name"] for row in rows("DATABASES")], ["named", "postgres"])
            self.assertEqual(count, 2)

    def test_a_client_that_is_not_there(self):
        """Not 57P01, which tells a driver that its connection is lost."""
        with self.weir.connect("pgweir") as conn:
            self.assert_sqlstate(self.error_of(conn.simple("KILL_CLIENT 64")), "22023")
            self.assertEqual(conn.value("select 1"), "1")

    def test_stats_users_only_look(self):
        with fixture.Pgweir(self.cluster, sections={"auth": {"type": "trust", "admin_users": ["boss"], "stats_users": ["watcher"]}}) as weir:
            def psql(user, command):
                return subprocess.run(["psql", "-X", "-At", "-h", "127.0.0.1", "-p", str(weir.port), "-U", user, "pgweir", "-c", command],
                                      capture_output=True, text=True, timeout=30)
            self.assertEqual(psql("watcher", "SHOW POOLS").returncode, 0)
            for command in ("PAUSE", "KILL_CLIENT 64", "SET batch.max = 3", "SHUTDOWN", "CACHE FLUSH", "APPLY x", "ADVISE"):
                done = psql("watcher", command)
                self.assertNotEqual(done.returncode, 0, command)
                self.assertIn("permission denied", done.stderr)
            self.assertEqual(psql("boss", "CACHE FLUSH").returncode, 0)

    # ---- advice -------------------------------------------------------------------------------------
    def test_advice_applied_and_undone(self):
        for statement in ("drop table if exists twice", "create table twice (k int, v text)", "create index twice_a on twice (v)",
                          "create index twice_b on twice (v)", "insert into twice select i, 'v' || i from generate_series(1, 20000) i",
                          "analyze twice"):
            self.cluster.sql(statement)
        conn = self.client()
        conn.rows("select * from twice where v = 'v7'")
        outcome = next(row for row in self.rows("ADVISE NOW postgres"))
        self.assertEqual(outcome["database"], "postgres")
        advice = next(row for row in self.rows("SHOW ADVICE") if row["kind"] == "drop_redundant" and "twice" in row["table"])
        self.assertIn("CONCURRENTLY", advice["sql"])
        self.assertIn(advice["id"], self.weir.console("SHOW ADVICE " + advice["id"]))
        name = advice["object"].split(".")[1]
        exists = "select count(*) from pg_class where relname = '%s'" % name
        self.assertFalse(self.weir.console("APPLY " + advice["id"]).startswith("ERROR"))
        self.assertEqual(self.cluster.sql(exists), [["0"]])
        undone = self.weir.console("UNDO " + advice["id"])
        self.assertFalse(undone.startswith("ERROR"), undone)
        self.assertEqual(self.cluster.sql(exists), [["1"]])

    def test_advice_knows_the_values_of_parameters(self):
        """A state that always recurs makes a partial index, however it came; two statements in one message are left alone."""
        for statement in ("drop table if exists jobs", "create sequence if not exists never", "create table jobs (k int, state text, at int)",
                          "insert into jobs select i, case when i % 50 = 0 then 'waiting' else 'done' end, i from generate_series(1, 60000) i",
                          "analyze jobs"):
            self.cluster.sql(statement)
        conn = self.client()
        for _ in range(60):
            conn.send(pgwire.parse("", "/* pgweir: cache=off */ select * from jobs where state = $1 and at > $2 order by at limit 5", (25, 0)) +
                      pgwire.bind("", "", (b"waiting", b"7")) + pgwire.execute() + pgwire.SYNC)
            conn.until("Z")
        conn.rows("select k from jobs where k = 1; select nextval('never')")
        self.rows("ADVISE NOW postgres")
        created = [row for row in self.rows("SHOW ADVICE") if row["kind"] == "create" and "jobs" in row["table"]]
        self.assertEqual([row["sql"].split(" ON ")[1] for row in created], ["public.jobs (at) WHERE state = 'waiting';"])
        self.assertEqual(self.cluster.sql("select last_value, is_called from never"), [["1", "t"]])

    def test_advice_is_about_the_tables_that_the_client_sees(self):
        """By its search_path, and by that of the role it has set."""
        make = "create table %s.far as select i as k, 'v' || i as v from generate_series(1, 30000) i"
        for statement in ("drop schema if exists one cascade", "drop schema if exists two cascade", "drop role if exists two", "create role two",
                          "create schema one", "create schema two", make % "one", make % "two", make % "public",
                          "grant usage on schema two to two", "grant select on two.far to two", "analyze"):
            self.cluster.sql(statement)
        for setting, text in (("set search_path = one", "select v from far where k = %d"), ("set role two", "select k from far where v = 'v%d'")):
            conn = self.client()
            conn.rows(setting)
            for k in range(60):
                conn.rows("/* pgweir: cache=off batch=off */ " + text % k)
        self.rows("ADVISE NOW postgres")
        created = [row["sql"].split(" ON ")[1] for row in self.rows("SHOW ADVICE") if row["kind"] == "create" and "far" in row["table"]]
        self.cluster.sql("drop table public.far")
        self.assertEqual(sorted(created), ["one.far (k);", "two.far (v);"])

    # ---- the end ------------------------------------------------------------------------------------
    def other(self):
        return fixture.Pgweir(self.cluster, sections={"pgweir": {"workers": 2, "shutdown_timeout": "2s"}})

    def order(self, weir, command):
        with socket.create_connection(("127.0.0.1", weir.admin_port), 20) as line:
            line.sendall(command.encode() + b"\n")
            data = b""
            while True:
                more = line.recv(65536)
                if not more:
                    return data
                data += more

    def test_shutdown(self):
        weir = self.other()
        try:
            conn = weir.connect()
            conn.rows("select 1")
            self.order(weir, "SHUTDOWN")
            wait_until(lambda: not weir.alive(), "pgweir to end")
        finally:
            self.assertEqual(weir.stop(), 0)

    def test_shutdown_wait_lets_a_transaction_finish(self):
        weir = self.other()
        try:
            conn = weir.connect()
            conn.rows("begin")
            conn.rows("select 1")
            weir.console("SHUTDOWN WAIT")
            self.assertEqual(conn.value("select 2"), "2")
            conn.rows("commit")
            wait_until(lambda: not weir.alive(), "pgweir to end")
        finally:
            self.assertEqual(weir.stop(), 0)

    def end_with(self, *commands):
        """SHUTDOWN while these are under way on the line front, and a PAUSE on the psql front."""
        weir = self.other()
        try:
            conn = weir.connect()
            conn.rows("begin")
            conn.rows("select 1")
            lines = [socket.create_connection(("127.0.0.1", weir.admin_port), 20) for _ in commands]
            for line, command in zip(lines, commands):
                line.sendall(command.encode() + b"\n")
            console = weir.connect(database="pgweir")
            console.send(pgwire.query("PAUSE"))
            self.order(weir, "SHUTDOWN")
            wait_until(lambda: not weir.alive(), "pgweir to end")
            for line in lines:
                line.close()
        finally:
            self.assertEqual(weir.stop(), 0)

    def test_shutdown_with_commands_under_way(self):
        self.end_with("PAUSE", "SHOW INDEXES", "SHOW FAMILIES", "EXPLAIN CACHE select k from kept where v = 'never seen'")

    def test_shutdown_while_advising(self):
        self.end_with("ADVISE NOW", "ADVISE NOW")

    def test_applied_advice_is_judged_by_what_the_clients_saw(self):
        for statement in ("drop table if exists slow", "create table slow (k int, v text)",
                          "insert into slow select i, repeat('v', 100) || i from generate_series(1, 60000) i", "analyze slow"):
            self.cluster.sql(statement)
        conn = self.client()

        def load():
            for k in range(60):
                conn.rows("/* pgweir: cache=off batch=off */ select v from slow where k = %d" % k)
        load()
        self.rows("ADVISE NOW postgres")
        advice = next(row for row in self.rows("SHOW ADVICE") if row["kind"] == "create" and "slow" in row["table"])
        self.assertFalse(self.weir.console("APPLY " + advice["id"]).startswith("ERROR"))
        self.assertIn("Applied: measuring", self.weir.console("SHOW ADVICE " + advice["id"]))
        load()
        self.assertIn("Applied: helped", self.weir.console("SHOW ADVICE " + advice["id"]))
        self.assertEqual(next(row["applied"] for row in self.rows("SHOW ADVICE") if row["id"] == advice["id"]), "helped")
        self.assertFalse(self.weir.console("UNDO " + advice["id"]).startswith("ERROR"))
        self.assertIn("Applied: undone", self.weir.console("SHOW ADVICE " + advice["id"]))
        self.assertEqual(self.cluster.sql("select count(*) from pg_index where indrelid = 'slow'::regclass"), [["0"]])


if __name__ == "__main__":
    support.main()
