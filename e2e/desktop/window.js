// Driving the app's own window with WebKitWebDriver.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { By, Capabilities, Condition, until, WebDriver } from "selenium-webdriver";
import { Executor, HttpClient } from "selenium-webdriver/http/index.js";

/** Only guards against hanging: a loaded machine may take a minute to start WebKit. */
export const PATIENCE_MS = 180_000;

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
  for (const start = Date.now(); Date.now() < start + PATIENCE_MS; ) {
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

/** Asks the page in one step: an element that is found first and read later may have been replaced in between. */
export async function waitForText(driver, css, text) {
  const script = "return [...document.querySelectorAll(arguments[0])].some((it) => it.textContent.includes(arguments[1]))";
  await driver.wait(new Condition(`for "${text}" in ${css}`, () => driver.executeScript(script, css, text)), PATIENCE_MS);
}

/** Types a VIN into an empty garage and saves; the vehicle's own screen is shown then. */
export async function addByVin(driver, vin, name) {
  await (await find(driver, "input.mono")).sendKeys(vin);
  await waitForText(driver, "form h3", name);
  // The last answer moves the button, and a click between two positions meets neither.
  await waitForText(driver, "form", "the check digit fits");
  await (await find(driver, "form button[type=submit]")).click();
  await driver.wait(until.elementLocated(By.xpath(`//h1[normalize-space() = "${name}"]`)), PATIENCE_MS);
}
