// Runs before the first paint, so that a dark room stays dark. "auto" follows the system.
(() => {
  const saved = localStorage.getItem('practice.theme');
  if (saved === 'light' || saved === 'dark') document.documentElement.dataset.theme = saved;
})();
