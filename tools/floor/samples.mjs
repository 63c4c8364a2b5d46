/** Samples that are too new for the floor. The check tests itself by finding every one of them. */

/** @type {Record<"css" | "html" | "js", string[]>} */
export const SAMPLES = {
  css: [
    "a { color: light-dark(white, black) }",
    ":root { --ink: light-dark(white, black) }",
    "a { color: color-mix(in srgb, red, blue) }",
    "a { color: oklch(0.5 0.1 100) }",
    "a { height: 100dvh }",
    "a { text-wrap: balance }",
    "a { field-sizing: content }",
    "a:has(b) { color: red }",
    "a { b { color: red } }",
    "@starting-style { a { opacity: 0 } }",
    "@media (scripting: none) { a { color: red } }",
    ":popover-open { color: red }",
  ],
  html: ["<div popover></div>", '<input type="text" writingsuggestions="false">', '<link rel="modulepreload" href="/">'],
  js: [
    "class A { static { A.b = 1 } }",
    "/(?<=a)b/",
    'new RegExp("(?<!a)b")',
    "await 1",
    'import a from "./a.json" with { type: "json" }',
    "/[a--b]/v",
    "/(?i:a)/",
    "using a = b",
    'import.meta.resolve("./a.js")',
  ],
};
