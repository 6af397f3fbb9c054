import { createServer } from 'node:http';
import { testContract } from '@motovault/peers-common/testing/contract.js';
import { createApp, createExpressBackend } from '../../../app.js';

testContract('express', async (settings) => {
  const backend = createExpressBackend(settings);
  const server = createServer(createApp(backend));
  await new Promise((resolve) => server.listen(settings.listen, resolve));
  return {
    server,
    async stop() {
      server.closeAllConnections();
      server.close();
      await backend.close();
    },
  };
});
