/**
 * What was typed into the Add form and is not saved yet. Kept in the page's own storage, so that it survives leaving the
 * screen, a reload, and a phone that ends the app while its owner looks for the papers.
 */
import type { OdometerUnit } from "$lib/platform";
import { formOf, isBlank, type VehicleForm } from "$lib/vehicle/form";

export interface Draft {
  vinText: string;
  chosenYear: number | null;
  hasVin: boolean;
  form: VehicleForm;
}

const KEY = "add";
const UNITS: readonly OdometerUnit[] = ["mi", "km", "h"];

function emptyDraft(): Draft {
  return { vinText: "", chosenYear: null, hasVin: true, form: formOf() };
}

/** The kept draft; what cannot be read of it is empty. */
export function keptDraft(): Draft {
  const draft = emptyDraft();
  let kept: Partial<Draft>;
  try {
    kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Draft>;
  } catch {
    return draft;
  }
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  const form = (kept.form ?? {}) as Partial<VehicleForm>;
  for (const field of Object.keys(draft.form) as (keyof VehicleForm)[]) {
    if (field === "odometerUnit") draft.form.odometerUnit = UNITS.find((unit) => unit === form.odometerUnit) ?? "mi";
    else draft.form[field] = text(form[field]);
  }
  draft.vinText = text(kept.vinText);
  draft.chosenYear = typeof kept.chosenYear === "number" ? kept.chosenYear : null;
  draft.hasVin = kept.hasVin !== false;
  return draft;
}

export function keepDraft(draft: Draft): void {
  try {
    if (draft.vinText === "" && isBlank(draft.form)) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, JSON.stringify(draft));
  } catch {
    // A full or forbidden storage: the form itself works all the same.
  }
}
