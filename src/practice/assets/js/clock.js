// The workspace's clock. In practice time moves when told to, so that an hour of waiting takes a click.
import { fill, h, icon } from './dom.js';
import { post } from './api.js';
import { language, t } from './i18n.js';
import { store, subscribe } from './store.js';
import { dateLong, dateShort, fullMoment, timeOf, zoneName } from './time.js';

const STEPS = [15, 30];

export const advance = (minutes) => post('advance', { minutes });

export function mountClock(root) {
  let sig = null;
  subscribe(() => {
    const state = store.state;
    if (!state) return;
    const now = JSON.stringify([Math.floor(state.now_ms / 60_000), state.can_advance, language(), store.ui.as]);
    if (now === sig) return;
    sig = now;
    const active = document.activeElement?.dataset?.focus;
    fill(
      root,
      h(
        'div',
        { class: 'clock-time', title: fullMoment(state.now_ms), 'aria-label': dateLong(state.now_ms) },
        icon('clock'),
        h('time', { class: 'clock-hour' }, timeOf(state.now_ms)),
        h('span', { class: 'clock-zone' }, `${dateShort(state.now_ms)} · ${zoneName(state.now_ms)}`),
      ),
      state.can_advance &&
        h(
          'div',
          { class: 'clock-buttons' },
          STEPS.map((minutes) =>
            h(
              'button',
              {
                type: 'button',
                class: 'button button-small',
                'data-focus': `clock/${minutes}`,
                'aria-label': t('clock.advance', { n: minutes }),
                title: t('clock.advance', { n: minutes }),
                onclick: () => advance(minutes),
              },
              `+${minutes} min`,
            ),
          ),
        ),
    );
    if (active?.startsWith('clock/')) root.querySelector(`[data-focus="${CSS.escape(active)}"]`)?.focus();
  });
}
