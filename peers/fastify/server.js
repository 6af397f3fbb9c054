// Starts the Fastify backend with the settings in the environment.

import { announce, limitConnections, stopOnSignal } from '@motovault/peers-common/http/lifecycle.js';
import { readSettings } from '@motovault/peers-common/settings.js';
import { createApp, createFastifyBackend } from './app.js';

process.env.NODE_ENV ??= 'production';

const settings = readSettings(process.env);
const backend = createFastifyBackend(settings);
const app = createApp(backend);
limitConnections(app.server);
await app.listen(settings.listen);
stopOnSignal(app.server, () => app.close());
announce(app.server);
