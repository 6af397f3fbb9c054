// A vPIC API on loopback that answers with recorded values, and can fail in various ways.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

export const ACCORD = '1HGCM82633A004352';

/** The body of a recorded answer. @param {string} name */
export const recorded = (name) =>
  JSON.parse(readFileSync(new URL(`recorded/${name}.json`, import.meta.url), 'utf8')).body;

const TRUCK = recorded('f150').Results[0];
const PART = recorded('x3-in-part').Results[0];
const HONDA = {
  Make: 'HONDA',
  Model: 'Accord',
  ModelYear: '2003',
  Trim: 'EX-V6',
  DisplacementL: '2.998832712',
  DisplacementCC: '2998.832712',
  EngineConfiguration: 'V-Shaped',
  EngineCylinders: '6',
  TransmissionStyle: 'Automatic',
  DriveType: '',
  BodyClass: 'Coupe',
  VehicleType: 'PASSENGER CAR',
};
const UNKNOWN = {
  ErrorCode: '7,400',
  ErrorText: '7 - Manufacturer is not registered with NHTSA; see the site; 400 - Invalid Characters Present',
  Make: '',
};

/** Values for a VIN: recorded ones, or those of an Accord. @param {string} vin @param {string | null} year */
function valuesOf(vin, year) {
  if (vin === TRUCK.VIN) return TRUCK;
  if (vin === PART.VIN) return PART;
  if (vin.startsWith('ZZZ')) return { VIN: vin, ...UNKNOWN };
  return { ...TRUCK, VIN: vin, ...HONDA, ...(vin === ACCORD || year === null ? {} : { ModelYear: year }) };
}

/** @returns {Promise<{url: string, questions: string[], behave: (behavior: Behavior) => void, stop: () => void}>} */
/** @typedef {null | ((request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse) => void)} Behavior */
export async function startFakeVpic() {
  /** @type {Behavior} */
  let behavior = null;
  const questions = [];
  const server = createServer((request, response) => {
    questions.push(request.url);
    if (behavior !== null) return behavior(request, response);
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    const vin = decodeURIComponent(pathname.split('/').at(-1));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ Count: 1, Results: [valuesOf(vin, searchParams.get('modelyear'))] }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    questions,
    behave: (other) => {
      behavior = other;
    },
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
