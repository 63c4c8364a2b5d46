/** Messages, pages, payments and stores to test with. */


export const EPOCH = "e1";

/**
 * @param {number} id
 * @param {Partial<Message>} [change]
 * @returns {Message}
 */
export function message(id, change = {}) {
  const posted_at = new Date(Date.UTC(2026, 0, 1) + id * 1000).toISOString();
  return { id, text: `message ${id}`, author: null, amount: 100, currency: "usd", posted_at, pinned_until: null, ...change };
}

/**
 * @param {number[]} ids
 * @param {Partial<Page>} [change]
 * @returns {Page}
 */
export function page(ids, change = {}) {
  return { messages: ids.map((id) => message(id)), seq: 100, epoch: EPOCH, has_more: false, ...change };
}

/**
 * @param {Partial<Payment>} [change]
 * @returns {Payment}
 */
export function payment(change = {}) {
  return {
    id: "pay-1",
    status: "pending",
    text: "hello",
    author: null,
    amount: 100,
    currency: "usd",
    checkout_url: "https://checkout.example/c/1",
    message_id: null,
    created_at: "2026-01-01T00:00:00Z",
    expires_at: "2026-01-01T01:00:00Z",
    ...change,
  };
}

/**
 * Returns pseudo-random numbers that are the same each time (a linear congruential generator).
 *
 * @param {number} seed
 * @returns {() => number} in [0, 1)
 */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * A storage backed by a map.
 *
 * @param {Map<string, string>} values
 * @returns {Storage}
 */
export function storageOn(values) {
  return {
    getItem: (name) => values.get(name) ?? null,
    setItem: (name, value) => void values.set(name, value),
    removeItem: (name) => void values.delete(name),
    clear: () => values.clear(),
    key: (index) => [...values.keys()][index] ?? null,
    get length() {
      return values.size;
    },
  };
}

/** Records watched payments, in place of the feed. */
export class Watches {
  /** @type {string[]} */
  ids = [];

  /** @param {string} id */
  watch(id) {
    this.ids.push(id);
  }

  /** @param {string} id */
  unwatch(id) {
    this.ids = this.ids.filter((watched) => watched !== id);
  }
}
