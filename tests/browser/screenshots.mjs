// What scripts/screenshots does: a demo site, an admin, and a camera.
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { accountMenu, command, launch, serve, setUp, temporaryDirectory, visit } from "./site.mjs";

const { values } = parseArgs({
  options: {
    binary: { type: "string" },
    out: { type: "string", default: "target/screenshots" },
    torrents: { type: "string", default: "400" },
    readme: { type: "boolean", default: false },
  },
});
const binary = values.binary ?? ["target/release/seedbank", "target/debug/seedbank"].find((path) => existsSync(path));
if (!binary || !existsSync(binary)) {
  console.error("There is no binary: cargo build --release, or name one with --binary");
  process.exit(2);
}
mkdirSync(values.out, { recursive: true });

const directory = temporaryDirectory();
let site = null;
const browser = await launch();
let taken = 0;
try {
  site = await serve(binary, directory.path);
  const window = await visit(browser, site);
  await setUp(window.page, site, { name: "ada", siteName: "Seedbank" });
  await accountMenu(window.page).waitFor();
  const state = await window.context.storageState();
  await command(binary, directory.path, "demo", values.torrents);
  const found = await places(window.page);
  await window.close();

  for (const width of [1280, 390]) {
    for (const dark of [false, true]) {
      for (const [name, path, as = state] of found) {
        const { page, close } = await visit(browser, site, { width, height: width === 390 ? 844 : 800, dark, state: as ?? undefined });
        await page.goto(path);
        await page.screenshot({ path: join(values.out, `${name}-${width}-${dark ? "dark" : "light"}.png`), fullPage: true });
        await close();
        taken++;
      }
    }
  }
  if (values.readme) await picture(state);
  console.log(`${taken} pictures in ${values.out}`);
} finally {
  await browser.close();
  await site?.stop();
  directory.remove();
}

/** The pages worth a picture: `[name, path, null where nobody is logged in]`. */
async function places(page) {
  // The index follows within a second or so.
  let torrent = null;
  for (let turn = 0; turn < 60 && !torrent; turn++) {
    await page.goto("/torrents?sort=seeders");
    const links = page.locator(".n > a");
    if (await links.count() >= Math.min(50, Number(values.torrents))) torrent = await links.first().getAttribute("href");
    else await page.waitForTimeout(500);
  }
  if (!torrent) throw new Error("the demo's torrents never appeared");
  await page.goto("/moderation/categories");
  const category = await page.locator("table a[href^='/moderation/categories/']").first().getAttribute("href");
  await page.goto(torrent);
  const word = (await page.locator("h1").innerText()).match(/\p{L}{4,}/u)?.[0] ?? "linux";
  return [
    ["listing", "/torrents"],
    ["search", `/torrents?q=${encodeURIComponent(word)}`],
    ["nothing-found", "/torrents?q=zzzzqqqq"],
    ["torrent", torrent],
    ["edit", `${torrent}/edit`],
    ["upload", "/upload"],
    ["profile", "/profile"],
    ["member", "/members/mira"],
    ["login", "/login", null],
    ["register", "/register", null],
    ["settings", "/admin/settings"],
    ["members", "/admin/members"],
    ["invites", "/admin/invites"],
    ["tracker", "/admin/tracker"],
    ["log", "/admin/log"],
    ["categories", "/moderation/categories"],
    ["category", category],
    ["tags", "/moderation/tags"],
    ["style", "/style"],
    ["error", "/no-such-page"],
  ];
}

/** The listing as README shows it. */
async function picture(state) {
  const { page, close } = await visit(browser, site, { width: 1280, height: 800, state });
  await page.goto("/torrents?sort=seeders");
  mkdirSync("docs", { recursive: true });
  const path = "docs/screenshot.png";
  await page.screenshot({ path });
  await close();
  console.log(`${path}: ${Math.round(statSync(path).size / 1024)} KiB`);
}
