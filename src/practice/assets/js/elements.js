// The controls of Block Kit: what they look like, what they remember, and the action they send.
import { h, icon } from './dom.js';
import { post } from './api.js';
import { confirmed } from './dialog.js';
import { t } from './i18n.js';
import { openMenu } from './menu.js';
import { textObject } from './mrkdwn.js';
import { collect, fieldOf, isMulti, keep, valueOf } from './values.js';
import { dateField, textField } from './fields.js';
import { choicesOf, labelOf } from './choices.js';
import { picture } from './pictures.js';

/**
 * Sends one action as Slack's block_actions carries it. `ctx.where` names the surface
 * (`{channel, ts}`, `{view_id}` or `{home: true}`). Answers false when the person said no or the server refused.
 */
export async function act(element, block, ctx, chosen, control) {
  if (control?.classList.contains('busy')) return false;
  if (!(await confirmed(element.confirm))) return false;
  control?.classList.add('busy');
  control?.setAttribute('aria-busy', 'true');
  const answer = await post('action', {
    ...ctx.where,
    block_id: block.block_id,
    action_id: element.action_id,
    type: element.type,
    ...chosen,
    state: { values: collect(ctx.surface, ctx.blocks) },
  });
  control?.classList.remove('busy');
  control?.removeAttribute('aria-busy');
  return Boolean(answer.ok);
}

/** Draws one element of a block; an unknown one is said to be unknown. */
export function element(el, block, ctx) {
  const focus = `${ctx.surface}/${block.block_id ?? ''}/${el.action_id ?? el.type}`;
  const props = { 'data-focus': focus, autofocus: el.focus_on_load || null };
  switch (el.type) {
    case 'button':
    case 'workflow_button':
      return button(el, block, ctx, props);
    case 'overflow':
      return overflow(el, block, ctx, props);
    case 'image':
      return picture(el, 'picture-small');
    case 'checkboxes':
    case 'radio_buttons':
      return boxes(el, block, ctx, focus);
    case 'datepicker':
    case 'timepicker':
    case 'datetimepicker':
      return dateField(el, block, ctx, props, changedValue);
    case 'plain_text_input':
    case 'email_text_input':
    case 'url_text_input':
    case 'number_input':
    case 'rich_text_input':
      return textField(el, block, ctx, props, changedValue);
    case 'feedback_buttons':
      return h(
        'span',
        { class: 'button-row' },
        [el.positive_button, el.negative_button]
          .filter(Boolean)
          .map((b) => button({ ...b, type: el.type, action_id: el.action_id }, block, ctx, props)),
      );
    case 'icon_button':
      return button({ ...el, text: el.text }, block, ctx, props);
    default:
      if (/_select$/.test(el.type)) return select(el, block, ctx, props);
      return h('span', { class: 'unknown' }, t('block.unknown', { type: el.type }));
  }
}

/** A control's new value: remembered, and sent unless it sits in a form that waits for Submit. */
export async function changedValue(el, block, ctx, value, control) {
  const before = valueOf(ctx.surface, block, el);
  keep(ctx.surface, block, el, value);
  if (ctx.quiet) return true;
  const sent = await act(el, block, ctx, { [fieldOf(el.type)]: value }, control);
  if (!sent && el.confirm) keep(ctx.surface, block, el, before);
  return sent;
}

function button(el, block, ctx, props) {
  const style = el.style === 'primary' || el.style === 'danger' ? el.style : '';
  const press = (event) => act(el, block, ctx, { value: el.value }, event.currentTarget);
  const common = { ...props, class: `button ${style}`, 'aria-label': el.accessibility_label };
  if (el.url) {
    return h(
      'a',
      {
        ...common,
        href: /^https?:/i.test(el.url) ? el.url : null,
        target: '_blank',
        rel: 'noopener noreferrer',
        onclick: press,
      },
      textObject(el.text),
      icon('external'),
    );
  }
  return h(
    'button',
    { ...common, type: 'button', onclick: press },
    h('span', { class: 'button-text' }, textObject(el.text)),
  );
}

