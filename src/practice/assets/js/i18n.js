// The page's own words, in the language the person chose. Messages of the app are never translated here.

let words = {};
let lang = 'en';
export const LANGUAGES = [
  ['en', 'English'],
  ['fr', 'Français'],
];

export const language = () => lang;

/** The language to start with: an earlier choice, else the workspace's, else the browser's. */
export function preferred(workspaceLocale) {
  const known = (code) => LANGUAGES.some(([l]) => l === code);
  const chosen = localStorage.getItem('practice.lang');
  if (known(chosen)) return chosen;
  const candidates = [workspaceLocale, ...navigator.languages].map((l) => (l ?? '').slice(0, 2));
  return candidates.find(known) ?? 'en';
}

export async function load(code) {
  const answer = await fetch(`/assets/i18n/${code}.json`);
  if (!answer.ok) throw new Error(`The texts for “${code}” did not load (${answer.status}).`);
  words = await answer.json();
  lang = code;
  document.documentElement.lang = code;
}

export async function choose(code) {
  localStorage.setItem('practice.lang', code);
  await load(code);
}

/** The text of a key with its {names} filled in. A missing key shows itself, so that it is noticed. */
export function t(key, vars = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in vars ? String(vars[name]) : whole));
}

/** Singular or plural by the language's own rule: `key.one`, `key.other`. */
export function tn(key, count, vars = {}) {
  const form = new Intl.PluralRules(lang).select(count) === 'one' ? 'one' : 'other';
  return t(`${key}.${form}`, { n: count, ...vars });
}

/** Fills every element that names its text with `data-t` (content) or `data-t-label` (accessible name). */
export function applyTo(root) {
  for (const el of root.querySelectorAll('[data-t]')) el.textContent = t(el.dataset.t);
  for (const el of root.querySelectorAll('[data-t-label]')) {
    el.setAttribute('aria-label', t(el.dataset.tLabel));
    if (el.matches('button')) el.title = t(el.dataset.tLabel);
  }
}
