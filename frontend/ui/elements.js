/** Finds elements of the page by selector, and checks their class. */

/**
 * @template {Element} T
 * @param {string} selector
 * @param {new () => T} kind the class that it must have
 * @param {ParentNode} [parent]
 * @returns {T}
 */
export function part(selector, kind, parent = document) {
  const found = parent.querySelector(selector);
  if (!(found instanceof kind)) throw new TypeError(`the page has no ${kind.name} ${selector}`);
  return found;
}

/**
 * @param {string} selector
 * @param {() => void} act
 * @param {ParentNode} [parent]
 */
export function onClick(selector, act, parent) {
  const button = part(selector, HTMLButtonElement, parent);
  button.addEventListener("click", act);
  return button;
}

/**
 * A fresh copy of the one element in a `<template>`.
 *
 * @param {string} selector
 */
export function copyOf(selector) {
  return part("li", HTMLLIElement, document.importNode(part(selector, HTMLTemplateElement).content, true));
}

/**
 * Sets the text only if it differs, so that nothing is repainted or announced twice.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
