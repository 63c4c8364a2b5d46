/**
 * Checks that everything sent to browsers works in the oldest supported ones (the "floor"):
 *
 *     node tools/floor/check.mjs && (cd frontend && npx tsc -p tsconfig.floor.json)
 *
 * The first command finds newer syntax, styles and markup, and writes the type declarations with which the second finds
 * newer APIs. Neither finds options, events and attributes that are named in strings.
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import { floorLib } from "./lib.mjs";
import { newerMarkup } from "./markup.mjs";
import { SAMPLES } from "./samples.mjs";
import { newerStyles } from "./styles.mjs";
import { newerSyntax, unknownSyntax } from "./syntax.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const LIB = join(ROOT, "frontend/node_modules/.floor");
const FOLDERS = [
  ...["", "/ui", "/feed", "/reading", "/buying", "/overlay"].map((folder) => `frontend${folder}`),
  "src/paidchat/pages/templates",
  "src/paidchat/sandbox/pages/static",
  "src/paidchat/sandbox/pages/templates",
];
const CLASSIC = "frontend/floor.js";

// Newer features that we use all the same, each with what happens in browsers without it.
/** @type {Record<string, Record<string, string>>} */
const ALLOWED = {
  "src/paidchat/pages/templates/head.html": {
    '<meta name="viewport">': "only phones and tablets need it, and all of them support it",
    '<meta name="theme-color">': "the browser keeps its own colours",
    '<link rel="manifest">': "the board can't be installed",
  },
  "src/paidchat/pages/templates/board.html": {
    '<link rel="modulepreload">': "modules load one after the other",
  },
  "frontend/style.css": {
    "overflow-anchor": "turns off something that the other browsers don't do",
    "overflow-anchor: none": "the same",
    "text-size-adjust": "used beside its prefixed form",
    dvh: "overrides vh where supported",
    "color-mix()": "the colour doesn't change on hover",
    "box-decoration-break": "used beside its prefixed form",
    "content: … / …": "overrides the same without alternative text where supported",
    "field-sizing": "the text box scrolls instead of growing",
    "field-sizing: content": "the same",
    "scrollbar-width": "used beside ::-webkit-scrollbar",
    "scrollbar-width: none": "the same",
    ":-webkit-scrollbar": "used beside scrollbar-width",
    ":has": "the test cards stay visible on a phone",
    "forced-color-adjust": "the sign takes the system's colours",
    "forced-color-adjust: none": "the same",
  },
  "src/paidchat/pages/templates/overlay.html": {
    '<meta name="viewport">': "only phones and tablets need it, and all of them support it",
    '<link rel="modulepreload">': "modules load one after the other",
  },
  "src/paidchat/sandbox/pages/static/panel.css": {
    "color-mix()": "the background stays plain",
  },
  "src/paidchat/sandbox/pages/templates/page.html": {
    '<meta name="viewport">': "only phones and tablets need it, and all of them support it",
  },
  "src/paidchat/sandbox/pages/templates/panel_frame.html": {
    '<meta name="viewport">': "only phones and tablets need it, and all of them support it",
  },
};

mkdirSync(LIB, { recursive: true });
writeFileSync(join(LIB, "lib.d.ts"), floorLib());

const complaints = unknownSyntax().map((path) => `tools/floor/syntax.mjs can't find ${path}, which is too new by MDN's data`);
for (const [kind, samples] of Object.entries(SAMPLES)) {
  const missed = samples.filter((sample) => !isFound(`sample.${kind}`, sample));
  complaints.push(...missed.map((sample) => `tools/floor does not find that this is too new: ${sample}`));
}
for (const file of files()) {
  const unused = new Set(Object.keys(ALLOWED[file] ?? {}));
  for (const { feature, line, lacks } of newer(file, readFileSync(join(ROOT, file), "utf-8"))) {
    if (!unused.delete(feature) && !ALLOWED[file]?.[feature]) complaints.push(`${file}:${line}: ${feature} is not in ${lacks}`);
  }
  for (const feature of unused) complaints.push(`tools/floor/check.mjs allows ${feature} in ${file}, which no longer uses it`);
}
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length > 0 ? 1 : 0);

function files() {
  const all = FOLDERS.flatMap((folder) => readdirSync(join(ROOT, folder)).map((name) => join(ROOT, folder, name)));
  return all.map((path) => relative(ROOT, path)).filter((path) => /\.(html|css|js)$/.test(path));
}

/**
 * @param {string} file
 * @param {string} text its content
 */
function newer(file, text) {
  if (file.endsWith(".css")) return newerStyles(text);
  return file.endsWith(".js") ? newerSyntax(text, file === CLASSIC) : newerMarkup(withoutJinja(text));
}

/** @param {string} text a template, whose tags and expressions become blank, or a page without any */
function withoutJinja(text) {
  return text.replace(/\{[{%#][^]*?[}%#]\}/g, (found) => found.replace(/[^\n]/g, " "));
}

/**
 * @param {string} file
 * @param {string} text
 */
function isFound(file, text) {
  try {
    return Array.from(newer(file, text)).length > 0;
  } catch {
    return true; // the parser refused it
  }
}
