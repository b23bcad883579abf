"""Throwaway certificates by the openssl command: an authority, and what it signs."""
import os
import ssl
import struct
import subprocess

from support import pgwire


def openssl(*arguments):
    subprocess.run(["openssl"] + list(arguments), check=True, capture_output=True)


class Authority:
    """ca.pem in `directory`, and NAME.crt, NAME.key for each issued name; all readable by `owner` if given."""

    def __init__(self, directory, owner=None, name="test authority"):
        self.directory, self.owner = directory, owner
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        self.ca, self.key = self.path("ca.pem"), self.path("ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.ca,
                "-days", "2", "-subj", "/CN=" + name)
        self.own(self.ca)

    def path(self, name):
        return os.path.join(self.directory, name)

    def own(self, path, mode=0o644):
        os.chmod(path, mode)
        if self.owner:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)

    def issue(self, name, subject=None, file=None):
        """(certificate, key) for this common name, signed by the authority; `file` is their base name."""
        cert, key, request = (self.path((file or name) + end) for end in (".crt", ".key", ".csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                "-subj", subject or "/CN=" + name)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial", "-days", "2", "-out", cert)
        self.own(cert)
        self.own(key, 0o600)
        return cert, key


def context(ca=None, identity=None, alpn=("postgresql",)):
    """A client's TLS context. Nothing is checked without ca."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if ca:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(ca)
    if identity:
        made.load_cert_chain(*identity)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def ask_for_tls(conn, made):
    """SSLRequest, then the handshake. False: the peer has no TLS."""
    conn.send(struct.pack("!II", 8, pgwire.SSL_CODE))
    if conn.sock.recv(1) != b"S":
        return False
    conn.sock = made.wrap_socket(conn.sock)
    return True


def start_directly(conn, made):
    """TLS from the first byte (sslnegotiation=direct)."""
    conn.sock = made.wrap_socket(conn.sock)
