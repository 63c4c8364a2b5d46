/** The payment card: shows a buyer the state of the payment. */

import { onClick, part, setText } from "../ui/page.js";

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
