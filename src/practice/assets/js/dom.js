// Small tools to build and update the page without innerHTML and without a framework.

const SVG = 'http://www.w3.org/2000/svg';

/** Builds an element. `on*` props are listeners, `dataset` an object, `false`/`null` leaves the attribute out. */
export function h(tag, props, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) setProp(el, name, value);
  append(el, children);
  return el;
}

function setProp(el, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith('on') && typeof value === 'function') el.addEventListener(name.slice(2), value);
  else if (name === 'dataset') Object.assign(el.dataset, value);
  else if (name === 'value') el.value = value;
  else if (value === true) el.setAttribute(name, '');
  else el.setAttribute(name, value);
}

/** Appends nodes, strings and (nested) lists of them; skips what is empty. */
export function append(el, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === '') continue;
    el.append(child);
  }
  return el;
}

export const frag = (...children) => append(document.createDocumentFragment(), children);

export function clear(el) {
  el.replaceChildren();
  return el;
}

export function fill(el, ...children) {
  return append(clear(el), children);
}

// Line icons on a 24 px grid, stroked with the current colour.
const ICONS = {
  hash: 'M9 4 7 20M17 4l-2 16M4 9h16M4 15h16',
  lock: 'M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3',
  chevron: 'm6 9 6 6 6-6',
  close: 'M6 6l12 12M18 6 6 18',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  smile: 'M12 3a9 9 0 1 0 9 9M8.5 14.5a4.5 4.5 0 0 0 7 0M9 9.5h.01M15 9.5h.01M19 2v6M16 5h6',
  reply: 'M20 12a7.5 7.5 0 0 1-11 6.6L4 20l1.4-4.4A7.5 7.5 0 1 1 20 12z',
  bolt: 'M13 3 5 13.5h6L10 21l8-10.5h-6z',
  send: 'M4 12 20 4l-5 16-3.5-6.5zM11.5 13.5 20 4',
  pin: 'M9 3h6l-1 6 3.5 3.5V14h-11v-1.5L10 9zM12 14v7',
  bookmark: 'M7 4h10v16l-5-4-5 4z',
  menu: 'M4 7h16M4 12h16M4 17h16',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z',
  contrast: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M12 8h6M12 12h8.5M12 16h6.5',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6',
  download: 'M12 4v11M7.5 11 12 15.5 16.5 11M5 20h14',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4.5 4.5',
  pencil: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
  home: 'M4 11l8-7 8 7M6 9.5V20h12V9.5M10 20v-5h4v5',
  plus: 'M12 5v14M5 12h14',
  check: 'M5 12.5l4.5 4.5L19 7',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3.5 2',
  page: 'M5 4h14v16H5zM8.5 8h7M8.5 11.5h7M10.5 16.5h3',
  sms: 'M4 5h16v11H9.5L5 20v-4H4zM8 9h8M8 12h5',
  call: 'M6 3.5h3l1.5 4.5-2 1.5a12 12 0 0 0 6 6l1.5-2 4.5 1.5v3a2 2 0 0 1-2.2 2A16.5 16.5 0 0 1 4 5.7a2 2 0 0 1 2-2.2z',
  email: 'M3.5 6h17v12h-17zM3.5 7l8.5 6.5L20.5 7',
  webhook: 'M9 4 5 12h4l-2 8M15 4l-2 8h4l-4 8',
  shop: 'M4 9l1.5-5h13L20 9M5 9v11h14V9M4 9a2.7 2.7 0 0 0 5.3 0 2.7 2.7 0 0 0 5.4 0A2.7 2.7 0 0 0 20 9M10 20v-6h4v6',
  compass: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM15.5 8.5l-2 5-5 2 2-5z',
  globe: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18',
  external: 'M9 6H5v13h13v-4M13 4h7v7M20 4l-9 9',
  people:
    'M9 5a3.2 3.2 0 1 0 0 6.4A3.2 3.2 0 0 0 9 5zM3 19c0-3.3 2.7-5 6-5s6 1.7 6 5M15.5 5.4a3.2 3.2 0 0 1 0 5.8M17 14.3c2.4.5 4 2.1 4 4.7',
  warn: 'M12 4 2.5 20h19zM12 10v4.5M12 17.5h.01',
  image: 'M4 5h16v14H4zM8.5 9.5h.01M5 17l5-5 4 4 2-2 3.5 3.5',
};

