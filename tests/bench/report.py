"""From samples to medians, ratios, a table for people and a dict for machines. Pure."""
import os
import platform
import statistics

GOALS = [  # what issue 2 asks for: (text, workload, leg, peer, figure, at least, at most)
    ("pass-through at least PgBouncer's throughput", "uncached", "pgweir-batch", "pgbouncer", "qps", 1.0, None),
    ("no more CPU per query than PgBouncer", "uncached", "pgweir-batch", "pgbouncer", "cpu_us", None, 1.0),
    ("the same with every optimization off", "uncached", "pgweir", "pgbouncer", "qps", 1.0, None),
    ("the same with every optimization off, CPU", "uncached", "pgweir", "pgbouncer", "cpu_us", None, 1.0),
    ("at least PgBouncer's throughput", "crowded", "pgweir-batch", "pgbouncer", "qps", 1.0, None),
    ("no more CPU per query than PgBouncer", "crowded", "pgweir-batch", "pgbouncer", "cpu_us", None, 1.0),
    ("a cache hit at least twice pgpool-II's query cache", "cached", "pgweir-cache", "pgpool-cache", "qps", 2.0, None),
    ("a cache hit at least 0.6 of the canned-reply server", "cached", "pgweir-cache", "canned", "qps", 0.6, None),
]


def summarize(samples, idle, options):
    rows = []
    for (workload, mode, leg), many in samples.items():
        row = {"workload": workload, "mode": mode, "leg": leg, "rounds": len(many),
               "errors": [sample["error"] for sample in many if sample["error"]]}
        for figure in ("qps", "p50_ms", "p99_ms", "cpu_us"):
            row[figure] = statistics.median(sample[figure] for sample in many)
        row["qps_min"], row["qps_max"] = min(s["qps"] for s in many), max(s["qps"] for s in many)
        rows.append(row)
    for row in rows:
        for peer in ("direct", "pgbouncer", "pgpool-cache", "canned"):
            other = find(rows, row["workload"], row["mode"], peer)
            if other and other["qps"]:
                row["vs_" + peer] = row["qps"] / other["qps"]
    return {"machine": {"cpus": os.cpu_count(), "arch": platform.machine(), "kernel": platform.release()},
            "options": {"clients": options.clients, "seconds": options.seconds, "rounds": options.rounds,
                        "workers": options.workers, "client_threads": options.threads},
            "rows": rows, "idle_bytes_per_client": idle, "goals": goals(rows, idle)}


def find(rows, workload, mode, leg):
    """The row of a leg; PgBouncer has another name where it pools by session."""
    for row in rows:
        if row["workload"] == workload and row["mode"] == mode and row["leg"] in (leg, leg + "-session"):
            return row
    return None


def goals(rows, idle):
    out = []
    for text, workload, leg, peer, figure, low, high in GOALS:
        for mode in ("simple", "extended", "prepared"):
            ours, theirs = find(rows, workload, mode, leg), find(rows, workload, mode, peer)
            if ours and theirs and theirs[figure]:
                ratio = ours[figure] / theirs[figure]
                met = (low is None or ratio >= low) and (high is None or ratio <= high)
                out.append({"goal": "%s: %s, %s" % (workload, leg, text), "mode": mode, "ratio": ratio, "met": met})
    for leg, size in idle.items():
        if leg.startswith("pgweir"):
            out.append({"goal": "at most 4 kB per idle client", "mode": leg, "ratio": size / 4096, "met": size <= 4096})
    return out


def ratio(row, peer):
    return "%.2f" % row["vs_" + peer] if "vs_" + peer in row else ""


def show(result):
    print("\n%(cpus)s CPUs, %(arch)s; " % result["machine"], end="")
    print("%(clients)d clients, %(rounds)d rounds of %(seconds)g s, medians\n" % result["options"])
    print("| workload | protocol | through | queries/s | p50 ms | p99 ms | proxy CPU us/query | of direct | of PgBouncer | of canned |")
    print("|---|---|---|--:|--:|--:|--:|--:|--:|--:|")
    order = ["uncached", "crowded", "cached"]
    for row in sorted(result["rows"], key=lambda r: (order.index(r["workload"]), r["mode"] != "simple", r["mode"])):
        print("| %s | %s | %s | %.0f | %.3f | %.3f | %s | %s | %s | %s |" % (
            row["workload"], row["mode"], row["leg"], row["qps"], row["p50_ms"], row["p99_ms"],
            "%.1f" % row["cpu_us"] if row["leg"] != "direct" else "", ratio(row, "direct"), ratio(row, "pgbouncer"),
            ratio(row, "canned")))
    if result["idle_bytes_per_client"]:
        print("\nidle clients: " + ", ".join("%s %.0f bytes each" % item for item in result["idle_bytes_per_client"].items()))
    for goal in result["goals"]:
        print("%-6s %s (%s): %.2f" % ("met" if goal["met"] else "MISSED", goal["goal"], goal["mode"], goal["ratio"]))
    for row in result["rows"]:
        for error in row["errors"]:
            print("ERROR %s %s %s: %s" % (row["workload"], row["mode"], row["leg"], error))
