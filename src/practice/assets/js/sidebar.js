// The left: channels, direct messages and the app, each with what is unread, and the quick switcher (Ctrl+K).
import { avatar, fill, h, icon, iconButton, reconcile } from './dom.js';
import { openDialog } from './dialog.js';
import { openDm } from './home.js';
import { language, t } from './i18n.js';
import { openMenu } from './menu.js';
import { openChannel, openHome, store, subscribe } from './store.js';
import { channelTitle } from './stream.js';
import { unreadOf } from './unread.js';

export function mountSidebar(root) {
  const lists = h('div', { class: 'side-lists' });
  root.append(lists);
  const parts = { channels: part('side.channels'), dms: part('side.dms'), apps: part('side.apps') };
  lists.append(parts.channels.node, parts.dms.node, parts.apps.node);
  const add = iconButton(
    'plus',
    '',
    () =>
      openMenu(
        add,
        store
          .people()
          .filter((p) => p.id !== store.ui.as)
          .map((p) => ({
            label: p.real_name || p.name,
            description: p.title,
            lead: avatar(p, 's'),
            id: p.id,
          })),
        { filter: true, label: t('side.newdm'), onpick: ({ id }) => openDm(id) },
      ),
    { class: 'side-add' },
  );
  parts.dms.head.append(add);

  function draw() {
    if (!store.state) return;
    for (const p of Object.values(parts)) p.title.textContent = t(p.key);
    add.title = t('side.newdm');
    add.setAttribute('aria-label', t('side.newdm'));
    const bot = store.state.app?.bot_user_id;
    const live = store.state.channels.filter((c) => !c.archived || c.id === store.ui.channel);
    rows(
      parts.channels.list,
      live.filter((c) => c.kind !== 'im').sort((a, b) => a.name.localeCompare(b.name)),
    );
    rows(
      parts.dms.list,
      live.filter((c) => c.kind === 'im' && c.user !== bot),
    );
    const im = live.find((c) => c.kind === 'im' && c.user === bot);
    rows(parts.apps.list, [{ app: true, id: 'app', im }]);
    document.title = title(live);
  }
  subscribe(draw);
}

function part(key) {
  const title = h('h2', { class: 'side-title' });
  const head = h('div', { class: 'side-head' }, title);
  const list = h('ul', { class: 'side-list' });
  return { key, title, head, list, node: h('section', { class: 'side-part' }, head, list) };
}

function rows(list, channels) {
  const seen = channels.map((c) => ({
    c,
    unread: c.app ? (c.im ? unreadOf(c.im) : { count: 0, mentions: 0 }) : unreadOf(c),
    active: isActive(c),
  }));
  reconcile(list, seen, {
    key: ({ c }) => c.id,
    sig: ({ c, unread, active }) =>
      JSON.stringify([
        c.name,
        c.kind,
        c.user,
        c.archived,
        c.im?.id,
        unread,
        active,
        store.ui.as,
        language(),
        store.state.app,
      ]),
    build: ({ c, unread, active }) => row(c, unread, active),
  });
}

function isActive(c) {
  if (c.app) return store.ui.place === 'home' || (c.im && store.ui.place === 'channel' && store.ui.channel === c.im.id);
  return store.ui.place === 'channel' && store.ui.channel === c.id;
}

function row(c, unread, active) {
  const name = c.app ? store.state.app?.name : channelTitle(c);
  const lead = c.app
    ? avatar({ is_bot: true }, 's')
    : c.kind === 'im'
      ? avatar(store.person(c.user) ?? { id: c.user }, 's')
      : icon(c.kind === 'private' ? 'lock' : 'hash');
  const say = unread.count ? `, ${t('side.unread', { n: unread.count })}` : '';
  return h(
    'li',
    {},
    h(
      'button',
      {
        type: 'button',
        class: `side-row${active ? ' active' : ''}${unread.count && !active ? ' unread' : ''}`,
        'aria-current': active ? 'page' : null,
        'aria-label': `${name}${say}`,
        'data-focus': `side/${c.id}`,
        onclick: () => (c.app ? (unread.count && c.im ? openChannel(c.im.id) : openHome()) : openChannel(c.id)),
      },
      lead,
      h('span', { class: 'side-name' }, name),
      unread.mentions > 0 && !active && h('span', { class: 'count' }, String(unread.mentions)),
    ),
  );
}

