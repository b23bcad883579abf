#!/usr/bin/python3
"""The rules of DESIGN.md that a program can check: who includes whom, fences, banned functions, lengths, paths.

  check.py [includes|cycles|fences|banned|length|paths]...     all of them by default; exit 1 when one is broken
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOW = {"proxy/base", "proxy/mem", "conf", "proxy/metrics"}
WIRE = LOW | {"proxy/wire", "proxy/net"}
ALLOWED = {  # DESIGN.md section 4; every room may include itself
    "proxy/base": set(),
    "proxy/mem": {"proxy/base"},
    "conf": {"proxy/base"},
    "proxy/metrics": {"proxy/base"},
    "proxy/wire": {"proxy/base", "proxy/mem"},
    "proxy/net": LOW,
    "planner": LOW | {"proxy/net"},
    "cache": LOW | {"proxy/net"},
    "advisor": LOW | {"proxy/net", "planner"},
    "proxy/admin": WIRE,
    "proxy/http": WIRE,
    "proxy/pool": WIRE,
    "proxy/dispatch": WIRE | {"planner", "cache", "proxy/pool"},
    "proxy/session": WIRE | {"planner", "proxy/dispatch", "proxy/admin"},
    "proxy/worker": WIRE | {"planner", "cache", "proxy/pool", "proxy/dispatch", "proxy/session", "proxy/admin"},
    "proxy/control": WIRE | {"proxy/worker", "proxy/admin", "proxy/http", "cache", "planner", "advisor"},
    "proxy": WIRE | {"proxy/control", "proxy/admin", "advisor"},
}
FENCES = {  # header: the files that may include it
    r"pg_query\.h": r"planner/[a-z_]+\.c",
    r"libpq-fe\.h": r"proxy/net/pgconn[a-z_]*\.(c|h)",
    r"hiredis/.*": r"cache/redis_mirror[a-z_]*\.(c|h)",
    r"openssl/.*": r"proxy/net/\w*tls\w*\.(c|h)|proxy/wire/(scram|crypto|md5|secret)\w*\.(c|h)",
    # The planner runs the analysis thread and reads the catalog on the control loop it is given.
    r"uv\.h": r"proxy/(net|worker|control)/.*|planner/.*|cache/redis_mirror[a-z_]*\.(c|h)",
    r"yaml\.h": r"conf/.*",
    r"microhttpd\.h": r"proxy/http/.*",
    r"sqlite3\.h": r"advisor/.*",
    r"nvml\.h": r"proxy/metrics/.*",
}
ONE_FILE = [r"pg_query\.h"]  # fenced into a single file
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtok|system|popen|alloca)\s*\(")
MACHINE = re.compile(r"/work/|/tmp/b-|/home/|/root/")
WARN_LINES, FAIL_LINES = 500, 600
ROOMS = ("proxy", "planner", "cache", "advisor", "conf")


def tracked():
    """Files git knows; without git, files that are there."""
    done = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True)
    if done.returncode == 0:
        return [p for p in done.stdout.splitlines() if os.path.isfile(os.path.join(ROOT, p))]
    found = []
    for base, dirs, names in os.walk(ROOT):
        dirs[:] = [d for d in dirs if not d.startswith((".", "build"))]
        found += [os.path.relpath(os.path.join(base, n), ROOT) for n in names]
    return found


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as source:
        return source.read()


def sources():
    return [p for p in tracked() if p.endswith((".c", ".h", ".def")) and p.split("/")[0] in ROOMS]


def room(path):
    """The room a file belongs to: the longest table entry that holds it."""
    directory = os.path.dirname(path)
    while directory and directory not in ALLOWED:
        directory = os.path.dirname(directory)
    return directory


def includes(path):
    return re.findall(r'^\s*#\s*include\s+["<]([^">]+)[">]', read(path), re.M)


def ours(path, target):
    """The repository path an include of ours names, or None for a system header."""
    for candidate in (target, os.path.normpath(os.path.join(os.path.dirname(path), target))):
        if os.path.isfile(os.path.join(ROOT, candidate)):
            return candidate
    return None


def check_includes():
    wrong = []
    for path in sources():
        mine = room(path)
        for target in includes(path):
            file = ours(path, target)
            if not file:
                continue
            other = room(file)
            if other != mine and other not in ALLOWED.get(mine, set()):
                wrong.append("%s includes %s: %s may not include %s" % (path, target, mine, other))
    return wrong


def check_cycles():
    graph = {p: [f for f in (ours(p, t) for t in includes(p)) if f] for p in sources()}
    wrong, done = [], set()

    def visit(node, trail):
        if node in trail:
            wrong.append("include cycle: " + " -> ".join(trail[trail.index(node):] + [node]))
            return
        if node in done:
            return
        for following in graph.get(node, []):
            visit(following, trail + [node])
        done.add(node)

    for path in graph:
        visit(path, [])
    return wrong


def check_fences():
    wrong, single = [], {}
    for path in sources():
        for target in includes(path):
            for header, where in FENCES.items():
                if re.fullmatch(header, target):
                    single.setdefault(header, set()).add(path)
                    if not re.fullmatch(where, path):
                        wrong.append("%s includes %s, which is fenced into %s" % (path, target, where))
    for header in ONE_FILE:
        if len(single.get(header, ())) > 1:
            wrong.append("%s is included by more than one file: %s" % (header, ", ".join(sorted(single[header]))))
    return wrong


def code_only(text):
    """C text with comments and string contents blanked, lines kept."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def check_banned():
    wrong = []
    for path in sources():
        for number, line in enumerate(code_only(read(path)).split("\n"), 1):
            found = BANNED.search(line)
            if found:
                wrong.append("%s:%d: %s() is banned" % (path, number, found.group(1)))
    return wrong


