// One list that opens at a control: menus (overflow, message, reactions) and choices (selects, people), by mouse or keyboard.
import { h, icon } from './dom.js';
import { t } from './i18n.js';

let open = null;

export function closeMenu() {
  open?.close();
}

/**
 * Opens `items` ({label, description, lead, value, danger, group, href, checked}) at `anchor`.
 * `filter` adds a search field; `multi` keeps it open and toggles. `onpick(item)` gets the choice.
 */
export function openMenu(
  anchor,
  items,
  { onpick, filter = false, multi = false, label, empty, wide = false, grid = false, align = 'start' } = {},
) {
  const again = open?.anchor === anchor;
  closeMenu();
  if (again) return;
  const choice = filter || multi;
  const list = h('div', {
    class: `menu-list${grid ? ' menu-grid' : ''}`,
    role: choice ? 'listbox' : 'menu',
    'aria-label': label,
    id: 'menu-list',
    'aria-multiselectable': multi || null,
  });
  const search = !filter
    ? null
    : h('input', {
        class: 'menu-search',
        type: 'text',
        role: 'combobox',
        'aria-expanded': 'true',
        'aria-controls': 'menu-list',
        'aria-label': label,
        placeholder: t('menu.filter'),
        autocomplete: 'off',
        spellcheck: 'false',
      });
  const node = h('div', { class: `menu${wide ? ' menu-wide' : ''}`, popover: 'manual' }, search, list);
  const state = { anchor, at: -1, shown: [], close };
  let source = items;

  function draw() {
    const text = (search?.value ?? '').trim().toLowerCase();
    const all = typeof source === 'function' ? source(text) : source;
    state.shown =
      typeof source === 'function' || !text
        ? all
        : all.filter((i) => `${i.label} ${i.description ?? ''} ${i.keywords ?? ''}`.toLowerCase().includes(text));
    list.replaceChildren();
    let group;
    state.shown.forEach((item, index) => {
      if (item.group && item.group !== group)
        list.append(h('div', { class: 'menu-group', role: 'presentation' }, item.group));
      group = item.group;
      list.append(row(item, index));
    });
    if (!state.shown.length) list.append(h('div', { class: 'menu-empty' }, empty ?? t('menu.empty')));
    if (choice || grid)
      move(
        Math.max(
          0,
          state.shown.findIndex((i) => i.checked),
        ),
        false,
      );
  }

  function row(item, index) {
    const inner = [
      item.lead && h('span', { class: 'menu-lead' }, item.lead),
      !grid &&
        h(
          'span',
          { class: 'menu-text' },
          h('span', { class: 'menu-label' }, item.label),
          item.description && h('span', { class: 'menu-description' }, item.description),
        ),
      item.count > 0 && h('span', { class: 'count' }, String(item.count)),
      item.checked && icon('check'),
    ];
    const props = {
      class: `menu-item${item.danger ? ' menu-danger' : ''}`,
      role: choice ? 'option' : 'menuitem',
      tabindex: '-1',
      id: `menu-${index}`,
      'aria-selected': choice ? String(Boolean(item.checked)) : null,
      'aria-label': grid ? item.label : null,
      title: grid ? item.label : null,
      onclick: () => pick(index),
      onpointerdown: (event) => search && event.preventDefault(),
      onpointermove: () => move(index, false),
    };
    return item.href
      ? h('a', { ...props, href: item.href, target: '_blank', rel: 'noopener noreferrer' }, inner)
      : h('button', { ...props, type: 'button' }, inner);
  }

  function move(index, focus = true) {
    const nodes = list.querySelectorAll('.menu-item');
    if (!nodes.length) return;
    state.at = (index + nodes.length) % nodes.length;
    nodes.forEach((n, i) => n.classList.toggle('active', i === state.at));
    const active = nodes[state.at];
    if (search) search.setAttribute('aria-activedescendant', active.id);
    else if (focus) active.focus({ preventScroll: true });
    active.scrollIntoView({ block: 'nearest' });
  }

  function pick(index) {
    const item = state.shown[index];
    if (!item) return;
    if (!multi) close();
    onpick?.(item);
    if (multi) {
      item.checked = !item.checked;
      draw();
    }
  }

  function keys(event) {
    const columns = grid ? 6 : 1;
    const moves = { ArrowDown: columns, ArrowUp: -columns, ...(grid ? { ArrowRight: 1, ArrowLeft: -1 } : {}) };
    if (event.key in moves) move(state.at + moves[event.key]);
    else if (event.key === 'Home' && !search) move(0);
    else if (event.key === 'End' && !search) move(-1);
    else if (event.key === 'Enter' || (event.key === ' ' && !search)) pick(state.at);
    else if (event.key === 'Escape') close();
    else if (event.key === 'Tab') return close();
    else return typeAhead(event);
    event.preventDefault();
    event.stopPropagation();
  }

  function typeAhead(event) {
    if (search || event.key.length !== 1) return;
    const at = state.shown.findIndex((i) => (i.label ?? '').toLowerCase().startsWith(event.key.toLowerCase()));
    if (at >= 0) move(at);
  }

  function close() {
    if (open !== state) return;
    open = null;
    document.removeEventListener('keydown', keys, true);
    document.removeEventListener('pointerdown', outside, true);
    window.removeEventListener('resize', close);
    const had = node.contains(document.activeElement);
    node.remove();
    anchor.setAttribute('aria-expanded', 'false');
    if (had) anchor.focus({ preventScroll: true });
  }

  const outside = (event) => {
    if (!node.contains(event.target) && !anchor.contains(event.target)) close();
  };

  open = state;
  // Inside a modal dialog everything else is inert, so the menu must be the dialog's child.
  (anchor.closest('dialog') ?? document.body).append(node);
  node.showPopover();
  anchor.setAttribute('aria-expanded', 'true');
  document.addEventListener('keydown', keys, true);
  search?.addEventListener('input', draw);
  document.addEventListener('pointerdown', outside, true);
  window.addEventListener('resize', close);
  draw();
  place(node, anchor, align);
  if (search) search.focus();
  else move(Math.max(0, state.at));
}

function place(node, anchor, align) {
  const a = anchor.getBoundingClientRect();
  if (align === 'match') node.style.minWidth = `${a.width}px`;
  const w = node.offsetWidth;
  const gap = 4;
  const left = align === 'end' ? a.right - w : a.left;
  node.style.left = `${Math.max(8, Math.min(left, window.innerWidth - w - 8))}px`;
  const below = window.innerHeight - a.bottom - 12;
  const above = a.top - 12;
  const up = node.offsetHeight > below && above > below;
  node.style.maxHeight = `${Math.max(160, up ? above : below)}px`;
  const height = node.offsetHeight;
  node.style.top = `${up ? Math.max(8, a.top - height - gap) : a.bottom + gap}px`;
}
