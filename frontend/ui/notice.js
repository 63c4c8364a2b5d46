/** The notice: one sentence on what just happened, and perhaps a button. */

import { onClick, part, setText } from "./elements.js";

/** Shows notices; a new one replaces the last. */
export class Notice {
  #box = part("#notice", HTMLElement);
  #text = part("#notice-text", HTMLElement);
  #countdown = part("#notice-countdown", HTMLElement);
  #button;
  /** @type {(() => void) | undefined} */
  #act;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #announce;

  /** @param {(words: string) => void} announce */
  constructor(announce) {
    this.#announce = announce;
    onClick("#notice-close", () => this.hide());
    this.#button = onClick("#notice-action", () => {
      this.hide();
      this.#act?.();
    });
  }

  /**
   * @param {string} text
   * @param {NoticeOptions} [options]
   */
  show(text, { tone = "info", action, waitMs } = {}) {
    this.hide();
    this.#box.hidden = false;
    this.#box.dataset["tone"] = tone;
    setText(this.#text, text);
    this.#button.hidden = !action;
    setText(this.#button, action?.label ?? "");
    this.#act = action?.act;
    if (waitMs !== undefined) this.#countDown(Date.now() + waitMs);
    this.#announce(text);
  }

  hide() {
    clearInterval(this.#ticking);
    setText(this.#countdown, "");
    setText(this.#text, "");
    this.#box.hidden = true;
  }

  /** @param {number} until */
  #countDown(until) {
    const tick = () => {
      const seconds = Math.ceil((until - Date.now()) / 1000);
      if (seconds <= 0) this.hide();
      else setText(this.#countdown, seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`);
    };
    this.#ticking = setInterval(tick, 1000);
    tick();
  }
}
