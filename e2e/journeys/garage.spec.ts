import { ACCORD, expect, test } from "./app.ts";

test("an empty garage is a VIN field and a sentence", async ({ app }) => {
  await expect(app.page.getByText("Your garage is empty.")).toBeVisible();
  await expect(app.vin).toBeVisible();
  await expect(app.saveVehicle).toBeDisabled();
  await app.expectAccessible();
});

test("a VIN is decoded while it is typed, saved, and there after the app was killed", async ({ app, page }) => {
  await app.vin.pressSequentially("1hg");
  await expect(page.getByText("AMERICAN HONDA MOTOR CO., INC., United States")).toBeVisible();
  await app.vin.pressSequentially("cm826");
  await expect(page.getByRole("heading", { name: "HONDA Accord" })).toBeVisible();
  await app.vin.pressSequentially("33a004352");
  await expect(page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
  await expect(page.getByText("3.0L V6")).toBeVisible();
  await expect(page.getByText("From NHTSA's vPIC data of 2026-10, on this device")).toBeVisible();
  await app.expectAccessible();

  await app.saveVehicle.click();
  await expect(page.getByRole("status")).toContainText("2003 HONDA Accord is saved on this device");
  await expect(app.vin).toHaveValue("");
  await expect(app.vin).toBeFocused();
  await expect(app.card("2003 HONDA Accord")).toContainText(ACCORD);

  await app.killAndRestart();
  await expect(app.card("2003 HONDA Accord")).toContainText(ACCORD);
});

test("a VIN pasted in a sentence counts, and the sentence does not", async ({ app }) => {
  await app.vin.fill("For sale: 2003 Accord, VIN 1hgcm82633a004352, one owner");
  await app.saveVehicle.click();
  await expect(app.card("2003 HONDA Accord")).toContainText(ACCORD);
});

test("a wrong character is explained, and the suggestion is one tap away", async ({ app, page }) => {
  await app.vin.fill("1HGCM8Z633A004352");
  await expect(page.getByText("Position 7: 2 would fit")).toBeVisible();
  await app.expectAccessible();
  await page.getByRole("button", { name: `Use ${ACCORD}` }).click();
  await expect(app.vin).toHaveValue(ACCORD);
  await expect(page.getByText("would fit")).toBeHidden();
});

test("a failed check digit warns with the expected one and does not block", async ({ app, page }) => {
  await app.vin.fill("1HGCM82643A004352");
  await expect(page.getByText("position 9 is 3")).toBeVisible();
  await app.saveVehicle.click();
  await expect(app.card("2003 HONDA Accord")).toContainText("1HGCM82643A004352");
});

test("an ambiguous model year asks", async ({ app, page }) => {
  await app.vin.fill("1UYVS2535CU123456");
  const year = page.getByRole("group", { name: "Which model year?" });
  await expect(year.getByRole("button", { name: "2012" })).toHaveAttribute("aria-pressed", "true");
  await year.getByRole("button", { name: "1982" }).click();
  await expect(year.getByRole("button", { name: "1982" })).toHaveAttribute("aria-pressed", "true");
  await app.saveVehicle.click();
  await expect(page.getByRole("article", { name: /^1982 UTILITY TRAILER/ })).toBeVisible();
});

test("refusals stand at their fields and nothing typed is lost", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.vin.fill(ACCORD);
  await app.saveVehicle.click();
  await expect(page.getByText("Vehicle with this VIN already exists")).toBeVisible();
  await expect(app.vin).toHaveValue(ACCORD);
  await expect(app.vin).toHaveAccessibleDescription("Vehicle with this VIN already exists");

  await app.vin.fill("<script>");
  await expect(app.vin).toHaveAccessibleDescription("VIN can contain only letters and digits");

  await app.vin.fill("");
  await page.getByText("Add more now").click();
  await page.getByRole("textbox", { name: "Year" }).fill("soon");
  await page.getByRole("textbox", { name: "Make" }).fill("Land Rover");
  await app.saveVehicle.click();
  await expect(page.getByRole("textbox", { name: "Year" })).toHaveAccessibleDescription("year must be an integer");
  await expect(page.getByRole("textbox", { name: "Make" })).toHaveValue("Land Rover");
  await app.expectAccessible();

  await page.getByRole("textbox", { name: "Year" }).fill("1964");
  await app.saveVehicle.click();
  await expect(app.card("1964 Land Rover")).toBeVisible();
});

