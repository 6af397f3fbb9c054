import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { ACCORD, expect, GARAGE_CLI, test, type App } from "./app.ts";

/** Vehicles from a file, by the CLI, while the app is down. */
async function fill(app: App, vehicles: object[]): Promise<void> {
  await app.killAndRestartUnseen(() => {
    const list = join(dirname(app.garageFile), "vehicles.json");
    writeFileSync(list, JSON.stringify(vehicles));
    const { stderr } = spawnSync(GARAGE_CLI, ["--garage", app.garageFile, "import", list], { encoding: "utf8" });
    expect(stderr).toBe("");
  });
}

const SEVERAL = [
  { nickname: "Landy", make: "Land Rover", model: "Defender", year: 1964, isActive: false },
  { vin: ACCORD, make: "HONDA", model: "Accord", year: 2003, licensePlate: "ABC 123", odometerReading: 50_000 },
  { nickname: "Citroën", make: "Citroën", model: "DS", year: 1972, odometerReading: 120_000 },
];

/** The names of the vehicles that are shown, in order. */
const names = (app: App) =>
  app.page.getByRole("article").evaluateAll((articles) => articles.map((article) => article.getAttribute("aria-label")));

test("the garage is searched as one types, sorted and filtered, and remembers how", async ({ app, page }) => {
  await fill(app, SEVERAL);
  await expect.poll(() => names(app)).toEqual(["Citroën", "2003 HONDA Accord", "Landy"]);
  await expect(page.getByText("3 vehicles")).toBeVisible();
  await app.expectAccessible();

  const search = page.getByRole("searchbox", { name: "Search the garage" });
  for (const [text, found] of [
    ["4352", ["2003 HONDA Accord"]],
    ["citroen", ["Citroën"]],
    ["c12", ["2003 HONDA Accord"]],
  ] as const) {
    await search.fill(text);
    await expect.poll(() => names(app)).toEqual(found);
    await expect(page.getByText("1 of 3")).toBeVisible();
  }
  await search.fill("tractor");
  await expect(page.getByText("No vehicle fits.")).toBeVisible();
  await app.expectAccessible();
  await page.getByRole("button", { name: "Show all vehicles" }).click();
  await expect.poll(() => names(app)).toHaveLength(3);

  await page.getByRole("combobox", { name: "Sort" }).selectOption("Year");
  await expect.poll(() => names(app)).toEqual(["2003 HONDA Accord", "Citroën", "Landy"]);
  await page.getByRole("combobox", { name: "In use" }).selectOption("Not in use");
  await expect.poll(() => names(app)).toEqual(["Landy"]);
  await page.getByRole("radio", { name: "Rows" }).check({ force: true });
  await app.expectAccessible();

  await app.killAndRestart();
  await expect.poll(() => names(app)).toEqual(["Landy"]);
  await expect(page.getByRole("radio", { name: "Rows" })).toBeChecked();
  await page.getByRole("button", { name: "Clear in use" }).click();
  await expect.poll(() => names(app)).toEqual(["2003 HONDA Accord", "Citroën", "Landy"]);
});

test("a vehicle is removed, brought back by undo, and found among the removed", async ({ app, page }) => {
  await fill(app, SEVERAL);
  await page.getByRole("button", { name: "Remove Landy" }).click();
  await expect(app.card("Landy")).toBeHidden();
  await expect(page.getByRole("link", { name: "2003 HONDA Accord" })).toBeFocused();
  // A message without an action leaves after 5 s; the offer to undo stays longer.
  await app.passTime(5_000);
  await page.getByRole("button", { name: "Undo", exact: true }).click();
  await expect(app.card("Landy")).toBeVisible();

  await page.getByRole("button", { name: "Remove Landy" }).click();
  await page.getByRole("button", { name: "Removed", exact: true }).click();
  await expect.poll(() => names(app)).toEqual(["Landy"]);
  await app.expectAccessible();
  await page.getByRole("button", { name: "Restore Landy" }).click();
  await expect(page.getByText("Landy is back in the garage")).toBeVisible();
  await app.passTime(12_000);
  await expect(page.getByText("Landy is back in the garage")).toBeHidden();
  await page.getByRole("button", { name: "Show all vehicles" }).click();
  await expect.poll(() => names(app)).toHaveLength(3);
});

