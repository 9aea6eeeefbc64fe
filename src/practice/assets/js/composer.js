// Where a person writes: a message, a reply or a slash command. A draft is kept for each person and place.
import { h, icon, iconButton, listen } from './dom.js';
import { post, toWire } from './api.js';
import { attachCompletion } from './complete.js';
import { QUICK, search, shown } from './emoji.js';
import { grow } from './fields.js';
import { t } from './i18n.js';
import { openMenu } from './menu.js';
import { openChannel, store, subscribe } from './store.js';
import { channelTitle } from './stream.js';

const drafts = new Map();

/** Builds a composer in `root`; `inThread` makes it answer the open thread. */
export function mountComposer(root, { inThread = false } = {}) {
  const field = h('textarea', { class: 'composer-field', rows: 1, spellcheck: 'true', autocomplete: 'off' });
  const box = h('div', { class: 'complete', role: 'listbox', hidden: true });
  const send = iconButton('send', '', () => submit(), { class: 'send' });
  const bolt = !inThread && iconButton('bolt', '', () => shortcuts(bolt), { 'aria-haspopup': 'menu' });
  const smile = iconButton('smile', '', () => emojis(smile), { 'aria-haspopup': 'listbox' });
  const at = iconButton('people', '', () => insert('@'));
  const hint = h('span', { class: 'composer-hint' });
  const frame = h(
    'div',
    { class: 'composer' },
    box,
    field,
    h('div', { class: 'composer-bar' }, bolt, smile, at, hint, send),
  );
  root.append(frame);

  const place = () => `${store.ui.as}/${store.ui.channel}/${inThread ? store.ui.thread : ''}`;
  let shownFor = null;
  let sending = false;

  const completion = attachCompletion(field, box, { inThread: () => inThread, onchange: changed });

  function changed() {
    drafts.set(place(), field.value);
    grow(field);
    send.disabled = sending || !field.value.trim();
    frame.classList.toggle('is-command', !inThread && /^\/\w/.test(field.value));
  }

  async function submit() {
    const text = field.value.trim();
    if (!text || sending) return;
    if (inThread && /^\/\w/.test(text)) return completion.look();
    sending = true;
    send.disabled = true;
    const where = place();
    const answer = await write(text);
    sending = false;
    if (answer.ok) {
      drafts.delete(where);
      if (place() === where) field.value = '';
      completion.hide();
    }
    changed();
    field.focus();
    return undefined;
  }

  function write(text) {
    const channel = store.ui.channel;
    const command = (store.state.commands ?? []).find(
      (c) => text === c.command || text.startsWith(`${c.command} `) || text.startsWith(`${c.command}\n`),
    );
    // The wire carries the whole line, as typed, so that the server decides which command it is.
    if (command || /^\/[a-z]/.test(text)) return post('command', { channel, text: toWire(text, true) });
    return post('message', { channel, text: toWire(text), thread_ts: inThread ? store.ui.thread : undefined });
  }

  function insert(text) {
    const from = field.selectionStart;
    const space = from > 0 && !/\s/.test(field.value[from - 1]) ? ' ' : '';
    field.setRangeText(space + text, from, field.selectionEnd, 'end');
    field.focus();
    changed();
    completion.look();
  }

  function shortcuts(anchor) {
    const items = (store.state.shortcuts ?? [])
      .filter((s) => s.type !== 'message')
      .map((s) => ({ label: s.name, description: s.description, lead: icon('bolt'), s }));
    openMenu(anchor, items, {
      label: t('shortcuts'),
      empty: t('shortcuts.none'),
      wide: true,
      onpick: ({ s }) => post('shortcut', { callback_id: s.callback_id, channel: store.ui.channel }),
    });
  }

  function emojis(anchor) {
    openMenu(
      anchor,
      (text) => (text ? search(text) : QUICK).map((name) => ({ label: `:${name}:`, lead: shown(name) })),
      { filter: true, grid: true, label: t('composer.emoji'), onpick: (item) => insert(item.lead) },
    );
  }

  field.addEventListener('input', changed);
  field.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (completion.key(event)) return void event.preventDefault();
    if (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      submit();
    }
  });

  function draw() {
    const channel = store.current();
    root.hidden = !channel || store.ui.place !== 'channel';
    if (root.hidden) return;
    const name = channel.kind === 'im' ? channelTitle(channel) : `#${channel.name}`;
    const label = inThread ? t('composer.reply') : t('composer.placeholder', { name });
    field.placeholder = label;
    field.setAttribute('aria-label', label);
    field.disabled = channel.archived;
    if (channel.archived) field.placeholder = t('composer.archived');
    for (const [button, key] of [
      [send, 'composer.send'],
      [bolt, 'shortcuts'],
      [smile, 'composer.emoji'],
      [at, 'composer.mention'],
    ]) {
      if (!button) continue;
      button.title = t(key);
      button.setAttribute('aria-label', t(key));
    }
    hint.textContent = t('composer.hint');
    if (shownFor !== place()) {
      shownFor = place();
      field.value = drafts.get(shownFor) ?? '';
      completion.hide();
      changed();
    }
  }

  if (!inThread)
    listen('prefill', ({ text, channel }) => {
      if (channel) openChannel(channel);
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          field.value = text;
          field.focus();
          field.setSelectionRange(text.length, text.length);
          changed();
          completion.look();
        }),
      );
    });
  listen('opened', () => {
    if (!inThread && matchMedia('(pointer: fine)').matches) field.focus();
  });
  listen('thread', () => {
    if (inThread) requestAnimationFrame(() => field.focus());
  });
  subscribe(draw);
}
