type Contact = { host: string; vendor: string; requests: number; cookies: number };

// watchContacts shows the demo's third parties as they are contacted.
export function watchContacts(): void {
	const live = document.querySelector<HTMLElement>("[data-live]");
	if (!live) return;
	const part = (name: string) => live.querySelector<HTMLElement>(`[data-live-${name}]`)!;
	const cell = (text: string | number, style?: string) => {
		const td = document.createElement("td");
		const span = td.appendChild(document.createElement("span"));
		span.textContent = String(text);
		td.className = style === "number" ? style : "";
		span.className = style === "path" ? style : "";
		return td;
	};
	const show = (contacts: Contact[]) => {
		const sum = (key: "requests" | "cookies") => contacts.reduce((n, c) => n + c[key], 0);
		const some = contacts.length > 0;
		const count = part("count");
		count.textContent = String(contacts.length);
		count.className = "huge " + (some ? "some" : "none");
		part("requests").textContent = String(sum("requests"));
		part("cookies").textContent = String(sum("cookies"));
		part("none").hidden = some;
		part("some").hidden = part("list").hidden = !some;
		part("list").querySelector("tbody")!.replaceChildren(...contacts.map((c) => {
			const row = document.createElement("tr");
			row.append(cell(c.host, "path"), cell(c.vendor), cell(c.requests, "number"), cell(c.cookies, "number"));
			return row;
		}));
	};
	new EventSource(live.dataset.live!).addEventListener("message", (e) => show(JSON.parse(e.data)));
}