test("of thousands of vehicles only those in sight are drawn, and all can be scrolled to", async ({ app, page }) => {
  await fill(app, Array.from({ length: 2_000 }, (_, index) => ({ nickname: `Vehicle ${index}` })));
  await expect(page.getByText("2,000 vehicles")).toBeVisible();
  await expect(app.card("Vehicle 1999")).toBeVisible();
  expect(await page.getByRole("article").count()).toBeLessThan(80);
  // The list grows while it is scrolled.
  const scrollDown = async () => {
    await page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    return app.card("Vehicle 0").isVisible();
  };
  await expect.poll(scrollDown).toBe(true);
  expect(await page.getByRole("article").count()).toBeLessThan(80);
});

test("everything is reached by keyboard alone", { tag: "@desk" }, async ({ app, page }) => {
  await page.keyboard.press("n");
  await expect(app.vin).toBeFocused();
  await page.keyboard.type(ACCORD);
  await expect(page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
  await page.keyboard.press("Enter");
  await app.expectVehicle("2003 HONDA Accord");
  await page.keyboard.press("e");
  await page.keyboard.type("Blue");
  await page.keyboard.press("Enter");
  await app.expectVehicle("Blue");
  await page.keyboard.press("Escape");
  await expect(app.card("Blue")).toBeVisible();

  await page.keyboard.press("/");
  await expect(page.getByRole("searchbox")).toBeFocused();
  await page.keyboard.type("blue");
  await expect(page.getByText("1 of 1")).toBeVisible();
  const link = page.getByRole("link", { name: "Blue" });
  const remove = page.getByRole("button", { name: "Remove Blue" });
  const tabTo = async (wanted: typeof link) => {
    for (let steps = 0; steps < 20; steps++) {
      await page.keyboard.press("Tab");
      if (await wanted.evaluate((it) => it === document.activeElement)) return;
    }
    throw new Error("it is not reached");
  };
  await tabTo(remove);
  await page.keyboard.press("Enter");
  await expect(link).toBeHidden();
  await tabTo(page.getByRole("button", { name: "Undo", exact: true }));
  await page.keyboard.press("Enter");
  await expect(link).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard" })).toBeVisible();
  await app.expectAccessible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
});

test("everything is reached by touch alone", { tag: "@phone" }, async ({ app, page }) => {
  await app.page.getByRole("link", { name: "Add" }).tap();
  await app.vin.tap();
  await app.vin.fill(ACCORD);
  // The answer moves the button, and a tap between two positions meets neither.
  await expect(page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
  await app.saveVehicle.tap();
  await app.expectVehicle("2003 HONDA Accord");
  await page.getByRole("button", { name: "Edit color: empty" }).tap();
  await page.getByRole("textbox", { name: "Color" }).fill("Blue");
  await page.getByRole("heading", { name: "Facts" }).tap();
  await expect(page.getByRole("button", { name: "Edit color: Blue" })).toBeVisible();
  await page.getByRole("button", { name: "Remove from the garage" }).tap();
  await page.getByRole("button", { name: "Undo", exact: true }).tap();
  await app.card("2003 HONDA Accord").getByRole("link").tap();
  await app.expectVehicle("2003 HONDA Accord");
});

test("nothing is wider than the window, down to 320 pixels, and every control can be touched", async ({ app, page, isMobile }) => {
  await fill(app, SEVERAL);
  await app.card("2003 HONDA Accord").getByRole("link").click();
  const vehicle = page.url();
  const look = async (what: string) => {
    for (const width of isMobile ? [320, 390] : [320, 390, 820, 1440]) {
      await page.setViewportSize({ width, height: 800 });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(overflow, `${what}, ${width} pixels`).toBe(0);
    }
    const small = await page.evaluate(() =>
      [...document.querySelectorAll("button, input:not(.visually-hidden), select, textarea, summary, nav a")]
        // A checkbox is touched by its label.
        .map((control) => (control.matches("[type=checkbox]") ? (control.closest("label") ?? control) : control))
        .map((control) => ({ name: control.outerHTML.slice(0, 90), box: control.getBoundingClientRect() }))
        .filter(({ box }) => box.width > 0 && (box.height < 43.5 || box.width < 43.5))
        .map(({ name }) => name),
    );
    expect(small, what).toEqual([]);
  };
  await look("vehicle");
  await page.goto(new URL("/", vehicle).href);
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
  await look("garage");
  await app.goTo("Add");
  await app.vin.fill("1HGCM8Z633A004352");
  await page.getByText("Add more now").click();
  await look("add");
  await app.goTo("Settings");
  await expect(page.getByRole("heading", { name: "Your data" })).toBeVisible();
  await look("settings");
});

test("what another window or the CLI writes appears", async ({ app, page, context }) => {
  const other = await context.newPage();
  await other.goto(page.url());
  await app.addByVin(ACCORD);
  await expect(other.getByRole("article", { name: "2003 HONDA Accord" })).toBeVisible();

  const { stderr } = spawnSync(GARAGE_CLI, ["--garage", app.garageFile, "vehicle", "add", "--nickname", "By CLI"], { encoding: "utf8" });
  expect(stderr).toBe("");
  await expect(other.getByRole("article", { name: "By CLI" })).toBeVisible();
});

test("whoever opens a vehicle comes back to what they had found", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  for (const name of ["Red", "Green"]) {
    expect(spawnSync(GARAGE_CLI, ["--garage", app.garageFile, "vehicle", "add", "--nickname", name]).status).toBe(0);
  }
  await app.goTo("Garage");
  const search = page.getByRole("searchbox", { name: "Search the garage" });
  await search.fill("gre");
  await expect(page.getByRole("article")).toHaveCount(1);
  await app.card("Green").getByRole("link").first().click();
  await app.expectVehicle("Green");
  await page.getByRole("link", { name: "Garage", exact: true }).first().click();
  await expect(search).toHaveValue("gre");
  await expect(page.getByRole("article")).toHaveCount(1);
});

test("the focus goes along: to the heading of a screen, and back to the vehicle that was left", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await expect(page.getByRole("heading", { level: 1 })).toBeFocused();
  await app.goTo("Garage");
  const link = app.card("2003 HONDA Accord").getByRole("link").first();
  await link.focus();
  await link.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "2003 HONDA Accord" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(link).toBeFocused();
});

