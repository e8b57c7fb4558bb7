// The last page: copies the code, and takes a participant who has completed back to Prolific.

const byId = (id) => document.getElementById(id);
const words = Object.fromEntries(
  [...byId("words").content.children].map((p) => [p.dataset.key, p.textContent]),
);

byId("copy")?.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(byId("code").textContent);
    byId("copied").textContent = words["end.copied"];
  } catch {
    getSelection().selectAllChildren(byId("code"));
    byId("copied").textContent = words["end.copy_failed"];
  }
});

const redirect = byId("redirect");
if (redirect) {
  const seconds = Number(redirect.dataset.seconds);
  const bar = redirect.querySelector("progress");
  let passed = 0;
  redirect.hidden = false;
  byId("redirect-text").textContent = words["end.redirect"].replace("{seconds}", seconds);
  const clock = setInterval(() => {
    bar.value = ++passed;
    if (passed < seconds) return;
    clearInterval(clock);
    location.assign(byId("return").href);
  }, 1000);
  byId("stay").addEventListener("click", () => {
    clearInterval(clock);
    bar.hidden = true;
    byId("stay").hidden = true;
    byId("redirect-text").textContent = words["end.stayed"];
  });
}
