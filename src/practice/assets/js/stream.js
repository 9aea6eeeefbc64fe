// The middle: a channel's header, pins and bookmarks, its messages by day, and what is new.
import { avatar, fill, frag, h, icon, iconButton, listen, reconcile } from './dom.js';
import { withEmoji } from './emoji.js';
import { language, t, tn } from './i18n.js';
import { openMenu } from './menu.js';
import { authorOf, drawMessage, isEditing, isHidden, isReply, plainText, summaryOf } from './message.js';
import { inline, link, unescape } from './mrkdwn.js';
import { store, subscribe } from './store.js';
import { dayKey, dayName, tsMs } from './time.js';
import { lastRead, markRead } from './unread.js';

const GROUP_MS = 5 * 60_000;
const NEAR = 120;

export function mountStream({ header, bookmarks, list, scroller, jump }) {
  let shownFor = null;
  let newSince = 0;
  let known = null;

  jump.addEventListener('click', () => toEnd(true));
  scroller.addEventListener('scroll', () => {
    if (atEnd()) jump.hidden = true;
  });

  const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
  const toEnd = (smooth) => {
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: smooth ? 'smooth' : 'instant' });
    jump.hidden = true;
  };

  function draw() {
    const channel = store.current();
    if (!channel || store.ui.place !== 'channel') return;
    const view = `${store.ui.as}/${channel.id}`;
    const fresh = view !== shownFor;
    if (fresh) {
      newSince = lastRead(channel.id);
      shownFor = view;
      list.replaceChildren();
    }
    const stick = fresh || atEnd();
    drawHeader(channel);
    reconcile(list, items(channel, newSince), { key: (i) => i.key, sig: (i) => i.sig, build: (i) => i.build() });
    const latest = channel.messages.at(-1)?.ts;
    const arrived = !fresh && latest !== known;
    known = latest;
    if (stick) requestAnimationFrame(() => toEnd(false));
    else if (arrived) jump.hidden = false;
    if (document.visibilityState === 'visible') markRead(channel);
  }

  function drawHeader(channel) {
    reconcile(header, [channel], { key: (c) => c.id, sig: headSig, build: headOf });
    const links = channel.bookmarks ?? [];
    bookmarks.hidden = !links.length;
    reconcile(bookmarks, links, {
      key: (b) => b.id ?? b.link,
      sig: (b) => JSON.stringify(b),
      build: (b) =>
        h(
          'span',
          { class: 'bookmark' },
          link(
            b.link,
            frag(
              b.emoji
                ? h('span', { class: 'emoji' }, withEmoji(b.emoji.includes(':') ? b.emoji : `:${b.emoji}:`))
                : icon('bookmark'),
              h('span', {}, b.title),
            ),
          ),
        ),
    });
  }

  listen('goto', ({ ts }) => {
    const node = list.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
    node?.scrollIntoView({ block: 'center', behavior: 'smooth' });
    node?.classList.add('found');
    setTimeout(() => node?.classList.remove('found'), 2000);
  });
  document.addEventListener('visibilitychange', draw);
  subscribe(draw);
}

const headSig = (c) =>
  JSON.stringify([c.name, c.user, c.topic, c.purpose, c.archived, c.members, c.pins, c.kind, language(), store.ui.as]);

export function channelTitle(c) {
  if (c.kind !== 'im') return c.name;
  const p = store.person(c.user);
  return p?.real_name || p?.name || c.name || c.user;
}

function headOf(c) {
  const im = c.kind === 'im';
  const person = im && store.person(c.user);
  const members = (c.members ?? []).map((id) => store.person(id)).filter(Boolean);
  const pins = (c.pins ?? []).map((ts) => c.messages.find((m) => m.ts === ts)).filter(Boolean);
  const people =
    !im &&
    h(
      'button',
      {
        type: 'button',
        class: 'member-button',
        'aria-haspopup': 'menu',
        'aria-label': tn('channel.members', members.length),
        title: tn('channel.members', members.length),
      },
      h(
        'span',
        { class: 'avatars' },
        members.slice(0, 3).map((p) => avatar(p, 's')),
      ),
      h('span', {}, String(members.length)),
    );
  people?.addEventListener?.('click', () =>
    openMenu(
      people,
      members.map((p) => ({ label: p.real_name || p.name, description: p.title, lead: avatar(p, 's') })),
      { label: tn('channel.members', members.length), align: 'end' },
    ),
  );
  const pinned =
    pins.length > 0 &&
    h(
      'button',
      {
        type: 'button',
        class: 'member-button',
        'aria-haspopup': 'menu',
        'aria-label': tn('channel.pins', pins.length),
        title: tn('channel.pins', pins.length),
      },
      icon('pin'),
      h('span', {}, String(pins.length)),
    );
  pinned?.addEventListener?.('click', () =>
    openMenu(
      pinned,
      pins.map((m) => ({
        label: authorOf(m).real_name,
        description: withEmoji(unescape(plainText(m).slice(0, 160))),
        lead: icon('pin'),
        ts: m.ts,
      })),
      {
        label: t('channel.pinned'),
        align: 'end',
        wide: true,
        onpick: ({ ts }) => document.dispatchEvent(new CustomEvent('goto', { detail: { ts } })),
      },
    ),
  );
  return h(
    'div',
    { class: 'channel-head' },
    h(
      'div',
      { class: 'channel-title' },
      h(
        'h1',
        {},
        im ? avatar(person, 's') : icon(c.kind === 'private' ? 'lock' : 'hash'),
        h('span', {}, channelTitle(c)),
        c.archived && h('span', { class: 'badge' }, t('channel.archived')),
      ),
      (c.topic || c.purpose || person?.title) &&
        h(
          'div',
          { class: 'topic', title: unescape(c.topic || c.purpose || '') },
          inline(c.topic || c.purpose || person?.title || ''),
        ),
    ),
    h('div', { class: 'channel-tools' }, pinned, people),
  );
}

