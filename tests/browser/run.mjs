// The site in a real browser: node tests/browser/run.mjs [--binary target/release/seedbank] [--only WORDS]
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { launch, serve, setUp, temporaryDirectory, visit } from "./site.mjs";
import { accounts } from "./accounts.mjs";
import { catalogue } from "./catalogue.mjs";
import { away, companion } from "./companion.mjs";
import { keeping } from "./keeping.mjs";
import { looks } from "./looks.mjs";
import { scriptless } from "./scriptless.mjs";

const { values } = parseArgs({ options: { binary: { type: "string" }, only: { type: "string" } } });
const binary = values.binary ?? ["target/release/seedbank", "target/debug/seedbank"].find((path) => existsSync(path));
if (!binary || !existsSync(binary)) {
  console.error("There is no binary: cargo build --release, or name one with --binary");
  process.exit(2);
}

const directory = temporaryDirectory();
const browser = await launch();
let site = await serve(binary, directory.path);
const world = { browser, site, binary, directory: directory.path, states: {} };
let passed = 0, failed = 0;

/** One test: a sentence and a function of a fresh window. It fails also for what its pages did behind its back. */
async function check(sentence, options, body) {
  if (values.only && !sentence.includes(values.only) && !options.always) return;
  const begun = Date.now();
  const window = await visit(browser, site, { ...options, state: world.states[options.as] });
  for (const status of options.allowed ?? []) window.allowed.add(status);
  let problem = null;
  try {
    await body(window.page, window);
    if (window.problems.length) problem = new Error(window.problems.join("\n"));
  } catch (error) {
    problem = error;
    if (window.problems.length) error.message += `\n${window.problems.join("\n")}`;
    await window.page.screenshot({ path: "target/browser-failure.png" }).catch(() => {});
  }
  await window.close();
  if (problem) failed++; else passed++;
  console.log(`${problem ? "FAILED" : "ok    "} ${sentence} (${Date.now() - begun} ms)`);
  if (problem) console.log((problem.stack ?? String(problem)).replace(/\x1b\[\d+m/g, "").replace(/^/gm, "         "));
}

try {
  await check("the set-up page opens the site", { always: true, allowed: [422] }, async (page, { context }) => {
    await page.goto(site.setupUrl);
    await page.getByLabel("Member name").fill("vera");
    await page.getByLabel("Password", { exact: true }).fill("password1");
    await page.getByRole("button", { name: "Open the site" }).click();
    await page.getByRole("alert").filter({ hasText: "One thing needs your attention" }).waitFor();
    if (await page.getByLabel("Member name").inputValue() !== "vera") throw new Error("the input was lost");
    await setUp(page, site);
    await page.getByText("is open").waitFor();
    world.states.vera = await context.storageState();
  });
  for (const story of [accounts, catalogue, scriptless, keeping, looks]) await story(check, world);
  await site.stop();
  site = world.site = await serve(binary, directory.path, away);
  await companion(check, world);
} catch (error) {
  failed++;
  console.log(`FAILED ${error.stack}`);
} finally {
  await browser.close();
  await site.stop();
  directory.remove();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
