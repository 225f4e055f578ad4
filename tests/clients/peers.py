"""Real torrent clients for the stories: libtorrent in this process, aria2 and qbittorrent-nox beside it.

Each has `add`, `wait_until_complete`, `totals` (bytes uploaded and downloaded, as it tells trackers) and `stop`,
which says `stopped` to the tracker and ends the client.
"""

import contextlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import libtorrent as lt


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, ready, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := ready():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class Libtorrent:
    """One session with one torrent, on loopback, with nothing but the tracker to find others by."""

    name = "libtorrent"

    def __init__(self, download_limit=0):
        self.session = lt.session(
            {
                "listen_interfaces": "127.0.0.1:0",
                "enable_dht": False,
                "enable_lsd": False,
                "enable_upnp": False,
                "enable_natpmp": False,
                "enable_incoming_utp": False,
                "enable_outgoing_utp": False,
                "allow_multiple_connections_per_ip": True,
                "announce_to_all_trackers": True,
                "min_announce_interval": 1,
                "tracker_backoff": 1,
                "min_reconnect_time": 1,
                "peer_connect_timeout": 5,
                "stop_tracker_timeout": 10,
                "tracker_completion_timeout": 10,
                "download_rate_limit": download_limit,
                "alert_mask": lt.alert.category_t.tracker_notification
                | lt.alert.category_t.error_notification
                | lt.alert.category_t.status_notification,
            }
        )
        self.said = []
        self.final = None

    def add(self, torrent, folder, seed=False):
        parameters = lt.add_torrent_params()
        parameters.ti = lt.torrent_info(lt.bdecode(torrent))
        parameters.save_path = str(folder)
        flags = parameters.flags & ~lt.torrent_flags.auto_managed & ~lt.torrent_flags.paused
        parameters.flags = flags | (lt.torrent_flags.seed_mode if seed else 0)
        self.handle = self.session.add_torrent(parameters)
        return self

    def alerts(self):
        self.said += [f"{a.what()}: {a.message()}" for a in self.session.pop_alerts()]
        return self.said

    def done_share(self):
        return self.handle.status().progress

    def wait_until_announced(self):
        wait_for("an answer of the tracker", lambda: any("tracker_reply" in s for s in self.alerts()), 30)

    def wait_until_complete(self, seconds=120):
        try:
            wait_for("libtorrent to complete", lambda: self.handle.status().is_seeding, seconds)
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.alerts()[-30:]])) from error

    def reannounce(self):
        self.handle.force_reannounce()

    def totals(self):
        status = self.final or self.handle.status()
        # What it tells trackers leaves out pieces that failed and blocks that came twice.
        wasted = status.total_failed_bytes + status.total_redundant_bytes
        return status.total_payload_upload, status.total_payload_download - wasted

    def stop(self):
        self.handle.pause()
        wait_for("libtorrent to pause", lambda: any("torrent_paused" in s for s in self.alerts()), 20)
        wait_for("its peers to be gone", lambda: self.handle.status().num_peers == 0, 20)
        self.final = self.handle.status()
        # The session's destructor waits until the tracker has answered `stopped`.
        del self.handle, self.session


