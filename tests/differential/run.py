#!/usr/bin/python3
"""The differential test: the same conversation straight to PostgreSQL and through a proxy gives the same messages.

  run.py --mode transaction --opt on                  all scripts, one after the other, then several at once
  run.py --mode session --opt off transactions copy   only scripts whose name contains one of the words
  run.py --random 200 --seed 5000 nothing             only conversations made from seeds
  run.py --second-leg pgbouncer                       PgBouncer in place of pgweir (to prove this tool)
  run.py --second-leg HOST:PORT --upstream SOCKETDIR:PORT   an existing proxy in front of a cluster of ours
"""
import argparse
import concurrent.futures
import difflib
import glob
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "fixture"))
import pgweir_fixture as fixture  # noqa: E402
import conv  # noqa: E402
import randomconv  # noqa: E402

ADMIN_SETTINGS = {"max_connections": 400, "max_prepared_transactions": 10, "shared_buffers": "32MB"}


class Leg:
    """One way to a cluster of its own: its databases are copies of the template."""

    def __init__(self, name, cluster, address):
        self.name, self.cluster, self.address = name, cluster, address

    def admin(self, database, sql):
        return self.cluster.sql(sql, database)

    def fresh(self, database):
        self.cluster.sql("create database %s template conv_template" % database)

    def forget(self, database):
        self.cluster.sql("drop database if exists %s with (force)" % database)


def load_template(cluster):
    with open(os.path.join(HERE, "template.sql"), encoding="utf-8") as source:
        text = source.read()
    roles, _, schema = text.partition("-- in every database")
    cluster.sql(roles)
    cluster.sql("create database conv_template")
    cluster.sql(schema, "conv_template")


def play_on(leg, script, database, timeout):
    player = conv.Player(script, leg.address, database, leg.admin, timeout)
    return player.play()


def is_known(direct, proxied):
    """In a failed block nothing can be prepared any more. A Bind with a wrong number of values, to a statement that the session
    prepared on another server connection, is refused for the block (25P02) and not for the number (08P01)."""
    return (direct[:2] == proxied[:2] and direct[2].startswith("E S='ERROR' V='ERROR' C='08P01' M='bind message supplies")
            and proxied[2].startswith("E S='ERROR' V='ERROR' C='25P02'"))


def difference(script, run, direct, proxied):
    """A readable account of the first differences between two transcripts, or None."""
    if len(direct) == len(proxied):
        proxied = [left if is_known(left, right) else right for left, right in zip(direct, proxied)]
    left = ["%4d %s: %s" % entry for entry in direct]
    right = ["%4d %s: %s" % entry for entry in proxied]
    if left == right:
        return None
    lines = list(difflib.unified_diff(left, right, "direct", "proxied", lineterm="", n=2))
    first = next(number for number, pair in enumerate(zip(left + [None], right + [None])) if pair[0] != pair[1])
    where = (direct[first:first + 1] or proxied[first:first + 1])[0].line
    said = [command for command in script.commands if command.line == where]
    head = ["--- %s.conv:%d (run %d), after: %s" % (script.name, where, run + 1,
            "; ".join(("%s: %s %s" % (c.conn, c.verb, c.rest))[:160] for c in said[:3]))]
    return "\n".join(head + ["    " + line[:400] for line in lines[2:40]])


def compare(script, legs, options, suffix=""):
    database = "conv_" + script.name.replace("-", "_") + suffix
    for leg in legs:
        leg.fresh(database)
    try:
        # Both legs at once: what takes long is waiting, not computing.
        with concurrent.futures.ThreadPoolExecutor(2) as both:
            jobs = [both.submit(lambda leg=leg: [play_on(leg, script, database, options.timeout)
                                                 for _ in range(options.runs or script.runs)]) for leg in legs]
            transcripts = [job.result() for job in jobs]
        if options.show:
            print("\n".join("%4d %s: %s" % (e.line, e.conn, e.text[:300]) for e in transcripts[0][0]))
        for run, pair in enumerate(zip(*transcripts)):
            late = [entry for entry in pair[0] if entry.text.startswith(("<no answer", "<waited"))]
            if late:
                return "--- %s.conv:%d: the script is wrong, PostgreSQL itself: %s" % (script.name, *late[0][0::2])
            found = difference(script, run, *pair)
            if found:
                return found
        return None
    finally:
        for leg in legs:
            leg.forget(database)


