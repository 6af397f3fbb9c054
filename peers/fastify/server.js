// Starts the Fastify backend with the settings in the environment.

import { announce, limitConnections, refuseToStart, stopOnSignal } from '@motovault/peers-common/http/lifecycle.js';
import { readSettings } from '@motovault/peers-common/settings.js';
import { createApp, createFastifyBackend } from './app.js';

process.env.NODE_ENV ??= 'production';

const { settings, backend } = configured();
const app = createApp(backend);
limitConnections(app.server);
await app.listen(settings.listen).catch(refuseToStart);
stopOnSignal(app.server, () => app.close());
announce(app.server);

function configured() {
  try {
    const settings = readSettings(process.env);
    return { settings, backend: createFastifyBackend(settings) };
  } catch (error) {
    return refuseToStart(error);
  }
}
