/** The app for a journey: the real command layer on a garage of its own, and what journeys do in it. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import axe from "axe-core";
import { expect, test as base, type BrowserContext, type Page } from "@playwright/test";
import { holdTimers, passTime, settled } from "./timers.ts";

export { expect };
export const ACCORD = "1HGCM82633A004352";

export const ROOT = join(import.meta.dirname, "../..");
export const GARAGE_CLI = process.env["GARAGE_CLI"] ?? join(ROOT, "target/debug/garage");
const HOST = process.env["E2E_HOST"] ?? join(ROOT, "target/debug/e2e-host");

/** Starts the app's command layer on a garage file; it ends with this process at the latest. */
async function startHost(garageFile: string, options: string[] = []): Promise<{ host: ChildProcess; address: string }> {
  const host = spawn(HOST, ["--garage", garageFile, "--page", join(ROOT, "ui/dist"), ...options], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (!host.stdout) throw new Error("the host has no output");
  for await (const address of createInterface({ input: host.stdout })) return { host, address };
  throw new Error(`${HOST} has ended without an address; build it with: cargo build --package e2e-host`);
}

export class App {
  private constructor(
    readonly page: Page,
    readonly garageFile: string,
    private host: ChildProcess,
    private address: string,
  ) {}

  static async start(page: Page, folder: string): Promise<App> {
    const garageFile = join(folder, "garage.db");
    const { host, address } = await startHost(garageFile);
    const app = new App(page, garageFile, host, address);
    await app.open();
    return app;
  }

  async open(): Promise<void> {
    await this.page.goto(this.address);
    await expect(this.page.getByRole("heading", { name: "Garage", exact: true })).toBeVisible();
  }

  /** Ends the app without any goodbye and starts it again on the same garage. */
  async killAndRestart(): Promise<void> {
    await this.killAndRestartUnseen();
    await this.open();
  }

  /** The same, where the garage may not be what comes up; `meanwhile` happens while the app is down. */
  async killAndRestartUnseen(meanwhile?: () => void, options?: string[]): Promise<void> {
    // A page that is gone asks nothing while nobody answers.
    await this.page.goto("about:blank");
    const hasEnded = new Promise((resolve) => this.host.once("exit", resolve));
    this.kill();
    await hasEnded;
    meanwhile?.();
    ({ host: this.host, address: this.address } = await startHost(this.garageFile, options));
    await this.page.goto(this.address);
  }

  /** Chooses this file in the next dialogs of the system. */
  async chooseFile(file: string): Promise<void> {
    await this.page.evaluate((file) => Object.assign(window, { __chosenFile: file }), file);
  }

  /** Where the app is served. */
  get origin() {
    return this.address;
  }

  kill(): void {
    this.host.kill("SIGKILL");
  }

  get vin() {
    return this.page.getByRole("textbox", { name: "VIN", exact: true });
  }

  get saveVehicle() {
    return this.page.getByRole("button", { name: "Save vehicle" });
  }

  /** The card of one vehicle in the garage. */
  card(name: string) {
    return this.page.getByRole("list", { name: "Vehicles" }).getByRole("article", { name, exact: true });
  }

  /** Goes to one of the places of the navigation, and is there: a reload would otherwise load the page before. */
  async goTo(place: "Garage" | "Add" | "Settings"): Promise<void> {
    const link = this.page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: place });
    await link.click();
    await expect(link).toHaveAttribute("aria-current", "page");
    const path = { Garage: "/", Add: "/add", Settings: "/settings" }[place];
    await expect(this.page).toHaveURL((url) => url.pathname === path);
  }

  /** The screen of one vehicle is shown. */
  async expectVehicle(name: string): Promise<void> {
    await expect(this.page.getByRole("heading", { level: 1, name, exact: true })).toBeVisible();
  }

  /** Adds a vehicle by its VIN alone; its screen is shown then. */
  async addByVin(vin: string): Promise<void> {
    await this.goTo("Add");
    await this.vin.fill(vin);
    await this.saveVehicle.click();
    await expect(this.page.getByRole("link", { name: "Garage" }).last()).toBeVisible();
    await expect(this.page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(this.saveVehicle).toBeHidden();
  }

  /** Lets the page's timers of at most `ms` milliseconds run out: toasts (5 s; 12 s with an action), “saved” (4 s). */
  async passTime(ms: number): Promise<void> {
    await passTime(this.page, ms);
  }

  /** Waits until the page has nothing under way: for what must not happen, since there is no event to wait for. */
  async settled(): Promise<void> {
    await settled(this.page);
  }

  /** axe finds nothing, in both themes. */
  async expectAccessible(): Promise<void> {
    for (const colorScheme of ["light", "dark"] as const) {
      await this.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      // During a transition from one theme to the other, an element has a color of neither. The transitions are ended
      // instead of awaited: the promise of a transition whose element stops being drawn may never be settled.
      await this.page.evaluate(() => {
        for (const animation of document.getAnimations()) {
          // An endless animation cannot be finished.
          if (animation.effect?.getComputedTiming().endTime !== Infinity) animation.finish();
        }
      });
      // Once for each document: to compile axe takes a slow machine longer than to run it.
      await this.page.evaluate(`if (!window.axe) { ${axe.source} }`);
      // Names, roles and structure are the same in both themes.
      const rules = colorScheme === "dark" ? { runOnly: ["color-contrast", "link-in-text-block"] } : {};
      const violations = await this.page.evaluate(async (rules) => {
        const { violations } = await window.axe.run(document, { ...rules, resultTypes: ["violations"] });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
      }, rules);
      expect(violations, colorScheme).toEqual([]);
    }
  }
}

declare global {
  interface Window {
    axe: typeof axe;
  }
}

/** How many times slower the pages are than the machine; `cargo xtask test --slow` sets it. */
const SLOWDOWN = Number(process.env["E2E_SLOWDOWN"] ?? 1);

/** Slows a page down, as long as its context is open. */
async function slowDown(context: BrowserContext, page: Page): Promise<void> {
  const session = await context.newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWDOWN });
}

interface Fixtures {
  app: App;
}

export const test = base.extend<Fixtures>({
  context: async ({ context }, use) => {
    await holdTimers(context);
    // A page may be closed before the answer.
    if (SLOWDOWN > 1) context.on("page", (page) => void slowDown(context, page).catch(() => {}));
    await use(context);
  },
  app: async ({ page }, use) => {
    const problems: string[] = [];
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    const folder = mkdtempSync(join(tmpdir(), "motovault-"));
    let app: App | undefined;
    try {
      app = await App.start(page, folder);
      await use(app);
    } finally {
      app?.kill();
      rmSync(folder, { recursive: true });
    }
    // A refused command is an answer (422), and a killed host cuts its connections; Chromium logs both as failed
    // requests. Anything else is a mistake.
    const mistakes = problems.filter((problem) => !/status of 422|net::ERR_/.test(problem));
    expect(mistakes).toEqual([]);
  },
});
