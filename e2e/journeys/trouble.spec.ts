import { existsSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ACCORD, expect, test } from "./app.ts";

/** The file and what SQLite keeps beside it: the newest edits may stand there. */
function moveGarage(from: string, to: string): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(from + suffix)) renameSync(from + suffix, to + suffix);
  }
}

test("a damaged garage is repaired, said so, and its backup restored", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.goTo("Garage");
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
  await app.killAndRestartUnseen(() => {
    const backups = `${app.garageFile}-backups`;
    rmSync(backups, { recursive: true, force: true });
    mkdirSync(backups);
    moveGarage(app.garageFile, join(backups, "mine.db"));
    writeFileSync(app.garageFile, "damaged ".repeat(5000));
  });
  const notice = page.getByRole("region", { name: "Your garage was damaged and has been repaired" });
  await expect(notice).toContainText("0 vehicles were saved.");
  await expect(notice).toContainText("garage.db.damaged-");
  await app.expectAccessible();
  await notice.getByRole("button", { name: "Restore the backup" }).click();
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
  await expect(notice).toBeHidden();
});

test("a garage that cannot be opened says why and what helps, and trying again is enough", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.goTo("Garage");
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
  const aside = `${app.garageFile}.aside`;
  await app.killAndRestartUnseen(() => {
    moveGarage(app.garageFile, aside);
    mkdirSync(app.garageFile);
  });
  await expect(page.getByRole("heading", { name: "The garage cannot be opened" })).toBeFocused();
  await expect(page.getByText("The garage's file, or its folder, cannot be written")).toBeVisible();
  await expect(page.getByText("Check that you may write this file")).toBeVisible();
  await app.expectAccessible();
  rmdirSync(app.garageFile);
  moveGarage(aside, app.garageFile);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
});

test("without the vPIC data it is said what is missing, and vehicles are saved all the same", async ({ app, page }) => {
  await app.killAndRestartUnseen(undefined, ["--snapshot", join(dirname(app.garageFile), "no-such-file")]);
  await expect(page.getByText("The vPIC data is missing, so VINs are not decoded.")).toBeVisible();
  await expect(page.getByText("Installing MotoVault again brings the data back.")).toBeVisible();
  await app.vin.fill(ACCORD);
  await expect(page.getByText("no-such-file")).toBeVisible();
  await app.expectAccessible();
  await app.saveVehicle.click();
  await app.expectVehicle(ACCORD);
  await app.goTo("Settings");
  await expect(page.getByText("Installing MotoVault again brings the data back.")).toBeVisible();
});
