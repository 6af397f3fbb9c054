import type { HistoryEntry } from "$lib/platform";

/** What the odometer said, and when that was written down. */
export interface Reading {
  at: Date;
  value: number;
  /** Lower than one before it: a typing mistake, or another odometer. */
  isLower: boolean;
}

/** The readings that history tells, oldest first. What was taken back, and the taking back, are none. */
export function readingsOf(history: readonly HistoryEntry[]): Reading[] {
  const undone = new Set(history.flatMap(({ undoes }) => (undoes === null ? [] : [undoes])));
  const readings: Reading[] = [];
  let highest = -Infinity;
  for (const { id, at, undoes, fields } of [...history].sort((a, b) => a.at.localeCompare(b.at))) {
    if (undone.has(id) || undoes !== null) continue;
    const value = fields.find(({ field }) => field === "odometerReading")?.new;
    if (typeof value !== "number") continue;
    readings.push({ at: new Date(at), value, isLower: value < highest });
    highest = Math.max(highest, value);
  }
  return readings;
}

/** Where a chart draws things, and what its axes say. */
export interface Chart {
  points: { x: number; y: number; reading: Reading }[];
  lines: { y: number; value: number }[];
}

/** A chart of `width` by `height`, its lines at round numbers that hold all readings between them. */
export function chartOf(readings: readonly Reading[], width: number, height: number): Chart {
  const times = readings.map(({ at }) => at.getTime());
  const values = readings.map(({ value }) => value);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const step = roundStep((Math.max(...values) - Math.min(...values)) / 3);
  const low = Math.floor(Math.min(...values) / step) * step;
  const high = Math.max(Math.ceil(Math.max(...values) / step) * step, low + step);
  const xOf = (time: number) => (first === last ? width / 2 : ((time - first) / (last - first)) * width);
  const yOf = (value: number) => height - ((value - low) / (high - low)) * height;
  const lines = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, index) => low + index * step);
  return {
    points: readings.map((reading) => ({ x: xOf(reading.at.getTime()), y: yOf(reading.value), reading })),
    lines: lines.map((value) => ({ y: yOf(value), value })),
  };
}

/** The next of 1, 2, 5, 10, 20, … that is at least this. */
function roundStep(least: number): number {
  if (least <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power;
}
