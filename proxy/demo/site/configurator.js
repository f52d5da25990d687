// A single-page app: it renders by innerHTML, moves by history.pushState, and
// counts each step with an image and a fetch, as such apps do.
(function () {
  const root = document.getElementById("configurator");
  const steps = {
    frame: { title: "Frame", choices: ["S", "M", "L"], next: "colour" },
    colour: { title: "Colour", choices: ["Fjord", "Moss", "Rust"], next: "bags" },
    bags: { title: "Bags", choices: ["None", "Two", "Four"], next: "done" },
    done: { title: "Yours", choices: [], next: "frame" },
  };
  const chosen = {};

  function count(step) {
    new Image().src = root.dataset.beacon + "?en=step_" + step;
    fetch(root.dataset.beacon + "?en=fetch_" + step, { method: "POST", mode: "no-cors" }).catch(() => {});
  }

  function render() {
    const name = location.pathname.split("/")[2] || "frame";
    const step = steps[name] || steps.frame;
    root.innerHTML =
      "<h2></h2><p class=summary></p><div class=choices></div>" +
      '<img width=1 height=1 alt="" src="' + root.dataset.beacon + "?en=view_" + name + '">';
    root.querySelector("h2").textContent = step.title;
    root.querySelector(".summary").textContent = Object.entries(chosen).map(([k, v]) => k + ": " + v).join(", ");
    for (const choice of step.choices) {
      const button = document.createElement("button");
      button.textContent = choice;
      button.onclick = () => {
        chosen[name] = choice;
        history.pushState({}, "", "/app/" + step.next);
        render();
      };
      root.querySelector(".choices").append(button);
    }
    count(name);
  }

  addEventListener("popstate", render);
  render();
})();
