// Starts a server, and stops it on a signal.

const KEEP_ALIVE_MILLISECONDS = 65_000;
const REQUEST_MILLISECONDS = 60_000;
/** What is not answered by then is cut off. With the time of closing it is the 10 seconds that supervisors commonly wait. */
const STOP_MILLISECONDS = 8_000;
const CLOSE_MILLISECONDS = 2_000;
const IDLE_CHECK_MILLISECONDS = 100;

/**
 * Limits that are Node's, not a framework's. The request timeout is that of a body that never ends; the contract's time
 * limit answers before.
 * @param {import('node:http').Server} server
 */
export function limitConnections(server) {
  server.keepAliveTimeout = KEEP_ALIVE_MILLISECONDS;
  server.requestTimeout = REQUEST_MILLISECONDS;
}

/**
 * Prints the address as the first line, which is how its callers learn the port.
 * @param {import('node:http').Server} server
 */
export function announce(server) {
  const { address, family, port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.stdout.write(`http://${family === 'IPv6' ? `[${address}]` : address}:${port}\n`);
}

/** For what an operator has to correct, where a stack trace does not help. @param {Error} error */
export function refuseToStart(error) {
  process.stderr.write(`error: ${error.message}\n`);
  process.exit(1);
}

/**
 * Stops accepting connections, answers the requests that have begun, and then runs `close`.
 * @param {import('node:http').Server} server
 * @param {() => Promise<void>} close
 */
export function stopOnSignal(server, close) {
  const stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.prependListener('request', (request, response) => response.setHeader('connection', 'close'));
    // A connection that is kept alive becomes idle when its request is answered.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MILLISECONDS);
    const cutOff = setTimeout(() => server.closeAllConnections(), STOP_MILLISECONDS);
    await closed;
    clearInterval(idle);
    clearTimeout(cutOff);
    // Statements of requests that were cut off may still run, and the pool waits for them.
    setTimeout(() => process.exit(), CLOSE_MILLISECONDS).unref();
    await close();
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop);
}
