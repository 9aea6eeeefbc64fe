// Puts the page together: loads the words, draws the parts, follows the workspace.
import { fill, h, icon, lamp, listen } from './dom.js';
import { mountComposer } from './composer.js';
import { mountHome } from './home.js';
import { LANGUAGES, applyTo, choose, language, load, preferred, t } from './i18n.js';
import { unseen } from './inbox.js';
import { openMenu } from './menu.js';
import { mountModals } from './modal.js';
import { followOthers } from './others.js';
import { mountPanel } from './panel.js';
import { mountPeople } from './people.js';
import { mountSidebar, quickSwitch } from './sidebar.js';
import { changed, follow, refresh, setUi, store, subscribe } from './store.js';
import { mountStream, mountThread } from './stream.js';
import { mountToasts } from './toast.js';
import { isWell } from './shop.js';

const $ = (id) => document.getElementById(id);

function mountTop() {
  $('mark').append(lamp());
  for (const [id, name] of [
    ['menu', 'menu'],
    ['quick', 'search'],
    ['language', 'globe'],
    ['theme', 'contrast'],
    ['panel-toggle', 'compass'],
    ['go-channels', 'menu'],
    ['go-chat', 'sms'],
    ['go-tour', 'compass'],
    ['go-phones', 'page'],
    ['go-shop', 'shop'],
  ])
    $(id).prepend(icon(name));
  $('menu').addEventListener('click', () => toggle('channels'));
  $('panel-toggle').addEventListener('click', () => toggle('panel'));
  $('quick').addEventListener('click', quickSwitch);
  $('shade').addEventListener('click', () => setUi({ drawer: null }));
  $('theme').addEventListener('click', nextTheme);
  $('language').addEventListener('click', () =>
    openMenu(
      $('language'),
      LANGUAGES.map(([code, name]) => ({ label: name, code, checked: code === language() })),
      {
        label: t('language'),
        align: 'end',
        onpick: async ({ code }) => {
          await choose(code);
          words();
        },
      },
    ),
  );
  $('go-channels').addEventListener('click', () =>
    setUi({ drawer: store.ui.drawer === 'channels' ? null : 'channels' }),
  );
  $('go-chat').addEventListener('click', () => setUi({ drawer: null }));
  for (const tab of ['tour', 'phones', 'shop'])
    $(`go-${tab}`).addEventListener('click', () => setUi({ tab, drawer: 'panel' }));
}

const toggle = (drawer) => setUi({ drawer: store.ui.drawer === drawer ? null : drawer });

const THEMES = ['auto', 'light', 'dark'];
function nextTheme() {
  const now = document.documentElement.dataset.theme ?? 'auto';
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  if (next === 'auto') {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem('practice.theme');
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem('practice.theme', next);
  }
  words();
}

function words() {
  applyTo(document);
  const theme = document.documentElement.dataset.theme ?? 'auto';
  fill($('theme'), icon({ auto: 'contrast', light: 'sun', dark: 'moon' }[theme]));
  $('theme').title = t(`theme.${theme}`);
  $('theme').setAttribute('aria-label', t(`theme.${theme}`));
  if (/Mac|iPhone|iPad/.test(navigator.platform)) $('quick').querySelector('kbd').textContent = '⌘ K';
  $('language-code').textContent = language().toUpperCase();
  changed();
}

function keys(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    quickSwitch();
  } else if (event.key === 'Escape' && !event.defaultPrevented && !document.querySelector('dialog[open]')) {
    if (store.ui.drawer) setUi({ drawer: null });
    else if (store.ui.thread) setUi({ thread: null });
  }
}

function frame() {
  document.body.dataset.drawer = store.ui.drawer ?? '';
  $('team').textContent = store.state?.team?.name ?? '';
  $('offline').hidden = store.ui.connected;
  $('shade').hidden = !store.ui.drawer;
  const count = unseen();
  for (const id of ['panel-count', 'phones-count']) {
    $(id).textContent = count || '';
    $(id).hidden = !count;
  }
  $('shop-dot').className = `state-dot ${!store.state?.shop || isWell(store.state.shop) ? 'well' : 'ill'}`;
  const here =
    store.ui.drawer === 'panel' ? `go-${store.ui.tab}` : store.ui.drawer === 'channels' ? 'go-channels' : 'go-chat';
  for (const button of $('bottom').querySelectorAll('button')) button.classList.toggle('active', button.id === here);
}

/** Tells a screen reader what arrives in the open channel. */
function announce({ previous, state }) {
  const channel = state.channels.find((c) => c.id === store.ui.channel);
  const before = previous?.channels.find((c) => c.id === store.ui.channel);
  if (!channel || !before) return;
  const known = new Set(before.messages.map((m) => m.ts));
  const arrived = channel.messages.filter((m) => !known.has(m.ts) && m.user !== store.ui.as);
  if (arrived.length)
    $('announcer').textContent = arrived
      .map((m) => `${store.person(m.user)?.real_name ?? state.app?.name}: ${m.text ?? ''}`)
      .join('. ');
}

async function start() {
  await load(preferred(null));
  mountToasts($('toasts'));
  mountTop();
  mountPeople($('you'));
  mountSidebar($('sidebar'));
  mountStream({
    header: $('channel-header'),
    bookmarks: $('bookmarks'),
    list: $('messages'),
    scroller: $('scroller'),
    jump: $('jump'),
  });
  mountComposer($('composer'));
  mountThread({
    panel: $('thread'),
    head: $('thread-head'),
    list: $('thread-list'),
    scroller: $('thread-scroller'),
    close: () => setUi({ thread: null }),
  });
  mountComposer($('thread-composer'), { inThread: true });
  mountHome({ root: $('home'), channelPart: $('conversation') });
  mountPanel($('panel'));
  mountModals();
  followOthers();
  subscribe(frame);
  listen('state', announce);
  listen('redraw', changed);
  document.addEventListener('keydown', keys);
  words();
  await refresh();
  if (store.state && !localStorage.getItem('practice.lang') && preferred(store.state.locale) !== language())
    await load(preferred(store.state.locale));
  words();
  document.dispatchEvent(new CustomEvent('ready', { detail: {} }));
  document.body.classList.add('ready');
  follow();
}

start().catch((error) => {
  console.error(error);
  fill(document.body, h('p', { class: 'fatal', role: 'alert' }, String(error.message ?? error)));
});
