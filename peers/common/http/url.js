// Paths and queries.

import { badRequest } from './errors.js';

/**
 * Frameworks answer a path that cannot be decoded before any handler runs. The contract treats it as an id that no
 * vehicle has, so what cannot be decoded is replaced.
 * @param {string} url the path and query of a request
 */
export function decodableUrl(url) {
  if (!url.includes('%')) return url;
  const queryAt = url.indexOf('?');
  const [path, query] = queryAt < 0 ? [url, ''] : [url.slice(0, queryAt), url.slice(queryAt)];
  try {
    decodeURIComponent(path);
    return url;
  } catch {
    return path.replaceAll('%', '-') + query;
  }
}

/**
 * A parameter of the query; a repeated one is an error.
 * @param {string} url
 * @param {string} name
 * @returns {string | null}
 */
export function queryParameter(url, name) {
  const queryAt = url.indexOf('?');
  if (queryAt < 0) return null;
  const values = new URLSearchParams(url.slice(queryAt)).getAll(name);
  if (values.length > 1) throw badRequest('Query string is not valid');
  return values[0] ?? null;
}
