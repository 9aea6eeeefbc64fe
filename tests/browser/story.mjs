// The story that the product is for, told by a browser against `vigie practice`, in English and then in French: the shop
// breaks, an incident is declared, somebody is paged and answers, a rollback is planned, approved by a second person and
// verified, customers are told, a reminder comes, the incident ends, the post-mortem is there.
//
//   node tests/browser/story.mjs PICTURES [LOCALE…]
//
// PICTURES is where the pictures of each stage go. Needs VIGIE_TEST_BINARY and VIGIE_TEST_NODE_MODULES, as tests/run sets
// them. Each stage is a case; what the browser complains about (console, content-security policy, requests to the
// outside, layout) fails the stage in which it came. A stage builds on the ones before, so the first failure ends the
// story in that language.
import { labels, openRoom, startPractice } from './room.mjs';

const ONCALL = 'U0ONCALL';
const LEAD = 'U0LEAD';
const COMMS = 'U0COMMS';
const SUPPORT = 'U0SUPPORT';

const TEXTS = {
  en: {
    title: 'checkout returns 500',
    summary: 'Version 1.3.0 refused every payment; we went back to 1.2.3.',
    foreign: /Prendre en charge|Approuver|Refuser|Prochain point|Chef d’incident|Revenir/,
  },
  fr: {
    title: 'la caisse répond 500',
    summary: 'La version 1.3.0 refusait tous les paiements ; nous sommes revenus à la 1.2.3.',
    foreign: /\b(Acknowledge|Approve|Reject|Next update|Nobody|nobody|Declared|Write update|Paging|When not to|Roll back)\b/,
  },
};

const tally = { passed: 0, failed: 0 };

function passed() {
  tally.passed += 1;
}

function failed(name, why) {
  tally.failed += 1;
  console.log(`FAILED: ${name}: ${why}`);
}

