// The Fastify application: what happens to every request, and the routes.

import { createBackend } from '@motovault/peers-common/backend.js';
import { ApiError, routeNotFound } from '@motovault/peers-common/http/errors.js';
import { toApiError } from '@motovault/peers-common/http/failure.js';
import { decodableUrl } from '@motovault/peers-common/http/url.js';
import { version } from '@motovault/peers-common/package-version.js';
import fastify from 'fastify';
import { vehicleRoutes } from './features/vehicles/api/routes.js';
import { checkTypes } from './features/vehicles/domain/validation.js';
import { get } from './features/vehicles/external/vpic.js';
import { refuseOtherMethods } from './methods.js';

/** An id of any length is answered like an unknown one. Node limits the length of the whole head. */
const MAX_PARAMETER_CHARACTERS = 64 * 1024;

/** @param {import('@motovault/peers-common/settings.js').Settings} settings */
export const createFastifyBackend = (settings) => createBackend(settings, { name: 'fastify', version, checkTypes, get });

/** @param {import('@motovault/peers-common/backend.js').Backend} backend */
export function createApp(backend) {
  const app = fastify({
    rewriteUrl: (request) => decodableUrl(request.url ?? '/'),
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARACTERS },
  });
  // Handlers read bodies themselves: who sends one, and which vehicle it is for, comes before what is wrong with it.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request, payload, done) => done(null));
  app.addHook('onRequest', (request, reply, done) => {
    backend.limitTime(reply.raw);
    hideUnusualMediaType(request);
    done();
  });
  app.addHook('onClose', () => backend.close());
  app.setErrorHandler((error, request, reply) => send(reply, toApiError(error)));
  app.setNotFoundHandler((request, reply) => send(reply, routeNotFound()));
  app.get('/api/health', () => backend.health());
  refuseOtherMethods(app, '/api/health', ['GET']);
  app.register(vehicleRoutes, { backend });
  return app;
}

/**
 * Fastify refuses malformed media types before any handler. It does not look at those that it cannot see; the handlers
 * read the original header.
 * @param {import('fastify').FastifyRequest} request
 */
function hideUnusualMediaType(request) {
  const { 'content-type': mediaType } = request.raw.headers;
  if (mediaType !== undefined && mediaType !== 'application/json') request.headers = { 'content-type': undefined };
}

/** @param {import('fastify').FastifyReply} reply @param {ApiError} error */
function send(reply, error) {
  // A response of the time limit may have been sent before.
  if (reply.raw.headersSent) return reply.hijack();
  return reply.code(error.status).headers(error.headers).send(error.body);
}
