import assert from "node:assert/strict";
import test from "node:test";

import { authorProblem, clean, clip, countCodePoints, textProblem } from "../../frontend/buying/text.js";

const FAMILY = "👩‍👩‍👧‍👦"; // seven code points, one grapheme

test("CRLF becomes LF and a lone CR stays, to be refused", () => {
  assert.equal(clean("a\r\nb"), "a\nb");
  assert.match(textProblem("a\rb", 500) ?? "", /control/);
});

test("white space around the text is trimmed as Unicode defines it, the byte order mark is not", () => {
  assert.equal(clean("\n \u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000x\u3000\n"), "x");
  assert.equal(clean("\ufeffx\ufeff"), "\ufeffx\ufeff");
  assert.equal(clean("\tx\u0085"), "\tx\u0085", "controls are refused, so they are not trimmed away");
});

test("code points are counted after NFC and trimming, not UTF-16 units", () => {
  assert.equal(countCodePoints("  e\u0301  "), 1);
  assert.equal(countCodePoints("😀"), 1);
  assert.equal(countCodePoints(FAMILY), 7);
  assert.equal(countCodePoints("a\r\nb"), 3);
  assert.equal(countCodePoints(" \n "), 0);
});

test("500 code points are accepted and 501 refused, whatever their size in UTF-16", () => {
  assert.equal(textProblem("😀".repeat(500), 500), null);
  assert.equal(textProblem("😀".repeat(501), 500), "The message is too long by 1 character.");
  assert.equal(textProblem("x".repeat(510), 500), "The message is too long by 10 characters.");
  assert.equal(textProblem(`  ${"e\u0301".repeat(500)}  `, 500), null);
});

test("blank texts are refused, blank names are not", () => {
  for (const blank of ["", "  ", "\n\u3000\u2029"]) {
    assert.equal(textProblem(blank, 500), "Write a message first.");
    assert.equal(authorProblem(blank, 50), null);
  }
});

test("twenty lines are accepted and twenty-one refused; U+2028 and U+2029 break lines too", () => {
  for (const lineBreak of ["\n", "\r\n", "\u2028", "\u2029"]) {
    assert.equal(textProblem(Array(20).fill("x").join(lineBreak), 500), null);
    assert.match(textProblem(Array(21).fill("x").join(lineBreak), 500) ?? "", /21 lines/);
  }
});

test("a name is one line of at most 50 code points", () => {
  assert.equal(authorProblem("Ada", 50), null);
  assert.equal(authorProblem("a".repeat(50), 50), null);
  assert.match(authorProblem("a".repeat(51), 50) ?? "", /^The name is too long by 1 /);
  for (const lineBreak of ["\n", "\u2028", "\u2029"]) {
    assert.match(authorProblem(`a${lineBreak}b`, 50) ?? "", /one line/);
  }
});

test("controls, lone surrogates and direction overrides are refused, in texts and in names", () => {
  const refused = ["\t", "\0", "\x1b", "\x7f", "\u0085", "\ud800", "\udfff", "\u202a", "\u202e", "\u2066", "\u2069"];
  for (const character of refused) {
    for (const text of [`a${character}b`, `${character}a`, `a${character}`]) {
      assert.notEqual(textProblem(text, 500), null, JSON.stringify(text));
      assert.notEqual(authorProblem(text, 50), null, JSON.stringify(text));
    }
  }
  assert.notEqual(authorProblem("\t", 50), null);
});

test("joined emoji, direction marks and private use characters are accepted", () => {
  for (const text of [FAMILY, "🏳️‍🌈", "\u200eabc\u200f", "שלום", "\ue000", "\u{100000}", "🇳🇴", "1️⃣"]) {
    assert.equal(textProblem(text, 500), null, JSON.stringify(text));
  }
});

test("texts without visible characters are refused", () => {
  for (const text of ["\u200b", "\ufeff", "\u2060\u200d", "\u115f\u1160", "\u3164", "\uffa0", "\u2800\u2800", "\u0301"]) {
    assert.equal(textProblem(text, 500), "The message has no visible characters yet.", JSON.stringify(text));
    assert.notEqual(authorProblem(text, 50), null, JSON.stringify(text));
  }
});

test("five accents on a letter are accepted and six refused, also with invisible joiners between them", () => {
  const marks = "\u0316\u0317\u0318\u0319\u0315"; // compose with nothing here
  assert.equal(textProblem(`x${marks}y${marks}`, 500), null);
  assert.match(textProblem(`x${marks}\u031a`, 500) ?? "", /accents/);
  assert.match(textProblem(`x${marks}\u200d\u031a`, 500) ?? "", /accents/);
  assert.equal(textProblem(`e\u0301${marks}`, 500), null, "the first one composes under NFC");
});

test("clipping never splits a grapheme, and counts code points", () => {
  assert.equal(clip(`ab${FAMILY}`, 8), "ab");
  assert.equal(clip(`ab${FAMILY}`, 9), `ab${FAMILY}`);
  assert.equal(clip("🇳🇴🇸🇪", 3), "🇳🇴");
  assert.equal(clip("short", 100), "short");
  assert.equal(clip("x\u0489\u0489y", 2), "");
});

test("a browser without Intl.Segmenter clips between graphemes too", () => {
  const { Segmenter } = Intl;
  const texts = [`ab${FAMILY}`, "🇳🇴🇸🇪", "x\u0489\u0489y", "👍🏽👍🏽", "1️⃣2️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿!", "e\u0301e\u0323\u0301", "कि\u094dखि", "한국어", "plain\nwords"];
  const clips = () => texts.flatMap((text) => Array.from({ length: 12 }, (_, max) => clip(text, max)));
  const expected = clips();
  try {
    Object.defineProperty(Intl, "Segmenter", { value: undefined, configurable: true, writable: true });
    assert.deepEqual(clips(), expected);
  } finally {
    Object.defineProperty(Intl, "Segmenter", { value: Segmenter, configurable: true, writable: true });
  }
});
