// A started site on a data directory of its own, and browsers that remember everything that went wrong in them.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

export const PASSWORD = "correct horse battery staple";

/** Runs a command of the program to its end; its standard output. */
export function command(binary, dataDir, ...words) {
  return new Promise((done, failed) => {
    const child = spawn(binary, words, { env: environment(dataDir), stdio: ["ignore", "pipe", "pipe"] });
    let out = "", err = "";
    child.stdout.on("data", (bytes) => { out += bytes; });
    child.stderr.on("data", (bytes) => { err += bytes; });
    child.on("error", failed);
    child.on("close", (code) => (code === 0 ? done(out) : failed(new Error(`${words.join(" ")}: ended with ${code}: ${err}`))));
  });
}

export function temporaryDirectory() {
  const path = mkdtempSync(join(tmpdir(), "seedbank-browser-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Serves `dataDir` on a free port: `{ url, setupUrl (null once set up), stop() }`; `more` is put into its environment. */
export function serve(binary, dataDir, more = {}) {
  const child = spawn(binary, ["serve"], { env: { ...environment(dataDir), ...more }, stdio: ["ignore", "pipe", "pipe"] });
  let out = "", err = "";
  child.stderr.on("data", (bytes) => { err += bytes; });
  const ended = new Promise((done) => child.on("close", done));
  // However this process ends, the site ends with it.
  const last = () => child.kill("SIGKILL");
  process.once("exit", last);
  ended.then(() => process.off("exit", last));
  const stop = async () => {
    child.kill("SIGTERM");
    const patience = setTimeout(() => child.kill("SIGKILL"), 20_000);
    await ended;
    clearTimeout(patience);
  };
  return new Promise((done, failed) => {
    const lookAgain = () => {
      const url = /serves (http:\/\/\S+)/.exec(out)?.[1];
      if (!url) return;
      clearTimeout(patience);
      // The set-up link follows in the same breath, where there is one.
      setTimeout(() => done({ url, setupUrl: /(http:\/\/\S+\/setup\/\S+)/.exec(out)?.[1] ?? null, stop, log: () => err }), 150);
    };
    const patience = setTimeout(() => { child.kill("SIGKILL"); failed(new Error(`the site did not start within 30 s: ${out}${err}`)); }, 30_000);
    child.stdout.on("data", (bytes) => { out += bytes; lookAgain(); });
    child.on("error", failed);
    child.on("close", (code) => { clearTimeout(patience); failed(new Error(`the site ended with ${code}: ${err}`)); });
  });
}

function environment(dataDir) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SEEDBANK__"));
  return {
    ...Object.fromEntries(inherited),
    SEEDBANK__SERVER__LISTEN: "127.0.0.1:0",
    SEEDBANK__SERVER__DATA_DIR: join(dataDir, "data"),
    SEEDBANK__LOG__FILTER: "warn",
  };
}

export function launch() {
  const candidates = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const executablePath = candidates.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("there is no Chromium: install Debian's chromium, or name one in CHROMIUM");
  const args = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-lcd-text"];
  // Chromium's sandbox refuses root, which is who containers run as.
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath, args });
}

/** A browser window of its own. `problems` collects what no page may do; `allowed` are answers a test provokes. */
export async function visit(browser, site, { script = true, width = 1280, height = 900, dark = false, state } = {}) {
  const context = await browser.newContext({
    baseURL: site.url,
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: script,
    locale: "en-GB",
    timezoneId: "UTC",
    storageState: state,
    viewport: { width, height },
    permissions: ["clipboard-read", "clipboard-write"],
  });
  context.setDefaultTimeout(10_000);
  const problems = [], allowed = new Set();
  const watch = (page) => {
    page.on("console", (message) => {
      if (message.type() !== "error" && !/Content.Security.Policy/i.test(message.text())) return;
      const status = /the server responded with a status of (\d+)/.exec(message.text())?.[1];
      if (status && allowed.has(Number(status))) return;
      problems.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
    page.on("response", (response) => {
      const status = response.status();
      if (status >= 400 && !allowed.has(status)) problems.push(`${status} from ${new URL(response.url()).pathname}`);
    });
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol.startsWith("http") && origin !== site.url) problems.push(`a request to ${origin}`);
    });
  };
  context.on("page", watch);
  const page = await context.newPage();
  return { context, page, problems, allowed, close: () => context.close() };
}

export async function logIn(page, name, password = PASSWORD) {
  await page.goto("/login");
  await page.getByLabel("Member name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("main").getByRole("button", { name: "Log in" }).click();
}

export const accountMenu = (page) => page.locator("details.account > summary");

/** Fills the set-up page and sends it. */
export async function setUp(page, site, { name = "vera", siteName = "Seedbank", registration = "open" } = {}) {
  await page.goto(site.setupUrl);
  await page.getByLabel("Member name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Site name").fill(siteName);
  await page.locator(`input[name=registration][value=${registration}]`).check();
  await page.getByRole("button", { name: "Open the site" }).click();
}
