#!/usr/bin/python3
"""The corpus (corpus/*.sql and corpus/matrix.py: some 5,000 statements) straight and through pgweir, with equal output.

By psql, which writes down all it is told, errors with SQLSTATE and place included: first each script alone straight to
PostgreSQL, then through pgweir on a cluster of its own, several scripts at a time over few server connections, twice in a
row (the second time everything is prepared and cached). Each script lives in a schema of its own. Then the generated
statements once more by the extended protocol, results as text and binary, message by message.

  corpus.py [--mode transaction|session] [--opt on|off] [--jobs 6] [words...]
"""
import argparse
import difflib
import glob
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "fixture"))
sys.path.insert(0, os.path.join(HERE, "corpus"))
import matrix  # noqa: E402
import pgweir_fixture as fixture  # noqa: E402
import pgwire  # noqa: E402

OFF = {"cache": {"consistency": "off"}, "batch": {"single_flight": "off", "pipeline": "off", "merge": "off", "promote": "off"}}
PIECE = 400  # generated statements in one script


def load(words):
    """name -> text for psql; and the generated statements by name."""
    texts, generated = {}, {}
    for path in sorted(glob.glob(os.path.join(HERE, "corpus", "*.sql"))):
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as source:
            texts[name] = source.read().replace("{s}", "c_" + name)
    for name, statements in matrix.scripts().items():
        for at in range(0, len(statements), PIECE):
            part = "%s%d" % (name, at // PIECE)
            generated[part] = statements[at:at + PIECE]
            texts[part] = "".join(s + ";\n" for s in generated[part])
    wanted = [name for name in texts if not words or any(word in name for word in words)]
    return {name: texts[name] for name in wanted}, {name: generated[name] for name in wanted if name in generated}


def psql(port, name, text):
    prelude = "\\set VERBOSITY verbose\ncreate schema c_%s;\nset search_path to c_%s;\n" % (name, name)
    epilogue = "\n;\nrollback;\nset client_min_messages = error;\ndrop schema c_%s cascade;\n" % name
    done = subprocess.run([fixture.PG_BIN + "/psql", "-X", "-a", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "corpus"],
                          input=(prelude + text + epilogue).encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=500,
                          env=dict(os.environ, PGTZ="UTC", PGCLIENTENCODING="UTF8", LC_ALL="C.UTF-8"))
    return done.stdout.decode(errors="replace").split("\n")


def extended(port, statements):
    """Each statement with Parse, Bind, Describe, Execute, Sync; every other one with binary results. All messages."""
    out = []
    with pgwire.connect(("127.0.0.1", port), "postgres", "corpus") as conn:
        for number, sql in enumerate(statements):
            conn.send(pgwire.parse("", sql) + pgwire.bind("", "", [], [], [number % 2]) + pgwire.describe("P", "") + pgwire.execute()
                      + pgwire.SYNC)
            out.append("%s\n%s" % (sql, "\n".join("%s %r" % message for message in conn.until("Z"))))
    return out


def differ(name, straight, through, seen):
    if straight == through:
        return False
    with seen:
        print("not ok " + name)
        for line in list(difflib.unified_diff(straight, through, "straight", "pgweir", lineterm="", n=4))[:40]:
            print("    " + line)
    return True


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mode", default="transaction", choices=("transaction", "session"))
    arguments.add_argument("--opt", default="on", choices=("on", "off"))
    arguments.add_argument("--jobs", type=int, default=6)
    arguments.add_argument("words", nargs="*")
    options = arguments.parse_args()
    texts, generated = load(options.words)
    seen, bad = threading.Lock(), []
    settings = {"max_connections": 60, "shared_buffers": "64MB", "max_prepared_transactions": 5}
    with fixture.Postgres(settings=settings) as one, fixture.Postgres(settings=settings) as two:
        for cluster in (one, two):
            cluster.sql("create database corpus")
        pool = {"pool_mode": options.mode, "pool_size": 4 if options.mode == "transaction" else 20}
        direct = os.environ.get("PGWEIR") == "direct"
        weir = None if direct else fixture.Pgweir(two, pool, OFF if options.opt == "off" else None)
        port = two.port if direct else weir.port
        try:
            with ThreadPoolExecutor(options.jobs) as workers:
                straight = {name: workers.submit(psql, one.port, name, text) for name, text in texts.items()}
                straight = {name: job.result() for name, job in straight.items()}
                for turn in ("", " again"):
                    jobs = {name: workers.submit(psql, port, name, text) for name, text in texts.items()}
                    bad += [name for name, job in jobs.items() if differ(name + turn, straight[name], job.result(), seen)]
                plain = {name: workers.submit(extended, one.port, statements) for name, statements in generated.items()}
                for turn in (" extended", " extended again"):
                    jobs = {name: workers.submit(extended, port, statements) for name, statements in generated.items()}
                    bad += [name for name, job in jobs.items() if differ(name + turn, plain[name].result(), job.result(), seen)]
        finally:
            if weir:
                weir.stop()
    lines = sum(len(text.split(";\n")) - 1 for text in texts.values())
    errors = sum(line.startswith(("ERROR:", "FATAL:")) or ": ERROR:" in line for text in straight.values() for line in text)
    print("%d statements in %d scripts, %d errors among the answers, twice by psql and twice extended; mode %s, optimizations %s: %s" % (
        lines, len(texts), errors, options.mode, options.opt, "differences in " + ", ".join(sorted(set(bad))) if bad else "all equal"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
