// An engine on one line: displacement in liters (cubic centimeters below one), layout and number of cylinders.

import { plainNumber, rounded } from './numbers.js';

const LAYOUTS = new Map([
  ['In-Line', 'I'],
  ['V-Shaped', 'V'],
  ['W Shaped', 'W'],
  ['Horizontally opposed (boxer)', 'H'],
  ['Rotary', 'Rotary'],
]);
/** Rounds to one liter. */
const LEAST_LITERS = 0.95;

/**
 * @param {import('./answer.js').Answer} answer
 * @returns {string | null}
 */
export function engineLabel(answer) {
  const layout = LAYOUTS.get(answer.EngineConfiguration ?? '');
  const parts = [displacement(answer), layoutAndCylinders(layout, cylinderCount(answer.EngineCylinders))];
  const label = parts.filter((part) => part !== null).join(' ');
  return label === '' ? null : label;
}

function displacement(answer) {
  const positive = (text) => plainNumber(text) || null;
  const liters = positive(answer.DisplacementL);
  if (liters !== null && liters >= LEAST_LITERS) return `${rounded(liters, 1)}L`;
  const cubicCentimeters = positive(answer.DisplacementCC) ?? (liters === null ? null : liters * 1000);
  return cubicCentimeters === null ? null : `${rounded(cubicCentimeters, 0)} cc`;
}

/** `6.0` is a number of cylinders too. */
function cylinderCount(text) {
  const whole = text?.split('.', 1)[0] ?? '';
  return /^\d{1,3}$/.test(whole) && Number(whole) > 0 && Number(whole) < 256 ? whole : null;
}

function layoutAndCylinders(layout, cylinders) {
  if (layout === 'Rotary') return layout;
  if (cylinders === null) return null;
  return layout === undefined ? `${cylinders}-cylinder` : `${layout}${cylinders}`;
}
