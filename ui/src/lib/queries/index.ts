/** What the page asks of the garage, and keeping the answers fresh. Components never refetch by hand. */
import { createInfiniteQuery, createMutation, createQuery, keepPreviousData, QueryClient, useQueryClient } from "@tanstack/svelte-query";
import {
  garage,
  onGarageChanged,
  type PageEnd,
  type Start,
  type Vehicle,
  type VehicleDraft,
  type VehicleQuery,
  type VehicleSummary,
} from "$lib/platform";
import { cleaned, SHORTEST_QUERY } from "$lib/vehicle/vin";
import { CHOICES, countKey, listKey, seedQueries } from "./start";
import { cachesThatTell } from "./trouble";

export { preferencesQuery, preferring } from "./preferences";
export { aboutQuery, backupsQuery, task } from "./files.svelte";
export { ALL, REMOVED, wantedVehicles } from "./start";
export { openedQuery, repairMutation, troubleOf, tryingAgain } from "./trouble";

/** Nothing here goes over a network, so nothing waits for one and nothing is tried again. `start` came with the page. */
export function createGarageClient(start?: Start): QueryClient {
  const client: QueryClient = new QueryClient({
    ...cachesThatTell(() => client),
    defaultOptions: {
      queries: { networkMode: "always", retry: false, staleTime: Infinity },
      mutations: { networkMode: "always" },
    },
  });
  if (start) seedQueries(client, start);
  return client;
}

/**
 * Asks again for what changed: told by the app, or, when the window gets focus, maybe written by the CLI. Syncs when the device is online
 * again. `start` came with the page.
 */
export function keepFresh(client: QueryClient, start?: Start): () => void {
  const isOfVehicles = (tag: unknown) => typeof tag === "string" && tag.startsWith("vehicle");
  const refresh = () => void client.invalidateQueries({ predicate: ({ queryKey }) => isOfVehicles(queryKey[0]) });
  const stop = onGarageChanged((tags) => {
    for (const tag of tags) void client.invalidateQueries({ queryKey: [tag] });
    // With no vehicle named, it may be any of them: an import, or a restored backup.
    if (tags.includes("vehicles") && !tags.some((tag) => tag.startsWith("vehicle:"))) refresh();
  }, start?.changeCount);
  const sync = () => void garage.syncNow();
  window.addEventListener("focus", refresh);
  window.addEventListener("online", sync);
  return () => {
    window.removeEventListener("online", sync);
    window.removeEventListener("focus", refresh);
    stop();
  };
}

/** How many vehicles the first page of the list holds: more than a screen shows, and quick to draw. */
const FIRST_PAGE = 60;
/** And the others: whoever goes to the end of a long list gets there. */
const NEXT_PAGE = 240;

/** The vehicles that are wanted, as far as they have been scrolled to; while others come, the last ones stay. */
export function vehiclesQuery(wanted: () => VehicleQuery) {
  return createInfiniteQuery(() => {
    const query = wanted();
    return {
      queryKey: listKey(query),
      queryFn: ({ pageParam }: { pageParam: PageEnd | null }) =>
        garage.listVehicles({ ...query, after: pageParam, limit: pageParam === null ? FIRST_PAGE : NEXT_PAGE }),
      initialPageParam: null as PageEnd | null,
      getNextPageParam: (page: { next: PageEnd | null }) => page.next,
      placeholderData: keepPreviousData,
    };
  });
}

/** How many vehicles are wanted. */
export function countQuery(wanted: () => VehicleQuery) {
  return createQuery(() => {
    const query = wanted();
    return { queryKey: countKey(query), queryFn: () => garage.countVehicles(query), placeholderData: keepPreviousData };
  });
}

/** What the vehicles of the garage can be filtered by. */
export function filterChoicesQuery() {
  return createQuery(() => ({ queryKey: CHOICES, queryFn: garage.filterChoices }));
}

