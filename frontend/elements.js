/** The elements of index.html, found by id and checked by kind. */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind the class it must be of
 * @returns {T}
 */
export function element(id, kind) {
  return checked(document.getElementById(id), kind, `#${id}`);
}

/**
 * @template {Element} T
 * @param {ParentNode} parent
 * @param {string} selector
 * @param {new () => T} kind the class it must be of
 * @returns {T}
 */
export function part(parent, selector, kind) {
  return checked(parent.querySelector(selector), kind, selector);
}

/**
 * A fresh copy of the one element in a `<template>`.
 *
 * @param {HTMLTemplateElement} template
 * @returns {HTMLElement}
 */
export function copyOf(template) {
  const copy = document.importNode(template.content, true);
  return checked(copy.firstElementChild, HTMLElement, "template");
}

/**
 * Sets the text only when it differs, so that nothing is repainted or announced twice.
 *
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * @template {Element} T
 * @param {Element | null} found
 * @param {new () => T} kind
 * @param {string} name
 * @returns {T}
 */
function checked(found, kind, name) {
  if (!(found instanceof kind)) throw new TypeError(`index.html has no ${kind.name} ${name}`);
  return found;
}
