/** The garage as files, and the one long task that may be under way. */
import { createQuery } from "@tanstack/svelte-query";
import { garage, onTaskProgressed } from "$lib/platform";

export function aboutQuery() {
  return createQuery(() => ({ queryKey: ["about"], queryFn: garage.about }));
}

/** The backups beside the garage, the newest first; looked for whenever they are shown. */
export function backupsQuery() {
  return createQuery(() => ({ queryKey: ["backups"], queryFn: garage.listBackups, staleTime: 0 }));
}

/** What is under way and how far; nothing with no label. */
let label = $state<string>();
let percent = $state(0);

export const task = {
  get label() {
    return label;
  },
  get percent() {
    return percent;
  },
  stop: garage.stopTask,
  /** Does a long task and follows how far it is. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    label = name;
    percent = 0;
    const stopListening = onTaskProgressed((now) => (percent = now));
    try {
      return await work();
    } finally {
      stopListening();
      label = undefined;
    }
  },
};
