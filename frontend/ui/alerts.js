/** Alerts: a sound and a notification for a new message, each only on devices whose reader asked for it. */

import { say } from "./format.js";
import { Chime } from "./chime.js";
import { part } from "./page.js";

// Undefined on an iPhone.
const { Notification } = /** @type {{ Notification?: NotificationClass }} */ (/** @type {unknown} */ (globalThis));
const APART_MS = 1_000; // many messages at once are one alert

/** The alerts, and the buttons that say which of them are on. */
export class Alerts {
  #parts;
  #sound;
  #notifications;
  #last = -Infinity;
  #chime = new Chime(true);

  /** @param {AlertsParts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#sound = part("#sound", HTMLButtonElement);
    this.#notifications = part("#notifications", HTMLButtonElement);
    const wanted = /** @type {{ sound?: unknown, notifications?: unknown } | null} */ (parts.device.read("alerts"));
    press(this.#sound, wanted?.sound === true);
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
    if (isPressed(this.#sound)) this.#ring(level);
    if (isPressed(this.#notifications) && document.hidden) this.#notify(message);
  }

  toggleSound() {
    press(this.#sound, !isPressed(this.#sound));
    this.#remember();
    if (isPressed(this.#sound)) this.#ring(0); // so that one knows it; this is also the click that browsers ask for
  }

  async toggleNotifications() {
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
  #ring(level) {
    this.#chime.ring(level).catch(() => undefined); // a browser without sound
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
