// Answers methods that a route does not have.

import { methodNotAllowed } from '@motovault/peers-common/http/errors.js';

/**
 * @param {string[]} methods those that the route has
 * @returns {import('express').RequestHandler}
 */
export function refuseOtherMethods(methods) {
  // Express answers HEAD where there is GET.
  const allowed = methods.includes('GET') ? [...methods, 'HEAD'] : methods;
  return () => {
    throw methodNotAllowed(allowed);
  };
}
