#!/usr/bin/python3
"""The transfer story: two members, real clients, a started binary, and books that are exact at the end.

    transfer.py SEEDBANK_BINARY DATA_DIR PORT [v1 hybrid v2]

Ann uploads a torrent of each kind and seeds it with libtorrent. Bob downloads the .torrent from the site and
completes it with aria2 (v1) or qbittorrent-nox (hybrid, v2), and again with libtorrent, while the site is killed
(-9) and started again in the middle. Checksums, the torrent page's numbers, `completed` and both members' bytes
must be right; a replaced passkey and a deleted torrent are refused. Needs python3-libtorrent, aria2 and
qbittorrent-nox; nothing is left running.
"""

import hashlib
import os
import pathlib
import re
import shutil
import sys
import time

import libtorrent as lt

from peers import Aria2, Libtorrent, Qbittorrent, raw_announce, wait_for
from server import Server
from browser import Person

SIZE = 20_000_000
PASSWORD = "correct horse battery staple"
OTHER_CLIENT = {"v1": Aria2, "hybrid": Qbittorrent, "v2": Qbittorrent}


class Pages:
    """The site's pages as the story uses them."""

    def __init__(self, server):
        self.server = server

    def set_up(self):
        path = self.server.setup_path()
        Person(self.server.url).submit(
            path,
            path,
            {
                "name": "root",
                "password": PASSWORD,
                "site_name": "Transfer",
                "site_url": self.server.url,
                "registration": "open",
                "look": "members",
                "download": "members",
                "upload": "members",
                "private_policy": "any",
            },
        )

    def register(self, name):
        person = Person(self.server.url)
        person.submit("/register", "/register", {"name": name, "password": PASSWORD})
        person.name = name
        return person

    def upload(self, person, torrent, title):
        """The new torrent's page."""
        options = re.search(r'<select[^>]*name="category".*?</select>', person.get("/upload").text, re.S)
        category = next(value for value in re.findall(r'value="([^"]+)"', options.group()))
        reply = person.submit(
            "/upload",
            "/upload",
            {"title": title, "category": category, "tags": "transfer", "description": "A *story*."},
            [("files", "a.torrent", torrent)],
        )
        found = re.search(r"/torrents/\d+", reply.location)
        assert found, f"upload answered {reply.status} to {reply.location!r}"
        return found.group()

    def download(self, person, page):
        return person.get(f"{page}/download").body

    def numbers(self, person, page):
        """Seeders, leechers and completed as the torrent's page says; None for what is unknown."""
        stats = person.get(page).stats()
        number = lambda text: int(text.replace(",", "")) if text[:1].isdigit() else None
        return tuple(number(stats[label]) for label in ("Seeders", "Leechers", "Completed"))

    def reset_passkey(self, person):
        person.submit("/profile", "/profile/passkey")

    def delete(self, person, page):
        person.submit(f"{page}/delete", f"{page}/delete", {"reason": "The story is over."})


def announce_url(torrent):
    return lt.bdecode(torrent)[b"announce"].decode()


def infohash(torrent):
    hashes = lt.torrent_info(lt.bdecode(torrent)).info_hashes()
    best = hashes.v1 if hashes.has_v1() else hashes.v2
    return best.to_bytes()


def short_infohashes(torrent):
    """20 bytes each, as trackers know them: two of a hybrid."""
    hashes = lt.torrent_info(lt.bdecode(torrent)).info_hashes()
    both = [(hashes.has_v1(), hashes.v1), (hashes.has_v2(), hashes.v2)]
    return [hash_.to_bytes()[:20] for has, hash_ in both if has]


def checksums(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".pad" not in path.parts and not path.name.endswith((".aria2", ".parts"))
    }


