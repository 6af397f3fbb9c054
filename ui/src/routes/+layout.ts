// The page is an app: built once, no server renders it.
export const ssr = false;
export const prerender = false;