/** The lines of a channel: days, the "new" mark, and messages grouped by author. */
function items(channel, newSince) {
  const out = [];
  let day = null;
  let before = null;
  let marked = false;
  const messages = channel.messages.filter((m) => !isReply(m) && !isHidden(m));
  if (messages.length === 0) out.push({ key: 'empty', sig: language(), build: () => empty(channel) });
  for (const m of messages) {
    const ms = tsMs(m.ts);
    const key = dayKey(ms);
    if (key !== day) {
      const name = dayName(ms);
      out.push({
        key: `day-${key}`,
        sig: name,
        build: () => h('div', { class: 'day', role: 'separator' }, h('span', {}, name)),
      });
      before = null;
    }
    day = key;
    if (!marked && Number(m.ts) > newSince && m.user !== store.ui.as) {
      marked = true;
      if (before)
        out.push({
          key: 'new',
          sig: language(),
          build: () => h('div', { class: 'new-mark', role: 'separator' }, h('span', {}, t('stream.new'))),
        });
    }
    const compact = follows(before, m);
    const summary = summaryOf(m, channel);
    out.push({
      key: m.ts,
      sig: JSON.stringify([
        m,
        compact,
        summary,
        (channel.pins ?? []).includes(m.ts),
        isEditing(m),
        store.ui.as,
        language(),
        summary && Math.floor(store.state.now_ms / 60_000),
      ]),
      build: () => drawMessage(m, channel, { compact, summary }),
    });
    before = m;
  }
  return out;
}

function follows(before, m) {
  if (!before || before.subtype || m.subtype || before.ephemeral || m.ephemeral || m.blocks?.length > 1) return false;
  return authorOf(before).id === authorOf(m).id && tsMs(m.ts) - tsMs(before.ts) < GROUP_MS;
}

function empty(channel) {
  const name = channelTitle(channel);
  return h(
    'div',
    { class: 'empty' },
    h('p', { class: 'empty-title' }, channel.kind === 'im' ? name : `#${name}`),
    h('p', {}, t(channel.kind === 'im' ? 'stream.empty.im' : 'stream.empty', { name })),
  );
}

/** The panel of one thread: its first message, the replies, its own composer. */
export function mountThread({ panel, head, list, scroller, close }) {
  let shownFor = null;
  let count = 0;
  close();
  function draw() {
    const channel = store.current();
    const root =
      store.ui.thread && store.ui.place === 'channel' && channel?.messages.find((m) => m.ts === store.ui.thread);
    panel.hidden = !root;
    document.body.classList.toggle('with-thread', Boolean(root));
    if (!root) return void (shownFor = null);
    const replies = channel.messages.filter((m) => m.thread_ts === root.ts && m.ts !== root.ts && !isHidden(m));
    fill(
      head,
      h('h2', {}, t('thread.title')),
      h('span', { class: 'thread-where' }, channel.kind === 'im' ? channelTitle(channel) : `#${channel.name}`),
      iconButton('close', t('close'), close),
    );
    const sig = (m) => JSON.stringify([m, isEditing(m), store.ui.as, language()]);
    reconcile(list, [root, { divider: true, ts: 'divider', n: replies.length }, ...replies], {
      key: (m) => `${root.ts}/${m.ts}`,
      sig,
      build: (m) =>
        m.divider
          ? h('div', { class: 'day day-left' }, h('span', {}, tn('thread.replies', m.n)))
          : drawMessage(m, channel, { thread: true }),
    });
    if (shownFor !== root.ts || replies.length > count)
      requestAnimationFrame(() => scroller.scrollTo({ top: scroller.scrollHeight }));
    shownFor = root.ts;
    count = replies.length;
  }
  subscribe(draw);
}
