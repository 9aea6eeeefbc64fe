// Fields that are typed into: texts, numbers, dates and times.
import { h } from './dom.js';
import { t } from './i18n.js';
import { fromWall, toWall } from './time.js';
import { keep, valueOf } from './values.js';

const INPUT_TYPES = { email_text_input: 'email', url_text_input: 'url', number_input: 'number' };

export function textField(el, block, ctx, props, changed) {
  const value = plain(valueOf(ctx.surface, block, el));
  const lines = el.multiline || el.type === 'rich_text_input';
  const field = h(lines ? 'textarea' : 'input', {
    ...props,
    class: 'field',
    type: lines ? null : (INPUT_TYPES[el.type] ?? 'text'),
    rows: lines ? 4 : null,
    value: value ?? '',
    placeholder: el.placeholder?.text,
    minlength: el.min_length || null,
    maxlength: el.max_length || null,
    min: el.min_value,
    max: el.max_value,
    step: el.type === 'number_input' ? (el.is_decimal_allowed ? 'any' : '1') : null,
    autocomplete: 'off',
    'aria-label': ctx.label,
  });
  const wrap = (text) => (el.type === 'rich_text_input' ? rich(text) : text === '' ? null : text);
  const on = el.dispatch_action_config?.trigger_actions_on ?? ['on_enter_pressed'];
  field.addEventListener('input', () => {
    keep(ctx.surface, block, el, wrap(field.value));
    if (!ctx.quiet && on.includes('on_character_entered')) changed(el, block, ctx, wrap(field.value), null);
    grow(field);
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || lines || ctx.quiet || !on.includes('on_enter_pressed')) return;
    event.preventDefault();
    changed(el, block, ctx, wrap(field.value), field);
  });
  if (lines) requestAnimationFrame(() => grow(field));
  return field;
}

/** Lets a multi-line field grow with its text, up to the height its style allows. */
export function grow(field) {
  if (field.tagName !== 'TEXTAREA') return;
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight + 2}px`;
}

const rich = (text) =>
  text === ''
    ? null
    : { type: 'rich_text', elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text }] }] };

function plain(value) {
  if (value?.type !== 'rich_text') return value;
  return (value.elements ?? [])
    .map((part) => (part.elements ?? []).map((e) => e.text ?? e.url ?? '').join(''))
    .join('\n');
}

const DATE_TYPES = { datepicker: 'date', timepicker: 'time', datetimepicker: 'datetime-local' };

export function dateField(el, block, ctx, props, changed) {
  const moment = el.type === 'datetimepicker';
  const value = valueOf(ctx.surface, block, el);
  const field = h('input', {
    ...props,
    class: 'field field-date',
    type: DATE_TYPES[el.type],
    'aria-label': ctx.label ?? el.placeholder?.text ?? t('select.placeholder'),
    value: value === null || value === undefined ? '' : moment ? toWall(value) : value,
  });
  field.addEventListener('change', () =>
    changed(el, block, ctx, field.value ? (moment ? fromWall(field.value) : field.value) : null, field),
  );
  return field;
}
