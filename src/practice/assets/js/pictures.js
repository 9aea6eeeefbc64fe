// Images and files. Nothing is fetched from outside: a picture elsewhere is shown by its description and its link.
import { h, icon, iconButton } from './dom.js';
import { openDialog } from './dialog.js';
import { t } from './i18n.js';
import { markdown } from './markdown.js';
import { link } from './mrkdwn.js';
import { store } from './store.js';

const fileAddress = (id) => `/page/file/${encodeURIComponent(id)}?as=${encodeURIComponent(store.ui.as)}`;

function local(el) {
  if (el.slack_file?.id) return fileAddress(el.slack_file.id);
  const url = el.image_url ?? el.slack_file?.url ?? '';
  if (url.startsWith('data:image/')) return url;
  try {
    return new URL(url, window.location.href).origin === window.location.origin ? url : null;
  } catch {
    return null;
  }
}

export function picture(el, cls) {
  const src = local(el);
  if (src) return h('img', { class: cls, src, alt: el.alt_text ?? '', loading: 'lazy' });
  if (cls === 'picture-small')
    return h(
      'span',
      { class: `${cls} picture-missing`, title: el.alt_text, role: 'img', 'aria-label': el.alt_text },
      icon('image'),
    );
  return h(
    'span',
    { class: `${cls} picture-missing` },
    icon('image'),
    h('span', {}, el.alt_text),
    el.image_url && link(el.image_url, t('file.open')),
  );
}

export function sizeText(bytes) {
  if (!Number.isFinite(bytes)) return '';
  if (bytes < 1000) return `${bytes} B`;
  const kilo = bytes / 1000;
  return kilo < 1000 ? `${kilo.toFixed(kilo < 10 ? 1 : 0)} kB` : `${(kilo / 1000).toFixed(1)} MB`;
}

const isText = (file) =>
  /^text\/|json|xml|yaml|markdown/.test(file.mimetype ?? '') ||
  /\.(md|markdown|txt|log|json|ya?ml|csv|sql|html?)$/i.test(file.name ?? '');
const isMarkdown = (file) => /markdown/.test(file.mimetype ?? '') || /\.(md|markdown)$/i.test(file.name ?? '');
const isImage = (file) => /^image\/(png|jpe?g|gif|webp)$/.test(file.mimetype ?? '');

/** A shared file: name, kind, size, download, and a preview for texts and pictures. */
export function fileCard(file) {
  const name = file.title || file.name || file.id;
  if (file.mode === 'tombstone') return h('div', { class: 'file-card' }, icon('file'), t('file.deleted'));
  const address = fileAddress(file.id);
  const details = [file.pretty_type || file.filetype?.toUpperCase() || file.mimetype, sizeText(file.size)]
    .filter(Boolean)
    .join(' · ');
  const look = isText(file) || isImage(file);
  return h(
    'div',
    { class: 'file-card' },
    h('span', { class: 'file-icon' }, icon('file')),
    h(
      'div',
      { class: 'file-text' },
      look
        ? h(
            'button',
            { type: 'button', class: 'file-name link-button', onclick: () => preview(file, name, address) },
            name,
          )
        : h('span', { class: 'file-name' }, name),
      h('span', { class: 'file-details' }, details),
    ),
    look && iconButton('eye', t('file.preview', { name }), () => preview(file, name, address)),
    h(
      'a',
      {
        class: 'icon-button',
        href: address,
        download: file.name ?? 'file',
        'aria-label': t('file.download', { name }),
        title: t('file.download', { name }),
      },
      icon('download'),
    ),
  );
}

async function preview(file, name, address) {
  const body = h('div', { class: 'file-preview', tabindex: '0' }, t('loading'));
  const node = h(
    'dialog',
    { class: 'dialog dialog-large', 'aria-label': name },
    h(
      'div',
      { class: 'dialog-head' },
      h('h2', {}, name),
      h(
        'a',
        { class: 'button button-small', href: address, download: file.name ?? 'file' },
        icon('download'),
        t('file.save'),
      ),
      iconButton('close', t('close'), () => node.close()),
    ),
    body,
  );
  openDialog(node);
  if (isImage(file)) return void body.replaceChildren(h('img', { src: address, alt: file.alt_txt ?? name }));
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(String(answer.status));
    const text = await answer.text();
    body.replaceChildren(isMarkdown(file) ? markdown(text) : h('pre', {}, text));
  } catch (error) {
    console.error(error);
    body.replaceChildren(t('file.failed'));
  }
}
