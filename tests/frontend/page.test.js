import assert from "node:assert/strict";
import test from "node:test";

import { Memory } from "../../frontend/ui/page.js";
import { storageOn } from "./samples.js";

test("a value comes back as written, under the page's own prefix, until it is removed", () => {
  const values = new Map();
  const memory = new Memory(() => storageOn(values));
  assert.equal(memory.read("draft"), null);
  memory.write("draft", { text: "hello" });
  assert.deepEqual(new Memory(() => storageOn(values)).read("draft"), { text: "hello" });
  assert.deepEqual([...values.keys()], ["paidchat.draft"]);
  memory.write("draft", null);
  assert.equal(memory.read("draft"), null);
  assert.equal(values.size, 0);
});

test("if the browser refuses to store, a value is kept while the page is open", () => {
  const memory = new Memory(() => {
    throw new DOMException("denied", "SecurityError");
  });
  memory.write("draft", "hello");
  assert.equal(memory.read("draft"), "hello");
  memory.write("draft", null);
  assert.equal(memory.read("draft"), null);
});

test("anything that is not JSON counts as missing", () => {
  const memory = new Memory(() => storageOn(new Map([["paidchat.draft", "{oops"]])));
  assert.equal(memory.read("draft"), null);
});
