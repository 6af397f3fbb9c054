/** Where the person is and came from: the way back, and where the focus goes. */
import { afterNavigate, goto } from "$app/navigation";
import { resolve } from "$app/paths";

let cameFromGarage = false;
let stopBringingFocus = () => {};

/** Follows every change of screen; to be called once, by the layout. */
export function followPlace(): void {
  afterNavigate(({ from, to, type }) => {
    stopBringingFocus();
    cameFromGarage = type !== "popstate" && from?.route.id === "/";
    // The first screen has been opened from outside: the focus is the person's.
    if (!from || from.route.id === to?.route.id) return;
    const left = to?.route.id === "/" ? from.params?.["id"] : undefined;
    void bringFocus(left === undefined ? "main h1" : `[data-id="${CSS.escape(left)}"] a`);
  });
}

/** Back to the garage: where it was left, if it is where the person came from, or else to its beginning. */
export async function goToGarage(): Promise<void> {
  if (cameFromGarage) window.history.back();
  else await goto(resolve("/"));
}

/**
 * To what the screen is about, unless the screen has taken the focus itself. While a slow garage has not answered, this waits,
 * but not longer than until the person does something.
 */
async function bringFocus(selector: string): Promise<void> {
  let isWaiting = true;
  // In the frame after a change: a link of the garage that takes the focus during the list's update loses it again.
  const observer = new MutationObserver(() => requestAnimationFrame(look));
  const acts = ["keydown", "pointerdown", "wheel"] as const;
  const stop = () => {
    isWaiting = false;
    observer.disconnect();
    for (const act of acts) window.removeEventListener(act, stop);
  };
  function look() {
    if (!isWaiting) return;
    if (document.activeElement !== document.body && document.activeElement !== null) return stop();
    const element = document.querySelector<HTMLElement>(selector);
    if (!element) return;
    stop();
    if (element.tabIndex < 0) element.tabIndex = -1;
    element.focus({ preventScroll: true });
  }

  stopBringingFocus = stop;
  for (const act of acts) window.addEventListener(act, stop, { passive: true });
  // A screen takes the focus when it is mounted, which may be after this.
  await new Promise(requestAnimationFrame);
  if (isWaiting) observer.observe(document.body, { childList: true, subtree: true });
  look();
}
