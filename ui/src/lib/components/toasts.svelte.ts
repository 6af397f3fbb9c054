/** Short messages at the edge of the window, each with at most one thing to do about it. */
export interface Toast {
  id: number;
  message: string;
  action?: { label: string; run: () => void };
}

/** How long a toast stays, in milliseconds; one with an action stays longer, so that a slow hand reaches it. */
const SHOWN_MS = 5_000;
const SHOWN_WITH_ACTION_MS = 12_000;

export const toasts = $state<Toast[]>([]);
let nextId = 1;
let timers: ReturnType<typeof setTimeout>[] = [];

export function showToast(message: string, action?: Toast["action"]): void {
  const id = nextId++;
  // News replaces older news; what can still be undone stays.
  const kept = toasts.filter((toast) => toast.action).slice(-2);
  toasts.splice(0, toasts.length, ...kept);
  const toast = { id, message, ...(action ? { action } : {}) };
  toasts.push(toast);
  startTimer(toast);
}

/** Does what the newest message with something to do offers; says whether there was one. */
export function runNewestAction(): boolean {
  const newest = toasts.findLast((toast) => toast.action);
  if (!newest?.action) return false;
  dismissToast(newest.id);
  newest.action.run();
  return true;
}

/** While somebody has moved the focus to a toast, none goes away. A pointer may only rest there, so it holds nothing. */
export function holdToasts(): void {
  timers.forEach(clearTimeout);
  timers = [];
}

export function releaseToasts(): void {
  holdToasts();
  toasts.forEach(startTimer);
}

export function dismissToast(id: number): void {
  const index = toasts.findIndex((toast) => toast.id === id);
  if (index >= 0) toasts.splice(index, 1);
}

function startTimer({ id, action }: Toast): void {
  timers.push(setTimeout(() => dismissToast(id), action ? SHOWN_WITH_ACTION_MS : SHOWN_MS));
}
