// What the page knows: the workspace as the server tells it for one person, and what this window is looking at.
import { emit } from './dom.js';

const listeners = new Set();
const session = {
  get: (name, otherwise) => {
    try {
      return JSON.parse(sessionStorage.getItem(`practice.${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set: (name, value) => sessionStorage.setItem(`practice.${name}`, JSON.stringify(value)),
};

const ui = {
  as: session.get('as', null),
  channel: session.get('channel', null),
  place: session.get('place', 'channel'), // channel | home
  thread: null, // ts of the open thread
  tab: session.get('tab', 'tour'), // tour | phones | shop
  drawer: null, // channels | panel (narrow windows)
  connected: true,
};

export const store = {
  state: null,
  ui,
  session,
  me: () => store.person(ui.as),
  person: (id) => index().people.get(id),
  channel: (id) => index().channels.get(id),
  current: () => store.channel(ui.channel),
  people: () => (store.state?.people ?? []).filter((p) => !p.is_bot),
  bot: () => store.person(store.state?.app?.bot_user_id),
  surface: new Map(), // values typed or chosen in a message, a view or the Home tab, not yet known to the server
};

let indexed = { of: null, people: new Map(), channels: new Map() };
function index() {
  if (indexed.of !== store.state) {
    indexed = {
      of: store.state,
      people: new Map((store.state?.people ?? []).map((p) => [p.id, p])),
      channels: new Map((store.state?.channels ?? []).map((c) => [c.id, c])),
    };
  }
  return indexed;
}

export function subscribe(fn) {
  listeners.add(fn);
}

let drawing = false;
/** Draws once per frame, however many things changed. */
export function changed() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const fn of listeners) fn();
  });
}

const KEPT = new Set(['as', 'channel', 'place', 'tab']);
export function setUi(patch) {
  Object.assign(ui, patch);
  for (const [name, value] of Object.entries(patch)) if (KEPT.has(name)) session.set(name, value);
  changed();
}

let running = null;
let again = false;

/** Fetches the whole state; calls that arrive meanwhile become one more fetch and wait for it. */
export function refresh() {
  again = true;
  running ??= fetchAll().finally(() => {
    running = null;
  });
  return running;
}

async function fetchAll() {
  while (again) {
    again = false;
    await fetchOnce();
  }
}

async function fetchOnce() {
  const wanted = ui.as;
  const query = wanted ? `?as=${encodeURIComponent(wanted)}` : '';
  try {
    const answer = await fetch(`/page/state${query}`, { headers: { accept: 'application/json' } });
    const body = await answer.json();
    if (!answer.ok || body.ok === false) {
      if (wanted) setUi({ as: null }); // the remembered person is not in this workspace: ask for the first one
      again = Boolean(wanted);
      if (!wanted) throw new Error(body.error ?? `The server answered ${answer.status}.`);
      return;
    }
    if (wanted !== ui.as) return void (again = true);
    accept(body);
    setConnected(true);
  } catch (error) {
    setConnected(false);
    console.error(error);
  }
}

function accept(body) {
  const previous = store.state;
  const sameWorld = previous && previous.as === body.as && body.now_ms >= previous.now_ms;
  store.state = body;
  if (!ui.as) setUi({ as: body.as ?? store.people()[0]?.id ?? null });
  chooseChannel();
  emit('state', { previous: sameWorld ? previous : null, state: body });
  changed();
}

function chooseChannel() {
  if (store.channel(ui.channel)) return;
  const all = store.state.channels;
  const first = all.find((c) => c.kind !== 'im' && !c.archived && c.members?.includes(ui.as)) ?? all[0];
  setUi({ channel: first?.id ?? null, thread: null });
}

function setConnected(connected) {
  if (ui.connected !== connected) setUi({ connected });
}

/** Listens for "something changed" and fetches; the browser reconnects by itself. */
export function follow() {
  const source = new EventSource('/page/stream');
  source.addEventListener('rev', (event) => {
    if (Number(event.data) !== store.state?.rev) refresh();
  });
  source.addEventListener('open', () => refresh());
  source.addEventListener('error', () => setConnected(false));
  setInterval(() => {
    if (document.visibilityState === 'visible') refresh();
  }, 30_000); // keeps the clock and "3 min ago" true when nothing happens
}

export function openChannel(id) {
  if (!store.channel(id)) return;
  setUi({ channel: id, place: 'channel', thread: null, drawer: null });
  emit('opened', { channel: id });
}

export function openHome() {
  setUi({ place: 'home', thread: null, drawer: null });
  emit('home', {});
}

export function openThread(ts) {
  setUi({ thread: ts, drawer: null });
  emit('thread', { ts });
}

export async function becomePerson(id) {
  if (id === ui.as) return;
  setUi({ as: id, thread: null });
  await refresh();
  emit('person', { id });
}
