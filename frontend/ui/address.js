/** The page's URL: what checkout added to it, and the permalinks of messages. Pure. */

const RETURN_PARAMETERS = ["payment", "cancelled"];

/**
 * What checkout added to the URL when it sent the buyer back; null if nothing.
 *
 * @param {string} search the query, `?` included
 * @returns {{ id: string, stage: "returned" | "cancelled" } | null}
 */
export function readReturn(search) {
  const parameters = new URLSearchParams(search);
  const paid = parameters.get("payment");
  if (paid) return { id: paid, stage: "returned" };
  const cancelled = parameters.get("cancelled");
  return cancelled ? { id: cancelled, stage: "cancelled" } : null;
}

/**
 * Path, query and hash without checkout's parameters; the rest is unchanged.
 *
 * @param {{ pathname: string, search: string, hash: string }} location
 */
export function withoutReturn({ pathname, search, hash }) {
  const kept = search
    .slice(1)
    .split("&")
    .filter((pair) => !RETURN_PARAMETERS.some((name) => new URLSearchParams(pair).has(name)))
    .join("&");
  return pathname + (kept && `?${kept}`) + hash;
}

/** @param {string} hash such as `#m123` */
export function messageInHash(hash) {
  const match = /^#m([1-9]\d{0,14})$/.exec(hash);
  return match ? Number(match[1]) : null;
}

/**
 * @param {string} href the page's own address
 * @param {number} id of the message to link to
 */
export function permalink(href, id) {
  const url = new URL(href);
  url.hash = `m${id}`;
  return url.origin + withoutReturn(url);
}

/** @param {string} address to send a buyer to */
export function isWebAddress(address) {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}
