#!/usr/bin/python3
"""The transfer story through a companion: the real Torrust Tracker, which serves listed torrents and known keys only.

    companion.py SEEDBANK_BINARY DATA_DIR PORT [v1 hybrid v2]

As `transfer.py`, with the site told to use Torrust Tracker 3.0.0, which runs beside it and goes on while the site is
killed. It counts no member's bytes, and the profile says so. A replaced passkey and a deleted torrent
are refused at the next announce. Needs what `transfer.py` needs, and the tracker, which `scripts/test` installs.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import urllib.request

from peers import free_port, raw_announce, wait_for
from server import Server
from transfer import Pages, announce_url, infohash, say, story

TOKEN = "a-token-for-this-story"
CONFIGURATION = """
[metadata]
app = "torrust-tracker"
purpose = "configuration"
schema_version = "2.0.0"
[logging]
threshold = "info"
[core]
listed = true
private = true
inactive_peer_cleanup_interval = 2
[core.announce_policy]
interval = 3
interval_min = 1
[core.database]
driver = "sqlite3"
path = "./tracker.db"
[core.net]
external_ip = "127.0.0.1"
[core.tracker_policy]
max_peer_timeout = 20
[[http_trackers]]
bind_address = "127.0.0.1:{http}"
[http_api]
bind_address = "127.0.0.1:{api}"
[http_api.access_tokens]
story = "{token}"
[health_check_api]
bind_address = "127.0.0.1:{health}"
"""


def installed():
    """The program that `scripts/test` installs, or another one of that name."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    found = [
        os.environ.get("SEEDBANK_TEST_TORRUST"),
        cache / "seedbank/torrust-tracker-3.0.0/bin/torrust-tracker",
        pathlib.Path.home() / ".cargo/bin/torrust-tracker",
        shutil.which("torrust-tracker"),
    ]
    for path in found:
        if path and pathlib.Path(path).is_file():
            return str(path)
    sys.exit("torrust-tracker is not installed: scripts/test does it, or SEEDBANK_TEST_TORRUST names the program")


class Tracker:
    """The companion with a database of its own."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.http, self.api, health = free_port(), free_port(), free_port()
        folder.mkdir(parents=True)
        text = CONFIGURATION.format(http=self.http, api=self.api, health=health, token=TOKEN)
        (folder / "tracker.toml").write_text(text)
        self.process = None

    def start(self):
        environment = {"TORRUST_TRACKER_CONFIG_TOML_PATH": str(self.folder / "tracker.toml")}
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.program], env=environment, cwd=self.folder, stdout=log, stderr=log)
        wait_for("the tracker to answer", self.answers, 30)

    def answers(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.api}/api/health_check", timeout=2).read()
            urllib.request.urlopen(f"http://127.0.0.1:{self.http}/health_check", timeout=2).read()
        except OSError:
            assert self.process.poll() is None, f"the tracker ended at once; see {self.folder / 'log'}"
            return False
        return True

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def settings(self):
        return {
            "SEEDBANK__TRACKER__KIND": "torrust",
            "SEEDBANK__TRACKER__API_URL": f"http://127.0.0.1:{self.api}",
            "SEEDBANK__TRACKER__API_TOKEN": TOKEN,
            "SEEDBANK__TRACKER__ANNOUNCE_URLS": f"http://127.0.0.1:{self.http}/announce",
            "SEEDBANK__TRACKER__NUMBERS_EVERY_S": "1",
            "SEEDBANK__TRACKER__CHECK_EVERY_S": "1",
        }


class Both(Server):
    """The site and its companion, which goes on when the site is killed."""

    def __init__(self, binary, data_dir, port, tracker):
        super().__init__(binary, data_dir, port, tracker.settings())
        self.tracker = tracker

    def start(self):
        if not self.tracker.process:
            self.tracker.start()
        super().start()

    def stop(self):
        super().stop()
        self.tracker.kill()


class Companion:
    """What this tracker counts, and how it refuses."""

    # Each client of a member that completes, as the tracker knows no members.
    completed = (1, 2)

    def until_known(self, announce, hash_):
        wait_for("the tracker to know of it", lambda: raw_announce(announce, hash_) is None, 20)

    def check_books(self, server, _torrent_id, person, _totals):
        assert "not counted by this tracker" in person.get("/profile").text, "the profile says so"
        assert server.query("select count(*) from transfers") == [(0,)]

    def check_sums(self, server):
        assert server.query("select sum(uploaded), sum(downloaded) from users") == [(0, 0)]

    def refusals(self, pages, ann, page, anns):
        old, hash_ = announce_url(anns), infohash(anns)
        assert raw_announce(old, hash_) is None, "her own address works before the reset"
        pages.reset_passkey(ann)
        self.until_refused(old, hash_, "Failed to read key")
        new = announce_url(pages.download(ann, page))
        assert new != old
        self.until_known(new, hash_)
        pages.delete(ann, page)
        self.until_refused(new, hash_, "is not whitelisted")
        say("a replaced passkey and a deleted torrent are refused")

    def until_refused(self, announce, hash_, why):
        wait_for(f"the tracker to say that it {why!r}", lambda: why in (raw_announce(announce, hash_) or ""), 10)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    binary, data_dir, port, *kinds = sys.argv[1:]
    data_dir = pathlib.Path(data_dir).resolve()
    work = data_dir.with_name(f"{data_dir.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tracker = Tracker(installed(), work / "tracker")
    server = Both(binary, data_dir, int(port), tracker)
    story(server, Pages(server), work, kinds or ["v1", "hybrid", "v2"], Companion())
    shutil.rmtree(work)
    say("the transfer story holds with a companion")


if __name__ == "__main__":
    main()
