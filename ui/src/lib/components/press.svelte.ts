/** What is pressed must not slide away: a press that begins on a button and ends beside it is none. */
import { untrack } from "svelte";
import { on } from "svelte/events";

/** After a finger is lifted, its click may come a moment later. */
const CLICK_WITHIN_MS = 100;
/** The end of a press is not always told: a menu of the system may take it. No click takes longer than this. */
const LONGEST_PRESS_MS = 2_000;

let isPressed = $state(false);
let waiting: (() => void)[] = [];

/** Heeds fingers and the main mouse button, for the others here, until the returned function is called. */
export function watchPresses(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    clearTimeout(timer);
    isPressed = false;
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  const endWithin = (milliseconds: number) => {
    clearTimeout(timer);
    timer = setTimeout(end, milliseconds);
  };
  const press = ({ button }: PointerEvent) => {
    if (button !== 0) return;
    isPressed = true;
    endWithin(LONGEST_PRESS_MS);
  };
  const release = () => {
    if (isPressed) endWithin(CLICK_WITHIN_MS);
  };
  const offs = [
    on(window, "pointerdown", press, { capture: true }),
    on(window, "pointerup", release, { capture: true }),
    on(window, "pointercancel", release, { capture: true }),
    on(window, "contextmenu", end, { capture: true }),
  ];
  return () => {
    end();
    for (const off of offs) off();
  };
}

/** A value that stays what it was while a press goes on. */
export function heldWhilePressed<T>(value: () => T): { readonly current: T } {
  let held = untrack(value);
  const current = $derived.by(() => {
    if (!isPressed) held = value();
    return held;
  });
  return {
    get current() {
      return current;
    },
  };
}

/** When no press goes on, or the one that does has ended. */
export async function pressEnded(): Promise<void> {
  if (isPressed) await new Promise<void>((resolve) => waiting.push(resolve));
}
