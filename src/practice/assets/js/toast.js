// Short notices in a corner: refusals, and what arrived where the person is not looking.
import { h, icon, iconButton, listen } from './dom.js';
import { t } from './i18n.js';

const SHOWN = 4;

export function mountToasts(root) {
  listen('toast', ({ text, kind = 'info', title, action, onaction }) => {
    const close = () => node.remove();
    const node = h(
      'div',
      { class: `toast toast-${kind}`, role: kind === 'error' ? 'alert' : 'status' },
      icon(kind === 'error' ? 'warn' : kind === 'phone' ? 'page' : 'sms'),
      h('div', { class: 'toast-text' }, title && h('strong', {}, title), h('span', {}, text)),
      action &&
        h(
          'button',
          {
            type: 'button',
            class: 'link-button',
            onclick: () => {
              close();
              onaction();
            },
          },
          action,
        ),
      iconButton('close', t('close'), close),
    );
    root.append(node);
    while (root.children.length > SHOWN) root.firstChild.remove();
    setTimeout(close, kind === 'error' ? 12_000 : 6_000);
  });
}
