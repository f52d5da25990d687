// The pages work without this script; it saves clicks, draws charts that can be
// read off, and keeps the demo's figures up to date. It writes text only, never
// markup from data.
import { drawCharts } from "./chart";
import { watchContacts } from "./contacts";

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-submit-on-change]")) {
	form.addEventListener("change", () => form.requestSubmit());
	for (const button of form.querySelectorAll<HTMLElement>("[data-without-script]")) button.hidden = true;
}

for (const button of document.querySelectorAll<HTMLElement>("button[data-copy]")) {
	button.hidden = !navigator.clipboard;
	button.addEventListener("click", async () => {
		await navigator.clipboard.writeText(document.getElementById(button.dataset.copy!)!.textContent!);
		button.textContent = "Copied";
	});
}

// On a narrow screen the menu scrolls; where one is, shows.
document.querySelector("header nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

// Figures marked so are fetched anew every few seconds. A document that comes as
// an answer runs no scripts.
const figures = document.querySelector<HTMLElement>("[data-refresh]");
if (figures?.dataset.refresh) {
	const fetchAnew = () => {
		const request = new XMLHttpRequest();
		request.responseType = "document";
		request.open("GET", location.href);
		request.addEventListener("load", () => {
			const fresh = (request.response as Document | null)?.querySelector<HTMLElement>("[data-refresh]");
			const current = document.querySelector<HTMLElement>("[data-refresh]");
			if (!fresh || !current || fresh.textContent === current.dataset.text) return;
			const text = fresh.textContent!;
			current.replaceWith(document.adoptNode(fresh));
			fresh.dataset.text = text;
			drawCharts();
		});
		request.send();
	};
	figures.dataset.text = figures.textContent!;
	setInterval(() => document.hidden || fetchAnew(), Number(figures.dataset.refresh) * 1000);
}

drawCharts();
watchContacts();
