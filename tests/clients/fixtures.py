#!/usr/bin/python3
"""Hash in = hash out: torrents nobody here made, and a thousand of every kind, through the form and back.

    fixtures.py SEEDBANK_BINARY DATA_DIR PORT

Uploads the torrents of the npm package `webtorrent-fixtures` (a corrupt one is refused with a sentence) and 1,000
generated ones: v1, hybrid and v2, one file and folders, padding, odd keys, `source`, unsorted outer keys, web seeds.
Each is fetched again: `info` is byte for byte what was sent, and libtorrent reads the same hashes from both. Leaves
of Grass is then transferred for real. Needs python3-libtorrent and `npm ci`; nothing is left running.
"""

import hashlib
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

import libtorrent as lt

from browser import Person
from peers import Libtorrent, wait_for
from server import Server
from transfer import Pages

GENERATED = 1000
BATCH = 50
PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "node_modules/webtorrent-fixtures/fixtures"
SOUND = ["sintel", "bunny", "leaves", "alice", "folder", "numbers", "lots-of-numbers", "leaves-metadata"]


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, Raw):
        return value.text
    pairs = sorted((k.encode() if isinstance(k, str) else k, v) for k, v in value.items())
    return b"d" + b"".join(bencode(k) + bencode(v) for k, v in pairs) + b"e"


class Raw:
    """Bytes that stand for a value as they are."""

    def __init__(self, text):
        self.text = text


def info_of(torrent):
    """The bytes of `info`, by walking the outer dictionary."""
    at = 1
    while torrent[at : at + 1] != b"e":
        colon = torrent.index(b":", at)
        end = colon + 1 + int(torrent[at:colon])
        key = torrent[colon + 1 : end]
        after = skip(torrent, end)
        if key == b"info":
            return torrent[end:after]
        at = after
    raise AssertionError("no info")


def skip(data, at):
    depth = 0
    while True:
        head = data[at : at + 1]
        if head in (b"d", b"l"):
            depth += 1
            at += 1
        elif head == b"e":
            depth -= 1
            at += 1
        elif head == b"i":
            at = data.index(b"e", at) + 1
        else:
            colon = data.index(b":", at)
            at = colon + 1 + int(data[at:colon])
        if depth == 0:
            return at


def hashes(torrent):
    found = lt.torrent_info(torrent).info_hashes()
    v1 = str(found.v1) if found.has_v1() else None
    v2 = str(found.v2) if found.has_v2() else None
    return v1, v2