def check_length():
    wrong = []
    for path in tracked():
        if not path.endswith((".c", ".h", ".py", ".sh")):
            continue
        lines = read(path).count("\n")
        if lines > FAIL_LINES:
            wrong.append("%s has %d lines; %d is the most" % (path, lines, FAIL_LINES))
        elif lines > WARN_LINES:
            print("warning: %s has %d lines; split it by meaning" % (path, lines))
    return wrong


def check_paths():
    wrong = []
    for path in tracked():
        if path == "tests/lint/check.py" or not path.endswith((".c", ".h", ".def", ".py", ".sh", ".txt", ".yaml", ".yml", ".md",
                                                               "quickstart", "run", "Dockerfile", ".conv", ".sql")):
            continue
        for number, line in enumerate(read(path).split("\n"), 1):
            if MACHINE.search(line):
                wrong.append("%s:%d: a path of one machine: %s" % (path, number, line.strip()[:80]))
    return wrong


# Named by the contract; what counts them is not in this version.
LATER = {"BATCH_MERGED", "BATCH_MERGED_STATEMENTS", "BATCH_FALLBACKS"}
READERS = ("proxy/control/profile_moment.c",)


def check_metrics():
    """A metric that nobody counts would read 0 for ever, as if it had been measured."""
    named = re.findall(r"^(METRIC|HISTOGRAM)\((\w+)", read("proxy/metrics/metrics.def"), re.M)
    code = "\n".join(code_only(read(path)) for path in sources() if path.endswith(".c") and path not in READERS)
    used = set(re.findall(r"\bPW_(?:METRIC|HIST)_(\w+)", code))
    return ["%s has no writer" % row for _, row in named if row not in used | LATER]


CHECKS = {"includes": check_includes, "cycles": check_cycles, "fences": check_fences, "banned": check_banned,
          "length": check_length, "paths": check_paths, "metrics": check_metrics}


def main():
    failed = False
    for name in sys.argv[1:] or CHECKS:
        wrong = CHECKS[name]()
        print("%s: %s" % (name, "ok" if not wrong else "%d broken" % len(wrong)))
        for line in wrong:
            print("  " + line)
        failed = failed or bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
