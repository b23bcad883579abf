"""A relay between pgweir and PostgreSQL that a test can make hold back what pgweir sends.

`hold(marker)` withholds everything for the server until bytes that contain the marker have arrived: whoever waits for an
answer before it sends them never gets one. Only on connections whose startup packet contains `only`, of which there is one at
a time. Owns its sockets and threads; ends with the process.
"""
import socket
import threading


class Relay:
    def __init__(self, server, only):
        self.server, self.only = server, only
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Condition()
        self.marker, self.held, self.sent = None, b"", b""
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.server)
            threading.Thread(target=self.to_server, args=(near, far), daemon=True).start()
            threading.Thread(target=self.copy, args=(far, near), daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def to_server(self, near, far):
        try:
            while len(first := near.recv(65536)) == 8:  # may it be TLS? The server says no
                far.sendall(first)
            far.sendall(first)
            if self.only not in first:
                self.copy(near, far)
                return
            while data := near.recv(65536):
                with self.lock:
                    data = self.held + data
                    if self.marker and self.marker not in data:
                        self.held = data
                        continue
                    if self.marker:
                        self.sent, self.marker = data, None
                    self.held = b""
                    self.lock.notify_all()
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def hold(self, marker):
        with self.lock:
            self.marker, self.held, self.sent = marker, b"", b""

    def released(self, timeout=30.0):
        """What was held back when the marker came; None when it never did."""
        with self.lock:
            return self.sent if self.lock.wait_for(lambda: self.marker is None, timeout) else None

    def close(self):
        self.listener.close()
