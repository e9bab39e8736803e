/* What a worker does that runs JavaScript or TypeScript: it imports the entrypoint, says so, and
   answers calls, one at a time. It runs under Node.js (20 or newer) and under Bun, and imports
   nothing but what both have built in.

   Started with the arguments: entrypoint, number of the pipe to say `ready` or a problem into,
   number of the stream socket that calls come from (-1: none, it was only to be tried out).
   The frames are those of ../zygote/__init__.py. `{"last": true}` beside an answer says that the
   process can no longer be trusted with a further call.

   Calls are read by a thread, not by the event loop, since Bun cannot watch a socket that it was
   given. */

import fs from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = fileURLToPath(import.meta.url);

const OUTPUT_LIMIT = 10 << 20;
const DEPTH_LIMIT = 100;
const MESSAGE_LIMIT = 2000;
const STACK_LIMIT = 4000;
const FRAME_LIMIT = 20;
const NAMES_LIMIT = 40;

/* A call that ends in a failure with a code of its own. */
class Refusal {
  constructor(code, message, details = {}) {
    this.failure = { code, message: clip(message, MESSAGE_LIMIT), details };
  }
}

// -- the functions of the entrypoint ----------------------------------------------------------

/* The functions that a module exports by name, or in the object that it exports as default. */
class Functions {
  constructor(module) {
    const inner = module.default;
    const listed = inner !== null && typeof inner === "object" ? [inner] : [];
    this.places = [...listed, module];
  }

  /* Return the function for a tool; hyphens stand for underscores. Throws Refusal. */
  find(tool) {
    const name = tool.replaceAll("-", "_");
    for (const place of this.places) {
      for (const key of [tool, name]) {
        if (Object.hasOwn(place, key) && typeof place[key] === "function") {
          return place[key].bind(place);
        }
      }
    }
    throw this.#notFound(name);
  }

  #notFound(name) {
    const known = new Set(this.places.flatMap((place) => this.#namesIn(place)));
    const names = [...known].sort().slice(0, NAMES_LIMIT).join(", ") || "none";
    const message = `There is no function "${name}" in ${entrypoint}; it exports: ${names}.`;
    return new Refusal("TOOL_NOT_FOUND", message, { function: name });
  }

  #namesIn(place) {
    return Object.keys(place).filter((key) => typeof place[key] === "function");
  }
}

// -- a call -----------------------------------------------------------------------------------

let interrupt = null; // fails the call that is under way

/* Carry out a call and return the JSON that answers it. */
async function answer(functions, call) {
  try {
    return `{"output":${toJson(await resultOf(functions, call))}}`;
  } catch (problem) {
    const { failure, last } = problem instanceof Refusal ? problem : thrown(problem);
    return JSON.stringify({ failure, last }).replace(LONE_SURROGATE, "\\ufffd");
  }
}

/* Call the function and return its result. Throws Refusal, or what the function threw. */
async function resultOf(functions, { tool, arguments: input, context, env }) {
  const call = functions.find(tool);
  if (input === null || typeof input !== "object" || Array.isArray(input)) {
    throw new Refusal("TOOL_ARGUMENTS", `The arguments of "${tool}" must be an object.`);
  }
  const strayed = new Promise((_, reject) => (interrupt = reject));
  const before = setEnvironment(env);
  try {
    return await Promise.race([call(input, context), strayed]);
  } finally {
    setEnvironment(before);
    interrupt = null;
  }
}

