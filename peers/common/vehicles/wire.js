// The format of vehicles in responses, and compiled serializers for it.

import fastJson from 'fast-json-stringify';
import { FIELDS } from './fields.js';

const JSON_TYPES = { vin: 'string', text: 'string', choice: 'string', year: 'integer', integer: 'integer', boolean: 'boolean' };
const text = { type: 'string' };
const optionalText = { type: 'string', nullable: true };

/** JSON Schema of a vehicle. */
export const VEHICLE_SCHEMA = {
  type: 'object',
  properties: {
    id: text,
    userId: text,
    ...Object.fromEntries(
      FIELDS.map(({ name, rule, empty }) => [name, { type: JSON_TYPES[rule.kind], nullable: empty === null }]),
    ),
    imageUrl: optionalText,
    createdAt: text,
    updatedAt: text,
    deletedAt: optionalText,
    version: { type: 'integer' },
  },
};

/** @type {(vehicle: any) => string} */
export const serializeVehicle = fastJson(VEHICLE_SCHEMA);
/** @type {(vehicles: any[]) => string} */
export const serializeVehicles = fastJson({ type: 'array', items: VEHICLE_SCHEMA });
