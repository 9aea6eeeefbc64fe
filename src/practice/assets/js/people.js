// "You are": one person at the keyboard plays everybody, one at a time.
import { avatar, fill, h, icon } from './dom.js';
import { t } from './i18n.js';
import { openMenu } from './menu.js';
import { waitingFor, waitingForOthers } from './others.js';
import { becomePerson, store, subscribe } from './store.js';
import { timeIn } from './time.js';

export function mountPeople(button) {
  button.addEventListener('click', () =>
    openMenu(
      button,
      store.people().map((p) => ({
        label: p.real_name || p.name,
        description: `${p.title || p.name} · ${timeIn(store.state.now_ms, p.tz)} ${p.tz?.split('/').pop()?.replaceAll('_', ' ') ?? ''}`,
        lead: avatar(p),
        count: waitingFor(p.id),
        checked: p.id === store.ui.as,
        id: p.id,
      })),
      {
        label: t('people.label'),
        wide: true,
        align: 'end',
        filter: store.people().length > 8,
        onpick: ({ id }) => becomePerson(id),
      },
    ),
  );

  subscribe(() => {
    const me = store.me();
    if (!me) return;
    const others = waitingForOthers();
    button.setAttribute(
      'aria-label',
      `${t('people.you')} ${me.real_name}, ${me.title ?? ''}${others ? `. ${t('people.waiting')}` : ''}`,
    );
    fill(
      button,
      h('span', { class: 'you-label' }, t('people.you')),
      avatar(me),
      h(
        'span',
        { class: 'you-text' },
        h('span', { class: 'you-name' }, me.real_name || me.name),
        me.title && h('span', { class: 'you-title' }, me.title),
      ),
      others > 0 && h('span', { class: 'count', title: t('people.waiting') }, String(others)),
      icon('chevron'),
    );
  });
}
