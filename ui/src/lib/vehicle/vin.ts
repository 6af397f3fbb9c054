/** How a VIN is shown while it is typed. What it means, and whether it is one, the core says. */

export const FULL_LENGTH = 17;
/** Characters from which a VIN says something. */
export const SHORTEST_QUERY = 3;

/** The parts of a VIN (ISO 3779), by position from 1. */
export const VIN_GROUPS = [
  { name: "wmi", from: 1, to: 3 },
  { name: "vds", from: 4, to: 8 },
  { name: "check", from: 9, to: 9 },
  { name: "year", from: 10, to: 10 },
  { name: "plant", from: 11, to: 11 },
  { name: "serial", from: 12, to: 17 },
] as const;

/** The characters of what was typed, as a VIN writes them; text too long to be one stays as it is. */
export function cleaned(text: string): string {
  return text.replace(/[\s\-\u2010-\u2015\u2212]/g, "").replace(/[a-z]/g, (letter) => letter.toUpperCase());
}

/** Whether what was typed can stand in the cells of a VIN. */
export function fitsCells(text: string): boolean {
  return cleaned(text).length <= FULL_LENGTH;
}
