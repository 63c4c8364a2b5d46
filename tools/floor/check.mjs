/**
 * Checks that everything sent to browsers works in the oldest supported ones:
 *
 *     node tools/floor/check.mjs && (cd frontend && npx tsc -p tsconfig.floor.json)
 *
 * The first finds newer syntax, styles and markup, and writes the declarations with which the second finds newer calls.
 * Neither sees options, events and attributes that are named in strings.
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
const FOLDERS = ["frontend", "src/paidchat/sandbox/pages/static", "src/paidchat/sandbox/pages/templates"];
const CLASSIC = "frontend/floor.js";

// What is newer and used all the same, with what happens in browsers that lack it.
/** @type {Record<string, Record<string, string>>} */
const ALLOWED = {
  "frontend/index.html": {
    '<meta name="viewport">': "only phones and tablets need it, and all of them know it",
    '<meta name="theme-color">': "the browser keeps its own colours",
    '<link rel="modulepreload">': "modules load one after the other",
  },
  "frontend/style.css": {
    "overflow-anchor": "it only turns off what the others don't do",
    "overflow-anchor: none": "the same",
    "text-size-adjust": "stands beside its prefixed form",
    dvh: "stands behind vh",
    "color-mix()": "no change of colour under the pointer",
    "box-decoration-break": "stands beside its prefixed form",
    "content: … / …": "stands behind the same without words for it",
    "field-sizing": "the text box scrolls instead of growing",
    "field-sizing: content": "the same",
    ":has": "the test cards stay in sight on a phone",
    "forced-color-adjust": "the sign takes the system's colours",
    "forced-color-adjust: none": "the same",
  },
  "src/paidchat/sandbox/pages/static/panel.css": {
    "color-mix()": "the ground stays plain",
  },
  "src/paidchat/sandbox/pages/templates/page.html": {
    '<meta name="viewport">': "only phones and tablets need it, and all of them know it",
  },
  "src/paidchat/sandbox/pages/templates/panel_frame.html": {
    '<meta name="viewport">': "only phones and tablets need it, and all of them know it",
  },
};

mkdirSync(LIB, { recursive: true });
writeFileSync(join(LIB, "lib.d.ts"), floorLib());

const complaints = unknownSyntax().map((path) => `tools/floor/syntax.mjs can't find ${path}, which the data has as too new`);
for (const [kind, samples] of Object.entries(SAMPLES)) {
  const missed = samples.filter((sample) => !isFound(`sample.${kind}`, sample));
  complaints.push(...missed.map((sample) => `tools/floor can't find how new this is: ${sample}`));
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
 * @param {string} text what it holds
 */
function newer(file, text) {
  if (file.endsWith(".css")) return newerStyles(text);
  return file.endsWith(".js") ? newerSyntax(text, file === CLASSIC) : newerMarkup(text);
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
