/**
 * How every screen looks, at both sizes and in both themes. After a change that is meant, look at the new pictures and
 * keep them: `npm --prefix e2e run journeys -- visual --update-snapshots`.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ACCORD, expect, GARAGE_CLI, test, type App } from "./app.ts";

const SIZES = [
  { width: 390, height: 844 },
  { width: 1440, height: 900 },
];

const VEHICLES = [
  { nickname: "Work horse", make: "FORD", model: "F-150", year: 2015, bodyClass: "Pickup", licensePlate: "DL 5043", odometerReading: 152_531 },
  { make: "AIRSTREAM", model: "Flying Cloud", year: 2012, bodyClass: "Trailer", isActive: false },
  { nickname: "Landy", make: "LAND ROVER", model: "Series IIA", year: 1964, bodyClass: "Sport Utility Vehicle (SUV)", licensePlate: "B LR 1964" },
  { make: "HARLEY-DAVIDSON", model: "Sportster", year: 1982, vehicleType: "MOTORCYCLE", engine: "883 cc V2", odometerReading: 32_815 },
];

async function look(app: App, name: string): Promise<void> {
  const { page } = app;
  for (const size of SIZES) {
    await page.setViewportSize(size);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      // One font on every machine; the rest of a picture is the same wherever the browser is.
      await page.addStyleTag({ content: `:root { --font-text: "DejaVu Sans"; --font-mono: "DejaVu Sans Mono"; }` });
      await page.evaluate(() => window.scrollTo(0, 0));
      await expect(page).toHaveScreenshot(`${name}-${size.width}-${colorScheme}.png`, {
        // What is different in every run.
        mask: [page.locator("time"), page.locator("figure"), page.locator("dd code")],
        maskColor: "#888",
        maxDiffPixelRatio: 0.02,
      });
    }
  }
}

// Only once: the sizes are set here.
test.describe("looks as it should:", { tag: "@desk" }, () => {
  // To hide carets and cover what differs, Playwright puts styles into the page, which the app itself never may.
  test.use({ bypassCSP: true });
  test.skip(process.platform !== "linux", "other systems draw text otherwise");

  test("an empty garage", async ({ app }) => {
    await expect(app.vin).toBeVisible();
    await look(app, "empty");
  });

  test("the garage, in cards and in rows", async ({ app, page }) => {
    await app.killAndRestartUnseen(() => {
      const list = join(dirname(app.garageFile), "vehicles.json");
      writeFileSync(list, JSON.stringify(VEHICLES));
      for (const words of [["import", list], ["vehicle", "add", ACCORD, "--plate", "ABC 123", "--odometer", "50000"]]) {
        expect(spawnSync(GARAGE_CLI, ["--garage", app.garageFile, ...words], { encoding: "utf8" }).stderr).toBe("");
      }
    });
    await expect(app.card("Landy")).toBeVisible();
    await look(app, "cards");
    await page.getByRole("radio", { name: "Rows" }).check({ force: true });
    await look(app, "rows");
  });

  test("adding, with and without a VIN", async ({ app, page }) => {
    await app.goTo("Add");
    await app.vin.fill("1HGCM82643A004352");
    await expect(page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
    await app.vin.blur();
    await look(app, "add");
    await app.vin.fill("");
    await page.getByRole("button", { name: "No VIN? Choose year, make and model" }).click();
    await page.getByRole("combobox", { name: "Year" }).fill("2003");
    await page.getByRole("combobox", { name: "Year" }).blur();
    await look(app, "add-without-vin");
  });

  test("a vehicle", async ({ app, page }) => {
    await app.addByVin(ACCORD);
    for (const reading of ["48210", "49000", "51020", "50000", "58111"]) {
      const field = page.getByRole("textbox", { name: "New reading, miles" });
      await field.fill(reading);
      await field.press("Enter");
      await expect(field).toHaveValue("");
    }
    await page.getByRole("button", { name: "Dismiss" }).click();
    await page.mouse.move(0, 0);
    await look(app, "vehicle");
  });

  test("the settings", async ({ app, page }) => {
    await app.goTo("Settings");
    await expect(page.getByRole("heading", { name: "About" })).toBeVisible();
    await look(app, "settings");
  });
});
