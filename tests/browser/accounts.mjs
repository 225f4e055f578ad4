// Members, in the browser: registering, logging in and out, colours, keys.
import assert from "node:assert/strict";
import { PASSWORD, accountMenu, logIn } from "./site.mjs";

export async function accounts(check, world) {
  await check("somebody registers and is logged in", { always: true }, async (page, { context }) => {
    await page.goto("/register");
    await page.getByLabel("Member name").fill("otto");
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByRole("button", { name: "Create the account" }).click();
    await accountMenu(page).waitFor();
    world.states.otto = await context.storageState();
  });

  await check("a wrong password is refused, the name stays", { allowed: [422] }, async (page) => {
    await logIn(page, "otto", "not the password of otto");
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByLabel("Member name").inputValue(), "otto");
    assert.equal(await page.getByLabel("Password", { exact: true }).inputValue(), "");
  });

  await check("logging out ends the session, logging in begins another", {}, async (page) => {
    await logIn(page, "otto");
    await accountMenu(page).click();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("link", { name: "Log in" }).first().waitFor();
    await page.goto("/profile/password");
    assert.match(page.url(), /\/login/);
    await logIn(page, "otto");
    await accountMenu(page).waitFor();
  });

  await check("a password can be looked at while it is typed", {}, async (page) => {
    await page.goto("/login");
    const field = page.getByLabel("Password", { exact: true });
    await field.fill("what was it");
    await page.getByRole("button", { name: "Show" }).click();
    assert.equal(await field.getAttribute("type"), "text");
    await page.getByRole("button", { name: "Hide" }).click();
    assert.equal(await field.getAttribute("type"), "password");
  });

  await check("colours change at once and stay", { as: "otto" }, async (page) => {
    await page.goto("/profile/password");
    await page.evaluate(() => { window.sameDocument = true; });
    const kept = page.waitForResponse((response) => response.url().endsWith("/theme"));
    await page.getByRole("button", { name: "Dark" }).click();
    await kept;
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    assert.equal(await page.evaluate(() => window.sameDocument), true, "the page was loaded again");
    await page.reload();
    assert.equal(await page.locator("html").getAttribute("data-theme"), "dark");
    assert.equal(await page.getByRole("button", { name: "Dark" }).getAttribute("aria-pressed"), "true");
    const back = page.waitForResponse((response) => response.url().endsWith("/theme"));
    await page.getByRole("button", { name: "Auto" }).click();
    await back;
  });

  await check("? explains the keys, / goes to the search, a field keeps its letters", { as: "otto" }, async (page) => {
    await page.goto("/profile/password");
    await page.locator("h1").click();
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("Next torrent").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.getByRole("dialog").count(), 0);
    await page.keyboard.press("/");
    await page.keyboard.type("j/k?");
    assert.equal(await page.locator("[data-search]").inputValue(), "j/k?");
    assert.equal(await page.getByRole("dialog").count(), 0);
  });

  await check("the account menu closes with Escape and by a click elsewhere", { as: "otto" }, async (page) => {
    await page.goto("/profile/password");
    const menu = page.locator("details.account");
    await accountMenu(page).click();
    assert.notEqual(await menu.getAttribute("open"), null);
    await page.keyboard.press("Escape");
    assert.equal(await menu.getAttribute("open"), null);
    await accountMenu(page).click();
    await page.locator("h1").click();
    assert.equal(await menu.getAttribute("open"), null);
  });
}
