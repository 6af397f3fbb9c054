/** The garage behind the page. The only folder that knows Tauri; everything else calls these functions. */
import { commands, events, type CommandError, type ErrorCode, type FieldError, type VehicleDraft } from "./bindings";

export type {
  Decode,
  DecodedFields,
  Fact,
  OdometerUnit,
  PossibleCharacters,
  Vehicle,
  VehicleDraft,
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

  /** The message for one field, if it is concerned. */
  at(field: string): string | undefined {
    return this.details.find((detail) => detail.field === field)?.message;
  }
}

type Answer<T> = { status: "ok"; data: T } | { status: "error"; error: CommandError };

async function unwrap<T>(answer: Promise<Answer<T>>): Promise<T> {
  const settled = await answer;
  if (settled.status === "ok") return settled.data;
  throw new GarageError(settled.error);
}

export const garage = {
  decodeVin: (text: string, year: number | null) => unwrap(commands.decodeVin(text, year)),
  listVehicles: () => unwrap(commands.listVehicles()),
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
