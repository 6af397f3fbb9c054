// The routes of vehicles. Express passes errors of handlers on to the application's handler of errors.

import { readJsonObject } from '@motovault/peers-common/http/body.js';
import { expectedVersions, isNotModified, versionTag } from '@motovault/peers-common/http/conditions.js';
import { sendJson } from '@motovault/peers-common/http/errors.js';
import { isAwaited } from '@motovault/peers-common/http/time-limit.js';
import { queryParameter } from '@motovault/peers-common/http/url.js';
import { serializeVehicle } from '@motovault/peers-common/vehicles/wire.js';
import { parseDecodeRequest } from '@motovault/peers-common/vpic/request.js';
import { Router } from 'express';
import { refuseOtherMethods } from '../../../methods.js';

/**
 * @param {import('@motovault/peers-common/backend.js').Backend} backend
 * @returns {import('express').Router}
 */
export function vehicleRoutes({ name, authenticate, vehicles, decode }) {
  const router = Router({ caseSensitive: true, strict: true });

  /** @type {import('express').RequestHandler} */
  const requireUser = async (request, response, next) => {
    response.locals.user = await authenticate(request.headers.authorization);
    next();
  };

  router
    .route('/api/vehicles/health')
    .get((request, response) =>
      sendJson(response, 200, JSON.stringify({ status: 'ok', feature: 'vehicles', backend: name })),
    )
    .all(refuseOtherMethods(['GET']));

  router
    .route('/api/vehicles/decode-vin')
    .post(requireUser, async (request, response) => {
      const full = queryParameter(request.url, 'full');
      const { vin, modelYear, isFull } = parseDecodeRequest(await readJsonObject(request), full);
      sendJson(response, 200, JSON.stringify(await decode(vin, { modelYear, isFull })));
    })
    .all(refuseOtherMethods(['POST']));

  router
    .route('/api/vehicles')
    .get(requireUser, async (request, response) => {
      const { tag, json } = await vehicles.list(response.locals.user, request.headers['if-none-match']);
      if (json === null) sendNotModified(response, tag);
      else sendJson(response, 200, json, { etag: tag });
    })
    .post(requireUser, async (request, response) => {
      const body = await readJsonObject(request);
      const { vehicle, isNew, tag } = await vehicles.create(response.locals.user, body, () => isAwaited(response));
      const location = isNew ? { location: `/api/vehicles/${vehicle.id}` } : {};
      sendJson(response, isNew ? 201 : 200, serializeVehicle(vehicle), { etag: tag, ...location });
    })
    .all(refuseOtherMethods(['GET', 'POST']));

  router
    .route('/api/vehicles/:id')
    .get(requireUser, async (request, response) => {
      const vehicle = await vehicles.find(response.locals.user, request.params.id);
      const tag = versionTag(vehicle.version);
      if (isNotModified(request.headers['if-none-match'], tag)) sendNotModified(response, tag);
      else sendJson(response, 200, serializeVehicle(vehicle), { etag: tag });
    })
    .put(requireUser, async (request, response) => {
      const { vehicle, tag } = await vehicles.update(
        response.locals.user,
        request.params.id,
        () => readJsonObject(request),
        expectedVersions(request.headers['if-match']),
        () => isAwaited(response),
      );
      sendJson(response, 200, serializeVehicle(vehicle), { etag: tag });
    })
    .delete(requireUser, async (request, response) => {
      const versions = expectedVersions(request.headers['if-match']);
      await vehicles.remove(response.locals.user, request.params.id, versions, () => isAwaited(response));
      if (!response.headersSent) response.writeHead(204).end();
    })
    .all(refuseOtherMethods(['GET', 'PUT', 'DELETE']));

  return router;
}

/** @param {import('express').Response} response @param {string} tag */
function sendNotModified(response, tag) {
  if (!response.headersSent) response.writeHead(304, { etag: tag }).end();
}
