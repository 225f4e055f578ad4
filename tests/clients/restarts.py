#!/usr/bin/python3
"""Nothing acknowledged is lost: uploads, edits, downloads and announces while the site is stopped again and again.

    restarts.py SEEDBANK_BINARY DATA_DIR PORT [RESTARTS]

Members upload, edit, download and announce without a pause; the site is stopped 200 times at random moments, some in
good order (SIGTERM) and some not (SIGKILL), and started again at once. Whoever gets no answer sends the same
again, as people and clients do. At the end the catalogue holds each upload once and byte for byte, each title is the
last one acknowledged, everything is found, members' bytes are what their clients said last, and each `completed`
counts once. Every SIGTERM ends with 0 within 15 seconds. With SEEDBANK_TEST_POSTGRES, the URL of a server where
databases may be made, half of the restarts are on SQLite and half on Postgres. Nothing is left running.
"""

import hashlib
import http.client
import os
import random
import re
import signal
import sys
import threading
import time
import urllib.parse

from browser import Person
from fixtures import bencode, info_of
from server import Server, psql
from transfer import PASSWORD, Pages

RESTARTS = 200
LONGEST_STOP_S = 15
MEMBERS = 4
# Torrents in each member's client.
SESSIONS = 5
# What a site that goes away looks like from outside.
GONE = (OSError, http.client.HTTPException)


class NotTaken(Exception):
    """The site answered that it could not."""


class Known(Exception):
    """The site has it already."""


class Patient(Person):
    """Somebody who tells "not now" from "no"."""

    def open(self, path, body=None, headers=None):
        page = super().open(path, body, headers)
        if page.status == 409:
            raise Known()
        if page.status == 503:
            raise NotTaken()
        assert page.status < 500, f"{path}: {page.status} {page.text[:2000]}"
        return page


class Story:
    """What was acknowledged, as those remember it who were told."""

    def __init__(self, server):
        self.server = server
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.wrong = []
        self.rng = random.Random(20261122)
        # torrent id -> bytes of info, name, title
        self.torrents = {}
        self.titles = {}
        # torrent id -> members that completed it
        self.completed = {}
        # member -> [uploaded, downloaded] over all sessions, as last acknowledged
        self.totals = {}
        self.done = {"uploads": 0, "edits": 0, "downloads": 0, "announces": 0, "tries in vain": 0}

    def count(self, what):
        with self.lock:
            self.done[what] += 1

    def until_taken(self, act):
        """Tries until there is an answer."""
        while True:
            try:
                return act()
            except (*GONE, NotTaken):
                self.count("tries in vain")
                time.sleep(0.02)

    def any_torrent(self, rng, among=None):
        with self.lock:
            return rng.choice(among or list(self.torrents)) if self.torrents else None

    def run(self, work, *arguments):
        def guarded():
            try:
                work(*arguments)
            except BaseException as error:  # noqa: BLE001 -- reported by the main thread
                self.wrong.append(f"{work.__name__}: {error!r}")

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    # What members do, each in a thread of its own until the story is over.

    def upload(self, person, who):
        rng = random.Random(who)
        for n in range(10**9):
            if self.over.is_set():
                return
            # One word that nothing else has, to search for.
            name = f"w{who}x{n}x{rng.randrange(10**9)}"
            info = bencode(
                {
                    "length": 16384 * 3,
                    "name": name,
                    "piece length": 16384,
                    "pieces": rng.randbytes(60),
                    "x-odd": [n, {"deep": b"\xff\xfe"}],
                }
            )
            torrent = b"d4:info" + info + b"e"

            def send():
                try:
                    reply = person.submit(
                        "/upload",
                        "/upload",
                        {"category": "other", "title": name, "tags": f"t{n % 7}"},
                        [("files", f"{name}.torrent", torrent)],
                    )
                    return reply.location
                except Known:
                    # It was stored, and only the answer got lost.
                    return person.get(f"/t/{hashlib.sha1(info).hexdigest()}", 303).location

            place = re.match(r".*/torrents/(\d+)", self.until_taken(send))
            with self.lock:
                number = int(place.group(1))
                assert number not in self.torrents, f"torrent {number} twice"
                self.torrents[number] = (info, name)
                self.titles[number] = name
            self.count("uploads")
            # The catalogue need not grow faster than it can be looked through at the end.
            time.sleep(0.05)

    def edit(self, person):
        rng = random.Random("edit")
        for n in range(10**9):
            if self.over.is_set():
                return
            number = self.any_torrent(rng)
            if number is None:
                time.sleep(0.1)
                continue
            title = f"edited e{n}y{rng.randrange(10**9)}"
            path = f"/torrents/{number}/edit"
            self.until_taken(lambda: person.submit(path, path, {"title": title}))
            self.titles[number] = title
            self.count("edits")

    def download(self, person):
        rng = random.Random("download")
        while not self.over.is_set():
            number = self.any_torrent(rng)
            if number is None:
                time.sleep(0.1)
                continue
            got = self.until_taken(lambda: person.get(f"/torrents/{number}/download"))
            assert info_of(got.body) == self.torrents[number][0], f"torrent {number} changed"
            self.count("downloads")

    def announce(self, member, passkey):
        """A client whose totals go on over the site's restarts, as a real one's do."""
        rng = random.Random(member)
        with self.lock:
            mine = rng.sample(sorted(self.torrents), SESSIONS)
        sessions = [Session(self, member, passkey, number, rng) for number in mine]
        while not self.over.is_set():
            rng.choice(sessions).goes_on()
            time.sleep(0.005)
        # What a kill forgot is in a client's next report, so each makes one.
        for session in sessions:
            session.goes_on()
        self.totals[member] = tuple(sum(s.totals[i] for s in sessions) for i in (0, 1))


