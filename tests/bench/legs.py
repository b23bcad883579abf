"""The servers a benchmark compares, and one measurement of one of them. Owns the servers it starts."""
import glob
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "fixture"))
import pgweir_fixture as fixture  # noqa: E402

PGBENCH = fixture.PG_BIN + "/pgbench"
SCALE = 1
# crowded: uncached, with more clients than server connections, which is what a pooler is for
KEYS = {"uncached": 100000 * SCALE, "crowded": 100000 * SCALE, "cached": 1000}
POOL_SIZE, CROWD = 20, 64
NO_BATCH = {"single_flight": "off", "pipeline": "off", "merge": "off", "promote": "off"}


class Leg:
    """A name, an address, the processes whose CPU is the proxy's, and where it takes part."""

    def __init__(self, name, address, server=None, workloads=("uncached", "cached"), modes=None):
        self.name, self.address, self.server, self.workloads, self.modes = name, address, server, workloads, modes

    def pids(self):
        if self.server is None:
            return []
        pid = self.server.pid
        children = open("/proc/%d/task/%d/children" % (pid, pid)).read().split()
        return [pid] + [int(child) for child in children]

    def cpu(self):
        total = 0.0
        for pid in self.pids():
            try:
                total += fixture.cpu_seconds(pid)
            except OSError:
                pass
        return total

    def rss_kb(self):
        total = 0
        for pid in self.pids():
            with open("/proc/%d/status" % pid) as status:
                total += int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))
        return total


class Canned(fixture.Server):
    name = "canned"

    def __init__(self, threads):
        super().__init__()
        self.port = fixture.free_port()
        binary = os.path.join(self.dir, "canned_server")
        self.call(["cc", "-O2", "-o", binary, os.path.join(HERE, "canned_server.c"), "-lpthread"])
        self.spawn([binary, str(self.port), str(threads)])
        self.wait_ready()

    @property
    def address(self):
        return ("127.0.0.1", self.port)


