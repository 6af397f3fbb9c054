/** Which drawing stands for a vehicle that has no photo. */
export const BODIES = [
  "sedan",
  "coupe",
  "hatchback",
  "wagon",
  "suv",
  "pickup",
  "van",
  "bus",
  "truck",
  "trailer",
  "motorcycle",
  "generic",
] as const;
export type Body = (typeof BODIES)[number];

/**
 * What vPIC's body classes contain, the more particular first: a "Sport Utility Truck" is a pickup, a "Van" no truck.
 * https://vpic.nhtsa.dot.gov/api/vehicles/getvehiclevariablevalueslist/body%20class
 */
const WORDS: readonly (readonly [RegExp, Body])[] = [
  [/motorcycle|moped|scooter|dirt bike|all-terrain|\batv\b|three-wheel/, "motorcycle"],
  [/trailer/, "trailer"],
  [/pickup|sport utility truck|\bsut\b|chassis cab/, "pickup"],
  [/\bbus\b|motorhome|motor home/, "bus"],
  [/step van|walk-in|truck|tractor|fire|glider|cab over/, "truck"],
  [/\bvan\b|minivan|cargo/, "van"],
  [/wagon/, "wagon"],
  [/sport utility|\bsuv\b|crossover|\bcuv\b|multi-?purpose|off-road/, "suv"],
  [/hatchback|liftback/, "hatchback"],
  [/coupe|convertible|cabriolet|roadster/, "coupe"],
  [/sedan|saloon|notchback|limousine|passenger car/, "sedan"],
];

/** The drawing that comes nearest: by body class, and where that says nothing, by vehicle type. */
export function bodyOf(bodyClass: string | null, vehicleType: string | null): Body {
  for (const text of [bodyClass, vehicleType]) {
    const words = text?.toLowerCase();
    const found = words && WORDS.find(([pattern]) => pattern.test(words));
    if (found) return found[1];
  }
  return "generic";
}
