import { testContract } from '@motovault/peers-common/testing/contract.js';
import { createApp, createFastifyBackend } from '../../../app.js';

testContract('fastify', async (settings) => {
  const app = createApp(createFastifyBackend(settings));
  await app.listen(settings.listen);
  return {
    server: app.server,
    stop() {
      app.server.closeAllConnections();
      return app.close();
    },
  };
});