/** One vehicle, removed or not; asked for again with any change of it. */
export function vehicleQuery(id: () => string) {
  return createQuery(() => ({ queryKey: [`vehicle:${id()}`, "fields"], queryFn: () => garage.getVehicle(id()) }));
}

/** Everything that happened to a vehicle, newest first. */
export function historyQuery(id: () => string) {
  return createQuery(() => ({ queryKey: [`vehicle:${id()}`, "history"], queryFn: () => garage.history(id()) }));
}

/** What decoding knows better than the vehicle; asked for again when the vehicle changes or vPIC has answered. */
export function offersQuery(vehicle: () => Vehicle) {
  return createQuery(() => {
    const { id, vin, updatedAt } = vehicle();
    return { queryKey: ["decode", "offers", id, updatedAt], queryFn: () => garage.offers(id), enabled: vin !== null };
  });
}

export function acceptOffersMutation() {
  return createMutation(() => ({
    mutationFn: ({ id, fields }: { id: string; fields: string[] }) => garage.acceptOffers(id, fields),
  }));
}

export function undoMutation() {
  return createMutation(() => ({ mutationFn: (change: string) => garage.undo(change) }));
}

const decodeKey = (text: string, year: number | null) => ["decode", text, year];

/** The VIN that stands in a text, for saving faster than the decoder answers; the text itself where none does. */
export function vinFinder(): (text: string) => Promise<string> {
  const client = useQueryClient();
  return async (text) => {
    const queryFn = () => garage.decodeVin(text, null);
    const found = await client.ensureQueryData({ queryKey: decodeKey(text, null), queryFn }).catch(() => undefined);
    return found?.vin ?? text;
  };
}

/** The vehicle of the garage that has this VIN. */
export function vehicleFinder(): (vin: string) => Promise<VehicleSummary | undefined> {
  return async (vin) => {
    const { vehicles } = await garage.listVehicles({ search: vin });
    return vehicles.find((vehicle) => vehicle.vin === vin);
  };
}

/** What the typed VIN says; while the next answer comes, the last one stays. */
export function decodeQuery(asked: () => { text: string; year: number | null }) {
  return createQuery(() => {
    const { text, year } = asked();
    const isEnough = cleaned(text).length >= SHORTEST_QUERY;
    return {
      queryKey: decodeKey(text, year),
      queryFn: () => garage.decodeVin(text, year),
      enabled: isEnough,
      gcTime: 60_000,
      ...(isEnough ? { placeholderData: keepPreviousData } : {}),
    };
  });
}

/** The model years that vPIC knows makes and models for. */
export function modelYearsQuery() {
  return createQuery(() => ({ queryKey: ["catalog", "years"], queryFn: garage.listModelYears }));
}

/** The makes of a model year, or all. */
export function makesQuery(asked: () => number | null) {
  return createQuery(() => {
    const year = asked();
    return { queryKey: ["catalog", "makes", year], queryFn: () => garage.listMakes(year), placeholderData: keepPreviousData };
  });
}

/** The models of a make in a model year, or ever. */
export function modelsQuery(asked: () => { makeId: number | null; year: number | null }) {
  return createQuery(() => {
    const { makeId, year } = asked();
    return {
      queryKey: ["catalog", "models", makeId, year],
      queryFn: () => (makeId === null ? [] : garage.listModels(makeId, year)),
    };
  });
}

export function addMutation() {
  return createMutation(() => ({ mutationFn: (draft: VehicleDraft) => garage.addVehicle(draft) }));
}

export function editMutation() {
  return createMutation(() => ({
    mutationFn: ({ id, draft }: { id: string; draft: VehicleDraft }) => garage.editVehicle(id, draft),
  }));
}

export function removeMutation() {
  return createMutation(() => ({ mutationFn: (id: string) => garage.removeVehicle(id) }));
}

export function restoreMutation() {
  return createMutation(() => ({ mutationFn: (id: string) => garage.restoreVehicle(id) }));
}
