// The app's modals: the server keeps the stack, the page shows the top view and sends what was filled in.
import { clear, fill, h, iconButton, listen } from './dom.js';
import { post } from './api.js';
import { drawBlocks } from './blocks.js';
import { language, t } from './i18n.js';
import { closeMenu } from './menu.js';
import { textObject } from './mrkdwn.js';
import { store, subscribe } from './store.js';
import { collect, forget } from './values.js';

export function mountModals() {
  let shown = null; // {id, sig}
  let errors = {};
  let busy = false;
  const head = h('div', { class: 'dialog-head' });
  const body = h('div', { class: 'modal-body', tabindex: '-1' });
  const foot = h('div', { class: 'modal-foot dialog-buttons' });
  const form = h(
    'form',
    {
      class: 'modal-form',
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    head,
    body,
    foot,
  );
  const node = h('dialog', { class: 'dialog modal', 'aria-labelledby': 'modal-title' }, form);
  node.addEventListener('cancel', (event) => {
    event.preventDefault(); // Esc asks the server, which tells the app
    dismiss();
  });
  document.body.append(node);

  const top = () => (store.state?.views ?? []).at(-1);

  function draw() {
    const view = top();
    if (!view) return hide();
    const sig = JSON.stringify([view, errors, language(), store.ui.as, busy]);
    if (shown?.sig === sig) return undefined;
    const fresh = shown?.id !== view.id;
    if (fresh) {
      errors = {};
      closeMenu();
    }
    const focus = document.activeElement?.dataset?.focus;
    shown = { id: view.id, sig };
    drawHead(view);
    fill(body, drawBlocks(view.blocks, { surface: view.id, blocks: view.blocks, where: { view_id: view.id }, errors }));
    drawFoot(view);
    if (!node.open) node.showModal();
    if (fresh) {
      body.scrollTop = 0;
      (body.querySelector('[autofocus]') ?? body.querySelector('input, textarea, button') ?? body).focus();
    } else if (focus) {
      node.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
    }
    return undefined;
  }

  function drawHead(view) {
    const depth = store.state.views.length;
    fill(
      head,
      depth > 1 && iconButton('chevron', t('modal.back'), dismiss, { class: 'back' }),
      h('h2', { id: 'modal-title' }, textObject(view.title)),
      h('span', { class: 'modal-app' }, store.state.app?.name),
      iconButton('close', t('close'), depth > 1 ? dismissAll : dismiss),
    );
  }

  function drawFoot(view) {
    const wantsSubmit = view.submit || (view.blocks ?? []).some((b) => b.type === 'input');
    fill(
      foot,
      h(
        'button',
        { type: 'button', class: 'button', onclick: dismiss },
        textObject(view.close) ?? t(wantsSubmit ? 'modal.cancel' : 'close'),
      ),
      wantsSubmit &&
        h(
          'button',
          {
            type: 'submit',
            class: `button primary${busy ? ' busy' : ''}`,
            disabled: view.submit_disabled || busy,
            'data-focus': 'modal-submit',
          },
          textObject(view.submit) ?? t('modal.submit'),
        ),
    );
  }

  function hide() {
    if (!shown) return;
    forget(shown.id);
    shown = null;
    errors = {};
    if (node.open) node.close();
    clear(body);
  }

  /** What Slack's own client refuses before it sends: required fields and their limits. */
  function faults(view) {
    const found = {};
    const values = collect(view.id, view.blocks);
    for (const block of view.blocks ?? []) {
      if (block.type !== 'input' || !block.element) continue;
      const state = values[block.block_id ?? '']?.[block.element.action_id] ?? {};
      const value = Object.entries(state).find(([name]) => name !== 'type')?.[1];
      const missing = value === null || value === undefined || (Array.isArray(value) && !value.length);
      if (missing && !block.optional) found[block.block_id] = t('input.required');
      else if (!missing) limits(block.element, value, block.block_id, found);
    }
    return found;
  }

  function limits(el, value, id, found) {
    if (el.min_length && String(value).length < el.min_length) found[id] = t('input.short', { n: el.min_length });
    if (el.type !== 'number_input') return;
    const n = Number(value);
    if (Number.isNaN(n) || (!el.is_decimal_allowed && !Number.isInteger(n))) found[id] = t('input.number');
    else if (el.min_value !== undefined && n < Number(el.min_value)) found[id] = t('input.min', { n: el.min_value });
    else if (el.max_value !== undefined && n > Number(el.max_value)) found[id] = t('input.max', { n: el.max_value });
  }

  async function submit() {
    const view = top();
    if (!view || busy) return;
    errors = faults(view);
    if (Object.keys(errors).length) return showErrors();
    busy = true;
    draw();
    const answer = await post('submit', { view_id: view.id, values: collect(view.id, view.blocks) });
    busy = false;
    if (!answer.ok && answer.errors) {
      errors = answer.errors;
      return showErrors();
    }
    draw();
    return undefined;
  }

  function showErrors() {
    draw();
    const first = body.querySelector('.has-error');
    first?.scrollIntoView({ block: 'nearest' });
    first?.querySelector('input, textarea, button')?.focus();
  }

  async function dismiss() {
    const view = top();
    if (view) await post('close', { view_id: view.id });
  }

  /** The cross closes the whole stack, from the top down, as it does in Slack. */
  async function dismissAll() {
    for (const view of [...store.state.views].reverse()) await post('close', { view_id: view.id });
  }

  listen('person', () => hide());
  subscribe(draw);
}
