// Times as the chosen person sees them: in that person's zone and in the page's language.
import { language, t } from './i18n.js';
import { store } from './store.js';

export const zone = () => store.me()?.tz || Intl.DateTimeFormat().resolvedOptions().timeZone;

const cache = new Map();

function formatter(options, timeZone = zone()) {
  const locale = language() === 'fr' ? 'fr-FR' : 'en-GB';
  const key = `${locale}|${timeZone}|${JSON.stringify(options)}`;
  if (!cache.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat(locale, { ...options, timeZone });
    } catch {
      made = new Intl.DateTimeFormat(locale, { ...options, timeZone: 'UTC' });
    }
    cache.set(key, made);
  }
  return cache.get(key);
}

// A time beyond what a date can hold is shown as unknown; it must not take the page down.
const drawable = (ms) => Number.isFinite(ms) && Math.abs(ms) <= 8.64e15;
const format = (ms, options) => (drawable(ms) ? formatter(options).format(ms) : '?');

export const timeOf = (ms) => format(ms, { hour: '2-digit', minute: '2-digit' });
export const timeWithSeconds = (ms) => format(ms, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
export const dateLong = (ms) => format(ms, { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
export const dayKey = (ms) => format(ms, { year: 'numeric', month: '2-digit', day: '2-digit' });
export const fullMoment = (ms) => `${dateLong(ms)}, ${timeWithSeconds(ms)} (${zone()})`;
export const dateShort = (ms) => format(ms, { weekday: 'short', day: 'numeric', month: 'short' });
export const zoneName = (ms) =>
  formatter({ timeZoneName: 'short' })
    .formatToParts(ms)
    .find((p) => p.type === 'timeZoneName')?.value ?? zone();
export const timeIn = (ms, tz) => formatter({ hour: '2-digit', minute: '2-digit' }, tz || 'UTC').format(ms);

/** Milliseconds of a Slack `ts` such as `1763640000.000100`. */
export const tsMs = (ts) => Math.floor(Number.parseFloat(ts) * 1000);

function pretty(ms, otherwise) {
  const now = store.state?.now_ms ?? Date.now();
  const day = 86_400_000;
  for (const [shift, key] of [
    [0, 'time.today'],
    [-day, 'time.yesterday'],
    [day, 'time.tomorrow'],
  ]) {
    if (dayKey(ms) === dayKey(now + shift)) return t(key);
  }
  return otherwise;
}

export const dayName = (ms) => {
  const name = pretty(ms, null);
  return name ? name.charAt(0).toUpperCase() + name.slice(1) : dateLong(ms);
};

export function ago(ms) {
  const now = store.state?.now_ms ?? Date.now();
  const rel = new Intl.RelativeTimeFormat(language(), { numeric: 'always', style: 'short' });
  const s = Math.round((ms - now) / 1000);
  if (Math.abs(s) < 60) return t('time.now');
  if (Math.abs(s) < 3600) return rel.format(Math.round(s / 60), 'minute');
  if (Math.abs(s) < 86_400) return rel.format(Math.round(s / 3600), 'hour');
  return rel.format(Math.round(s / 86_400), 'day');
}

const TOKENS = {
  date_num: (ms) => format(ms, { year: 'numeric', month: '2-digit', day: '2-digit' }),
  date: (ms) => format(ms, { year: 'numeric', month: 'long', day: 'numeric' }),
  date_slash: (ms) => format(ms, { year: 'numeric', month: '2-digit', day: '2-digit' }),
  date_short: (ms) => format(ms, { year: 'numeric', month: 'short', day: 'numeric' }),
  date_long: dateLong,
  date_long_full: dateLong,
  date_pretty: (ms) => pretty(ms, TOKENS.date(ms)),
  date_short_pretty: (ms) => pretty(ms, TOKENS.date_short(ms)),
  date_long_pretty: (ms) => pretty(ms, dateLong(ms)),
  day_divider_pretty: (ms) => pretty(ms, dateLong(ms)),
  time: timeOf,
  time_secs: timeWithSeconds,
  ago,
};

/** Slack's `<!date^unix^format>`: each token drawn for the reader, an unknown one left as it stands. */
export function slackDate(unixSeconds, pattern) {
  const ms = Number(unixSeconds) * 1000;
  if (!drawable(ms)) return null;
  return pattern.replace(/\{(\w+)\}/g, (whole, name) => (TOKENS[name] ? TOKENS[name](ms) : whole));
}

function parts(ms) {
  const out = {};
  const made = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone(),
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
  for (const { type, value } of made.formatToParts(ms)) out[type] = value;
  return out;
}

/** `YYYY-MM-DDTHH:MM` on the person's wall clock, as a datetime field wants it. */
export function toWall(unixSeconds) {
  const p = parts(unixSeconds * 1000);
  return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}`;
}

/** The unix seconds of a wall-clock moment in the person's zone. */
export function fromWall(wall) {
  const guess = Date.parse(`${wall}:00Z`);
  if (Number.isNaN(guess)) return null;
  const shift = (ms) => Date.parse(`${toWall(ms / 1000)}:00Z`) - ms;
  const once = guess - shift(guess);
  return Math.round((guess - shift(once)) / 1000);
}
