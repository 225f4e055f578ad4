// What members keep, in the browser: bookmarks, saved searches, feeds.
import assert from "node:assert/strict";
import { request } from "playwright-core";
import { until } from "./catalogue.mjs";

/** Asks as a feed reader: without a cookie. */
async function read(address) {
  const reader = await request.newContext();
  const answer = await reader.get(address, { maxRedirects: 0 });
  const body = await answer.body();
  await reader.dispose();
  return { status: answer.status(), type: answer.headers()["content-type"], body, text: body.toString() };
}

export async function keeping(check, world) {
  await check("a bookmark is set where one is, and kept", { as: "vera", always: true }, async (page) => {
    await until(page, "/torrents?q=gauges", page.locator("[data-rows] tbody tr"));
    const here = page.url();
    const marked = page.waitForResponse((answer) => answer.request().method() === "POST");
    await page.getByRole("button", { name: "Bookmark", exact: true }).click();
    await marked;
    await page.getByRole("button", { name: "Remove the bookmark" }).waitFor();
    assert.equal(page.url(), here, "nothing was left");
    await page.goto("/bookmarks");
    assert.equal(await page.locator("[data-rows] tbody tr").count(), 1);
    await page.locator(".n > a").click();
    await page.getByRole("button", { name: "Bookmarked" }).waitFor();
  });

  await check("without script: a bookmark comes and goes", { script: false, as: "mira" }, async (page) => {
    await page.goto("/torrents");
    await page.getByRole("button", { name: "Bookmark", exact: true }).first().click();
    assert.equal(new URL(page.url()).pathname, "/torrents");
    assert.equal(await page.getByRole("button", { name: "Remove the bookmark" }).count(), 1);
    await page.goto("/bookmarks");
    await page.getByRole("button", { name: "Remove the bookmark" }).click();
    await page.getByText("No bookmarks").waitFor();
  });

  for (const script of [true, false]) {
    const as = script ? "vera" : "mira", how = script ? "" : "without script: ";
    await check(`${how}a search is saved, renamed, opened`, { script, as, always: script }, async (page) => {
      await page.goto("/torrents?q=gauges");
      await page.getByText("Save search").click();
      await page.getByLabel("Save this search as").fill("Rivers <b>");
      await page.getByRole("main").getByRole("button", { name: "Save", exact: true }).click();
      await page.getByText("Saved as “Rivers <b>”").waitFor();
      await page.goto("/saved");
      await page.getByText("nothing new").waitFor();
      await page.locator("summary", { hasText: "Change" }).click();
      await page.getByLabel("Name").fill("Rivers and streams");
      await page.getByRole("button", { name: "Rename" }).click();
      await page.getByText("Renamed to “Rivers and streams”").waitFor();
      await page.getByRole("link", { name: "Rivers and streams", exact: true }).click();
      await page.locator("[data-rows]").waitFor();
      assert.equal(new URL(page.url()).searchParams.get("q"), "gauges");
    });
  }

  await check("a feed reader needs the address and nothing else", { as: "vera" }, async (page) => {
    await page.goto("/torrents?q=gauges");
    await page.getByRole("button", { name: "Copy the feed's address" }).click();
    await page.getByText("Copied").waitFor();
    const address = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(address.startsWith(`${world.site.url}/torrents.rss?q=gauges&key=`), address);
    const feed = await read(address);
    assert.equal(feed.type, "application/rss+xml; charset=utf-8");
    const parsed = await page.evaluate((text) => {
      const xml = new DOMParser().parseFromString(text, "text/xml");
      return { bad: xml.querySelectorAll("parsererror").length, link: xml.querySelector("enclosure").getAttribute("url") };
    }, feed.text);
    assert.equal(parsed.bad, 0);
    const torrent = await read(parsed.link);
    assert.equal(torrent.type, "application/x-bittorrent");
    assert.ok(torrent.body.includes(`${world.site.url}/announce/`));

    await page.goto("/profile");
    await page.getByRole("button", { name: "Reset the feed key" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Reset the feed key" }).click();
    await page.getByText("You have a new feed key").waitFor();
    const refused = await read(address);
    assert.equal(refused.status, 403);
    assert.match(refused.text, /not valid/);
    assert.equal((await read(parsed.link)).status, 403);
  });
}
