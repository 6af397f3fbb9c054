/** Measurements of the page; `cargo xtask bench ui` runs them. They print what they measure and judge nothing. */
import { defineConfig } from "@playwright/test";
import journeys from "./playwright.config.ts";

export default defineConfig({
  ...journeys,
  testDir: "bench",
  workers: 1,
  timeout: 240_000,
  reporter: [["./bench/table.ts"]],
  projects: [{ name: "desk", use: { viewport: { width: 1280, height: 800 }, trace: "off" } }],
});
