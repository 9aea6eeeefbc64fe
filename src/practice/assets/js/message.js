// One message: who, when, its blocks or text, attachments, files, reactions, thread summary and tools.
import { avatar, emit, frag, h, icon, iconButton } from './dom.js';
import { fromWire, post, toWire } from './api.js';
import { drawBlocks } from './blocks.js';
import { ask } from './dialog.js';
import { QUICK, search, shown } from './emoji.js';
import { grow } from './fields.js';
import { t, tn } from './i18n.js';
import { openMenu } from './menu.js';
import { mrkdwn, textObject } from './mrkdwn.js';
import { fileCard } from './pictures.js';
import { openThread, store } from './store.js';
import { ago, fullMoment, timeOf, tsMs } from './time.js';
import { refreshed } from './values.js';

/** Who wrote it: a person, the app, or the name a bot message carries. */
export function authorOf(message) {
  const person = store.person(message.user) ?? (message.bot_id || message.app_id ? store.bot() : null);
  const bot = Boolean(message.bot_id || person?.is_bot || message.subtype === 'bot_message');
  return {
    id: person?.id ?? message.user ?? message.bot_id,
    is_bot: bot,
    title: bot ? null : person?.title,
    real_name: message.username || person?.real_name || person?.name || store.state?.app?.name || message.user,
  };
}

export const isReply = (m) => m.thread_ts && m.thread_ts !== m.ts && m.subtype !== 'thread_broadcast';
const isNote = (m) => /^(channel_|group_|pinned_item|bot_add|reminder_add)/.test(m.subtype ?? '');

const hidden = new Set(store.session.get('hidden', []));
export const isHidden = (m) => hidden.has(m.ts);
const editing = new Set();

/** `compact` leaves out the author, `thread` says that it is drawn in the thread panel. */
export function drawMessage(message, channel, options = {}) {
  try {
    return draw(message, channel, options);
  } catch (error) {
    console.error(error); // one message that cannot be drawn must not hide the others
    return h(
      'article',
      { class: 'message', 'data-ts': message.ts },
      h('span'),
      h('div', { class: 'unknown' }, t('message.broken')),
    );
  }
}

function draw(message, channel, { compact = false, thread = false, summary = null } = {}) {
  if (isNote(message)) return note(message);
  const author = authorOf(message);
  const ms = tsMs(message.ts);
  const classes = [
    'message',
    compact && 'compact',
    message.ephemeral && 'ephemeral',
    isPinned(message, channel) && 'pinned',
  ];
  const node = h(
    'article',
    {
      class: classes.filter(Boolean).join(' '),
      'data-ts': message.ts,
      'aria-label': t('message.label', { name: author.real_name, time: timeOf(ms) }),
    },
    h(
      'div',
      { class: 'gutter' },
      compact ? h('time', { class: 'gutter-time', title: fullMoment(ms) }, timeOf(ms)) : avatar(author),
    ),
    h(
      'div',
      { class: 'message-body' },
      isPinned(message, channel) && h('div', { class: 'message-flag' }, icon('pin'), t('message.pinned')),
      message.ephemeral && h('div', { class: 'message-flag' }, icon('eye'), t('message.ephemeral'), dismiss(message)),
      !compact &&
        h(
          'header',
          { class: 'message-head' },
          h('strong', { class: 'author' }, author.real_name),
          author.is_bot && h('span', { class: 'badge' }, t('app.badge')),
          author.title && h('span', { class: 'author-title' }, author.title),
          h('time', { class: 'when', title: fullMoment(ms) }, timeOf(ms)),
        ),
      editing.has(message.ts) ? editor(message, channel) : content(message, channel),
      reactions(message, channel),
      summary && threadSummary(message, summary),
    ),
    !message.ephemeral && tools(message, channel, thread),
  );
  return node;
}

const isPinned = (message, channel) => (channel.pins ?? []).includes(message.ts);

/** The lines Slack writes itself: the wire carries them in English, each reader sees their own language. */
const NOTES = [
  [/_join$/, () => t('note.join')],
  [/_leave$/, () => t('note.leave')],
  [/_topic$/, (m) => t('note.topic', { text: m.topic })],
  [/_purpose$/, (m) => t('note.purpose', { text: m.purpose })],
];

