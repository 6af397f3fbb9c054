import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ACCORD, expect, test } from "./app.ts";

test("theme, units and vPIC are chosen, heeded, and remembered", async ({ app, page }) => {
  await app.goTo("Settings");
  await expect(page.getByText("vPIC data of 2026-10")).toBeVisible();
  await app.expectAccessible();
  const theme = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  await page.getByRole("radio", { name: "Dark" }).check({ force: true });
  await expect.poll(theme).toBe("dark");
  await page.getByRole("combobox", { name: "New vehicles count in" }).selectOption("kilometers");
  await page.getByRole("switch", { name: "Ask vPIC online" }).uncheck({ force: true });
  const kept = () => {
    const file = join(dirname(app.garageFile), "preferences.json");
    // The store writes its file in place: it may be looked at before that, or in the middle of it.
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    return text.endsWith("}") ? (JSON.parse(text) as unknown) : {};
  };
  await expect.poll(kept).toMatchObject({ theme: "dark", odometerUnit: "km", asksVpic: false });

  await app.killAndRestart();
  await expect.poll(theme).toBe("dark");
  await app.goTo("Settings");
  await expect(page.getByRole("switch", { name: "Ask vPIC online" })).not.toBeChecked();
  await app.goTo("Add");
  await page.getByText("Add more now").click();
  await expect(page.getByRole("combobox", { name: "Unit" })).toHaveValue("km");
});

test("the garage is exported, backed up, and restored, and that can be undone", async ({ app, page }) => {
  const file = (name: string) => join(dirname(app.garageFile), name);
  await app.addByVin(ACCORD);
  await app.goTo("Settings");
  await app.chooseFile(file("out.json"));
  await page.getByRole("button", { name: "Export JSON" }).click();
  await expect(page.getByText(`Exported to ${file("out.json")}`)).toBeVisible();
  expect(readFileSync(file("out.json"), "utf8")).toContain(ACCORD);
  await app.chooseFile(file("out.csv"));
  await page.getByRole("button", { name: "Export CSV" }).click();
  await expect(page.getByText(`Exported to ${file("out.csv")}`)).toBeVisible();
  await app.chooseFile(file("mine.db"));
  await page.getByRole("button", { name: "Back up" }).click();
  await expect(page.getByText(`Backed up to ${file("mine.db")}`)).toBeVisible();
  expect(existsSync(file("mine.db"))).toBe(true);

  await app.goTo("Garage");
  await page.getByRole("button", { name: "Remove 2003 HONDA Accord" }).click();
  await expect(app.card("2003 HONDA Accord")).toBeHidden();
  await app.goTo("Settings");
  await page.getByRole("button", { name: "Restore …" }).click();
  await expect(page.getByRole("dialog", { name: "Restore a backup" })).toBeVisible();
  await app.expectAccessible();
  await app.chooseFile(file("mine.db"));
  await page.getByRole("button", { name: "Choose a file" }).click();
  await expect(page.getByText("The backup is restored")).toBeVisible();
  await app.goTo("Garage");
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
  await page.getByRole("button", { name: "Undo", exact: true }).last().click();
  await expect(app.card("2003 HONDA Accord")).toBeHidden();
});

test("a file that is no backup is refused, and nothing has changed", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.goTo("Settings");
  await page.getByRole("button", { name: "Restore …" }).click();
  await app.chooseFile(import.meta.filename);
  await page.getByRole("button", { name: "Choose a file" }).click();
  await expect(page.getByRole("alert")).toHaveText("This backup is damaged, or is not a garage; nothing was changed");
  await app.expectAccessible();
  await app.goTo("Garage");
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
});
