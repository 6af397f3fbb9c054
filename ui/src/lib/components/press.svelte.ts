/** What is pressed must not slide away: a press that begins on a button and ends beside it is none. */
import { onDestroy, untrack } from "svelte";
import { on } from "svelte/events";

/** After a finger is lifted, its click may come a moment later. */
const CLICK_WITHIN_MS = 100;

/** A value that, while a finger or a mouse button is down, stays what it was. */
export function heldWhilePressed<T>(value: () => T): { readonly current: T } {
  let isPressed = $state(false);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const press = () => {
    clearTimeout(timer);
    isPressed = true;
  };
  const release = () => {
    clearTimeout(timer);
    timer = setTimeout(() => (isPressed = false), CLICK_WITHIN_MS);
  };
  const offs = [
    on(window, "pointerdown", press, { capture: true }),
    on(window, "pointerup", release, { capture: true }),
    on(window, "pointercancel", release, { capture: true }),
  ];
  onDestroy(() => {
    clearTimeout(timer);
    for (const off of offs) off();
  });
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
