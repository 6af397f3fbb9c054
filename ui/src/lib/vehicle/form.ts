import type { Field, OdometerUnit, VehicleDraft } from "$lib/platform";

/** The fields that a person types into a form, in their order there. */
export const FORM_FIELDS = [
  "nickname",
  "licensePlate",
  "year",
  "make",
  "model",
  "trimLevel",
  "color",
  "engine",
  "transmission",
  "driveType",
  "fuelType",
  "bodyClass",
  "vehicleType",
  "odometerReading",
] as const satisfies readonly Field[];
/** Those of them that are whole numbers. */
export const NUMBER_FIELDS = ["year", "odometerReading"] as const satisfies readonly Field[];
/** Fields with a control of their own. */
type OwnControl = "vin" | "notes" | "odometerUnit" | "isActive";

export type FormField = (typeof FORM_FIELDS)[number];
/** A field that no form shows is a type error here. */
export type Shown = Field extends FormField | OwnControl ? true : never;
export const EVERY_FIELD_IS_SHOWN: Shown = true;

/** The fields of the form, as text a person edits. */
export type VehicleForm = Record<FormField | "notes", string> & { odometerUnit: OdometerUnit };

export const isNumber = (field: string): boolean => NUMBER_FIELDS.some((number) => number === field);

/** An empty form; the odometer counts in what the person prefers. */
export function formOf(odometerUnit: OdometerUnit = "mi"): VehicleForm {
  const empty = Object.fromEntries([...FORM_FIELDS, "notes"].map((field) => [field, ""]));
  return { ...(empty as Record<FormField | "notes", string>), odometerUnit };
}

/** The form as a draft. Numbers that are none stay text: the core says which field must be one, and nothing is lost. */
export function draftOf(form: VehicleForm): VehicleDraft {
  const typed = FORM_FIELDS.map((field) => [field, isNumber(field) ? wholeNumber(form[field]) : form[field]]);
  return { ...(Object.fromEntries(typed) as VehicleDraft), notes: form.notes, odometerUnit: form.odometerUnit };
}

/** Whether nothing is filled in; a unit alone says nothing about a vehicle. */
export function isBlank(form: VehicleForm): boolean {
  return Object.entries(form).every(([field, text]) => field === "odometerUnit" || text.trim() === "");
}

/**
 * A number as people write it, thousands grouped by comma, point, apostrophe or space; null for nothing; else the text.
 * Two kinds of separator mean that one of them is the decimal one, so that is no whole number.
 */
export function wholeNumber(text: string): number | string | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  if (/^-?\d+$/.test(trimmed)) return Number(trimmed);
  if (/^-?\d{1,3}([.,'\u2019\s])\d{3}(\1\d{3})*$/.test(trimmed)) return Number(trimmed.replace(/[^\d-]/g, ""));
  return trimmed;
}
