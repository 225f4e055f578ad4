// Every main page: no serious trouble for a screen reader in either colours, and nothing wider than a phone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** `[name, who, path, answers other than 200]`; a path may be found on the way. */
const pages = (world) => [
  ["log in", null, "/login"],
  ["register", null, "/register"],
  ["listing", "vera", "/torrents"],
  ["listing, nothing found", "vera", "/torrents?q=zzzzqqqq"],
  ["listing of what needs seeds", "vera", "/torrents?needs=seeds"],
  ["torrent", "vera", world.torrentPath],
  ["torrent of a hostile name", "vera", world.hostilePath],
  ["edit", "vera", `${world.torrentPath}/edit`],
  ["delete", "vera", `${world.torrentPath}/delete`],
  ["deleted", "vera", world.gonePath, [410]],
  ["upload", "vera", "/upload"],
  ["profile", "vera", "/profile"],
  ["bookmarks", "vera", "/bookmarks"],
  ["no bookmarks", "otto", "/bookmarks"],
  ["saved searches", "vera", "/saved"],
  ["no saved searches", "otto", "/saved"],
  ["change password", "vera", "/profile/password"],
  ["member", "otto", "/members/vera"],
  ["settings", "vera", "/admin/settings"],
  ["members", "vera", "/admin/members"],
  ["invitations", "vera", "/admin/invites"],
  ["tracker", "vera", "/admin/tracker"],
  ["log", "vera", "/admin/log"],
  ["categories", "vera", "/moderation/categories"],
  ["category", "vera", world.categoryPath],
  ["tags", "vera", "/moderation/tags"],
  ["style", "vera", "/style"],
  ["error", "vera", "/no-such-page", [404]],
];

export async function looks(check, world) {
  await check("the pages to look at are found", { as: "vera", always: true }, async (page) => {
    await page.goto("/moderation/categories");
    world.categoryPath = await page.locator("table a[href^='/moderation/categories/']").first().getAttribute("href");
  });
  for (const [name, as, path, allowed] of pages(world)) await look(check, name, as, path, allowed);
}

/** One page, in either colours and on a phone. */
export async function look(check, name, as, path, allowed) {
  for (const dark of [false, true]) {
    await check(`${name}: accessible in ${dark ? "the dark" : "light"}`, { as, dark, allowed }, async (page) => {
      await page.goto(path);
      await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const bad = found.violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
      assert.deepEqual(bad.map((v) => `${v.impact}: ${v.id}: ${v.help}: ${v.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`), []);
    });
  }
  await check(`${name}: fits a phone`, { as, width: 390, height: 844, allowed }, async (page) => {
    await page.goto(path);
    const { scroll, width } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, width: document.documentElement.clientWidth }));
    assert.ok(scroll <= width, `${scroll} px wide in a window of ${width}`);
  });
}
