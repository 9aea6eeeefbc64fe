// Completion above a composer: /commands with their usage, @people, #channels, :emoji:.
import { avatar, h, icon } from './dom.js';
import { search, shown } from './emoji.js';
import { t } from './i18n.js';
import { store } from './store.js';

const SHOWN = 8;

/** The alternatives in a usage hint such as `start sev2 <what> | ack | update`. */
function alternatives(hint) {
  const text = (hint ?? '')
    .trim()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^<(.*)>$/, '$1');
  return text.includes('|')
    ? text
        .split('|')
        .map((s) => s.trim())
        .filter((s) => s && s !== '…' && s !== '...')
    : [];
}

function commands(text) {
  const [name, ...rest] = text.split(' ');
  const all = store.state?.commands ?? [];
  if (!rest.length) {
    return all
      .filter((c) => c.command.startsWith(name))
      .map((c) => ({
        insert: `${c.command} `,
        from: 0,
        label: c.command,
        hint: c.usage_hint,
        description: c.description,
        lead: icon('bolt'),
      }));
  }
  const command = all.find((c) => c.command === name);
  if (!command) return [];
  const typed = rest.join(' ');
  const matches = alternatives(command.usage_hint).filter(
    (a) => a.startsWith(typed) && a.split(/\s/)[0] !== typed.trim(),
  );
  if (matches.length && !typed.includes(' ')) {
    return matches.map((a) => ({
      insert: `${name} ${a.split(/[\s<[]/)[0]} `,
      from: 0,
      label: `${name} ${a.split(/\s/)[0]}`,
      hint: a.split(/\s/).slice(1).join(' '),
      lead: icon('bolt'),
    }));
  }
  return [{ note: true, label: name, hint: command.usage_hint, description: command.description, lead: icon('bolt') }];
}

function people(word, from) {
  const text = word.toLowerCase();
  return store.state.people
    .filter((p) => `${p.real_name} ${p.name}`.toLowerCase().includes(text))
    .map((p) => ({
      insert: `@${p.real_name || p.name} `,
      from,
      label: p.real_name || p.name,
      description: p.title,
      lead: avatar(p, 's'),
    }));
}

const channels = (word, from) =>
  store.state.channels
    .filter((c) => c.kind !== 'im' && c.name.includes(word.toLowerCase()))
    .map((c) => ({
      insert: `#${c.name} `,
      from,
      label: `#${c.name}`,
      description: c.topic,
      lead: icon(c.kind === 'private' ? 'lock' : 'hash'),
    }));

const emojis = (word, from) =>
  word.length < 2
    ? []
    : search(word).map((name) => ({ insert: `${shown(name)} `, from, label: `:${name}:`, lead: shown(name) }));

function suggestions(text, caret, inThread) {
  const before = text.slice(0, caret);
  if (before.startsWith('/') && !before.includes('\n'))
    return inThread ? [{ note: true, label: t('composer.nothread'), lead: icon('warn') }] : commands(before);
  const match = /(?:^|\s)([@#:])([^\s@#:]*(?: [^\s@#:]*)?)$/.exec(before);
  if (!match) return [];
  const [, mark, word] = match;
  const from = caret - word.length - 1;
  if (mark === '@') return people(word, from);
  if (mark === '#') return channels(word, from);
  return word.includes(' ') ? [] : emojis(word, from);
}

/** Attaches completion to `field`; `box` is the element that shows it. Returns `key(event)`: true when the key was used. */
export function attachCompletion(field, box, { inThread = () => false, onchange }) {
  let shownItems = [];
  let at = 0;
  let dismissed = null;
  box.id ||= `complete-${Math.random().toString(36).slice(2)}`;
  field.setAttribute('role', 'combobox');
  field.setAttribute('aria-autocomplete', 'list');
  field.setAttribute('aria-controls', box.id);

  function draw() {
    box.hidden = !shownItems.length;
    field.setAttribute('aria-expanded', String(!box.hidden));
    box.replaceChildren(
      ...shownItems.map((item, i) =>
        h(
          'div',
          {
            class: `complete-item${i === at && !item.note ? ' active' : ''}${item.note ? ' note-item' : ''}`,
            role: 'option',
            id: `${box.id}-${i}`,
            'aria-selected': String(i === at),
            onpointerdown: (event) => {
              event.preventDefault();
              take(i);
            },
            onpointermove: () => {
              if (at !== i && !item.note) {
                at = i;
                draw();
              }
            },
          },
          h('span', { class: 'menu-lead' }, item.lead),
          h('span', { class: 'complete-label' }, item.label),
          item.hint && h('code', { class: 'complete-hint' }, item.hint),
          item.description && h('span', { class: 'complete-description' }, item.description),
        ),
      ),
    );
    box.children[at]?.scrollIntoView({ block: 'nearest' });
    if (box.hidden) field.removeAttribute('aria-activedescendant');
    else field.setAttribute('aria-activedescendant', `${box.id}-${at}`);
  }

  function look() {
    const text = field.value;
    if (dismissed !== null && text === dismissed) return;
    dismissed = null;
    shownItems = store.state
      ? suggestions(text, field.selectionStart ?? text.length, inThread()).slice(0, text.startsWith('/') ? 24 : SHOWN)
      : [];
    at = 0;
    draw();
  }

  function hide() {
    shownItems = [];
    draw();
  }

  function take(i) {
    const item = shownItems[i];
    if (!item || item.note) return false;
    const caret = field.selectionStart;
    field.value = field.value.slice(0, item.from) + item.insert + field.value.slice(caret);
    const now = item.from + item.insert.length;
    field.setSelectionRange(now, now);
    onchange();
    look();
    return true;
  }

  function key(event) {
    const choosable = shownItems.length && !shownItems[0].note;
    if (event.key === 'Escape' && shownItems.length) {
      dismissed = field.value;
      hide();
      return true;
    }
    if (!choosable) return false;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      at = (at + (event.key === 'ArrowDown' ? 1 : -1) + shownItems.length) % shownItems.length;
      draw();
      return true;
    }
    if (event.key === 'Tab') return take(at);
    // Enter completes a word that is begun, and sends one that is whole.
    if (event.key === 'Enter' && !event.shiftKey && !field.value.slice(0, field.selectionStart).endsWith(' ')) {
      const whole = shownItems[at].insert.trimEnd() === field.value.trim();
      return whole ? false : take(at);
    }
    return false;
  }

  field.addEventListener('input', look);
  field.addEventListener('click', look);
  field.addEventListener('blur', hide);
  return { key, hide, look };
}
