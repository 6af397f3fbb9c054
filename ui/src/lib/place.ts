/** Where the person is and came from: the way back, and where the focus goes. */
import { afterNavigate, goto } from "$app/navigation";
import { resolve } from "$app/paths";

/** Frames to wait for what is still being asked for. */
const PATIENCE_FRAMES = 30;

let cameFromGarage = false;

/** Follows every change of screen; to be called once, by the layout. */
export function followPlace(): void {
  afterNavigate(({ from, to, type }) => {
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

/** To what the screen is about, unless it has taken the focus itself. */
async function bringFocus(selector: string): Promise<void> {
  for (let frame = 0; frame < PATIENCE_FRAMES; frame++) {
    await new Promise(requestAnimationFrame);
    if (document.activeElement !== document.body && document.activeElement !== null) return;
    const element = document.querySelector<HTMLElement>(selector);
    if (!element) continue;
    if (element.tabIndex < 0) element.tabIndex = -1;
    element.focus({ preventScroll: true });
    return;
  }
}