function title(channels) {
  const mentions = channels.reduce((sum, c) => sum + unreadOf(c).mentions, 0);
  const name = store.ui.place === 'home' ? store.state.app?.name : store.current() ? channelTitle(store.current()) : '';
  return `${mentions ? `(${mentions}) ` : ''}${name} · ${t('page.title')}`;
}

/** Ctrl+K: jump to a channel or a person by typing a part of the name. */
export function quickSwitch() {
  if (document.querySelector('.quick')) return;
  const field = h('input', {
    class: 'quick-field',
    type: 'text',
    role: 'combobox',
    'aria-expanded': 'true',
    'aria-controls': 'quick-list',
    'aria-label': t('quick.label'),
    placeholder: t('quick.placeholder'),
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const list = h('div', { id: 'quick-list', class: 'menu-list', role: 'listbox' });
  const node = h(
    'dialog',
    { class: 'dialog quick', 'aria-label': t('quick.label') },
    h('div', { class: 'quick-head' }, icon('search'), field),
    list,
    h('div', { class: 'quick-foot' }, t('quick.hint')),
  );
  let at = 0;
  let found = [];
  const go = (item) => {
    node.close();
    item?.run();
  };
  function draw() {
    const text = field.value.trim().toLowerCase();
    found = entries()
      .filter((e) => e.label.toLowerCase().includes(text))
      .sort((a, b) => b.weight - a.weight)
      .slice(0, 12);
    at = Math.min(at, Math.max(0, found.length - 1));
    fill(
      list,
      found.map((e, i) =>
        h(
          'button',
          {
            type: 'button',
            class: `menu-item${i === at ? ' active' : ''}`,
            role: 'option',
            id: `quick-${i}`,
            tabindex: '-1',
            'aria-selected': String(i === at),
            onclick: () => go(e),
          },
          h('span', { class: 'menu-lead' }, e.lead),
          h(
            'span',
            { class: 'menu-text' },
            h('span', { class: 'menu-label' }, e.label),
            e.description && h('span', { class: 'menu-description' }, e.description),
          ),
          e.weight > 0 && h('span', { class: 'dot' }),
        ),
      ),
      !found.length && h('div', { class: 'menu-empty' }, t('menu.empty')),
    );
    field.setAttribute('aria-activedescendant', `quick-${at}`);
  }
  field.addEventListener('input', () => {
    at = 0;
    draw();
  });
  field.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      at = (at + (event.key === 'ArrowDown' ? 1 : -1) + found.length) % Math.max(1, found.length);
      draw();
    } else if (event.key === 'Enter') go(found[at]);
    else return;
    event.preventDefault();
  });
  openDialog(node);
  draw();
  field.focus();
}

function entries() {
  const channels = store.state.channels
    .filter((c) => !c.archived)
    .map((c) => ({
      label: channelTitle(c),
      description: c.kind === 'im' ? store.person(c.user)?.title : c.topic,
      weight: unreadOf(c).count,
      lead:
        c.kind === 'im'
          ? avatar(store.person(c.user) ?? { id: c.user }, 's')
          : icon(c.kind === 'private' ? 'lock' : 'hash'),
      run: () => openChannel(c.id),
    }));
  const dms = new Set(store.state.channels.filter((c) => c.kind === 'im').map((c) => c.user));
  const others = store
    .people()
    .filter((p) => p.id !== store.ui.as && !dms.has(p.id))
    .map((p) => ({
      label: p.real_name || p.name,
      description: p.title,
      weight: -1,
      lead: avatar(p, 's'),
      run: () => openDm(p.id),
    }));
  return [
    ...channels,
    {
      label: `${store.state.app?.name} · ${t('home.tab')}`,
      weight: -1,
      lead: avatar({ is_bot: true }, 's'),
      run: openHome,
    },
    ...others,
  ];
}
