/** The garage behind the page. The only folder that knows Tauri; everything else calls these functions. */
import {
  commands,
  events,
  type CommandError,
  type ErrorCode,
  type Field,
  type FieldError,
  type ExportFormat,
  type Preferences,
  type VehicleDraft,
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
  Field,
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
  Vehicle,
  VehicleDraft,
  VehicleQuery,
} from "./bindings";

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
  acceptOffers: (id: string, fields: Field[]) => unwrap(commands.acceptOffers(id, fields)),
  addVehicle: (draft: VehicleDraft) => unwrap(commands.addVehicle(draft)),
  editVehicle: (id: string, draft: VehicleDraft) => unwrap(commands.editVehicle(id, draft)),
  removeVehicle: (id: string) => unwrap(commands.removeVehicle(id)),
  restoreVehicle: (id: string) => unwrap(commands.restoreVehicle(id)),
};

/** Calls `listen` with the tags of what changed, until the returned function is called. */
export function onGarageChanged(listen: (tags: string[]) => void): () => void {
  const stop = events.garageChanged.listen((event) => listen(event.payload.tags));
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
