import { onMount, tick } from "svelte";

/**
 * Opens a native <dialog> over the page for as long as its component is there. The browser keeps the focus inside and
 * closes it by Escape; where it closes, the focus returns to what had it.
 */
export function openWhileMounted(dialog: () => HTMLDialogElement | undefined): void {
  onMount(() => {
    const origin = document.activeElement;
    const originId = origin?.id;
    const shown = dialog();
    shown?.showModal();
    // A click on the dialog itself and not on what it holds is one beside it.
    shown?.addEventListener("click", ({ target }) => target === shown && shown.close());
    return () => {
      // A list that was drawn anew meanwhile has another element of the same id.
      void tick().then(() => {
        const target = origin?.isConnected ? origin : originId ? document.getElementById(originId) : null;
        if (target instanceof HTMLElement && document.activeElement === document.body) target.focus({ preventScroll: true });
      });
    };
  });
}
