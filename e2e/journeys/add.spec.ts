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
  await expect(page.getByText("2003 HONDA Accord is saved on this device")).toBeVisible();
  await app.expectVehicle("2003 HONDA Accord");

  await app.killAndRestart();
  await expect(app.card("2003 HONDA Accord")).toContainText(ACCORD);
});

test("a VIN pasted in a sentence counts, and the sentence does not", async ({ app }) => {
  await app.vin.fill("For sale: 2003 Accord, VIN 1hgcm82633a004352, one owner");
  await app.saveVehicle.click();
  await app.expectVehicle("2003 HONDA Accord");
  await expect(app.page.getByRole("button", { name: `Edit vin: ${ACCORD}` })).toBeVisible();
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
  await expect(page.getByRole("button", { name: "Edit vin: 1HGCM82643A004352" })).toBeVisible();
});

test("an ambiguous model year asks", async ({ app, page }) => {
  await app.vin.fill("1UYVS2535CU123456");
  const year = page.getByRole("group", { name: "Which model year?" });
  await expect(year.getByRole("button", { name: "2012" })).toHaveAttribute("aria-pressed", "true");
  await year.getByRole("button", { name: "1982" }).click();
  await expect(year.getByRole("button", { name: "1982" })).toHaveAttribute("aria-pressed", "true");
  await app.saveVehicle.click();
  await expect(page.getByRole("heading", { level: 1, name: /^1982 UTILITY TRAILER/ })).toBeVisible();
});

test("refusals stand at their fields and nothing typed is lost", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.goTo("Add");
  await app.vin.fill(ACCORD);
  await expect(page.getByRole("heading", { level: 2, name: "2003 HONDA Accord" })).toBeVisible();
  await app.expectAccessible();
  await app.saveVehicle.click();
  await expect(page.getByText("Vehicle with this VIN already exists")).toBeVisible();
  await expect(app.vin).toHaveValue(ACCORD);
  await expect(app.vin).toHaveAccessibleDescription("Vehicle with this VIN already exists");
  await expect(page.getByRole("link", { name: "You have it: 2003 HONDA Accord" })).toBeVisible();

  await app.vin.fill("<script>");
  await expect(app.vin).toHaveAccessibleDescription("VIN can contain only letters and digits");

  await app.vin.fill("");
  await page.getByText("Add more now").click();
  await page.getByRole("textbox", { name: "Year" }).fill("soon");
  await page.getByRole("textbox", { name: "Make" }).fill("Land Rover");
  await app.saveVehicle.click();
  await expect(page.getByRole("textbox", { name: "Year" })).toHaveAccessibleDescription("Year must be a whole number");
  await expect(page.getByRole("textbox", { name: "Make" })).toHaveValue("Land Rover");
  await app.expectAccessible();

  await page.getByRole("textbox", { name: "Year" }).fill("1964");
  await app.saveVehicle.click();
  await app.expectVehicle("1964 Land Rover");
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
  await app.expectVehicle("2003 HONDA Accord");

  await app.goTo("Add");
  await page.getByRole("button", { name: "No VIN? Choose year, make and model" }).click();
  await field("Year").fill("1885");
  await field("Make").fill("Benz");
  await field("Model").fill("Patent-Motorwagen");
  await app.saveVehicle.click();
  await expect(page.getByText("Year must be between 1886 and")).toBeVisible();
  await expect(field("Year")).toBeFocused();
  await field("Year").fill("1886");
  await app.saveVehicle.click();
  await app.expectVehicle("1886 Benz Patent-Motorwagen");
});

test("what the VIN says can be overwritten before saving", async ({ app, page }) => {
  await app.vin.fill(ACCORD);
  await page.getByText("Add more now").click();
  const trim = page.getByRole("textbox", { name: "Trim" });
  await expect(trim).toHaveAttribute("placeholder", "EX-V6");
  await trim.fill("EX-V6 Coupe");
  await page.getByRole("textbox", { name: "Notes" }).fill("two\nlines");
  await app.saveVehicle.click();
  await app.expectVehicle("2003 HONDA Accord");
  await expect(page.getByRole("button", { name: "Edit trim: EX-V6 Coupe" })).toBeVisible();
});

test("what was typed is there after leaving, after a reload, and can be thrown away and brought back", async ({ app, page }) => {
  await app.vin.fill("1HGCM8263");
  await page.getByText("Add more now").click();
  await page.getByRole("textbox", { name: "Nickname" }).fill("Blue");
  await page.getByRole("textbox", { name: "Notes" }).fill("one\ntwo");
  const expectTyped = async () => {
    await expect(app.vin).toHaveValue("1HGCM8263");
    await expect(page.getByRole("textbox", { name: "Nickname" })).toHaveValue("Blue");
    await expect(page.getByRole("textbox", { name: "Notes" })).toHaveValue("one\ntwo");
  };
  await app.goTo("Settings");
  await app.goTo("Add");
  await expectTyped();
  await page.reload();
  await expectTyped();
  await page.getByRole("button", { name: "Start over" }).click();
  await expect(app.vin).toHaveValue("");
  await expect(app.saveVehicle).toBeDisabled();
  await page.getByRole("button", { name: "Undo" }).click();
  await expectTyped();
  await app.vin.fill("");
  await app.saveVehicle.click();
  await app.expectVehicle("Blue");
  await app.goTo("Add");
  await expect(app.vin).toHaveValue("");
  await expect(app.saveVehicle).toBeDisabled();
});

