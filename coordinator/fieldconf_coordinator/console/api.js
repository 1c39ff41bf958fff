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

async function ask(method, path, { parameters, body, type, headers, signal } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET" && session.csrf) sent["X-CSRF-Token"] = session.csrf;
  if (body !== undefined) sent["Content-Type"] = type ?? "application/json";
  const options = { method, headers: sent, signal, credentials: "same-origin" };
  if (body !== undefined) options.body = type ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(BASE + path + query(parameters), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, {
      message: "the coordinator cannot be reached",
      hint: "This page goes on by itself as soon as it is back.",
    });
  }
  return answered(response, path);
}

async function answered(response, path) {
  const told = await response.json().catch(() => ({}));
  if (response.ok) {
    told.tag = response.headers.get("ETag");
    return told;
  }
  if (response.status === 401 && path !== "/session") onLoggedOut();
  throw new ApiError(response.status, told.error ?? { message: `HTTP status ${response.status}` });
}

/** Return what there is at a path: the data. */
export async function get(path, parameters, signal) {
  return (await ask("GET", path, { parameters, signal })).data;
}

/** Return a page of a list: {data, page: {next}}. */
export function getPage(path, parameters, signal) {
  return ask("GET", path, { parameters, signal });
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

/** Create something; a request that is sent twice by mistake counts once. */
export async function post(path, body) {
  const headers = { "Idempotency-Key": randomKey() };
  return (await ask("POST", path, { body, headers })).data;
}

function randomKey() {
  // crypto.randomUUID is missing where the page came without TLS from another box.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return {data, tag}: the tag tells a later edit that nobody else was faster. */
export function getTagged(path) {
  return ask("GET", path);
}

export async function put(path, body, tag) {
  return (await ask("PUT", path, { body, headers: tag ? { "If-Match": tag } : {} })).data;
}

export async function patch(path, body) {
  return (await ask("PATCH", path, { body })).data;
}

export async function remove(path, parameters) {
  return (await ask("DELETE", path, { parameters })).data;
}

/** Send a file, or bytes, as they are. */
export async function upload(path, content, type) {
  return (await ask("POST", path, { body: content, type })).data;
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