function noteText(message) {
  const known = NOTES.find(([kind]) => kind.test(message.subtype));
  return known && message.user ? `<@${message.user}> ${known[1](message)}` : message.text;
}

function note(message) {
  const ms = tsMs(message.ts);
  return h(
    'div',
    { class: 'note', 'data-ts': message.ts },
    h('span', {}, mrkdwn(noteText(message))),
    h('time', { title: fullMoment(ms) }, timeOf(ms)),
  );
}

function dismiss(message) {
  return h(
    'button',
    {
      type: 'button',
      class: 'link-button',
      onclick: () => {
        hidden.add(message.ts);
        store.session.set('hidden', [...hidden]);
        emit('redraw', {});
      },
    },
    t('message.dismiss'),
  );
}

function content(message, channel) {
  const surface = `${channel.id}:${message.ts}`;
  refreshed(surface, [message.blocks, message.attachments]);
  const ctx = (blocks) => ({ surface, blocks, where: { channel: channel.id, ts: message.ts } });
  const edited =
    message.edited &&
    h('span', { class: 'edited', title: fullMoment(tsMs(message.edited.ts)) }, ` ${t('message.edited')}`);
  const own = message.blocks?.length
    ? frag(drawBlocks(message.blocks, ctx(message.blocks)), !store.person(message.user)?.is_bot && edited)
    : message.text
      ? h('div', { class: 'text' }, mrkdwn(message.text), edited)
      : null;
  return frag(
    own,
    (message.attachments ?? []).map((a) => attachment(a, ctx)),
    (message.files ?? []).map(fileCard),
  );
}

const COLOURS = { good: '#2eb67d', warning: '#ecb22e', danger: '#e01e5a' };

