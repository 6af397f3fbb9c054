// The app itself, in its own webview under a display: what only the real window can show.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { By, Capabilities, until, WebDriver } from "selenium-webdriver";
import { Executor, HttpClient } from "selenium-webdriver/http/index.js";

const ROOT = join(import.meta.dirname, "../..");
const APP = process.env.MOTOVAULT_APP ?? join(ROOT, "target/debug/motovault");
const CLI = join(APP, "../garage");
const ACCORD = "1HGCM82633A004352";
/** A loaded machine takes seconds to start WebKit; nothing here measures time. */
const PATIENCE_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), "motovault-desktop-"));
/** The app's own folders, but not this user's; the cache with the vPIC data stays. */
const environment = { ...process.env, XDG_DATA_HOME: folder, TAURI_WEBVIEW_AUTOMATION: "true", NO_AT_BRIDGE: "1" };

let driverServer;
let address;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

before(async () => {
  const port = await freePort();
  address = `http://127.0.0.1:${port}`;
  driverServer = spawn("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], { env: environment, stdio: "ignore" });
  for (let attempt = 0; attempt < 100; attempt++) {
    const isReady = await fetch(`${address}/status`).then((response) => response.ok, () => false);
    if (isReady) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("WebKitWebDriver does not answer");
});

after(() => {
  killApp();
  driverServer?.kill();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts the app and gives a session in its window. */
async function startApp() {
  const capabilities = new Capabilities({ "webkitgtk:browserOptions": { binary: APP, args: [] } });
  // Not by selenium's Builder, which wants the name of a browser, and an app has none.
  return WebDriver.createSession(new Executor(new HttpClient(address)), capabilities);
}

/** The processes of the app that this test's driver started. */
function appProcesses() {
  const { stdout } = spawnSync("pgrep", ["--parent", String(driverServer.pid), "--full", APP], { encoding: "utf8" });
  return stdout.trim().split("\n").filter(Boolean).map(Number);
}

/** Ends the app as a crash would. */
function killApp() {
  for (const id of appProcesses()) process.kill(id, "SIGKILL");
}

async function find(driver, css) {
  return driver.wait(until.elementLocated(By.css(css)), PATIENCE_MS);
}

async function waitForText(driver, css, text) {
  const element = await find(driver, css);
  await driver.wait(until.elementTextContains(element, text), PATIENCE_MS);
}

test("add by VIN, kill -9, start again: it is there; and the CLI sees the same garage", async () => {
  let driver = await startApp();
  const vin = await find(driver, "input.mono");
  await vin.sendKeys(ACCORD.toLowerCase());
  await waitForText(driver, "form h3", "2003 HONDA Accord");
  await (await find(driver, "form button[type=submit]")).click();
  await waitForText(driver, "main > header h1, main h1", "2003 HONDA Accord");
  // Two frames, or the picture shows the one before.
  await driver.executeAsyncScript("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))");
  mkdirSync(join(ROOT, "target"), { recursive: true });
  writeFileSync(join(ROOT, "target/desktop.png"), await driver.takeScreenshot(), "base64");
  assert.equal(appProcesses().length, 1, "the app runs");
  killApp();
  await driver.quit().catch(() => {});

  driver = await startApp();
  await waitForText(driver, "article", ACCORD);

  const added = spawnSync(CLI, ["vehicle", "add", "--nickname", "From the terminal", "--json"], { env: environment, encoding: "utf8" });
  assert.equal(added.status, 0, added.stderr);
  // Coming back to the window is what makes the app look.
  await driver.executeScript("window.dispatchEvent(new Event('focus'))");
  await driver.wait(until.elementLocated(By.css("article[aria-label='From the terminal']")), PATIENCE_MS);
  await driver.quit();
});
