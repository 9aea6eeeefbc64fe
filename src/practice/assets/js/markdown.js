// Standard Markdown, for the `markdown` block and for previews of .md files: no HTML is let through.
import { frag, h } from './dom.js';
import { withEmoji } from './emoji.js';
import { inline as mrkdwnInline, link } from './mrkdwn.js';

export function markdown(text) {
  return h('div', { class: 'markdown' }, blocks((text ?? '').replace(/\r\n?/g, '\n').split('\n')));
}

const FENCE = /^\s*(```|~~~)\s*([\w-]*)/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^\s*>\s?/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

function blocks(lines) {
  const out = frag();
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    let made;
    if (!line.trim()) i += 1;
    else if (FENCE.test(line)) made = fence(lines, i);
    else if (HEADING.test(line)) made = heading(lines, i);
    else if (RULE.test(line)) made = { node: h('hr'), next: i + 1 };
    else if (QUOTE.test(line)) made = quote(lines, i);
    else if (ITEM.test(line)) made = list(lines, i);
    else if (line.includes('|') && TABLE_RULE.test(lines[i + 1] ?? '')) made = table(lines, i);
    else made = paragraph(lines, i);
    if (made) {
      out.append(made.node);
      i = made.next;
    }
  }
  return out;
}

function fence(lines, start) {
  const mark = FENCE.exec(lines[start])[1];
  let end = start + 1;
  while (end < lines.length && !lines[end].trim().startsWith(mark)) end += 1;
  return { node: h('pre', {}, lines.slice(start + 1, end).join('\n')), next: end + 1 };
}

function heading(lines, i) {
  const [, marks, text] = HEADING.exec(lines[i]);
  // The page has its own first two levels; a document inside it starts below them.
  return { node: h(`h${Math.min(marks.length + 2, 6)}`, { class: `md-h${marks.length}` }, inline(text)), next: i + 1 };
}

function quote(lines, start) {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  return { node: h('blockquote', {}, blocks(lines.slice(start, end).map((l) => l.replace(QUOTE, '')))), next: end };
}

function list(lines, start) {
  const [, pad, mark] = ITEM.exec(lines[start]);
  const ordered = /\d/.test(mark);
  const node = h(ordered ? 'ol' : 'ul', {
    start: ordered && Number.parseInt(mark, 10) !== 1 ? Number.parseInt(mark, 10) : null,
  });
  let i = start;
  while (i < lines.length) {
    const match = ITEM.exec(lines[i]);
    if (!match || match[1].length > pad.length + 1 || match[1].length < pad.length || /\d/.test(match[2]) !== ordered)
      break;
    const body = [];
    let end = i + 1;
    while (end < lines.length && belongs(lines, end, pad.length))
      body.push(lines[end++].slice(Math.min(pad.length + 2, indentOf(lines[end - 1]))));
    node.append(listItem(match[3], body));
    i = end;
  }
  return { node, next: i };
}

const indentOf = (line) => line.length - line.trimStart().length;

function belongs(lines, i, pad) {
  if (!lines[i].trim()) return indentOf(lines[i + 1] ?? '') > pad && Boolean((lines[i + 1] ?? '').trim());
  return indentOf(lines[i]) > pad + 1;
}

function listItem(text, body) {
  const box = /^\[([ xX])\]\s+(.*)$/.exec(text);
  const mark = box && h('input', { type: 'checkbox', disabled: true, checked: box[1] !== ' ' });
  return h('li', { class: box && 'md-check' }, box ? h('label', {}, mark, inline(box[2])) : inline(text), body.length ? blocks(body) : null);
}

function table(lines, start) {
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, '')
      .split(/(?<!\\)\|/)
      .map((c) => c.trim().replaceAll('\\|', '|'));
  const aligns = cells(lines[start + 1]).map((c) =>
    c.endsWith(':') ? (c.startsWith(':') ? 'center' : 'right') : 'left',
  );
  const row = (line, tag) =>
    h(
      'tr',
      {},
      cells(line).map((c, i) => h(tag, { class: `align-${aligns[i] ?? 'left'}` }, inline(c))),
    );
  let end = start + 2;
  while (end < lines.length && lines[end].includes('|') && lines[end].trim()) end += 1;
  const node = h(
    'div',
    { class: 'table-scroll', tabindex: '0' },
    h(
      'table',
      {},
      h('thead', {}, row(lines[start], 'th')),
      h(
        'tbody',
        {},
        lines.slice(start + 2, end).map((l) => row(l, 'td')),
      ),
    ),
  );
  return { node, next: end };
}

function paragraph(lines, start) {
  let end = start + 1;
  const stops = (l) => !l.trim() || FENCE.test(l) || HEADING.test(l) || QUOTE.test(l) || ITEM.test(l) || RULE.test(l);
  while (end < lines.length && !stops(lines[end])) end += 1;
  const text = lines.slice(start, end);
  const node = h('p');
  text.forEach((line, i) => {
    if (i) node.append(/( {2}|\\)$/.test(text[i - 1]) ? h('br') : ' ');
    node.append(inline(line.replace(/( {2,}|\\)$/, '').trim()));
  });
  return { node, next: end };
}

const INLINE = [
  [/^\\([\\`*_{}[\]()#+\-.!~|>])/, (m) => m[1]],
  [/^(`+)([\s\S]+?)\1(?!`)/, (m) => h('code', {}, m[2].trim())],
  [/^!\[([^\]]*)\]\(([^)\s]+)[^)]*\)/, (m) => link(m[2], m[1] || m[2])],
  [/^\[((?:[^[\]]|\[[^\]]*\])+)\]\(([^)\s]+)[^)]*\)/, (m) => link(m[2], inline(m[1]))],
  [/^<([@#!][^>]+)>/, (m) => mrkdwnInline(m[0])],
  [/^<(https?:[^>\s|]+)(?:\|([^>]*))?>/, (m) => link(m[1], m[2] ?? m[1])],
  [/^https?:\/\/[^\s<>()]+[^\s<>().,;:!?]/, (m) => link(m[0], m[0])],
  [/^\*\*\*(?=\S)([\s\S]*?\S)\*\*\*/, (m) => h('strong', {}, h('em', {}, inline(m[1])))],
  [/^(\*\*|__)(?=\S)([\s\S]*?\S)\1/, (m) => h('strong', {}, inline(m[2]))],
  [/^~~(?=\S)([\s\S]*?\S)~~/, (m) => h('s', {}, inline(m[1]))],
  [/^\*(?=[^\s*])([^*]*[^\s*])\*/, (m) => h('em', {}, inline(m[1]))],
];
const UNDERSCORE = /^_(?=[^\s_])([^_]*[^\s_])_(?![\p{L}\p{N}])/u;

function inline(text) {
  const out = frag();
  let plain = '';
  for (let i = 0; i < text.length;) {
    const rest = text.slice(i);
    const found = INLINE.map(([re, make]) => [re.exec(rest), make]).find(([m]) => m) ?? underscore(text, i, rest);
    if (!found) {
      plain += text[i];
      i += 1;
      continue;
    }
    if (plain) out.append(withEmoji(plain));
    plain = '';
    out.append(found[1](found[0]));
    i += found[0][0].length;
  }
  if (plain) out.append(withEmoji(plain));
  return out;
}

function underscore(text, i, rest) {
  if (text[i] !== '_' || /[\p{L}\p{N}]/u.test(text[i - 1] ?? '')) return null;
  const match = UNDERSCORE.exec(rest);
  return match ? [match, (m) => h('em', {}, inline(m[1]))] : null;
}
