import { QueryClient } from "@tanstack/svelte-query";
import { expect, test } from "vitest";
import type { Start } from "$lib/platform";
import { ALL, countKey, listKey, REMOVED, seedQueries, wantedVehicles } from "./start";

const NO_FILTER = { make: null, year: null, vehicleType: null, isActive: null, isRemoved: false };

test("the answers that came with the page are found by the questions of the first screen", () => {
  const filter = { ...NO_FILTER, make: "HONDA" };
  const start: Start = {
    preferences: { theme: "dark", odometerUnit: "km", view: "rows", sort: "name", filter, asksVpic: true },
    vehicles: { vehicles: [], next: { key: "k", position: "1" } },
    count: 1,
    allCount: 3,
    removedCount: 2,
    filterChoices: { makes: ["HONDA"], years: [], vehicleTypes: [] },
    changeCount: 0,
  };
  const client = new QueryClient();
  seedQueries(client, start);
  const wanted = wantedVehicles(filter, "name", "");
  expect(client.getQueryData(["opened"])).toBeNull();
  expect(client.getQueryData(["preferences"])).toEqual(start.preferences);
  expect(client.getQueryData(listKey(wanted))).toEqual({ pages: [start.vehicles], pageParams: [null] });
  expect([wanted, ALL, REMOVED].map((query) => client.getQueryData(countKey(query)))).toEqual([1, 3, 2]);
  expect(client.getQueryData(["vehicles", "choices"])).toEqual(start.filterChoices);
  expect(client.getQueryData(listKey(wantedVehicles(filter, "name", "accord")))).toBeUndefined();
});
