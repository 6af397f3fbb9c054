/** The answers that came with the page, so that the first screen asks nothing. */
import type { QueryClient } from "@tanstack/svelte-query";
import type { Filter, Sort, Start, VehicleQuery } from "$lib/platform";

export const OPENED = ["opened"];
export const PREFERENCES = ["preferences"];
export const VEHICLES = ["vehicles"];
export const CHOICES = [...VEHICLES, "choices"];
export const listKey = (query: VehicleQuery) => [...VEHICLES, "list", query];
export const countKey = (query: VehicleQuery) => [...VEHICLES, "count", query];

/** All vehicles that are not removed. */
export const ALL: VehicleQuery = {};
export const REMOVED: VehicleQuery = { isRemoved: true };

/** What the garage's screen asks for. */
export function wantedVehicles(filter: Filter, sort: Sort, search: string): VehicleQuery {
  return { ...filter, sort, search };
}

/** Puts the answers where the queries look for them; changes of the garage invalidate them as any others. */
export function seedQueries(client: QueryClient, start: Start): void {
  const { preferences } = start;
  const wanted = wantedVehicles(preferences.filter, preferences.sort, "");
  client.setQueryData(OPENED, null);
  client.setQueryData(PREFERENCES, preferences);
  client.setQueryData(listKey(wanted), { pages: [start.vehicles], pageParams: [null] });
  client.setQueryData(countKey(wanted), start.count);
  client.setQueryData(countKey(ALL), start.allCount);
  client.setQueryData(countKey(REMOVED), start.removedCount);
  client.setQueryData(CHOICES, start.filterChoices);
}
