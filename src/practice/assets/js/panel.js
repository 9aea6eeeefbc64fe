// The right: the world outside the workspace, in three tabs under one clock.
import { h, icon } from './dom.js';
import { mountClock } from './clock.js';
import { t, language } from './i18n.js';
import { mountInbox, unseen } from './inbox.js';
import { isWell, mountShop } from './shop.js';
import { doneCount, mountTour } from './tour.js';
import { setUi, store, subscribe } from './store.js';

const TABS = [
  ['tour', 'compass'],
  ['phones', 'page'],
  ['shop', 'shop'],
];

export function mountPanel(root) {
  const clock = h('div', { class: 'clock' });
  const tabs = h('div', { class: 'tabs', role: 'tablist' });
  const scroller = h('div', { class: 'panel-scroll' });
  const bodies = {};
  const buttons = {};
  for (const [name, glyph] of TABS) {
    buttons[name] = h(
      'button',
      {
        type: 'button',
        class: 'tab',
        role: 'tab',
        id: `tab-${name}`,
        'aria-controls': `panel-${name}`,
        onclick: () => setUi({ tab: name }),
      },
      icon(glyph),
      h('span', { class: 'tab-name' }),
      h('span', { class: 'tab-badge' }),
    );
    bodies[name] = h('div', {
      class: 'panel-body',
      role: 'tabpanel',
      id: `panel-${name}`,
      'aria-labelledby': `tab-${name}`,
    });
    tabs.append(buttons[name]);
    scroller.append(bodies[name]);
  }
  root.append(clock, tabs, scroller);
  tabs.addEventListener('keydown', arrows);
  mountClock(clock);
  mountTour({ root: bodies.tour });
  mountInbox({ root: bodies.phones, scroller });
  mountShop({ root: bodies.shop });

  function arrows(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = TABS.findIndex(([name]) => name === store.ui.tab);
    const [name] = TABS[(at + step + TABS.length) % TABS.length];
    setUi({ tab: name });
    buttons[name].focus();
  }

  subscribe(() => {
    tabs.setAttribute('aria-label', t('panel.label'));
    for (const [name] of TABS) {
      const on = store.ui.tab === name;
      buttons[name].setAttribute('aria-selected', String(on));
      buttons[name].tabIndex = on ? 0 : -1;
      bodies[name].hidden = !on;
      buttons[name].querySelector('.tab-name').textContent = t(`panel.${name}`);
    }
    badge(buttons.phones, unseen() || '', 'count');
    badge(buttons.tour, `${doneCount()}/10`, 'quiet');
    const shop = store.state?.shop;
    badge(buttons.shop, '', shop ? `state-dot ${isWell(shop) ? 'well' : 'ill'}` : '');
    root.lang = language();
  });
}

function badge(button, text, cls) {
  const node = button.querySelector('.tab-badge');
  node.textContent = text;
  node.className = `tab-badge ${text === '' && cls === 'count' ? '' : cls}`;
}
