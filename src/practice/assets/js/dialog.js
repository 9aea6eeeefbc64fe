// Native dialogs: they keep the focus inside, give it back afterwards, and close with Esc.
import { h } from './dom.js';
import { t } from './i18n.js';
import { textObject } from './mrkdwn.js';

/** Shows a dialog; `onclose` runs however it was closed. */
export function openDialog(node, { onclose, light = true } = {}) {
  document.body.append(node);
  node.addEventListener('close', () => {
    node.remove();
    onclose?.();
  });
  if (light)
    node.addEventListener('pointerdown', (event) => {
      if (event.target === node) node.close();
    });
  node.showModal();
  return node;
}

/** Block Kit's confirm object, asked before the act it guards. Resolves to true or false. */
export function confirmed(confirm) {
  if (!confirm) return Promise.resolve(true);
  return ask({
    title: textObject(confirm.title),
    text: textObject(confirm.text),
    yes: textObject(confirm.confirm) ?? t('confirm.yes'),
    no: textObject(confirm.deny) ?? t('confirm.no'),
    danger: confirm.style === 'danger',
  });
}

export function ask({ title, text, yes, no, danger }) {
  return new Promise((resolve) => {
    let answer = false;
    const settle = (value) => {
      answer = value;
      node.close();
    };
    const node = h(
      'dialog',
      { class: 'dialog confirm', 'aria-labelledby': 'confirm-title', 'aria-describedby': 'confirm-text' },
      h('h2', { id: 'confirm-title' }, title),
      h('div', { id: 'confirm-text', class: 'confirm-text text' }, text),
      h(
        'div',
        { class: 'dialog-buttons' },
        h('button', { type: 'button', class: 'button', onclick: () => settle(false) }, no),
        h(
          'button',
          { type: 'button', class: `button ${danger ? 'danger' : 'primary'}`, onclick: () => settle(true) },
          yes,
        ),
      ),
    );
    openDialog(node, { onclose: () => resolve(answer) });
    node.querySelector('.dialog-buttons .button:last-child').focus();
  });
}
