import type { GarageError } from "$lib/platform";
import { strings } from "$lib/strings";

type Refusal = Pick<GarageError, "message" | "details">;

/** The message for one field, if it is concerned. */
export function messageAt(refusal: Refusal | undefined, field: string): string | undefined {
  const detail = refusal?.details.find((it) => it.field === field);
  return detail && inWords(field, detail.message);
}

/** The messages that no shown field can carry, so that no refusal passes unseen. */
export function messagesElsewhere(refusal: Refusal | undefined, shown: readonly string[]): string[] {
  if (!refusal) return [];
  if (refusal.details.length === 0) return [refusal.message];
  return refusal.details.filter(({ field }) => !shown.includes(field)).map(({ field, message }) => inWords(field, message));
}

/** The API's messages begin with the field's wire name; a person knows the field by its label. */
export function inWords(field: string, message: string): string {
  const label = Object.entries<string>(strings.fields).find(([name]) => name === field)?.[1];
  const spoken = label && message.startsWith(`${field} `) ? label + message.slice(field.length) : message;
  return spoken.replace(/must be an integer$/, "must be a whole number");
}