def second_leg(options, cluster):
    """The proxy under test, started; None when it is somebody else's."""
    if options.second_leg == "pgbouncer":
        return fixture.PgBouncer(cluster, options.mode)
    if options.second_leg == "direct":
        return None
    sections = {"pgweir": {"workers": 2}}
    if options.opt == "off":
        sections["cache"] = {"consistency": "off"}
        sections["batch"] = {"single_flight": "off", "pipeline": "off", "merge": "off", "promote": "off"}
    if options.consistency:
        sections["cache"] = {"consistency": options.consistency}
    return fixture.Pgweir(cluster, {"pool_mode": options.mode, "pool_size": options.pool_size}, sections)


def wanted(options):
    scripts = []
    for path in sorted(glob.glob(os.path.join(HERE, "conv", "*.conv"))):
        name = os.path.splitext(os.path.basename(path))[0]
        if options.words and not any(word in name for word in options.words):
            continue
        script = conv.load(path, name)
        if options.mode in script.modes:
            scripts.append(script)
    if not options.words or options.random:
        blocks = options.mode != "statement"
        count = 12 if options.random is None else options.random
        scripts += [randomconv.script(options.seed + number, blocks=blocks) for number in range(count)]
    return scripts


def run_all(options, legs, proxy):
    failures, scripts = [], wanted(options)
    played = 0

    def report(script, found, seconds, note=""):
        state = "not ok" if found else "ok"
        print("%s %s%s (%d statements, %.1f s)" % (state, script.name, note, script.statements, seconds), flush=True)
        if found:
            failures.append(script.name + note)
            print(found, flush=True)

    def one(script, suffix=""):
        began = time.monotonic()
        try:
            found = compare(script, legs, options, suffix)
        except (conv.ScriptError, fixture.FixtureError, fixture.pgwire.WireError, OSError) as wrong:
            found = "--- %s.conv: %s" % (script.name, wrong)
        return found, time.monotonic() - began

    def proxy_gone():
        if isinstance(proxy, fixture.Server) and not proxy.alive():
            print("the proxy died with %s:\n%s" % (proxy.process.returncode, proxy.log()[-6000:]), flush=True)
            return True
        return False

    for script in scripts:
        report(script, *one(script))
        played += script.statements * (options.runs or script.runs)
        if proxy_gone():
            return failures + ["the proxy"], played
    if not options.no_concurrent:
        with concurrent.futures.ThreadPoolExecutor(options.concurrent) as pool:
            jobs = [(script, pool.submit(one, script, "_c")) for script in scripts if "alone" not in script.modes]
            for script, job in jobs:
                report(script, *job.result(), " (concurrent)")
                played += script.statements * (options.runs or script.runs)
        if proxy_gone():
            failures.append("the proxy")
    return failures, played


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--mode", default="transaction", choices=["session", "transaction", "statement"])
    parser.add_argument("--opt", default="on", choices=["on", "off"])
    parser.add_argument("--consistency", help="cache.consistency for this run")
    parser.add_argument("--second-leg", default="pgweir")
    parser.add_argument("--random", type=int, help="so many conversations made from seeds (default 12)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--runs", type=int, default=0, help="times each script is played in a row (default: as it says)")
    parser.add_argument("--show", action="store_true", help="print what PostgreSQL answered")
    parser.add_argument("--concurrent", type=int, default=4)
    parser.add_argument("--no-concurrent", action="store_true")
    parser.add_argument("--pool-size", type=int, default=20)
    parser.add_argument("--timeout", type=float, default=20.0)
    options = parser.parse_args()
    with fixture.Postgres(settings=ADMIN_SETTINGS) as first, fixture.Postgres(settings=ADMIN_SETTINGS) as second:
        for cluster in (first, second):
            load_template(cluster)
        proxy = second_leg(options, second)
        if ":" in options.second_leg:
            host, _, port = options.second_leg.rpartition(":")
            address = (host, int(port))
        else:
            address = proxy.address if proxy else second.address
        legs = [Leg("direct", first, first.address), Leg("proxied", second, address)]
        try:
            failures, played = run_all(options, legs, proxy)
        finally:
            if proxy:
                try:
                    proxy.stop()
                except fixture.FixtureError as wrong:
                    print("not ok: %s" % wrong)
                    failures = ["the proxy's end"]
    print("%d statements played; mode %s, optimizations %s: %s" % (
        played, options.mode, options.opt, "all equal" if not failures else "differences in " + ", ".join(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
