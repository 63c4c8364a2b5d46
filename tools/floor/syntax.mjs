/** Finds JavaScript syntax newer than the floor. The type checker finds newer APIs, see lib.mjs. */

import { createRequire } from "node:module";

import { data, features, lacking } from "./support.mjs";

const { parse } = createRequire(new URL("../../frontend/package.json", import.meta.url))("acorn");

const EDITION = 2022; // of ECMAScript: the newest that the floor supports, except for FORBIDDEN
const CLASSIC = 5; // for the script that must run in every browser

// In that edition, but newer than the floor. Regular expressions may be in strings too.
/** @type {Record<string, (node: any) => boolean>} */
const FORBIDDEN = {
  "classes.static.initialization_blocks": (node) => node.type === "StaticBlock",
  "regular_expressions.lookbehind_assertion": (node) =>
    node.type === "Literal" && /\(\?<[=!]/.test(node.regex?.pattern ?? String(node.value)),
  "operators.await.top_level": (node) =>
    node.type === "Program" && node.body.some((/** @type {any} */ part) => part.expression?.type === "AwaitExpression"),
  "operators.import_meta.resolve": (node) => node.type === "MetaProperty" && node.meta.name === "import",
};

// Not in that edition, so the parser rejects it, or not something that a script of the page could contain.
const REJECTED = [
  /^operators\.import\./,
  /^statements\.(await_using|using)/,
  /^statements\.import\./,
  /^grammar\.trailing_commas\.trailing_commas_in_dynamic_import$/,
  /^regular_expressions\.(buffer_boundary_assertion|modifier|named_capturing_group\.duplicate_named_capturing_groups)$/,
];

/**
 * @param {string} text of a script
 * @param {boolean} classic whether every browser must be able to parse it
 * @returns {Generator<{ feature: string, line: number, lacks: string }>}
 */
export function* newerSyntax(text, classic) {
  const tree = parse(text, {
    ecmaVersion: classic ? CLASSIC : EDITION,
    sourceType: classic ? "script" : "module",
    locations: true,
  });
  for (const node of nodesOf(tree)) {
    for (const [feature, isUsed] of Object.entries(FORBIDDEN)) {
      if (isUsed(node)) yield { feature, line: node.loc.start.line, lacks: "the floor" };
    }
  }
}

/** Syntax that the data lists as newer than the floor, and that this module has no check for. */
export function unknownSyntax() {
  const parts = ["operators", "statements", "functions", "classes", "grammar", "regular_expressions"];
  const all = parts.flatMap((part) => Array.from(features(data["javascript"][part], [part])));
  const newer = all.filter(([, node]) => lacking(node) !== null).map(([path]) => path);
  return newer.filter((path) => !(path in FORBIDDEN) && !REJECTED.some((pattern) => pattern.test(path)));
}

/**
 * @param {any} node from acorn
 * @returns {Generator<any>}
 */
function* nodesOf(node) {
  if (typeof node?.type === "string") yield node;
  for (const child of Object.values(node)) {
    if (child && typeof child === "object" && !(child instanceof RegExp)) yield* nodesOf(child);
  }
}
