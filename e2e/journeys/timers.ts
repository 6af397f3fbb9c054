/**
 * The page's timers under the journey's control: a long timer fires when the journey passes its time, never by the clock.
 *
 * Playwright's own clock stops all timers or none. Stopped, it also stops animation frames and the timers of 0 ms by
 * which queries report their results; the app would not run at all.
 */
import type { BrowserContext, Page } from "@playwright/test";

/** Shorter timers run by the clock: the page needs them to get from one state to the next. */
const SHORTEST_HELD_MS = 1_000;

interface Timers {
  /** Fires the held timers of at most `ms` milliseconds, the shortest first. */
  pass: (ms: number) => void;
  /** Resolves once no request and no short timer is under way, and the result has been drawn. */
  settled: () => Promise<void>;
}

declare global {
  interface Window {
    __timers: Timers;
  }
}

/** Holds long timers in all pages of the context that are opened after this. */
export async function holdTimers(context: BrowserContext): Promise<void> {
  await context.addInitScript((shortestHeld) => {
    const { setTimeout, clearTimeout, fetch } = window;
    const held = new Map<number, { ms: number; run: () => void }>();
    const short = new Set<number>();
    let requests = 0;
    // Far above the browser's own ids, which count from 1.
    let nextId = 1_000_000_000;

    const hold = (handler: TimerHandler, ms = 0, ...rest: unknown[]): number => {
      const run = () => (typeof handler === "function" ? handler(...rest) : undefined);
      if (ms >= shortestHeld) {
        held.set(++nextId, { ms, run });
        return nextId;
      }
      const id = setTimeout(() => {
        short.delete(id);
        run();
      }, ms);
      short.add(id);
      return id;
    };
    const clear = (id?: number): void => {
      if (id === undefined) return;
      held.delete(id);
      short.delete(id);
      clearTimeout(id);
    };
    const count: typeof fetch = async (...request) => {
      requests++;
      try {
        return await fetch(...request);
      } finally {
        requests--;
      }
    };
    const frame = () => new Promise(requestAnimationFrame);
    const settled = async () => {
      // A response or a timer may start another; whatever it starts, it starts before the second frame.
      for (let quietFrames = 0; quietFrames < 2; ) {
        await frame();
        quietFrames = requests > 0 || short.size > 0 ? 0 : quietFrames + 1;
      }
    };
    const pass = (ms: number) => {
      const due = [...held].filter(([, timer]) => timer.ms <= ms).sort(([, a], [, b]) => a.ms - b.ms);
      for (const [id, { run }] of due) if (held.delete(id)) run();
    };
    Object.assign(window, { setTimeout: hold, clearTimeout: clear, fetch: count, __timers: { pass, settled } });
  }, SHORTEST_HELD_MS);
}

export const passTime = (page: Page, ms: number) => page.evaluate((ms) => window.__timers.pass(ms), ms);
export const settled = (page: Page) => page.evaluate(() => window.__timers.settled());
