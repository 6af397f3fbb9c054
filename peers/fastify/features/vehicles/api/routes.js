// The routes of vehicles, as a plugin.

import { readJsonObject } from '@motovault/peers-common/http/body.js';
import { expectedVersions, isNotModified, versionTag } from '@motovault/peers-common/http/conditions.js';
import { routeNotFound } from '@motovault/peers-common/http/errors.js';
import { isAwaited } from '@motovault/peers-common/http/time-limit.js';
import { queryParameter } from '@motovault/peers-common/http/url.js';
import { VEHICLE_SCHEMA } from '@motovault/peers-common/vehicles/wire.js';
import { parseDecodeRequest } from '@motovault/peers-common/vpic/request.js';
import { refuseOtherMethods } from '../../../methods.js';

/** Fastify compiles serializers from these. */
const VEHICLE_RESPONSES = { response: { 200: VEHICLE_SCHEMA, 201: VEHICLE_SCHEMA } };

/**
 * @param {import('fastify').FastifyInstance} app
 * @param {{backend: import('@motovault/peers-common/backend.js').Backend}} options
 */
export async function vehicleRoutes(app, { backend: { name, authenticate, vehicles, decode } }) {
  app.decorateRequest('user', '');
  const route = {
    // Before the body: 401 takes precedence over everything that is wrong with a request.
    onRequest: async (request) => {
      request.user = await authenticate(request.headers.authorization);
    },
  };
  const vehicleRoute = { ...route, schema: VEHICLE_RESPONSES };

  app.get('/api/vehicles/health', () => ({ status: 'ok', feature: 'vehicles', backend: name }));
  refuseOtherMethods(app, '/api/vehicles/health', ['GET']);

  app.post('/api/vehicles/decode-vin', route, async (request) => {
    const full = queryParameter(request.url, 'full');
    const { vin, modelYear, isFull } = parseDecodeRequest(await readJsonObject(request.raw), full);
    return decode(vin, { modelYear, isFull });
  });
  refuseOtherMethods(app, '/api/vehicles/decode-vin', ['POST']);

  app.get('/api/vehicles', route, async (request, reply) => {
    const { tag, json } = await vehicles.list(request.user, request.headers['if-none-match']);
    reply.header('etag', tag);
    return json === null ? reply.code(304).send() : reply.type('application/json').send(json);
  });
  app.post('/api/vehicles', vehicleRoute, async (request, reply) => {
    const body = await readJsonObject(request.raw);
    const { vehicle, isNew, tag } = await vehicles.create(request.user, body, () => isAwaited(reply.raw));
    if (isNew) reply.code(201).header('location', `/api/vehicles/${vehicle.id}`);
    return reply.header('etag', tag).send(vehicle);
  });
  refuseOtherMethods(app, '/api/vehicles', ['GET', 'POST']);
  // Fastify would take the empty text for an id.
  app.all('/api/vehicles/', () => {
    throw routeNotFound();
  });

  app.get('/api/vehicles/:id', vehicleRoute, async (request, reply) => {
    const vehicle = await vehicles.find(request.user, request.params.id);
    const tag = versionTag(vehicle.version);
    reply.header('etag', tag);
    return isNotModified(request.headers['if-none-match'], tag) ? reply.code(304).send() : reply.send(vehicle);
  });
  app.put('/api/vehicles/:id', vehicleRoute, async (request, reply) => {
    const { vehicle, tag } = await vehicles.update(
      request.user,
      request.params.id,
      () => readJsonObject(request.raw),
      expectedVersions(request.headers['if-match']),
      () => isAwaited(reply.raw),
    );
    return reply.header('etag', tag).send(vehicle);
  });
  app.delete('/api/vehicles/:id', route, async (request, reply) => {
    const versions = expectedVersions(request.headers['if-match']);
    await vehicles.remove(request.user, request.params.id, versions, () => isAwaited(reply.raw));
    return reply.code(204).send();
  });
  refuseOtherMethods(app, '/api/vehicles/:id', ['GET', 'PUT', 'DELETE']);
}
