"use strict";
(() => {
  const names = { o: "not looked at", w: "whole", u: "unsettled", c: "changed", x: "doubled", g: "gap", d: "damaged" };
  const marks = { o: "–", w: "✓", u: "U", c: "C", x: "2", g: "G", d: "D" };
  const make = (tag, options = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), options);
    node.append(...children);
    return node;
  };
  document.documentElement.classList.add("js");
  const findings = [...document.querySelectorAll(".findings > li")];

  // The hours of a day, on demand.
  let opened = null;
  const close = () => {
    if (opened) {
      opened.panel.remove();
      opened.button.setAttribute("aria-expanded", "false");
      opened = null;
    }
  };
  const hoursOf = (letters) => {
    const list = make("ol", { className: "hours", tabIndex: 0 });
    list.setAttribute("aria-label", "Hours of the day, UTC");
    [...letters].forEach((letter, hour) => {
      const item = make("li", { className: letter }, make("span", { textContent: String(hour).padStart(2, "0") }));
      const mark = make("b", { textContent: marks[letter] });
      mark.setAttribute("aria-hidden", "true");
      item.append(mark, make("span", { className: "quiet", textContent: " " + names[letter] }));
      list.append(item);
    });
    return list;
  };
  const open = (button) => {
    const { h: letters, d: day } = button.dataset;
    const agent = button.closest(".agent").dataset.a;
    const begin = Date.parse(day + "T00:00:00Z"), end = begin + 86400000;
    const panel = make("section", { className: "day" });
    panel.append(make("h3", { textContent: button.dataset.t + ", by the hour (UTC)" }), hoursOf(letters));
    const of = findings.filter((each) => each.dataset.a === agent && +each.dataset.f < end && +each.dataset.t > begin);
    if (of.length) {
      const list = make("ul");
      of.slice(0, 20).forEach((each) => {
        const link = make("a", { href: "#" + each.id, textContent: each.querySelector("p").textContent });
        list.append(make("li", {}, link));
      });
      if (of.length > 20) list.append(make("li", { textContent: `and ${of.length - 20} more` }));
      panel.append(list);
    }
    button.closest(".month").after(panel);
    button.setAttribute("aria-expanded", "true");
    opened = { button, panel };
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".month button");
    if (button) {
      const same = opened && opened.button === button;
      close();
      if (!same) open(button);
    }
    const link = event.target.closest('.day a[href^="#f"]');
    if (link) show("", "");
    const copy = event.target.closest(".cure button");
    if (copy) {
      const text = copy.parentElement.querySelector("code");
      const said = (word) => {
        copy.textContent = word;
        setTimeout(() => { copy.textContent = "Copy"; }, 2000);
      };
      const select = () => {
        getSelection().selectAllChildren(text);
        said("Selected");
      };
      if (navigator.clipboard) navigator.clipboard.writeText(text.textContent).then(() => said("Copied"), select);
      else select();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && opened) {
      const { button } = opened;
      close();
      button.focus();
    }
    const arrows = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in arrows && event.target.matches(".month button")) {
      const all = [...event.target.closest(".agent").querySelectorAll(".month button")];
      const next = all[all.indexOf(event.target) + arrows[event.key]];
      if (next) {
        next.focus();
        event.preventDefault();
      }
    }
  });

  // Findings by their kind and their agent.
  const status = document.querySelector("#shown");
  const kinds = [...document.querySelectorAll(".tools button")];
  const search = document.querySelector(".tools input");
  const show = (kind, agent) => {
    kinds.forEach((each) => each.setAttribute("aria-pressed", String(each.dataset.k === kind)));
    search.value = agent;
    const wanted = agent.trim().toLowerCase();
    let count = 0;
    findings.forEach((each) => {
      const fits = (!kind || each.dataset.k === kind) &&
        (!wanted || each.querySelector("h3 code").textContent.toLowerCase().includes(wanted));
      each.hidden = !fits;
      count += fits;
    });
    status.textContent = `${count} of ${findings.length} shown`;
  };
  if (search) {
    kinds.forEach((each) => each.addEventListener("click", () => show(each.dataset.k, search.value)));
    search.addEventListener("input", () => {
      show(kinds.find((each) => each.getAttribute("aria-pressed") === "true").dataset.k, search.value);
    });
  }

  // In print all is open.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
})();
