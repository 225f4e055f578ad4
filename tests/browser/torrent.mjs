// .torrent files for tests, written by hand so that nothing under test made them.
import { createHash } from "node:crypto";

export function bencode(value) {
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  if (typeof value === "string") return bencode(Buffer.from(value));
  if (typeof value === "number") return Buffer.from(`i${value}e`);
  if (Array.isArray(value)) return Buffer.concat([Buffer.from("l"), ...value.map(bencode), Buffer.from("e")]);
  const keys = Object.keys(value).sort();
  return Buffer.concat([Buffer.from("d"), ...keys.flatMap((key) => [bencode(key), bencode(value[key])]), Buffer.from("e")]);
}

/** A v1 torrent called `name`; `files` are `[path, length]`. `{ bytes, infohash }`. */
export function torrent(name, files = [["README.md", 2_048], ["data/one.bin", 400_000]], more = {}) {
  const total = files.reduce((sum, [, length]) => sum + length, 0);
  const pieces = Math.ceil(total / 262_144);
  const info = {
    files: files.map(([path, length]) => ({ length, path: path.split("/") })),
    name,
    "piece length": 262_144,
    pieces: Buffer.concat(Array.from({ length: pieces }, (_, i) => createHash("sha1").update(`${name} ${i}`).digest())),
    ...more,
  };
  const bytes = bencode({ announce: "https://tracker.example/announce", "created by": "by hand", info });
  return { bytes, infohash: createHash("sha1").update(bencode(info)).digest("hex") };
}

/** The way a file input or a drop takes it. */
export const asFile = (name, bytes) => ({ name, mimeType: "application/x-bittorrent", buffer: bytes });
