// The main path once more with JavaScript off: real links, real forms, real buttons.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { PASSWORD, accountMenu, logIn } from "./site.mjs";
import { asFile, torrent } from "./torrent.mjs";
import { until } from "./catalogue.mjs";

export async function scriptless(check, world) {
  const script = false;

  await check("without script: register, log out, log in", { script }, async (page, { context }) => {
    await page.goto("/register");
    await page.getByLabel("Member name").fill("mira");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByRole("button", { name: "Create the account" }).click();
    await accountMenu(page).click();
    await page.getByRole("button", { name: "Log out" }).click();
    await logIn(page, "mira");
    await accountMenu(page).waitFor();
    world.states.mira = await context.storageState();
  });

  await check("without script: colours", { script, as: "mira" }, async (page) => {
    await page.goto("/profile/password");
    await page.getByRole("button", { name: "Dark" }).click();
    await page.waitForURL((url) => url.pathname === "/profile/password");
    assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
    await page.getByRole("button", { name: "Auto" }).click();
    assert.equal(await page.locator("html").getAttribute("data-theme"), null);
  });

  await check("without script: nothing is offered that needs it", { script, as: "mira" }, async (page) => {
    for (const path of ["/torrents", "/upload", world.torrentPath, "/profile"]) {
      await page.goto(path);
      for (const element of await page.locator(".js-only").all()) assert.equal(await element.isVisible(), false, `${path}: ${await element.innerText()}`);
    }
  });

  await check("without script: preview, upload, find, download", { script, as: "mira", allowed: [422] }, async (page) => {
    const made = torrent("Written without script");
    await page.goto("/upload");
    await page.getByLabel("Description").fill("Some **bold** words.");
    await page.getByRole("button", { name: "Preview" }).click();
    assert.equal(await page.locator("[data-preview-out] strong").innerText(), "bold");
    assert.equal(await page.getByLabel("Description").inputValue(), "Some **bold** words.");
    await page.setInputFiles("input[type=file]", asFile("plain.torrent", made.bytes));
    await page.getByLabel("Category", { exact: true }).selectOption({ index: 1 });
    await page.getByRole("main").getByRole("button", { name: "Upload", exact: true }).click();
    await page.getByText(made.infohash).waitFor();
    await until(page, "/torrents?q=without+script", page.locator("[data-rows] tbody tr"));
    await page.locator(".n > a", { hasText: "Written without script" }).click();
    const waiting = page.waitForEvent("download");
    await page.getByRole("main").getByRole("link", { name: "Download", exact: true }).click();
    assert.ok(readFileSync(await (await waiting).path()).includes("Written without script"));
  });

  await check("without script: filters and folders open", { script, as: "mira" }, async (page) => {
    await page.goto("/torrents");
    await page.getByLabel("Search titles, tags and files").fill("water");
    await page.getByRole("button", { name: "Search" }).click();
    await page.locator(".n > a", { hasText: "River gauges" }).click();
    await page.locator("#files").getByRole("link", { name: "data" }).click();
    await page.getByText("one.bin").waitFor();
  });
}
