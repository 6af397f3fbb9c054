// Decodes VINs with vPIC's API and the cache of its answers.

import { decoderUnavailable, fieldErrors } from '../http/errors.js';
import { isFullVin, parseQuery } from '../vin/query.js';
import { knowsTheVehicle, modelYearOf } from './answer.js';
import { toDecode, yearsOf } from './decode.js';

const CLEAN = 0;
const YEAR_CONTRADICTS = {
  code: 12,
  message: 'The model year was ignored, because the VIN does not encode it',
};

/**
 * @param {object} dependencies
 * @param {ReturnType<typeof import('./client.js').createVpicClient>} dependencies.askVpic
 * @param {ReturnType<typeof import('./vin-cache.js').createVinCache>} dependencies.vinCache
 */
export function createDecoder({ askVpic, vinCache }) {
  /** A new answer, or the one that is remembered; an old one only if vPIC has none. */
  async function answerAbout(query) {
    const known = isFullVin(query) ? await vinCache.find(query) : null;
    if (known?.isFresh) return { answer: known.answer, source: 'cache' };
    const answer = await askVpic(query);
    if (answer === null) return known === null ? null : { answer: known.answer, source: 'cache' };
    if (isFullVin(query) && knowsTheVehicle(answer)) await vinCache.save(query, answer);
    return { answer, source: 'vpic' };
  }

  /**
   * @param {string} input
   * @param {{modelYear?: number | null, isFull?: boolean, at?: Date}} [options] the year selects one of two that the
   *   VIN can encode, and is ignored, with an error, if it does not encode it
   */
  return async (input, { modelYear = null, isFull = false, at = new Date() } = {}) => {
    const parsed = parseQuery(input);
    if ('message' in parsed) throw fieldErrors([{ field: 'vin', message: parsed.message }]);
    const { query } = parsed;
    const currentYear = at.getUTCFullYear();
    let answered = await answerAbout(query);
    let contradicts = false;
    if (answered !== null && modelYear !== null && modelYear !== modelYearOf(answered.answer)) {
      contradicts = !yearsOf(answered.answer, query, currentYear).includes(modelYear);
      // The cache has answers without a year only.
      if (!contradicts) answered = await askWithYear(query, modelYear);
    }
    if (answered === null) throw decoderUnavailable();
    const decode = toDecode(answered, { input, query, isFull, currentYear });
    if (!contradicts) return decode;
    return { ...decode, errors: [...decode.errors.filter(({ code }) => code !== CLEAN), YEAR_CONTRADICTS] };
  };

  async function askWithYear(query, modelYear) {
    const answer = await askVpic(query, modelYear);
    return answer === null ? null : { answer, source: 'vpic' };
  }
}
