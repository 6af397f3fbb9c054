/** What the person prefers on this device. */
import { createQuery, useQueryClient } from "@tanstack/svelte-query";
import { garage, type Preferences } from "$lib/platform";
import { PREFERENCES } from "./start";

export function preferencesQuery() {
  return createQuery(() => ({ queryKey: PREFERENCES, queryFn: garage.preferences, gcTime: Infinity }));
}

/** What is being kept: one after the other, or an older choice could come last. */
let keeping: Promise<unknown> = Promise.resolve();

/** Changes some of them: seen at once, kept on the way. */
export function preferring(): (changes: Partial<Preferences>) => Promise<void> {
  const client = useQueryClient();
  return async (changes) => {
    const before = client.getQueryData<Preferences>(PREFERENCES) ?? (await garage.preferences());
    const preferences = { ...before, ...changes };
    client.setQueryData(PREFERENCES, preferences);
    const kept = keeping.then(() => garage.setPreferences(preferences));
    keeping = kept.catch(() => undefined);
    await kept;
  };
}
