/** The garage behind the page. The only folder that knows Tauri; everything else calls these functions. */
import {
  commands,
  events,
  type CommandError,
  type ErrorCode,
  type FieldError,
  type ExportFormat,
  type Preferences,
  type Start,
  type VehicleDraft,
  type VehicleFields,
  type VehicleQuery,
} from "./bindings";
import { open, save } from "@tauri-apps/plugin-dialog";
import { strings } from "$lib/strings";

export type {
  Decode,
  DecodedFields,
  Fact,
  OdometerUnit,
  About,
  BackupFile,
  ErrorCode,
  ExportFormat,
  FieldValue,
  HistoryEntry,
  Offer,
  Origin,
  Filter,
  PageEnd,
  PossibleCharacters,
  Preferences,
  Repair,
  Sort,
  Start,
  Vehicle,
  VehicleDraft,
  VehicleQuery,
  VehicleSummary,
} from "./bindings";

/** A vehicle's field that this version knows; history and origins may name others. */
export type Field = keyof VehicleFields;

/** A refusal, with a sentence for the person and the fields concerned. */
export class GarageError extends Error {
  readonly code: ErrorCode;
  readonly details: FieldError[];

  constructor({ code, message, details }: CommandError) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

type Answer<T> = { status: "ok"; data: T } | { status: "error"; error: CommandError };

async function unwrap<T>(answer: Promise<Answer<T>>): Promise<T> {
  const settled = await answer.catch((error: unknown) => ({ status: "error" as const, error }));
  if (settled.status === "ok") return settled.data;
  if (isCommandError(settled.error)) throw new GarageError(settled.error);
  // No refusal of the garage but a broken way to it: the cause is for the console, not for a person.
  console.error(settled.error);
  throw new GarageError({ code: "internal", message: strings.failed, details: [] });
}

function isCommandError(error: unknown): error is CommandError {
  return typeof error === "object" && error !== null && "code" in error && "details" in error;
}

export const garage = {
  decodeVin: (text: string, year: number | null) => unwrap(commands.decodeVin(text, year)),
  listVehicles: (query: VehicleQuery) => unwrap(commands.listVehicles(query)),
  countVehicles: (query: VehicleQuery) => unwrap(commands.countVehicles(query)),
  filterChoices: () => unwrap(commands.filterChoices()),
  preferences: () => commands.preferences(),
  setPreferences: (preferences: Preferences) => unwrap(commands.setPreferences(preferences)),
  about: () => unwrap(commands.about()),
  listBackups: () => unwrap(commands.listBackups()),
  exportGarage: (file: string, format: ExportFormat) => unwrap(commands.exportGarage(file, format)),
  backUpGarage: (file: string) => unwrap(commands.backUpGarage(file)),
  stopTask: () => commands.stopTask(),
  syncNow: () => commands.syncNow(),
  listModelYears: () => unwrap(commands.listModelYears()),
  listMakes: (year: number | null) => unwrap(commands.listMakes(year)),
  listModels: (makeId: number, year: number | null) => unwrap(commands.listModels(makeId, year)),
  /** Opens the garage; tells what a repair on the way has done, once. */
  takeRepair: () => unwrap(commands.takeRepair()),
  repairGarage: () => unwrap(commands.repairGarage()),
  /** Gives the file that holds what was there before. */
  restoreGarage: (file: string) => unwrap(commands.restoreGarage(file)),
  /** One vehicle, also where it has been removed. */
  getVehicle: (id: string) => unwrap(commands.getVehicle(id)),
  history: (id: string) => unwrap(commands.vehicleHistory(id)),
  undo: (change: string) => unwrap(commands.undoChange(change)),
  offers: (id: string) => unwrap(commands.decodeOffers(id)),
  acceptOffers: (id: string, fields: string[]) => unwrap(commands.acceptOffers(id, fields)),
  addVehicle: (draft: VehicleDraft) => unwrap(commands.addVehicle(draft)),
  editVehicle: (id: string, draft: VehicleDraft) => unwrap(commands.editVehicle(id, draft)),
  removeVehicle: (id: string) => unwrap(commands.removeVehicle(id)),
  restoreVehicle: (id: string) => unwrap(commands.restoreVehicle(id)),
};

/** What the app has put into the page for the first screen; once, and not in every browser. */
export function takeStart(): Start | undefined {
  const element = document.getElementById("start");
  element?.remove();
  return element?.textContent ? (JSON.parse(element.textContent) as Start) : undefined;
}

/**
 * Calls `listen` with the tags of what changed, until the returned function is called. With the number of changes that were
 * known before, those that happened until the app could tell of them are told as well, of any vehicle.
 */
export function onGarageChanged(listen: (tags: string[]) => void, knownChanges?: number): () => void {
  const stop = events.garageChanged.listen((event) => listen(event.payload.tags));
  if (knownChanges !== undefined) {
    void stop
      .then(() => commands.changeCount())
      .then((changes) => {
        if (changes !== knownChanges) listen(["vehicles"]);
      });
  }
  return () => void stop.then((unlisten) => unlisten());
}

/** Calls `listen` with how far the long task is that is under way, in percent, until the returned function is called. */
export function onTaskProgressed(listen: (percent: number) => void): () => void {
  const stop = events.taskProgressed.listen((event) => listen(event.payload.percent));
  return () => void stop.then((unlisten) => unlisten());
}

/** Where the person wants a file to be written; null where they think better of it. */
export const chooseFileToSave = (name: string, kind: string, ending: string): Promise<string | null> =>
  save({ defaultPath: name, filters: [{ name: kind, extensions: [ending] }] });

/** Which file the person chooses; null where they think better of it. */
export const chooseFileToOpen = (kind: string, ending: string): Promise<string | null> =>
  open({ filters: [{ name: kind, extensions: [ending] }] });
