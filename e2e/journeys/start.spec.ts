import { expect, test } from "./app.ts";

test("the first screen is drawn from the answers that come with the page", async ({ app, page }) => {
  await page.request.post(`${app.origin}/host/ipc/add_vehicle`, { data: { draft: { nickname: "Kept" } } });
  let release = () => {};
  const isReleased = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/host/ipc/*", async (route) => {
    await isReleased;
    await route.continue();
  });
  await app.killAndRestartUnseen();
  await expect(app.card("Kept")).toBeVisible();
  await expect(page.getByRole("status").getByText("1 vehicle")).toBeVisible();
  await expect(page.getByRole("search")).toBeVisible();
  release();
  await page.unrouteAll({ behavior: "wait" });
});

test("a change between the answers that come with the page and its first listening is seen", async ({ app, page }) => {
  await page.request.post(`${app.origin}/host/ipc/add_vehicle`, { data: { draft: { nickname: "Kept" } } });
  // A window that gets the focus asks again anyway; this one never does.
  await page.addInitScript(() => window.addEventListener("focus", (event) => event.stopImmediatePropagation(), { capture: true }));
  // The program is handed out only after the garage has changed behind the page.
  await page.route("**/bundle.*.js", async (route) => {
    await page.request.post(`${app.origin}/host/ipc/add_vehicle`, { data: { draft: { nickname: "Late" } } });
    await route.continue();
  });
  await app.killAndRestartUnseen();
  await expect(app.card("Kept")).toBeVisible();
  await expect(app.card("Late")).toBeVisible();
});
