import { ACCORD, expect, test, type App } from "./app.ts";

/** A vehicle with a history, and its screen. */
async function openVehicle(app: App): Promise<void> {
  await app.addByVin(ACCORD);
  await app.goTo("Garage");
  await app.card("2003 HONDA Accord").getByRole("link").click();
  await app.expectVehicle("2003 HONDA Accord");
}

test("a field is edited in place, said to be saved, and taken back from history", async ({ app, page }) => {
  await openVehicle(app);
  await app.expectAccessible();
  await page.getByRole("button", { name: "Edit color: empty" }).click();
  const color = page.getByRole("textbox", { name: "Color" });
  await expect(color).toBeFocused();
  await color.fill("Blue");
  await color.press("Enter");
  await expect(page.getByText("Color saved on this device")).toBeVisible();
  await app.passTime(4_000);
  await expect(page.getByText("Color saved on this device")).toBeHidden();
  await expect(page.getByRole("button", { name: "Edit color: Blue" })).toBeFocused();

  const history = page.getByRole("region", { name: "History" });
  await expect(history.getByRole("listitem").filter({ hasText: "empty → Blue" }).first()).toBeVisible();
  await history.getByRole("button", { name: /^Undo: Changed/ }).click();
  await expect(page.getByRole("button", { name: "Edit color: empty" })).toBeVisible();
  await history.getByRole("button", { name: /^Undo: Changed/ }).click();
  await expect(history.getByRole("alert")).toHaveText("Color has been changed since; undo that change first");
});

test("what is refused says so at the field, and typing is not lost", async ({ app, page }) => {
  await openVehicle(app);
  await page.getByRole("button", { name: "Edit year: 2003" }).click();
  const year = page.getByRole("textbox", { name: "Year" });
  await year.fill("1885");
  await year.press("Enter");
  await expect(page.getByRole("alert")).toContainText("Year must be between 1886 and");
  await expect(year).toHaveValue("1885");
  await app.expectAccessible();
  await year.press("Escape");
  await expect(page.getByRole("button", { name: "Edit year: 2003" })).toBeFocused();
});

test("the odometer is written down, drawn, and a lower reading remarked on", async ({ app, page }) => {
  await openVehicle(app);
  const reading = page.getByRole("textbox", { name: "New reading, miles" });
  for (const value of ["50,000", "51000", "50500"]) {
    await reading.fill(value);
    await reading.press("Enter");
    await expect(reading).toHaveValue("");
  }
  const odometer = page.getByRole("region", { name: "Odometer" });
  await expect(odometer.getByRole("img", { name: "From 50,000 to 50,500 miles" })).toBeVisible();
  await expect(odometer.getByRole("row").nth(1)).toContainText("50,500lower than before");
  await reading.fill("1");
  await expect(page.getByText("That is less than the reading before.")).toBeVisible();
  await reading.fill("a lot");
  await reading.press("Enter");
  await expect(odometer.getByRole("alert")).toHaveText("Odometer must be a whole number");
  await app.expectAccessible();
});

test("everything the VIN says is there by group, and found by a word", async ({ app, page }) => {
  await openVehicle(app);
  const decode = page.getByRole("region", { name: "Everything the VIN says" });
  await decode.getByText("Engine", { exact: true }).click();
  await expect(decode.getByText("Displacement (L)")).toBeVisible();
  await decode.getByRole("searchbox").fill("air bag");
  await expect(decode.getByText("Curtain Air Bag Locations")).toBeVisible();
  await expect(decode.getByText("Displacement (L)")).toBeHidden();
  await decode.getByRole("searchbox").fill("no such fact");
  await expect(decode.getByText("No fact fits.")).toBeVisible();
});

test("what was cleared is offered, and taken", async ({ app, page }) => {
  await openVehicle(app);
  await page.getByRole("button", { name: "Edit trim: EX-V6" }).click();
  await page.getByRole("textbox", { name: "Trim" }).fill("");
  await page.getByRole("textbox", { name: "Trim" }).press("Enter");
  const offers = page.getByRole("region", { name: "Decoding knows more by now" });
  await expect(offers).toContainText("empty → EX-V6");
  await app.expectAccessible();
  await offers.getByRole("button", { name: "Take it" }).click();
  await expect(page.getByRole("button", { name: "Edit trim: EX-V6" })).toBeVisible();
  await expect(offers).toBeHidden();
});

