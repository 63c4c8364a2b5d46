/** What the page stores in the browser: for this tab, or on this device. */

/**
 * JSON values by name. If the browser refuses to store them (private windows, full disks), they are kept until the page
 * closes.
 */
export class Memory {
  /** @type {Map<string, string>} */
  #fallback = new Map();
  #storage;

  /** @param {() => Storage} storage a getter, because even reading `window.localStorage` may throw */
  constructor(storage) {
    this.#storage = storage;
  }

  /**
   * @param {string} name
   * @returns {unknown} the last value written; null if there is none, or it is not JSON
   */
  read(name) {
    const kept = this.#fallback.get(name) ?? "null";
    try {
      return JSON.parse(this.#storage().getItem(key(name)) ?? kept);
    } catch {
      return JSON.parse(kept);
    }
  }

  /**
   * @param {string} name
   * @param {unknown} value null removes it
   */
  write(name, value) {
    const text = JSON.stringify(value);
    this.#fallback.set(name, text);
    try {
      if (value === null) this.#storage().removeItem(key(name));
      else this.#storage().setItem(key(name), text);
    } catch {
      // kept in the fallback
    }
  }
}

/** @param {string} name */
export function key(name) {
  return `paidchat.${name}`;
}
