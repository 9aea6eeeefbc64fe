// The values of the controls on one surface (a message, a view, the Home tab), in the shape of Slack's `view.state.values`.
import { store } from './store.js';

// For each kind of control: the field of its state and the field of its initial value.
const SHAPES = {
  plain_text_input: ['value', 'initial_value'],
  number_input: ['value', 'initial_value'],
  email_text_input: ['value', 'initial_value'],
  url_text_input: ['value', 'initial_value'],
  static_select: ['selected_option', 'initial_option'],
  external_select: ['selected_option', 'initial_option'],
  radio_buttons: ['selected_option', 'initial_option'],
  users_select: ['selected_user', 'initial_user'],
  conversations_select: ['selected_conversation', 'initial_conversation'],
  channels_select: ['selected_channel', 'initial_channel'],
  datepicker: ['selected_date', 'initial_date'],
  timepicker: ['selected_time', 'initial_time'],
  datetimepicker: ['selected_date_time', 'initial_date_time'],
  checkboxes: ['selected_options', 'initial_options', []],
  multi_static_select: ['selected_options', 'initial_options', []],
  multi_external_select: ['selected_options', 'initial_options', []],
  multi_users_select: ['selected_users', 'initial_users', []],
  multi_conversations_select: ['selected_conversations', 'initial_conversations', []],
  multi_channels_select: ['selected_channels', 'initial_channels', []],
  rich_text_input: ['rich_text_value', 'initial_value'],
};

export const fieldOf = (type) => SHAPES[type]?.[0];
export const isMulti = (type) => type.startsWith('multi_');

const slot = (block, element) => `${block.block_id ?? ''}\u0000${element.action_id ?? ''}`;

export function valueOf(surface, block, element) {
  const kept = store.surface.get(surface)?.get(slot(block, element));
  if (kept !== undefined) return kept;
  const [, initial, empty = null] = SHAPES[element.type] ?? [];
  return element[initial] ?? empty;
}

export function keep(surface, block, element, value) {
  if (!store.surface.has(surface)) store.surface.set(surface, new Map());
  store.surface.get(surface).set(slot(block, element), value);
}

const drawn = new Map();

/** The app drew the surface anew: what it says now counts, not what was chosen before. */
export function refreshed(surface, blocks) {
  const now = JSON.stringify(blocks ?? []);
  if (drawn.has(surface) && drawn.get(surface) !== now) forget(surface);
  drawn.set(surface, now);
}

export const forget = (surface) => store.surface.delete(surface);

/** `{block_id: {action_id: {type, …}}}` of every control on the surface, touched or not. */
export function collect(surface, blocks) {
  const values = {};
  for (const block of blocks ?? []) {
    for (const element of controlsOf(block)) {
      const field = fieldOf(element.type);
      if (!field || !element.action_id) continue;
      const of = (values[block.block_id ?? ''] ??= {});
      of[element.action_id] = { type: element.type, [field]: emptied(valueOf(surface, block, element)) };
    }
  }
  return values;
}

const emptied = (value) => (value === '' || value === undefined ? null : value);

const controlsOf = (block) => {
  if (block.type === 'input') return block.element ? [block.element] : [];
  if (block.type === 'actions') return block.elements ?? [];
  return block.accessory ? [block.accessory] : [];
};
