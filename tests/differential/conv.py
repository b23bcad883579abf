"""Conversation scripts: reading *.conv and playing one on one leg, giving a transcript that can be compared.

The language is described in tests/differential/README.md. A transcript is a list of Entry: where in the script,
which connection, and the message received, in a form in which only what may differ has been made equal.
"""
import hashlib
import re
import shlex
import struct
import time
from collections import namedtuple

import pgwire

Command = namedtuple("Command", "line conn verb rest")
Entry = namedtuple("Entry", "line conn text")
Script = namedtuple("Script", "name commands modes masks statements runs")

CONN = re.compile(r"^([a-z]\w*):\s+(.*)$", re.S)
# What pgweir adds to a refused login's DETAIL and HINT: which leg failed, for whom, and the next step.
LEG = re.compile(r"(^|\n)(The client's (part is done|login was passed on)|pgweir refused the connection)[^\n]*\.$")
OPTION = re.compile(r"^(in|out|types|max)=(\S*)\s+(.*)$", re.S)


class ScriptError(Exception):
    """The script itself is wrong."""


def without_leg(fields):
    """A refused login's error as the server said it."""
    detail = fields.get("D", "")
    if fields.get("V") != "FATAL" or not LEG.search(detail):
        return fields
    own = {"D": LEG.sub("", detail), "H": fields["H"].rpartition("\n")[0]}
    return {key: own.get(key, value) for key, value in fields.items() if own.get(key, value)}


def join_lines(text):
    """(line number, command) pairs: comments dropped, indented lines joined to the one before."""
    out = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t" and out:
            out[-1] = (out[-1][0], out[-1][1] + "\n" + line.strip())
        else:
            out.append((number, line.rstrip()))
    return out


def expand(lines):
    """Unroll `for NAME in a | b | c` ... `end` and `repeat N` ... `end`."""
    out, at = [], 0
    while at < len(lines):
        number, text = lines[at]
        word = text.split(None, 1)[0]
        if word not in ("for", "repeat"):
            out.append(lines[at])
            at += 1
            continue
        depth, stop = 1, at + 1
        while depth:
            if stop >= len(lines):
                raise ScriptError("line %d: no end for this %s" % (number, word))
            head = lines[stop][1].split(None, 1)[0]
            depth += (head in ("for", "repeat")) - (head == "end")
            stop += 1
        inner = lines[at + 1:stop - 1]
        if word == "for":
            name, items = re.match(r"for (\w+) in (.*)", text, re.S).groups()
            for item in items.split(" | "):
                out += expand([(n, t.replace("{%s}" % name, item.strip())) for n, t in inner])
        else:
            for turn in range(int(text.split()[1])):
                out += expand([(n, t.replace("{i}", str(turn))) for n, t in inner])
        at = stop
    return out


def load(path, name):
    with open(path, encoding="utf-8") as source:
        lines = expand(join_lines(source.read()))
    modes, masks, commands, runs = ("session", "transaction", "statement"), [], [], 2
    for number, text in lines:
        if text.startswith("%modes "):
            modes = tuple(text.split()[1:])
        elif text.startswith("%mask "):
            masks.append(re.compile(text[6:].strip()))
        elif text.startswith("%runs "):
            runs = int(text.split()[1])
        else:
            found = CONN.match(text)
            conn, body = found.groups() if found else ("main", text)
            verb, _, rest = body.partition(" ")
            commands.append(Command(number, conn, verb, rest.strip() if verb not in ("d", "d+") else rest))
    statements = sum(c.verb.rstrip("+") in ("Q", "X", "P", "E", "F") for c in commands)
    return Script(name, commands, modes, masks, statements, runs)


def value_of(token):
    if token == "NULL":
        return None
    kind, _, rest = token.partition(":")
    if kind == "hex":
        return bytes.fromhex(rest)
    if kind == "str":
        return rest.encode()
    if kind == "big":
        return b"x" * int(rest)
    return token.encode()


def ints(text):
    return [int(item) for item in text.split(",") if item]


def name_of(token):
    return "" if token == "-" else token


