// The browser's own range input: it has a name, speaks the option's label, and works by key and touch.
function render({ model, el }) {
  const label = document.createElement("label");
  const text = document.createElement("span");
  const input = document.createElement("input");
  const shown = document.createElement("output");
  input.type = "range";
  input.min = 0;
  label.append(text, input);
  el.append(label, shown);
  el.classList.add("difflr-slider");
  shown.setAttribute("aria-hidden", "true"); // the input itself speaks it

  const show = () => {
    const labels = model.get("_options_labels");
    const index = model.get("index") ?? 0;
    input.max = Math.max(labels.length - 1, 0);
    input.value = index;
    input.disabled = model.get("disabled");
    input.setAttribute("aria-valuetext", labels[index] ?? "");
    text.textContent = model.get("description") || model.get("name");
    text.classList.toggle("difflr-unseen", !model.get("description"));
    shown.textContent = model.get("readout") ? labels[index] ?? "" : "";
    el.style.setProperty("--colour", model.get("colour") || "#767676");
    el.style.setProperty("--filled", `${(100 * index) / Math.max(labels.length - 1, 1)}%`);
    el.classList.toggle("difflr-bar", model.get("colour") !== "");
  };
  input.addEventListener("input", () => {
    model.set("index", input.valueAsNumber);
    model.save_changes();
    show();
  });
  // JupyterLab takes arrow keys for its own commands.
  input.addEventListener("keydown", (event) => event.stopPropagation());
  const watched = "index _options_labels disabled description name colour readout";
  const events = watched.split(" ").map((name) => `change:${name}`).join(" ");
  model.on(events, show);
  show();
  return () => model.off(events, show);
}
export default { render };
