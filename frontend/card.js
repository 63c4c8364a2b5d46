/** The payment card: tells a buyer how the payment stands. */

import { element, part, setText } from "./elements.js";

/** @import { Action, Card } from "./payment.js" */

/** Draws what payment.js has to say. */
export class PaymentCard {
  #card = element("payment-card", HTMLElement);
  #title = element("payment-title", HTMLElement);
  #text = element("payment-text", HTMLElement);
  #onShown;

  /**
   * @param {object} options
   * @param {(action: Action) => void} options.onAction
   * @param {(words: string) => void} options.onShown other words than before are shown; to be announced
   */
  constructor({ onAction, onShown }) {
    this.#onShown = onShown;
    for (const action of ACTIONS) this.#button(action).addEventListener("click", () => onAction(action));
  }

  /** @param {Card | null} card */
  render(card) {
    this.#card.hidden = card === null;
    if (!card) {
      delete this.#card.dataset["status"];
      setText(this.#title, "");
      return;
    }
    const changed = this.#title.textContent !== card.title;
    this.#card.dataset["status"] = card.status;
    this.#card.dataset["tone"] = card.tone;
    setText(this.#title, card.title);
    setText(this.#text, card.text);
    for (const action of ACTIONS) this.#button(action).hidden = !card.actions.includes(action);
    if (changed) this.#onShown(`${card.title}. ${card.text}`);
  }

  /** @param {Action} action */
  #button(action) {
    return part(this.#card, `[data-action="${action}"]`, HTMLButtonElement);
  }
}

/** @type {Action[]} */
const ACTIONS = ["show", "copy", "retry", "dismiss"];
