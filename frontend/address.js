/** The page's address: what checkout put into it, and the permalinks of messages. */

const RETURN_PARAMETERS = ["payment", "cancelled"];

/**
 * What checkout sent the buyer back with.
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
 * The path, query and hash without checkout's own parameters; every other byte stays as it was.
 *
 * @param {{ pathname: string, search: string, hash: string }} location
 */
export function withoutReturn({ pathname, search, hash }) {
  const kept = search
    .slice(1)
    .split("&")
    .filter((pair) => !RETURN_PARAMETERS.includes(nameOf(pair)))
    .join("&");
  return pathname + (kept && `?${kept}`) + hash;
}

/**
 * The message a permalink names.
 *
 * @param {string} hash such as `#m123`
 * @returns {number | null}
 */
export function messageInHash(hash) {
  const match = /^#m([1-9]\d{0,14})$/.exec(hash);
  return match ? Number(match[1]) : null;
}

/**
 * The link to a message.
 *
 * @param {string} href the page's own address
 * @param {number} id
 */
export function permalink(href, id) {
  const url = new URL(href);
  url.hash = `m${id}`;
  url.search = withoutReturn(url).slice(url.pathname.length).replace(/#.*/, "");
  return url.href;
}

/**
 * Whether an address is one a buyer may be sent to.
 *
 * @param {string} address
 */
export function isWebAddress(address) {
  return URL.canParse(address) && ["http:", "https:"].includes(new URL(address).protocol);
}

/** @param {string} pair */
function nameOf(pair) {
  return [...new URLSearchParams(pair).keys()][0] ?? "";
}
