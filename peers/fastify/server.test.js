import { testProcess } from '@motovault/peers-common/testing/process.js';

testProcess('fastify', new URL('server.js', import.meta.url));
