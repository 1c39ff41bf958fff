// Routes in the hash: "#/applications/shop?at=/vm/web" → page "applications", ["shop"], {at: …}.

/** Return {page, names, query} of a hash. */
export function parse(hash) {
  const [path, search] = hash.replace(/^#/, "").split("?");
  const [page = "", ...names] = path.split("/").filter(Boolean).map(decode);
  return { page, names, query: Object.fromEntries(new URLSearchParams(search ?? "")) };
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Return the hash of a page. */
export function to(page, names = [], query = {}) {
  const path = [page, ...names].map(encodeURIComponent).join("/");
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

export function go(page, names, query) {
  location.hash = to(page, names, query);
}

/** Change the query of the present page; the page is told. */
export function turn(changes, isStep = true) {
  const now = parse(location.hash);
  const hash = to(now.page, now.names, { ...now.query, ...changes });
  if (hash === location.hash) return;
  if (isStep) location.hash = hash;
  else {
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
}