class Session:
    """One torrent in one member's client."""

    def __init__(self, story, member, passkey, number, rng):
        self.story, self.member, self.number, self.rng = story, member, number, rng
        self.url = f"/announce/{passkey}"
        self.infohash = hashlib.sha1(story.torrents[number][0]).digest()
        self.peer_id = b"-SB0000-" + hashlib.sha1(f"{member} {number}".encode()).digest()[:12]
        self.totals = [0, 0]
        self.left = rng.randrange(2, 60) * 1000
        self.says("started")

    def goes_on(self):
        self.totals[0] += self.rng.randrange(0, 100_000)
        if self.left > 0:
            got = min(self.left, self.rng.randrange(1, 2000))
            self.left -= got
            self.totals[1] += got
            if self.left == 0:
                self.says("completed")
                with self.story.lock:
                    self.story.completed.setdefault(self.number, set()).add(self.member)
                return
        # Now and then the client is paused and goes on.
        if self.rng.random() < 0.05:
            self.says("stopped")
            self.says("started")
        else:
            self.says("")

    def says(self, event):
        fields = {
            "port": 6881,
            "uploaded": self.totals[0],
            "downloaded": self.totals[1],
            "left": self.left,
            "key": "k1",
        }
        if event:
            fields["event"] = event
        hashes = "&".join(
            f"{name}={urllib.parse.quote(value, safe='')}"
            for name, value in (("info_hash", self.infohash), ("peer_id", self.peer_id))
        )
        url = f"{self.url}?{hashes}&{urllib.parse.urlencode(fields)}"

        def send():
            answer = Patient(self.story.server.url).get(url).body
            if b"failure reason" in answer:
                if b"try again" in answer:
                    raise NotTaken()
                raise AssertionError(f"{event or 'update'}: {answer!r}")

        self.story.until_taken(send)
        self.story.count("announces")


def restart(server, story, n, times):
    """Stops the site one way or the other, and starts it again."""
    time.sleep(story.rng.uniform(0.02, 0.4))
    in_order = story.rng.random() < 0.4
    begun = time.monotonic()
    if in_order:
        stop_in_order(server)
    else:
        server.kill()
    stopped = time.monotonic()
    server.start()
    times["SIGTERM" if in_order else "SIGKILL"].append(stopped - begun)
    times["start"].append(time.monotonic() - stopped)
    assert not story.wrong, story.wrong
    if n % 20 == 0:
        done = ", ".join(f"{number} {what}" for what, number in story.done.items())
        print(f"{n} restarts: {done}", flush=True)


def stop_in_order(server):
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(timeout=LONGEST_STOP_S)
    assert code == 0, f"SIGTERM ended it with {code}; see {server.log}"


