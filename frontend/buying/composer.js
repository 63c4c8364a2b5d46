/** What stands at the end of the page: the form for writing a message, and the card with the state of the payment. */

import { onClick, part, setText } from "../ui/elements.js";
import { payLabel } from "../ui/format.js";
import { authorProblem, countCodePoints, textProblem } from "./text.js";

const NEAR_LIMIT = 50; // code points left when the counter starts to stand out
const FIELDS = /** @type {const} */ (["text", "author"]);

/** The form. It does not keep the draft: `onInput` reports what is typed, and `fill` sets it. */
export class Composer {
  #form = part("#composer", HTMLFormElement);
  #fields = { text: part("#message-text", HTMLTextAreaElement), author: part("#author", HTMLInputElement) };
  #errors = { text: part("#text-error", HTMLElement), author: part("#author-error", HTMLElement) };
  #counter = part("#counter", HTMLOutputElement);
  #pay = part("#pay", HTMLButtonElement);
  /** @type {BoardInfo | null} */
  #info = null;
  /** @type {Set<Hold>} */
  #holds = new Set();

  /** @param {ComposerParts} parts */
  constructor({ onInput, onSubmit }) {
    this.#form.addEventListener("input", () => {
      onInput({ text: this.#fields.text.value, author: this.#fields.author.value });
      this.#look();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#holds.size === 0 && this.#info && this.#isFine()) onSubmit();
    });
    this.#fields.text.addEventListener("keydown", (event) => {
      // While an input method is composing, Enter confirms its text.
      if (event.key !== "Enter" || event.isComposing || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
  }

  /** @param {BoardInfo} info price and limits */
  configure(info) {
    this.#info = info;
    this.#look();
    this.#draw();
  }

  /** @param {{ text: string, author: string }} draft to show */
  fill(draft) {
    for (const name of FIELDS) {
      if (this.#fields[name].value !== draft[name]) this.#fields[name].value = draft[name];
    }
    this.#look();
  }

  /**
   * Disables the button for a reason, or removes that reason.
   *
   * @param {Hold} reason
   * @param {boolean} on
   */
  hold(reason, on) {
    if (on) this.#holds.add(reason);
    else this.#holds.delete(reason);
    this.#draw();
  }

  /** Whether the user is writing, so that the focus must not move. */
  get focused() {
    return FIELDS.some((name) => document.activeElement === this.#fields[name]);
  }

  focus() {
    this.#fields.text.focus();
  }

  /**
   * Shows the server's errors beside their fields.
   *
   * @param {FieldError[]} errors
   * @returns {boolean} false if none is about a field of this form
   */
  showErrors(errors) {
    const known = FIELDS.filter((name) => {
      const error = errors.find(({ field }) => field.split(/[./]/).at(-1) === name); // `text`, or a path to it
      if (error) this.#showError(name, error.message);
      return error;
    });
    if (known[0]) this.#fields[known[0]].focus();
    return known.length > 0;
  }

  #isFine() {
    const problems = this.#problems();
    for (const name of FIELDS) this.#showError(name, problems[name]);
    const wrong = FIELDS.find((name) => problems[name] !== null);
    if (wrong) this.#fields[wrong].focus();
    return !wrong;
  }

  /** Updates the counter, and updates or hides errors; no new errors appear while typing. */
  #look() {
    const problems = this.#problems();
    for (const name of FIELDS) if (!this.#errors[name].hidden) this.#showError(name, problems[name]);
    const count = countCodePoints(this.#fields.text.value);
    const max = this.#info?.max_text_length;
    if (max === undefined) return;
    setText(this.#counter, `${count}/${max}`);
    this.#counter.dataset["level"] = count > max ? "over" : count > max - NEAR_LIMIT ? "near" : "fine";
  }

  #problems() {
    const { max_text_length = Infinity, max_author_length = Infinity } = this.#info ?? {};
    return {
      text: textProblem(this.#fields.text.value, max_text_length),
      author: authorProblem(this.#fields.author.value, max_author_length),
    };
  }

  /**
   * @param {"text" | "author"} name
   * @param {string | null} problem
   */
  #showError(name, problem) {
    setText(this.#errors[name], problem ?? "");
    this.#errors[name].hidden = problem === null;
    if (problem === null) this.#fields[name].removeAttribute("aria-invalid");
    else this.#fields[name].setAttribute("aria-invalid", "true");
  }

  #draw() {
    const sending = this.#holds.has("sending");
    const { price, tax_behavior } = this.#info ?? {};
    if (price) setText(this.#pay, sending ? "Opening checkout…" : payLabel(price, tax_behavior ?? null));
    this.#pay.disabled = !price || this.#holds.size > 0;
    this.#form.setAttribute("aria-busy", String(sending));
  }
}

/** @type {Action[]} */
const ACTIONS = ["show", "copy", "retry", "dismiss"];

/** Draws the card that payment.js describes. */
export class PaymentCard {
  #card = part("#payment-card", HTMLElement);
  #title = part("#payment-title", HTMLElement);
  #text = part("#payment-text", HTMLElement);
  #buttons;
  #announce;

  /** @param {CardParts} parts */
  constructor({ onAction, announce }) {
    this.#announce = announce;
    this.#buttons = ACTIONS.map((action) => ({
      action,
      button: onClick(`[data-action="${action}"]`, () => onAction(action), this.#card),
    }));
  }

  /** @param {Card | null} card */
  render(card) {
    this.#card.hidden = card === null;
    const { status = "", tone = "", title = "", text = "", actions = [] } = card ?? {};
    const changed = this.#title.textContent !== title;
    this.#card.dataset["status"] = status;
    this.#card.dataset["tone"] = tone;
    setText(this.#title, title);
    setText(this.#text, text);
    for (const { action, button } of this.#buttons) button.hidden = !actions.includes(action);
    if (card && changed) this.#announce(`${title}. ${text}`);
  }
}
