// What a person has not read yet: kept in this window for each person, because each has their own eyes.
import { store } from './store.js';

let marks = store.session.get('read', {});
let since = store.session.get('since', null);

const nameOf = (channel, person) => `${person}/${channel}`;

// The order of messages is that of their `ts`, whose fraction tells apart what a standing clock does not.
const latest = (channels) => Math.max(0, ...channels.flatMap((c) => c.messages.map((m) => Number(m.ts))));

/** What was there when the page was first opened counts as read; a workspace that began anew starts over. */
function start() {
  const now = (store.state?.now_ms ?? 0) / 1000;
  if (since === null || now + 1 < since) {
    since = latest(store.state?.channels ?? []) || now - 1;
    store.session.set('since', since);
    marks = {};
  }
  return since;
}

/** The `ts` of the last message read, as a number. */
export function lastRead(channel, person = store.ui.as) {
  return Math.max(start(), marks[nameOf(channel, person)] ?? 0);
}

export function markRead(channel) {
  const last = latest([channel]);
  const name = nameOf(channel.id, store.ui.as);
  if ((marks[name] ?? 0) >= last) return;
  marks[name] = last;
  store.session.set('read', marks);
}

const concerns = (message, person) => {
  const text = JSON.stringify([message.text, message.blocks]);
  return (
    text.includes(`<@${person}`) || text.includes(`"user_id":"${person}"`) || /<!(here|channel|everyone)/.test(text)
  );
};

/** `{count, mentions}` of a channel. Replies count only when they name the person; joins and the like never. */
export function unreadOf(channel, person = store.ui.as) {
  const from = lastRead(channel.id, person);
  let count = 0;
  let mentions = 0;
  for (const message of channel.messages) {
    if (message.user === person || Number(message.ts) <= from || /^channel_/.test(message.subtype ?? '')) continue;
    const mine = channel.kind === 'im' || concerns(message, person);
    const reply = message.thread_ts && message.thread_ts !== message.ts;
    if (!reply || mine) count += 1;
    if (mine) mentions += 1;
  }
  return { count, mentions };
}
