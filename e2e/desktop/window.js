// Driving the app's own window with WebKitWebDriver.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { By, Capabilities, until, WebDriver } from "selenium-webdriver";
import { Executor, HttpClient } from "selenium-webdriver/http/index.js";

/** A loaded machine takes seconds to start WebKit; nothing here measures time. */
export const PATIENCE_MS = 60_000;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts the driver; `words` is how it is called on its system, and the app inherits the environment. Gives its address, its
 * process and what ends it, together with whatever it was called through. */
export async function startDriver(words, environment) {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const [program, ...options] = [...words, `--port=${port}`, "--host=127.0.0.1"];
  // A process group of its own: to end a shell or a session that runs the driver would leave the driver running.
  const server = spawn(program, options, { env: environment, stdio: "ignore", detached: true });
  const stop = () => {
    if (server.exitCode === null && server.signalCode === null) process.kill(-server.pid);
  };
  for (let attempt = 0; attempt < 100; attempt++) {
    const isReady = await fetch(`${address}/status`).then((response) => response.ok, () => false);
    if (isReady) return { pid: server.pid, stop, address };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  stop();
  throw new Error("WebKitWebDriver does not answer");
}

/** Starts the app and gives a session in its window. */
export async function startApp(address, binary) {
  const capabilities = new Capabilities({ "webkitgtk:browserOptions": { binary, args: [] } });
  // Not by selenium's Builder, which wants the name of a browser, and an app has none.
  return WebDriver.createSession(new Executor(new HttpClient(address)), capabilities);
}

export async function find(driver, css) {
  return driver.wait(until.elementLocated(By.css(css)), PATIENCE_MS);
}

export async function waitForText(driver, css, text) {
  const element = await find(driver, css);
  await driver.wait(until.elementTextContains(element, text), PATIENCE_MS);
}

/** Types a VIN into an empty garage and saves; the vehicle's own screen is shown then. */
export async function addByVin(driver, vin, name) {
  await (await find(driver, "input.mono")).sendKeys(vin);
  await waitForText(driver, "form h3", name);
  await (await find(driver, "form button[type=submit]")).click();
  await driver.wait(until.elementLocated(By.xpath(`//h1[normalize-space() = "${name}"]`)), PATIENCE_MS);
}
