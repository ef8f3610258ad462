// Of the options that belong to a choice those of what is chosen are shown.
for (const chooser of document.querySelectorAll("select[data-chooses]")) {
  const choose = () => {
    for (const each of chooser.form.querySelectorAll("fieldset[data-of]")) each.hidden = each.dataset.of !== chooser.value;
  };
  chooser.addEventListener("input", choose);
  choose();
}
// A run's page follows its events: each comes with its number, and after a lost connection those that were missed come
// first. What is shown is made by the server; here it is only fetched anew when something has happened.
(() => {
  const page = document.querySelector("[data-events]");
  if (!page) return;
  const feed = document.getElementById("feed");
  const lost = document.getElementById("lost");
  let last = Number(page.dataset.last);
  let waiting = null;
  const refresh = () => {
    if (waiting !== null) return;
    waiting = setTimeout(() => { waiting = null; htmx.trigger(document.body, "news"); }, 400);
  };
  const take = (message) => {
    const event = JSON.parse(message.data);
    if (event.n <= last) return;
    last = event.n;
    const item = document.createElement("li");
    item.value = event.n;
    item.textContent = event.words;
    feed.prepend(item);
    while (feed.children.length > 300) feed.lastChild.remove();
    refresh();
  };
  // A browser opens six connections to a server and no more: pages that nobody sees hold none, or the seventh would hang.
  let source = null, heard = 0;
  const hear = () => { heard = Date.now(); lost.hidden = true; };
  const close = () => { source?.close(); source = null; };
  const open = () => {
    close();
    if (document.hidden) return;
    heard = Date.now();
    source = new EventSource(page.dataset.events + "?after=" + last);
    source.onmessage = (message) => { hear(); take(message); };
    source.addEventListener("anew", () => location.reload());
    source.addEventListener("again", open);
    source.addEventListener("beat", hear);
    source.onopen = hear;
    source.onerror = () => {
      lost.hidden = false;
      if (source?.readyState === EventSource.CLOSED) setTimeout(open, 2000);  // else the browser tries again itself
    };
  };
  open();
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (shown) => { if (shown.persisted) open(); });
  setInterval(() => {  // a network may be lost without a word; a server beats every five seconds
    if (source === null || Date.now() - heard < 15000) return;
    lost.hidden = false;
    open();
  }, 2000);
  setInterval(refresh, 10000);  // how long things take, and whether the run still lives
})();
