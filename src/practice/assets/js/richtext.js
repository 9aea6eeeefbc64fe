// The rich_text block: sections, lists, quotes and preformatted text with styled elements.
import { frag, h } from './dom.js';
import { glyph } from './emoji.js';
import { channelLink, link, mention } from './mrkdwn.js';
import { slackDate } from './time.js';

export function richText(block) {
  return h('div', { class: 'rich-text' }, lists(block.elements ?? []));
}

// Slack sends a nested list as consecutive flat lists with `indent`; each is drawn at its depth.
function lists(elements) {
  return elements.map((el) => {
    switch (el.type) {
      case 'rich_text_section':
        return h('div', { class: 'rt-section' }, items(el.elements));
      case 'rich_text_quote':
        return h('blockquote', {}, items(el.elements));
      case 'rich_text_preformatted':
        return h('pre', {}, items(el.elements));
      case 'rich_text_list':
        return list(el);
      default:
        return h('div', { class: 'unknown' }, `rich_text: ${el.type}`);
    }
  });
}

function list(el) {
  const tag = el.style === 'ordered' ? 'ol' : 'ul';
  const start = tag === 'ol' && el.offset ? el.offset + 1 : null;
  return h(
    tag,
    { class: `rt-list indent-${Math.min(el.indent ?? 0, 6)}`, start },
    (el.elements ?? []).map((item) => h('li', {}, items(item.elements))),
  );
}

const items = (elements) => (elements ?? []).map(item);

function item(el) {
  switch (el.type) {
    case 'text':
      return styled(broken(el.text), el.style);
    case 'link':
      return styled(link(el.url, el.text ?? null), el.style);
    case 'user':
      return styled(mention(el.user_id), el.style);
    case 'channel':
      return styled(channelLink(el.channel_id), el.style);
    case 'usergroup':
      return h('span', { class: 'mention' }, '@…');
    case 'broadcast':
      return h('span', { class: 'mention mention-me' }, `@${el.range}`);
    case 'emoji':
      return h(
        'span',
        { class: 'emoji', title: `:${el.name}:` },
        fromUnicode(el.unicode) ?? glyph(el.name) ?? `:${el.name}:`,
      );
    case 'date':
      return h('time', {}, slackDate(el.timestamp, el.format ?? '{date_short_pretty} {time}') ?? el.fallback ?? '');
    case 'color':
      return h('code', {}, el.value);
    default:
      return h('span', { class: 'unknown' }, el.type);
  }
}

const fromUnicode = (code) =>
  code ? String.fromCodePoint(...code.split('-').map((c) => Number.parseInt(c, 16))) : null;

function broken(text) {
  const parts = (text ?? '').split('\n');
  return frag(parts.flatMap((part, i) => (i ? [h('br'), part] : [part])));
}

function styled(node, style) {
  let out = node;
  if (style?.code) out = h('code', {}, out);
  if (style?.bold) out = h('strong', {}, out);
  if (style?.italic) out = h('em', {}, out);
  if (style?.strike) out = h('s', {}, out);
  if (style?.underline) out = h('u', {}, out);
  return out;
}
