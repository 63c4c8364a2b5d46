/** What the browser remembers for the page: for this tab, and on this device. */

/**
 * A few JSON values under the page's own names. Where the browser refuses to store (private windows, full disks), they
 * are kept for as long as the page is open, so that nothing else has to care.
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
    try {
      return JSON.parse(this.#storage().getItem(key(name)) ?? this.#fallback.get(name) ?? "null");
    } catch {
      return JSON.parse(this.#fallback.get(name) ?? "null");
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

/**
 * The name under which a value is stored.
 *
 * @param {string} name
 */
export function key(name) {
  return `paidchat.${name}`;
}
