/** Finds CSS features newer than the floor. */

import { createRequire } from "node:module";

import { data, lacking } from "./support.mjs";

/** @import { Node } from "./support.mjs" */

const { parse, walk } = createRequire(new URL("../../frontend/package.json", import.meta.url))("css-tree");
const { properties, selectors, types } = data["css"];
const atRules = data["css"]["at-rules"];
const TYPES = Object.values(types).filter((type) => type && typeof type === "object");
const VIEWPORT_UNITS = { d: "dynamic", l: "large", s: "small" };

/**
 * @param {string} text of a style sheet
 * @returns {Generator<{ feature: string, line: number, lacks: string }>}
 */
export function* newerStyles(text) {
  /** @type {[string, Node | undefined, number][]} */
  const used = [];
  const tree = parse(text, {
    positions: true,
    parseCustomProperty: true,
    onParseError: (/** @type {Error} */ error) => {
      throw error;
    },
  });
  walk(tree, function (/** @type {any} */ node) {
    const line = node.loc?.start.line ?? 0;
    // @ts-expect-error: the walker's own `this`
    for (const [feature, found] of featuresOf(node, this)) used.push([feature, found, line]);
  });
  for (const [feature, found, line] of used) {
    const lacks = lacking(found);
    if (lacks) yield { feature, line, lacks };
  }
}

/**
 * @param {any} node from css-tree
 * @param {{ declaration: any, rule: any }} context
 * @returns {[string, Node | undefined][]}
 */
function featuresOf(node, { declaration, rule }) {
  const property = properties[declaration?.property];
  switch (node.type) {
    case "Declaration":
      return [[node.property, properties[node.property]]];
    case "Identifier":
      return declaration ? [[`${declaration.property}: ${node.name}`, property?.[node.name]]] : [];
    case "Function":
      return functions(node.name, property).map((found) => [`${node.name}()`, found]);
    case "Dimension":
      return [[node.unit, unit(node.unit)]];
    case "Operator":
      return node.value === "/" && declaration?.property === "content" ? [["content: … / …", property.alt_text]] : [];
    case "Atrule":
      return [[`@${node.name}`, atRules[node.name]]];
    case "Feature":
      return [[`@media (${node.name})`, atRules.media[node.name]]];
    case "FeatureRange":
      return [["@media (… < …)", atRules.media.range_syntax]];
    case "PseudoClassSelector":
    case "PseudoElementSelector":
      return [[`:${node.name}`, selectors[node.name]]];
    case "Rule":
      return rule && rule !== node ? [["nested rules", selectors.nesting]] : [];
    default:
      return [];
  }
}

/**
 * @param {string} name
 * @param {Node | undefined} property where it is used
 * @returns {Node[]}
 */
function functions(name, property) {
  const names = [name, `${name}_function`];
  return names.flatMap((key) => [types[key], property?.[key], ...TYPES.map((type) => type[key])]).filter(Boolean);
}

/** @param {string} name such as "dvh" */
function unit(name) {
  const [, size = ""] = /^([dls])v(?:h|w|i|b|min|max)$/.exec(name) ?? [];
  if (size) return types.length[`viewport_percentage_units_${VIEWPORT_UNITS[/** @type {"d"} */ (size)]}`];
  return name.startsWith("cq") ? types.length.container_query_length_units : types.length[name];
}
