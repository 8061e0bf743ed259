/** Text as a terminal shows it, as an SVG picture in which the text stays text. */

/** Characters of a line; what is longer ends in "…". */
export const COLUMNS = 100;
const FONT_SIZE = 14;
const LINE_HEIGHT = 20;
const CHARACTER_WIDTH = 8.4;
const MARGIN = 16;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
const ESCAPE_SEQUENCE = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]/g;

const TAB_STOP = 8;

/** What is left to see of a terminal's output: no escape sequences, carriage returns, tabs or trailing blanks. */
export function visibleLines(output: string): string[] {
  return output
    .replaceAll(ESCAPE_SEQUENCE, "")
    .split("\n")
    .map((line) => expandTabs(line.replaceAll("\r", "")).trimEnd());
}

function expandTabs(line: string): string {
  const [first = "", ...others] = line.split("\t");
  return others.reduce((text, part) => text + " ".repeat(TAB_STOP - (text.length % TAB_STOP)) + part, first);
}

/** The first `head` and the last `tail` lines, and between them how many are left out. */
export function abridged(lines: readonly string[], head: number, tail: number): string[] {
  if (lines.length <= head + tail + 1) return [...lines];
  const left = lines.length - head - tail;
  return [...lines.slice(0, head), `⋮ ${left} lines`, ...lines.slice(-tail)];
}

const escapeText = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const clip = (line: string) => (line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line);

/** A line's spans: the kernel's time stamps step back, what was typed at a prompt stands out. */
function spans(line: string): string {
  const span = (kind: string, text: string) => `<tspan class="${kind}">${escapeText(text)}</tspan>`;
  const stamp = /^\[ *\d+\.\d+\]/.exec(line)?.[0];
  if (stamp !== undefined) return span("dim", stamp) + escapeText(line.slice(stamp.length));
  if (line.startsWith("⋮")) return span("dim", line);
  const prompt = /^(\$|\S+@\S+#) /.exec(line)?.[0];
  if (prompt !== undefined) return span("dim", prompt) + span("typed", line.slice(prompt.length));
  return escapeText(line);
}

/** The picture. `title` is read out where it cannot be seen. */
export function terminalSvg(title: string, lines: readonly string[]): string {
  const width = Math.ceil(COLUMNS * CHARACTER_WIDTH) + 2 * MARGIN;
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
  const rows = lines.map((line, i) => {
    const y = MARGIN + i * LINE_HEIGHT + FONT_SIZE;
    return `  <text x="${MARGIN}" y="${y}">${spans(clip(line))}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
  <title>${escapeText(title)}</title>
  <style>
    text { font: ${FONT_SIZE}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d8dee9; white-space: pre; }
    .dim { fill: #7b8698; }
    .typed { fill: #a3e08b; }
  </style>
  <rect width="${width}" height="${height}" rx="8" fill="#1b2028"/>
${rows.join("\n")}
</svg>
`;
}
