/** What the browser remembers for the page: for this tab, or on this device. */

/**
 * JSON values under the page's own names. Where the browser refuses to store (private windows, full disks), they are kept
 * for as long as the page is open.
 */
export class Memory {
  /** @type {Map<string, string>} */
  #fallback = new Map();
  #storage;

  /** @param {() => Storage} storage a getter, since even looking at `window.localStorage` may throw */
  constructor(storage) {
    this.#storage = storage;
  }

  /**
   * @param {string} name
   * @returns {unknown} the value written last; null when there is none, or it is no JSON
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
   * @param {unknown} value null forgets it
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
