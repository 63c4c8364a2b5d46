/** Alerts: a sound and a notification for a new message, each only on devices whose reader asked for it. */

import { say } from "./format.js";
import { onClick } from "./page.js";

// Undefined on an iPhone.
const { Notification } = /** @type {{ Notification?: NotificationClass }} */ (/** @type {unknown} */ (globalThis));
const APART_MS = 1_000; // many messages at once are one alert

/** Two buttons that turn them on and off, and what they do. */
export class Alerts {
  #parts;
  #sound;
  #notifications;
  #last = -Infinity;
  /** @type {Promise<import("./chime.js").Chime> | undefined} */
  #chime; // loaded when it is first needed

  /** @param {AlertsParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#sound = onClick("#sound", () => void this.#toggleSound());
    this.#notifications = onClick("#notifications", () => void this.#toggleNotifications());
    const wanted = /** @type {{ sound?: unknown, notifications?: unknown } | null} */ (parts.device.read("alerts"));
    press(this.#sound, wanted?.sound === true);
    this.#notifications.hidden = !Notification;
    press(this.#notifications, wanted?.notifications === true && isAllowed());
  }

  /**
   * @param {Message} message that was posted just now
   * @param {number} level its tier, from 0
   */
  hear(message, level) {
    const now = performance.now();
    if (now - this.#last < APART_MS) return;
    this.#last = now;
    if (isPressed(this.#sound)) void this.#ring(level);
    if (isPressed(this.#notifications) && document.hidden) this.#notify(message);
  }

  async #toggleSound() {
    press(this.#sound, !isPressed(this.#sound));
    this.#remember();
    if (isPressed(this.#sound)) await this.#ring(0); // so that one knows it; this is also the click that browsers ask for
  }

  async #toggleNotifications() {
    const wanted = !isPressed(this.#notifications);
    const allowed = wanted && (isAllowed() || (await Notification?.requestPermission()) === "granted");
    press(this.#notifications, allowed);
    this.#remember();
    if (wanted && !allowed) this.#parts.notice.show(say("This browser doesn’t allow notifications from this page."));
  }

  #remember() {
    this.#parts.device.write("alerts", { sound: isPressed(this.#sound), notifications: isPressed(this.#notifications) });
  }

  /** @param {number} level */
  async #ring(level) {
    this.#chime ??= import("./chime.js").then(({ Chime }) => new Chime(true));
    try {
      await (await this.#chime).ring(level);
    } catch {
      this.#chime = undefined; // not loaded, or the browser has no sound: the next message tries again
    }
  }

  /** @param {Message} message */
  #notify({ id, author, text }) {
    if (!Notification) return;
    try {
      const shown = new Notification(author ?? say("Anonymous"), { body: text, tag: "paidchat" }); // replaces the last one
      shown.onclick = () => {
        window.focus();
        this.#parts.onOpen(id);
        shown.close();
      };
    } catch {
      this.#notifications.hidden = true; // Chrome on Android has them for service workers only
      press(this.#notifications, false);
    }
  }
}

function isAllowed() {
  return Notification?.permission === "granted";
}

/** @param {HTMLButtonElement} button */
function isPressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}

/**
 * @param {HTMLButtonElement} button
 * @param {boolean} on
 */
function press(button, on) {
  button.setAttribute("aria-pressed", String(on));
}
