// Requests to the REST interface: the session's CSRF token, and errors in words.

const BASE = "/api/v1";

/** What the coordinator refused, or why it could not be asked. */
export class ApiError extends Error {
  constructor(status, told) {
    super(told.message ?? "the coordinator did not say why");
    this.status = status;
    this.code = told.code ?? "";
    this.where = told.where ?? "";
    this.hint = told.hint ?? "";
    this.problems = told.problems ?? [];
  }
}

const ROLES = ["viewer", "operator", "releaser", "admin"];

export const session = { user: "", role: "", via: "", csrf: "", first: false };

/** Called when the coordinator does not know us any more. */
let onLoggedOut = () => {};

export function whenLoggedOut(handler) {
  onLoggedOut = handler;
}

/** Tell whether whoever is logged in may do what needs this role. */
export function may(role) {
  return ROLES.indexOf(session.role) >= ROLES.indexOf(role);
}

export function roles() {
  return ROLES;
}

function query(parameters) {
  const given = Object.entries(parameters ?? {}).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** Return the headers of a request that changes something. */
function headersOf(type) {
  const headers = { Accept: "application/json" };
  if (type) headers["Content-Type"] = type;
  if (session.csrf) headers["X-CSRF-Token"] = session.csrf;
  return headers;
}

async function request(method, path, { parameters, body, headers, signal } = {}) {
  const sent = method === "GET" ? { Accept: "application/json" } : headersOf(body === undefined ? "" : "application/json");
  const options = { method, headers: { ...sent, ...headers }, signal, credentials: "same-origin" };
  if (body !== undefined) options.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(BASE + path + query(parameters), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable("This page goes on by itself as soon as it is back.");
  }
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw refused(response.status, told, path);
  told.tag = response.headers.get("ETag");
  return told;
}

function unreachable(hint) {
  return new ApiError(0, { message: "the coordinator cannot be reached", hint });
}

function refused(status, told, path) {
  if (status === 401 && path !== "/session") onLoggedOut();
  return new ApiError(status, told.error ?? { message: `HTTP status ${status}` });
}

/** Return what there is at a path: the data. */
export async function get(path, parameters, signal) {
  return (await request("GET", path, { parameters, signal })).data;
}

/** Return a page of a list: {data, page: {next}}. */
export function getPage(path, parameters, signal) {
  return request("GET", path, { parameters, signal });
}

/** Return all pages of a list, handing each to `each` as it comes. */
export async function getAll(path, parameters, each, signal) {
  const found = [];
  let cursor;
  do {
    const answer = await getPage(path, { limit: 1000, ...parameters, cursor }, signal);
    found.push(...answer.data);
    each?.(answer.data);
    cursor = answer.page?.next;
  } while (cursor);
  return found;
}

/** Ask what would be; nothing is changed. */
export async function ask(path, body) {
  return (await request("POST", path, { body })).data;
}

/** Create something; a request that is sent twice by mistake counts once. */
export async function post(path, body) {
  const headers = { "Idempotency-Key": randomKey() };
  return (await request("POST", path, { body, headers })).data;
}

function randomKey() {
  // crypto.randomUUID is missing where the page came without TLS from another box.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return {data, tag}: the tag tells a later edit that nobody else was faster. */
export function getTagged(path) {
  return request("GET", path);
}

export async function put(path, body, tag) {
  return (await request("PUT", path, { body, headers: tag ? { "If-Match": tag } : {} })).data;
}

export async function patch(path, body, tag) {
  return (await request("PATCH", path, { body, headers: tag ? { "If-Match": tag } : {} })).data;
}

export async function remove(path, parameters) {
  return (await request("DELETE", path, { parameters })).data;
}

/** Send a file, or bytes, as they are; `progress(share)` is told how far that is, from 0 to 1. */
export function upload(path, content, type, progress = () => {}) {
  // fetch tells nothing of what was sent so far.
  const sent = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    sent.open("POST", BASE + path);
    for (const [name, value] of Object.entries(headersOf(type))) sent.setRequestHeader(name, value);
    sent.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    sent.addEventListener("error", () => reject(unreachable("Send it again as soon as it is back.")));
    sent.addEventListener("load", () => {
      const told = parsed(sent.responseText);
      if (sent.status < 400) resolve(told.data);
      else reject(refused(sent.status, told, path));
    });
    sent.send(content);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** Ask who we are. */
export async function readSession() {
  return Object.assign(session, await get("/session"));
}

export async function logIn(how) {
  return Object.assign(session, await post("/session", how));
}

export async function logOut() {
  await remove("/session");
  Object.assign(session, { user: "", role: "", via: "", csrf: "", first: false });
}

/** Return the part of a path that names an instance: each segment encoded, slashes kept. */
export function instanceUrl(application, path) {
  const segments = path.split("/").filter(Boolean).map(encodeURIComponent);
  return `/applications/${encodeURIComponent(application)}/instances/${segments.join("/")}`;
}

export function applicationUrl(application) {
  return `/applications/${encodeURIComponent(application)}`;
}