function overflow(el, block, ctx, props) {
  const node = h(
    'button',
    {
      ...props,
      type: 'button',
      class: 'button button-overflow',
      'aria-label': t('block.more'),
      title: t('block.more'),
      'aria-haspopup': 'menu',
      'aria-expanded': 'false',
    },
    icon('more'),
  );
  node.addEventListener('click', () =>
    openMenu(
      node,
      (el.options ?? []).map((option) => ({
        label: textObject(option.text),
        description: option.description?.text,
        href: /^https?:/i.test(option.url ?? '') ? option.url : null,
        option,
      })),
      {
        label: t('block.more'),
        align: 'end',
        onpick: ({ option }) => act(el, block, ctx, { selected_option: option }, node),
      },
    ),
  );
  return node;
}

function select(el, block, ctx, props) {
  const multi = isMulti(el.type);
  const node = h('button', {
    ...props,
    type: 'button',
    class: 'select',
    'aria-haspopup': 'listbox',
    'aria-expanded': 'false',
  });
  const chosen = () => {
    const value = valueOf(ctx.surface, block, el);
    return multi ? (value ?? []) : [value].filter(Boolean);
  };
  const draw = () => {
    const labels = chosen().map((value) => labelOf(el, value));
    node.replaceChildren(
      h(
        'span',
        { class: `select-text${labels.length ? '' : ' placeholder'}` },
        labels.length ? labels.join(', ') : (textObject(el.placeholder) ?? t('select.placeholder')),
      ),
      icon('chevron'),
    );
    node.setAttribute(
      'aria-label',
      `${el.placeholder?.text ?? t('select.placeholder')}: ${labels.join(', ') || t('select.none')}`,
    );
  };
  const set = async (value) => {
    const done = changedValue(el, block, ctx, value, node);
    draw();
    if (!(await done)) draw();
  };
  const toggle = (item) => {
    const now = chosen();
    const has = now.some((v) => same(v, item.value));
    const next = has ? now.filter((v) => !same(v, item.value)) : [...now, item.value];
    if (has || !el.max_selected_items || next.length <= el.max_selected_items) return set(next);
    return undefined;
  };
  node.addEventListener('click', () => {
    const items = choicesOf(el).map((item) => ({ ...item, checked: chosen().some((v) => same(v, item.value)) }));
    openMenu(node, items, {
      multi,
      filter: items.length > 7 || multi || /users|channels|conversations/.test(el.type),
      label: el.placeholder?.text ?? t('select.placeholder'),
      align: 'match',
      empty: el.type.includes('external') ? t('select.external') : null,
      onpick: (item) => (multi ? toggle(item) : set(item.value)),
    });
  });
  draw();
  return node;
}

const same = (a, b) => (a?.value ?? a) === (b?.value ?? b);

let groups = 0;
function boxes(el, block, ctx, focus) {
  const radio = el.type === 'radio_buttons';
  const name = `choice-${(groups += 1)}`;
  const value = valueOf(ctx.surface, block, el);
  const on = (option) => (radio ? value?.value === option.value : (value ?? []).some((o) => o.value === option.value));
  const node = h(
    'div',
    { class: 'boxes', role: radio ? 'radiogroup' : 'group' },
    (el.options ?? []).map((option, i) =>
      h(
        'label',
        { class: 'box' },
        h('input', {
          type: radio ? 'radio' : 'checkbox',
          name,
          checked: on(option),
          'data-index': i,
          'data-focus': `${focus}/${option.value}`,
        }),
        h(
          'span',
          { class: 'box-text' },
          h('span', {}, textObject(option.text)),
          option.description && h('span', { class: 'box-description' }, textObject(option.description)),
        ),
      ),
    ),
  );
  node.addEventListener('change', async () => {
    const picked = [...node.querySelectorAll('input:checked')].map((input) => el.options[Number(input.dataset.index)]);
    const sent = await changedValue(el, block, ctx, radio ? (picked[0] ?? null) : picked, node);
    if (!sent && el.confirm)
      node.querySelectorAll('input').forEach((input, i) => {
        input.checked = on(el.options[i]);
      });
  });
  return node;
}
