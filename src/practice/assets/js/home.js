// The app's Home tab, and the tab next to it that leads to the direct messages with the app.
import { avatar, fill, h, listen } from './dom.js';
import { post } from './api.js';
import { drawBlocks } from './blocks.js';
import { language, t } from './i18n.js';
import { openChannel, openHome, refresh, store, subscribe } from './store.js';
import { refreshed } from './values.js';

export function mountHome({ root, channelPart }) {
  let sig = null;
  const head = h('header', { class: 'home-head' });
  const body = h('div', { class: 'home-body' });
  root.append(head, body);

  function draw() {
    const home = store.ui.place === 'home';
    root.hidden = !home;
    channelPart.hidden = home;
    if (!home || !store.state) return;
    const view = store.state.home;
    const now = JSON.stringify([view, language(), store.ui.as]);
    if (now === sig) return;
    sig = now;
    refreshed(`home:${store.ui.as}`, view?.blocks);
    fill(
      head,
      h('h1', {}, avatar({ is_bot: true }, 's'), store.state.app?.name ?? ''),
      h(
        'nav',
        { class: 'home-tabs' },
        h('button', { type: 'button', class: 'home-tab active', 'aria-current': 'page' }, t('home.tab')),
        h('button', { type: 'button', class: 'home-tab', onclick: openMessages }, t('home.messages')),
      ),
    );
    fill(
      body,
      view
        ? drawBlocks(view.blocks, {
            surface: `home:${store.ui.as}`,
            blocks: view.blocks,
            where: { home: true, view_id: view.id },
          })
        : h('div', { class: 'empty' }, h('p', {}, t('home.empty'))),
    );
  }

  const tell = () => {
    if (store.ui.place === 'home') post('home');
  };
  listen('home', tell);
  listen('person', tell);
  listen('ready', tell);
  subscribe(draw);
}

/** Opens the direct messages with the app, starting them when there are none yet. */
export async function openMessages() {
  await openDm(store.state.app?.bot_user_id);
}

export async function openDm(user) {
  const found = store.state.channels.find((c) => c.kind === 'im' && c.user === user);
  if (found) return openChannel(found.id);
  const answer = await post('dm', { user });
  if (!answer.ok) return undefined;
  await refresh();
  const made = answer.channel ?? store.state.channels.find((c) => c.kind === 'im' && c.user === user)?.id;
  return made ? openChannel(made) : openHome();
}
