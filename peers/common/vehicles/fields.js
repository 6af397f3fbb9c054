// The fields of a vehicle and their rules, in the order in which errors are reported.

const line = (longest) => ({ kind: 'text', longest, allowsLineBreaks: false });

/**
 * @typedef {object} Field
 * @property {string} name in JSON
 * @property {string} column
 * @property {{kind: 'vin' | 'text' | 'year' | 'integer' | 'choice' | 'boolean', [limit: string]: any}} rule
 * @property {string | boolean | null} empty the value of the field when it is cleared
 */

/** @type {Field[]} */
export const FIELDS = [
  { name: 'vin', rule: { kind: 'vin' } },
  { name: 'licensePlate', rule: line(20) },
  { name: 'color', rule: line(50) },
  { name: 'nickname', rule: line(100) },
  { name: 'make', rule: line(100) },
  { name: 'model', rule: line(100) },
  { name: 'trimLevel', rule: line(100) },
  { name: 'engine', rule: line(100) },
  { name: 'transmission', rule: line(100) },
  { name: 'driveType', rule: line(100) },
  { name: 'fuelType', rule: line(100) },
  { name: 'bodyClass', rule: line(100) },
  { name: 'vehicleType', rule: line(100) },
  { name: 'notes', rule: { kind: 'text', longest: 10_000, allowsLineBreaks: true } },
  { name: 'year', rule: { kind: 'year' } },
  { name: 'odometerReading', rule: { kind: 'integer', least: 0, greatest: 9_999_999 } },
  { name: 'odometerUnit', rule: { kind: 'choice', choices: ['mi', 'km', 'h'] }, empty: 'mi' },
  { name: 'isActive', rule: { kind: 'boolean' }, empty: true },
].map((field) => ({ empty: null, column: field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), ...field }));

const FIRST_YEAR = 1886;
/** Models are sold before their year. */
const YEARS_AHEAD = 2;
const IDENTIFYING = ['vin', 'licensePlate', 'nickname', 'make'];

/** The limits of a number, where those of a year depend on the time. @param {Field['rule']} rule @param {Date} at */
export function limitsOf(rule, at) {
  if (rule.kind === 'year') return { least: FIRST_YEAR, greatest: at.getUTCFullYear() + YEARS_AHEAD };
  return { least: rule.least, greatest: rule.greatest };
}

/** @param {Record<string, unknown>} fields */
export const isIdentifiable = (fields) => IDENTIFYING.some((name) => fields[name] !== null);

/** The fields of a vehicle before anything is set. */
export const emptyFields = () => Object.fromEntries(FIELDS.map(({ name, empty }) => [name, empty]));

/** @param {Record<string, any>} vehicle */
export const fieldsOf = (vehicle) => Object.fromEntries(FIELDS.map(({ name }) => [name, vehicle[name]]));

/** The values of the columns, in the order of the declaration. @param {Record<string, any>} fields */
export const columnValues = (fields) => FIELDS.map(({ name }) => fields[name]);
