import { testProcess } from '@motovault/peers-common/testing/process.js';

testProcess('express', new URL('server.js', import.meta.url));
