// Live updates: the server draws, this only fetches the part again. Reading works without it.
"use strict";
(() => {
  const fetchPart = async (box, url) => {
    const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const html = await answer.text();
    if (box.contains(document.activeElement) && document.activeElement.matches("button, input, select")) return;
    const open = [...box.querySelectorAll("details[open]")].map((one) => one.id);
    const active = document.activeElement && box.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const log = box.querySelector(".log");
    const scrolled = log ? log.scrollTop : 0;
    box.innerHTML = html; // our own server's page, escaped there
    open.forEach((id) => { const one = id && document.getElementById(id); if (one) one.open = true; });
    const later = box.querySelector(".log");
    if (later) later.scrollTop = scrolled;
    if (active) box.querySelector(`a[href="${CSS.escape(active)}"]`)?.focus();
  };

  const follow = (box) => {
    let timer = 0, busy = false, again = false;
    const refresh = async () => {
      if (busy) { again = true; return; }
      busy = true;
      try { await fetchPart(box, box.dataset.part); } catch { /* the next event tries again */ }
      busy = false;
      if (again) { again = false; soon(); }
    };
    const soon = () => { clearTimeout(timer); timer = setTimeout(refresh, 400); };
    const source = new EventSource(box.dataset.events);
    source.onmessage = soon;
    source.addEventListener("end", () => { source.close(); location.reload(); });
  };

  const poll = (box) => setInterval(() => {
    if (!document.hidden) fetchPart(box, box.dataset.poll).catch(() => {});
  }, 5000);

  document.querySelectorAll("[data-events]").forEach(follow);
  document.querySelectorAll("[data-poll]").forEach(poll);
  document.querySelectorAll("[data-confirm]").forEach((form) => form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.confirm)) event.preventDefault();
  }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, textarea, select")) return;
    document.querySelector(`button[data-key="${CSS.escape(event.key)}"]`)?.click();
  });
})();