test("a vehicle is removed from its card, and brought back", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await page.getByRole("button", { name: "Remove 2003 HONDA Accord" }).click();
  await expect(page.getByText("Your garage is empty.")).toBeVisible();
  await app.expectAccessible();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(app.card("2003 HONDA Accord")).toContainText(ACCORD);
});

test("everything is reached by keyboard", async ({ app, page, isMobile }) => {
  test.skip(isMobile, "phones have no keyboard to tab with");
  await page.keyboard.press("n");
  await expect(app.vin).toBeFocused();
  await page.keyboard.type(ACCORD);
  await expect(page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
  await expect(page.getByText("Your garage is empty.")).toBeHidden();
  const link = page.getByRole("link", { name: "2003 HONDA Accord" });
  for (let steps = 0; steps < 8; steps++) {
    await page.keyboard.press("Tab");
    if (await link.evaluate((it) => it === document.activeElement)) break;
  }
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "2003 HONDA Accord" })).toBeVisible();
  await page.keyboard.press("e");
  await page.keyboard.type("Blue");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Blue" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(app.card("Blue")).toBeVisible();
});

test("nothing is wider than the window, down to 320 pixels", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.vin.fill("1HGCM8Z633A004352");
  await page.getByText("Add more now").click();
  for (const width of [320, 390, 820, 1440]) {
    await page.setViewportSize({ width, height: 800 });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(overflow, `${width} pixels`).toBe(0);
  }
});

test("every control is large enough to touch", async ({ app, page, isMobile }) => {
  test.skip(!isMobile, "a phone's concern");
  await app.addByVin(ACCORD);
  await app.vin.fill("1HGCM8Z633A004352");
  await page.getByText("Add more now").click();
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, input, select, summary")]
      .map((control) => ({ name: control.outerHTML.slice(0, 80), box: control.getBoundingClientRect() }))
      .filter(({ box }) => box.height < 44 || box.width < 44)
      .map(({ name }) => name),
  );
  expect(small).toEqual([]);
});

test("what another window writes appears", async ({ app, page, context }) => {
  const other = await context.newPage();
  await other.goto(page.url());
  await app.addByVin(ACCORD);
  await expect(other.getByRole("article", { name: "2003 HONDA Accord" })).toBeVisible();
});

test("without a VIN, year, make and model are chosen from what vPIC knows, or typed", async ({ app, page }) => {
  await page.getByRole("button", { name: "No VIN? Choose year, make and model" }).click();
  const field = (name: string) => page.getByRole("combobox", { name });
  await expect(field("Year")).toBeFocused();
  await field("Year").pressSequentially("2003");
  await field("Year").press("ArrowDown");
  await field("Year").press("Enter");
  await expect(field("Year")).toHaveValue("2003");
  await field("Make").click();
  await app.expectAccessible();
  await field("Make").fill("hon");
  await page.getByRole("option", { name: "HONDA", exact: true }).click();
  await field("Model").click();
  await expect(page.getByRole("option", { name: "Accord", exact: true })).toBeVisible();
  await field("Model").press("Escape");
  await expect(page.getByRole("listbox")).toBeHidden();
  await field("Model").fill("accord");
  await field("Model").press("Tab");
  await expect(field("Model")).toHaveValue("Accord");
  await app.saveVehicle.click();
  await expect(app.card("2003 HONDA Accord")).toBeVisible();

  await field("Year").fill("1885");
  await field("Make").fill("Benz");
  await field("Model").fill("Patent-Motorwagen");
  await app.saveVehicle.click();
  await expect(page.getByText("year must be between 1886 and")).toBeVisible();
  await expect(field("Year")).toBeFocused();
  await field("Year").fill("1886");
  await app.saveVehicle.click();
  await expect(app.card("1886 Benz Patent-Motorwagen")).toBeVisible();
});

test("what the VIN says can be overwritten before saving", async ({ app, page }) => {
  await app.vin.fill(ACCORD);
  await page.getByText("Add more now").click();
  const trim = page.getByRole("textbox", { name: "Trim" });
  await expect(trim).toHaveAttribute("placeholder", "EX-V6");
  await trim.fill("EX-V6 Coupe");
  await page.getByRole("textbox", { name: "Notes" }).fill("two\nlines");
  await app.saveVehicle.click();
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
});
