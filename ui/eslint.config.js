import js from "@eslint/js";
import svelte from "eslint-plugin-svelte";
import ts from "typescript-eslint";
import svelteConfig from "./svelte.config.js";

/** What a folder may not import: the page's layers, top down: routes, features, queries, platform. */
const layer = (files, patterns) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns }] },
});
const tauri = { group: ["@tauri-apps/*"], message: "Only src/lib/platform knows Tauri." };
const bindings = { group: ["**/platform/bindings"], message: "Call the functions of $lib/platform." };
const features = { group: ["$lib/features/*"], message: "A feature stands on components and queries, not on features." };
const queries = { group: ["$lib/queries*"], message: "Components show what they are given; features ask." };

export default ts.config(
  { ignores: ["dist/", ".svelte-kit/", "node_modules/", "src/lib/platform/bindings.ts"] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
    // The compiler and TypeScript know the browser's names.
    rules: { "no-undef": "off" },
  },
  { files: ["**/*.ts"], rules: { "no-undef": "off" } },
  { files: ["*.config.*"], languageOptions: { globals: { process: "readonly" } } },
  layer(["src/routes/**"], [tauri, bindings]),
  layer(["src/lib/features/**"], [tauri, bindings, features]),
  layer(["src/lib/components/**", "src/lib/vehicle/**"], [tauri, bindings, features, queries]),
  layer(["src/lib/queries/**"], [tauri, bindings, features]),
);
