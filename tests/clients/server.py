"""A started seedbank binary: where it listens, what it prints, what its database says."""

import glob
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request


class Server:
    """One site on a data directory of its own; may be killed and started again."""

    def __init__(self, binary, data_dir, port, settings=None):
        self.binary = str(pathlib.Path(binary).resolve())
        self.data_dir = pathlib.Path(data_dir).resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            **os.environ,
            "SEEDBANK__SERVER__LISTEN": f"127.0.0.1:{port}",
            "SEEDBANK__SERVER__DATA_DIR": str(self.data_dir),
            # Clients are asked back often, so that there is something to be killed in the middle of.
            "SEEDBANK__TRACKER__INTERVAL_S": "3",
            "SEEDBANK__TRACKER__MIN_INTERVAL_S": "1",
            **(settings or {}),
        }
        self.process = None
        self.log = self.data_dir.parent / f"{self.data_dir.name}.log"

    def start(self):
        """Starts and waits until it answers."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary], env=self.environment, stdout=log, stderr=log, cwd=self.data_dir
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the site ended at once; see {self.log}")
            try:
                urllib.request.urlopen(f"{self.url}/login", timeout=2).read()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the site does not answer; see {self.log}")

    def kill(self):
        """As a power cut would, from the process's point of view."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()

    def setup_path(self):
        """The one-time link it prints when it begins to answer."""
        deadline = time.monotonic() + 10
        while not (found := re.findall(r"/setup/[\w-]+(?=\n)", self.log.read_text())):
            assert time.monotonic() < deadline, f"no set-up link in {self.log}"
            time.sleep(0.05)
        return found[-1]

    def query(self, sql, *values):
        """Rows of the site's own database, read only; `values` only where that is SQLite."""
        if url := self.environment.get("SEEDBANK__DATABASE__URL"):
            assert not values
            rows = psql(url, f"select coalesce(json_agg(r), '[]') from ({sql}) r")
            return [tuple(row.values()) for row in json.loads(rows)]
        (path,) = self.data_dir.glob("*.db")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute(sql, values).fetchall()

    def create(self, source, output, kind):
        """A .torrent made by `seedbank create`."""
        subprocess.run(
            [self.binary, "create", str(source), "--kind", kind, "-o", str(output), "--force"],
            env=self.environment,
            check=True,
            capture_output=True,
            cwd=self.data_dir,
        )


def psql(url, sql):
    """What Postgres answers, bare; its own program asks, which Debian keeps out of the PATH."""
    installed = sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))
    program = shutil.which("psql") or (installed[-1] if installed else None)
    assert program, "psql is not installed"
    command = [program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