class Player:
    """Plays one script on one leg. `database` is fresh; `connect_to` is that leg's address."""

    def __init__(self, script, address, database, admin, timeout=20.0):
        self.script, self.address, self.database, self.admin = script, address, database, admin
        self.timeout = timeout
        self.conns, self.transcript, self.oids = {}, [], {}

    def play(self):
        command = None
        try:
            for command in self.script.commands:
                try:
                    self.step(command)
                except pgwire.Closed:
                    self.note(command, "<closed>")
                    self.forget(command.conn)
                except OSError as gone:
                    self.note(command, "<closed>" if isinstance(gone, ConnectionError) else "<%s>" % gone)
                    self.forget(command.conn)
            for name in list(self.conns):
                self.leave(Command(command.line, name, "close", ""))
        except pgwire.WireError as late:
            self.note(command, "<%s>" % late)
        finally:
            for state in self.conns.values():
                state.conn.drop()
        return self.transcript

    # ---- what is remembered -------------------------------------------------------------------
    def note(self, command, text):
        self.transcript.append(Entry(command.line, command.conn, text))

    def hear(self, command, message):
        self.note(command, self.render(*message))

    def canonical_oid(self, oid):
        if oid < 16384:
            return str(oid)
        return "oid#%d" % self.oids.setdefault(oid, len(self.oids) + 1)

    def render(self, kind, body):
        if kind == "K":
            return "K <pid, key>"
        if kind == "T":
            return "T " + " ".join("[%s %s.%d %s %d %d %d]" % (c[0], self.canonical_oid(c[1]), c[2],
                                                                 self.canonical_oid(c[3]), c[4], c[5], c[6])
                                   for c in pgwire.row_description(body))
        if kind == "t":
            count = struct.unpack_from("!H", body)[0]
            return "t " + " ".join(self.canonical_oid(o) for o in struct.unpack_from("!%dI" % count, body, 2))
        if kind in "EN":
            text = "%s %s" % (kind, " ".join("%s=%r" % item for item in without_leg(pgwire.error_fields(body)).items()))
        elif kind == "D":
            text = "D " + " | ".join("NULL" if v is None else show(v) for v in pgwire.data_row(body))
        elif kind == "A":
            text = "A <pid> " + show(body[4:])
        else:
            text = "%s %s" % (kind, show(body))
        for mask in self.script.masks:
            text = mask.sub("<masked>", text)
        return text

    # ---- one command --------------------------------------------------------------------------
    def step(self, command):
        verb = command.verb
        if verb == "conn":
            return self.open(command)
        if verb == "wait":
            return self.wait(command)
        if verb == "admin":
            return self.admin(self.database, command.rest)
        if verb == "cancel":
            return self.state(command).conn.cancel()
        if verb in ("close", "drop"):
            if verb == "drop":
                self.forget(command.conn)
                return None
            return self.leave(command)
        if verb == "eof" and command.conn not in self.conns:
            return None
        state = self.state(command)
        buffered = verb.endswith("+")
        act = getattr(self, "do_" + verb.rstrip("+").replace("-", "_"), None)
        if act is None:
            raise ScriptError("line %d: what is %r?" % (command.line, verb))
        return act(state, command, buffered)

    def state(self, command):
        if command.conn not in self.conns:
            if any(c.conn == command.conn and c.verb == "conn" for c in self.script.commands):
                raise pgwire.Closed("gone")
            self.open(Command(command.line, command.conn, "conn", ""))
        return self.conns[command.conn]

    def open(self, command):
        """conn [user=U] [any startup parameter=value ...] [version=N]"""
        params = dict(item.split("=", 1) for item in shlex.split(command.rest))
        user = params.pop("user", "postgres")
        database = params.pop("database", self.database)
        version = int(params.pop("version", pgwire.PROTOCOL_3_0))
        params.setdefault("application_name", "conv")
        conn = pgwire.Conn(self.address, self.timeout)
        self.conns[command.conn] = State(conn)
        answer = conn.login(user, database, None, params, version)
        words = [self.render(*message) for message in answer]
        # The order of the ParameterStatus messages of the greeting has no meaning; everything else has.
        for text in [w for w in words if w[0] != "S"] + sorted(w for w in words if w[0] == "S"):
            self.note(command, text)
        if answer[-1][0] == "E":
            self.forget(command.conn)

    def forget(self, name):
        if name in self.conns:
            self.conns.pop(name).conn.drop()

    def leave(self, command):
        if command.conn in self.conns:
            for message in self.conns.pop(command.conn).conn.finish():
                self.hear(command, message)

    def wait(self, command):
        deadline = time.monotonic() + self.timeout
        while self.admin(self.database, command.rest)[0][0] != "t":
            if time.monotonic() > deadline:
                raise pgwire.WireError("waited in vain: " + command.rest)
            time.sleep(0.01)

    def flush(self, state):
        data, state.out = bytes(state.out), bytearray()
        if not state.chunk:
            return state.conn.send(data)
        for at in range(0, len(data), state.chunk):
            state.conn.send(data[at:at + state.chunk])
        return None

    def settle(self, state, command):
        """Send what is owed and read until every Sync and Query has its ReadyForQuery, or COPY wants data."""
        self.flush(state)
        while state.owed > 0:
            message = state.conn.read()
            self.hear(command, message)
            state.owed -= message[0] == "Z"
            if message[0] in "GW":
                return

    def do_Q(self, state, command, buffered):
        state.out += pgwire.query(command.rest)
        state.owed += 1
        if not buffered:
            self.settle(state, command)

    def do_X(self, state, command, buffered):
        """X [in=..] [out=..] [types=..] [max=N] SQL [<- values]: Parse, Bind, Describe, Execute, Sync, all unnamed"""
        options, rest = self.options(command.rest)
        sql, _, values = rest.partition(" <- ")
        values = [value_of(token) for token in shlex.split(values)]
        state.out += pgwire.parse("", sql.strip(), options["types"])
        state.out += pgwire.bind("", "", values, options["in"], options["out"])
        state.out += pgwire.describe("P", "") + pgwire.execute("", options["max"]) + pgwire.SYNC
        state.owed += 1
        if not buffered:
            self.settle(state, command)

    @staticmethod
    def options(rest):
        options = {"in": [], "out": [], "types": [], "max": 0}
        while True:
            found = OPTION.match(rest)
            if not found:
                return options, rest
            key, value, rest = found.groups()
            options[key] = int(value) if key == "max" else ints(value)

    def do_P(self, state, command, _):
        name, _, rest = command.rest.partition(" ")
        options, sql = self.options(rest)
        state.out += pgwire.parse(name_of(name), sql, options["types"])

    def do_B(self, state, command, _):
        portal, name, *rest = shlex.split(command.rest)
        options = {"in": [], "out": []}
        while rest and re.match(r"(in|out)=", rest[0]):
            key, value = rest.pop(0).split("=")
            options[key] = ints(value)
        values = [value_of(token) for token in rest]
        state.out += pgwire.bind(name_of(portal), name_of(name), values, options["in"], options["out"])

    def do_D(self, state, command, _):
        kind, name = command.rest.split()
        state.out += pgwire.describe(kind, name_of(name))

    def do_E(self, state, command, _):
        portal, _, limit = command.rest.partition(" ")
        state.out += pgwire.execute(name_of(portal), int(limit or 0))

    def do_C(self, state, command, _):
        kind, name = command.rest.split()
        state.out += pgwire.close(kind, name_of(name))

    def do_H(self, state, command, buffered):
        state.out += pgwire.FLUSH
        if not buffered:
            self.flush(state)

    def do_S(self, state, command, buffered):
        state.out += pgwire.SYNC
        state.owed += 1
        if not buffered:
            self.settle(state, command)

    def do_F(self, state, command, buffered):
        oid, *rest = shlex.split(command.rest)
        options = {"in": [], "out": [0]}
        while rest and re.match(r"(in|out)=", rest[0]):
            key, value = rest.pop(0).split("=")
            options[key] = ints(value)
        state.out += pgwire.function_call(int(oid), [value_of(t) for t in rest], options["in"], options["out"][0])
        state.owed += 1
        if not buffered:
            self.settle(state, command)

    def do_d(self, state, command, _):
        state.out += pgwire.msg("d", command.rest.encode().decode("unicode_escape").encode("latin-1"))

    def do_dhex(self, state, command, _):
        state.out += pgwire.msg("d", bytes.fromhex(command.rest.replace(" ", "")))

    def do_dbig(self, state, command, _):
        """dbig COUNT TEXT: that many CopyData messages, {n} being the number of each"""
        count, _, text = command.rest.partition(" ")
        text = text.encode().decode("unicode_escape")
        for number in range(int(count)):
            state.out += pgwire.msg("d", text.replace("{n}", str(number)).encode())

    def do_c(self, state, command, buffered):
        state.out += pgwire.COPY_DONE
        if not buffered:
            self.settle(state, command)

    def do_f(self, state, command, buffered):
        state.out += pgwire.msg("f", pgwire.cstr(command.rest))
        if not buffered:
            self.settle(state, command)

    def do_raw(self, state, command, _):
        state.out += bytes.fromhex(command.rest.replace(" ", ""))

    def do_send(self, state, command, _):
        self.flush(state)

    def do_settle(self, state, command, _):
        self.settle(state, command)

    def do_split(self, state, command, _):
        """split N: from now on send in pieces of N bytes (0: whole)"""
        state.chunk = int(command.rest)

    def do_read(self, state, command, _):
        """read K [COUNT]: read until COUNT messages of one of the kinds K have come"""
        kinds, _, count = command.rest.partition(" ")
        self.flush(state)
        left = int(count or 1)
        while left:
            message = state.conn.read()
            self.hear(command, message)
            state.owed -= message[0] == "Z"
            left -= message[0] in kinds

    def do_eof(self, state, command, _):
        """eof: read until the peer closes the connection"""
        self.flush(state)
        while True:
            self.hear(command, state.conn.read())


class State:
    """What the player knows of one connection: unsent bytes, owed ReadyForQuery messages, piece size."""

    def __init__(self, conn):
        self.conn, self.out, self.owed, self.chunk = conn, bytearray(), 0, 0


def show(data):
    if len(data) > 400:
        return "%s... (%d bytes, sha1 %s)" % (show(data[:60]), len(data), hashlib.sha1(data).hexdigest()[:16])
    return repr(data)[2:-1]
