/** Values, times and origins as a person reads them. */
import type { FieldValue, Origin } from "$lib/platform";
import { strings } from "$lib/strings";

const numbers = new Intl.NumberFormat();
const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const days = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const hours = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

export const formatNumber = (value: number) => numbers.format(value);
export const formatTime = (time: Date) => times.format(time);
export const formatDay = (time: Date) => days.format(time);
export const formatHour = (time: Date) => hours.format(time);

const STEPS: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How long ago a time is, in the largest unit of which at least one has passed. */
export function formatAgo(time: Date, now: Date): string {
  const seconds = Math.round((now.getTime() - time.getTime()) / 1000);
  const step = STEPS.find(([, length]) => Math.abs(seconds) >= length);
  if (!step) return strings.vehicle.justNow;
  return relative.format(-Math.trunc(seconds / step[1]), step[0]);
}

/** A field's name as a person reads it; one that this version does not know is shown as it is. */
export function fieldName(field: string): string {
  return field in strings.fields ? strings.fields[field as keyof typeof strings.fields] : field;
}

/** A field's value; years are no quantities and get no separators. */
export function formatValue(field: string, value: FieldValue | null): string {
  if (value === null || value === "") return strings.vehicle.empty;
  if (field === "odometerUnit" && typeof value === "string" && value in strings.units) {
    return strings.units[value as keyof typeof strings.units];
  }
  if (typeof value === "boolean") return value ? strings.vehicle.yes : strings.vehicle.no;
  return typeof value === "number" && field !== "year" ? formatNumber(value) : String(value);
}

/** Who set a value. */
export function formatOrigin(origin: Origin | undefined): string {
  switch (origin?.by) {
    case "decoded":
      return origin.month === null ? strings.vehicle.fromVpic : strings.vehicle.fromSnapshot(origin.month);
    case "imported":
      return strings.vehicle.imported;
    case "entry":
      return strings.vehicle.fromEntry(origin.date);
    case "typed":
    case undefined:
      return strings.vehicle.typed;
    default:
      // Another version wrote it.
      return String((origin as { by: unknown }).by);
  }
}
