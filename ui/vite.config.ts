import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig, type Plugin } from "vitest/config";

/**
 * Moves SvelteKit's start-up script out of the page into a file. Tauri would add its digest to the content security
 * policy, but a policy that needs no exception holds everywhere the page is served.
 */
function externalStartScript(): Plugin {
  return {
    name: "external-start-script",
    apply: "build",
    closeBundle: {
      sequential: true,
      order: "post",
      handler() {
        if (!existsSync("dist/index.html")) return;
        const html = readFileSync("dist/index.html", "utf8");
        const moved = html.replace(/<script>([\s\S]*?)<\/script>/, (_tag, script: string) => {
          const name = `start.${createHash("sha256").update(script).digest("hex").slice(0, 8)}.js`;
          // The script finds its root element by itself once it no longer stands inside it.
          writeFileSync(join("dist", name), script.replace("document.currentScript.parentElement", 'document.getElementById("app")'));
          return `<script src="/${name}" defer></script>`;
        });
        writeFileSync("dist/index.html", moved);
      },
    },
  };
}

export default defineConfig({
  plugins: [sveltekit(), externalStartScript()],
  server: { host: "127.0.0.1" },
  test: { include: ["src/**/*.test.ts"] },
});