def v1_by_hand(rng, n):
    """A v1 torrent of our own writing, with keys nobody asked for and the outer ones out of order."""
    piece_length = 16384 << rng.randrange(3)
    name = f"hand-{n}-{rng.randrange(10**6)}"
    info = {"name": name, "piece length": piece_length, "x-odd": [1, {"deep": "er"}], "zz": b"\xff\xfe"}
    if n % 2:
        files = [{"length": rng.randrange(1, 90000), "path": ["folder é", f"{i}.bin"]} for i in range(rng.randrange(1, 6))]
        if n % 3 == 0:
            files.append({"attr": "p", "length": 777, "path": [".pad", "777"]})
        info["files"] = files
        total = sum(f["length"] for f in files)
    else:
        total = info["length"] = rng.randrange(1, 200000)
    info["pieces"] = rng.randbytes(20 * -(-total // piece_length))
    if n % 4 == 0:
        info["private"] = 1
    if n % 5 == 0:
        info["source"] = f"SRC{n}"
    inner = bencode(info)
    outer = [
        (b"url-list", bencode(["https://mirror.example/a/", "https://mirror.example/b/"])),
        (b"info", inner),
        (b"announce", bencode("http://foreign.example/announce?passkey=secret")),
        (b"comment", bencode("kept by nobody")),
        (b"nodes", bencode([["router.example", 6881]])),
        (b"creation date", bencode(1_600_000_000 + n)),
    ]
    rng.shuffle(outer)
    return b"d" + b"".join(bencode(k) + v for k, v in outer) + b"e"


def by_libtorrent(rng, n, folder, kind):
    """A torrent that libtorrent builds from real files."""
    root = pathlib.Path(folder) / f"lt-{n}"
    sizes = [rng.randrange(1, 70000) for _ in range(rng.randrange(1, 5))]
    storage = lt.file_storage()
    if n % 3 == 0:
        root.write_bytes(rng.randbytes(sizes[0]))
        storage.add_file(root.name, sizes[0])
    else:
        for i, size in enumerate(sizes):
            path = root / ("sub" if i % 2 else ".") / f"file {i} ü.dat"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(rng.randbytes(size))
            storage.add_file(os.path.normpath(f"{root.name}/{'sub/' if i % 2 else ''}file {i} ü.dat"), size)
    flags = {"v1": lt.create_torrent.v1_only, "v2": lt.create_torrent.v2_only, "hybrid": 0}[kind]
    made = lt.create_torrent(storage, 16384 << rng.randrange(2), flags=flags)
    made.add_tracker("udp://foreign.example:6969/announce")
    made.add_url_seed("https://mirror.example/files/")
    made.set_priv(n % 4 == 0)
    made.set_creator("libtorrent")
    lt.set_piece_hashes(made, str(folder))
    return lt.bencode(made.generate())


def upload(person, files):
    """Uploads a batch; gives each file's verdict and page, in order."""
    page = person.submit(
        "/upload",
        "/upload",
        {"category": "other"},
        [("files", name, content) for name, content in files],
        status=200,
    )
    rows = re.findall(r"<li>(.*?)</li>", page.text.split('class="verdicts"')[1], re.S)
    assert len(rows) == len(files), f"{len(rows)} verdicts for {len(files)} files"
    found = []
    for row in rows:
        link = re.search(r'href="/torrents/(\d+)', row)
        verdict = re.search(r'class="badge \w+">(.*?)<', row).group(1)
        found.append((verdict, int(link.group(1)) if link else None, row))
    return found


def comes_back_as_it_went(person, sent, number):
    got = person.get(f"/torrents/{number}/download").body
    assert info_of(got) == info_of(sent), f"torrent {number}: info changed"
    assert hashes(got) == hashes(sent), f"torrent {number}: {hashes(got)} for {hashes(sent)}"
    assert b"foreign.example" not in got and b"passkey=" not in got, f"torrent {number}: a foreign tracker is served"


def main():
    binary, data_dir, port = sys.argv[1:4]
    assert PACKAGE.is_dir(), f"{PACKAGE} is not there: npm ci --ignore-scripts"
    server = Server(binary, data_dir, port, {"SEEDBANK__TORRENTS__DOWNLOADS_PER_HOUR": "100000"})
    scratch = tempfile.mkdtemp(prefix="seedbank-fixtures.")
    server.start()
    seeder = leecher = None
    try:
        pages = Pages(server)
        pages.set_up()
        ann, bob = pages.register("ann"), pages.register("bob")

        real = {name: (PACKAGE / f"{name}.torrent").read_bytes() for name in SOUND}
        files = [(f"{name}.torrent", content) for name, content in real.items()]
        files.append(("corrupt.torrent", (PACKAGE / "corrupt.torrent").read_bytes()))
        verdicts = upload(ann, files)
        numbers = {}
        for (name, content), (verdict, number, row) in zip(files, verdicts):
            if name == "corrupt.torrent":
                assert verdict == "refused" and "name" in row, row
            else:
                # `leaves-metadata` is `leaves` with other outer keys: the same torrent.
                assert verdict in ("added", "already here"), f"{name}: {row}"
                numbers[name] = number
                comes_back_as_it_went(bob, content, number)
        print(f"{len(numbers)} real torrents came back as they went; the corrupt one was refused")

        rng = random.Random(20261122)
        made = []
        for n in range(GENERATED):
            kind = ("hand", "v1", "hybrid", "v2")[n % 4]
            content = v1_by_hand(rng, n) if kind == "hand" else by_libtorrent(rng, n, scratch, kind)
            made.append((f"{kind}-{n}.torrent", content))
        for start in range(0, len(made), BATCH):
            batch = made[start : start + BATCH]
            for (name, content), (verdict, number, row) in zip(batch, upload(ann, batch)):
                assert verdict == "added", f"{name}: {row}"
                comes_back_as_it_went(bob, content, number)
        print(f"{len(made)} generated torrents of every kind came back as they went")

        payload = "Leaves of Grass by Walt Whitman.epub"
        seed_folder, leech_folder = pathlib.Path(scratch) / "seed", pathlib.Path(scratch) / "leech"
        seed_folder.mkdir()
        leech_folder.mkdir()
        shutil.copy(PACKAGE / payload, seed_folder)
        number = numbers["leaves.torrent"]
        seeder, leecher = Libtorrent(), Libtorrent()
        seeder.add(ann.get(f"/torrents/{number}/download").body, seed_folder, seed=True)
        seeder.wait_until_announced()
        leecher.add(bob.get(f"/torrents/{number}/download").body, leech_folder)
        leecher.wait_until_complete()
        sums = [hashlib.sha256((f / payload).read_bytes()).hexdigest() for f in (seed_folder, leech_folder)]
        assert sums[0] == sums[1], sums
        wait_for("completed to be counted", lambda: pages_completed(bob, number) == "1")
        print("Leaves of Grass was transferred and is what it was")
    finally:
        for client in (leecher, seeder):
            if client:
                client.stop()
        server.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def pages_completed(person, number):
    return person.get(f"/torrents/{number}").stats().get("Completed")


if __name__ == "__main__":
    main()
