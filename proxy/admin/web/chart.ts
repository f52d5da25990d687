import uPlot from "uplot";

// A chart as the server says it: columns by day, one part on top of the other,
// the first at the bottom.
type Chart = { days: number[]; parts: { name: string; tone: string; counts: number[] }[] };

// drawCharts draws over the server's drawings, which stay where scripts do not run.
export function drawCharts(): void {
	for (const holder of document.querySelectorAll<HTMLElement>(".chart[data-chart]")) draw(holder);
}

function draw(holder: HTMLElement): void {
	const chart: Chart = JSON.parse(holder.dataset.chart!);
	delete holder.dataset.chart;
	const style = getComputedStyle(holder);
	const tone = (name: string) => style.getPropertyValue("--" + name).trim();
	// Light and dark are told apart by the browser; a canvas wants one colour.
	const probe = holder.appendChild(document.createElement("i"));
	const colour = (name: string) => {
		probe.style.color = tone(name);
		return getComputedStyle(probe).color;
	};
	const soft = colour("soft"), line = colour("line");
	const fills = chart.parts.map((part) => colour(part.tone === "alarm" ? "red" : part.tone));
	probe.remove();

	// uPlot knows no stacks: each series is the sum up to its part, the tallest
	// drawn first.
	const sums: number[][] = [];
	chart.parts.forEach((part, i) => sums.push(part.counts.map((n, day) => n + (sums[i - 1]?.[day] ?? 0))));
	const order = chart.parts.map((_, i) => chart.parts.length - 1 - i);
	const format = new Intl.NumberFormat("en-GB");
	const label = holder.querySelector("svg")?.getAttribute("aria-label") ?? "";
	const height = holder.closest(".low") ? 150 : 230;
	const font = "12px " + style.fontFamily;
	const plot = new uPlot(
		{
			width: holder.clientWidth,
			height,
			tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
			padding: [8, 4, 0, 0],
			cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
			scales: { x: { range: (_, min, max) => [min - 43200, max + 43200] }, y: { range: (_, __, max) => [0, Math.max(max, 1)] } },
			axes: [
				{ stroke: soft, font, grid: { show: false }, ticks: { show: false }, space: 70, incrs: [86400, 7 * 86400, 28 * 86400, 91 * 86400],
					size: 26, values: (_, at) => at.map((t) => new Date(t * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })) },
				{ stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { show: false }, size: 54, space: 42, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7],
					values: (_, n) => n.map((v) => format.format(v)) },
			],
			legend: { live: true, markers: { show: true } },
			series: [
				{ label: "Day", value: (_, at) => at == null ? "" : new Date(at * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }) },
				...order.map((i): uPlot.Series => ({
					label: chart.parts[i]!.name,
					fill: fills[i]!,
					width: 0,
					points: { show: false },
					paths: uPlot.paths.bars!({ size: [0.76, 46], radius: i === chart.parts.length - 1 ? 0.12 : 0 }),
					value: (_, __, ___, day) => (day == null ? total(chart.parts[i]!.counts, format) : format.format(chart.parts[i]!.counts[day]!)),
				})),
			],
		},
		[chart.days, ...order.map((i) => sums[i]!)],
	);
	plot.root.setAttribute("role", "img");
	plot.root.setAttribute("aria-label", label);
	holder.replaceChildren(plot.root);
	holder.classList.add("drawn");
	new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height })).observe(holder);
}

const total = (counts: number[], format: Intl.NumberFormat) => format.format(counts.reduce((a, b) => a + b, 0));
