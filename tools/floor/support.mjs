/** The oldest browsers that the page works in, and what they support by MDN's browser-compat-data. */

import { readFileSync } from "node:fs";

/** @type {Record<string, number>} */
export const FLOOR = { chrome: 105, firefox: 115, safari: 16 };

/**
 * A node of the data: features by name, and `__compat` if the node is itself a feature.
 *
 * @typedef {{ __compat?: { support: Record<string, Statement | Statement[]>, status?: { deprecated: boolean } } }} Compat
 * @typedef {Compat & { [feature: string]: any }} Node
 * @typedef {{ version_added: string | false | null, version_removed?: string, flags?: object[], prefix?: string,
 *   alternative_name?: string, partial_implementation?: boolean }} Statement
 */

const DATA = new URL("../../frontend/node_modules/@mdn/browser-compat-data/data.json", import.meta.url);

/** @type {Node} */
export const data = JSON.parse(readFileSync(DATA, "utf-8"));

/**
 * Where a feature is missing, in words: in browsers of the floor, or over plain HTTP. Null if it is available everywhere,
 * or not in the data.
 *
 * @param {Node | undefined} node
 * @returns {string | null}
 */
export function lacking(node) {
  if (!node?.__compat) return null;
  const { support } = node.__compat;
  const missing = Object.entries(FLOOR).filter(([browser, floor]) => !has([support[browser] ?? []].flat(), floor));
  const names = missing.map(([browser, floor]) => `${browser} ${floor}`);
  if (node["secure_context_required"]) names.push("plain HTTP");
  return names.join(", ") || null;
}

/**
 * Every feature below a node, with its path.
 *
 * @param {Node} node
 * @param {string[]} [path]
 * @returns {Generator<[string, Node]>}
 */
export function* features(node, path = []) {
  if (node.__compat) yield [path.join("."), node];
  for (const [name, child] of Object.entries(node)) {
    if (name !== "__compat") yield* features(child, [...path, name]);
  }
}

/**
 * @param {Statement[]} statements what a browser supports, and since when
 * @param {number} floor
 */
function has(statements, floor) {
  return statements.some(
    ({ version_added: added, version_removed: removed, flags, prefix, alternative_name: otherName }) =>
      !flags && !prefix && !otherName && version(added) <= floor && !(version(removed) <= floor),
  );
}

/** @param {string | false | null | undefined} added such as "16.4", "≤37" or "preview" */
function version(added) {
  return Number.parseFloat((added || "").replace("≤", "")) || Infinity;
}
