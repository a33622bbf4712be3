// Fetches this page again and again and puts its parts in place; says so when there is no answer.
(() => {
  "use strict";
  const PERIOD = 1000; // ms between an answer and the next question
  const PATIENCE = 3000; // ms without an answer until what is shown counts as stale
  const PARTS = ["headline", "live", "about"];
  const byId = (id) => document.getElementById(id);
  let answered = Date.now();

  const show = (page) => {
    for (const id of PARTS) {
      const next = page.getElementById(id);
      byId(id).className = next.className;
      byId(id).replaceChildren(...next.childNodes);
    }
    const announced = page.getElementById("announcer").textContent;
    if (byId("announcer").textContent !== announced) byId("announcer").textContent = announced;
    document.title = page.title;
    document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
  };

  const ask = async () => {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(answer.statusText);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
    answered = Date.now();
  };

  const judge = () => {
    const silence = Date.now() - answered;
    const isStale = silence > PATIENCE;
    document.body.classList.toggle("is-stale", isStale);
    byId("stale").hidden = !isStale;
    byId("pulse-text").textContent = isStale ? "stale" : "live";
    if (isStale) {
      const seconds = Math.round(silence / 1000);
      byId("stale").textContent = `No answer from the bridge for ${seconds} s: what you see is old.`;
    }
  };

  const turn = async () => {
    if (!document.hidden) {
      // Whatever went wrong, the next turn asks again.
      await ask().catch(() => {});
      judge();
    }
    setTimeout(turn, PERIOD);
  };

  byId("pulse").hidden = false;
  document.addEventListener("visibilitychange", () => {
    // Nobody looked, so nobody asked.
    if (!document.hidden) answered = Date.now();
  });
  setTimeout(turn, PERIOD);
})();
