#!/usr/bin/python3
"""The transfer by UDP: two members' libtorrents that know the tracker by its udp:// address, or by both.

    udp.py SEEDBANK_BINARY DATA_DIR PORT

Ann seeds and Bob fetches, first with the .torrent as the site gives it, of which libtorrent takes the UDP address,
then announcing to both addresses, the site being killed (-9) in the middle. Checksums, `completed` and both members' bytes must be right: a client that announces by both is
counted once. A replaced passkey is refused by UDP as well. Needs python3-libtorrent; nothing is left running.
"""

import pathlib
import shutil
import socket
import struct
import sys
import time
import urllib.parse

import libtorrent as lt

from peers import Libtorrent, free_port, wait_for
from server import Server
from transfer import Inside, Pages, checksums, infohash, payload, say


def trackers(torrent):
    (tier,) = lt.bdecode(torrent)[b"announce-list"]
    return [url.decode() for url in tier]


def only(torrent, url):
    """The .torrent with this one tracker."""
    outer = lt.bdecode(torrent)
    outer[b"announce"] = url.encode()
    del outer[b"announce-list"]
    return lt.bencode(outer)


def in_tiers(torrent):
    """The .torrent with each tracker in a tier of its own, for a client that announces to every tier."""
    outer = lt.bdecode(torrent)
    outer[b"announce-list"] = [[url.encode()] for url in trackers(torrent)]
    return lt.bencode(outer)


def libtorrent(both, **limits):
    client = Libtorrent(**limits)
    client.session.apply_settings({"announce_to_all_tiers": both})
    return client


def udp_url(torrent):
    (url,) = [url for url in trackers(torrent) if url.startswith("udp://")]
    return url


def answered(client):
    """The addresses that answered this client."""
    replies = [said for said in client.alerts() if said.startswith("tracker_reply")]
    return {scheme for scheme in ("udp://", "http://") if any(scheme in said for said in replies)}


def transfer(server, pages, ann, bob, work, kind, both):
    source = payload(work, kind)
    made = work / f"{kind}.torrent"
    server.create(source, made, kind)
    page = pages.upload(ann, made.read_bytes(), f"Payload {kind}")
    torrent_id = int(page.rsplit("/", 1)[1])
    anns, bobs = pages.download(ann, page), pages.download(bob, page)
    assert [url.split(":")[0] for url in trackers(anns)] == ["http", "udp"], trackers(anns)
    if both:
        anns, bobs = in_tiers(anns), in_tiers(bobs)
    expected = {"udp://", "http://"} if both else {"udp://"}
    clients = []
    try:
        seeder = libtorrent(both).add(anns, work, seed=True)
        clients.append(seeder)
        wait_for("answers to the seeder", lambda: answered(seeder) == expected, 30)
        wait_for("the page to show the seeder", lambda: pages.numbers(bob, page)[0] == 1, 20)
        leecher = libtorrent(both, download_limit=5_000_000)
        clients.append(leecher)
        into = work / f"bob-{kind}"
        into.mkdir()
        leecher.add(bobs, into)
        wait_for("a third of it", lambda: leecher.done_share() > 0.33, 60)
        if both:
            say(f"{kind}: the site is killed in the middle")
            server.kill()
            time.sleep(1)
            server.start()
            for client in clients:
                client.reannounce()
        leecher.wait_until_complete()
        wait_for("the page to show two who seed", lambda: pages.numbers(bob, page) == (2, 0, 1), 40)
        assert answered(leecher) == expected, answered(leecher)
        seeder.reannounce()
        keys = "select count(distinct client_key), max(client_key) from announce_sessions where torrent_id = ? group by user_id"
        for count, key in server.query(keys, torrent_id):
            assert count == 1, f"{count} sessions of one client: its key by UDP differs from the one by HTTP, {key}"
        while clients:
            clients[-1].stop()
            say(f"{kind}: {clients[-1].name} stopped after {clients[-1].totals()}")
            clients.pop()
    finally:
        for client in clients:
            try:
                client.stop()
            except Exception as error:
                print(f"stopping {client.name}: {error}", file=sys.stderr)
    shared = checksums(source) if source.is_dir() else {source.name: checksums(work)[source.name]}
    got = checksums(into / source.name if source.is_dir() else into)
    assert got == shared, "what arrived differs from what was shared"
    wait_for("the page to show that nobody is left", lambda: pages.numbers(bob, page)[:2] == (0, 0), 20)
    assert pages.numbers(bob, page)[2] == 1, "completed counts once for a member and torrent"
    Inside().check_books(server, torrent_id, ann, [seeder.totals()])
    Inside().check_books(server, torrent_id, bob, [leecher.totals()])
    say(f"{kind}: the books are exact")
    return page, source


def raw_announce(url, infohash):
    """One announce by hand; answers the error's text, or None when it is taken."""
    parts = urllib.parse.urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect((parts.hostname, parts.port))
        s.send(struct.pack(">QII", 0x41727101980, 0, 1))
        connection = s.recv(64)[8:]
        peer = b"-SB0000-handmade0000"
        numbers = struct.pack(">QQQIIIiH", 0, 0, 0, 3, 0, 0, -1, 1)
        path = bytes([2, len(parts.path)]) + parts.path.encode()
        s.send(connection + struct.pack(">II", 1, 2) + infohash[:20] + peer + numbers + path)
        answer = s.recv(2048)
    (action,) = struct.unpack(">I", answer[:4])
    return answer[8:].decode() if action == 3 else None


def refusal(pages, ann, page, work):
    torrent = pages.download(ann, page)
    old = udp_url(torrent)
    assert raw_announce(old, infohash(torrent)) is None, "her own address works before the reset"
    pages.reset_passkey(ann)
    time.sleep(1)
    reason = raw_announce(old, infohash(torrent))
    assert reason and "replaced" in reason, f"after the reset: {reason}"
    # libtorrent 2.0.8 shows no text of an error by UDP, but that it is one.
    client = Libtorrent().add(only(torrent, old), work, seed=True)
    wait_for("the refusal", lambda: any("sent a failure message" in said for said in client.alerts()), 30)
    client.stop()
    say("a replaced passkey is refused by UDP")


def story(server, pages, work):
    server.start()
    try:
        pages.set_up()
        ann, bob = pages.register("ann"), pages.register("bob")
        transfer(server, pages, ann, bob, work, "v1", both=False)
        page, _ = transfer(server, pages, ann, bob, work, "hybrid", both=True)
        Inside().check_sums(server)
        refusal(pages, ann, page, work)
    finally:
        server.stop()


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    binary, data_dir, port = sys.argv[1:]
    data_dir = pathlib.Path(data_dir).resolve()
    work = data_dir.with_name(f"{data_dir.name}-work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    settings = {"SEEDBANK__TRACKER__UDP_LISTEN": f"127.0.0.1:{free_port()}"}
    server = Server(binary, data_dir, int(port), settings)
    story(server, Pages(server), work)
    shutil.rmtree(work)
    say("the transfer by UDP holds")


if __name__ == "__main__":
    main()
