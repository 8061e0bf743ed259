/** A page over a display that shows what a test paints. */
import { Ps2Keyboard } from "../../../device/i8042/ps2-keyboard.ts";
import { Ps2Mouse } from "../../../device/i8042/ps2-mouse.ts";
import { ManualTime } from "../../../machine/testing/rig.ts";
import { GuestInput } from "../../../vm/input/guest-input.ts";
import { ScreenHub } from "../../../vm/node/screen/screen-hub.ts";
import { ScreenReader } from "../../../vm/screen/screen-reader.ts";
import { TestDisplay } from "../../../vm/screen/testing/test-display.ts";
import { MachineControls } from "../../control/machine-controls.ts";
import { SerialTap } from "../serial-tap.ts";
import { WebServer } from "../web-server.ts";

export async function webRig(width = 640, height = 400) {
  const display = new TestDisplay(width, height);
  const keyboard = new Ps2Keyboard();
  const mouse = new Ps2Mouse();
  mouse.send(0xf4);
  mouse.take();
  const time = new ManualTime();
  const keys: number[] = [];
  const motion: number[] = [];
  const serialInput: number[] = [];
  // A guest that reads its keyboard and mouse all the time.
  const input: GuestInput = new GuestInput({ keyboard, mouse, time, wake: () => {} });
  const guest = setInterval(() => {
    for (let i = 0; i < 20; i++) {
      input.pump();
      for (let byte = keyboard.take(); byte !== undefined; byte = keyboard.take()) keys.push(byte);
      for (let byte = mouse.take(); byte !== undefined; byte = mouse.take()) motion.push(byte);
      time.advance(20e6);
    }
  }, 5);
  const serial = new SerialTap({ write: () => {} });
  const controls = new MachineControls("guest <1>", input, new ScreenReader(display, []));
  const hub = new ScreenHub({ display, input, name: "guest" });
  const server = await WebServer.listen({ host: "127.0.0.1", port: 0 }, "guest <1>");
  server.attach({ hub, controls, serial, sendSerial: (bytes) => serialInput.push(...bytes) });
  const close = () => {
    clearInterval(guest);
    hub.close();
    server.close();
  };
  return { display, keys, motion, serial, serialInput, hub, server, url: server.url, close };
}
