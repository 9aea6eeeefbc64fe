// The toy shop: is it well, which version serves it, and the two levers of the practice.
import { h, icon, reconcile } from './dom.js';
import { post } from './api.js';
import { language, t } from './i18n.js';
import { store, subscribe } from './store.js';
import { fullMoment, timeWithSeconds } from './time.js';

export const breakShop = () => post('shop/break');

export function mountShop({ root }) {
  const card = h('div', { class: 'shop' });
  root.append(card);
  subscribe(() => {
    const shop = store.state?.shop;
    if (!shop) return;
    reconcile(card, [shop], {
      key: () => 'shop',
      sig: (s) => JSON.stringify([s, language(), store.ui.as]),
      build: draw,
    });
  });
}

/** Whether customers can pay right now. */
export const isWell = (shop) => shop?.status === 'ok';

function draw(shop) {
  const well = isWell(shop);
  const active = shop.versions.find((v) => v.name === shop.active);
  return h(
    'div',
    {},
    h(
      'div',
      { class: `shop-front ${well ? 'well' : 'ill'}` },
      h('span', { class: 'shop-sign' }, icon('shop')),
      h(
        'div',
        {},
        h('strong', {}, t(well ? 'shop.well' : 'shop.ill')),
        h('span', {}, t(well ? 'shop.well.text' : 'shop.ill.text', { version: active?.label ?? shop.active })),
      ),
    ),
    h(
      'dl',
      { class: 'figures' },
      figure(t('shop.version'), active?.label ?? shop.active),
      figure(t('shop.requests'), String(shop.requests)),
      figure(
        t('shop.errors'),
        shop.recent.length
          ? `${Math.round((shop.recent.filter((r) => r.status >= 500).length / shop.recent.length) * 100)} %`
          : '–',
        !well && 'bad',
      ),
    ),
    h(
      'div',
      { class: 'shop-buttons' },
      h(
        'button',
        { type: 'button', class: 'button danger', disabled: !well, 'data-focus': 'shop/break', onclick: breakShop },
        t('shop.break'),
      ),
      h(
        'button',
        {
          type: 'button',
          class: 'button',
          disabled: !shop.broken,
          'data-focus': 'shop/mend',
          onclick: () => post('shop/mend'),
        },
        t('shop.mend'),
      ),
      h(
        'button',
        { type: 'button', class: 'button', 'data-focus': 'shop/buy', onclick: () => post('shop/checkout') },
        t('shop.buy'),
      ),
    ),
    h('h3', {}, t('shop.versions')),
    h(
      'ul',
      { class: 'versions' },
      shop.versions.map((v) =>
        h(
          'li',
          { class: v.name === shop.active ? 'live' : '' },
          h('span', {
            class: `state-dot ${v.healthy ? 'well' : 'ill'}`,
            role: 'img',
            'aria-label': t(v.healthy ? 'shop.healthy' : 'shop.unhealthy'),
          }),
          h('span', { class: 'version-label' }, v.label),
          h('span', { class: 'version-name' }, v.name),
          v.name === shop.active && h('span', { class: 'badge badge-live' }, t('shop.live')),
        ),
      ),
    ),
    h('p', { class: 'small' }, t('shop.changed', { time: timeWithSeconds(shop.changed_at_ms) })),
    h('h3', {}, t('shop.recent')),
    shop.recent.length
      ? h('ol', { class: 'receipts' }, [...shop.recent].reverse().slice(0, 8).map(receipt))
      : h('p', { class: 'small' }, t('shop.none')),
    h('p', { class: 'small' }, shop.url),
  );
}

const figure = (name, value, cls) => h('div', {}, h('dt', {}, name), h('dd', { class: cls || null }, value));

function receipt(r) {
  const bad = r.status >= 500;
  return h(
    'li',
    {},
    h('time', { title: fullMoment(r.at_ms) }, timeWithSeconds(r.at_ms)),
    h('code', {}, `${r.method} ${r.path}`),
    h('span', { class: 'receipt-version' }, r.version),
    h('span', { class: `receipt-status ${bad ? 'bad' : 'good'}` }, String(r.status)),
  );
}
