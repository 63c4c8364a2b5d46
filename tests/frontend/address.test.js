import assert from "node:assert/strict";
import test from "node:test";

import { isWebAddress, messageInHash, permalink, readReturn, withoutReturn } from "../../frontend/ui/address.js";

test("the paid or cancelled payment is read from the query", () => {
  assert.deepEqual(readReturn("?payment=abc"), { id: "abc", stage: "returned" });
  assert.deepEqual(readReturn("?x=1&cancelled=abc"), { id: "abc", stage: "cancelled" });
  assert.deepEqual(readReturn("?payment=a&cancelled=b"), { id: "a", stage: "returned" });
  for (const search of ["", "?", "?x=1", "?payment=", "?payments=abc"]) assert.equal(readReturn(search), null, search);
});

test("only checkout's own parameters are removed, and the rest is unchanged", () => {
  /** @type {[string, string][]} */
  const cases = [
    ["?payment=abc", "/"],
    ["?payment=abc&theme=a%20b+c", "/?theme=a%20b+c"],
    ["?a=1&cancelled=x&b", "/?a=1&b"],
    ["?a=1&payment=x&payment=y", "/?a=1"],
    ["?p%61yment=x&a=1", "/?a=1"],
    ["?a=payment", "/?a=payment"],
    ["", "/"],
  ];
  for (const [search, expected] of cases) {
    assert.equal(withoutReturn({ pathname: "/", search, hash: "" }), expected);
    assert.equal(withoutReturn({ pathname: "/", search, hash: "#m7" }), `${expected}#m7`);
  }
});

test("a permalink's hash names a message, and nothing else does", () => {
  assert.equal(messageInHash("#m123"), 123);
  for (const hash of ["", "#", "#m", "#m0", "#m01", "#m-1", "#m1.5", "#M1", "#m1x", "#message-text", `#m${"9".repeat(30)}`]) {
    assert.equal(messageInHash(hash), null, hash);
  }
});

test("a permalink keeps the page's URL without checkout's parameters", () => {
  assert.equal(permalink("https://b.example/chat?x=1&payment=p#m1", 42), "https://b.example/chat?x=1#m42");
  assert.equal(permalink("https://b.example/", 42), "https://b.example/#m42");
});

test("the browser is only sent to web addresses", () => {
  for (const address of ["https://checkout.example/c", "http://localhost:8000/sandbox/pay/x"]) {
    assert.ok(isWebAddress(address));
  }
  for (const address of ["javascript:alert(1)", "data:text/html,x", "/relative", "", "file:///etc"]) {
    assert.ok(!isWebAddress(address), address);
  }
});
