// A picture with a text. Where it has a grip, dragging on it is told to the kernel.
function render({ model, el }) {
  const img = document.createElement("img");
  let address = null;
  let drag = null;
  let start = null;
  img.className = "widget-image";
  img.draggable = false;
  img.decoding = "sync"; // no frame without a picture
  el.append(img);

  const show = () => {
    if (!model.get("value")?.byteLength) return; // not drawn yet: no address, no broken icon
    const old = address;
    address = URL.createObjectURL(new Blob([model.get("value")], { type: "image/png" }));
    img.src = address;
    if (old) URL.revokeObjectURL(old);
  };
  const dress = () => {
    const grip = model.get("grip");
    img.alt = model.get("alt");
    img.width = Number(model.get("width"));
    img.height = Number(model.get("height"));
    img.title = grip;
    img.style.cssText = "display: block; width: 100%; height: auto";
    if (grip) img.style.cssText += "; cursor: pointer; touch-action: none";
  };
  const place = (event) => {
    const box = img.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const begin = (event) => {
    if (!model.get("grip")) return;
    img.setPointerCapture(event.pointerId);
    start = place(event);
    drag = Date.now(); // another one than in any other view of this picture
    move(event);
  };
  const move = (event) => {
    if (!start) return;
    const [x, y] = place(event);
    model.set("pointed", { drag, x0: start[0], y0: start[1], x, y });
    model.save_changes();
  };
  const end = () => {
    start = null;
  };
  img.addEventListener("pointerdown", begin);
  img.addEventListener("pointermove", move);
  img.addEventListener("pointerup", end);
  img.addEventListener("pointercancel", end);
  model.on("change:value", show);
  model.on("change:alt change:width change:height change:grip", dress);
  dress();
  show();
  return () => {
    model.off("change:value", show);
    model.off("change:alt change:width change:height change:grip", dress);
    if (address) URL.revokeObjectURL(address);
  };
}
export default { render };
