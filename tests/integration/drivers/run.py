#!/usr/bin/python3
"""One driver's suite, with the driver's default settings, through pgweir in transaction mode (or session mode).

  run.py psycopg3 [session|transaction]      exit 77: the driver is not installed
  PGWEIR=direct run.py psycopg3              against PostgreSQL itself: proves the suite
"""
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "fixture"))
import pgweir_fixture as fixture  # noqa: E402

PYTHON = "/usr/bin/python3"
JDBC = "/usr/share/java/postgresql.jar"
SKIP = 77
DRIVERS = {  # name: (is it there?, the suite)
    "psycopg3": ([PYTHON, "-c", "import psycopg"], [PYTHON, "suite_psycopg3.py"]),
    "psycopg2": ([PYTHON, "-c", "import psycopg2"], [PYTHON, "suite_psycopg2.py"]),
    "asyncpg": ([PYTHON, "-c", "import asyncpg"], [PYTHON, "suite_asyncpg.py"]),
    "dbd_pg": (["perl", "-MDBD::Pg", "-e", "1"], ["perl", "suite_dbd_pg.pl"]),
    "ruby_pg": (["ruby", "-e", "require 'pg'"], ["ruby", "suite_ruby_pg.rb"]),
    "php": (["php", "-r", "exit(extension_loaded('pgsql') && extension_loaded('pdo_pgsql') ? 0 : 1);"], ["php", "suite_php.php"]),
    "jdbc": (["test", "-f", JDBC], ["java", "-cp", JDBC, "SuiteJdbc.java"]),
    "node_pg": (["node", "-e", "require('pg')"], ["node", "suite_node_pg.js"]),
    "go_pq": (["test", "-d", "/usr/share/gocode/src/github.com/lib/pq"], ["go", "run", "suite_go_pq.go"]),
    "go_pgx": (["test", "-d", "/usr/share/gocode/src/github.com/jackc/pgx/v4"], ["go", "run", "suite_go_pgx.go"]),
    "pgbench": (["test", "-x", fixture.PG_BIN + "/pgbench"], [PYTHON, "suite_pgbench.py"]),
}


def is_there(probe, env):
    try:
        return subprocess.run(probe, capture_output=True, env=env).returncode == 0
    except OSError:
        return False


def fetch_node_pg(env):
    """Debian's node-pg cannot stand beside a Node.js from elsewhere: then npm is asked, once, into a directory that may go."""
    place = os.path.join(tempfile.gettempdir(), "pgweir-node-%d" % os.getuid())
    os.makedirs(place, mode=0o700, exist_ok=True)
    if os.stat(place).st_uid != os.getuid() or not shutil.which("npm"):
        return
    with open(os.path.join(place, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        env["NODE_PATH"] = os.path.join(place, "node_modules") + ":" + env["NODE_PATH"]
        if is_there(DRIVERS["node_pg"][0], env):
            return
        try:
            subprocess.run(["npm", "install", "--prefix", place, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
                            "--fetch-retries=1", "pg@8"], cwd=place, capture_output=True, timeout=120, env=env)
        except (OSError, subprocess.TimeoutExpired):
            pass  # no network, no npm: the suite is skipped


def main():
    name, mode = sys.argv[1], (sys.argv[2:] or ["transaction"])[0]
    probe, suite = DRIVERS[name]
    env = dict(os.environ)
    env.setdefault("NODE_PATH", "/usr/share/nodejs:/usr/lib/nodejs")
    env.update(GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="", GOCACHE=os.path.join(tempfile.gettempdir(), "pgweir-go"))
    if name == "node_pg" and not is_there(probe, env) and is_there(["node", "-e", "1"], env):
        fetch_node_pg(env)
    if not is_there(probe, env):
        print("skipped: %s cannot be had here (conf/quickstart --test installs its Debian package)" % name)
        return SKIP
    with fixture.Postgres(settings={"max_connections": 400}) as cluster:
        cluster.sql("create database drivers")
        weir = None
        if os.environ.get("PGWEIR") != "direct":
            # A busy machine may take longer to read the catalog than the default allows for; then functions pin.
            weir = fixture.Pgweir(cluster, {"pool_mode": mode, "pool_size": 250 if mode == "session" else 10},
                                  {"planner": {"catalog_wait": "60s"}})
        try:
            env.update(PGHOST="127.0.0.1", PGPORT=str((weir or cluster).port), PGUSER="postgres", PGDATABASE="drivers",
                       PGWEIR_POOL_MODE=mode if weir else "direct", PG_DIRECT_PORT=str(cluster.port), PG_BIN=fixture.PG_BIN)
            done = subprocess.run(suite, cwd=HERE, env=env, timeout=280)
            if done.returncode == 0:
                print("%s in %s mode: fine" % (name, mode))
            elif weir:
                print(weir.log()[-3000:])
        finally:
            if weir:
                weir.stop()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