class Servers:
    """PostgreSQL with pgbench's tables, and every proxy that is installed, all running side by side."""

    def __init__(self, options, wanted):
        self.options, self.wanted, self.legs, self.all = options, wanted, [], []
        self.directory = tempfile.mkdtemp(prefix="pgweir-bench-")

    def __enter__(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        for server in reversed(self.all):
            try:
                server.stop()
            except fixture.FixtureError as wrong:
                print("warning: %s" % wrong)
        shutil.rmtree(self.directory, ignore_errors=True)

    def keep(self, server):
        self.all.append(server)
        return server

    def add(self, name, make, **where):
        if self.wanted and name not in self.wanted:
            return
        try:
            server = self.keep(make())
        except (OSError, fixture.FixtureError) as wrong:
            print("without %s: %s" % (name, str(wrong).split("\n")[0]))
            return
        self.legs.append(Leg(name, server.address, server, **where))

    def weir(self, **sections):
        body = {"pgweir": {"workers": self.options.workers, "max_clients": 20000}}
        body.update(sections)
        return lambda: fixture.Pgweir(self.cluster, {"pool_size": POOL_SIZE}, body)

    def start(self):
        self.cluster = self.keep(fixture.Postgres(settings={"max_connections": 400, "shared_buffers": "256MB",
                                                            "autovacuum": "off"}))
        self.cluster.sql("create database bench")
        self.cluster.call([PGBENCH, "-i", "-q", "-s", str(SCALE), "-h", self.cluster.dir, "-p", str(self.cluster.port),
                           "-U", "postgres", "bench"])
        if not self.wanted or "direct" in self.wanted:
            self.legs.append(Leg("direct", self.cluster.address, workloads=tuple(KEYS)))
        uncached, cached = ("uncached", "crowded"), ("cached",)
        self.add("pgweir", self.weir(cache={"consistency": "off"}, batch=NO_BATCH), workloads=uncached)
        self.add("pgweir-batch", self.weir(cache={"consistency": "off"}), workloads=uncached)
        self.add("pgweir-cache", self.weir(), workloads=cached)
        # PgBouncer 1.18 cannot pool prepared statements by transaction; there it gets session mode.
        self.add("pgbouncer", lambda: fixture.PgBouncer(self.cluster, "transaction"), workloads=uncached,
                 modes=("simple", "extended"))
        self.add("pgbouncer-session", lambda: fixture.PgBouncer(self.cluster, "session", CROWD + 10), workloads=uncached,
                 modes=("prepared",))
        children = max(32, self.options.clients + 8)
        self.add("pgpool", lambda: fixture.Pgpool(self.cluster, False, children), workloads=("uncached",))
        self.add("pgpool-cache", lambda: fixture.Pgpool(self.cluster, True, children), workloads=cached)
        self.add("canned", lambda: Canned(os.cpu_count()), workloads=tuple(KEYS))

    def of(self, workload, mode):
        return [leg for leg in self.legs if workload in leg.workloads and (leg.modes is None or mode in leg.modes)]


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def pgbench(leg, workload, mode, options, directory):
    """One run of the client: queries per second, latency percentiles, CPU of the proxy per query."""
    script = os.path.join(directory, workload + ".sql")
    with open(script, "w") as out:
        out.write("\\set aid random(1, %d)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n" % KEYS[workload])
    host, port = leg.address
    clients = max(options.clients, CROWD) if workload == "crowded" else options.clients
    argv = [PGBENCH, "-n", "-h", host, "-p", str(port), "-U", "postgres", "-M", mode, "-c", str(clients), "-j",
            str(options.threads), "-f", script, "bench"]
    if workload == "cached":  # every key once or more before the clock starts
        subprocess.run(argv[:-1] + ["-t", str(3 * KEYS[workload] // options.clients), "bench"], capture_output=True)
    prefix = os.path.join(directory, "log")
    before = leg.cpu()
    done = subprocess.run(argv[:-1] + ["-T", "%d" % max(1, round(options.seconds)), "-l", "--sampling-rate=0.05",
                                       "--log-prefix=" + prefix, "bench"], capture_output=True, text=True)
    used = leg.cpu() - before
    latencies = []
    for path in glob.glob(prefix + ".*"):
        with open(path) as log:
            latencies += [int(line.split()[2]) for line in log]
        os.unlink(path)
    latencies.sort()
    count = re.search(r"transactions actually processed: (\d+)", done.stdout)
    rate = re.search(r"^tps = ([\d.]+)", done.stdout, re.M)
    count, rate = int(count.group(1)) if count else 0, float(rate.group(1)) if rate else 0.0
    error = "" if done.returncode == 0 and count else (done.stderr.strip().split("\n")[-1][:200] or "no transactions")
    return {"qps": rate, "p50_ms": percentile(latencies, 0.5) / 1000, "p99_ms": percentile(latencies, 0.99) / 1000,
            "cpu_us": used * 1e6 / max(1, count), "error": error}


def idle_memory(servers, count):
    """Bytes of the proxy's memory per idle client, over unix sockets where it has one."""
    result = {}
    for leg in servers.legs:
        if leg.name not in ("pgweir", "pgweir-cache", "pgbouncer"):
            continue
        address = leg.server.unix if os.path.exists(leg.server.unix) else leg.address
        # The first clients make the proxy create what every client shares.
        first = [fixture.pgwire.connect(address, "postgres", "bench") for _ in range(20)]
        for conn in first:
            conn.simple("select 1")
        before, clients, trouble = leg.rss_kb(), [], ""
        try:
            for _ in range(count):
                clients.append(fixture.pgwire.connect(address, "postgres", "bench"))
        except (OSError, fixture.pgwire.WireError) as wrong:
            trouble = " (%s)" % str(wrong)[:120]
        after = leg.rss_kb()
        for conn in clients + first:
            conn.drop()
        if clients:
            result[leg.name] = (after - before) * 1024.0 / len(clients)
        print("  %d idle clients on %s: %.0f bytes each%s" % (len(clients), leg.name, result.get(leg.name, -1), trouble),
              flush=True)
    return result
