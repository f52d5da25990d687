/** Counts of what was held, released, stopped and fired, sent in batches and without anything that names a visitor. */
import { type Kind, parse } from './matcher'
import { apply, nativeBeacon } from './native'
import { judge, letters, prefix } from './page'

export type TagEvent = 'held' | 'released' | 'fired' | 'stopped'

const maxBytes = 2048
const maxTags = 200

const tags = new Map<string, [url: string, kind: Kind | 'inline', event: TagEvent, count: number]>()
const cookies = new Map<string, string>()

/** Counts one event of a tag. First-party addresses that no rule names are nobody's business. */
export function count(reference: string, kind: Kind, event: TagEvent): void {
	const d = judge(reference)
	const url = parse(reference, document.baseURI)
	if (!url || !/^(http|ws)s?:$/.test(url.protocol) || d.party === 'none' || (d.party === 'first' && !d.ruled)) return
	add((url.origin + url.pathname).slice(0, 300), kind, event)
}

/** Counts an inline script of a known vendor that was released, and so ran. */
export function countInline(vendor: string): void {
	if (!vendor) return
	add('inline:' + vendor, 'inline', 'released')
	add('inline:' + vendor, 'inline', 'fired')
}

function add(address: string, kind: Kind | 'inline', event: TagEvent): void {
	const key = event + kind + address
	const tag = tags.get(key)
	if (tag) tag[3]++
	else if (tags.size < maxTags) tags.set(key, [address, kind, event, 1])
}

/** Counts a name under which a script keeps something. */
export function countCookie(name: string, source: 'script' | 'storage'): void {
	if (cookies.size < maxTags && /^[ -~]{1,100}$/.test(name)) cookies.set(name, source)
}

const initiators: Record<string, Kind> = {
	script: 'script',
	img: 'image',
	image: 'image',
	input: 'image',
	css: 'style',
	link: 'style',
	iframe: 'frame',
	frame: 'frame',
	embed: 'object',
	object: 'object',
	video: 'media',
	audio: 'media',
	track: 'media',
	xmlhttprequest: 'connect',
	fetch: 'connect',
	beacon: 'ping',
	ping: 'ping',
}

/** What our own report-only policy reports by itself, and so is not counted here. */
const reported = new Set<string>()

function watch(): void {
	try {
		new PerformanceObserver((list) => {
			for (const entry of list.getEntriesByType('resource') as PerformanceResourceTiming[]) if (!reported.has(entry.name)) count(entry.name, initiators[entry.initiatorType] ?? 'other', 'fired')
		}).observe({ type: 'resource', buffered: true })
	} catch {
		// An old browser: what fires is not counted.
	}
	document.addEventListener('securitypolicyviolation', (e) => {
		const ours = e.originalPolicy.includes(prefix + 'csp')
		if (ours && e.disposition === 'report' && reported.size < maxTags) reported.add(e.blockedURI)
		if (!ours && e.disposition === 'enforce') count(e.blockedURI, 'other', 'stopped')
	})
}

/** Sends what has been counted so far. */
export function send(): void {
	while (tags.size || cookies.size) {
		const report = { page: location.pathname.slice(0, 300), granted: letters(), tags: [] as unknown[], cookies: [] as unknown[] }
		let room = maxBytes - new Blob([JSON.stringify(report)]).size
		room = fill(tags, report.tags, room, (tag) => tag)
		fill(cookies, report.cookies, room, (source, name) => [name, source])
		if (!report.tags.length && !report.cookies.length) return
		if (nativeBeacon) apply(nativeBeacon, navigator, [prefix + 'events', new Blob([JSON.stringify(report)], { type: 'application/json' })])
	}
}

function fill<V>(from: Map<string, V>, to: unknown[], room: number, row: (value: V, key: string) => unknown): number {
	for (const [key, value] of from) {
		const size = new Blob([JSON.stringify(row(value, key))]).size + 1
		if (size > room) break
		room -= size
		to.push(row(value, key))
		from.delete(key)
	}
	return room
}

export function report(): void {
	watch()
	document.addEventListener('visibilitychange', () => document.visibilityState === 'hidden' && send())
	self.addEventListener('pagehide', send)
}
