/** What stands at the end of the page: the form, the card with the state of the payment, and the list of what was bought. */

import { copyOf, onClick, part, setText } from "../ui/page.js";
import { formatDuration, formatPrice, payLabel, say } from "../ui/format.js";
import { differ, excerpt } from "./payment.js";
import { authorProblem, clean, countCodePoints, textProblem } from "./text.js";

const NEAR_LIMIT = 50; // code points left when the counter starts to stand out
const FIELDS = /** @type {const} */ (["text", "author"]);
const MOST_PINNED = 20; // messages on top at once, as the server shows them

/** The form. It does not keep the draft: `onInput` reports what is typed, and `fill` sets it. */
export class Composer {
  #form = part("#composer", HTMLFormElement);
  #fields = { text: part("#message-text", HTMLTextAreaElement), author: part("#author", HTMLInputElement) };
  #errors = { text: part("#text-error", HTMLElement), author: part("#author-error", HTMLElement) };
  #counter = part("#counter", HTMLOutputElement);
  #amounts = part("#amounts", HTMLFieldSetElement);
  #pinsNote = part("#pins-note", HTMLElement);
  #pay = part("#pay", HTMLButtonElement);
  #reason = part("#pay-reason", HTMLElement);
  /** @type {BoardInfo | null} */
  #info = null;
  /** @type {number | null} */
  #amount = null; // null for the lowest
  /** @type {Set<Hold>} */
  #holds = new Set();
  #readPins;
  #grows = CSS.supports("field-sizing", "content"); // not in WebKit, and not in older Firefox

