// A box that chooses all rows of a list. Without scripts each row is chosen by itself.

/** Puts the box into the head of the list of every form with data-choose. */
export function chooseAll() {
  for (const form of document.querySelectorAll("form[data-choose]")) {
    const boxes = [...form.querySelectorAll("tbody input[type=checkbox]:not(:disabled)")];
    const head = form.querySelector("[data-all]");
    if (!head || boxes.length === 0) continue;
    const all = document.createElement("input");
    all.type = "checkbox";
    all.ariaLabel = head.dataset.label;
    head.append(all);
    all.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
    });
    form.addEventListener("change", () => {
      const chosen = boxes.filter((box) => box.checked).length;
      all.checked = chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
    });
  }
}
