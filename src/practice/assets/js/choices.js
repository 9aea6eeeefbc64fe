// What can be chosen in each kind of select, and how a chosen value is called.
import { avatar, icon } from './dom.js';
import { withEmoji } from './emoji.js';
import { store } from './store.js';

const kind = (el) => el.type.replace(/^multi_/, '').replace(/_select$/, '');

export function choicesOf(el) {
  switch (kind(el)) {
    case 'users':
      return store.people().map((p) => ({
        label: p.real_name || p.name,
        description: p.title,
        keywords: p.name,
        lead: avatar(p, 's'),
        value: p.id,
      }));
    case 'channels':
      return channels((c) => c.kind === 'public');
    case 'conversations':
      return channels((c) => c.kind !== 'im');
    default:
      return options(el);
  }
}

const channels = (wanted) =>
  (store.state?.channels ?? [])
    .filter((c) => wanted(c) && !c.archived)
    .map((c) => ({ label: c.name, lead: icon(c.kind === 'private' ? 'lock' : 'hash'), value: c.id }));

function options(el) {
  const item = (option, group) => ({
    label: withEmoji(option.text?.text ?? ''),
    description: option.description?.text,
    value: option,
    group,
  });
  if (el.option_groups) return el.option_groups.flatMap((g) => g.options.map((o) => item(o, g.label?.text)));
  return (el.options ?? []).map((o) => item(o));
}

export function labelOf(el, value) {
  switch (kind(el)) {
    case 'users':
      return store.person(value)?.real_name ?? value;
    case 'channels':
    case 'conversations':
      return `#${store.channel(value)?.name ?? value}`;
    default:
      return withEmoji(value.text?.text ?? value.value ?? '');
  }
}
