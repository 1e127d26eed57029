// Times stand in Beijing time; where the viewer's zone is another one, pointing at a time shows it there.

const beijingOffsetMinutes = -480;

const local = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });

const elsewhere = new Date().getTimezoneOffset() !== beijingOffsetMinutes;

/** Gives every time under root its local reading. */
export function showLocalTimes(root) {
  if (!elsewhere) return;
  for (const element of root.querySelectorAll("time[datetime]")) {
    element.title = local.format(new Date(element.dateTime));
  }
  for (const note of root.querySelectorAll("[data-beijing]")) {
    note.textContent = note.dataset.beijing;
  }
}