test("the focus reaches the heading of a vehicle that is slow to come", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.goTo("Garage");
  await page.reload();
  await page.route("**/host/ipc/get_vehicle", async (route) => {
    // Frames and not time: a fixed number of them is what the page must not give up after.
    await page.evaluate(async () => {
      for (let frame = 0; frame < 60; frame++) await new Promise(requestAnimationFrame);
    });
    await route.continue();
  });
  await app.card("2003 HONDA Accord").getByRole("link").first().press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "2003 HONDA Accord" })).toBeFocused();
});

test("a removal is undone by keys alone", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  await app.goTo("Garage");
  await page.getByRole("button", { name: "Remove 2003 HONDA Accord" }).press("Enter");
  await expect(app.card("2003 HONDA Accord")).toBeHidden();
  await page.keyboard.press("Control+z");
  await expect(app.card("2003 HONDA Accord")).toBeVisible();
});

test("text twice as large leaves nothing outside the window", async ({ app, page }) => {
  await app.addByVin(ACCORD);
  for (const width of [320, 390]) {
    await page.setViewportSize({ width, height: 800 });
    for (const screen of ["Garage", "Add", "Settings", "vehicle"] as const) {
      await app.goTo(screen === "vehicle" ? "Garage" : screen);
      await page.evaluate(() => document.documentElement.style.setProperty("font-size", "200%"));
      if (screen === "vehicle") await app.card("2003 HONDA Accord").getByRole("link").first().click();
      if (screen === "Add") {
        await app.vin.fill(ACCORD);
        await expect(page.getByRole("heading", { name: "2003 HONDA Accord" })).toBeVisible();
      }
      const beyond = await page.evaluate(() => {
        const width = document.documentElement.clientWidth;
        const isBeyond = (element: Element) => element.getBoundingClientRect().right > width + 1 && getComputedStyle(element).position !== "fixed";
        const wide = [...document.querySelectorAll("main *")].filter((element) => isBeyond(element) && !element.closest(".filters, .visually-hidden, svg"));
        return { by: document.documentElement.scrollWidth - width, wide: wide.map((element) => element.outerHTML.slice(0, 120)) };
      });
      expect(beyond, `${screen} at ${width}`).toEqual({ by: 0, wide: [] });
    }
  }
});

test("the end of a long list is reached by its key", async ({ app, page }) => {
  const vehicles = Array.from({ length: 1_500 }, (_, index) => ({ nickname: `Vehicle ${index}` }));
  await fill(app, vehicles);
  await expect(app.card("Vehicle 1499")).toBeVisible();
  await page.keyboard.press("End");
  await expect(app.card("Vehicle 0")).toBeInViewport();
});
