// The webview's side of Tauri for a plain browser: calls go to the host over HTTP, events come back as a stream.
(() => {
  const callbacks = new Map();
  const listeners = new Map();
  let nextId = 1;

  const transformCallback = (callback, once = false) => {
    const id = nextId++;
    callbacks.set(id, (value) => {
      if (once) callbacks.delete(id);
      callback?.(value);
    });
    return id;
  };

  const listen = ({ event, handler }) => {
    const id = nextId++;
    listeners.set(id, { event, handler });
    return id;
  };

  const invoke = async (command, args = {}) => {
    // The mock window has no page to run an event's handler in, so listening is this script's own business.
    if (command === "plugin:event|listen") return listen(args);
    if (command === "plugin:event|unlisten") return void listeners.delete(args.eventId);
    // Nobody is there to choose a file; a journey says beforehand what the person chooses.
    if (command === "plugin:dialog|save" || command === "plugin:dialog|open") return window.__chosenFile ?? null;
    const response = await fetch(`/host/ipc/${encodeURIComponent(command)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(args),
    });
    if (response.ok) return response.json();
    throw response.status === 422 ? await response.json() : new Error(await response.text());
  };

  new EventSource("/host/events").onmessage = ({ data }) => {
    const { event, payload } = JSON.parse(data);
    for (const [id, listener] of listeners) {
      if (listener.event === event) callbacks.get(listener.handler)?.({ event, id, payload });
    }
  };

  window.__TAURI_INTERNALS__ = {
    metadata: { currentWindow: { label: "main" }, currentWebview: { windowLabel: "main", label: "main" } },
    invoke,
    transformCallback,
    unregisterCallback: (id) => callbacks.delete(id),
    convertFileSrc: (path) => path,
  };
  window.__TAURI_EVENT_PLUGIN_INTERNALS__ = { unregisterListener: (_event, id) => listeners.delete(id) };
})();
