import type { OdometerUnit, VehicleDraft } from "$lib/platform";

/** The fields that the form shows, as text a person edits. */
export interface VehicleForm {
  nickname: string;
  licensePlate: string;
  year: string;
  make: string;
  model: string;
  color: string;
  trimLevel: string;
  engine: string;
  transmission: string;
  driveType: string;
  fuelType: string;
  bodyClass: string;
  vehicleType: string;
  notes: string;
  odometerReading: string;
  odometerUnit: OdometerUnit;
}

/** An empty form; the odometer counts in what the person prefers. */
export function formOf(odometerUnit: OdometerUnit = "mi"): VehicleForm {
  return {
    nickname: "",
    licensePlate: "",
    year: "",
    make: "",
    model: "",
    color: "",
    trimLevel: "",
    engine: "",
    transmission: "",
    driveType: "",
    fuelType: "",
    bodyClass: "",
    vehicleType: "",
    notes: "",
    odometerReading: "",
    odometerUnit,
  };
}

/** The form as a draft. Numbers that are none stay text: the core says which field must be one, and nothing is lost. */
export function draftOf(form: VehicleForm): VehicleDraft {
  return {
    nickname: form.nickname,
    licensePlate: form.licensePlate,
    year: wholeNumber(form.year) as number | null,
    make: form.make,
    model: form.model,
    color: form.color,
    trimLevel: form.trimLevel,
    engine: form.engine,
    transmission: form.transmission,
    driveType: form.driveType,
    fuelType: form.fuelType,
    bodyClass: form.bodyClass,
    vehicleType: form.vehicleType,
    notes: form.notes,
    odometerReading: wholeNumber(form.odometerReading) as number | null,
    odometerUnit: form.odometerUnit,
  };
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