/** The stages in order; each gets what the ones before found out. */
const STAGES = [
  ['the page opens and shows the way', async ({ room }) => {
    await room.page.locator('#panel .step.next').first().waitFor();
    const opened = (await room.state()).as;
    if (opened !== ONCALL) throw new Error(`the page opens for ${opened}, not for the engineer on call`);
    await room.shoot('opened');
  }],

  ['the shop breaks at the first step of the tour', async ({ room }) => {
    await room.page.click('[data-focus="tour/break"]');
    await room.tab('shop');
    await room.page.locator('.shop-front.ill').waitFor();
    await room.shoot('broken');
    await room.tab('tour');
  }],

  ['support declares an incident and a channel opens for it', async (story) => {
    const { room, text } = story;
    await room.become(SUPPORT);
    await room.type(`/incident start sev2 ${text.title}`);
    const channel = await room.until('the incident’s channel', (state) => state.channels.find((one) => /^inc-/.test(one.name)));
    story.channel = channel.id;
    story.good = (await room.state()).shop.versions.find((version) => version.healthy).name;
    await room.open(channel.id);
    await room.button('ack').waitFor();
    await room.until('the card is pinned', (state) => state.channels.find((one) => one.id === channel.id).pins?.length);
    await room.shoot('declared');
  }],

  ['the engineer on call is paged in Slack and by e-mail, and answers', async ({ room, label, channel }) => {
    await room.become(ONCALL);
    await room.openMessagesOfTheApp();
    await room.button('ack').waitFor();
    await room.shoot('paged');
    await room.until('the page by e-mail', (state) => state.inbox.find((one) => one.kind === 'email' && one.to.startsWith('oncall@')));
    expectText(await room.button('ack').innerText(), label['button.acknowledge']);
    await room.button('ack').click();
    await room.button('ack').waitFor({ state: 'detached' });
    await room.open(channel);
    await room.button('ack').waitFor({ state: 'detached' });
    await room.shoot('answered');
  }],

  ['the diagnostic says that buying a book fails', async ({ room }) => {
    await room.type('/incident diag');
    const card = room.messages().filter({ has: room.page.locator('.text', { hasText: '❌' }) }).last();
    await card.waitFor();
    await room.shoot('diagnosed');
  }],

  ['a rollback is planned, and who asked for it cannot approve it', async ({ room }) => {
    await room.type('/incident rollback');
    await room.button('approve').waitFor();
    await room.shoot('planned');
    await tickRequired(room);
    await room.button('approve').click();
    await room.confirm('confirm');
    await room.page.locator('#messages article.ephemeral').last().waitFor();
    await room.shoot('refused');
  }],

  ['the lead approves it, it runs, and the shop is well again', async ({ room, channel, good }) => {
    await room.become(LEAD);
    await room.open(channel);
    await room.button('approve').click();
    const asked = await room.confirm();
    if (!asked.includes('→')) throw new Error(`the question does not say from where to where: ${asked}`);
    await room.until('the shop serves the good version', (state) => state.shop.active === good && state.shop.status === 'ok');
    await room.message('✅').waitFor();
    await room.until('the run is done', (state) => JSON.stringify(state.channels.find((one) => one.id === channel).messages).includes('"again"') || state.tour.find((step) => step.id === 'approve').done);
    await room.tab('shop');
    await room.page.locator('.shop-front.well').waitFor();
    await room.shoot('rolled-back');
    await room.tab('tour');
  }],

  ['an update with a text for customers waits for a second person', async ({ room }) => {
    await room.become(ONCALL);
    await room.page.locator('#composer .composer-field').waitFor();
    await room.type('/incident update');
    await room.modal().waitFor();
    await room.modal().locator('[data-block^="customer:"]').waitFor();
    await room.shoot('update-form');
    await room.submitModal();
    await room.button('send').waitFor();
    await room.shoot('update-written');
  }],

  ['communications approve it and the customers get it', async ({ room, channel }) => {
    await room.become(COMMS);
    await room.open(channel);
    await room.button('send').click();
    await room.confirm();
    const letters = await room.until('the customers’ e-mails', (state) => {
      const found = state.inbox.filter((one) => one.kind === 'email' && one.to.startsWith('customer.'));
      return found.length >= 2 && found;
    });
    for (const letter of letters) {
      if (!letter.subject || /\{\{|undefined|null/.test(letter.subject + letter.body)) throw new Error(`the letter to ${letter.to} is not whole: ${letter.subject}\n${letter.body}`);
    }
    await room.tab('phones');
    await room.shoot('customers-told');
    await room.tab('tour');
  }],

  ['half an hour later somebody is reminded of the promised update', async ({ room }) => {
    await room.page.click('[data-focus="clock/30"]');
    await room.message('⏰').waitFor();
    await room.shoot('reminded');
  }],

  ['the engineer resolves it with a summary', async ({ room, text, channel }) => {
    await room.become(ONCALL);
    await room.open(channel);
    await room.type('/incident resolve');
    await room.modal().waitFor();
    await room.shoot('resolve-form');
    await room.modal().locator('[data-block="summary"] .field').fill('');
    await room.modal().locator('[data-focus="modal-submit"]').click();
    await room.modal().locator('.has-error').first().waitFor();
    await room.fillIn('summary', text.summary);
    await room.submitModal();
    await room.message(text.summary.slice(0, 30)).waitFor();
    await room.shoot('resolved');
  }],

  ['the post-mortem is a file with the timeline in it', async ({ room, text }) => {
    await room.type('/incident postmortem');
    await room.page.locator('#messages .file-card .file-name').last().click();
    const preview = room.page.locator('dialog .file-preview', { hasText: text.title });
    await preview.waitFor();
    const written = await preview.innerText();
    for (const wanted of [text.summary.slice(0, 30), '1.3.0']) {
      if (!written.includes(wanted)) throw new Error(`the post-mortem does not say “${wanted}”`);
    }
    await room.shoot('post-mortem');
    await room.page.keyboard.press('Escape');
  }],

  ['Home says what waits, and the tour is over', async ({ room }) => {
    await room.become(LEAD);
    await room.page.click('[data-focus="side/app"]');
    await room.page.click('#go-chat, .home-tab >> nth=0').catch(() => {});
    await room.until('ten steps are ticked', (state) => state.tour.every((step) => step.done));
    await room.shoot('home');
  }],
];

function expectText(found, wanted) {
  if (found.trim() !== wanted) throw new Error(`it says “${found.trim()}”, not “${wanted}”`);
}

/** Ticks the check list until no required line is left: ticking one draws the card anew. */
async function tickRequired(room) {
  const ticks = () => room.page.locator('#messages [data-focus$="/tick"]');
  while (await ticks().count()) {
    const before = await ticks().count();
    await ticks().first().click();
    await room.page.waitForFunction((count) => document.querySelectorAll('#messages [data-focus$="/tick"]').length < count, before);
  }
}

async function tell(locale, pictures) {
  const practice = await startPractice(locale);
  const room = await openRoom(practice.address, locale, pictures);
  const story = { room, text: TEXTS[locale], label: labels(locale) };
  try {
    for (const [name, stage] of STAGES) {
      try {
        await stage(story);
        for (const text of await room.messages().allInnerTexts()) {
          const found = story.text.foreign.exec(text);
          if (found) room.complaints.push(`“${found[0]}” is in another language: ${text.slice(0, 160)}`);
        }
      } catch (error) {
        await room.page.screenshot({ path: `${room.pictures}-failed.png` }).catch(() => {});
        failed(`${locale}: ${name}`, [error.message, ...room.takeComplaints(), ...practice.takeWarnings()].join('\n'));
        return;
      }
      const complaints = [...room.takeComplaints(), ...practice.takeWarnings()];
      if (complaints.length) failed(`${locale}: ${name}`, complaints.join('\n'));
      else passed();
    }
  } finally {
    await room.close();
    const code = await practice.stop();
    if (code === 0) passed();
    else failed(`${locale}: practice ends well at Ctrl+C`, [`it ended with ${code}`, ...practice.takeWarnings()].join('\n'));
  }
}

const [pictures, ...locales] = process.argv.slice(2);
for (const locale of locales.length ? locales : ['en', 'fr']) {
  await tell(locale, pictures).catch((error) => failed(`${locale}: the story begins`, error.message));
}
console.log(`= ${tally.passed} passed, ${tally.failed} failed, 0 skipped`);
process.exit(tally.failed ? 1 : 0);