class Aria2:
    """aria2 with its control port. It knows v1 and the v1 side of hybrids."""

    name = "aria2"

    def __init__(self):
        self.rpc, self.work = free_port(), pathlib.Path(tempfile.mkdtemp(prefix="aria2-"))

    def add(self, torrent, folder):
        file = self.work / "a.torrent"
        file.write_bytes(torrent)
        self.process = subprocess.Popen(
            [
                "aria2c",
                "--no-conf",
                f"--dir={folder}",
                "--enable-rpc",
                f"--rpc-listen-port={self.rpc}",
                "--seed-ratio=0.0",
                "--enable-dht=false",
                "--enable-dht6=false",
                "--bt-enable-lpd=false",
                "--enable-peer-exchange=false",
                f"--listen-port={free_port()}",
                "--allow-overwrite=true",
                "--bt-tracker-timeout=10",
                "--check-certificate=false",
                "--quiet",
                str(file),
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_for("aria2's control port", self.listed, 15)
        return self

    def call(self, method, *parameters):
        body = json.dumps({"jsonrpc": "2.0", "id": "1", "method": f"aria2.{method}", "params": parameters})
        try:
            reply = urllib.request.urlopen(f"http://127.0.0.1:{self.rpc}/jsonrpc", body.encode(), timeout=5)
            return json.load(reply)["result"]
        except (OSError, http.client.HTTPException):
            return None

    def listed(self):
        found = [t for kind in ("tellActive",) for t in self.call(kind) or []]
        if found:
            self.last = found[0]
        return found

    def done_share(self):
        self.listed()
        return int(self.last["completedLength"]) / max(int(self.last["totalLength"]), 1)

    def wait_until_complete(self, seconds=120):
        wait_for("aria2 to complete", lambda: self.listed() and self.done_share() == 1.0, seconds)

    def totals(self):
        return int(self.last["uploadLength"]), int(self.last["completedLength"])

    def stop(self):
        self.listed()
        # A download that is removed says `stopped`, and then waits for the answer.
        self.call("remove", self.last["gid"])
        wait_for("aria2 to say `stopped`", lambda: not self.listed(), 30)
        self.call("shutdown")
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.work, ignore_errors=True)


class Qbittorrent:
    """qbittorrent-nox with a profile of its own, driven through its web interface's API."""

    name = "qbittorrent-nox"

    def __init__(self):
        self.port, self.work = free_port(), pathlib.Path(tempfile.mkdtemp(prefix="qbittorrent-"))
        config = self.work / "qBittorrent" / "config" / "qBittorrent.conf"
        config.parent.mkdir(parents=True)
        config.write_text(
            "[LegalNotice]\nAccepted=true\n"
            "[BitTorrent]\n"
            "Session\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\PeXEnabled=false\n"
            "Session\\MultiConnectionsPerIp=true\nSession\\BTProtocol=TCP\n"
            f"Session\\Port={free_port()}\nSession\\Interface=lo\nSession\\InterfaceAddress=127.0.0.1\n"
            "Session\\QueueingSystemEnabled=false\nSession\\Preallocation=false\n"
            "[Preferences]\nWebUI\\LocalHostAuth=false\nWebUI\\CSRFProtection=false\n"
            f"WebUI\\Address=127.0.0.1\nWebUI\\Port={self.port}\nWebUI\\UseUPnP=false\n"
            "Connection\\UPnP=false\nGeneral\\UseRandomPort=false\n"
        )
        self.process = subprocess.Popen(
            ["qbittorrent-nox", f"--profile={self.work}", f"--webui-port={self.port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        wait_for("qbittorrent-nox's web interface", lambda: self.call("app/version"), 40)

    def call(self, method, fields=None, file=None):
        boundary, headers, body = uuid.uuid4().hex, {}, None
        if file is not None:
            parts = [
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
                for name, value in fields.items()
            ]
            parts.append(
                f'--{boundary}\r\nContent-Disposition: form-data; name="torrents"; filename="a.torrent"\r\n'
                "Content-Type: application/x-bittorrent\r\n\r\n".encode()
                + file
                + f"\r\n--{boundary}--\r\n".encode()
            )
            body, headers["Content-Type"] = b"".join(parts), f"multipart/form-data; boundary={boundary}"
        elif fields is not None:
            body = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/v2/{method}", body, headers)
        try:
            return urllib.request.urlopen(request, timeout=10).read().decode() or "ok"
        except OSError:
            return None

    def add(self, torrent, folder):
        fields = {"savepath": str(folder), "root_folder": "true", "autoTMM": "false", "skip_checking": "false"}
        assert self.call("torrents/add", fields, torrent), "qbittorrent-nox takes no torrent"
        wait_for("qbittorrent-nox to list it", self.status, 20)
        return self

    def status(self):
        found = json.loads(self.call("torrents/info") or "[]")
        return found[0] if found else None

    def done_share(self):
        return (self.status() or {}).get("progress", 0)

    def wait_until_complete(self, seconds=120):
        done = ("uploading", "stalledUP", "forcedUP")
        try:
            wait_for("qbittorrent-nox to complete", lambda: (self.status() or {}).get("state") in done, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.status()}") from error

    def totals(self):
        status = self.status() or self.final
        return status["uploaded"], status["downloaded"]

    def stop(self):
        hash_ = self.status()["hash"]
        self.call("torrents/pause", {"hashes": hash_})
        wait_for("qbittorrent-nox to pause", lambda: self.status()["state"].startswith("paused"), 20)
        # Both infohashes tell the tracker, which takes a while on a busy machine.
        time.sleep(3)
        self.final = self.status()
        self.call("app/shutdown", {})
        try:
            self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.status = lambda: None
        shutil.rmtree(self.work, ignore_errors=True)


def raw_announce(announce_url, infohash, **parameters):
    """One announce by hand; answers the failure reason, or None when it is taken."""
    fields = {
        "peer_id": b"-SB0000-handmade0000",
        "port": 1,
        "uploaded": 0,
        "downloaded": 0,
        "left": 0,
        "event": "stopped",
        **parameters,
    }
    query = "info_hash=" + urllib.parse.quote(infohash[:20], safe="") + "&" + urllib.parse.urlencode(fields)
    answer = urllib.request.urlopen(f"{announce_url}?{query}", timeout=10).read()
    found = re.search(rb"14:failure reason(\d+):", answer)
    if not found:
        return None
    return answer[found.end() : found.end() + int(found.group(1))].decode()
