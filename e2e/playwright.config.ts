import { existsSync } from "node:fs";
import { defineConfig, devices } from "@playwright/test";

/** The system's browser: Playwright's own download is not needed. */
const candidates = [process.env["CHROMIUM_BIN"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = candidates.find((path) => path && existsSync(path));
if (!executablePath) throw new Error("Chromium is missing: install it, or name it in CHROMIUM_BIN");

const quiet = ["--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync"];

/** Only guards against hanging, whatever the machine; see `SLOWDOWN` in journeys/app.ts. */
const PATIENCE_MS = Number(process.env["E2E_SLOWDOWN"] ?? 1) > 1 ? 180_000 : 60_000;

export default defineConfig({
  testDir: "journeys",
  outputDir: "results",
  // The same pictures for all: the sizes are in their names.
  snapshotPathTemplate: "{testDir}/pictures/{arg}{ext}",
  fullyParallel: true,
  timeout: 5 * PATIENCE_MS,
  expect: { timeout: PATIENCE_MS },
  maxFailures: 0,
  workers: 2,
  forbidOnly: Boolean(process.env["CI"]),
  reporter: [["list"]],
  use: {
    actionTimeout: PATIENCE_MS,
    navigationTimeout: PATIENCE_MS,
    trace: "retain-on-failure",
    // Root, as in containers, cannot use Chromium's own sandbox.
    launchOptions: { executablePath, args: process.getuid?.() === 0 ? [...quiet, "--no-sandbox"] : quiet },
  },
  projects: [
    // A journey that only one of them can take is tagged with that one's name.
    { name: "desk", grepInvert: /@phone/, use: { viewport: { width: 1280, height: 800 } } },
    { name: "phone", grepInvert: /@desk/, use: { ...devices["Pixel 7"], viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } },
  ],
});
