import type { Decode, Vehicle } from "$lib/platform";
import { strings } from "$lib/strings";

/** Year, make and model, as far as they are known. */
export function description(vehicle: Pick<Vehicle, "year" | "make" | "model">): string {
  // Makers of trailers often name the model after themselves.
  const model = vehicle.model?.toLowerCase() === vehicle.make?.toLowerCase() ? null : vehicle.model;
  return [vehicle.year, vehicle.make, model].filter((part) => part !== null).join(" ");
}

/** What a person calls a vehicle: its nickname, else year, make and model, else plate or VIN. */
export function displayName(vehicle: Pick<Vehicle, "nickname" | "year" | "make" | "model" | "licensePlate" | "vin">): string {
  const described = vehicle.make === null ? null : description(vehicle);
  return vehicle.nickname ?? described ?? vehicle.licensePlate ?? vehicle.vin ?? strings.garage.unnamed;
}

/** Year, make and model as a VIN says them. */
export function decodedDescription({ fields }: Pick<Decode, "fields">): string {
  return description({ year: fields.year?.value ?? null, make: fields.make?.value ?? null, model: fields.model?.value ?? null });
}
