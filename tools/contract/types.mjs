/**
 * Generates docs/paidchat.d.ts, the types of what a board and its clients send each other, from openapi.json and
 * asyncapi.json.
 *
 *     node types.mjs [--check]
 */

import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const ROOT = new URL("../../", import.meta.url);
const FILE = new URL("docs/paidchat.d.ts", ROOT);
const HEAD = `/**
 * What a board and its clients send each other. Generated from openapi.json and asyncapi.json by tools/contract/types.mjs.
 * New fields, frames and codes may appear: ignore those that you don't know.
 */
`;
// For operators and webhooks. Each refusal has a schema of its own, but a client reads any of them as a Problem.
const NOT_FOR_CLIENTS = /^(Health|Readiness|Received|.+Problem)$/;
const EMPTY = /^export type .* = Record<string, never>;\n/gm;

/** @param {string} name */
function read(name) {
  return JSON.parse(readFileSync(new URL(name, ROOT), "utf8"));
}

/** @param {string} reference `#/channels/feed/messages/NAME`, where NAME is also its schema's */
function nameOf(reference) {
  return reference.split("/").at(-1);
}

async function generate() {
  const [http, feed] = [read("openapi.json"), read("asyncapi.json")];
  const all = Object.entries({ ...feed.components.schemas, ...http.components.schemas });
  const schemas = Object.fromEntries(all.filter(([name]) => !NOT_FOR_CLIENTS.test(name)));
  const document = { openapi: http.openapi, info: http.info, paths: {}, components: { schemas } };
  const options = { alphabetize: true, exportType: true, rootTypes: true, rootTypesNoSchemaPrefix: true };
  const types = astToString(await openapiTS(document, options)).replace(EMPTY, "");
  const frames = feed.operations.follow.messages.map((/** @type {{ $ref: string }} */ { $ref }) => nameOf($ref));
  return `${HEAD}${types}/** What the feed sends. */\nexport type Frame = ${frames.join(" | ")};\n`;
}

const generated = await generate();
if (!process.argv.includes("--check")) writeFileSync(FILE, generated);
else if (readFileSync(FILE, "utf8") !== generated) {
  console.error("docs/paidchat.d.ts is out of date; run node tools/contract/types.mjs");
  process.exit(1);
}
