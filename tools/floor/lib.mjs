/** TypeScript's own declarations, without everything newer than the floor, so that tsc rejects its use. */

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { data, lacking } from "./support.mjs";

/** @import { Node } from "./support.mjs" */

const FRONTEND = new URL("../../frontend/package.json", import.meta.url);
const FILE = /^lib\.(es5|(es2\d+|esnext)\..+|decorators(\.legacy)?|dom|dom\.iterable)\.d\.ts$/;
const UNWANTED = /\.full\.|\.iterator\./; // lists of other files; iterator helpers, all of them too new
const OPENING = /^( *)(?:declare )?(interface|namespace|var|const|function|class) (\w+)/;
const MEMBER = /^ *(?:readonly |get |set )?(new|[\w$]+)[?(<:]/;
const COMMENT = / *\/\*[^]*?\*\//g;
const SECURE = /Available only in secure contexts/; // TypeScript's comment on APIs missing over plain HTTP
const MARK = "//secure";

// TypeScript's name for something → its name in the data.
/** @type {Record<string, string>} */
const ALIASES = {
  ReadonlyArray: "Array",
  ReadonlyMap: "Map",
  ReadonlySet: "Set",
  ReadonlySetLike: "Set",
  IteratorObject: "Iterator",
  PromiseLike: "Promise",
  ...Object.fromEntries(
    ["Int8", "Uint8", "Uint8Clamped", "Int16", "Uint16", "Int32", "Uint32", "Float32", "Float64", "BigInt64", "BigUint64"].map(
      (kind) => [`${kind}Array`, "TypedArray"],
    ),
  ),
};

/** All declarations in one file. */
export function floorLib() {
  const files = readdirSync(folder()).filter((name) => FILE.test(name) && !UNWANTED.test(name));
  const text = files.map((name) => readFileSync(join(folder(), name), "utf-8")).join("\n");
  return prune(text.replaceAll(/^\/\/\/.*$/gm, "").replaceAll(COMMENT, (comment) => (SECURE.test(comment) ? MARK : "")));
}

function folder() {
  const require = createRequire(FRONTEND);
  const typescript = createRequire(require.resolve("typescript/package.json"));
  const native = typescript.resolve(`@typescript/typescript-${process.platform}-${process.arch}/package.json`);
  return join(dirname(native), "lib");
}

/** @param {string} text */
function prune(text) {
  const lines = text.split("\n");
  const mixins = mixinUsers(text);
  const secureTypes = new Set(Array.from(text.matchAll(/^\/\/secure\ninterface (\w+)/gm), ([, name]) => name));
  /** @type {string[]} */
  const kept = [];
  /** @type {{ kind: string, name: string, indent: string }[]} */
  const scopes = [];
  for (let index = 0, secure = false; index < lines.length; ) {
    const line = lines[index] ?? "";
    if (line === "" || line === MARK) {
      secure ||= line === MARK;
      index += 1;
      continue;
    }
    const scope = scopes.at(-1);
    const opening = OPENING.exec(line);
    if (scope && line.startsWith(`${scope.indent}}`)) scopes.pop();
    else if (opening) {
      const [, indent = "", kind = "", name = ""] = opening;
      const isRemoved = kind !== "interface" && (secure || lacking(declared(scope?.name, name)) !== null);
      secure = false;
      if (isRemoved) {
        index = endOf(lines, index) + 1;
        continue;
      }
      if (line.endsWith("{")) scopes.push({ kind, name, indent });
    } else if (scope) {
      const [, member = ""] = MEMBER.exec(line) ?? [];
      const end = endOf(lines, index);
      secure ||= secureTypes.has(/^ *readonly \w+: (\w+);$/.exec(line)?.[1]);
      if (!member || !(secure || isNewer(scope, member, mixins))) kept.push(...lines.slice(index, end + 1));
      secure = false;
      index = end + 1;
      continue;
    }
    kept.push(line);
    index += 1;
  }
  return kept.join("\n");
}

/**
 * @param {string | undefined} namespace
 * @param {string} name of a global, or of a member of the namespace
 * @returns {Node | undefined}
 */
function declared(namespace, name) {
  const { api, javascript } = data;
  if (namespace) return javascript.builtins[namespace]?.[name] ?? api[namespace]?.[`${name}_static`];
  return javascript.builtins[name] ?? api[name] ?? api.Window[name];
}

/**
 * @param {{ kind: string, name: string }} scope
 * @param {string} member
 * @param {Map<string, string[]>} mixins
 */
function isNewer({ kind, name }, member, mixins) {
  if (kind === "var" || kind === "const") {
    return lacking(data["api"][name]?.[member === "new" ? name : `${member}_static`]) !== null;
  }
  const owner = ALIASES[name] ?? name;
  const { api, javascript } = data;
  const builtin = javascript.builtins[owner.replace(/Constructor$/, "")] ?? javascript.builtins.Intl[owner];
  if (builtin) return lacking(builtin[member]) !== null;
  if (api[owner]) return lacking(api[owner][member]) !== null;
  const users = (mixins.get(name) ?? []).filter((user) => !/^(SVG|MathML)/.test(user)).map((user) => api[user]?.[member]);
  return [...users, api[member]].some((node) => lacking(node) !== null);
}

/**
 * The interfaces that extend each one, directly or not: the data lists a mixin's members under the interfaces using it.
 *
 * @param {string} text
 */
function mixinUsers(text) {
  /** @type {Map<string, string[]>} */
  const users = new Map();
  for (const [, name = "", parents = ""] of text.matchAll(/^interface (\w+)(?:<[^{]*>)? extends ([^{]+) \{/gm)) {
    for (const parent of parents.split(", ")) users.set(parent, [...(users.get(parent) ?? []), name]);
  }
  const all = (/** @type {string} */ name) => {
    /** @type {Set<string>} */
    const found = new Set();
    const queue = [name];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      for (const user of users.get(next) ?? []) {
        if (!found.has(user)) queue.push(user);
        found.add(user);
      }
    }
    return [...found];
  };
  return new Map([...users.keys()].map((name) => [name, all(name)]));
}

/**
 * The last line of the declaration that starts in a line: its brackets are closed and a semicolon or brace ends it.
 *
 * @param {string[]} lines
 * @param {number} start
 */
function endOf(lines, start) {
  let depth = 0;
  for (let index = start; index < lines.length; index += 1) {
    const line = lines[index] ?? "";
    depth += (line.match(/[{([]/g) ?? []).length - (line.match(/[})\]]/g) ?? []).length;
    if (depth <= 0 && (/[;}]$/.test(line) || line.trim() === "")) return index;
  }
  return lines.length - 1;
}
