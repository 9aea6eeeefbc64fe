// Phones and inboxes: everything that left the workspace, in order of arrival, for whom, and whether it got there.
import { fill, h, icon, reconcile, emit, listen } from './dom.js';
import { language, t, tn } from './i18n.js';
import { setUi, store, subscribe } from './store.js';
import { fullMoment, timeWithSeconds } from './time.js';

let wanted = 'all';
let seen = store.session.get('inbox', 0);

const idOf = (item) => Number(item.id) || 0;
const open = () =>
  store.ui.tab === 'phones' && (matchMedia('(min-width: 1024px)').matches || store.ui.drawer === 'panel');

/** How many arrived since the person last looked. */
export const unseen = () => (store.state?.inbox ?? []).filter((i) => idOf(i) > seen).length;

function markSeen() {
  const last = Math.max(0, ...(store.state?.inbox ?? []).map(idOf));
  if (last === seen || document.visibilityState !== 'visible') return;
  seen = last;
  store.session.set('inbox', seen);
}

/** The person behind an address or a number, if the workspace knows them. */
function personOf(to) {
  const clean = (s) => (s ?? '').toLowerCase().replace(/[^\w@.+-]/g, '');
  return store
    .people()
    .find((p) => [p.email, p.phone, p.id, p.name].some((known) => known && clean(known) === clean(to)));
}

const whoIs = (item) => personOf(item.to)?.real_name ?? item.to;

export function mountInbox({ root, scroller }) {
  const filters = h('div', { class: 'chips', role: 'group' });
  const list = h('ol', { class: 'inbox' });
  root.append(filters, list);
  let count = 0;
  let wasOpen = false;

  function draw() {
    if (!store.state) return;
    const all = store.state.inbox ?? [];
    if (all.length && Math.max(...all.map(idOf)) < seen) seen = 0; // the world began anew
    drawFilters(all);
    const shown = all.filter((i) => wanted === 'all' || whoIs(i) === wanted);
    const lines = shown.length ? shown : [{ empty: true, id: 'empty' }];
    reconcile(list, lines, {
      key: (i) => String(i.id),
      sig: (i) => JSON.stringify([i, language(), store.ui.as, i.empty ? 0 : whoIs(i)]),
      build: (i) => (i.empty ? empty() : card(i)),
    });
    if (open()) {
      if (all.length !== count || !wasOpen)
        requestAnimationFrame(() => {
          scroller.scrollTop = scroller.scrollHeight;
        });
      markSeen();
    }
    count = all.length;
    wasOpen = open();
  }

  function drawFilters(all) {
    const names = [...new Set(all.map(whoIs))];
    if (wanted !== 'all' && !names.includes(wanted)) wanted = 'all';
    filters.hidden = names.length < 2;
    filters.setAttribute('aria-label', t('inbox.filter'));
    fill(
      filters,
      ['all', ...names].map((name) =>
        h(
          'button',
          {
            type: 'button',
            class: `chip${wanted === name ? ' active' : ''}`,
            'aria-pressed': String(wanted === name),
            'data-focus': `chip/${name}`,
            onclick: () => {
              wanted = name;
              draw();
            },
          },
          name === 'all' ? t('inbox.all') : name,
          h(
            'span',
            { class: 'chip-count' },
            String(name === 'all' ? all.length : all.filter((i) => whoIs(i) === name).length),
          ),
        ),
      ),
    );
  }

  listen('state', ({ previous, state }) => {
    if (!previous) return;
    const before = new Set(previous.inbox.map((i) => i.id));
    const arrived = state.inbox.filter((i) => !before.has(i.id));
    if (!arrived.length || open()) return;
    const first = arrived[0];
    emit('toast', {
      kind: 'phone',
      title:
        arrived.length > 1 ? tn('inbox.arrived', arrived.length) : t(`inbox.toast.${first.kind}`, { to: whoIs(first) }),
      text: first.subject || first.body.slice(0, 90),
      action: t('inbox.look'),
      onaction: () => setUi({ tab: 'phones', drawer: matchMedia('(min-width: 1024px)').matches ? null : 'panel' }),
    });
  });
  subscribe(draw);
}

function empty() {
  return h('li', { class: 'empty' }, icon('page'), h('p', {}, t('inbox.empty')));
}

const KNOWN = new Set(['delivered', 'answered']);
const statusText = (status) => (KNOWN.has(status) ? t(`inbox.status.${status}`) : status);

const BAD = /fail|refus|undeliver|error|reject|busy/i;

function card(item) {
  const person = personOf(item.to);
  const body = item.kind === 'webhook' ? pretty(item.body) : item.body;
  const long = body.length > 280 || body.split('\n').length > 6;
  return h(
    'li',
    { class: `delivery kind-${item.kind}` },
    h('span', { class: 'delivery-icon' }, icon(item.kind)),
    h(
      'div',
      { class: 'delivery-main' },
      h(
        'div',
        { class: 'delivery-head' },
        h('span', { class: 'delivery-kind' }, t(`inbox.kind.${item.kind}`)),
        h('strong', {}, person?.real_name ?? item.to),
        h('time', { title: fullMoment(item.at_ms) }, timeWithSeconds(item.at_ms)),
      ),
      person && h('div', { class: 'delivery-address' }, item.to),
      item.subject && h('div', { class: 'delivery-subject' }, item.subject),
      body &&
        (long
          ? h(
              'details',
              { class: 'delivery-more' },
              h(
                'summary',
                {},
                h('span', { class: 'delivery-body clamp' }, body),
                h('span', { class: 'more-label' }, t('inbox.more')),
              ),
              h('div', { class: 'delivery-body' }, body),
            )
          : h('div', { class: `delivery-body${item.kind === 'webhook' ? ' code' : ''}` }, body)),
      h(
        'div',
        { class: 'delivery-foot' },
        item.from && h('span', {}, t('inbox.from', { from: item.from })),
        item.status && h('span', { class: `status${BAD.test(item.status) ? ' bad' : ''}` }, statusText(item.status)),
      ),
    ),
  );
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
