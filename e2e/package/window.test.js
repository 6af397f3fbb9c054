// The installed app in a bare system: `cargo xtask bundle --try` prepares it and looks at what is left.
import { after, test } from "node:test";
import { addByVin, startApp, startDriver } from "../desktop/window.js";

const root = process.env.PACKAGE_ROOT;
if (!root) throw new Error("PACKAGE_ROOT names the bare system's root; cargo xtask bundle --try sets it");

/** The driver runs in the bare system with mounts of its own, and starts the app there. */
const enter = [
  "unshare",
  "--mount",
  "--propagation",
  "private",
  "sh",
  "-c",
  `mount --bind /dev ${root}/dev && mount -t proc proc ${root}/proc && mkdir -p ${root}/tmp/.X11-unix && mount --bind /tmp/.X11-unix ${root}/tmp/.X11-unix && exec chroot ${root} "$@"`,
  "sh",
  "dbus-run-session",
  "--",
];

let stopDriver;
after(() => stopDriver?.());

test("the installed app starts and a vehicle is added", async () => {
  const environment = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", HOME: "/root", DISPLAY: process.env.DISPLAY, TAURI_WEBVIEW_AUTOMATION: "true", NO_AT_BRIDGE: "1" };
  const { stop, address } = await startDriver([...enter, "WebKitWebDriver"], environment);
  stopDriver = stop;
  const driver = await startApp(address, "/usr/bin/motovault");
  await addByVin(driver, "1HGCM82633A004352", "2003 HONDA Accord");
  await driver.quit();
});