def main():
    binary, data_dir, port = sys.argv[1:4]
    restarts = int(sys.argv[4]) if len(sys.argv) > 4 else RESTARTS
    postgres = os.environ.get("SEEDBANK_TEST_POSTGRES")
    if not postgres:
        story_on("SQLite", restarts, binary, data_dir, port, {})
        return
    story_on("SQLite", restarts // 2, binary, data_dir, port, {})
    name = f"seedbank_restarts_{os.getpid()}"
    url = urllib.parse.urlsplit(postgres)._replace(path=f"/{name}").geturl()
    psql(postgres, f"create database {name}")
    try:
        settings = {"SEEDBANK__DATABASE__URL": url}
        story_on("Postgres", restarts - restarts // 2, binary, f"{data_dir}-postgres", port, settings)
    finally:
        psql(postgres, f"drop database {name} with (force)")


def story_on(database, restarts, binary, data_dir, port, settings):
    server = Server(
        binary,
        data_dir,
        port,
        {
            "SEEDBANK__TORRENTS__DOWNLOADS_PER_HOUR": "100000000",
            # The story is about what is stored, not about guessing passwords.
            "SEEDBANK__ACCOUNTS__ARGON2_MEMORY_KIB": "64",
            "SEEDBANK__ACCOUNTS__ARGON2_PASSES": "1",
            **settings,
        },
    )
    begun = time.monotonic()
    server.start()
    try:
        story = Story(server)
        pages = Pages(server)
        pages.set_up()

        def member(name):
            person = Patient(server.url)
            person.submit("/register", "/register", {"name": name, "password": PASSWORD})
            return person

        # An admin may edit what others uploaded.
        root = Patient(server.url)
        root.submit("/login", "/login", {"name": "root", "password": PASSWORD})
        threads = [story.run(story.upload, member(name), name) for name in ("ann", "bob")]
        wait_until(lambda: len(story.torrents) >= 4 * SESSIONS or story.wrong)
        threads += [story.run(story.edit, root), story.run(story.download, member("carol"))]
        passkeys = {}
        for name in (f"peer{n}" for n in range(MEMBERS)):
            torrent = member(name).get(f"/torrents/{min(story.torrents)}/download").body
            passkeys[name] = re.search(rb"/announce/(\w{32})", torrent).group(1).decode()
        # The tracker follows within a second; from then on it must know them, whatever happens.
        time.sleep(1.5)
        threads += [story.run(story.announce, name, passkey) for name, passkey in passkeys.items()]

        times = {"SIGTERM": [], "SIGKILL": [], "start": []}
        for n in range(1, restarts + 1):
            restart(server, story, n, times)
        story.over.set()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "somebody never got an answer"
        assert not story.wrong, story.wrong
        for what, took in times.items():
            if took:
                print(f"{what}: {len(took)} times, {sum(took) / len(took):.2f} s, at the most {max(took):.2f} s")

        # In good order once more: what was acknowledged before must be stored now, without another report.
        stop_in_order(server)
        check_the_books(server, story)
        server.start()
        check_the_pages(server, story, root)
        print(f"{database}: nothing was lost over {restarts} restarts, in {time.monotonic() - begun:.0f} s")
    finally:
        server.stop()


def wait_until(ready, seconds=60):
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def check_the_books(server, story):
    """What the database holds is what was acknowledged, and nothing else."""
    stored = dict(server.query("select id, title from torrents where state <> 'deleted'"))
    assert stored == story.titles, differences(stored, story.titles)
    books = {n: (u, d) for n, u, d in server.query("select name, uploaded, downloaded from users where name like 'peer%'")}
    assert books == story.totals, differences(books, story.totals)
    counted = dict(server.query("select torrent_id, completed from swarms where completed > 0"))
    completed = {number: len(members) for number, members in story.completed.items()}
    assert counted == completed, differences(counted, completed)
    print(f"{len(stored)} torrents, {sum(completed.values())} completed, and the bytes of {len(books)} members are exact")


def check_the_pages(server, story, person):
    """Each torrent comes back byte for byte, and is found by its name and its title."""
    for number, (info, name) in story.torrents.items():
        got = person.get(f"/torrents/{number}/download").body
        assert info_of(got) == info, f"torrent {number} changed"
    unsure = dict(story.torrents)

    def all_found():
        for number, (_, name) in list(unsure.items()):
            title = story.titles[number].split()[-1]
            for word in {name, title}:
                found = re.findall(r'href="/torrents/(\d+)\b', person.get(f"/torrents?q={word}").text)
                if str(number) not in found:
                    return False
            del unsure[number]
        return True

    wait_until(all_found)


def differences(got, wanted):
    wrong = {key for key in got.keys() | wanted.keys() if got.get(key) != wanted.get(key)}
    shown = [f"{key}: stored {got.get(key)}, acknowledged {wanted.get(key)}" for key in sorted(wrong, key=str)[:10]]
    return f"{len(wrong)} differ: " + "; ".join(shown)


if __name__ == "__main__":
    main()
