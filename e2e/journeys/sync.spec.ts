import { expect, test } from "./app.ts";

test("the garage syncs as soon as the device is online again", async ({ app: _app, page, context }) => {
  await expect(page.getByRole("search").or(page.getByRole("heading")).first()).toBeVisible();
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await context.setOffline(true);
  await context.setOffline(false);
  await expect.poll(() => asked.filter((path) => path === "/host/ipc/sync_now")).toHaveLength(1);
});
