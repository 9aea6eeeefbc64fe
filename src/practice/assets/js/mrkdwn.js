// Slack's own text format ("mrkdwn") drawn as nodes: *bold* _italic_ ~strike~ `code` ``` > and <references>.
import { frag, h, emit } from './dom.js';
import { glyph, withEmoji } from './emoji.js';
import { t } from './i18n.js';
import { openChannel, store } from './store.js';
import { slackDate, fullMoment } from './time.js';

export const unescape = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

/** A whole text, with fences, quotes and lines. */
export function mrkdwn(text) {
  const out = frag();
  const source = text ?? '';
  let from = 0;
  for (const match of source.matchAll(/```\n?([\s\S]*?)```\n?/g)) {
    out.append(lines(source.slice(from, match.index).replace(/\n$/, '')));
    out.append(h('pre', {}, plainCode(match[1].replace(/\n$/, ''))));
    from = match.index + match[0].length;
  }
  out.append(lines(source.slice(from)));
  return out;
}

/** One text object of Block Kit: plain_text or mrkdwn. */
export function textObject(object) {
  if (!object) return null;
  if (typeof object === 'string') return object;
  if (object.type === 'mrkdwn') return mrkdwn(object.text);
  return object.emoji === false ? object.text : withEmoji(object.text ?? '');
}

const QUOTE = /^(?:&gt;|>) ?/;

function lines(text) {
  const out = frag();
  if (!text) return out;
  let quote = null;
  let first = true;
  for (const line of text.split('\n')) {
    if (QUOTE.test(line)) {
      if (quote) quote.append(h('br'));
      else out.append((quote = h('blockquote')));
      quote.append(inline(line.replace(QUOTE, '')));
      first = true;
      continue;
    }
    quote = null;
    if (!first) out.append(h('br'));
    out.append(inline(line));
    first = false;
  }
  return out;
}

const MARKS = { '*': 'strong', _: 'em', '~': 's' };
const isWord = (c) => c !== undefined && /[\p{L}\p{N}]/u.test(c);

/** One line: marks only open after and close before something that is not a word, as in Slack. */
export function inline(text) {
  const out = frag();
  let plain = '';
  const flush = () => {
    if (plain) out.append(withEmoji(unescape(plain)));
    plain = '';
  };
  for (let i = 0; i < text.length;) {
    const found = token(text, i);
    if (!found) {
      plain += text[i];
      i += 1;
      continue;
    }
    flush();
    out.append(found.node);
    i = found.end;
  }
  flush();
  return out;
}

function token(text, i) {
  const c = text[i];
  if (c === '<') return reference(text, i);
  if (c === '`') return code(text, i);
  if (c === ':') return emoji(text, i);
  if (MARKS[c]) return marked(text, i, c);
  return null;
}

function code(text, i) {
  const end = text.indexOf('`', i + 1);
  if (end <= i + 1) return null;
  return { node: h('code', {}, plainCode(text.slice(i + 1, end))), end: end + 1 };
}

// Inside code, marks mean nothing, but links that Slack wrapped are shown as their text.
const plainCode = (text) =>
  unescape(text.replace(/<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>/g, (_, url, label) => label ?? url));

function emoji(text, i) {
  const match = /^:([\w+-]+):/.exec(text.slice(i, i + 64));
  const found = match && glyph(match[1]);
  if (!found) return null;
  return { node: h('span', { class: 'emoji', title: match[0] }, found), end: i + match[0].length };
}

function marked(text, i, mark) {
  if (isWord(text[i - 1]) || text[i + 1] === undefined || /\s/.test(text[i + 1]) || text[i + 1] === mark) return null;
  for (let j = i + 1; j < text.length; j += 1) {
    if (text[j] === '`' || text[j] === '<') {
      const close = text.indexOf(text[j] === '<' ? '>' : '`', j + 1);
      if (close > 0) j = close;
      continue;
    }
    const closes = text[j] === mark && !/\s/.test(text[j - 1]) && !isWord(text[j + 1]);
    if (closes) return { node: h(MARKS[mark], {}, inline(text.slice(i + 1, j))), end: j + 1 };
  }
  return null;
}

function reference(text, i) {
  const end = text.indexOf('>', i);
  if (end < 0) return null;
  const body = text.slice(i + 1, end);
  const node = referenceNode(body);
  return node ? { node, end: end + 1 } : null;
}

function referenceNode(body) {
  const bar = body.indexOf('|');
  const target = bar < 0 ? body : body.slice(0, bar);
  const label = bar < 0 ? null : body.slice(bar + 1);
  if (target.startsWith('@')) return mention(target.slice(1), label);
  if (target.startsWith('#')) return channelLink(target.slice(1), label);
  if (target.startsWith('!date^')) return dateNode(target, label);
  if (target.startsWith('!subteam^'))
    return h('span', { class: 'mention' }, atSign(unescape(label ?? t('mention.group'))));
  if (target.startsWith('!')) return h('span', { class: 'mention mention-me' }, atSign(label ?? target.slice(1)));
  return link(target, label === null ? null : inline(label));
}

const atSign = (name) => (name.startsWith('@') ? name : `@${name}`);

export function mention(id, label) {
  const person = store.person(id);
  const name = person?.real_name || person?.name || label || id;
  const mine = id === store.ui.as ? ' mention-me' : '';
  return h('span', { class: `mention${mine}`, title: person?.title }, atSign(unescape(name)));
}

export function channelLink(id, label) {
  const channel = store.channel(id);
  const name = channel?.name ?? label;
  if (!channel) return h('span', { class: 'mention' }, name ? `#${unescape(name)}` : t('mention.private'));
  return h('button', { type: 'button', class: 'mention', onclick: () => openChannel(id) }, `#${name}`);
}

function dateNode(target, fallback) {
  const [, unix, pattern, url] = target.split('^');
  const text = slackDate(unix, unescape(pattern ?? '')) ?? unescape(fallback ?? '');
  const node = h('time', { title: fullMoment(Number(unix) * 1000) }, text);
  return url ? link(url, node) : node;
}

const SAFE = /^(https?:|mailto:|tel:)/i;

/** A link that opens elsewhere; anything but web, mail and phone addresses stays text. */
export function link(url, label) {
  const address = unescape(url);
  if (!SAFE.test(address)) return label ? frag(label) : frag(`<${address}>`);
  return h(
    'a',
    { href: address, target: '_blank', rel: 'noopener noreferrer', onclick: stopPractice },
    label ?? address,
  );
}

// Links of the practice world point at example hosts; say so instead of opening a dead page.
function stopPractice(event) {
  const host = new URL(event.currentTarget.href).hostname;
  if (!/(^|\.)example\.(com|org|net)$|\.(test|invalid|example)$/.test(host)) return;
  event.preventDefault();
  emit('toast', { text: t('link.example', { host }) });
}
