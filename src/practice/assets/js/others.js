// What waits for the people one is not at the moment: without it, nobody would know whom to become next.
import { listen } from './dom.js';
import { changed, store } from './store.js';
import { unreadOf } from './unread.js';

const waiting = new Map();
const PAUSE_MS = 400;
let planned = null;

/** How many unread messages name this person or were sent to them alone. */
export const waitingFor = (person) => (person === store.ui.as ? 0 : (waiting.get(person) ?? 0));

export const waitingForOthers = () => store.people().reduce((sum, p) => sum + waitingFor(p.id), 0);

export function followOthers() {
  listen('state', () => {
    clearTimeout(planned);
    planned = setTimeout(look, PAUSE_MS);
  });
}

async function look() {
  try {
    await Promise.all(
      store
        .people()
        .filter((p) => p.id !== store.ui.as)
        .map(count),
    );
    changed();
  } catch (error) {
    console.error(error); // the page itself tells when the server is gone
  }
}

async function count(person) {
  const answer = await fetch(`/page/state?as=${encodeURIComponent(person.id)}`);
  if (!answer.ok) return;
  const { channels } = await answer.json();
  waiting.set(
    person.id,
    channels.reduce((sum, c) => sum + unreadOf(c, person.id).mentions, 0),
  );
}
