/** The notice: one sentence at a time on what just happened, with a way on. */

import { element, setText } from "./elements.js";

/**
 * @typedef {object} NoticeOptions
 * @property {"info" | "error"} [tone]
 * @property {{ label: string, act: () => void }} [action] a button; the notice goes when it is pressed
 * @property {number} [waitMs] counts down, and then the notice goes by itself
 */

/** Shows notices. A new one takes the place of the last. */
export class Notice {
  #box = element("notice", HTMLElement);
  #text = element("notice-text", HTMLElement);
  #countdown = element("notice-countdown", HTMLElement);
  #button = element("notice-action", HTMLButtonElement);
  /** @type {(() => void) | undefined} */
  #act;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;

  #announce;

  /** @param {{ announce: (words: string) => void }} options */
  constructor({ announce }) {
    this.#announce = announce;
    element("notice-close", HTMLButtonElement).addEventListener("click", () => this.hide());
    this.#button.addEventListener("click", () => {
      const act = this.#act;
      this.hide();
      act?.();
    });
  }

  /**
   * @param {string} text
   * @param {NoticeOptions} [options]
   */
  show(text, { tone = "info", action, waitMs } = {}) {
    this.#stopCountdown();
    this.#box.hidden = false;
    this.#box.dataset["tone"] = tone;
    setText(this.#text, text);
    this.#button.hidden = !action;
    setText(this.#button, action?.label ?? "");
    this.#act = action?.act;
    this.#announce(text);
    if (waitMs !== undefined) this.#countDown(Date.now() + waitMs);
  }

  hide() {
    this.#stopCountdown();
    this.#box.hidden = true;
    setText(this.#text, "");
  }

  /** @param {number} until epoch milliseconds */
  #countDown(until) {
    const tick = () => {
      const seconds = Math.ceil((until - Date.now()) / 1000);
      if (seconds <= 0) this.hide();
      else setText(this.#countdown, seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`);
    };
    this.#ticking = setInterval(tick, 1000);
    tick();
  }

  #stopCountdown() {
    clearInterval(this.#ticking);
    setText(this.#countdown, "");
  }
}
