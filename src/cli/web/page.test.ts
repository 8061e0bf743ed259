import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";
import { webRig } from "./testing/web-rig.ts";

const CHROMIUM = "/usr/bin/chromium";
const skip = existsSync(CHROMIUM) ? false : "needs the package chromium";

let rig: Awaited<ReturnType<typeof webRig>>;
let browser: Browser;
let page: Page;
const complaints: string[] = [];

before(async () => {
  if (skip) return;
  rig = await webRig(320, 200);
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  page = await browser.newPage();
  page.on("console", (message) => {
    // Canvases are read back by this test only.
    if (["error", "warning"].includes(message.type()) && !message.text().includes("getImageData")) {
      complaints.push(message.text());
    }
  });
  page.on("pageerror", (error) => complaints.push(error.message));
});
after(async () => {
  await browser?.close();
  rig?.close();
});

/** Colours of some dots of noVNC's canvas, whose size is the picture's. */
const dots = (places: [number, number][]) =>
  page.evaluate(`(() => {
    const context = document.querySelector("#screen canvas")?.getContext("2d");
    return ${JSON.stringify(places)}.map(([x, y]) => {
      const [red = 0, green = 0, blue = 0] = context?.getImageData(x, y, 1, 1).data ?? [];
      return (red << 16) | (green << 8) | blue;
    });
  })()`) as Promise<number[]>;

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

const PLACES: [number, number][] = [
  [0, 0],
  [319, 0],
  [160, 100],
  [0, 199],
  [319, 199],
];

test("a browser shows the guest's screen, and what changes on it", { skip }, async () => {
  const colour = (x: number, y: number) => (x & 0xff) * 0x10000 + y * 0x100 + 0x40;
  rig.display.paint({ x: 0, y: 0, width: 320, height: 200 }, colour);
  await page.goto(rig.url);
  await page.getByText("connected", { exact: true }).waitFor();
  const expected = PLACES.map(([x, y]) => colour(x, y));
  await eventually(async () => String(await dots(PLACES)) === String(expected));
  rig.display.paint({ x: 0, y: 0, width: 320, height: 200 }, () => 0xff8000);
  await eventually(async () => (await dots(PLACES)).every((dot) => dot === 0xff8000));
});

test("the picture grows with the guest's mode", { skip }, async () => {
  rig.display.resize(800, 600);
  rig.display.paint({ x: 0, y: 0, width: 800, height: 600 }, () => 0x2040c0);
  await eventually(async () => String(await dots([[799, 599]])) === String([0x2040c0]));
});

test("keys of the browser arrive as scan codes, also where no keysym fits", { skip }, async () => {
  await page.locator("#screen canvas").click();
  rig.keys.length = 0;
  await page.keyboard.press("a");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Control+c");
  await eventually(() => rig.keys.length >= 14);
  assert.deepEqual(rig.keys, [0x1c, 0xf0, 0x1c, 0xe0, 0x75, 0xe0, 0xf0, 0x75, 0x14, 0x21, 0xf0, 0x21, 0xf0, 0x14]);
  rig.keys.length = 0;
  await page.getByRole("button", { name: "Ctrl-Alt-Del" }).click();
  await eventually(() => rig.keys.length >= 11);
  assert.deepEqual(rig.keys, [0x14, 0x11, 0xe0, 0x71, 0xe0, 0xf0, 0x71, 0xf0, 0x11, 0xf0, 0x14]);
});

test("the mouse arrives as motion, buttons and wheel", { skip }, async () => {
  rig.motion.length = 0;
  const box = (await page.locator("#screen canvas").boundingBox())!;
  await page.mouse.move(box.x + 100, box.y + 100);
  await page.mouse.move(box.x + 110, box.y + 100);
  await page.mouse.down();
  await page.mouse.up();
  await eventually(() => rig.motion.some((byte, i) => i % 3 === 0 && byte === 0x09));
  assert.equal(rig.motion.length % 3, 0);
});

test("text is typed, and what cannot be is told", { skip }, async () => {
  await page.getByRole("button", { name: "Type text…" }).click();
  rig.keys.length = 0;
  await page.locator("#paste-text").fill("Hi\n");
  await page.getByRole("button", { name: "Type it" }).click();
  await eventually(() => rig.keys.length >= 12);
  assert.deepEqual(rig.keys, [0x12, 0x33, 0xf0, 0x33, 0xf0, 0x12, 0x43, 0xf0, 0x43, 0x5a, 0xf0, 0x5a]);
  await page.locator("#paste").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Type text…" }).click();
  await page.locator("#paste-text").fill("ü");
  await page.getByRole("button", { name: "Type it" }).click();
  await page.getByText('the character "ü" (U+00fc) is on no key of the layout "us"').waitFor();
  await page.getByRole("button", { name: "Close" }).click();
});

test("the serial console shows the guest's output and sends what is typed", { skip }, async () => {
  rig.serial.write(Buffer.from("login: \x1b[1mroot\x1b[0m\r\n"));
  await page.getByRole("button", { name: "Serial console" }).click();
  await eventually(async () => ((await page.locator("#serial").textContent()) ?? "").includes("login: root"));
  rig.serialInput.length = 0;
  await page.keyboard.type("ls\r");
  await eventually(() => rig.serialInput.length >= 3);
  assert.equal(Buffer.from(rig.serialInput).toString(), "ls\r");
  await page.getByRole("button", { name: "Screen", exact: true }).click();
});

test("the screenshot of the page is the picture", { skip }, async () => {
  const size = await page.evaluate(`(async () => {
    const image = new Image();
    image.src = "screenshot.png";
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
  })()`);
  assert.deepEqual(size, [800, 600]);
});

test("the browser has nothing to complain of", { skip }, () => {
  assert.deepEqual(complaints, []);
});
