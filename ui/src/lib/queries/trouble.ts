/** Whether the garage can be opened at all, and what became of a damaged one. */
import { createMutation, createQuery, MutationCache, QueryCache, useQueryClient, type QueryClient } from "@tanstack/svelte-query";
import { garage, GarageError, type ErrorCode } from "$lib/platform";
import { OPENED } from "./start";

/** What no field and no toast can carry: with it, nothing else works either. */
const STOPPING: readonly ErrorCode[] = ["garageDamaged", "garageForeign", "garageNewer"];

const TROUBLE = ["trouble"];

/** Caches that note damage and the like wherever it shows, for `troubleOf`. */
export function cachesThatTell(client: () => QueryClient): { queryCache: QueryCache; mutationCache: MutationCache } {
  const onError = (error: Error) => {
    if (error instanceof GarageError && STOPPING.includes(error.code)) client().setQueryData(TROUBLE, error);
  };
  return { queryCache: new QueryCache({ onError }), mutationCache: new MutationCache({ onError }) };
}

/** What has stopped the garage in use, if anything has. */
export function troubleOf(): () => GarageError | undefined {
  const trouble = createQuery(() => ({
    queryKey: TROUBLE,
    queryFn: (): GarageError | null => null,
    gcTime: Infinity,
  }));
  return () => trouble.data ?? undefined;
}

/** Opens the garage. Its answer is what a repair on the way has done, if there was one. */
export function openedQuery() {
  return createQuery(() => ({ queryKey: OPENED, queryFn: garage.takeRepair, gcTime: Infinity }));
}

/** Tries everything again, now that the person has done something about it. */
export function tryingAgain(): () => Promise<void> {
  const client = useQueryClient();
  return () => client.resetQueries();
}

/** Repairs a garage whose damage showed in use. */
export function repairMutation() {
  const client = useQueryClient();
  return createMutation(() => ({
    mutationFn: garage.repairGarage,
    onSuccess: async (repair) => {
      await client.resetQueries();
      client.setQueryData(OPENED, repair);
    },
  }));
}
