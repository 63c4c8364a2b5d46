import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { authorProblem, clean, countCodePoints, textProblem } from "../../frontend/buying/text.js";

/** @typedef {string | (string | [string, number])[]} Parts */
/** @type {{ rule: string, field: "text" | "author", raw: Parts, stored: Parts | boolean | null }[]} */
const CASES = JSON.parse(readFileSync(new URL("../support/text_cases.json", import.meta.url), "utf8"));

/** @param {Parts} parts */
function spelledOut(parts) {
  if (typeof parts === "string") return parts;
  return parts.map((part) => (typeof part === "string" ? part : part[0].repeat(part[1]))).join("");
}

for (const { rule, field, raw, stored } of CASES) {
  const sent = spelledOut(raw);
  test(`${field}, ${rule}: ${JSON.stringify(sent.slice(0, 24))}`, () => {
    const problem = field === "text" ? textProblem(sent, 500) : authorProblem(sent, 50);
    if (stored === false) {
      assert.notEqual(problem, null);
      return;
    }
    assert.equal(problem, null);
    const kept = stored === true ? sent : spelledOut(stored ?? "");
    assert.equal(clean(sent), kept);
    assert.equal(countCodePoints(sent), Array.from(kept).length);
  });
}

test("a text that is far too long is refused without being normalised", () => {
  const marks = `a${"\u0300".repeat(500_000)}${"\u0316".repeat(500_000)}`;
  const began = process.cpuUsage();
  assert.match(textProblem(marks, 500) ?? "", /too long by 999501 characters/);
  assert.notEqual(authorProblem(marks, 50), null);
  assert.ok(process.cpuUsage(began).user < 5_000_000, "NFC would take minutes");
});