  /** @param {ComposerParts} parts */
  constructor({ onInput, onSubmit, readPins }) {
    this.#readPins = readPins;
    this.#form.addEventListener("input", () => {
      this.#choose(this.#chosen());
      onInput({ ...this.#typed(), amount: this.#amount });
      this.#look();
    });
    for (const type of ["focusin", "focusout"]) this.#form.addEventListener(type, () => setTimeout(() => this.#rest()));
    part(".dock", HTMLElement).addEventListener("click", (event) => this.#keepFocus(event.target));
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
    if (this.#info && differ(info.price, this.#info.price)) this.#drawAmounts(info.price); // the document came with the first
    this.#info = info;
    setText(part("#payee", HTMLElement), info.title);
    const { contact } = info;
    showLink("#terms", info.terms_url);
    showLink("#privacy", info.privacy_url);
    showLink("#contact", contact && !contact.includes("://") ? `mailto:${contact}` : contact);
    this.#choose(this.#amount);
    this.#look();
  }

  /** @param {Typed} draft to show */
  fill(draft) {
    for (const name of FIELDS) {
      if (this.#fields[name].value !== draft[name]) this.#fields[name].value = draft[name];
    }
    this.#choose(draft.amount);
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

  /**
   * What the user put into the form that the server drew.
   *
   * @returns {Typed} an amount that the user has not touched is null
   */
  get written() {
    const checked = this.#checked();
    return { ...this.#typed(), amount: checked && !checked.defaultChecked ? Number(checked.value) : null };
  }

  /** @param {Typed} written what is empty leaves the form as it is */
  write({ amount, ...typed }) {
    const filled = FIELDS.filter((name) => typed[name]);
    for (const name of filled) this.#fields[name].value = typed[name];
    if (amount !== null) this.#choose(amount);
    if (filled.length > 0 || amount !== null) this.#form.dispatchEvent(new Event("input"));
  }

  #typed() {
    return { text: this.#fields.text.value, author: this.#fields.author.value };
  }

  /** @returns {HTMLInputElement | null} */
  #checked() {
    return this.#amounts.querySelector("input:checked");
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
    const problems = this.#problems(); // in the page's language, if it knows the rule
    const known = FIELDS.filter((name) => {
      const error = errors.find(({ field }) => field.split(/[./]/).at(-1) === name); // `text`, or a path to it
      if (error) this.#showError(name, problems[name] ?? error.message);
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
    this.#grow();
    this.#rest();
    const problems = this.#problems();
    for (const name of FIELDS) if (!this.#errors[name].hidden) this.#showError(name, problems[name]);
    const count = countCodePoints(this.#fields.text.value);
    const max = this.#info?.max_text_length;
    if (max === undefined) return;
    setText(this.#counter, `${count}/${max}`);
    this.#counter.dataset["level"] = count > max ? "over" : count > max - NEAR_LIMIT ? "near" : "fine";
  }

  /** On a small screen the form is one line while nobody writes. */
  #rest() {
    const isIdle = this.#fields.text.value === "" && !this.#form.contains(document.activeElement);
    this.#form.dataset["idle"] = String(isIdle);
  }

  /** Makes the text box as high as its text, where style.css can't. */
  #grow() {
    if (this.#grows) return;
    const { text } = this.#fields;
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  }

  /**
   * A button that is hidden by its own click (Dismiss) passes the focus on to the form; not to a field, which would bring up
   * a phone's keyboard.
   *
   * @param {EventTarget | null} clicked
   */
  #keepFocus(clicked) {
    const button = clicked instanceof Element && clicked.closest("button");
    if (!button || button.getClientRects().length > 0) return;
    if ([button, document.body].includes(/** @type {HTMLButtonElement} */ (document.activeElement))) this.#form.focus();
  }

  /** @param {BoardInfo["price"]} price other than the document's */
  #drawAmounts({ tiers, currency }) {
    const chips = tiers.map(({ amount, pinned_seconds }) => {
      const chip = copyOf("#amount-template");
      part("input", HTMLInputElement, chip).value = String(amount);
      setText(part(".price", HTMLElement, chip), formatPrice(amount, currency));
      const buys = pinned_seconds === 0 ? say("on the board") : say("{time} on top", { time: formatDuration(pinned_seconds) });
      setText(part(".buys", HTMLElement, chip), `, ${buys}`);
      return chip;
    });
    part("ol", HTMLOListElement, this.#amounts).replaceChildren(...chips);
    this.#amounts.hidden = tiers.length < 2;
  }

  /** @returns {number | null} the amount chosen in the form; null for the lowest */
  #chosen() {
    const { tiers } = this.#info?.price ?? {};
    const checked = this.#checked();
    if (!tiers || !checked) return this.#amount;
    const amount = Number(checked.value);
    return amount === tiers[0]?.amount ? null : amount;
  }

  /** @param {number | null} amount */
  #choose(amount) {
    const isNew = amount !== this.#amount;
    this.#amount = amount;
    const { price } = this.#info ?? {};
    const value = String(amount ?? price?.amount);
    for (const input of this.#amounts.querySelectorAll("input")) input.checked = input.value === value;
    if (isNew) void this.#notePins();
    this.#draw();
  }

  /** Says what an amount buys if as many messages are pinned as are shown. */
  async #notePins() {
    setText(this.#pinsNote, "");
    const [amount, price] = [this.#amount, this.#info?.price];
    if (amount === null || !price?.tiers.some((tier) => tier.amount === amount && tier.pinned_seconds > 0)) return;
    const pins = await this.#readPins().catch(() => null); // it can be bought without
    if (pins && amount === this.#amount) setText(this.#pinsNote, pinsNote(pins, { ...price, amount }));
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
    const { price, tax_behavior = null } = this.#info ?? {};
    const chosen = price && { ...price, amount: this.#amount ?? price.amount };
    if (chosen) setText(this.#pay, sending ? say("Opening checkout…") : payLabel(chosen, tax_behavior));
    this.#pay.disabled = !price || this.#holds.size > 0;
    setText(this.#reason, this.#holds.has("held") ? HELD : this.#holds.has("limited") ? LIMITED : "");
    this.#form.setAttribute("aria-busy", String(sending));
  }
}

/** @type {Action[]} */
const ACTIONS = ["show", "copy", "rewrite", "dismiss"];

/**
 * @param {string} selector of a link
 * @param {string | null | undefined} address nothing for none
 */
function showLink(selector, address) {
  const link = part(selector, HTMLAnchorElement);
  link.hidden = !address;
  if (address) link.href = address;
}

/**
 * What a new pin would do if as many are pinned as are shown: those with the highest amounts, the newest first.
 *
 * @param {PinnedPage} pins
 * @param {{ amount: number, currency: string }} price of the new one
 * @returns {string} empty if there is room
 */
export function pinsNote({ messages, has_more }, { amount, currency }) {
  const least = messages.at(-1)?.amount ?? 0;
  if (messages.length < MOST_PINNED && !has_more) return "";
  const values = { count: messages.length, price: formatPrice(least, currency) };
  if (amount >= least) return say("{count} messages are on top already; yours takes the place of the last one.", values);
  return say("{count} messages are on top already, for {price} or more; yours joins them once enough of them have ended.", values);
}

const HELD = say("This message is being paid for already, so it can’t be paid for again.");
const LIMITED = say("Too many payments were started from here; the button works again in a moment.");

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

/**
 * What was paid for on this device, newest first: payments that are under way or ended without a post, then messages.
 *
 * @param {Purchase} purchase
 * @param {Own[]} own
 * @returns {Purchased[]}
 */
export function listed({ followed, draft }, own) {
  const isFree = clean(draft.text) === ""; // or another text would be lost
  const payments = followed.flatMap(({ id, stage, payment, arrival, removed }) => {
    if (!payment || arrival === "done" || (payment.status === "pending" && stage !== "returned")) return [];
    const { status, text, message_id: messageId } = payment;
    const isOn = status === "fulfilled" && !removed;
    const isRewritable = isFree && (status === "failed" || status === "expired");
    return {
      text: excerpt(text),
      state: removed ? "moderated" : status,
      messageId: isOn ? messageId : null,
      rewritable: isRewritable ? id : null,
    };
  });
  const known = new Set(payments.map(({ messageId }) => messageId));
  const messages = own.filter(({ id }) => !known.has(id)).map(({ id, text = null, gone = null }) => ({
    text,
    state: gone ?? "fulfilled",
    messageId: gone === null ? id : null,
    rewritable: null,
  }));
  return [...payments.reverse(), ...messages];
}

/** What the list says about each. */
const STATES = {
  pending: say("Being confirmed"),
  processing: say("Waiting for your bank; it will be posted by itself"),
  fulfilled: say("On the board"),
  failed: say("Refused by your bank; nothing was charged"),
  expired: say("Not paid in time, and not posted"),
  refunded: say("Refunded, and not on the board"),
  disputed: say("Off the board: the payment is disputed"),
  moderated: say("Taken off the board by the people who run it"),
};

/** The list of what was paid for on this device, in a dialog. */
export class PurchaseList {
  #dialog = part("#purchases", HTMLDialogElement);
  #open;
  #parts;

  /** @param {ListParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#open = onClick("#purchases-open", () => {
      parts.onOpen();
      this.#dialog.showModal(); // gives the focus back to the button when it closes
    });
    onClick(".close", () => this.#dialog.close(), this.#dialog);
  }

  /**
   * @param {Purchase} purchase
   * @param {Own[]} own
   */
  render(purchase, own) {
    const purchases = listed(purchase, own);
    this.#open.hidden = purchases.length === 0;
    part("ol", HTMLOListElement, this.#dialog).replaceChildren(...purchases.map((one) => this.#draw(one)));
  }

  /** @param {Purchased} purchase */
  #draw({ text, state, messageId, rewritable }) {
    const item = copyOf("#purchase-template");
    item.dataset["state"] = state;
    setText(part(".quote", HTMLElement, item), text ?? say("A message"));
    setText(part(".state", HTMLElement, item), STATES[/** @type {keyof typeof STATES} */ (state)] ?? say("Off the board"));
    const link = part("a", HTMLAnchorElement, item);
    link.hidden = messageId === null;
    link.href = `#m${messageId}`;
    link.addEventListener("click", () => this.#dialog.close());
    const rewrite = onClick("button", () => this.#rewrite(rewritable), item);
    rewrite.hidden = rewritable === null;
    return item;
  }

  /** @param {string | null} paymentId */
  #rewrite(paymentId) {
    this.#dialog.close();
    if (paymentId !== null) this.#parts.onRewrite(paymentId);
  }
}
