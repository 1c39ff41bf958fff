// How states, times, sizes and counts are said, the same everywhere.

// state → tone: the stylesheet knows a colour and a mark for each.
const TONES = {
  "deployed-started": "good",
  deploying: "busy",
  starting: "busy",
  stopping: "busy",
  undeploying: "busy",
  unresolved: "wait",
  "waiting-for-ancestor": "wait",
  "deployed-stopped": "idle",
  "not-deployed": "off",
  unknown: "unknown",
};

export const STATES = Object.keys(TONES);

export function toneOf(state) {
  return TONES[state] ?? "unknown";
}

/** Return the tone of an instance: what needs a look first wins. */
export function toneOfInstance(row) {
  if (row.problem) return "bad";
  if (row.node && !row.online && row.state !== "not-deployed") return "unknown";
  return toneOf(row.state);
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** Return a moment as people of this day say it: the time today, the day and the time before. */
export function moment(ms) {
  if (!ms) return "–";
  const at = new Date(ms);
  const today = new Date().toDateString() === at.toDateString();
  return today ? CLOCK.format(at) : `${DAY.format(at)} ${CLOCK.format(at).slice(0, 5)}`;
}

export function fullMoment(ms) {
  return ms ? FULL.format(new Date(ms)) : "never";
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
];

/** Return how long something takes or took: "3 min". */
export function span(ms) {
  for (const [unit, size] of UNITS) {
    if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  }
  return "0 s";
}

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = number;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Return a text with a capital at its beginning. */
export function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : "";
}
