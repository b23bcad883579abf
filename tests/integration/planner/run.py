"""Starts a PostgreSQL, runs the test program with its URL, stops it."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "fixture"))

from pgweir_fixture import Postgres  # noqa: E402

with Postgres() as server:
    sys.exit(subprocess.run([sys.argv[1], server.url("postgres")], check=False).returncode)
