/** Calls that are too new for the floor, or not available over plain HTTP. The type checker must reject each of them. */

// @ts-expect-error: Chrome 110
[1].toSpliced(0, 1);
// @ts-expect-error: Chrome 120
URL.canParse("/");
// @ts-expect-error: Firefox 125
new Intl.Segmenter("en");
// @ts-expect-error: Chrome 119
Promise.withResolvers();
// @ts-expect-error: Chrome 117
Object.groupBy([1], String);
// @ts-expect-error: Chrome 122
[1].values().map(String);
// @ts-expect-error: Chrome 122
new Set([1]).union(new Set([2]));
// @ts-expect-error: Chrome 116
AbortSignal.any([]);
// @ts-expect-error: Firefox 119
document.body.ariaBusy = "true";
// @ts-expect-error: Chrome 114
document.body.showPopover();
// @ts-expect-error: Safari 16.4
document.adoptedStyleSheets = [];
// @ts-expect-error: not in Safari
requestIdleCallback(() => {});
// @ts-expect-error: not over plain HTTP
crypto.randomUUID();
// @ts-expect-error: not over plain HTTP
void crypto.subtle.digest("SHA-256", new Uint8Array());
// @ts-expect-error: not over plain HTTP
void navigator.clipboard.writeText("");
// @ts-expect-error: not over plain HTTP
void navigator.locks.request("", () => {});
// @ts-expect-error: not over plain HTTP
void navigator.serviceWorker.register("/");
// @ts-expect-error: not over plain HTTP
void navigator.storage.persist();
