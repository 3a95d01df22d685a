// The state of the view: the form's controls, kept in the fragment of the address, so that a link
// to the page is a link to what it shows.

let section = ""; // the section that a link led to

function isDifferent(control) {
  if (control.type === "checkbox") return control.checked; // all are off at first
  if (control.tagName === "SELECT") return !control.selectedOptions[0]?.defaultSelected;
  return control.value !== control.defaultValue;
}

function writeView() {
  const view = new URLSearchParams();
  for (const control of document.getElementById("view").elements) {
    const counts = control.name && !control.matches(":disabled");
    if (counts && isDifferent(control)) view.append(control.name, control.value);
  }
  if (section) view.append("at", section);
  return view.toString();
}

function linkToView() {
  const fragment = writeView();
  return location.href.split("#")[0] + (fragment ? `#${fragment}` : "");
}

function keepView() {
  try {
    history.replaceState(null, "", linkToView());
  } catch {
    // Inside another page's frame the address may not be ours; copying the link still works.
  }
}

// Sets one control; returns whether there is such a control with such a value.
function setControl(name, value) {
  const named = [...document.getElementById("view").elements].filter((control) => control.name === name);
  const boxes = named.filter((control) => control.type === "checkbox");
  if (boxes.length) {
    const box = boxes.find((control) => control.value === value);
    if (box) box.checked = true;
    return Boolean(box);
  }
  const [control] = named;
  if (!control) return false;
  if (control.tagName === "SELECT" && ![...control.options].some((option) => option.value === value)) return false;
  control.value = value;
  return true;
}

// Sets all controls as the address says. One that names a section alone leaves them as they are.
function readView() {
  const text = location.hash.slice(1);
  const isSection = text !== "" && !text.includes("=");
  const view = new URLSearchParams(isSection ? "" : text);
  section = isSection ? text : view.get("at") ?? "";
  if (isSection) return;
  document.getElementById("view").reset();
  view.delete("at");
  const unknown = [...view].filter(([name, value]) => !setControl(name, value));
  const words = unknown.map(([name, value]) => `${name} ${value}`).join(", ");
  say(words ? `The link asks for what this report does not have: ${shorten(words, 200)}.` : "");
}

function say(text) {
  document.getElementById("message").textContent = text;
}

async function copyLink() {
  const link = linkToView();
  const byHand = document.getElementById("link");
  try {
    await navigator.clipboard.writeText(link);
    byHand.hidden = true;
    say("The link is copied.");
  } catch {
    // Some browsers lend the clipboard to no local file.
    byHand.hidden = false;
    byHand.value = link;
    byHand.focus();
    byHand.select();
    say("Copy the link from the box.");
  }
}
