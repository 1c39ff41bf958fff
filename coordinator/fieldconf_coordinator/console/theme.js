// Light, dark, or as the system is.

const KEY = "fieldconf.theme";
const CHOICES = ["system", "light", "dark"];

export function current() {
  try {
    const kept = localStorage.getItem(KEY);
    return CHOICES.includes(kept) ? kept : "system";
  } catch {
    return "system"; // storage is switched off
  }
}

export function apply(choice = current()) {
  if (choice === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", choice);
}

export function choose(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // It holds until the page is left, then.
  }
  apply(choice);
}

export { CHOICES };
