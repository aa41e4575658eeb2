// Runs before each script, in a fresh realm. Gives the bridge: the only function by which the process speaks with the realm.
// All that is used after the script has begun is held here, so that a script that changes prototypes changes only its own.
// Every line is joined to one before it is run: a frame of a stack in line 1 is ours. So: comments stand on lines of their own.
(function () {
  "use strict";
  const LOG_LIMIT = 65536;
  const TEXT_LIMIT = 1000;
  const uncurry = Function.prototype.bind.bind(Function.prototype.call);
  const { parse, stringify } = JSON;
  const { getPrototypeOf, keys, freeze, defineProperty } = Object;
  const ObjectPrototype = Object.prototype;
  const isArray = Array.isArray;
  const isFiniteNumber = Number.isFinite;
  const Text = String;
  const Failure = Error;
  const Overflow = RangeError;
  const Internal = InternalError;
  const Later = Promise;
  const then = uncurry(Promise.prototype.then);
  const toIso = uncurry(Date.prototype.toISOString);
  const toTime = uncurry(Date.prototype.getTime);
  const slice = uncurry(String.prototype.slice);
  const join = uncurry(Array.prototype.join);
  const isInstance = uncurry(ObjectPrototype.isPrototypeOf);
  const findKnown = uncurry(WeakMap.prototype.get);
  const addKnown = uncurry(WeakMap.prototype.set);
  const findPending = uncurry(Map.prototype.get);
  const addPending = uncurry(Map.prototype.set);
  const dropPending = uncurry(Map.prototype.delete);
  const refusedPrototypes = [
    Map, Set, WeakMap, WeakSet, WeakRef, Promise, RegExp, ArrayBuffer, DataView, Error, Boolean, Number, String, Symbol, BigInt,
    getPrototypeOf(Int8Array), Iterator,
  ];
  delete globalThis.SharedArrayBuffer;
  delete globalThis.Atomics;

  // A long text is kept in pieces, which the process cannot read.
  const flatten = (text) => join([text], "");

  let refusal = null;
  const refuse = (code, message) => {
    refusal = { code, message };
    throw refusal;
  };

  let room = 0;
  const take = (text) => {
    room -= text.length;
    if (room < 0) refuse("step_out_max", "it is too large");
    return text;
  };

  // JSON text of a value, by rules that a script cannot change: no toJSON is called.
  const encode = (value, depth, above) => {
    switch (typeof value) {
      case "string":
        return take(stringify(value));
      case "number":
        if (!isFiniteNumber(value)) refuse("script_result", `${value} is no JSON`);
        return take(value === 0 ? "0" : `${value}`);
      case "boolean":
        return take(value ? "true" : "false");
      case "undefined":
        return take("null");
      case "object":
        if (value === null) return take("null");
        for (let outer = above; outer !== null; outer = outer.above) {
          if (outer.value === value) refuse("script_result", "an object that holds itself is no JSON");
        }
        if (depth === 0) refuse("json_depth", "it is nested too deeply");
        return isArray(value) ? encodeArray(value, depth, { value, above }) : encodeObject(value, depth, { value, above });
      default:
        return refuse("script_result", `a value of the type ${typeof value} is no JSON`);
    }
  };
  const encodeArray = (value, depth, above) => {
    let text = take("[");
    const length = value.length;
    for (let position = 0; position < length; position += 1) {
      if (position > 0) text += take(",");
      text += encode(value[position], depth - 1, above);
    }
    return text + take("]");
  };
  const encodeObject = (value, depth, above) => {
    const prototype = getPrototypeOf(value);
    if (prototype !== ObjectPrototype && prototype !== null) {
      const time = encodeDate(value);
      if (time !== null) return time;
      checkPrototypes(value);
    }
    let text = take("{");
    let isFirst = true;
    const names = keys(value);
    for (let position = 0; position < names.length; position += 1) {
      const item = value[names[position]];
      if (item === undefined) continue;
      text += (isFirst ? "" : ",") + take(stringify(names[position]) + ":") + encode(item, depth - 1, above);
      isFirst = false;
    }
    return text + take("}");
  };
  const encodeDate = (value) => {
    let time;
    try {
      time = toTime(value);
    } catch {
      return null;
    }
    if (!isFiniteNumber(time)) refuse("script_result", "an invalid Date is no JSON");
    return take(stringify(toIso(value)));
  };
  const checkPrototypes = (value) => {
    for (let position = 0; position < refusedPrototypes.length; position += 1) {
      const kind = refusedPrototypes[position];
      if (isInstance(kind.prototype, value)) refuse("script_result", `a value of the type ${kind.name} is no JSON`);
    }
  };
  const encodeWithin = (value, size) => {
    room = size;
    return encode(value, 64, null);
  };

  // What a script logs: kept until the process asks for it.
  let logged = 0;
  let isTruncated = false;
  let lines = "";
  const show = (value) => {
    if (typeof value === "string") return value;
    if (typeof value !== "object" || value === null) return Text(value);
    try {
      if (isInstance(Failure.prototype, value)) return `${value.name}: ${value.message}`;
      return encodeWithin(value, LOG_LIMIT);
    } catch {
      return "[object that cannot be shown]";
    }
  };
  const write = (level, message, fields) => {
    const left = LOG_LIMIT - logged;
    if (left <= 0 || isTruncated) {
      isTruncated = true;
      return;
    }
    if (message.length + fields.length > left) {
      isTruncated = true;
      message = slice(message, 0, left);
      fields = "{}";
    }
    logged += message.length + fields.length;
    lines += `${lines === "" ? "" : ","}["${level}",${stringify(message)},${fields}]`;
  };
  const makeLogger = (level) => (message, fields) => {
    let encoded = "{}";
    if (typeof fields === "object" && fields !== null && !isArray(fields)) {
      try {
        encoded = encodeWithin(fields, LOG_LIMIT);
      } catch {
        encoded = stringify({ fields: show(fields) });
      }
    }
    write(level, show(message), encoded);
  };
  const makeConsole = (level) => (...values) => {
    let text = "";
    for (let position = 0; position < values.length && text.length <= LOG_LIMIT; position += 1) {
      text += (position === 0 ? "" : " ") + show(values[position]);
    }
    write(level, text, "{}");
  };

  // Calls to the host: promises that the process settles.
  let calls = 0;
  let waiting = "";
  const pending = new Map();
  const failures = new WeakMap();
  const call = (method, url, options) => {
    const message = `"method":${encodeWithin(`${method}`, LOG_LIMIT)},"url":${encodeWithin(url, LOG_LIMIT)},"options":`;
    const given = encodeWithin(options === undefined ? {} : options, 1 << 26);
    calls += 1;
    const id = calls;
    waiting += `{"call":${id},${message}${given}}\n`;
    return new Later((resolve, reject) => addPending(pending, id, { resolve, reject }));
  };
  const begin = (method, url, options) => {
    try {
      return call(method, url, options);
    } catch (fault) {
      if (fault !== refusal) throw fault;
      throw new TypeError(`http: ${refusal.message}`);
    }
  };
  const makeMethod = (method) => async (url, options) => begin(method, url, options);
  const settle = (answer) => {
    const message = parse(answer);
    const { resolve, reject } = findPending(pending, message.answer);
    dropPending(pending, message.answer);
    if (message.error === undefined) return resolve(message.value);
    const error = new Failure(message.error.message);
    define(error, "name", "HttpError");
    define(error, "code", message.error.code);
    addKnown(failures, error, message.answer);
    return reject(error);
  };

  const define = (target, name, value) =>
    defineProperty(target, name, { __proto__: null, value, writable: true, configurable: true, enumerable: false });
  define(globalThis, "console", freeze({
    log: makeConsole("info"), info: makeConsole("info"), debug: makeConsole("debug"),
    warn: makeConsole("warning"), error: makeConsole("error"),
  }));
  define(globalThis, "log", freeze({
    debug: makeLogger("debug"), info: makeLogger("info"), warning: makeLogger("warning"), error: makeLogger("error"),
  }));
  define(globalThis, "http", freeze({
    get: makeMethod("GET"), post: makeMethod("POST"), put: makeMethod("PUT"), patch: makeMethod("PATCH"),
    delete: makeMethod("DELETE"), request: async (method, url, options) => begin(method, url, options),
  }));

  // How the script ended, and with what.
  let state = "pending";
  let outcome;
  const start = (script, inputText, contextText) => {
    define(globalThis, "input", parse(inputText));
    define(globalThis, "context", freeze(parse(contextText)));
    const settled = script();
    then(settled, (value) => { state = "done"; outcome = value; }, (reason) => { state = "failed"; outcome = reason; });
  };
  const drain = () => {
    let frames = waiting;
    waiting = "";
    if (lines !== "" || isTruncated) frames += `{"log":[${lines}],"truncated":${isTruncated}}\n`;
    lines = "";
    return flatten(frames);
  };
  const classify = (reason) => {
    if (reason === null || reason === undefined) return "nothing";
    if (isInstance(Overflow.prototype, reason) && reason.message === "Maximum call stack size exceeded") return "script_stack";
    if (isInstance(Overflow.prototype, reason) && reason.message === "BigInt is too large to allocate") return "script_memory";
    if (isInstance(Overflow.prototype, reason) && reason.message === "invalid array buffer length") return "script_memory";
    if (isInstance(Internal.prototype, reason)) return reason.message === "interrupted" ? "script_timeout" : "script_memory";
    return "script_error";
  };
  const describe = () => {
    const told = { kind: "script_error", message: "", stack: "", call: null };
    try {
      if (typeof outcome === "object" && outcome !== null) told.call = findKnown(failures, outcome) ?? null;
      told.kind = classify(outcome);
      const isError = isInstance(Failure.prototype, outcome);
      told.message = slice(isError ? `${outcome.name}: ${outcome.message}` : show(outcome), 0, TEXT_LIMIT);
      told.stack = isError ? slice(Text(outcome.stack), 0, 4 * TEXT_LIMIT) : "";
    } catch {
      told.message = told.message || "[what was thrown cannot be shown]";
    }
    return stringify({ __proto__: null, ...told });
  };
  const finish = (depth, size) => {
    room = size;
    try {
      return flatten(`{"result":${encode(outcome, depth, null)}`);
    } catch (fault) {
      if (fault !== null && fault === refusal) return stringify({ __proto__: null, fault: refusal.code, message: refusal.message });
      outcome = fault;
      return "";
    }
  };
  return (command, first, second, third) => {
    switch (command) {
      case "start": return start(first, second, third);
      case "drain": return drain();
      case "state": return state;
      case "settle": return settle(first);
      case "finish": return finish(first, second);
      default: return describe();
    }
  };
})()
