/** The composer: the form a message is written in, with its counter, its errors and its button. */

import { element, setText } from "./elements.js";
import { payLabel } from "./format.js";
import { authorProblem, countCodePoints, textProblem } from "./text.js";

/** @import { BoardInfo, FieldError } from "./types" */

const NEAR_LIMIT = 50; // from here on the counter stands out

/**
 * Why the button can't be pressed now; it can when nothing of this holds.
 *
 * @typedef {"sending" | "held" | "limited"} Hold
 */

/** The form. It keeps no draft of its own: what is typed is told, what is to stand there is set. */
export class Composer {
  #form = element("composer", HTMLFormElement);
  #text = element("message-text", HTMLTextAreaElement);
  #author = element("author", HTMLInputElement);
  #counter = element("counter", HTMLOutputElement);
  #pay = element("pay", HTMLButtonElement);
  #errors = {
    text: element("text-error", HTMLElement),
    author: element("author-error", HTMLElement),
  };
  /** @type {BoardInfo | null} */
  #info = null;
  /** @type {Set<Hold>} */
  #holds = new Set();

  /**
   * @param {object} options
   * @param {(typed: { text: string, author: string }) => void} options.onInput
   * @param {() => void} options.onSubmit the form is fine as far as the page can tell
   */
  constructor({ onInput, onSubmit }) {
    this.#form.addEventListener("input", () => {
      onInput({ text: this.#text.value, author: this.#author.value });
      this.#showErrors({ onlyMended: true });
      this.#count();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(onSubmit);
    });
    this.#text.addEventListener("keydown", (event) => {
      // While an input method composes, Enter belongs to it.
      if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
  }

  /** @param {BoardInfo} info price and limits */
  configure(info) {
    this.#info = info;
    this.#count();
    this.#draw();
  }

  /**
   * Shows a draft.
   *
   * @param {{ text: string, author: string }} draft
   */
  fill({ text, author }) {
    if (this.#text.value !== text) this.#text.value = text;
    if (this.#author.value !== author) this.#author.value = author;
    this.#showErrors({ onlyMended: true });
    this.#count();
  }

  /**
   * Takes the button away for a reason, or gives it back.
   *
   * @param {Hold} reason
   * @param {boolean} on
   */
  hold(reason, on) {
    if (on) this.#holds.add(reason);
    else this.#holds.delete(reason);
    this.#draw();
  }

  /** Whether the writer is at it, so that the focus must not be taken away. */
  get focused() {
    return document.activeElement === this.#text || document.activeElement === this.#author;
  }

  focus() {
    this.#text.focus();
  }

  /**
   * Shows what the server refused, at its field.
   *
   * @param {FieldError[]} errors
   * @returns {boolean} false when none of them is about a field of this form
   */
  showServerErrors(errors) {
    const known = errors.filter(({ field }) => fieldName(field) !== null).reverse();
    for (const { field, message } of known) {
      const name = fieldName(field) ?? "text";
      this.#showError(name, message);
      this.#field(name).focus();
    }
    return known.length > 0;
  }

  /** @param {() => void} onSubmit */
  #submit(onSubmit) {
    if (this.#holds.size > 0 || !this.#info) return;
    this.#showErrors({ onlyMended: false });
    const wrong = /** @type {const} */ (["text", "author"]).find((name) => !this.#errors[name].hidden);
    if (wrong) this.#field(wrong).focus();
    else onSubmit();
  }

  /** @param {{ onlyMended: boolean }} options `onlyMended`: take errors away while typing, but bring up no new ones */
  #showErrors({ onlyMended }) {
    const problems = this.#problems();
    for (const name of /** @type {const} */ (["text", "author"])) {
      if (!onlyMended || problems[name] === null) this.#showError(name, problems[name]);
      else if (!this.#errors[name].hidden) this.#showError(name, problems[name]);
    }
  }

  #problems() {
    const { max_text_length = Infinity, max_author_length = Infinity } = this.#info ?? {};
    return {
      text: textProblem(this.#text.value, max_text_length),
      author: authorProblem(this.#author.value, max_author_length),
    };
  }

  /**
   * @param {"text" | "author"} name
   * @param {string | null} problem
   */
  #showError(name, problem) {
    setText(this.#errors[name], problem ?? "");
    this.#errors[name].hidden = problem === null;
    this.#field(name).ariaInvalid = problem === null ? null : "true";
  }

  #count() {
    if (!this.#info) return;
    const count = countCodePoints(this.#text.value);
    const max = this.#info.max_text_length;
    setText(this.#counter, `${count}/${max}`);
    this.#counter.dataset["level"] = count > max ? "over" : count > max - NEAR_LIMIT ? "near" : "fine";
  }

  #draw() {
    const sending = this.#holds.has("sending");
    if (this.#info) setText(this.#pay, sending ? "Opening checkout…" : payLabel(this.#info.price, this.#info.tax_behavior));
    this.#pay.disabled = !this.#info || this.#holds.size > 0;
    this.#form.ariaBusy = String(sending);
  }

  /** @param {"text" | "author"} name */
  #field(name) {
    return name === "text" ? this.#text : this.#author;
  }
}

/**
 * @param {string} field as the server names it: the last part of a path such as `body.text`
 * @returns {"text" | "author" | null}
 */
function fieldName(field) {
  const name = field.split(/[./]/).at(-1);
  return name === "text" || name === "author" ? name : null;
}