function attachment(a, ctx) {
  const node = h(
    'div',
    { class: 'attachment' },
    a.pretext && h('div', { class: 'text' }, mrkdwn(a.pretext)),
    a.author_name && h('div', { class: 'attachment-author' }, a.author_name),
    a.title &&
      h('div', { class: 'attachment-title' }, a.title_link ? mrkdwn(`<${a.title_link}|${a.title}>`) : mrkdwn(a.title)),
    a.blocks?.length ? drawBlocks(a.blocks, ctx(a.blocks)) : a.text && h('div', { class: 'text' }, mrkdwn(a.text)),
    a.fields &&
      h(
        'div',
        { class: 'fields' },
        a.fields.map((f) => h('div', { class: 'text field-cell' }, h('strong', {}, f.title), h('br'), mrkdwn(f.value))),
      ),
    !a.blocks && !a.text && !a.title && a.fallback && h('div', { class: 'text' }, a.fallback),
    a.footer && h('div', { class: 'attachment-footer' }, mrkdwn(a.footer)),
  );
  const colour = COLOURS[a.color] ?? (/^#?[0-9a-f]{6}$/i.test(a.color ?? '') ? `#${a.color.replace('#', '')}` : null);
  if (colour) node.style.borderInlineStartColor = colour;
  return node;
}

function reactions(message, channel) {
  if (!message.reactions?.length) return null;
  return h(
    'div',
    { class: 'reactions' },
    message.reactions.map((r) => {
      const mine = (r.users ?? []).includes(store.ui.as);
      const names = (r.users ?? []).map((u) => store.person(u)?.real_name ?? u).join(', ');
      return h(
        'button',
        {
          type: 'button',
          class: `reaction${mine ? ' mine' : ''}`,
          'aria-pressed': String(mine),
          title: `${names} · :${r.name}:`,
          'data-focus': `react/${message.ts}/${r.name}`,
          'aria-label': t('reaction.label', { name: r.name, n: r.count ?? r.users?.length ?? 0 }),
          onclick: () => react(message, channel, r.name, !mine),
        },
        h('span', { class: 'emoji' }, shown(r.name)),
        h('span', {}, String(r.count ?? r.users?.length ?? 0)),
      );
    }),
  );
}

const react = (message, channel, name, on) => post('react', { channel: channel.id, ts: message.ts, name, on });

function pickReaction(anchor, message, channel) {
  const item = (name) => ({ label: `:${name}:`, lead: shown(name), name });
  openMenu(anchor, (text) => (text ? search(text.replaceAll(':', '')) : QUICK).map(item), {
    filter: true,
    grid: true,
    label: t('reaction.add'),
    align: 'end',
    onpick: ({ name }) => react(message, channel, name, true),
  });
}

function tools(message, channel, inThread) {
  const add = iconButton('smile', t('reaction.add'), () => pickReaction(add, message, channel), {
    'aria-haspopup': 'listbox',
  });
  const more = iconButton(
    'more',
    t('message.more'),
    () =>
      openMenu(more, moreItems(message, channel), {
        label: t('message.more'),
        align: 'end',
        onpick: (item) => item.run(),
      }),
    { 'aria-haspopup': 'menu' },
  );
  return h(
    'div',
    { class: 'message-tools', role: 'toolbar', 'aria-label': t('message.tools') },
    iconButton('pin', t('message.pushpin'), () => react(message, channel, 'pushpin', true)),
    add,
    !inThread && iconButton('reply', t('message.reply'), () => openThread(message.thread_ts ?? message.ts)),
    more,
  );
}

function moreItems(message, channel) {
  const items = (store.state.shortcuts ?? [])
    .filter((s) => s.type === 'message')
    .map((s) => ({
      label: s.name,
      description: s.description,
      lead: icon('bolt'),
      group: store.state.app?.name,
      run: () => post('shortcut', { callback_id: s.callback_id, channel: channel.id, ts: message.ts }),
    }));
  items.push({
    label: t('message.copy'),
    lead: icon('file'),
    group: t('message.group'),
    run: () => navigator.clipboard?.writeText(fromWire(message.text)),
  });
  if (message.user === store.ui.as) {
    items.push({
      label: t('message.edit'),
      lead: icon('pencil'),
      group: t('message.group'),
      run: () => edit(message, true),
    });
    items.push({
      label: t('message.delete'),
      lead: icon('trash'),
      danger: true,
      group: t('message.group'),
      run: () => remove(message, channel),
    });
  }
  return items;
}

function edit(message, on) {
  editing[on ? 'add' : 'delete'](message.ts);
  emit('redraw', {});
}

export const isEditing = (message) => editing.has(message.ts);

async function remove(message, channel) {
  const yes = await ask({
    title: t('delete.title'),
    text: t('delete.text'),
    yes: t('delete.yes'),
    no: t('confirm.no'),
    danger: true,
  });
  if (yes) await post('delete', { channel: channel.id, ts: message.ts });
}

function editor(message, channel) {
  const field = h('textarea', {
    class: 'field',
    rows: 2,
    value: fromWire(message.text),
    'aria-label': t('message.edit'),
  });
  const save = async () => {
    const answer = await post('edit', { channel: channel.id, ts: message.ts, text: toWire(field.value.trim()) });
    if (answer.ok) edit(message, false);
  };
  field.addEventListener('input', () => grow(field));
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') edit(message, false);
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      save();
    }
  });
  requestAnimationFrame(() => {
    grow(field);
    field.focus();
  });
  return h(
    'div',
    { class: 'editor' },
    field,
    h(
      'div',
      { class: 'dialog-buttons' },
      h(
        'button',
        { type: 'button', class: 'button button-small', onclick: () => edit(message, false) },
        t('confirm.no'),
      ),
      h('button', { type: 'button', class: 'button button-small primary', onclick: save }, t('message.save')),
    ),
  );
}

/** What a thread holds, for the line under its first message. */
export function summaryOf(message, channel) {
  const replies = channel.messages.filter((m) => m.thread_ts === message.ts && m.ts !== message.ts);
  if (!replies.length) return null;
  return {
    count: replies.length,
    users: [...new Set(replies.map((m) => authorOf(m).id))].slice(0, 4),
    last: replies.at(-1).ts,
    sample: replies.at(-1),
  };
}

function threadSummary(message, summary) {
  return h(
    'button',
    {
      type: 'button',
      class: 'thread-summary',
      onclick: () => openThread(message.ts),
      'data-focus': `thread/${message.ts}`,
    },
    h(
      'span',
      { class: 'avatars' },
      summary.users.map((id) => avatar(store.person(id) ?? { id, is_bot: true }, 's')),
    ),
    h('span', { class: 'thread-count' }, tn('thread.replies', summary.count)),
    h('span', { class: 'thread-last' }, t('thread.last', { when: ago(tsMs(summary.last)) })),
  );
}

export const plainText = (message) => message.text || textObject(message.blocks?.[0]?.text) || '';
