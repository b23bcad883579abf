#!/usr/bin/python3
"""Does the differential runner notice? A relay that changes one thing must be found out; an honest one must not.

Owns a relay between the runner and PostgreSQL that passes whole messages of the server and may tamper with them.
"""
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixture"))
import conv  # noqa: E402
import pgweir_fixture as fixture  # noqa: E402
import run  # noqa: E402


def drop(kind):
    return lambda k, body: None if k == kind else (k, body)


TAMPERS = {  # name: what the relay does to each message of the server
    "honest": lambda k, body: (k, body),
    "drops notices": drop("N"),
    "drops parameter status": lambda k, body: None if body.startswith(b"TimeZone\0Asia/Tokyo") else (k, body),
    "changes one value": lambda k, body: (k, body.replace(b"item 7", b"item 8")) if k == "D" else (k, body),
    "changes a command tag": lambda k, body: (k, body.replace(b"SELECT 2", b"SELECT 3")) if k == "C" else (k, body),
    "loses an error position": lambda k, body: (k, body.replace(b"\0P8\0", b"\0")) if k == "E" else (k, body),
    "reports another status": lambda k, body: (k, b"I") if k == "Z" else (k, body),
    "changes a type modifier": lambda k, body: (k, body.replace(b"\0\0\0\x17\0\4", b"\0\0\0\x14\0\4")) if k == "T" else (k, body),
}


class Relay:
    """Listens, and relays each connection to the cluster."""

    def __init__(self, cluster, tamper):
        self.cluster, self.tamper = cluster, tamper
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = fixture.pgwire.Conn(self.cluster.address)
            threading.Thread(target=self.upwards, args=(client, server), daemon=True).start()
            threading.Thread(target=self.downwards, args=(client, server), daemon=True).start()

    @staticmethod
    def upwards(client, server):
        try:
            while True:
                data = client.recv(65536)
                if not data:
                    break
                server.send(data)
        except OSError:
            pass
        server.drop()

    def downwards(self, client, server):
        try:
            while True:
                message = self.tamper(*server.read())
                if message:
                    kind, body = message
                    client.sendall(kind.encode() + struct.pack("!I", len(body) + 4) + body)
        except (OSError, fixture.pgwire.WireError):
            pass
        client.close()


SCRIPT = """Q select name from item where id = 7
Q values (1), (2)
Q select nope
Q do $$ begin raise notice 'heard'; end $$
Q set TimeZone = 'Asia/Tokyo'
Q begin
Q select 1
Q commit
"""


def main():
    wrong = []
    with fixture.Postgres() as cluster:
        run.load_template(cluster)
        scratch = cluster.write("self.conv", SCRIPT)
        script = conv.load(scratch, "self")
        for number, (name, tamper) in enumerate(TAMPERS.items()):
            relay = Relay(cluster, tamper)
            found = []
            transcripts = []
            for leg in (run.Leg("direct", cluster, cluster.address), run.Leg("relayed", cluster, relay.address)):
                leg.fresh("self")
                transcripts.append(run.play_on(leg, script, "self", 10))
                leg.forget("self")
            found = run.difference(script, 0, *transcripts)
            relay.listener.close()
            good = bool(found) == bool(number)
            print("%s: a relay that %s is %s" % ("ok" if good else "not ok", name, "found out" if found else "not noticed"))
            if not good:
                wrong.append(name)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