export function icon(name, label) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `icon icon-${name}`);
  if (label) {
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', label);
  } else {
    svg.setAttribute('aria-hidden', 'true');
  }
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name] ?? ICONS.more);
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onclick, extra = {}) {
  return h(
    'button',
    {
      type: 'button',
      'aria-label': label,
      title: label,
      onclick,
      ...extra,
      class: `icon-button ${extra.class ?? ''}`.trim(),
    },
    icon(name),
  );
}

const initialsOf = (name) =>
  (name ?? '?')
    .split(/[\s.\-_]+/)
    .filter(Boolean)
    .slice(0, 2)
    .map((w) => [...w][0])
    .join('')
    .toUpperCase();

function hueOf(text) {
  let sum = 0;
  for (const c of text ?? '') sum = (sum * 31 + c.codePointAt(0)) % 997;
  return sum % 10;
}

/** Coloured initials; the colour follows the id, so a person keeps it everywhere. */
export function avatar(person, size = 'm') {
  if (person?.is_bot) return h('span', { class: `avatar avatar-${size} avatar-bot`, 'aria-hidden': 'true' }, lamp());
  const name = person?.real_name || person?.name;
  return h(
    'span',
    { class: `avatar avatar-${size} hue-${hueOf(person?.id)}`, 'aria-hidden': 'true' },
    initialsOf(name),
  );
}

/** The lookout's lamp: the mark of the app. */
export function lamp() {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'lamp');
  svg.setAttribute('aria-hidden', 'true');
  for (const [d, cls] of [
    ['M9.2 9.5h5.6L16.5 21h-9z', 'lamp-tower'],
    ['M9 5.5h6v3.2H9z', 'lamp-light'],
    ['M8 5.2 12 2l4 3.2z', 'lamp-tower'],
    ['M7 6.2 1.5 4.6v4.8L7 8zM17 6.2l5.5-1.6v4.8L17 8z', 'lamp-beam'],
  ]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', d);
    path.setAttribute('class', cls);
    svg.append(path);
  }
  return svg;
}

const rendered = new WeakMap();

/**
 * Makes the children of `parent` follow `items`: a child is rebuilt only when its signature changed,
 * so that scroll position, focus and half-made choices elsewhere survive an update.
 */
export function reconcile(parent, items, { key, sig, build }) {
  const before = rendered.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    let id = key(item);
    while (after.has(id)) id += '+';
    const signature = sig(item);
    const old = before.get(id);
    if (old && old.signature === signature) {
      after.set(id, old);
      continue;
    }
    const node = build(item);
    if (old) swap(old.node, node);
    after.set(id, { node, signature });
  }
  for (const [id, entry] of before) if (!after.has(id)) entry.node.remove();
  let cursor = parent.firstChild;
  for (const { node } of after.values()) {
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
  rendered.set(parent, after);
  return after;
}

/** Replaces a node and gives the focus back to the control with the same `data-focus` name. */
export function swap(old, node) {
  const active = document.activeElement;
  const name = old.contains(active) ? active.dataset.focus : undefined;
  const at = name && 'selectionStart' in active ? active.selectionStart : null;
  old.replaceWith(node);
  if (!name) return;
  const again = node.querySelector(`[data-focus="${CSS.escape(name)}"]`);
  again?.focus({ preventScroll: true });
  if (at !== null && again?.setSelectionRange && again.type !== 'number') again.setSelectionRange(at, at);
}

/** Says something to parts of the page that this module does not know. */
export function emit(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

export const listen = (name, fn) => document.addEventListener(name, (event) => fn(event.detail));
