// One JSON object per line on stderr. Never logs values of vehicles, tokens, or details of database errors.

/**
 * @param {string} event what happened
 * @param {Record<string, unknown>} [fields]
 */
export function logFailure(event, fields = {}) {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level: 'error', event, ...fields })}\n`);
}
