"""pgbench in its three protocols with 1, 16 and 200 clients, reading and writing: not one error."""
import os
import re
import subprocess
import sys

PGBENCH = os.environ["PG_BIN"] + "/pgbench"
DIRECT = ["-h", "127.0.0.1", "-p", os.environ["PG_DIRECT_PORT"]]


def run(*arguments):
    done = subprocess.run([PGBENCH, *arguments], capture_output=True, text=True)
    good = done.returncode == 0 and "number of failed transactions: 0 (" in done.stdout
    print("pgbench %s: %s" % (" ".join(arguments), re.search(r"tps = [\d.]+|$", done.stdout).group() if good else
                              "FAILED\n" + done.stdout + done.stderr[-2000:]), flush=True)
    return good


def main():
    subprocess.run([PGBENCH, "-i", "-q", "-s", "2", *DIRECT], check=True, capture_output=True)
    good = True
    for mode in ("simple", "extended", "prepared"):
        for clients in (1, 16, 200):
            common = ["-n", "-M", mode, "-c", str(clients), "-j", "2", "-t", str(max(5, 2000 // clients))]
            good = run("-S", *common) and good
            # pgbench prepares with a blocking call: a client in a block and one that waits for a server, both in one
            # thread of pgbench, would wait for each other. So the prepared writers are fewer than the pool.
            if mode != "prepared" or clients == 1:
                good = run("-N", *common[:-1], str(max(3, 400 // clients))) and good
    good = run("-n", "-C", "-S", "-c", "8", "-j", "2", "-t", "40") and good  # a connection for each transaction
    good = run("-n", "-b", "tpcb-like", "-c", "16", "-j", "2", "-t", "20") and good
    # What the writers wrote adds up.
    sums = subprocess.run(["psql", "-X", "-At", "-c", "select (select sum(delta) from pgbench_history where bid is not null) = "
                           "(select sum(abalance) from pgbench_accounts)"], capture_output=True, text=True).stdout.strip()
    print("sum of deltas = sum of balances: " + sums)
    return 0 if good and sums == "t" else 1


sys.exit(main())
