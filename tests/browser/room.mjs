// The practice room as a person meets it: starts `vigie practice`, opens its page in Chromium, gives hands to use it and
// eyes that complain about everything a person would. Knows the page's DOM; the story itself is in story.mjs.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const installed = createRequire(path.join(process.env.VIGIE_TEST_NODE_MODULES, 'any.js'));
const { chromium } = installed('playwright-core');
const { source: AXE } = installed('axe-core');

/** How long anything that should happen may take, in ms. */
const PATIENCE = 20_000;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const DESKTOP = { width: 1440, height: 900 };
const SHOTS = [
  { name: 'light', viewport: DESKTOP, scheme: 'light' },
  { name: 'dark', viewport: DESKTOP, scheme: 'dark' },
  { name: 'phone', viewport: { width: 390, height: 844 }, scheme: 'light' },
];
const LEFTOVERS = /\{\{|\}\}|&(amp|lt|gt);|\b(undefined|NaN|null)\b|\[object |<!date|<@U/;

/** Starts `vigie practice` on a free port and waits for the address that it prints. */
export async function startPractice(locale) {
  const folder = mkdtempSync(path.join(tmpdir(), 'vigie-practice-'));
  const child = spawn(process.env.VIGIE_TEST_BINARY, ['practice', '--port', '0', '--lang', locale], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  const ended = new Promise((resolve) => { child.once('exit', (code, signal) => resolve(code ?? signal)); });
  const address = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`it printed no address within ${PATIENCE} ms:\n${said.join('\n')}`)), PATIENCE);
    child.once('error', reject);
    ended.then((code) => reject(new Error(`it ended with ${code}:\n${said.join('\n')}`)));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
        if (!found) return;
        clearTimeout(late);
        resolve(found[0]);
      });
    }
  });
  return {
    address,
    said,
    /** What it warned of since the last time; in a story where nothing goes wrong there is nothing to warn of. */
    takeWarnings: () => said.splice(0).map((line) => line.replace(/\x1b\[\d*m/g, '')).filter((line) => /\b(WARN|ERROR)\b|panicked/.test(line)),
    /** Asks it to end as Ctrl+C does; gives the exit code. */
    async stop() {
      child.kill('SIGINT');
      const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
      const code = await ended;
      clearTimeout(late);
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

/** The texts of one language, by key: what buttons have to say. */
export function labels(locale) {
  const text = readFileSync(new URL(`../../templates/${locale}/labels.yaml`, import.meta.url), 'utf8');
  return Object.fromEntries([...text.matchAll(/^([\w./-]+): "((?:[^"\\]|\\.)*)"$/gm)].map(([, key, value]) => [key, JSON.parse(`"${value}"`)]));
}

/** Opens the page. Everything that the browser complains about is kept in `complaints`. */
export async function openRoom(address, locale, pictures) {
  const profile = mkdtempSync(path.join(tmpdir(), 'vigie-browser-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath: '/usr/bin/chromium', headless: true, args: FLAGS, viewport: DESKTOP, colorScheme: 'light' });
  context.setDefaultTimeout(PATIENCE);
  const page = context.pages()[0] ?? (await context.newPage());
  const complaints = [];
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`); });
  page.on('pageerror', (error) => complaints.push(`page: ${error.message}`));
  page.on('request', (request) => { if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(`${address}/`)) complaints.push(`it asked ${request.url()}`); });
  page.on('response', (response) => { if (response.status() >= 400) complaints.push(`${response.status()} for ${response.url()}`); });
  await page.addInitScript((lang) => {
    localStorage.setItem('practice.lang', lang);
    document.addEventListener('securitypolicyviolation', (event) => console.error(`content-security policy: ${event.violatedDirective} ${event.blockedURI}`));
  }, locale);
  await page.goto(address);
  await page.waitForSelector('body.ready');
  mkdirSync(pictures, { recursive: true });
  return new Room(page, complaints, path.join(pictures, locale), async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  });
}

class Room {
  constructor(page, complaints, pictures, close) {
    Object.assign(this, { page, complaints, pictures, close, shots: 0 });
  }

  /** What the server tells the page for one person. */
  state(as) {
    return this.page.evaluate(async (who) => (await fetch(`/page/state${who ? `?as=${who}` : ''}`)).json(), as);
  }

  /** Waits until `look(state)` gives something, and gives that; `what` says in the error what was waited for. */
  async until(what, look, as) {
    const end = Date.now() + PATIENCE;
    while (Date.now() < end) {
      const found = look(await this.state(as));
      if (found) return found;
      await this.page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 50); }));
    }
    throw new Error(`${what}: it did not happen within ${PATIENCE / 1000} s`);
  }

  async become(id) {
    const { people } = await this.state();
    const person = people.find((one) => one.id === id);
    if (!person) throw new Error(`nobody is ${id}; there are ${people.map((one) => one.id).join(', ')}`);
    await this.page.click('#you');
    await this.page.locator('.menu-item', { hasText: person.real_name }).first().click();
    await this.page.locator('#you', { hasText: person.real_name }).waitFor();
  }

  /** Opens a channel, a direct message or the app by its row on the left. */
  async open(id) {
    const row = this.page.locator(`[data-focus="side/${id}"]`);
    await row.click();
    await this.page.locator(`[data-focus="side/${id}"].active`).waitFor();
  }

  /** The messages of the app, opened from the left or from its Home tab. */
  async openMessagesOfTheApp() {
    await this.open('app');
    const home = this.page.locator('#home .home-tab:not(.active)');
    if (await home.isVisible()) await home.click();
    await this.page.locator('#conversation').waitFor();
  }

  async type(text) {
    const field = this.page.locator('#composer .composer-field');
    await field.fill(text);
    await field.press('Escape'); // closes the completion, so that Enter sends
    await field.press('Enter');
    await this.page.waitForFunction(() => document.querySelector('#composer .composer-field').value === '');
  }

  messages() {
    return this.page.locator('#messages article.message');
  }

  /** The newest message that has this text or matches it. */
  message(hasText) {
    return this.messages().filter({ hasText }).last();
  }

  /** The newest button with this action_id in the open channel, or within `where`. */
  button(action, where = this.page.locator('#messages')) {
    return where.locator(`[data-focus$="/${action}"]`).last();
  }

  /** Answers the confirm dialog with yes; gives what it asked. */
  async confirm(shot) {
    const dialog = this.page.locator('dialog.confirm');
    await dialog.waitFor();
    const asked = await dialog.innerText();
    if (shot) await this.shoot(shot);
    await dialog.locator('.dialog-buttons .button').last().click();
    await dialog.waitFor({ state: 'detached' });
    return asked;
  }

  modal() {
    return this.page.locator('dialog.modal[open]');
  }

  async submitModal() {
    await this.modal().locator('[data-focus="modal-submit"]').click();
    await this.modal().waitFor({ state: 'hidden' });
  }

  async fillIn(block, text) {
    await this.modal().locator(`[data-block^="${block}"] .field`).first().fill(text);
  }

  async tab(name) {
    await this.page.click(`#tab-${name}`);
    await this.page.locator(`#panel-${name}`).waitFor();
  }

  /** Pictures of this moment: desktop in light and dark, and a phone. Looks at each with `faultsOfLayout`. */
  async shoot(name) {
    this.shots += 1;
    const stem = `${this.pictures}-${String(this.shots).padStart(2, '0')}-${name}`;
    for (const { name: kind, viewport, scheme } of SHOTS) {
      await this.page.setViewportSize(viewport);
      await this.page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      await this.settled();
      for (const fault of [...await this.page.evaluate(faultsOfLayout), ...await this.barriers()]) this.complaints.push(`${name} (${kind}): ${fault}`);
      await this.page.screenshot({ path: `${stem}-${kind}.png` });
    }
    await this.page.setViewportSize(DESKTOP);
    await this.page.emulateMedia({ colorScheme: 'light' });
    await this.settled();
    for (const text of await this.messages().allInnerTexts()) {
      const found = LEFTOVERS.exec(text);
      if (found) this.complaints.push(`${name}: a message shows “${found[0]}”: ${text.slice(0, 120)}`);
    }
  }

  /** What keeps people out, as axe-core finds it by the rules of WCAG 2 AA: contrast, names, roles. */
  async barriers() {
    const found = await this.page.evaluate(`${AXE}; axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'], resultTypes: ['violations'] })`);
    return found.violations.flatMap((rule) => rule.nodes.slice(0, 3).map((node) => `${rule.id} (${rule.impact}): ${node.target.join(' ')}: ${node.any[0]?.message ?? rule.help}`));
  }

  /** Two frames and the end of every running transition. */
  settled() {
    return this.page.evaluate(async () => {
      const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); });
      await frame();
      await frame();
      await Promise.allSettled(document.getAnimations().filter((one) => one.effect?.getTiming().iterations !== Infinity).map((one) => one.finished));
    });
  }

  /** What was complained about since the last time. */
  takeComplaints() {
    return [...new Set(this.complaints.splice(0))];
  }
}

/** Runs in the page: what hangs over, is cut, or cannot be hit with a thumb. */
function faultsOfLayout() {
  const faults = [];
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) faults.push(`the page is ${document.documentElement.scrollWidth} px wide in a window of ${width}`);
  const seen = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && node.getClientRects().length > 0;
  for (const node of document.querySelectorAll('.message .button, .message .text, .block-header, dialog[open] .button')) {
    if (!seen(node)) continue;
    const box = node.getBoundingClientRect();
    const holder = node.closest('.messages, dialog')?.getBoundingClientRect();
    if (holder && box.right > holder.right + 1) faults.push(`“${node.textContent.trim().slice(0, 40)}” hangs over the edge by ${Math.round(box.right - holder.right)} px`);
    if (node.matches('.button') && node.scrollWidth > node.clientWidth + 1) faults.push(`the button “${node.textContent.trim()}” is cut`);
    if (node.matches('.button') && width < 500 && box.height < 32) faults.push(`the button “${node.textContent.trim()}” is ${Math.round(box.height)} px high, too small for a thumb`);
  }
  return faults;
}
