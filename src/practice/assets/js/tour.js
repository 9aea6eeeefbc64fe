// The guided tour. The server says which steps are done; the page says what to do next and offers to help.
import { h, icon, reconcile, emit } from './dom.js';
import { advance } from './clock.js';
import { language, t } from './i18n.js';
import { breakShop } from './shop.js';
import { becomePerson, openChannel, setUi, store, subscribe } from './store.js';

const STEPS = [
  'break',
  'start',
  'acknowledge',
  'diagnose',
  'rollback',
  'approve',
  'update',
  'remind',
  'resolve',
  'postmortem',
];

const newest = (channel) => Number(channel.messages.at(-1)?.ts ?? 0);

/** The incident's own channel: the newest one that the app opened for it. */
function incidentChannel() {
  const found = store.state.channels.filter(
    (c) => c.kind !== 'im' && !c.archived && /^(inc|incident|sev)\d*-/i.test(c.name),
  );
  return found.sort((a, b) => newest(b) - newest(a))[0]?.id ?? null;
}

const firstCommand = () => store.state.commands?.[0]?.command ?? '/incident';
const lead = () =>
  store.people().find((p) => /lead|manager|head|responsable|chef/i.test(p.title ?? '') && p.id !== store.ui.as);

/** Where an incident is declared: the channel one is in, or the one that is meant for it. */
function commonChannel() {
  const rooms = store.state.channels.filter((c) => c.kind === 'public' && !c.archived);
  if (store.ui.place === 'channel' && rooms.some((c) => c.id === store.ui.channel)) return store.ui.channel;
  return (rooms.find((c) => /^(incident|alert|ops)/.test(c.name)) ?? rooms[0])?.id ?? null;
}

function prefill(words, channel = incidentChannel()) {
  setUi({ drawer: null, place: 'channel' });
  emit('prefill', { text: `${firstCommand()} ${words}`, channel });
}

/** What the button of each step does. Nothing is sent on the person's behalf except the two levers of the world. */
const HELP = {
  break: breakShop,
  start: () => prefill(t('tour.start.command'), commonChannel()),
  acknowledge: () => go(incidentChannel()),
  diagnose: () => prefill('diag'),
  rollback: () => prefill('rollback'),
  approve: async () => {
    if (lead()) await becomePerson(lead().id);
    go(incidentChannel());
  },
  update: () => prefill('update '),
  remind: () => advance(30),
  resolve: () => prefill('resolve'),
  postmortem: () => prefill('postmortem'),
};

function go(channel) {
  if (channel) openChannel(channel);
  setUi({ drawer: null });
}

export const doneCount = () => (store.state?.tour ?? []).filter((s) => s.done).length;

export function mountTour({ root }) {
  const head = h('div', { class: 'tour-head' });
  const list = h('ol', { class: 'tour' });
  root.append(head, list);
  subscribe(() => {
    if (!store.state) return;
    const done = new Map((store.state.tour ?? []).map((s) => [s.id, s.done]));
    const next = STEPS.find((id) => !done.get(id)) ?? null;
    const n = doneCount();
    reconcile(head, [n], { key: () => 'head', sig: () => `${n}/${language()}`, build: () => progress(n) });
    reconcile(list, STEPS, {
      key: (id) => id,
      sig: (id) =>
        JSON.stringify([
          done.get(id),
          id === next,
          language(),
          id === next && lead()?.id,
          id === next && firstCommand(),
        ]),
      build: (id) => step(id, Boolean(done.get(id)), id === next),
    });
  });
}

function progress(n) {
  const bar = h('progress', { max: STEPS.length, value: n, 'aria-label': t('tour.progress', { n, of: STEPS.length }) });
  return h(
    'div',
    {},
    h('p', {}, t(n === STEPS.length ? 'tour.over' : 'tour.intro')),
    h('div', { class: 'tour-bar' }, bar, h('span', {}, `${n}/${STEPS.length}`)),
  );
}

function step(id, done, next) {
  const number = STEPS.indexOf(id) + 1;
  const vars = {
    lead: lead()?.real_name ?? t('tour.somebody'),
    command: firstCommand(),
    start: t('tour.start.command'),
  };
  return h(
    'li',
    { class: `step${done ? ' done' : ''}${next ? ' next' : ''}`, 'aria-current': next ? 'step' : null },
    h('span', { class: 'step-mark' }, done ? icon('check', t('tour.done')) : String(number)),
    h(
      'div',
      { class: 'step-text' },
      h('span', { class: 'step-title' }, t(`tour.${id}.title`, vars)),
      next && h('p', { class: 'step-hint' }, t(`tour.${id}.hint`, vars)),
      next &&
        h(
          'button',
          {
            type: 'button',
            class: `button button-small ${id === 'break' ? 'danger' : 'primary'}`,
            'data-focus': `tour/${id}`,
            onclick: HELP[id],
          },
          t(`tour.${id}.button`, vars),
        ),
    ),
  );
}
