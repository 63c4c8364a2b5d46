/** Finds HTML features newer than the floor. */

import { data, lacking } from "./support.mjs";

/** @import { Node } from "./support.mjs" */

const { elements, global_attributes: globals } = data["html"];
const TAG = /<([a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*>/g;
const ATTRIBUTE = /([a-z-]+)(?:="([^"]*)")?/g;

/**
 * @param {string} text
 * @returns {Generator<{ feature: string, line: number, lacks: string }>}
 */
export function* newerMarkup(text) {
  for (const { 0: tag, 1: name = "", 2: attributes = "", index } of text.matchAll(TAG)) {
    const line = text.slice(0, index).split("\n").length;
    for (const [feature, node] of [[`<${name}>`, elements[name]], ...attributeFeatures(name, attributes)]) {
      const lacks = lacking(node);
      if (lacks) yield { feature, line: line + tag.slice(0, tag.indexOf(attributes)).split("\n").length - 1, lacks };
    }
  }
}

/**
 * @param {string} element
 * @param {string} attributes
 * @returns {[string, Node | undefined][]}
 */
function attributeFeatures(element, attributes) {
  return Array.from(attributes.matchAll(ATTRIBUTE)).flatMap(([, name = "", value = ""]) => {
    const node = elements[element]?.[name] ?? globals[name];
    return [
      [`<${element} ${name}>`, node],
      [`<${element} ${name}="${value}">`, node?.[value]],
    ];
  });
}
