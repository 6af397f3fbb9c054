// Answers methods that a route does not have.

import { methodNotAllowed } from '@motovault/peers-common/http/errors.js';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

/**
 * @param {import('fastify').FastifyInstance} app
 * @param {string} url
 * @param {string[]} methods those that the route has
 */
export function refuseOtherMethods(app, url, methods) {
  // Fastify answers HEAD where there is GET.
  const allowed = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
  const refuse = () => {
    throw methodNotAllowed(allowed);
  };
  // Without a route of its own, HEAD of a fixed path would be one of a vehicle.
  const others = [...METHODS, 'HEAD'].filter((method) => !allowed.includes(method));
  app.route({ method: others, url, handler: refuse });
}
