import type { Filter } from "$lib/platform";

/** All vehicles that are not removed. */
export const NO_FILTER: Filter = { make: null, year: null, vehicleType: null, isActive: null, isRemoved: false };

export function isAnyFilter({ make, year, vehicleType, isActive, isRemoved }: Filter): boolean {
  return make !== null || year !== null || vehicleType !== null || isActive !== null || isRemoved;
}
