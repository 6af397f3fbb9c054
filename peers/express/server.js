// Starts the Express backend with the settings in the environment.

import { createServer } from 'node:http';
import { announce, limitConnections, refuseToStart, stopOnSignal } from '@motovault/peers-common/http/lifecycle.js';
import { readSettings } from '@motovault/peers-common/settings.js';
import { createApp, createExpressBackend } from './app.js';

process.env.NODE_ENV ??= 'production';

const { settings, backend } = configured();
const server = createServer(createApp(backend));
limitConnections(server);
stopOnSignal(server, backend.close);
server.once('error', refuseToStart);
server.listen(settings.listen, () => announce(server));

function configured() {
  try {
    const settings = readSettings(process.env);
    return { settings, backend: createExpressBackend(settings) };
  } catch (error) {
    return refuseToStart(error);
  }
}
