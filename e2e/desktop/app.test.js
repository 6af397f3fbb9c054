// The app itself, in its own webview under a display: what only the real window can show.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { By, until } from "selenium-webdriver";
import { addByVin, PATIENCE_MS, startApp, startDriver, waitForText } from "./window.js";

const ROOT = join(import.meta.dirname, "../..");
const APP = process.env.MOTOVAULT_APP ?? join(ROOT, "target/debug/motovault");
const CLI = join(APP, "../garage");
const ACCORD = "1HGCM82633A004352";

const folder = mkdtempSync(join(tmpdir(), "motovault-desktop-"));
/** The app's own folders, but not this user's; the cache with the vPIC data stays. */
const environment = { ...process.env, XDG_DATA_HOME: folder, TAURI_WEBVIEW_AUTOMATION: "true", NO_AT_BRIDGE: "1" };

let driverPid;
let stopDriver;
let address;

before(async () => {
  ({ pid: driverPid, stop: stopDriver, address } = await startDriver(["WebKitWebDriver"], environment));
});

after(() => {
  killApp();
  stopDriver?.();
  rmSync(folder, { recursive: true, force: true });
});

/** The processes of the app that this test's driver started. */
function appProcesses() {
  const { stdout } = spawnSync("pgrep", ["--parent", String(driverPid), "--full", APP], { encoding: "utf8" });
  return stdout.trim().split("\n").filter(Boolean).map(Number);
}

/** Ends the app as a crash would. */
function killApp() {
  for (const id of appProcesses()) {
    try {
      process.kill(id, "SIGKILL");
    } catch (error) {
      // It has ended by itself.
      if (error.code !== "ESRCH") throw error;
    }
  }
}

test("add by VIN, kill -9, start again: it is there; and the CLI sees the same garage", async () => {
  let driver = await startApp(address, APP);
  await addByVin(driver, ACCORD.toLowerCase(), "2003 HONDA Accord");
  // Two frames, or the picture shows the one before.
  await driver.executeAsyncScript("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))");
  mkdirSync(join(ROOT, "target"), { recursive: true });
  writeFileSync(join(ROOT, "target/desktop.png"), await driver.takeScreenshot(), "base64");
  assert.equal(appProcesses().length, 1, "the app runs");
  killApp();
  await driver.quit().catch(() => {});

  driver = await startApp(address, APP);
  await waitForText(driver, "article", ACCORD);

  const added = spawnSync(CLI, ["vehicle", "add", "--nickname", "From the terminal", "--json"], { env: environment, encoding: "utf8" });
  assert.equal(added.status, 0, added.stderr);
  // Coming back to the window is what makes the app look.
  await driver.executeScript("window.dispatchEvent(new Event('focus'))");
  await driver.wait(until.elementLocated(By.css("article[aria-label='From the terminal']")), PATIENCE_MS);
  await driver.quit();
});