test("saving twice by a quick hand makes one vehicle", async ({ app, page }) => {
  await page.getByText("Add more now").click();
  const make = page.getByRole("textbox", { name: "Make" });
  await make.fill("Land Rover");
  await make.evaluate((input: HTMLInputElement) => {
    for (let press = 0; press < 3; press++) input.form?.requestSubmit();
  });
  await app.expectVehicle("Land Rover");
  await app.goTo("Garage");
  await expect(app.card("Land Rover")).toHaveCount(1);
});

test("the form is empty after saving, though the garage shows the vehicle before the form has its answer", async ({ app, page }) => {
  await page.route("**/host/ipc/add_vehicle", async (route) => {
    const response = await route.fetch();
    await expect(app.card("Blue")).toBeVisible();
    await route.fulfill({ response });
  });
  await page.getByText("Add more now").click();
  await page.getByRole("textbox", { name: "Nickname" }).fill("Blue");
  await app.saveVehicle.click();
  await app.expectVehicle("Blue");
  await app.goTo("Add");
  await expect(app.saveVehicle).toBeDisabled();
  await page.getByText("Add more now").click();
  await expect(page.getByRole("textbox", { name: "Nickname" })).toHaveValue("");
});

test("one character too many is said as that, and Escape can be undone", async ({ app }) => {
  await app.vin.pressSequentially(`${ACCORD}2`);
  await expect(app.vin).toHaveAccessibleDescription("18 characters; a VIN has 17, so 1 too many");
  await app.vin.press("Backspace");
  await expect(app.page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
  await app.vin.press("Escape");
  await expect(app.vin).toHaveValue("");
  await app.vin.press("Control+z");
  await expect(app.vin).toHaveValue(ACCORD);
});

test("a VIN that lacks a character is asked about once, and saved if it is meant", async ({ app, page }) => {
  const short = ACCORD.slice(0, 16);
  await app.vin.fill(short);
  await expect(page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
  await app.saveVehicle.click();
  await expect(app.vin).toHaveAccessibleDescription(/^16 of 17 characters/);
  await expect(app.vin).toBeFocused();
  await app.saveVehicle.click();
  await expect(page.getByRole("heading", { level: 1, name: short })).toBeVisible();
});

test("a press on the button counts, though what the VIN says comes in between", async ({ app, page }) => {
  let answer = () => {};
  const isPressed = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/host/ipc/decode_vin", async (route) => {
    await isPressed;
    await route.continue();
  });
  await app.vin.fill(ACCORD);
  await app.saveVehicle.hover();
  const hasCome = page.waitForResponse("**/host/ipc/decode_vin");
  await page.mouse.down();
  answer();
  await (await hasCome).finished();
  await app.settled();
  await page.mouse.up();
  await app.expectVehicle("2003 HONDA Accord");
});

test("a press whose end is never told holds nothing back for long", async ({ app, page }) => {
  const result = page.getByRole("heading", { name: "2003 HONDA Accord" });
  // Not the same again: of a VIN that was decoded before, the result is there at once.
  const [other, otherResult] = ["1UYVS2535CU123456", page.getByRole("heading", { name: /UTILITY TRAILER/ })];
  // Of a menu, the system takes the end of the press for itself.
  await app.vin.hover();
  await page.mouse.down({ button: "right" });
  await app.vin.fill(ACCORD);
  await expect(result).toBeVisible();
  await page.mouse.up({ button: "right" });

  await app.vin.fill("");
  await expect(result).toBeHidden();
  await page.mouse.down();
  await app.vin.fill(other);
  await app.settled();
  await expect(otherResult).toBeHidden();
  await app.passTime(2_000);
  await expect(otherResult).toBeVisible();
});

test("what was typed a moment before going to the other form is there", async ({ app, page }) => {
  await app.vin.evaluate((input: HTMLInputElement) => {
    document.querySelector<HTMLAnchorElement>('nav a[href="/add"]')?.click();
    input.value = "1HGCM826";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
  await expect(page.getByRole("heading", { level: 1, name: "Add a vehicle" })).toBeVisible();
  await expect(app.vin).toHaveValue("1HGCM826");
  // Nor does the form that was left, or the new one, put it away later.
  await app.settled();
  await page.reload();
  await expect(app.vin).toHaveValue("1HGCM826");
});
