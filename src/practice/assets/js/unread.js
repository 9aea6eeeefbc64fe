// What a person has not read yet: kept in this window for each person, because each has their own eyes.
import { store } from './store.js';
import { tsMs } from './time.js';

const marks = store.session.get('read', {});
let since = store.session.get('since', null);

const nameOf = (channel) => `${store.ui.as}/${channel}`;

/** What was there when the page was first opened counts as read; a workspace that began anew starts over. */
function start() {
  const now = store.state?.now_ms ?? 0;
  if (since === null || now < since) {
    since = now;
    store.session.set('since', since);
  }
  return since;
}

export function lastRead(channel) {
  return Math.max(start(), marks[nameOf(channel)] ?? 0);
}

export function markRead(channel) {
  const latest = Math.max(0, ...channel.messages.map((m) => tsMs(m.ts)));
  if ((marks[nameOf(channel.id)] ?? 0) >= latest) return;
  marks[nameOf(channel.id)] = latest;
  store.session.set('read', marks);
}

const concerns = (message) => {
  const text = JSON.stringify([message.text, message.blocks]);
  return text.includes(`<@${store.ui.as}`) || /<!(here|channel|everyone)/.test(text);
};

/** `{count, mentions}` of a channel. Replies count only when they name the person; joins and the like never. */
export function unreadOf(channel) {
  const from = lastRead(channel.id);
  let count = 0;
  let mentions = 0;
  for (const message of channel.messages) {
    if (message.user === store.ui.as || tsMs(message.ts) <= from || /^channel_/.test(message.subtype ?? '')) continue;
    const mine = channel.kind === 'im' || concerns(message);
    const reply = message.thread_ts && message.thread_ts !== message.ts;
    if (!reply || mine) count += 1;
    if (mine) mentions += 1;
  }
  return { count, mentions };
}