def payload(folder, kind):
    """A folder of two files, so that hybrids are padded; one file for aria2, which takes padding for files."""
    source = folder / f"payload-{kind}"
    if kind == "v1":
        source.write_bytes(os.urandom(SIZE))
    else:
        source.mkdir()
        (source / "a.bin").write_bytes(os.urandom(SIZE // 2 - 12_345))
        (source / "b.bin").write_bytes(os.urandom(SIZE // 2 + 12_345))
    return source


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def transfer(server, pages, ann, bob, work, kind, tracker):
    source = payload(work, kind)
    made = work / f"{kind}.torrent"
    server.create(source, made, kind)
    page = pages.upload(ann, made.read_bytes(), f"Payload {kind}")
    anns, bobs = pages.download(ann, page), pages.download(bob, page)
    assert announce_url(anns) != announce_url(bobs), "each member has an address of their own"
    assert infohash(anns) == infohash(made.read_bytes()), "the infohash stays what it is"
    for hash_ in short_infohashes(anns):
        tracker.until_known(announce_url(anns), hash_)
        tracker.until_known(announce_url(bobs), hash_)
    torrent_id = int(page.rsplit("/", 1)[1])
    completed_first, completed_at_the_end = tracker.completed
    clients = []
    # Nothing is left running, whatever happens.
    try:
        seeder = Libtorrent().add(anns, work, seed=True)
        clients.append(seeder)
        seeder.wait_until_announced()
        wait_for("the page to show the seeder", lambda: pages.numbers(bob, page)[0] == 1, 20)

        say(f"{kind}: bob fetches with {OTHER_CLIENT[kind].name}")
        first = OTHER_CLIENT[kind]()
        clients.append(first)
        into = work / f"bob-{kind}-1"
        into.mkdir()
        first.add(bobs, into)
        first.wait_until_complete()
        wait_for("completed once", lambda: pages.numbers(bob, page)[2] == completed_first, 20)

        say(f"{kind}: bob fetches with libtorrent, and the site is killed in the middle")
        second = Libtorrent(download_limit=5_000_000)
        clients.append(second)
        again = work / f"bob-{kind}-2"
        again.mkdir()
        second.add(bobs, again)
        wait_for("a third of it", lambda: second.done_share() > 0.33, 60)
        server.kill()
        time.sleep(1)
        server.start()
        for client in (seeder, second):
            client.reannounce()
        second.wait_until_complete()
        wait_for(
            "the page to show the three who seed",
            lambda: pages.numbers(bob, page) == (3, 0, completed_at_the_end),
            30,
        )
        while clients:
            # The last one stops first, so that nobody fetches from who is gone.
            clients[-1].stop()
            say(f"{kind}: {clients[-1].name} stopped after {clients[-1].totals()}")
            clients.pop()
    finally:
        for client in clients:
            try:
                client.stop()
            except Exception as error:
                print(f"stopping {client.name}: {error}", file=sys.stderr)

    expected = checksums(source) if source.is_dir() else {source.name: checksums(work)[source.name]}
    for folder in (into, again):
        got = checksums(folder / source.name if source.is_dir() else folder)
        assert got == expected, f"{folder} differs from what was shared"
    up = [client.totals() for client in (seeder,)]
    down = [client.totals() for client in (first, second)]
    wait_for("the page to show that nobody is left", lambda: pages.numbers(bob, page)[:2] == (0, 0), 20)
    assert pages.numbers(bob, page)[2] == completed_at_the_end
    tracker.check_books(server, torrent_id, ann, up)
    tracker.check_books(server, torrent_id, bob, down)
    say(f"{kind}: the books are right")
    return page, anns


class Inside:
    """What the tracker inside counts, and how it refuses."""

    # Once for a member and torrent: after the first client, and after the second.
    completed = (1, 1)

    def until_known(self, announce, hash_):
        """It follows the database within a second."""
        wait_for("the tracker to know of it", lambda: raw_announce(announce, hash_) is None, 5)

    def check_books(self, server, torrent_id, person, totals):
        """What the site counted on this torrent is what the clients counted."""
        expected = tuple(map(sum, zip(*totals)))
        sql = (
            "select x.uploaded, x.downloaded from transfers x join users u on u.id = x.user_id "
            "where x.torrent_id = ? and u.name = ?"
        )
        (counted,) = server.query(sql, torrent_id, person.name)
        assert counted == expected, f"{person.name} on torrent {torrent_id}: site {counted}, clients {expected}"

    def check_sums(self, server):
        """A member's sums are the sums of that member's transfers."""
        sql = (
            "select u.name, u.uploaded, u.downloaded, coalesce(sum(x.uploaded), 0), coalesce(sum(x.downloaded), 0) "
            "from users u left join transfers x on x.user_id = u.id group by u.id"
        )
        for name, up, down, all_up, all_down in server.query(sql):
            assert (up, down) == (all_up, all_down), f"{name}: {up, down} is not {all_up, all_down}"

    def refusals(self, pages, ann, page, anns):
        old = announce_url(anns)
        assert raw_announce(old, infohash(anns)) is None, "her own address works before the reset"
        pages.reset_passkey(ann)
        time.sleep(1)
        reason = raw_announce(old, infohash(anns))
        assert reason and "replaced" in reason, f"after the reset: {reason}"
        new = announce_url(pages.download(ann, page))
        assert new != old and raw_announce(new, infohash(anns)) is None, "the new address works"
        pages.delete(ann, page)
        time.sleep(1)
        reason = raw_announce(new, infohash(anns))
        assert reason and "deleted" in reason, f"after the deletion: {reason}"
        say("a replaced passkey and a deleted torrent are refused")


def story(server, pages, work, kinds, tracker):
    server.start()
    try:
        pages.set_up()
        ann, bob = pages.register("ann"), pages.register("bob")
        for kind in kinds:
            page, anns = transfer(server, pages, ann, bob, work, kind, tracker)
        tracker.check_sums(server)
        tracker.refusals(pages, ann, page, anns)
    finally:
        server.stop()


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    binary, data_dir, port, *kinds = sys.argv[1:]
    data_dir = pathlib.Path(data_dir).resolve()
    work = data_dir.with_name(f"{data_dir.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    server = Server(binary, data_dir, int(port))
    story(server, Pages(server), work, kinds or ["v1", "hybrid", "v2"], Inside())
    shutil.rmtree(work)
    say("the transfer story holds")


if __name__ == "__main__":
    main()
