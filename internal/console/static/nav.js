// On a narrow page the navigation is one line that moves sideways.

/** Brings the place that one is at into sight. */
export function showPlace() {
  const here = document.querySelector("nav [aria-current]");
  const line = here?.closest("ul");
  if (line) line.scrollLeft = here.offsetLeft - (line.clientWidth - here.offsetWidth) / 2;
}
