// The catalogue, in the browser: uploading, finding, reading, downloading, editing, deleting.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fixtures from "webtorrent-fixtures";
import { asFile, torrent } from "./torrent.mjs";

const files = "input[type=file]";
const picked = ".picked";

/** Loads `path` until the page shows what was just published: the index follows within a second. */
export async function until(page, path, locator) {
  for (let turn = 0; turn < 20; turn++) {
    await page.goto(path);
    if (await locator.count()) return;
    await page.waitForTimeout(250);
  }
  assert.fail(`${path} never showed it`);
}

async function choose(page, category = { index: 1 }) {
  await page.getByLabel("Category", { exact: true }).selectOption(category);
}
const send = (page) => page.getByRole("main").getByRole("button", { name: "Upload", exact: true }).click();
const title = (page) => page.locator("h1");

export async function catalogue(check, world) {
  await check("a chosen file is shown before it is sent, then has a page", { as: "vera", always: true }, async (page) => {
    const made = torrent("River gauges 1950-2025");
    await page.goto("/upload");
    await page.setInputFiles(files, asFile("gauges.torrent", made.bytes));
    const shown = page.locator(picked);
    await shown.getByText("River gauges 1950-2025").waitFor();
    await shown.getByText("2 files").waitFor();
    await shown.getByText("393 KiB").waitFor();
    await shown.locator("summary").click();
    await shown.getByText("data/one.bin").waitFor();
    await choose(page);
    await page.getByRole("textbox", { name: /^Tags/ }).fill("water, csv");
    await page.getByLabel("Description").fill("Daily *levels* of <script>alert(1)</script> rivers.");
    await send(page);
    await page.getByText(made.infohash).waitFor();
    assert.equal(await title(page).innerText(), "River gauges 1950-2025");
    assert.equal(await page.locator(".prose em").innerText(), "levels");
    assert.equal(await page.locator(".prose script").count(), 0);
    world.torrentPath = new URL(page.url()).pathname;
  });

  await check("a dropped file is shown too", { as: "vera" }, async (page) => {
    const made = torrent("Dropped here");
    await page.goto("/upload");
    const transfer = await page.evaluateHandle((bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "dropped.torrent"));
      return data;
    }, [...made.bytes]);
    await page.dispatchEvent("[data-drop]", "drop", { dataTransfer: transfer });
    await page.locator(picked).getByText("Dropped here").waitFor();
    await choose(page);
    await send(page);
    await page.getByText(made.infohash).waitFor();
  });

  await check("a file from hell is only called unreadable", { as: "vera" }, async (page) => {
    await page.goto("/upload");
    const nested = Buffer.concat([Buffer.from("d4:info"), Buffer.alloc(2_000_000, "l")]);
    const long = Buffer.from(`d4:infod4:name${"9".repeat(300)}:x`);
    await page.setInputFiles(files, [asFile("nested.torrent", nested), asFile("long.torrent", long), asFile("empty.torrent", Buffer.alloc(0))]);
    await page.locator(picked).getByText("not readable").nth(2).waitFor();
  });

  await check("real torrents are shown as what they are", { as: "vera" }, async (page) => {
    await page.goto("/upload");
    await page.setInputFiles(files, [fixtures.sintel.torrentPath, fixtures.bunny.torrentPath]);
    await page.locator(picked).getByText(fixtures.sintel.parsedTorrent.name, { exact: true }).first().waitFor();
    await page.locator(picked).getByText(fixtures.bunny.parsedTorrent.name, { exact: true }).first().waitFor();
  });

  await check("the description is previewed without leaving", { as: "vera" }, async (page) => {
    await page.goto("/upload");
    await page.getByLabel("Description").fill("# Hello\n\n[a link](https://example.org/)");
    await page.getByRole("button", { name: "Preview" }).click();
    const out = page.locator("[data-preview-out]");
    await out.getByText("Hello").waitFor();
    assert.match(await out.locator("a").getAttribute("rel"), /nofollow/);
    assert.equal(new URL(page.url()).pathname, "/upload");
  });

  await check("several files get a verdict each", { as: "vera", allowed: [422] }, async (page) => {
    await page.goto("/upload");
    await page.setInputFiles(files, [
      asFile("first.torrent", torrent("First of a batch").bytes),
      asFile("known.torrent", torrent("River gauges 1950-2025").bytes),
      asFile("broken.torrent", Buffer.from("d4:infod6:lengthi12ee")),
    ]);
    await choose(page);
    await send(page);
    const verdicts = page.locator(".verdicts > li");
    await verdicts.first().waitFor();
    assert.deepEqual(await verdicts.locator(".badge").allInnerTexts(), ["added", "already here", "refused"]);
  });

  await check("a torrent known already leads to its page", { as: "vera", allowed: [409, 422] }, async (page) => {
    await page.goto("/upload");
    await page.setInputFiles(files, asFile("again.torrent", torrent("River gauges 1950-2025").bytes));
    await choose(page);
    await page.getByRole("textbox", { name: /^Title/ }).fill("Once more");
    await send(page);
    await page.getByRole("main").getByRole("link", { name: /River gauges/ }).click();
    assert.equal(await title(page).innerText(), "River gauges 1950-2025");
  });

  await check("a hostile name is only a name", { as: "vera", always: true }, async (page) => {
    const name = `<img src=x onerror=alert(1)>"'\u202e${"W".repeat(200)}`;
    await page.goto("/upload");
    await page.setInputFiles(files, asFile("hostile.torrent", torrent(name.replace("\u202e", "")).bytes));
    await choose(page);
    await send(page);
    await page.locator("dl.stats").waitFor();
    assert.match(await title(page).innerText(), /<img src=x onerror=alert\(1\)>/);
    world.hostilePath = new URL(page.url()).pathname;
  });

  await check("words find it, j, k and o open it", { as: "otto" }, async (page) => {
    await until(page, "/torrents?q=gauges", page.locator("[data-rows] tbody tr"));
    await page.goto("/torrents");
    const titles = await page.locator(".n > a").allInnerTexts();
    assert.ok(titles.length >= 4, "several to walk over");
    await page.locator("body").press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    await page.keyboard.press("j");
    assert.equal(await page.locator("tr.on .n > a").innerText(), titles[1]);
    await page.keyboard.press("o");
    await page.locator("dl.stats").waitFor();
    assert.equal(await title(page).innerText(), titles[1]);
    await page.keyboard.press("/");
    await page.keyboard.type("gauges");
    await page.keyboard.press("Enter");
    await page.locator("[data-rows]").waitFor();
    assert.deepEqual(await page.locator(".n > a").allInnerTexts(), ["River gauges 1950-2025"]);
  });

  await check("columns sort, filters are taken away again", { as: "otto" }, async (page) => {
    await page.goto("/torrents");
    await page.locator("thead").getByRole("link", { name: "Name" }).click();
    await page.locator("th[aria-sort]", { hasText: "Name" }).waitFor();
    await page.goto("/torrents?tag=water");
    assert.equal(await page.locator("[data-rows] tbody tr").count(), 1);
    await page.getByRole("link", { name: /^Remove/ }).click();
    assert.ok(await page.locator("[data-rows] tbody tr").count() > 1);
  });

  await check("the infohash and the magnet are copied", { as: "otto" }, async (page) => {
    await page.goto(world.torrentPath);
    const { infohash } = torrent("River gauges 1950-2025");
    await page.getByRole("button", { name: "Copy infohash v1" }).click();
    await page.getByText("Copied").waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), infohash);
    await page.getByRole("button", { name: "Copy magnet" }).click();
    await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith("magnet:"));
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), new RegExp(infohash));
  });

  await check("the download is the torrent, for this member's tracker alone", { as: "otto" }, async (page) => {
    await page.goto(world.torrentPath);
    const waiting = page.waitForEvent("download");
    await page.getByRole("main").getByRole("link", { name: "Download", exact: true }).click();
    const download = await waiting;
    assert.match(download.suggestedFilename(), /River gauges.*\.torrent$/);
    const bytes = readFileSync(await download.path());
    assert.ok(bytes.includes(`${world.site.url}/announce/`));
    assert.ok(!bytes.includes("tracker.example"), "a foreign tracker is left");
  });

  await check("the uploader edits, nobody else sees how", { as: "vera" }, async (page) => {
    await page.goto(world.torrentPath);
    await page.getByRole("main").getByRole("link", { name: "Edit" }).click();
    await page.getByRole("textbox", { name: /^Title/ }).fill("River gauges, 1950 to 2025");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("dl.stats").waitFor();
    assert.equal(await title(page).innerText(), "River gauges, 1950 to 2025");
    world.torrentPath = new URL(page.url()).pathname;
  });

  await check("a deleted torrent leaves a note with the reason", { as: "vera", allowed: [410], always: true }, async (page) => {
    const made = torrent("A mistake");
    await page.goto("/upload");
    await page.setInputFiles(files, asFile("mistake.torrent", made.bytes));
    await choose(page);
    await send(page);
    await page.getByText(made.infohash).waitFor();
    world.gonePath = new URL(page.url()).pathname;
    await page.getByRole("main").getByRole("link", { name: "Delete" }).click();
    await page.getByLabel("Reason").fill("Uploaded by mistake.");
    await page.getByRole("button", { name: "Delete the torrent" }).click();
    const dialog = page.getByRole("dialog");
    if (await dialog.count()) await dialog.getByRole("button").first().click();
    await page.waitForURL((url) => !url.pathname.endsWith("/delete"));
    await page.goto(world.gonePath);
    await page.getByText("Uploaded by mistake.").waitFor();
  });
}
