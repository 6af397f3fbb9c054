// Starts the Express backend with the settings in the environment.

import { createServer } from 'node:http';
import { announce, limitConnections, stopOnSignal } from '@motovault/peers-common/http/lifecycle.js';
import { readSettings } from '@motovault/peers-common/settings.js';
import { createApp, createExpressBackend } from './app.js';

process.env.NODE_ENV ??= 'production';

const settings = readSettings(process.env);
const backend = createExpressBackend(settings);
const server = createServer(createApp(backend));
limitConnections(server);
stopOnSignal(server, backend.close);
server.listen(settings.listen, () => announce(server));
