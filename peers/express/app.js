// The Express application: what happens to every request, and the routes.

import { createBackend } from '@motovault/peers-common/backend.js';
import { routeNotFound, sendError, sendJson } from '@motovault/peers-common/http/errors.js';
import { toApiError } from '@motovault/peers-common/http/failure.js';
import { decodableUrl } from '@motovault/peers-common/http/url.js';
import { version } from '@motovault/peers-common/package-version.js';
import express from 'express';
import { vehicleRoutes } from './features/vehicles/api/routes.js';
import { checkTypes } from './features/vehicles/domain/validation.js';
import { get } from './features/vehicles/external/vpic.js';
import { refuseOtherMethods } from './methods.js';

/** @param {import('@motovault/peers-common/settings.js').Settings} settings */
export const createExpressBackend = (settings) => createBackend(settings, { name: 'express', version, checkTypes, get });

/** @param {import('@motovault/peers-common/backend.js').Backend} backend */
export function createApp(backend) {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use((request, response, next) => {
    backend.limitTime(response);
    request.url = decodableUrl(request.url);
    next();
  });
  app
    .route('/api/health')
    .get(async (request, response) => sendJson(response, 200, JSON.stringify(await backend.health())))
    .all(refuseOtherMethods(['GET']));
  app.use(vehicleRoutes(backend));
  app.use(() => {
    throw routeNotFound();
  });
  // Express recognizes a handler of errors by its four parameters.
  app.use((error, request, response, _next) => sendError(response, toApiError(error)));
  return app;
}
