// Block Kit: one function a block. What Slack would draw is drawn; what is not known here is named, never dropped.
import { h, icon } from './dom.js';
import { withEmoji } from './emoji.js';
import { element } from './elements.js';
import { t } from './i18n.js';
import { markdown } from './markdown.js';
import { link, textObject } from './mrkdwn.js';
import { fileCard, picture } from './pictures.js';
import { richText } from './richtext.js';

/** `ctx`: {surface, where, blocks, errors?: {block_id: text}}. */
export function drawBlocks(blocks, ctx) {
  return h(
    'div',
    { class: 'blocks' },
    (blocks ?? []).map((block) => draw(block, ctx)),
  );
}

function draw(block, ctx) {
  const make = BLOCKS[block.type];
  return make ? make(block, ctx) : h('div', { class: 'block unknown' }, t('block.unknown', { type: block.type }));
}

const BLOCKS = {
  section,
  actions,
  context,
  input,
  table,
  header: (b) => h('h3', { class: 'block block-header' }, withEmoji(b.text?.text ?? '')),
  divider: () => h('hr', { class: 'block block-divider' }),
  image: (b) =>
    h(
      'figure',
      { class: 'block block-image' },
      b.title && h('figcaption', {}, textObject(b.title)),
      picture(b, 'picture'),
    ),
  rich_text: (b) => h('div', { class: 'block' }, richText(b)),
  markdown: (b) => h('div', { class: 'block' }, markdown(b.text)),
  file: (b) =>
    h(
      'div',
      { class: 'block' },
      b.file ? fileCard(b.file) : h('span', { class: 'unknown' }, t('block.unknown', { type: 'file' })),
    ),
  video: (b) => h('div', { class: 'block' }, link(b.title_url ?? b.video_url ?? '', textObject(b.title) ?? b.alt_text)),
  context_actions: (b, ctx) =>
    h(
      'div',
      { class: 'block block-actions block-actions-small' },
      (b.elements ?? []).map((el) => element(el, b, ctx)),
    ),
};

function section(b, ctx) {
  const body = h(
    'div',
    { class: 'section-body' },
    b.text && h('div', { class: 'text' }, textObject(b.text)),
    b.fields &&
      h(
        'div',
        { class: 'fields' },
        b.fields.map((f) => h('div', { class: 'text field-cell' }, textObject(f))),
      ),
  );
  const wide = b.accessory && /select|picker|checkboxes|radio/.test(b.accessory.type);
  return h(
    'div',
    { class: `block block-section${wide ? ' section-wide' : ''}` },
    body,
    b.accessory && h('div', { class: 'accessory' }, element(b.accessory, b, ctx)),
  );
}

function actions(b, ctx) {
  return h(
    'div',
    { class: 'block block-actions', role: 'group' },
    (b.elements ?? []).map((el) => element(el, b, ctx)),
  );
}

function context(b) {
  return h(
    'div',
    { class: 'block block-context' },
    (b.elements ?? []).map((el) =>
      el.type === 'image' ? picture(el, 'picture-small') : h('span', { class: 'text' }, textObject(el)),
    ),
  );
}

let labels = 0;
function input(b, ctx) {
  const id = `input-${(labels += 1)}`;
  const error = ctx.errors?.[b.block_id];
  const inner = element(b.element ?? {}, b, { ...ctx, quiet: !b.dispatch_action, label: b.label?.text });
  const described = [b.hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ');
  if (described) inner.setAttribute('aria-describedby', described);
  if (error) inner.setAttribute('aria-invalid', 'true');
  inner.setAttribute('aria-labelledby', inner.matches('.select') ? `${id} ${(inner.id ||= `${id}-control`)}` : id);
  return h(
    'div',
    { class: `block block-input${error ? ' has-error' : ''}`, 'data-block': b.block_id },
    h(
      'div',
      { class: 'input-label', id },
      textObject(b.label),
      b.optional && h('span', { class: 'optional' }, ` ${t('input.optional')}`),
    ),
    inner,
    error && h('div', { class: 'input-error', id: `${id}-error`, role: 'alert' }, icon('warn'), error),
    b.hint && h('div', { class: 'input-hint', id: `${id}-hint` }, textObject(b.hint)),
  );
}

function table(b) {
  const settings = b.column_settings ?? [];
  const cell = (c) => (c.type === 'rich_text' ? richText(c) : withEmoji(String(c.text ?? c.value ?? '')));
  const row = (cells, tag) =>
    h(
      'tr',
      {},
      cells.map((c, i) =>
        h(tag, { class: `align-${settings[i]?.align ?? 'left'}${settings[i]?.is_wrapped ? '' : ' nowrap'}` }, cell(c)),
      ),
    );
  const [head, ...rest] = b.rows ?? [];
  return h(
    'div',
    { class: 'block table-scroll', tabindex: '0' },
    h(
      'table',
      {},
      head && h('thead', {}, row(head, 'th')),
      h(
        'tbody',
        {},
        rest.map((r) => row(r, 'td')),
      ),
    ),
  );
}