test("a vehicle is removed, undone, and restored from its own page", async ({ app, page }) => {
  await openVehicle(app);
  const address = page.url();
  await page.getByRole("button", { name: "Remove from the garage" }).click();
  await expect(page.getByText("Your garage is empty.")).toBeVisible();
  await page.getByRole("button", { name: "Undo", exact: true }).click();
  await expect(app.card("2003 HONDA Accord")).toBeVisible();

  await page.goto(address);
  await page.getByRole("button", { name: "Remove from the garage" }).click();
  await expect(page.getByText("Your garage is empty.")).toBeVisible();
  await page.goto(address);
  await expect(page.getByText("This vehicle has been removed from the garage.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Edit year: 2003" })).toBeDisabled();
  await app.expectAccessible();
  await page.getByRole("button", { name: "Restore it" }).click();
  await expect(page.getByRole("button", { name: "Edit year: 2003" })).toBeEnabled();
});

test("an address of no vehicle says so", async ({ app, page }) => {
  await page.goto(new URL("/vehicle/018f0000-0000-7000-8000-000000000000", page.url()).href);
  await expect(page.getByRole("heading", { name: "There is no such vehicle" })).toBeVisible();
  await app.expectAccessible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("heading", { name: "Garage", exact: true })).toBeVisible();
});

test("a mistyped VIN is helped where it is edited, and remarked on afterwards", async ({ app, page }) => {
  await openVehicle(app);
  await page.getByRole("button", { name: /^Edit vin/ }).click();
  const vin = page.getByRole("textbox", { name: "VIN", exact: true });
  await vin.fill("1HGCM8Z633A004352");
  await expect(page.getByText("Position 7: 2 would fit")).toBeVisible();
  await app.expectAccessible();
  await page.getByRole("button", { name: `Use ${ACCORD}` }).click();
  await expect(vin).toBeFocused();
  await expect(vin).toHaveValue(ACCORD);
  await vin.fill("1HGCM82643A004352");
  await vin.press("Enter");
  await expect(page.getByRole("button", { name: "Edit vin: 1HGCM82643A004352" })).toBeVisible();
  await expect(page.getByText("position 9 is 3")).toBeVisible();
  await app.expectAccessible();
});

test("a refused value lets go, and what was decoded becomes one's own by Enter", async ({ app, page }) => {
  await openVehicle(app);
  await page.getByRole("button", { name: "Edit year: 2003" }).click();
  const year = page.getByRole("textbox", { name: "Year" });
  await year.fill("18");
  await year.press("Tab");
  await expect(page.getByRole("alert")).toContainText("Year must be between");
  await expect(year).not.toBeFocused();
  await expect(year).toHaveValue("18");
  await year.fill("2003");
  await year.press("Enter");
  await expect(page.getByText("2003, confirmed")).toBeVisible();
});

test("what is pressed while a field is edited stays under the finger", async ({ app, page }) => {
  await openVehicle(app);
  await page.getByRole("button", { name: `Edit vin: ${ACCORD}` }).click();
  await expect(page.getByRole("textbox", { name: "VIN" })).toBeFocused();
  await page.getByRole("button", { name: "Edit notes: empty" }).hover();
  await page.mouse.down();
  // As long as closing the field takes.
  await app.settled();
  await page.mouse.up();
  await expect(page.getByRole("textbox", { name: "Notes" })).toBeFocused();
  await expect(page.getByRole("textbox", { name: "VIN" })).toBeHidden();
});

test("whoever presses back into the field that they edit finds it open", async ({ app, page }) => {
  await openVehicle(app);
  await page.getByRole("button", { name: "Edit color: empty" }).click();
  const color = page.getByRole("textbox", { name: "Color" });
  await expect(color).toBeFocused();
  await page.locator("label", { hasText: "Color" }).click();
  // Until the press is over.
  await app.settled();
  await expect(color).toBeFocused();
  await color.fill("Blue");
  await color.press("Enter");
  await expect(page.getByRole("button", { name: "Edit color: Blue" })).toBeFocused();
});
