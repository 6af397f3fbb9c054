// Numbers in vPIC's text.

/** A plain decimal number; not `1e3` or `inf`, which are names in vPIC's data. @returns {number | null} */
export function plainNumber(text) {
  return text !== undefined && /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : null;
}

/**
 * Rounds to decimal places, and exact halves to even as the other backends do; `toFixed` rounds them up.
 * @param {number} value
 * @param {number} places
 */
export function rounded(value, places) {
  const scale = 10 ** places;
  const halves = value * 2 ** (places + 1);
  const isTie = Number.isInteger(halves) && halves % 2 === 1;
  if (!isTie) return value.toFixed(places);
  const below = Math.floor(value * scale);
  return ((below % 2 === 0 ? below : below + 1) / scale).toFixed(places);
}
