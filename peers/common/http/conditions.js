// Entity tags, and the conditions If-Match and If-None-Match (RFC 9110, 13.1).

/** @param {number} version */
export const versionTag = (version) => `"${version}"`;

/** The tag of a list differs from those of vehicles. @param {number} version */
export const listTag = (version) => `"all-${version}"`;

/**
 * The versions that a change may be based on, by strong comparison; null if the request has no condition.
 * @param {string | undefined} header If-Match
 * @returns {number[] | null}
 */
export function expectedVersions(header) {
  const tags = split(header);
  if (tags.length === 0 || tags.includes('*')) return null;
  return tags.flatMap((tag) => (/^"\+?\d{1,19}"$/.test(tag) ? [Number(tag.slice(1, -1))] : []));
}

/**
 * Whether the client has this tag, by weak comparison.
 * @param {string | undefined} header If-None-Match
 * @param {string} tag
 */
export function isNotModified(header, tag) {
  return split(header).some((known) => known === '*' || known.replace(/^W\//, '') === tag);
}

/** @param {string | undefined} header */
function split(header) {
  if (header === undefined) return [];
  return header.split(',').map((tag) => tag.trim()).filter((tag) => tag !== '');
}
