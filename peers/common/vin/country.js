// The country of a manufacturer, from a VIN's first two characters: the assignments of ISO 3780, which SAE International
// maintains. Ranges that differ between editions are left out.

/** The order of characters in ISO 3780. */
const ORDER = 'ABCDEFGHJKLMNPRSTUVWXYZ1234567890';

/** First character, first and last second character, country. */
const RANGES = [
  ['A', 'A', 'H', 'South Africa'],
  ['D', 'A', 'E', 'Egypt'],
  ['D', 'F', 'K', 'Morocco'],
  ['F', 'F', 'K', 'Nigeria'],
  ['H', 'A', '0', 'China'],
  ['J', 'A', '0', 'Japan'],
  ['K', 'F', 'K', 'Israel'],
  ['K', 'L', 'R', 'South Korea'],
  ['L', 'A', '0', 'China'],
  ['M', 'A', 'E', 'India'],
  ['M', 'F', 'K', 'Indonesia'],
  ['M', 'L', 'R', 'Thailand'],
  ['N', 'A', 'E', 'Iran'],
  ['N', 'L', 'R', 'Turkey'],
  ['P', 'A', 'C', 'Philippines'],
  ['P', 'L', 'R', 'Malaysia'],
  ['R', 'A', 'B', 'United Arab Emirates'],
  ['R', 'F', 'K', 'Taiwan'],
  ['R', 'L', 'N', 'Vietnam'],
  ['R', 'S', 'T', 'Saudi Arabia'],
  ['S', 'A', 'M', 'United Kingdom'],
  ['S', 'N', 'T', 'Germany'],
  ['S', 'U', 'Z', 'Poland'],
  ['T', 'A', 'H', 'Switzerland'],
  ['T', 'J', 'P', 'Czech Republic'],
  ['T', 'R', 'V', 'Hungary'],
  ['T', 'W', '1', 'Portugal'],
  ['U', 'H', 'M', 'Denmark'],
  ['U', 'N', 'R', 'Ireland'],
  ['U', 'U', 'X', 'Romania'],
  ['U', '5', '7', 'Slovakia'],
  ['V', 'A', 'E', 'Austria'],
  ['V', 'F', 'R', 'France'],
  ['V', 'S', 'W', 'Spain'],
  ['V', '3', '5', 'Croatia'],
  ['V', '6', '8', 'Estonia'],
  ['W', 'A', '0', 'Germany'],
  ['X', 'A', 'C', 'Bulgaria'],
  ['X', 'F', 'H', 'Greece'],
  ['X', 'L', 'R', 'Netherlands'],
  ['X', 'S', 'W', 'Russia'],
  ['X', '3', '0', 'Russia'],
  ['Y', 'A', 'E', 'Belgium'],
  ['Y', 'F', 'K', 'Finland'],
  ['Y', 'S', 'W', 'Sweden'],
  ['Y', '3', '5', 'Belarus'],
  ['Y', '6', '8', 'Ukraine'],
  ['Z', 'A', 'R', 'Italy'],
  ['Z', '3', '5', 'Lithuania'],
  ['1', 'A', '0', 'United States'],
  ['2', 'A', '0', 'Canada'],
  ['3', 'A', 'W', 'Mexico'],
  ['4', 'A', '0', 'United States'],
  ['5', 'A', '0', 'United States'],
  ['6', 'A', 'W', 'Australia'],
  ['7', 'A', 'E', 'New Zealand'],
  ['7', 'F', '0', 'United States'],
  ['8', 'A', 'E', 'Argentina'],
  ['8', 'F', 'G', 'Chile'],
  ['8', 'L', 'N', 'Ecuador'],
  ['8', 'S', 'T', 'Peru'],
  ['8', 'X', 'Z', 'Venezuela'],
  ['9', 'A', 'E', 'Brazil'],
  ['9', '3', '9', 'Brazil'],
];

/**
 * Null if the characters are not assigned.
 * @param {string} vin
 * @returns {string | null}
 */
export function countryOf(vin) {
  const second = vin.length < 2 ? -1 : ORDER.indexOf(vin[1]);
  if (second < 0) return null;
  const range = RANGES.find(
    ([first, from, to]) => first === vin[0] && ORDER.indexOf(from) <= second && second <= ORDER.indexOf(to),
  );
  return range?.[3] ?? null;
}
