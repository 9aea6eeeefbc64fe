// Every write of the page. A refusal comes back as a sentence and is shown; nothing fails in silence.
import { emit } from './dom.js';
import { t } from './i18n.js';
import { refresh, store } from './store.js';

/** Sends one write as the chosen person and returns the server's answer, `{ok:false}` when it did not work. */
export async function post(path, body = {}) {
  let answer;
  try {
    const response = await fetch(`/page/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ as: store.ui.as, ...body }),
    });
    answer = await response.json();
  } catch (error) {
    console.error(error);
    answer = { ok: false, error: t('error.unreachable') };
  }
  if (!answer.ok && answer.error) emit('toast', { text: answer.error, kind: 'error' });
  refresh();
  return answer;
}

/** A person's typed text as Slack sends it: `& < >` escaped, names turned into references. */
export function toWire(text, forCommand = false) {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const label = (id, name) => (forCommand ? `${id}|${name}` : id);
  const people = [...(store.state?.people ?? [])].sort((a, b) => nameOf(b).length - nameOf(a).length);
  let out = escaped;
  for (const p of people) {
    out = replaceWord(out, `@${nameOf(p)}`, `<@${label(p.id, p.name)}>`);
    out = replaceWord(out, `@${p.name}`, `<@${label(p.id, p.name)}>`);
  }
  for (const c of store.state?.channels ?? []) {
    if (c.kind !== 'im') out = replaceWord(out, `#${c.name}`, `<#${label(c.id, c.name)}>`);
  }
  for (const word of ['here', 'channel', 'everyone']) out = replaceWord(out, `@${word}`, `<!${word}>`);
  return out;
}

const nameOf = (p) => p.real_name || p.name || '';

function replaceWord(text, word, by) {
  if (word.length < 2 || !text.includes(word)) return text;
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text.replace(
    new RegExp(`(^|[^\\p{L}\\p{N}<@#])${escaped}(?![\\p{L}\\p{N}_-])`, 'gu'),
    (_, before) => `${before}${by}`,
  );
}

/** The inverse of {@link toWire}, for editing a message. */
export function fromWire(text) {
  return (text ?? '')
    .replace(/<@(\w+)(?:\|[^>]*)?>/g, (whole, id) => (store.person(id) ? `@${nameOf(store.person(id))}` : whole))
    .replace(/<#(\w+)(?:\|([^>]*))?>/g, (whole, id, name) => `#${store.channel(id)?.name ?? name ?? id}`)
    .replace(/<!(here|channel|everyone)>/g, '@$1')
    .replace(/<((?:https?|mailto):[^|>]+)(?:\|[^>]*)?>/g, '$1')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