/* Set variables; undefined removes one. Returns what was there before. */
function setEnvironment(entries) {
  const before = {};
  for (const [name, value] of Object.entries(entries)) {
    before[name] = process.env[name];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  return before;
}

/* An error that no call of a function threw: a callback did, or a promise that nobody awaits. The
   call under way is the likely cause, and what else is broken in the process nobody knows. */
function stray(error) {
  if (interrupt === null) {
    console.error(error);
    process.exit(1);
  }
  const refusal = thrown(error);
  refusal.last = true;
  interrupt(refusal);
}

// -- results ----------------------------------------------------------------------------------

/* As JSON shows it; text that only looks like it has an even number of backslashes before the u. */
const LONE_SURROGATE = /\\ud[89a-f][0-9a-f]{2}(?<=(?:^|[^\\])(?:\\\\)*\\u.{4})/g;

/* Return a result as JSON that every reader can take. Throws Refusal. */
function toJson(result) {
  if (result === undefined || result === null) return "{}";
  const text = stringify(result);
  const size = Buffer.byteLength(text);
  if (size > OUTPUT_LIMIT) {
    throw unfit(`has ${size} bytes of JSON; the limit is ${OUTPUT_LIMIT}`);
  }
  if (depthOf(text) > DEPTH_LIMIT) throw unfit(`is nested more than ${DEPTH_LIMIT} levels deep`);
  if (text.search(LONE_SURROGATE) >= 0) throw unfit("has half of a surrogate pair in a text");
  return text;
}

function stringify(result) {
  let text;
  try {
    text = JSON.stringify(result);
  } catch (error) {
    throw unfit(`, a ${kindOf(result)}, is not JSON: ${sentenceOf(error)}`);
  }
  if (text === undefined) throw unfit(`, a ${kindOf(result)}, is not JSON`);
  return text;
}

function unfit(what) {
  return new Refusal("TOOL_OUTPUT", `The result${what.startsWith(",") ? "" : " "}${what}.`);
}

function kindOf(value) {
  return typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
}

/* Return how deep lists and objects are nested in JSON. */
function depthOf(text) {
  let depth = 0;
  let deepest = 0;
  for (let place = 0; place < text.length; place++) {
    const mark = text.charCodeAt(place);
    if (mark === QUOTE) place = endOfText(text, place + 1);
    else if (mark === BRACKET || mark === BRACE) deepest = Math.max(deepest, ++depth);
    else if (mark === BRACKET + 2 || mark === BRACE + 2) depth--;
  }
  return deepest;
}

/* Return where the text that begins at a place ends, which is its closing quote. */
function endOfText(text, place) {
  while (text.charCodeAt(place) !== QUOTE) place += text.charCodeAt(place) === BACKSLASH ? 2 : 1;
  return place;
}

const [QUOTE, BACKSLASH, BRACKET, BRACE] = Buffer.from('"\\[{');

// -- errors -----------------------------------------------------------------------------------

const NO_MEMORY = /memory|allocation failed/i; // the next call would meet it as well

/* Report what a function threw, which may be anything. */
function thrown(error) {
  const cause = error instanceof Error && error.cause ? `; cause: ${sentenceOf(error.cause)}` : "";
  const details = { type: nameOf(error), traceback: framesOf(error) };
  const refusal = new Refusal("TOOL_ERROR", sentenceOf(error) + cause, details);
  refusal.last = error instanceof RangeError && NO_MEMORY.test(error.message);
  return refusal;
}

function sentenceOf(error) {
  try {
    const text = String(error instanceof Error ? error.message : error);
    return clip(text ? `${nameOf(error)}: ${text}` : nameOf(error), MESSAGE_LIMIT);
  } catch {
    return "Error: its message cannot be shown";
  }
}

function nameOf(error) {
  try {
    return error instanceof Error ? clip(String(error.name), 100) : typeof error;
  } catch {
    return "Error";
  }
}

/* Return the innermost frames of user code, innermost first, as engines print them. */
function framesOf(error) {
  try {
    const frames = String(error?.stack ?? "").split("\n").filter(isUsers);
    return clip(frames.slice(0, FRAME_LIMIT).join("\n"), STACK_LIMIT);
  } catch {
    return "";
  }
}

/* Return where a module is wrong, as far as the engine says it. */
async function placeOf(error) {
  const { file, line, column } = error?.position ?? {}; // Bun
  const place = file ? `${file}:${line}:${column}` : framesOf(error).split("\n")[0].trim();
  const where = place || (error instanceof SyntaxError ? await placeOfSyntaxError() : "");
  return where ? ` (${where})` : "";
}

/* Node.js keeps the place to itself, unless it is asked to check the file and nothing else. */
async function placeOfSyntaxError() {
  const { spawnSync } = await import("node:child_process");
  const { stderr } = spawnSync(process.execPath, ["--check", entrypoint], { encoding: "utf8" });
  return stderr.split("\n")[0].replace("file://", "");
}

function isUsers(line) {
  return /^\s+at /.test(line) && !line.includes(HERE) && !/[ (](node|bun|native)\b:?/.test(line);
}

function clip(text, limit) {
  return text.slice(0, limit);
}

// -- the server -------------------------------------------------------------------------------

let reading = false;

/* Return the next call, or null at the end of file. */
async function receive() {
  reading = true;
  let data = Buffer.allocUnsafe(65536);
  let got = 0;
  for (let size = 4; got < size; ) {
    const more = await read(data, got);
    if (more === 0) return null;
    got += more;
    if (got < 4) continue;
    size = 4 + data.readUInt32BE();
    if (size > data.length) data = Buffer.concat([data.subarray(0, got)], size);
  }
  reading = false;
  return data.toString("utf8", 4, got);
}

function read(buffer, offset) {
  return new Promise((resolve, reject) => {
    const done = (error, got) => (error ? reject(error) : resolve(got));
    fs.read(connection, buffer, offset, buffer.length - offset, null, done);
  });
}

function reply(text) {
  const frame = Buffer.alloc(4 + Buffer.byteLength(text));
  frame.writeUInt32BE(frame.length - 4);
  frame.write(text, 4);
  for (let sent = 0; sent < frame.length; ) sent += fs.writeSync(connection, frame, sent);
}

/* Import the entrypoint and tell the parent process how that went. */
async function load() {
  try {
    const functions = new Functions(await import(pathToFileURL(entrypoint)));
    fs.writeSync(report, "ready");
    return functions;
  } catch (error) {
    const first = error?.errors?.[0] ?? error;
    const sentence = sentenceOf(first).replace(/\.$/, "");
    const problem = `${entrypoint} cannot be imported: ${sentence}${await placeOf(first)}`;
    fs.writeSync(report, clip(problem.replaceAll("\n", " "), 1000));
    process.exit(1);
  } finally {
    fs.closeSync(report);
  }
}

async function serve() {
  const functions = await load();
  // A read that is under way would keep Node.js from exiting.
  process.on("exit", () => reading && process.kill(process.pid, "SIGKILL"));
  process.on("uncaughtException", stray);
  process.on("unhandledRejection", stray);
  for (let frame; (frame = await receive()) !== null; ) {
    reply(await answer(functions, JSON.parse(frame)));
  }
  process.exit(0);
}

const [entrypoint, ...numbers] = process.argv.splice(2);
const [report, connection] = numbers.map(Number);
process.argv[1] = entrypoint;
await serve();
